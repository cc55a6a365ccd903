"""h' = tanh(W h + U x + b): the standard RNN (Elman 1990), the RNN of Mikhaeil et al. 2022.

State: h (units). Jacobian: diag(1 - h'^2) W.
"""

import math

import torch
from torch import Generator, Tensor, nn, tanh
from torch.nn.functional import softplus

from lyapsweep.cells.cell import Draw, Driven, affine, carry, tanh_slope
from lyapsweep.cells.unrolled import (
    AbstractUnrolledCell,
    Gradients,
    allocate_states,
    offsets,
    reversed_steps,
    summed_products,
)
from lyapsweep.inits import bounded
from lyapsweep.maps import Inputs, Jacobians, States, Tangents, log_abs_det
from lyapsweep.setting_types import Count


class Vanilla(AbstractUnrolledCell):
    """The tanh network h' = tanh(W h + U x + b) (Elman 1990).

    State: h (units). Jacobian: diag(1 - h'^2) W.

    Args:
        inputs: Number of input features; 0 for an autonomous network.
        population: Number of networks of this shape, evaluated side by side.
        units: Number of hidden units, 30 by default.

    Example:
        >>> from lyapsweep.inits import gaussian
        >>> cell = Vanilla(inputs=1, population=1, units=4)
        >>> cell.build([(gaussian, torch.Generator().manual_seed(0))])
        >>> cell.step(torch.zeros(1, 8, 4), torch.ones(1, 8, 1)).shape
        torch.Size([1, 8, 4])
    """

    W: nn.Parameter
    U: nn.Parameter
    b: nn.Parameter

    def __init__(self, inputs: int, population: int, *, units: Count = 30):
        super().__init__(inputs, units, population, state=units)

    def draw(self, init: Draw, generator: Generator) -> dict[str, Tensor]:
        n, m = self.units, self.inputs
        return {
            "W": init(n, n, generator),
            "U": bounded(n, m, units=n, generator=generator),
            "b": bounded(n, units=n, generator=generator),
        }

    def activation(self, z: States, x: Inputs | None) -> States:
        a = affine(z, self.W, self.b)
        return a if x is None else a + x @ self.U.mT

    def step(self, z: States, x: Inputs | None = None) -> States:
        return tanh(self.activation(z, x))

    @torch.no_grad()
    def ahead(self, z: States, steps: int, fed: Tensor | None = None) -> tuple[Tensor, tuple[Tensor, ...]]:
        states = allocate_states(z, steps)
        W, h = self.W.mT, z
        for after, b in zip(states[1:].unbind(), offsets(self.b, fed)):
            h = torch.baddbmm(b, h, W, out=after).tanh_()
        return states[1:], (states,)

    def back(self, kept: tuple[Tensor, ...], g: Tensor) -> Gradients:
        (states,) = kept
        errors, slopes = torch.empty_like(g), 1 - states[1:] * states[1:]
        after = torch.zeros_like(states[0])
        for e, slope, direct in reversed_steps(errors, slopes, g):
            torch.mul(after.add_(direct), slope, out=e)
            torch.bmm(e, self.W, out=after)
        return after, {"W": summed_products(errors, states[:-1]), "b": errors.sum(dim=(0, 2))}, (errors,)

    def push(self, z: States, x: Inputs | None, V: Tangents) -> tuple[States, Tangents]:
        a = self.activation(z, x)
        return tanh(a), carry(V, self.W) * tanh_slope(a).unsqueeze(2)

    def drive(self, z: States, x: Inputs, X: Driven) -> Tangents:
        return carry(X, self.U) * tanh_slope(self.activation(z, x)).unsqueeze(2)

    def jacobian(self, z: States, x: Inputs | None = None) -> Jacobians:
        slopes = tanh_slope(self.activation(z, x))
        return (self.W.mT.contiguous().unsqueeze(1) * slopes.unsqueeze(2)).mT

    def log_det(self, z: States, x: Inputs | None = None) -> Tensor:
        """log |det W| + sum_i log sech^2 a_i, with log sech^2 a = 2 (log 2 - |a| - log(1 + e^{-2|a|}))."""
        a = self.activation(z, x).abs()
        return log_abs_det(self.W.unsqueeze(1)) + 2 * (math.log(2) - a - softplus(-2 * a)).sum(-1)
