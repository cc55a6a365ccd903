"""The tent map: chaos from a single relu."""

import math

import torch

from lyapsweep.maps import Inputs, States, Tangents
from lyapsweep.systems.system import AbstractSystem, KnownExponents


class Tent(AbstractSystem):
    """The tent map z_{t+1} = 1 - s |z_t| = 1 + s z_t - 2 s relu(z_t); the exponent is log s.

    The default slope is below 2, because a step with slope 2 shifts the binary digits of a float by one place: after
    about fifty steps none is left, and the orbit stays at the fixed point -1.

    Args:
        s: Slope in (0, 2], 1.99 by default.

    Raises:
        ValueError: If `s` is out of this range.

    Example:
        >>> Tent(s=1.5).step(torch.tensor([[[0.2]]]))
        tensor([[[0.7000]]])
    """

    state = 1
    names = ("z",)

    def __init__(self, s: float = 1.99):
        if not 0 < s <= 2:
            raise ValueError(f"tent: s={s} is outside 0 < s <= 2, where orbits are bounded. Choose s in this range.")
        self.s = s
        self.known = KnownExponents((math.log(s),), {"s": s}, "exact: every step stretches by s")
        self.total = math.log(s)

    def start(self, batch: int, generator: torch.Generator) -> States:
        return 2 * torch.rand(1, batch, 1, dtype=torch.float64, generator=generator) - 1

    def step(self, z: States, x: Inputs | None = None) -> States:
        return 1 + self.s * z - 2 * self.s * z.relu()

    def push(self, z: States, x: Inputs | None, V: Tangents) -> tuple[States, Tangents]:
        slope = self.s * (1 - 2 * (z > 0).to(z))
        return self.step(z), slope.unsqueeze(-2) * V
