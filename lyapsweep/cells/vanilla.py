"""h' = phi(W h + U x + b), phi = tanh or relu: the standard RNN (Elman 1990), with tanh that of Mikhaeil et al. 2022.

State: h (units). Jacobian: diag(phi') W, phi' = 1 - h'^2 of tanh, 1[h' > 0] of relu.
"""

import math
from typing import Any

import torch
from torch import Generator, Tensor, nn
from torch.nn.functional import softplus

from lyapsweep.cells.cell import Draw, Driven, affine, carry, tanh_slope
from lyapsweep.cells.unrolled import (
    AbstractUnrolledCell,
    Gradients,
    OneMatrix,
    allocate_states,
    offsets,
    reversed_steps,
    summed_products,
)
from lyapsweep.compiled.elementwise import Elementwise
from lyapsweep.inits import bounded
from lyapsweep.jacobian_factors import JacobianFactors
from lyapsweep.maps import Inputs, States, Tangents, log_abs_det
from lyapsweep.registry import unknown
from lyapsweep.setting_types import Count

NONLINEARITIES = ("tanh", "relu")


def tanh_unit(f: Any) -> tuple:
    """h' = tanh(a) of one unit, and its way back."""
    tanh, slope, zero = f.tanh, f.tanh_slope, f.zero

    def step(z, a, p):
        t = tanh(a[0])
        return (t,), (slope(a[0], t),)

    def back(e, z, kept, p):
        return (e[0] * kept[0],), (zero,), ()

    return step, back


def relu_unit(f: Any) -> tuple:
    """h' = relu(a) of one unit, and its way back, with slope 0 at the kink."""
    zero, one = f.zero, f.one

    def step(z, a, p):
        return (max(a[0], zero),), (one if a[0] > zero else zero,)

    def back(e, z, kept, p):
        return (e[0] * kept[0],), (zero,), ()

    return step, back


TANH, RELU = Elementwise(tanh_unit, kept=1), Elementwise(relu_unit, kept=1)


class Vanilla(AbstractUnrolledCell):
    """The standard network h' = phi(W h + U x + b), phi = tanh or relu (Elman 1990).

    State: h (units). Jacobian: diag(phi') W, phi' = 1 - h'^2 of tanh, 1[h' > 0] of relu.

    Args:
        inputs: Number of input features; 0 for an autonomous network.
        population: Number of networks of this shape, evaluated side by side.
        units: Number of hidden units, 30 by default.
        nonlinearity: phi, "tanh" (the default) or "relu", as of torch.nn.RNN. A unit at rest under relu annihilates a
            direction, so exponents may be -inf.

    Raises:
        UnknownName: If `nonlinearity` is neither.

    Example:
        >>> from lyapsweep.inits import gaussian
        >>> cell = Vanilla(inputs=1, population=1, units=4)
        >>> cell.build([(gaussian, torch.Generator().manual_seed(0))])
        >>> cell.step(torch.zeros(1, 8, 4), torch.ones(1, 8, 1)).shape
        torch.Size([1, 8, 4])
    """

    elementwise = TANH
    W: nn.Parameter
    U: nn.Parameter
    b: nn.Parameter

    def __init__(self, inputs: int, population: int, *, units: Count = 30, nonlinearity: str = "tanh"):
        if nonlinearity not in NONLINEARITIES:
            raise unknown("nonlinearity", nonlinearity, list(NONLINEARITIES))
        super().__init__(inputs, units, population, state=units)
        self.nonlinearity, self.rectified = nonlinearity, nonlinearity == "relu"
        self.elementwise = RELU if self.rectified else TANH  # of the instance

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

    def phi(self, a: Tensor) -> Tensor:
        return a.relu() if self.rectified else a.tanh()

    def slope(self, a: Tensor) -> Tensor:
        """phi'(a), 0 at the kink of relu."""
        return (a > 0).to(a.dtype) if self.rectified else tanh_slope(a)

    def step(self, z: States, x: Inputs | None = None) -> States:
        return self.phi(self.activation(z, x))

    def one_matrix(self) -> OneMatrix:
        return OneMatrix(self.W, self.b, self.nonlinearity)

    @torch.no_grad()
    def ahead(self, z: States, steps: int, fed: Tensor | None = None) -> tuple[Tensor, tuple[Tensor, ...]]:
        states = allocate_states(z, steps)
        W, h = self.W.mT, z
        for after, b in zip(states[1:].unbind(), offsets(self.b, fed)):
            h = torch.baddbmm(b, h, W, out=after)
            h = h.relu_() if self.rectified else h.tanh_()
        return states[1:], (states,)

    def back(self, kept: tuple[Tensor, ...], g: Tensor) -> Gradients:
        (states,) = kept
        errors, h = torch.empty_like(g), states[1:]
        slopes = (h > 0).to(h.dtype) if self.rectified else 1 - h * h
        after = torch.zeros_like(states[0])
        for e, slope, direct in reversed_steps(errors, slopes, g):
            torch.mul(after.add_(direct), slope, out=e)
            torch.bmm(e, self.W, out=after)
        return after, {"W": summed_products(errors, states[:-1]), "b": errors.sum(dim=(0, 2))}, (errors,)

    def push(self, z: States, x: Inputs | None, V: Tangents) -> tuple[States, Tangents]:
        a = self.activation(z, x)
        return self.phi(a), carry(V, self.W) * self.slope(a).unsqueeze(2)

    def drive(self, z: States, x: Inputs, X: Driven) -> Tangents:
        return carry(X, self.U) * self.slope(self.activation(z, x)).unsqueeze(2)

    def jacobian_factors(self, z: States, x: Inputs | None = None) -> JacobianFactors:
        return JacobianFactors(self.W, self.slope(self.activation(z, x))[:, :, None, None])

    def log_det(self, z: States, x: Inputs | None = None) -> Tensor:
        """log |det W| + sum_i log phi'(a_i), with log sech^2 a = 2 (log 2 - |a| - log(1 + e^{-2|a|})) of tanh."""
        a = self.activation(z, x)
        if self.rectified:
            return log_abs_det(self.W.unsqueeze(1)) + self.slope(a).log().sum(-1)
        a = a.abs()
        return log_abs_det(self.W.unsqueeze(1)) + 2 * (math.log(2) - a - softplus(-2 * a)).sum(-1)
