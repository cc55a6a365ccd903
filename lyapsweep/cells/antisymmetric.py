"""h' = h + e tanh((W - W^T - g I) h + U x + b): the antisymmetric RNN (Chang et al. 2019).

One Euler step of length e (`epsilon`) of a flow whose linear part only turns, but for the damping g (`gamma`).
State: h (units). Jacobian: I + e diag(1 - t^2) (W - W^T - g I), with t the tanh.
"""

from typing import Any

import torch
from torch import Generator, Tensor, nn, tanh

from lyapsweep.cells.cell import Draw, affine, carry, tanh_slope
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
from lyapsweep.maps import Inputs, States, Tangents
from lyapsweep.setting_types import Count


def unit(f: Any) -> tuple:
    """h' = h + e tanh(a) of one unit, p = (e,), and its way back."""
    tanh, slope, zero = f.tanh, f.tanh_slope, f.zero

    def step(z, a, p):
        t = tanh(a[0])
        return (z[0] + p[0] * t,), (p[0] * slope(a[0], t),)

    def back(e, z, kept, p):
        return (e[0] * kept[0],), (e[0],), (zero,)

    return step, back


class Antisymmetric(AbstractUnrolledCell):
    """The antisymmetric RNN h' = h + e tanh((W - W^T - g I) h + U x + b) (Chang et al. 2019).

    One Euler step of a flow whose linear part rotates and, up to the damping g, neither grows nor decays.

    Args:
        inputs: Number of input features; 0 for an autonomous network.
        population: Number of networks of this shape, evaluated side by side.
        units: Number of hidden units, 30 by default.
        gamma: Damping g, 0.01 by default.
        epsilon: Euler step e, 0.1 by default.

    Example:
        >>> Antisymmetric(inputs=0, population=2, units=4).state
        4
    """

    elementwise = Elementwise(unit, kept=1, parameters=("epsilon",), form="antisymmetric")
    W: nn.Parameter
    U: nn.Parameter
    b: nn.Parameter

    def __init__(self, inputs: int, population: int, *, units: Count = 30, gamma: float = 0.01, epsilon: float = 0.1):
        super().__init__(inputs, units, population, state=units)
        self.gamma, self.epsilon = gamma, epsilon

    def draw(self, init: Draw, generator: Generator) -> dict[str, Tensor]:
        n, m = self.units, self.inputs
        return {
            "W": init(n, n, generator),
            "U": bounded(n, m, units=n, generator=generator),
            "b": bounded(n, units=n, generator=generator),
        }

    def coupling(self) -> Tensor:
        """W - W^T - gamma I."""
        return self.W - self.W.mT - self.gamma * torch.eye(self.units, dtype=self.W.dtype, device=self.W.device)

    def activation(self, z: States, x: Inputs | None, A: Tensor) -> States:
        a = affine(z, A, self.b)
        return a if x is None else a + x @ self.U.mT

    def step(self, z: States, x: Inputs | None = None) -> States:
        return torch.add(z, tanh(self.activation(z, x, self.coupling())), alpha=self.epsilon)

    @torch.no_grad()
    def ahead(self, z: States, steps: int, fed: Tensor | None = None) -> tuple[Tensor, tuple[Tensor, ...]]:
        states = allocate_states(z, steps)
        bent = torch.empty_like(states[1:])
        A, h = self.coupling().mT, z
        for after, t, b in zip(states[1:].unbind(), bent.unbind(), offsets(self.b, fed)):
            h = torch.add(h, torch.baddbmm(b, h, A, out=t).tanh_(), alpha=self.epsilon, out=after)
        return states[1:], (states, bent)

    def back(self, kept: tuple[Tensor, ...], g: Tensor) -> Gradients:
        states, bent = kept
        errors, slopes = torch.empty_like(g), self.epsilon * (1 - bent * bent)
        A, after = self.coupling(), torch.zeros_like(states[0])
        for e, slope, direct in reversed_steps(errors, slopes, g):
            torch.mul(after.add_(direct), slope, out=e)
            after.baddbmm_(e, A)
        by_A = summed_products(errors, states[:-1])
        return after, {"W": by_A - by_A.mT, "b": errors.sum(dim=(0, 2))}, (errors,)

    def push(self, z: States, x: Inputs | None, V: Tangents) -> tuple[States, Tangents]:
        A = self.coupling()
        a = self.activation(z, x, A)
        bent = carry(V, A) * tanh_slope(a).unsqueeze(2)
        return torch.add(z, tanh(a), alpha=self.epsilon), torch.add(V, bent, alpha=self.epsilon)

    def jacobian_factors(self, z: States, x: Inputs | None = None) -> JacobianFactors:
        A = self.coupling()
        slopes = self.epsilon * tanh_slope(self.activation(z, x, A))
        return JacobianFactors(A, slopes[:, :, None, None], direct=torch.ones_like(z)[:, :, None, None])
