"""The Roessler flow: one product, one spiral, one fold."""

import torch

from lyapsweep.maps import States
from lyapsweep.systems.bilinear import AbstractBilinear
from lyapsweep.systems.system import KnownExponents, cube_around

CITED = KnownExponents(
    (0.0879, 0.0),
    {"a": 0.15, "b": 0.2, "c": 10.0},
    "own ensemble of 128 orbits; Wolf et al. 1985 give 0.13 bit, which is 0.090 nat",
    stderr=0.0004,
)


class Roessler(AbstractBilinear):
    """The Roessler flow x' = -y - z, y' = x + a y, z' = b + z (x - c).

    The contraction a + x - c is not constant, so the sum of the exponents is not known exactly.

    Args:
        a: Growth of the spiral, 0.15 by default.
        b: Offset of z, 0.2 by default.
        c: Threshold of x, 10.0 by default.
        dt: Time of one step, 0.1 by default.
        substeps: Runge-Kutta steps per step, 1 by default.

    Source: Roessler 1976, Phys. Lett. A 57:397; parameters of Wolf et al. 1985, Physica D 16:285.

    Example:
        >>> Roessler().known.exponents
        (0.0879, 0.0)
    """

    def __init__(self, a: float = 0.15, b: float = 0.2, c: float = 10.0, dt: float = 0.1, substeps: int = 1):
        A = [[0.0, -1.0, -1.0], [1.0, a, 0.0], [0.0, 0.0, -c]]
        C = [[0.0, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 1.0]]
        super().__init__(A, [0.0, 0.0, b], C, dt, substeps)
        self.a, self.b, self.c = a, b, c
        self.known = CITED if CITED.parameters == {"a": a, "b": b, "c": c} else None

    def start(self, batch: int, generator: torch.Generator) -> States:
        return cube_around((0.5 * self.c, 0.0, 0.0), 1.0, batch, generator)
