"""Forcings whose strengths are the same at every update."""

import torch

from lyapsweep.forcing.forcing import (
    AUTO,
    AbstractForcing,
    Moment,
    OneStrengths,
    begin,
    checked_interval,
    checked_start,
    pulses,
)

NOW = Moment()


class NoForcing(AbstractForcing):
    """a = 0 after the start: plain backpropagation through the whole window, from the data or (`start`) from zero."""

    def __init__(self, *, start: str = "data"):
        self.start = checked_start(start)

    def strengths(self, length: int, moment: Moment = NOW) -> OneStrengths:
        return begin(torch.zeros(length), self.start)


class Full(AbstractForcing):
    """a = 1 at every step: one-step-ahead prediction (Williams and Zipser 1989)."""

    def strengths(self, length: int, moment: Moment = NOW) -> OneStrengths:
        return torch.ones(length)


class Sparse(AbstractForcing):
    """a = 1 every `interval` steps, else 0; best near ln 2 / lambda_max steps (Mikhaeil et al. 2022).

    `interval: auto` is that time, rounded, of the data a config names (`lyapsweep.problems.interval`).
    """

    def __init__(self, *, interval: int | str = 16):
        self.interval = interval if interval == AUTO else checked_interval(interval)

    def strengths(self, length: int, moment: Moment = NOW) -> OneStrengths:
        if isinstance(self.interval, str):
            raise ValueError(f"forcing/interval: {AUTO} is found from a series. Give a number where there is none.")
        return pulses(self.interval, length)


class Generalised(AbstractForcing):
    """a = `alpha` at every step: the state leaks to the data, Jacobians shrink by (1 - alpha) (Hess et al. 2023)."""

    def __init__(self, *, alpha: float = 0.1):
        if not 0 <= alpha <= 1:
            raise ValueError(f"0 <= forcing/alpha <= 1 must hold, but got {alpha}.")
        self.alpha = alpha

    def strengths(self, length: int, moment: Moment = NOW) -> OneStrengths:
        return begin(torch.full((length,), float(self.alpha)))


class Truncated(AbstractForcing):
    """a = 0: truncated backpropagation; every `interval` steps the gradient ends and the state carries on."""

    def __init__(self, *, interval: int = 16, start: str = "data"):
        self.truncation = self.interval = checked_interval(interval)
        self.start = checked_start(start)

    def strengths(self, length: int, moment: Moment = NOW) -> OneStrengths:
        return begin(torch.zeros(length), self.start)
