"""What every forcing is: one number per step, z_t <- z_t + a(t) P (target_t - z_t), and then z_{t+1} = f(z_t).

t counts from the first step of a window, which begins at z = 0: with a(0) = 1 it starts from the data, with a(0) = 0
from zero. P is the read-out's mask; the start is pulled whole. The tangent of a forced step is (1 - a) on the forced
directions.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from lyapsweep.registry import unknown

AUTO = "auto"  # an interval that is found from the data
OneStrengths = Float[Tensor, " time"]


@dataclass(frozen=True)
class Moment:
    """Where training stands: before update `update` of `updates`. `generator` is the member's own.

    Without a generator nothing is drawn: a forcing then answers with what is nominal, which is what evaluation sees.
    """

    update: int = 0
    updates: int = 1
    generator: torch.Generator | None = None


class AbstractForcing(ABC):
    """When, and how strongly, a network is pulled back to the data while it trains.

    `varies`: strengths change from update to update; `drawn`: by chance, from the seed. `truncation`: backpropagation
    ends at every so many steps, where the state itself carries on. `moves`: attributes, numbers all, that training
    changes.
    """

    varies: bool = False
    drawn: bool = False
    truncation: int | None = None
    moves: tuple[str, ...] = ()

    @abstractmethod
    def strengths(self, length: int, moment: Moment = Moment()) -> OneStrengths:
        """a(0) ... a(length - 1), each in [0, 1]."""


def pulses(interval: int, length: int) -> OneStrengths:
    """a = 1 at every multiple of `interval`, else 0."""
    return (torch.arange(length) % interval == 0).to(torch.get_default_dtype())


def begin(a: OneStrengths, start: str = "data") -> OneStrengths:
    """The same strengths in a window that starts from the data, or from zero."""
    a[:1] = 1.0 if start == "data" else 0.0
    return a


def checked_interval(interval: int | str) -> int:
    if isinstance(interval, str):
        raise ValueError(f"forcing/interval must be a whole number >= 1 or {AUTO}, but got '{interval}'.")
    if interval < 1:
        raise ValueError(f"forcing/interval >= 1 must hold, but got {interval}.")
    return interval


def checked_start(start: str) -> str:
    if start not in ("data", "zero"):
        raise unknown("start", start, ["data", "zero"], "forcing/start")
    return start
