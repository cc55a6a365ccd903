"""READOUTS: from the state to an observation, and back."""

from lyapsweep.readouts.identity import Identity
from lyapsweep.readouts.linear import Linear
from lyapsweep.readouts.readout import AbstractReadout
from lyapsweep.registry import Registry

READOUTS: Registry[type[AbstractReadout]] = Registry(
    "readout",
    {"linear": Linear, "identity": Identity},
    given=("features", "units", "state", "population"),
)

__all__ = ["READOUTS", "AbstractReadout", "Identity", "Linear"]
