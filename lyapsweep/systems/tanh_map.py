"""The random tanh network in discrete time, the standard model of chaos in large networks."""

import math

import torch
from torch import Tensor

from lyapsweep.maps import Inputs, Jacobians, States, Tangents, log_abs_det
from lyapsweep.systems.mean_field import spectrum
from lyapsweep.systems.system import AbstractSystem, KnownExponents

LARGE = 200  # units from which mean-field theory is within a tenth or so, but near the onset of chaos
CITED = "mean field, infinitely many units: Molgedey et al. 1992 for the largest; free products for the others"


class TanhMap(AbstractSystem):
    """The random tanh network x_{t+1} = J tanh(x_t), J_ij ~ N(0, gain^2 / units); chaotic for gain > 1.

    `known` is log |eig J| if the origin attracts. For gain > 1 and at least 200 units it is the mean-field spectrum of
    infinitely many units: the largest exponent of N units is about 3 / N below it, which is its `stderr`.

    Args:
        units: Number of units, 100 by default.
        gain: Scale of J, 3.0 by default.
        seed: Seed of J, 0 by default.

    Raises:
        ValueError: If units >= 1 and gain > 0 do not hold.

    Source: Sompolinsky, Crisanti, Sommers 1988, Phys. Rev. Lett. 61:259; Molgedey, Schuchhardt, Schuster 1992, ibid.
    69:3717.

    Example:
        >>> TanhMap(units=10, gain=0.5).known.exponents[0] < 0
        True
    """

    def __init__(self, units: int = 100, gain: float = 3.0, seed: int = 0):
        if units < 1 or not gain > 0:
            raise ValueError(f"tanh_map: units >= 1 and gain > 0 must hold, but got units={units}, gain={gain}.")
        self.units, self.gain, self.seed, self.state = units, gain, seed, units
        self.names = tuple(f"x{i + 1}" for i in range(units))
        self.J = couplings(units, gain, seed)
        moduli = torch.linalg.eigvals(self.J).abs().sort(descending=True).values
        given = {"units": units, "gain": gain, "seed": seed}
        if moduli[0] < 1 and gain < 1:
            self.known = KnownExponents(
                tuple(moduli.log().tolist()), given, "exact: logarithms of the eigenvalues' moduli"
            )
        elif gain > 1 and units >= LARGE:
            self.known = KnownExponents(tuple(spectrum(gain, units).tolist()), given, CITED, stderr=3 / units)

    def start(self, batch: int, generator: torch.Generator) -> States:
        return torch.randn(1, batch, self.units, dtype=torch.float64, generator=generator)

    def step(self, z: States, x: Inputs | None = None) -> States:
        return z.tanh() @ self.J.mT

    def push(self, z: States, x: Inputs | None, V: Tangents) -> tuple[States, Tangents]:
        return self.step(z), (slope(z).unsqueeze(-2) * V) @ self.J.mT

    def jacobian(self, z: States, x: Inputs | None = None) -> Jacobians:
        return (slope(z).unsqueeze(-1) * self.J.mT).mT

    def log_det(self, z: States, x: Inputs | None = None) -> Tensor:
        return slope(z).log().sum(-1) + log_abs_det(self.J[None, None])


def slope(z: Tensor) -> Tensor:
    """tanh'(z) to full relative precision; 1 - tanh^2 cancels for saturated units and is 0 from z = 20 on."""
    return z.cosh().square().reciprocal()


def couplings(units: int, gain: float, seed: int) -> Tensor:
    """J, (units, units), entries N(0, gain^2 / units)."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(units, units, dtype=torch.float64, generator=generator) * (gain / math.sqrt(units))
