"""The Lorenz 1996 flow: a ring of sites, with chaos that grows with their number."""

import torch

from lyapsweep.maps import States, Tangents
from lyapsweep.systems.system import AbstractFlow, cube_around


class Lorenz96(AbstractFlow):
    """The Lorenz 1996 flow z_i' = (z_{i+1} - z_{i-2}) z_{i-1} - z_i + force on a ring; exponents sum to -sites.

    Args:
        sites: Number of sites, 40 by default, at least 4.
        force: Constant force, 8.0 by default, which is chaotic from five sites on.
        dt: Time of one step, 0.01 by default.
        substeps: Runge-Kutta steps per step, 1 by default.

    Raises:
        ValueError: If there are fewer than 4 sites.

    Source: Lorenz 1996, Predictability: a problem partly solved.

    Example:
        >>> Lorenz96(sites=5).total
        -5.0
    """

    def __init__(self, sites: int = 40, force: float = 8.0, dt: float = 0.01, substeps: int = 1):
        super().__init__(dt, substeps)
        if sites < 4:
            raise ValueError(
                f"lorenz96: sites={sites} is below 4, the number of coupled neighbours. Use 4 sites or more."
            )
        self.sites, self.force, self.state = sites, force, sites
        self.names = tuple(f"z{i + 1}" for i in range(sites))
        self.total = -float(sites)

    def start(self, batch: int, generator: torch.Generator) -> States:
        return cube_around((0.25 * self.force,) * self.sites, 3.0, batch, generator)

    def field(self, z: States) -> States:
        return torch.addcmul(self.force - z, z.roll(-1, -1) - z.roll(2, -1), z.roll(1, -1))

    def tangent(self, z: States, V: Tangents) -> Tangents:
        difference, before = (z.roll(-1, -1) - z.roll(2, -1)).unsqueeze(-2), z.roll(1, -1).unsqueeze(-2)
        return torch.addcmul((V.roll(-1, -1) - V.roll(2, -1)) * before - V, difference, V.roll(1, -1))
