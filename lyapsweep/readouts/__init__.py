"""READOUTS: from hidden states to observations, and back from an observation to a state."""

from lyapsweep.readouts.affine import Affine
from lyapsweep.readouts.identity import Identity
from lyapsweep.readouts.linear import Linear
from lyapsweep.readouts.neuroview import Neuroview
from lyapsweep.readouts.readout import AbstractReadout
from lyapsweep.registry import Registry

READOUTS: Registry[type[AbstractReadout]] = Registry(
    "readout",
    {"linear": Linear, "identity": Identity, "affine": Affine, "neuroview": Neuroview},
    given=("features", "units", "state", "population", "steps"),
)

__all__ = ["READOUTS", "AbstractReadout", "Affine", "Identity", "Linear", "Neuroview"]
