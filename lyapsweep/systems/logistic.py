"""The logistic map: cycles of every period, and chaos, with one parameter."""

import math

import torch

from lyapsweep.maps import Inputs, States, Tangents
from lyapsweep.systems.system import AbstractSystem, KnownExponents

LONGEST = 64  # period of a cycle that is still looked for
SETTLED = 100_000  # steps of the critical point before


class Logistic(AbstractSystem):
    """The logistic map x_{t+1} = r x_t (1 - x_t); exponent log 2 at r = 4, negative where a cycle attracts.

    At r = 4 the map is conjugate to the tent map of slope 2 (Ulam and von Neumann 1947). Elsewhere an attracting cycle
    also attracts the critical point 1/2 (Singer 1978, SIAM J. Appl. Math. 35:260) and is found by iterating it; its
    exponent is the mean of log |r (1 - 2 x)| over its points. Otherwise `known` is None.

    Args:
        r: Growth rate in (0, 4], 4.0 by default.

    Raises:
        ValueError: If `r` is out of this range.

    Example:
        >>> Logistic().known.exponents
        (0.6931471805599453,)
    """

    state = 1
    names = ("x",)

    def __init__(self, r: float = 4.0):
        if not 0 < r <= 4:
            raise ValueError(
                f"logistic: r={r} is outside 0 < r <= 4, where orbits are bounded. Choose r in this range."
            )
        self.r = r
        if r == 4:
            self.known = KnownExponents((math.log(2),), {"r": r}, "exact: Ulam and von Neumann 1947, Bull. AMS 53:1120")
        elif points := attracting_cycle(r):
            slopes = [abs(r * (1 - 2 * x)) for x in points]
            exponent = sum(map(math.log, slopes)) / len(slopes) if min(slopes) > 0 else -math.inf
            self.known = KnownExponents((exponent,), {"r": r}, f"exact: a cycle of period {len(points)} attracts")

    def start(self, batch: int, generator: torch.Generator) -> States:
        return 0.1 + 0.8 * torch.rand(1, batch, 1, dtype=torch.float64, generator=generator)

    def step(self, z: States, x: Inputs | None = None) -> States:
        return self.r * z * (1 - z)

    def push(self, z: States, x: Inputs | None, V: Tangents) -> tuple[States, Tangents]:
        return self.step(z), (self.r * (1 - 2 * z)).unsqueeze(-2) * V


def attracting_cycle(r: float) -> list[float]:
    """The points of the cycle that attracts 1/2, up to a period of 64; empty if there is none."""
    x = 0.5
    for _ in range(SETTLED):
        x = r * x * (1 - x)
    points = [x]
    for _ in range(LONGEST):
        x = r * x * (1 - x)
        if abs(x - points[0]) < 1e-13:
            return points
        points.append(x)
    return []
