"""FORCINGS: when and how strongly a network is pulled back to the data during training."""

from lyapsweep.forcing.fixed import Full, Generalised, NoForcing, Sparse, Truncated
from lyapsweep.forcing.forcing import AUTO, AbstractForcing, Moment
from lyapsweep.forcing.schedule import Plan, Schedule
from lyapsweep.forcing.varying import Adaptive, Annealed, Random
from lyapsweep.registry import Registry

FORCINGS: Registry[type[AbstractForcing]] = Registry(
    "forcing",
    {
        "none": NoForcing,
        "full": Full,
        "sparse": Sparse,
        "annealed": Annealed,
        "random": Random,
        "generalised": Generalised,
        "adaptive": Adaptive,
        "truncated": Truncated,
    },
)

__all__ = [
    "AUTO",
    "FORCINGS",
    "AbstractForcing",
    "Adaptive",
    "Annealed",
    "Full",
    "Generalised",
    "Moment",
    "NoForcing",
    "Plan",
    "Random",
    "Schedule",
    "Sparse",
    "Truncated",
]
