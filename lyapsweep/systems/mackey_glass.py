"""The Mackey-Glass delay equation, whose state is an interval of history."""

import math

import numpy as np
import torch
from torch import Tensor

from lyapsweep.maps import Inputs, States, Tangents
from lyapsweep.systems.system import AbstractSystem, KnownExponents

NODES = (-1, 0, 1, 2)  # of the cubic through the delayed production, in steps after t - delay
CITED = (
    KnownExponents(
        (0.00518, 0.0, -0.0388),
        {"beta": 0.2, "gamma": 0.1, "n": 10.0, "delay": 17.0},
        "own ensemble of 256 orbits",
        stderr=0.00002,
    ),
    KnownExponents(
        (0.00654, 0.00245, 0.0, -0.0140),
        {"beta": 0.2, "gamma": 0.1, "n": 10.0, "delay": 31.8},
        "own ensemble of 256 orbits (the parameters of Wolf et al. 1985)",
        stderr=0.00004,
    ),
)


class MackeyGlass(AbstractSystem):
    """The Mackey-Glass equation x'(t) = g(x(t - delay)) - gamma x(t), g(x) = beta x / (1 + x^n).

    The state is the history [x(t), x(t - dt), ..., x(t - delay - dt)], delay / dt + 2 numbers; each step drops the last
    and adds a first. The step is exact except for the cubic that interpolates g between the stored points (an error of
    order dt^5 per step):

        x(t + dt) = e^(-gamma dt) x(t) + sum_j w_j g(x(t - delay + j dt)),  j = -1, 0, 1, 2.

    A delay equation has infinitely many exponents; the leading ones do not depend on dt, the last ones belong to the
    discrete history.

    Args:
        beta: Production rate, 0.2 by default.
        gamma: Decay rate, 0.1 by default.
        n: Exponent of the production, 10.0 by default.
        delay: Delay, 17.0 by default.
        dt: Time of one step, 0.5 by default; it must divide the delay at least twice.

    Raises:
        ValueError: If `dt` does not divide the delay at least twice.

    Source: Mackey and Glass 1977, Science 197:287.

    Example:
        >>> MackeyGlass().state
        36
    """

    shown = ("x",)  # the rest is its past

    def __init__(self, beta: float = 0.2, gamma: float = 0.1, n: float = 10.0, delay: float = 17.0, dt: float = 0.5):
        points = round(delay / dt) if dt > 0 else 0
        if points < 2 or not math.isclose(points * dt, delay, rel_tol=1e-9):
            raise ValueError(
                f"mackey_glass: dt={dt:g} does not divide the delay of {delay:g} at least twice. "
                f"Use delay / N with a whole N, such as {delay / max(2, points):.12g}."
            )
        self.beta, self.gamma, self.n, self.delay, self.dt = beta, gamma, n, delay, dt
        self.state = points + 2
        self.names = ("x", *(f"x{i}" for i in range(1, self.state)))
        self.decay, self.weights = math.exp(-gamma * dt), weights(gamma, dt)
        given = {"beta": beta, "gamma": gamma, "n": n, "delay": delay}
        self.known = next((known for known in CITED if known.parameters == given), None)

    def start(self, batch: int, generator: torch.Generator) -> States:
        """Constant histories between 0.5 and 1.2."""
        level = 0.5 + 0.7 * torch.rand(1, batch, 1, dtype=torch.float64, generator=generator)
        return level.expand(-1, -1, self.state).clone()

    def delayed(self, z: Tensor) -> Tensor:
        """(..., state) -> (..., 4): the entries at the nodes, the oldest first."""
        return z[..., -4:].flip(-1)

    def step(self, z: States, x: Inputs | None = None) -> States:
        past = self.delayed(z)
        produced = self.beta * past / (1 + past.abs().pow(self.n))
        new = self.decay * z[..., :1] + (produced @ self.weights)[..., None]
        return torch.cat([new, z[..., :-1]], -1)

    def push(self, z: States, x: Inputs | None, V: Tangents) -> tuple[States, Tangents]:
        past = self.delayed(z)
        power = past.abs().pow(self.n)
        slope = self.weights * self.beta * (1 + (1 - self.n) * power) / (1 + power).square()
        new = self.decay * V[..., :1] + self.delayed(V) @ slope[..., None]
        return self.step(z), torch.cat([new, V[..., :-1]], -1)


def weights(gamma: float, dt: float) -> Tensor:
    """w_j = integral over 0 < s < dt of e^(-gamma (dt - s)) l_j(s / dt), l_j Lagrange's cubics on the nodes."""
    points, gauss = np.polynomial.legendre.leggauss(12)
    theta = (points + 1) / 2
    values = []
    for j in NODES:
        cubic = np.prod([(theta - i) / (j - i) for i in NODES if i != j], axis=0)
        values.append(dt / 2 * (gauss * np.exp(-gamma * dt * (1 - theta)) * cubic).sum())
    return torch.tensor(values, dtype=torch.float64)
