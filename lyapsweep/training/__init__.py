"""Gradient descent on a population of networks: trainer, objectives, checkpoints."""

from typing import Any

from lyapsweep.training.gradients import GradientClip, collect, flatten
from lyapsweep.training.lr_schedule import LRSchedule
from lyapsweep.training.trainer import Objective, State, Trainer, TrainingProgress, train

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
