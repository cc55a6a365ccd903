"""Gradient descent on a population of networks: trainer, objectives, checkpoints."""

from typing import Any

from lyapsweep.training.trainer import Objective, State, Trainer, TrainingProgress, train
from lyapsweep.training.updates import GradientClip, LRSchedule, collect, flatten

__all__ = [
    "GradientClip",
    "LRSchedule",
    "Objective",
    "State",
    "Trainer",
    "TrainingProgress",
    "collect",
    "flatten",
    "train",
]

FORMER_NAMES = {"Clip": GradientClip, "Descent": Trainer, "Progress": TrainingProgress, "Rates": LRSchedule}


def __getattr__(name: str) -> Any:
    """The names of version 0.1."""
    if name not in FORMER_NAMES:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return FORMER_NAMES[name]
