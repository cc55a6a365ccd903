"""The Lorenz 1963 flow: convection reduced to three coordinates."""

import torch

from lyapsweep.maps import States
from lyapsweep.systems.bilinear import AbstractBilinear
from lyapsweep.systems.system import KnownExponents, cube_around

CITED = (
    KnownExponents(
        (0.9056, 0.0, -14.5723),
        {"sigma": 10.0, "rho": 28.0, "beta": 8 / 3},
        "Viswanath 1998 (0.90563); Sprott 2003; own ensemble of 128 orbits 0.9058(11)",
    ),
    KnownExponents(
        (1.1042, 0.0, -14.7709),
        {"sigma": 10.0, "rho": 38.0, "beta": 8 / 3},
        "own ensemble of 128 orbits (the parameters of Mikhaeil et al. 2022)",
        stderr=0.0013,
    ),
)


class Lorenz63(AbstractBilinear):
    """The Lorenz 1963 flow x' = sigma (y - x), y' = x (rho - z) - y, z' = x y - beta z.

    The exponents sum to -(sigma + 1 + beta). Time is dimensionless; dt = 0.01 is common in the reconstruction
    literature.

    Args:
        sigma: Prandtl number, 10.0 by default.
        rho: Reduced Rayleigh number, 28.0 by default.
        beta: Geometry, 8 / 3 by default.
        dt: Time of one step, 0.01 by default.
        substeps: Runge-Kutta steps per step, 1 by default.

    Source: Lorenz 1963, J. Atmos. Sci. 20:130.

    Example:
        >>> Lorenz63().known.exponents
        (0.9056, 0.0, -14.5723)
    """

    def __init__(
        self, sigma: float = 10.0, rho: float = 28.0, beta: float = 8 / 3, dt: float = 0.01, substeps: int = 1
    ):
        A = [[-sigma, sigma, 0.0], [rho, -1.0, 0.0], [0.0, 0.0, -beta]]
        C = [[0.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]]
        super().__init__(A, [0.0, 0.0, 0.0], C, dt, substeps)
        self.sigma, self.rho, self.beta = sigma, rho, beta
        given = {"sigma": sigma, "rho": rho, "beta": beta}
        self.known = next((known for known in CITED if known.parameters == given), None)
        self.total = -(sigma + 1 + beta)

    def start(self, batch: int, generator: torch.Generator) -> States:
        return cube_around((0.0, 1.0, self.rho - 1), 5.0, batch, generator)
