"""A forcing is one number per step: z_t <- z_t + a(t) P (target_t - z_t), and then z_{t+1} = f(z_t).

t counts from the first step of a window; the state at t = 0 always comes from the data, so a(0) = 1. P is the
read-out's mask. The tangent of a forced step is (1 - a) on the forced directions.
"""

from abc import ABC, abstractmethod

import torch
from jaxtyping import Float
from torch import Tensor

from lyapsweep.registry import Registry


class AbstractForcing(ABC):
    """When, and how strongly, a network is pulled back to the data while it trains."""

    @abstractmethod
    def strengths(self, length: int) -> Float[Tensor, " time"]:
        """a(0) ... a(length - 1), each in [0, 1], a(0) = 1."""


class NoForcing(AbstractForcing):
    """a = 0 after the start: plain backpropagation through the whole window."""

    def strengths(self, length: int) -> Float[Tensor, " time"]:
        return start(torch.zeros(length))


class Full(AbstractForcing):
    """a = 1 at every step: one-step-ahead prediction (Williams and Zipser 1989)."""

    def strengths(self, length: int) -> Float[Tensor, " time"]:
        return torch.ones(length)


class Sparse(AbstractForcing):
    """a = 1 every `interval` steps, else 0; best near ln 2 / lambda_max steps (Mikhaeil et al. 2022)."""

    def __init__(self, *, interval: int = 16):
        if interval < 1:
            raise ValueError(f"forcing/interval >= 1 must hold, but got {interval}.")
        self.interval = interval

    def strengths(self, length: int) -> Float[Tensor, " time"]:
        return (torch.arange(length) % self.interval == 0).float()


class Generalised(AbstractForcing):
    """a = `alpha` at every step: the state leaks to the data, Jacobians shrink by (1 - alpha) (Hess et al. 2023)."""

    def __init__(self, *, alpha: float = 0.1):
        if not 0 <= alpha <= 1:
            raise ValueError(f"0 <= forcing/alpha <= 1 must hold, but got {alpha}.")
        self.alpha = alpha

    def strengths(self, length: int) -> Float[Tensor, " time"]:
        return start(torch.full((length,), self.alpha))


def start(a: Float[Tensor, " time"]) -> Float[Tensor, " time"]:
    a[:1] = 1.0
    return a


FORCINGS: Registry[type[AbstractForcing]] = Registry(
    "forcing", {"none": NoForcing, "full": Full, "sparse": Sparse, "generalised": Generalised}
)
