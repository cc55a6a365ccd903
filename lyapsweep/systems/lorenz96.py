"""The Lorenz 1996 flow: a ring of sites, chaos whose extent grows with their number."""

import torch

from lyapsweep.maps import States, Tangents
from lyapsweep.systems.system import AbstractFlow, near


class Lorenz96(AbstractFlow):
    """z_i' = (z_{i+1} - z_{i-2}) z_{i-1} - z_i + force on a ring; the exponents sum to -sites exactly.

    Lorenz 1996, Predictability: a problem partly solved; force = 8 is chaotic from five sites on.
    """

    def __init__(self, sites: int = 40, force: float = 8.0, dt: float = 0.01, substeps: int = 1):
        super().__init__(dt, substeps)
        if sites < 4:
            raise ValueError(f"lorenz96: sites >= 4 must hold (the neighbours must differ), but got {sites}.")
        self.sites, self.force, self.state = sites, force, sites
        self.names = tuple(f"z{i + 1}" for i in range(sites))
        self.total = -float(sites)

    def start(self, batch: int, generator: torch.Generator) -> States:
        return near((0.25 * self.force,) * self.sites, 3.0, batch, generator)

    def field(self, z: States) -> States:
        return torch.addcmul(self.force - z, z.roll(-1, -1) - z.roll(2, -1), z.roll(1, -1))

    def tangent(self, z: States, V: Tangents) -> Tangents:
        difference, before = (z.roll(-1, -1) - z.roll(2, -1)).unsqueeze(-2), z.roll(1, -1).unsqueeze(-2)
        return torch.addcmul((V.roll(-1, -1) - V.roll(2, -1)) * before - V, difference, V.roll(1, -1))
