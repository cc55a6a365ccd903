"""OPTIMIZERS: torch's optimizers as functions of a gradient, without the overhead of its optimizer objects.

The objects cost about 3 % of a small network's update.
"""

from typing import Any

import torch
from torch import Tensor
from torch.optim.adam import adam
from torch.optim.radam import radam

__all__ = ["OPTIMIZERS", "Adam", "RAdam", "Sgd"]

SETTINGS: dict[str, Any] = {"beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "weight_decay": 0.0, "lr": 1.0}
"""torch's defaults, with a learning rate of 1."""


class Sgd:
    """Gradient descent, -g.

    Args:
        like: The weights, as one tensor; their shape and device are used.

    Example:
        >>> Sgd(torch.zeros(2))(torch.tensor([1.0, -2.0]))
        tensor([-1.,  2.])
    """

    def __init__(self, like: Tensor):
        self.state: dict[str, Tensor] = {}

    def __call__(self, gradient: Tensor) -> Tensor:
        """Return what is added to the weights at a learning rate of 1."""
        return -gradient


class Adam:
    """Adam, -m / (sqrt(v) + eps), m and v the bias-corrected averages of g and of its square (Kingma and Ba 2015).

    `state` holds the averages and the number of updates under torch's names.

    Args:
        like: The weights, as one tensor; their shape, type and device are used.

    Example:
        >>> Adam(torch.zeros(2))(torch.tensor([1.0, -2.0]))
        tensor([-1.0000,  1.0000])
    """

    def __init__(self, like: Tensor):
        self.change, *averages = (torch.zeros_like(like, memory_format=torch.contiguous_format) for _ in range(3))
        self.state = {"step": self.counter(like), **dict(zip(("exp_avg", "exp_avg_sq"), averages))}

    def counter(self, like: Tensor) -> Tensor:
        """The update counter; a fused optimizer needs it on the device of the weights."""
        return torch.zeros((), dtype=torch.float32, device=like.device)

    def __call__(self, gradient: Tensor) -> Tensor:
        """Return what is added to the weights at a learning rate of 1."""
        self.change.zero_()
        self.update([self.change], [gradient.contiguous()], *([v] for v in self.state.values()))
        return self.change

    def update(self, change: list, gradient: list, step: list, mean: list, square: list) -> None:
        """Update all tensors in place. All must be contiguous: the fused CPU kernel ignores strides."""
        adam(change, gradient, mean, square, [], step, fused=True, amsgrad=False, maximize=False, **SETTINGS)


class RAdam(Adam):
    """Adam with a rate rectified for the variance of its first updates (Liu et al. 2020).

    Args:
        like: The weights, as one tensor; their shape, type and device are used.

    Example:
        >>> RAdam(torch.zeros(1))(torch.tensor([2.0]))
        tensor([-2.])
    """

    def counter(self, like: Tensor) -> Tensor:
        return torch.zeros((), dtype=torch.float32)

    def update(self, change: list, gradient: list, step: list, mean: list, square: list) -> None:
        radam(change, gradient, mean, square, step, foreach=False, **SETTINGS)


OPTIMIZERS = {"adam": Adam, "radam": RAdam, "sgd": Sgd}
