"""The Duffing oscillator under a periodic force, a driven flow used in the reconstruction literature."""

import torch
from torch import Tensor

from lyapsweep.maps import States, Tangents
from lyapsweep.systems.system import AbstractFlow, KnownExponents, cube_around

CITED = KnownExponents(
    (0.1292, 0.0, -0.2292),
    {"alpha": 1.0, "beta": -1.0, "delta": 0.1, "gamma": 0.35, "omega": 1.4},
    "own ensemble of 128 orbits (the parameters of Mikhaeil et al. 2022)",
    stderr=0.0014,
)


class Duffing(AbstractFlow):
    """The driven Duffing oscillator x'' = -delta x' - beta x - alpha x^3 + gamma cos(omega t).

    The state is (x, x', phase), the phase observed as its cosine; the exponents sum to -delta.

    Args:
        alpha: Cubic stiffness, 1.0 by default.
        beta: Linear stiffness, -1.0 by default.
        delta: Damping, 0.1 by default.
        gamma: Amplitude of the force, 0.35 by default.
        omega: Angular frequency of the force, 1.4 by default.
        dt: Time of one step, 0.1773 by default: 25 steps per period of the force, as in Mikhaeil et al. 2022.
        substeps: Runge-Kutta steps per step, 2 by default.

    Source: Duffing 1918; Guckenheimer and Holmes 1983, Nonlinear Oscillations, section 2.2.

    Example:
        >>> Duffing().total
        -0.1
    """

    state = 3
    names = ("x", "y", "cos")
    angle = 2

    def __init__(
        self,
        alpha: float = 1.0,
        beta: float = -1.0,
        delta: float = 0.1,
        gamma: float = 0.35,
        omega: float = 1.4,
        dt: float = 0.1773,
        substeps: int = 2,
    ):
        super().__init__(dt, substeps)
        self.alpha, self.beta, self.delta, self.gamma, self.omega = alpha, beta, delta, gamma, omega
        given = {"alpha": alpha, "beta": beta, "delta": delta, "gamma": gamma, "omega": omega}
        self.known = CITED if CITED.parameters == given else None
        self.total = -delta
        self.observed = with_cosine

    def start(self, batch: int, generator: torch.Generator) -> States:
        return cube_around((0.0, 0.0, torch.pi), 1.0, batch, generator)

    def field(self, z: States) -> States:
        x, y, phase = z.unbind(-1)
        force = self.gamma * phase.cos() - self.delta * y - (self.beta + self.alpha * x.square()) * x
        return torch.stack([y, force, torch.full_like(phase, self.omega)], -1)

    def tangent(self, z: States, V: Tangents) -> Tangents:
        x, _, phase = z.unsqueeze(-2).unbind(-1)
        dx, dy, turn = V.unbind(-1)
        stiffness = self.beta + 3 * self.alpha * x.square()
        force = -stiffness * dx - self.delta * dy - self.gamma * phase.sin() * turn
        return torch.stack([dy, force, torch.zeros_like(turn)], -1)


def with_cosine(z: Tensor) -> Tensor:
    return torch.cat([z[..., :2], z[..., 2:].cos()], -1)
