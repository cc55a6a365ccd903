"""Forcings whose strengths change while a network trains."""

import torch

from lyapsweep.forcing.forcing import AbstractForcing, Moment, OneStrengths, begin, checked_interval, pulses
from lyapsweep.forcing.growth import PROXIES
from lyapsweep.registry import unknown

NOW = Moment()


class Annealed(AbstractForcing):
    """a = 1 every tau steps, where tau grows from 1 to `interval` over training (Mikhaeil et al. 2022)."""

    varies = True

    def __init__(self, *, interval: int = 16):
        self.interval = checked_interval(interval)

    def strengths(self, length: int, moment: Moment = NOW) -> OneStrengths:
        """tau = floor((interval - 1) s / S) + 1 before update s of S."""
        return pulses((self.interval - 1) * moment.update // max(moment.updates, 1) + 1, length)


class Random(AbstractForcing):
    """a = 1 every tau steps, where each update draws tau within `spread` of `interval` (Mikhaeil et al. 2022)."""

    varies = drawn = True

    def __init__(self, *, interval: int = 16, spread: int = 8):
        if spread < 0:
            raise ValueError(f"forcing/spread >= 0 must hold, but got {spread}.")
        self.interval, self.spread = checked_interval(interval), spread

    def strengths(self, length: int, moment: Moment = NOW) -> OneStrengths:
        """tau uniform on max(1, interval - spread) ... interval + spread; `interval` where nothing is drawn."""
        if moment.generator is None:
            return pulses(self.interval, length)
        low, high = max(1, self.interval - self.spread), self.interval + self.spread
        return pulses(int(torch.randint(low, high + 1, (), generator=moment.generator)), length)


class Adaptive(AbstractForcing):
    """a = alpha at every step, alpha following 1 - 1/kappa, kappa the growth of the Jacobians (Hess et al. 2023).

    Every `every` updates kappa is measured at the states that the data infer, by `proxy` (one of `growth.PROXIES`),
    and `follow` moves alpha: up at once, down slowly, by a factor `gamma` at a time. It starts at `alpha`.
    """

    varies = True
    moves = ("alpha",)

    def __init__(
        self, *, alpha: float = 1.0, gamma: float = 0.999, every: int = 5, proxy: str = "arithmetic_mean"
    ) -> None:
        if not (0 <= alpha <= 1 and 0 <= gamma <= 1):
            raise ValueError(f"0 <= forcing/alpha, forcing/gamma <= 1 must hold, but got {alpha}, {gamma}.")
        if every < 1:
            raise ValueError(f"forcing/every >= 1 must hold, but got {every}.")
        if proxy not in PROXIES:
            raise unknown("proxy", proxy, list(PROXIES), "forcing/proxy")
        self.alpha, self.gamma, self.every, self.proxy = alpha, gamma, every, proxy

    def strengths(self, length: int, moment: Moment = NOW) -> OneStrengths:
        return begin(torch.full((length,), float(self.alpha)))

    def due(self, update: int) -> bool:
        return update % self.every == 0

    def follow(self, kappa: float) -> None:
        """alpha <- a if a > alpha, else gamma alpha + (1 - gamma) a, with a = max(0, 1 - 1/kappa).

        A kappa that is no number, of a network on its way to infinity, asks for full forcing.
        """
        a = max(0.0, 1 - 1 / max(kappa, 1e-12)) if kappa == kappa else 1.0
        self.alpha = a if a > self.alpha else self.gamma * self.alpha + (1 - self.gamma) * a
