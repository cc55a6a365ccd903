"""Products of independent Gaussian matrices: a random cocycle with all exponents known."""

import math

import numpy as np
import torch
from scipy.special import digamma
from torch import Tensor

from lyapsweep.maps import Inputs, Jacobians, States, Tangents
from lyapsweep.systems.system import AbstractSystem, KnownExponents

LENGTH = 2**40  # matrices before the sequence begins again
ODD = (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB)  # the constants of splitmix64


class Ginibre(AbstractSystem):
    """A product of independent Gaussian matrices A_t with entries N(0, gain^2 / units), all exponents known.

    z_{t+1} = c_{t+1} + A_t (z_t - c_t). A map must determine its matrix from its state alone: the centres c_t = (t, 0,
    ..., 0) are a chain of cells in each of which the map is affine, and orbits follow the centres. Exponents:

        lambda_i = log gain + (digamma((units - i + 1) / 2) + log(2 / units)) / 2.

    Args:
        units: Dimension of the state, 20 by default.
        gain: Scale of the matrices, 1.0 by default.
        seed: Seed of the matrices, 0 by default.

    Raises:
        ValueError: If units >= 1 and gain > 0 do not hold.

    Source: Newman 1986, Commun. Math. Phys. 103:121.

    Example:
        >>> len(Ginibre(units=3).known.exponents)
        3
    """

    def __init__(self, units: int = 20, gain: float = 1.0, seed: int = 0):
        if units < 1 or not gain > 0:
            raise ValueError(f"ginibre: units >= 1 and gain > 0 must hold, but got units={units}, gain={gain}.")
        self.units, self.gain, self.seed, self.state = units, gain, seed, units
        self.names = tuple(f"z{i + 1}" for i in range(units))
        exponents = math.log(gain) + (digamma(np.arange(units, 0, -1) / 2) + math.log(2 / units)) / 2
        self.known = KnownExponents(tuple(exponents.tolist()), {"units": units, "gain": gain}, "exact: Newman 1986")

    def start(self, batch: int, generator: torch.Generator) -> States:
        """Positions in the sequence that are far apart, so that orbits share no matrix."""
        z = torch.zeros(1, batch, self.units, dtype=torch.float64)
        z[0, :, 0] = torch.randint(LENGTH, (batch,), generator=generator).to(z)
        return z

    def matrices(self, t: Tensor) -> Tensor:
        """A_t, (..., units, units), for whole numbers t (...)."""
        entries = torch.arange(self.units**2, device=t.device).view(self.units, self.units)
        counter = t.long()[..., None, None] * self.units**2 + entries
        return normal(counter, self.seed) * (self.gain / math.sqrt(self.units))

    def step(self, z: States, x: Inputs | None = None) -> States:
        t = z[..., 0].detach().round()
        moved = (self.matrices(t) @ torch.cat([z[..., :1] - t[..., None], z[..., 1:]], -1)[..., None])[..., 0]
        return torch.cat([moved[..., :1] + (t[..., None] + 1) % LENGTH, moved[..., 1:]], -1)

    def push(self, z: States, x: Inputs | None, V: Tangents) -> tuple[States, Tangents]:
        return self.step(z), V @ self.jacobian(z).mT

    def jacobian(self, z: States, x: Inputs | None = None) -> Jacobians:
        return self.matrices(z[..., 0].round())


def normal(counter: Tensor, seed: int) -> Tensor:
    """Standard normal numbers, one per whole number: splitmix64 (Steele, Lea, Flood 2014) and the inverse CDF.

    Multiplications wrap modulo 2^64, as the generator requires.
    """
    z = mixed(counter + mixed(torch.tensor(seed, device=counter.device)))
    uniform = (shifted(z, 11).double() + 0.5) * 2.0**-53
    return torch.special.ndtri(uniform)


def mixed(z: Tensor) -> Tensor:
    step, first, second = (odd - 2**64 if odd >= 2**63 else odd for odd in ODD)
    z = z * step + step
    z = (z ^ shifted(z, 30)) * first
    z = (z ^ shifted(z, 27)) * second
    return z ^ shifted(z, 31)


def shifted(z: Tensor, places: int) -> Tensor:
    """z >> places, filled with zeros (torch's own shift copies the sign)."""
    return (z >> places) & (2 ** (64 - places) - 1)
