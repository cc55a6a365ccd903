"""Gradient descent on a population of networks: the trainer, its objectives, its checkpoints."""

from lyapsweep.training.trainer import Clip, Descent, Objective, Progress, Rates, State, collect, flatten, train

__all__ = ["Clip", "Descent", "Objective", "Progress", "Rates", "State", "collect", "flatten", "train"]
