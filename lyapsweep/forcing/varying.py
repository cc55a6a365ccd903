"""Forcings whose strengths change during training."""

import math

import torch

from lyapsweep.forcing.forcing import AbstractForcing, Moment, Strengths, checked_interval, pulses, with_start
from lyapsweep.forcing.growth import PROXIES
from lyapsweep.registry import unknown

NOW = Moment()


class Annealed(AbstractForcing):
    """Annealed sparse forcing: a = 1 every tau steps, tau growing from 1 to `interval` (Mikhaeil et al. 2022).

    tau = floor((interval - 1) s / S) + 1 before update s of S.

    Args:
        interval: The last value of tau, 16 by default.

    Raises:
        ValueError: If `interval` is below 1.

    Example:
        >>> Annealed(interval=3).strengths(5, Moment(update=50, updates=100))
        tensor([1., 0., 1., 0., 1.])
    """

    varies = True

    def __init__(self, *, interval: int = 16):
        self.interval = checked_interval(interval)

    def strengths(self, length: int, moment: Moment = NOW) -> Strengths:
        """Return the strengths with the tau of this update."""
        return pulses((self.interval - 1) * moment.update // max(moment.updates, 1) + 1, length)


class Random(AbstractForcing):
    """Random sparse forcing: a = 1 every tau steps, tau drawn anew at each update (Mikhaeil et al. 2022).

    tau is uniform on max(1, interval - spread) ... interval + spread; it is `interval` in evaluation.

    Args:
        interval: The middle of the range of tau, 16 by default.
        spread: Half the width of the range, 8 by default.

    Raises:
        ValueError: If `interval` is below 1 or `spread` is negative.

    Example:
        >>> Random(interval=2, spread=1).strengths(4)
        tensor([1., 0., 1., 0.])
    """

    varies = drawn = True

    def __init__(self, *, interval: int = 16, spread: int = 8):
        if spread < 0:
            raise ValueError(f"forcing/spread >= 0 must hold, but got {spread}.")
        self.interval, self.spread = checked_interval(interval), spread

    def strengths(self, length: int, moment: Moment = NOW) -> Strengths:
        """Return the strengths with a tau drawn from the generator; without a generator tau is `interval`."""
        if moment.generator is None:
            return pulses(self.interval, length)
        low, high = max(1, self.interval - self.spread), self.interval + self.spread
        return pulses(int(torch.randint(low, high + 1, (), generator=moment.generator)), length)


class Adaptive(AbstractForcing):
    """Adaptive generalised forcing: a = alpha, alpha following 1 - 1/kappa (Hess et al. 2023).

    kappa is the growth rate of the Jacobians along the data, see `lyapsweep.forcing.growth`. alpha rises at once and
    falls slowly, by `follow`.

    Args:
        alpha: First value of alpha, in [0, 1]; 1.0 by default.
        gamma: Weight of the old alpha when it falls, in [0, 1]; 0.999 by default.
        every: Updates between two measurements of kappa, 5 by default.
        proxy: How kappa is measured, "arithmetic_mean" (the default) or "geometric_mean".

    Raises:
        ValueError: If a setting is out of its range or `proxy` is unknown.

    Example:
        >>> forcing = Adaptive(alpha=0.0)
        >>> forcing.follow(4.0)
        >>> forcing.alpha
        0.75
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

    def strengths(self, length: int, moment: Moment = NOW) -> Strengths:
        return with_start(torch.full((length,), float(self.alpha)))

    def due(self, update: int) -> bool:
        """Return whether kappa is measured before this update."""
        return update % self.every == 0

    def follow(self, kappa: float) -> None:
        """Set alpha <- a if a > alpha, else gamma alpha + (1 - gamma) a, with a = max(0, 1 - 1/kappa).

        A kappa that is NaN, of a network that diverges, gives full forcing.
        """
        a = 1.0 if math.isnan(kappa) else 1 - 1 / max(kappa, 1.0)
        self.alpha = a if a > self.alpha else self.gamma * self.alpha + (1 - self.gamma) * a
