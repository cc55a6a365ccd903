"""The Duffing oscillator under a periodic force: the driven flow of the reconstruction literature."""

import torch
from torch import Tensor

from lyapsweep.maps import States, Tangents
from lyapsweep.systems.system import AbstractFlow, Known, near

CITED = Known(
    (0.1292, 0.0, -0.2292),
    {"alpha": 1.0, "beta": -1.0, "delta": 0.1, "gamma": 0.35, "omega": 1.4},
    "own ensemble of 128 orbits (the parameters of Mikhaeil et al. 2022)",
    stderr=0.0014,
)


class Duffing(AbstractFlow):
    """x' = y, y' = -delta y - beta x - alpha x^3 + gamma cos(phase), phase' = omega; the exponents sum to -delta.

    What is recorded of the phase is its cosine. dt = 0.1773 is the sampling of Mikhaeil et al. 2022, 25 to a period of
    the force. Duffing 1918; Guckenheimer and Holmes 1983, Nonlinear Oscillations, section 2.2.
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
        return near((0.0, 0.0, torch.pi), 1.0, batch, generator)

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
