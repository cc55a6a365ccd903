"""The tent map: chaos in one ReLU."""

import math

import torch

from lyapsweep.maps import Inputs, States, Tangents
from lyapsweep.systems.system import AbstractSystem, Known


class Tent(AbstractSystem):
    """z_{t+1} = 1 - s |z_t| = 1 + s z_t - 2 s relu(z_t), 0 < s <= 2; every step stretches by s: the exponent is log s.

    Its slope is below 2 by default, because a step with slope 2 shifts the binary digits of a float by one place: after
    about fifty steps none is left, and the orbit stays at the fixed point -1.
    """

    state = 1
    names = ("z",)

    def __init__(self, s: float = 1.99):
        if not 0 < s <= 2:
            raise ValueError(f"tent: 0 < s <= 2 must hold (beyond, orbits escape), but got {s}.")
        self.s = s
        self.known = Known((math.log(s),), {"s": s}, "exact: every step stretches by s")
        self.total = math.log(s)

    def start(self, batch: int, generator: torch.Generator) -> States:
        return 2 * torch.rand(1, batch, 1, dtype=torch.float64, generator=generator) - 1

    def step(self, z: States, x: Inputs | None = None) -> States:
        return 1 + self.s * z - 2 * self.s * z.relu()

    def push(self, z: States, x: Inputs | None, V: Tangents) -> tuple[States, Tangents]:
        slope = self.s * (1 - 2 * (z > 0).to(z))
        return self.step(z), slope.unsqueeze(-2) * V
