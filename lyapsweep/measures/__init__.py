"""What a trained network is judged by. A measure sees arrays only (`Evidence`), never a network."""

from lyapsweep.measures.divergence import DIVERGENCE
from lyapsweep.measures.evidence import Evidence
from lyapsweep.measures.gradients import GRADIENTS
from lyapsweep.measures.loss import LOSS
from lyapsweep.measures.measure import Measure, Undefined
from lyapsweep.measures.power_spectrum import POWER_SPECTRUM
from lyapsweep.measures.prediction_error import PREDICTION_ERROR
from lyapsweep.measures.prediction_time import PREDICTION_TIME
from lyapsweep.measures.state_space import STATE_SPACE
from lyapsweep.registry import Registry

__all__ = ["MEASURES", "Evidence", "Measure", "Undefined"]

MEASURES: Registry[Measure] = Registry(
    "measure",
    {
        measure.name: measure
        for measure in (
            LOSS,
            DIVERGENCE,
            GRADIENTS,
            STATE_SPACE,
            POWER_SPECTRUM,
            PREDICTION_ERROR,
            PREDICTION_TIME,
        )
    },
    given=("evidence",),
)
