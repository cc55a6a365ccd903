"""Forcings whose strengths are the same at every update."""

import torch

from lyapsweep.forcing.forcing import (
    AUTO,
    AbstractForcing,
    Moment,
    Strengths,
    checked_interval,
    checked_start,
    pulses,
    with_start,
)

NOW = Moment()


class NoForcing(AbstractForcing):
    """No forcing after the start: a = 0, backpropagation through the whole window.

    Args:
        start: Where a window starts: "data" (the default), the state inferred from the first observation, or "zero".

    Raises:
        UnknownName: If `start` is neither.

    Example:
        >>> NoForcing().strengths(3)
        tensor([1., 0., 0.])
    """

    def __init__(self, *, start: str = "data"):
        self.start = checked_start(start)

    def strengths(self, length: int, moment: Moment = NOW) -> Strengths:
        return with_start(torch.zeros(length), self.start)


class Full(AbstractForcing):
    """Teacher forcing at every step: a = 1, one-step-ahead prediction (Williams and Zipser 1989).

    Example:
        >>> Full().strengths(3)
        tensor([1., 1., 1.])
    """

    def strengths(self, length: int, moment: Moment = NOW) -> Strengths:
        return torch.ones(length)


class Sparse(AbstractForcing):
    """Sparse teacher forcing: a = 1 every `interval` steps, else 0 (Mikhaeil et al. 2022).

    The published optimum is near ln 2 / lambda_max steps.

    Args:
        interval: Steps between two forced steps, 16 by default; "auto" is ln 2 / lambda_max, rounded, of the data in
            the config (`lyapsweep.problems.interval`).

    Raises:
        ValueError: If `interval` is below 1 or another string.

    Example:
        >>> Sparse(interval=2).strengths(5)
        tensor([1., 0., 1., 0., 1.])
    """

    def __init__(self, *, interval: int | str = 16):
        self.interval = interval if interval == AUTO else checked_interval(interval)

    def strengths(self, length: int, moment: Moment = NOW) -> Strengths:
        if isinstance(self.interval, str):
            raise ValueError(f"forcing/interval: '{AUTO}' needs a series. Give a number.")
        return pulses(self.interval, length)


class Generalised(AbstractForcing):
    """Generalised teacher forcing: a = `alpha` at every step; Jacobians shrink by (1 - alpha) (Hess et al. 2023).

    Args:
        alpha: Strength in [0, 1], 0.1 by default.

    Raises:
        ValueError: If `alpha` is outside [0, 1].

    Example:
        >>> Generalised(alpha=0.25).strengths(3)
        tensor([1.0000, 0.2500, 0.2500])
    """

    def __init__(self, *, alpha: float = 0.1):
        if not 0 <= alpha <= 1:
            raise ValueError(f"0 <= forcing/alpha <= 1 must hold, but got {alpha}.")
        self.alpha = alpha

    def strengths(self, length: int, moment: Moment = NOW) -> Strengths:
        return with_start(torch.full((length,), float(self.alpha)))


class Truncated(AbstractForcing):
    """Truncated backpropagation: a = 0; the gradient ends every `interval` steps, the state continues.

    Args:
        interval: Steps between two ends of the gradient, 16 by default.
        start: Where a window starts, "data" (the default) or "zero".

    Raises:
        ValueError: If `interval` is below 1 or `start` is unknown.

    Example:
        >>> Truncated(interval=4).truncation
        4
    """

    def __init__(self, *, interval: int = 16, start: str = "data"):
        self.truncation = self.interval = checked_interval(interval)
        self.start = checked_start(start)

    def strengths(self, length: int, moment: Moment = NOW) -> Strengths:
        return with_start(torch.zeros(length), self.start)
