"""z' = A z + W relu(z) + h + C x: the piecewise-linear RNN (Durstewitz 2017), the PLRNN of Mikhaeil et al. 2022.

A is diagonal, W has a zero diagonal; both come from one drawn matrix. State: z (units).
Jacobian: diag(A) + W diag(1[z > 0]).
"""

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
    summed,
    summed_products,
)
from lyapsweep.compiled.elementwise import Elementwise, diagonal_unit, rectifier
from lyapsweep.inits import bounded
from lyapsweep.jacobian_factors import JacobianFactors
from lyapsweep.maps import Inputs, States, Tangents
from lyapsweep.setting_types import Count


class Plrnn(AbstractUnrolledCell):
    """The piecewise-linear RNN z' = A z + W relu(z) + h + C x (Durstewitz 2017).

    A is diagonal, W has a zero diagonal. Jacobian: diag(A) + W diag(1[z > 0]).

    Args:
        inputs: Number of input features; 0 for an autonomous network.
        population: Number of networks of this shape, evaluated side by side.
        units: Number of hidden units, 30 by default.

    Example:
        >>> Plrnn(inputs=0, population=2, units=4).state
        4
    """

    linear_part = ("A", "W", "h")
    entry = ("C", "h")
    elementwise = Elementwise(diagonal_unit, biases=("h",), parameters=("A",), bend=rectifier, form="hollow")
    A: nn.Parameter
    W: nn.Parameter
    h: nn.Parameter
    C: nn.Parameter
    off_diagonal: Tensor

    def __init__(self, inputs: int, population: int, *, units: Count = 30):
        super().__init__(inputs, units, population, state=units)
        self.register_buffer("off_diagonal", 1 - torch.eye(units), persistent=False)

    def draw(self, init: Draw, generator: Generator) -> dict[str, Tensor]:
        n, m = self.units, self.inputs
        whole = init(n, n, generator)
        return {
            "A": whole.diagonal().clone(),
            "W": whole - torch.diag(whole.diagonal()),
            "h": bounded(n, units=n, generator=generator),
            "C": bounded(n, m, units=n, generator=generator),
        }

    def coupling(self) -> Tensor:
        """W with its diagonal held at zero, whatever the optimizer changed."""
        return self.W * self.off_diagonal

    def step(self, z: States, x: Inputs | None = None) -> States:
        a = torch.addcmul(affine(torch.relu(z), self.coupling(), self.h), self.A.unsqueeze(1), z)
        return a if x is None else a + x @ self.C.mT

    def one_matrix(self) -> OneMatrix:
        return OneMatrix(self.coupling(), self.h, "piecewise", self.A)

    @torch.no_grad()
    def ahead(self, z: States, steps: int, fed: Tensor | None = None) -> tuple[Tensor, tuple[Tensor, ...]]:
        states = allocate_states(z, steps)
        active = torch.empty_like(states[1:])
        W, A, before = self.coupling().mT, self.A.unsqueeze(1), z
        for after, r, h in zip(states[1:].unbind(), active.unbind(), offsets(self.h, fed)):
            torch.clamp(before, min=0, out=r)
            before = torch.baddbmm(h, r, W, out=after).addcmul_(A, before)
        return states[1:], (states, active)

    def back(self, kept: tuple[Tensor, ...], g: Tensor) -> Gradients:
        states, active = kept
        errors, gate = torch.empty_like(g), torch.empty_like(states[0])
        W, A = self.coupling(), self.A.unsqueeze(1)
        after = torch.zeros_like(states[0])
        for e, r, direct in reversed_steps(errors, active, g):
            torch.add(after, direct, out=e)
            torch.sign(r, out=gate)  # 1[z > 0] without a comparison and its cast
            torch.bmm(e, W, out=after).mul_(gate).addcmul_(e, A)
        before = states[:-1]
        found = {"A": summed(errors * before), "W": summed_products(errors, active) * self.off_diagonal}
        return after, found | {"h": summed(errors)}, (errors,)

    def push(self, z: States, x: Inputs | None, V: Tangents) -> tuple[States, Tangents]:
        active = (z > 0).to(z.dtype).unsqueeze(2)
        return self.step(z, x), carry(V * active, self.coupling()) + V * self.A[:, None, None]

    def jacobian_factors(self, z: States, x: Inputs | None = None) -> JacobianFactors:
        return additive_factors(self.coupling(), (z > 0).to(z.dtype), self.A)
