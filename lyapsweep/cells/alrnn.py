"""z' = A z + W Phi(z) + h + C x: the almost-linear RNN (Brenner et al. 2024).

Phi is relu on the last `rectified` units and the identity on the others, so that state space falls into at most
2^rectified linear regions. A is diagonal, W a full matrix. State: z (units).
Jacobian: diag(A) + W diag(1 on the linear units, 1[z > 0] on the rectified).
"""

from typing import Any

import torch
from torch import Generator, Tensor, nn

from lyapsweep.cells.cell import Draw, additive_factors, affine, carry
from lyapsweep.cells.unrolled import (
    AbstractUnrolledCell,
    Gradients,
    OneMatrix,
    allocate_states,
    offsets,
    reversed_steps,
    summed_products,
)
from lyapsweep.compiled.elementwise import Elementwise, diagonal_unit
from lyapsweep.inits import bounded
from lyapsweep.jacobian_factors import JacobianFactors
from lyapsweep.maps import Inputs, States, Tangents
from lyapsweep.setting_types import Count, CountOrZero


def partly_rectified(f: Any) -> tuple:
    """u = z on linear units, whose q is 1, and relu(z) on the others, whose q is 0."""
    zero, one = f.zero, f.one

    def bend(z, q):
        return z if z > zero else q[0] * z

    def back(g, z, q):
        return g * (one if z > zero else q[0]), (zero,)

    return bend, back


class Alrnn(AbstractUnrolledCell):
    """The almost-linear RNN z' = A z + W Phi(z) + h + C x, Phi = relu on the last units only (Brenner et al. 2024).

    A is diagonal. State space has at most 2^rectified linear regions.

    Args:
        inputs: Number of input features; 0 for an autonomous network.
        population: Number of networks of this shape, evaluated side by side.
        units: Number of hidden units, 20 by default.
        rectified: Number of units, the last ones, on which Phi is relu; 2 by default.

    Raises:
        ValueError: If 0 <= rectified <= units does not hold.

    Example:
        >>> Alrnn(inputs=0, population=2, units=4).state
        4
    """

    linear_part = ("A", "W", "h")
    entry = ("C", "h")
    elementwise = Elementwise(
        diagonal_unit, biases=("h",), parameters=("A",), bend=partly_rectified, bend_parameters=("kept_below_zero",)
    )
    A: nn.Parameter
    W: nn.Parameter
    h: nn.Parameter
    C: nn.Parameter

    def __init__(self, inputs: int, population: int, *, units: Count = 20, rectified: CountOrZero = 2):
        if not 0 <= rectified <= units:
            raise ValueError(f"0 <= cell/rectified <= cell/units must hold, but got {rectified}, units={units}.")
        super().__init__(inputs, units, population, state=units)
        self.linear = units - rectified
        self.kept_below_zero = [1.0] * self.linear + [0.0] * rectified  # what phi multiplies a negative z by

    def draw(self, init: Draw, generator: Generator) -> dict[str, Tensor]:
        n, m = self.units, self.inputs
        whole = init(n, n, generator)
        return {
            "A": whole.diagonal().clone(),
            "W": whole - torch.diag(whole.diagonal()),
            "h": torch.zeros(n, dtype=torch.float64),
            "C": bounded(n, m, units=n, generator=generator),
        }

    def activation(self, z: States) -> States:
        """Phi(z)."""
        return torch.cat((z[..., : self.linear], z[..., self.linear :].relu()), dim=-1)

    def slope(self, z: Tensor) -> Tensor:
        """Phi'(z), 0 at the kink."""
        gate = (z > 0).to(z.dtype)
        gate[..., : self.linear] = 1
        return gate

    def step(self, z: States, x: Inputs | None = None) -> States:
        a = torch.addcmul(affine(self.activation(z), self.W, self.h), self.A.unsqueeze(1), z)
        return a if x is None else a + x @ self.C.mT

    def one_matrix(self) -> OneMatrix:
        return OneMatrix(self.W, self.h, "piecewise", self.A, self.linear)

    @torch.no_grad()
    def ahead(self, z: States, steps: int, fed: Tensor | None = None) -> tuple[Tensor, tuple[Tensor, ...]]:
        states = allocate_states(z, steps)
        bent = torch.empty_like(states[1:])
        W, A, before = self.W.mT, self.A.unsqueeze(1), z
        for after, r, h in zip(states[1:].unbind(), bent.unbind(), offsets(self.h, fed)):
            r.copy_(before)[..., self.linear :].clamp_(min=0)
            before = torch.baddbmm(h, r, W, out=after).addcmul_(A, before)
        return states[1:], (states, bent)

    def back(self, kept: tuple[Tensor, ...], g: Tensor) -> Gradients:
        states, bent = kept
        errors, after = torch.empty_like(g), torch.zeros_like(states[0])
        A = self.A.unsqueeze(1)
        for e, gate, direct in reversed_steps(errors, self.slope(states[:-1]), g):
            torch.add(after, direct, out=e)
            torch.bmm(e, self.W, out=after).mul_(gate).addcmul_(e, A)
        found = {"A": (errors * states[:-1]).sum(dim=(0, 2)), "W": summed_products(errors, bent)}
        return after, found | {"h": errors.sum(dim=(0, 2))}, (errors,)

    def push(self, z: States, x: Inputs | None, V: Tangents) -> tuple[States, Tangents]:
        return self.step(z, x), carry(V * self.slope(z).unsqueeze(2), self.W) + V * self.A[:, None, None]

    def jacobian_factors(self, z: States, x: Inputs | None = None) -> JacobianFactors:
        return additive_factors(self.W, self.slope(z), self.A)
