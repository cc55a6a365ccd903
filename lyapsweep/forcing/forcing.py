"""The interface of every forcing: one strength per step, z_t <- z_t + a(t) P (target_t - z_t), then z_{t+1} = f(z_t).

t counts from the first step of a window, which begins at z = 0: a(0) = 1 starts it from the data, a(0) = 0 from zero.
P is the readout's mask; the first step is forced in all directions. The tangent of a forced step is multiplied by
(1 - a) in the forced directions.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from lyapsweep.registry import unknown

AUTO = "auto"  # an interval that is estimated from the data
Strengths = Float[Tensor, " time"]


@dataclass(frozen=True)
class Moment:
    """The position in training at which strengths are asked for.

    Args:
        update: Number of updates done before this one; 0 by default.
        updates: Number of all updates; 1 by default.
        generator: The member's own source of random numbers. None (the default) draws nothing: the forcing returns its
            nominal strengths, which evaluation uses.

    Example:
        >>> Moment(update=10, updates=100).generator is None
        True
    """

    update: int = 0
    updates: int = 1
    generator: torch.Generator | None = None


class AbstractForcing(ABC):
    """The interface of a forcing: when and how strongly a network is pulled back to the data during training.

    Attributes:
        varies: True if strengths change from update to update; False by default.
        drawn: True if strengths are random, drawn from the seed; False by default.
        truncation: Number of steps after which backpropagation ends while the state continues; None by default.
        moves: Names of numeric attributes that training changes and checkpoints hold; none by default.

    Example:
        >>> class Fading(AbstractForcing):
        ...     def strengths(self, length, moment=Moment()):
        ...         return 0.5 ** torch.arange(length)
        >>> Fading().strengths(3)
        tensor([1.0000, 0.5000, 0.2500])
    """

    varies: bool = False
    drawn: bool = False
    truncation: int | None = None
    moves: tuple[str, ...] = ()

    @abstractmethod
    def strengths(self, length: int, moment: Moment = Moment()) -> Strengths:
        """Return the strengths of one window.

        Args:
            length: Number of steps of the window.
            moment: The position in training; its default is the nominal one.

        Returns:
            a(0) ... a(length - 1), shape (length,), each in [0, 1].
        """


def pulses(interval: int, length: int) -> Strengths:
    """a = 1 at every multiple of `interval`, else 0."""
    return (torch.arange(length) % interval == 0).to(torch.get_default_dtype())


def with_start(a: Strengths, start: str = "data") -> Strengths:
    """Set the first strength, in place: 1 for a window that starts from the data, 0 for one that starts from zero."""
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
