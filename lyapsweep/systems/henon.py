"""The Henon map: the planar map with a strange attractor and a constant Jacobian determinant."""

import math

import torch

from lyapsweep.maps import Inputs, States, Tangents
from lyapsweep.systems.system import AbstractSystem, KnownExponents, cube_around

CITED = {"a": 1.4, "b": 0.3}


class Henon(AbstractSystem):
    """The Henon map x_{t+1} = 1 - a x_t^2 + y_t, y_{t+1} = b x_t; the exponents sum to log |b|.

    Args:
        a: Nonlinearity, 1.4 by default.
        b: Contraction of areas, 0.3 by default.

    Source: Henon 1976, Commun. Math. Phys. 50:69; exponents of Sprott 2003, Chaos and Time-Series Analysis.

    Example:
        >>> Henon().step(torch.zeros(1, 1, 2))
        tensor([[[1., 0.]]])
    """

    state = 2
    names = ("x", "y")

    def __init__(self, a: float = 1.4, b: float = 0.3):
        self.a, self.b = a, b
        if {"a": a, "b": b} == CITED:
            self.known = KnownExponents((0.4192, -1.6232), CITED, "Sprott 2003, Chaos and Time-Series Analysis, Oxford")
        self.total = math.log(abs(b)) if b else -math.inf

    def start(self, batch: int, generator: torch.Generator) -> States:
        return cube_around((0.1, 0.1), 0.1, batch, generator)

    def step(self, z: States, x: Inputs | None = None) -> States:
        first, second = z[..., :1], z[..., 1:]
        return torch.cat([1 - self.a * first.square() + second, self.b * first], -1)

    def push(self, z: States, x: Inputs | None, V: Tangents) -> tuple[States, Tangents]:
        slope = (-2 * self.a * z[..., :1]).unsqueeze(-2)
        along, across = V[..., :1], V[..., 1:]
        return self.step(z), torch.cat([slope * along + across, self.b * along], -1)
