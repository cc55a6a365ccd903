"""OPTIMIZERS: torch's, as functions of a gradient. Their objects' ceremony is some 3 % of a small network's update."""

from typing import Any

import torch
from torch import Tensor
from torch.optim.adam import adam
from torch.optim.radam import radam

SETTINGS: dict[str, Any] = {"beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "weight_decay": 0.0, "lr": 1.0}
"""torch's own, and unit rate."""


class Sgd:
    """-g."""

    def __init__(self, like: Tensor):
        self.state: dict[str, Tensor] = {}

    def __call__(self, gradient: Tensor) -> Tensor:
        """What is added to the weights at unit rate."""
        return -gradient


class Adam:
    """-m / (sqrt(v) + eps), m and v the corrected averages of g and of its square (Kingma and Ba 2015).

    `state` is what the gradients so far have moved, by torch's names.
    """

    def __init__(self, like: Tensor):
        self.shift, *averages = (torch.zeros_like(like, memory_format=torch.contiguous_format) for _ in range(3))
        self.state = {"step": self.count(like), **dict(zip(("exp_avg", "exp_avg_sq"), averages))}

    def count(self, like: Tensor) -> Tensor:
        """Room for the number of updates: a fused optimizer wants it where the weights are."""
        return torch.zeros((), dtype=torch.float32, device=like.device)

    def __call__(self, gradient: Tensor) -> Tensor:
        """What is added to the weights at unit rate."""
        self.shift.zero_()
        self.move([self.shift], [gradient.contiguous()], *([v] for v in self.state.values()))
        return self.shift

    def move(self, shift: list, gradient: list, step: list, mean: list, square: list) -> None:
        """All contiguous: on a CPU the fused one goes by memory and not by strides, and mixes entries up silently."""
        adam(shift, gradient, mean, square, [], step, fused=True, amsgrad=False, maximize=False, **SETTINGS)


class RAdam(Adam):
    """Adam whose rate is rectified for the variance of its first updates (Liu et al. 2020)."""

    def count(self, like: Tensor) -> Tensor:
        return torch.zeros((), dtype=torch.float32)

    def move(self, shift: list, gradient: list, step: list, mean: list, square: list) -> None:
        radam(shift, gradient, mean, square, step, foreach=False, **SETTINGS)


OPTIMIZERS = {"adam": Adam, "radam": RAdam, "sgd": Sgd}
