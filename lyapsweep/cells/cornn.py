"""z' = z + dt (tanh(W [y, z] + U x + b) - g y - e z), y' = y + dt z': the coupled oscillatory RNN.

(Rusch and Mishra 2021.)
Oscillators of frequency sqrt(g) (`gamma`) and damping e (`epsilon`) that drive each other; y moves with the new z.
State: [y, z], 2 x units, y visible. With W = [W_y, W_z] and t the tanh, dz'/dy = dt (diag(1 - t^2) W_y - g I),
dz'/dz = (1 - dt e) I + dt diag(1 - t^2) W_z, and y adds a shear: the determinant of the Jacobian is that of dz'/dz.
"""

from typing import Any

import torch
from torch import Generator, Tensor, nn

from lyapsweep.cells.cell import Draw, affine, carry, tanh_slope
from lyapsweep.cells.chunking import in_chunks
from lyapsweep.cells.unrolled import (
    AbstractUnrolledCell,
    Gradients,
    allocate_states,
    offsets,
    reversed_steps,
    summed_products,
)
from lyapsweep.compiled.elementwise import Elementwise
from lyapsweep.inits import bounded
from lyapsweep.jacobian_factors import JacobianFactors
from lyapsweep.maps import Inputs, States, Tangents, log_abs_det
from lyapsweep.setting_types import Count, Positive


def unit(f: Any) -> tuple:
    """(y', z') of one oscillator under the force tanh(a), p = (dt, gamma, epsilon), and its way back."""
    tanh, slope, zero, one = f.tanh, f.tanh_slope, f.zero, f.one

    def step(z, a, p):
        t = tanh(a[0])
        velocity = z[1] + p[0] * (t - p[1] * z[0] - p[2] * z[1])
        return (z[0] + p[0] * velocity, velocity), (p[0] * slope(a[0], t),)

    def back(e, z, kept, p):
        g = e[1] + p[0] * e[0]
        return (g * kept[0],), (e[0] - p[0] * p[1] * g, (one - p[0] * p[2]) * g), (zero, zero, zero)

    return step, back


class Cornn(AbstractUnrolledCell):
    """The coupled oscillatory RNN on its full state [y, z], positions and velocities (Rusch and Mishra 2021).

    z' = z + dt (tanh(W [y, z] + U x + b) - gamma y - epsilon z), y' = y + dt z'. The state has 2 x units entries.

    Args:
        inputs: Number of input features; 0 for an autonomous network.
        population: Number of networks of this shape, evaluated side by side.
        units: Number of hidden units, 30 by default.
        dt: Time step, 0.042 by default.
        gamma: Squared frequency of the oscillators, 2.7 by default.
        epsilon: Damping, 4.7 by default.

    Example:
        >>> Cornn(inputs=0, population=2, units=4).state
        8
    """

    elementwise = Elementwise(unit, kept=1, parts=2, reads=2, parameters=("time_step", "gamma", "epsilon"))
    W: nn.Parameter
    U: nn.Parameter
    b: nn.Parameter

    def __init__(
        self,
        inputs: int,
        population: int,
        *,
        units: Count = 30,
        dt: Positive = 0.042,
        gamma: float = 2.7,
        epsilon: float = 4.7,
    ):
        super().__init__(inputs, units, population, state=2 * units)
        self.time_step, self.gamma, self.epsilon = dt, gamma, epsilon  # `dt` of a map is the time of its data

    def draw(self, init: Draw, generator: Generator) -> dict[str, Tensor]:
        n, m = self.units, self.inputs
        return {
            "W": torch.cat([init(n, n, generator) for _ in range(2)], dim=1),
            "U": bounded(n, m, units=n, generator=generator),
            "b": bounded(n, units=n, generator=generator),
        }

    def activation(self, z: States, x: Inputs | None) -> Tensor:
        a = affine(z, self.W, self.b)
        return a if x is None else a + x @ self.U.mT

    def integrate(self, s: Tensor, force: Tensor) -> Tensor:
        """One step of [y, z] under a force; it is linear, so it serves states and tangents."""
        y, z = s.split(self.units, dim=-1)
        z = z + self.time_step * (force - self.gamma * y - self.epsilon * z)
        return torch.cat((y + self.time_step * z, z), dim=-1)

    def step(self, z: States, x: Inputs | None = None) -> States:
        return self.integrate(z, torch.tanh(self.activation(z, x)))

    @torch.no_grad()
    def ahead(self, z: States, steps: int, fed: Tensor | None = None) -> tuple[Tensor, tuple[Tensor, ...]]:
        n, dt = self.units, self.time_step
        states = allocate_states(z, steps)
        forces = torch.empty_like(states[1:, ..., :n])
        W, sequences = self.W.mT, (states[:-1], states[1:], forces)
        for before, after, t, b in zip(*(s.unbind() for s in sequences), offsets(self.b, fed)):
            y, v = before.split(n, dim=-1)
            torch.baddbmm(b, before, W, out=t).tanh_()
            torch.mul(v, 1 - dt * self.epsilon, out=after[..., n:])
            after[..., n:].add_(t, alpha=dt).sub_(y, alpha=dt * self.gamma)
            torch.add(y, after[..., n:], alpha=dt, out=after[..., :n])
        return states[1:], (states, forces)

    def back(self, kept: tuple[Tensor, ...], g: Tensor) -> Gradients:
        states, forces = kept
        n, dt = self.units, self.time_step
        errors, slopes = torch.empty_like(forces), dt * (1 - forces * forces)
        after = torch.zeros_like(states[0])
        gy, gz = after.split(n, dim=-1)
        for e, slope, direct in reversed_steps(errors, slopes, g):
            after.add_(direct)
            gz.add_(gy, alpha=dt)
            torch.mul(gz, slope, out=e)
            gy.sub_(gz, alpha=dt * self.gamma)
            gz.mul_(1 - dt * self.epsilon)
            after.baddbmm_(e, self.W)
        return after, {"W": summed_products(errors, states[:-1]), "b": errors.sum(dim=(0, 2))}, (errors,)

    def push(self, z: States, x: Inputs | None, V: Tangents) -> tuple[States, Tangents]:
        a = self.activation(z, x)
        return self.integrate(z, torch.tanh(a)), self.integrate(V, carry(V, self.W) * tanh_slope(a).unsqueeze(2))

    def jacobian_factors(self, z: States, x: Inputs | None = None) -> JacobianFactors:
        dt, slopes = self.time_step, self.time_step * tanh_slope(self.activation(z, x))
        y, z_part = (slopes.new_full((1, 1), value) for value in (-dt * self.gamma, 1 - dt * self.epsilon))
        direct = torch.cat((torch.cat((dt * y + 1, dt * z_part), dim=1), torch.cat((y, z_part), dim=1))).unsqueeze(-1)
        outer = torch.stack((dt * slopes, slopes), dim=2).unsqueeze(3)
        return JacobianFactors(self.W, outer, direct=direct.expand(*z.shape[:2], 2, 2, self.units))

    def log_det(self, z: States, x: Inputs | None = None) -> Tensor:
        """log |det((1 - dt e) I + dt diag(tanh' a) W_z)|, of half the size of the Jacobian."""
        return in_chunks(self.log_det_rows, z, x, self.units**2)

    def log_det_rows(self, z: States, x: Inputs | None) -> Tensor:
        slopes = self.time_step * tanh_slope(self.activation(z, x))
        by_z = self.W[:, None, :, self.units :] * slopes.unsqueeze(-1)
        by_z.diagonal(dim1=-2, dim2=-1).add_(1 - self.time_step * self.epsilon)
        return log_abs_det(by_z)
