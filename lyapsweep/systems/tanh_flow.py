"""The random tanh network in continuous time, a chaotic model of a neural circuit."""

import torch

from lyapsweep.maps import States, Tangents
from lyapsweep.systems.system import AbstractFlow
from lyapsweep.systems.tanh_map import couplings, slope


class TanhFlow(AbstractFlow):
    """The random tanh network h' = -h + J tanh(h), J_ij ~ N(0, gain^2 / units), J_ii = 0; exponents sum to -units.

    Time is in units of the decay. The exponents are in pairs about -1, lambda_i + lambda_{units - i + 1} -> -2. The
    largest exponent of infinitely many units is known (`lyapsweep.systems.dynamic_mean_field`), but a hundred units are
    far from it: `known` is None.

    Args:
        units: Number of units, 100 by default.
        gain: Scale of J, 3.0 by default.
        seed: Seed of J, 0 by default.
        dt: Time of one step, 0.1 by default.
        substeps: Runge-Kutta steps per step, 1 by default.

    Raises:
        ValueError: If units >= 2 and gain > 0 do not hold.

    Source: Sompolinsky, Crisanti, Sommers 1988, Phys. Rev. Lett. 61:259; Engelken, Wolf, Abbott 2023, Phys. Rev.
    Research 5:043044.

    Example:
        >>> TanhFlow(units=10).total
        -10.0
    """

    def __init__(self, units: int = 100, gain: float = 3.0, seed: int = 0, dt: float = 0.1, substeps: int = 1):
        super().__init__(dt, substeps)
        if units < 2 or not gain > 0:
            raise ValueError(f"tanh_flow: units >= 2 and gain > 0 must hold, but got units={units}, gain={gain}.")
        self.units, self.gain, self.seed, self.state = units, gain, seed, units
        self.names = tuple(f"h{i + 1}" for i in range(units))
        self.J = couplings(units, gain, seed).fill_diagonal_(0)
        self.total = -float(units)

    def start(self, batch: int, generator: torch.Generator) -> States:
        return torch.randn(1, batch, self.units, dtype=torch.float64, generator=generator)

    def field(self, z: States) -> States:
        return z.tanh() @ self.J.mT - z

    def tangent(self, z: States, V: Tangents) -> Tangents:
        return (slope(z).unsqueeze(-2) * V) @ self.J.mT - V
