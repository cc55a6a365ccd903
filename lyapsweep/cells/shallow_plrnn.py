"""z' = A z + W1 [relu(W2 z + h2) - clipped relu(W2 z)] + h1 + C x: the shallow PLRNN (Hess et al. 2023).

A is diagonal, W1 (units, hidden), W2 (hidden, units); the subtraction (`clipped`) bounds the map where |A| < 1.
State: z (units). Jacobian: diag(A) + W1 D W2 with D = diag(1[W2 z + h2 > 0] - clipped 1[W2 z > 0]).
"""

from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn

from lyapsweep.cells.cell import Draw, additive_factors, affine, carry
from lyapsweep.cells.unrolled import (
    AbstractUnrolledCell,
    Gradients,
    allocate_states,
    offsets,
    reversed_steps,
    summed_products,
)
from lyapsweep.compiled.elementwise import Elementwise, diagonal_unit
from lyapsweep.inits import bounded
from lyapsweep.jacobian_factors import JacobianFactors
from lyapsweep.maps import Inputs, States, Tangents
from lyapsweep.setting_types import Count


def hidden_unit(f: Any) -> tuple:
    """r = relu(v + h2) of one hidden unit with v = W2 z, q = (h2,), and its way back."""
    zero = f.zero

    def bend(v, q):
        return max(v + q[0], zero)

    def back(g, v, q):
        passed = g if v + q[0] > zero else zero
        return passed, (passed,)

    return bend, back


def clipped_unit(f: Any) -> tuple:
    """r = relu(v + h2) - relu(v), and its way back."""
    zero = f.zero

    def bend(v, q):
        return max(v + q[0], zero) - max(v, zero)

    def back(g, v, q):
        passed = g if v + q[0] > zero else zero
        return passed - (g if v > zero else zero), (passed,)

    return bend, back


PLAIN = Elementwise(
    diagonal_unit,
    biases=("h1",),
    parameters=("A",),
    bend=hidden_unit,
    bend_parameters=("h2",),
    matrix="W1",
    inner="W2",
)
CLIPPED = replace(PLAIN, bend=clipped_unit)


class ShallowPlrnn(AbstractUnrolledCell):
    """The shallow PLRNN z' = A z + W1 relu(W2 z + h2) + h1 + C x, plain or clipped (Hess et al. 2023).

    A is diagonal, W1 (units, hidden), W2 (hidden, units).

    Args:
        inputs: Number of input features; 0 for an autonomous network.
        population: Number of networks of this shape, evaluated side by side.
        units: Number of hidden units, 20 by default.
        hidden: Number of hidden units between W2 and W1, 100 by default.
        clipped: Subtract relu(W2 z), which bounds the map for |A| < 1; False by default.

    Raises:
        ValueError: If `hidden` is below 1.

    Example:
        >>> ShallowPlrnn(inputs=0, population=2, units=4, hidden=8).state
        4
    """

    linear_part = ("A", "W1", "h1")
    entry = ("C", "h1")
    elementwise = PLAIN
    A: nn.Parameter
    W1: nn.Parameter
    W2: nn.Parameter
    h1: nn.Parameter
    h2: nn.Parameter
    C: nn.Parameter

    def __init__(self, inputs: int, population: int, *, units: Count = 20, hidden: Count = 100, clipped: bool = False):
        if hidden < 1:
            raise ValueError(f"cell/hidden >= 1 must hold, but got {hidden}.")
        super().__init__(inputs, units, population, state=units)
        self.hidden, self.clipped = hidden, clipped
        self.elementwise = CLIPPED if clipped else PLAIN

    def draw(self, init: Draw, generator: Generator) -> dict[str, Tensor]:
        n, m, k = self.units, self.inputs, self.hidden
        return {
            "A": init(n, n, generator).diagonal().clone(),
            "W1": init(n, k, generator),
            "W2": bounded(k, n, units=n, generator=generator),
            "h1": torch.zeros(n, dtype=torch.float64),
            "h2": bounded(k, units=k, generator=generator) if self.clipped else torch.zeros(k, dtype=torch.float64),
            "C": bounded(n, m, units=n, generator=generator),
        }

    def step(self, z: States, x: Inputs | None = None) -> States:
        a = affine(z, self.W2, self.h2)
        r = torch.relu(a)
        if self.clipped:
            r = r - torch.relu(a - self.h2.unsqueeze(1))
        out = torch.addcmul(affine(r, self.W1, self.h1), self.A.unsqueeze(1), z)
        return out if x is None else out + x @ self.C.mT

    @torch.no_grad()
    def ahead(self, z: States, steps: int, fed: Tensor | None = None) -> tuple[Tensor, tuple[Tensor, ...]]:
        states, hidden = allocate_states(z, steps), z.new_empty(steps, *z.shape[:2], self.hidden)
        h2, A, before = self.h2.unsqueeze(1), self.A.unsqueeze(1), z
        for after, a, h1 in zip(states[1:].unbind(), hidden.unbind(), offsets(self.h1, fed)):
            r = torch.baddbmm(h2, before, self.W2.mT, out=a).relu()
            if self.clipped:
                r -= (a - h2).relu()
            before = torch.baddbmm(h1, r, self.W1.mT, out=after).addcmul_(A, before)
        return states[1:], (states, hidden)

    def back(self, kept: tuple[Tensor, ...], g: Tensor) -> Gradients:
        states, a = kept
        h2, A = self.h2[:, None], self.A.unsqueeze(1)
        first = (a > 0).to(g.dtype)
        slopes = first - (a - h2 > 0).to(g.dtype) if self.clipped else first
        r = a.relu() - (a - h2).relu() if self.clipped else a.relu()
        outer, inner, after = torch.empty_like(g), torch.empty_like(a), torch.zeros_like(states[0])
        for e, d, slope, direct in reversed_steps(outer, inner, slopes, g):
            torch.add(after, direct, out=e)
            torch.bmm(e, self.W1, out=d)
            torch.bmm(d * slope, self.W2, out=after).addcmul_(e, A)
        before = states[:-1]
        found = {
            "A": (outer * before).sum(dim=(0, 2)),
            "W1": summed_products(outer, r),
            "W2": summed_products(inner * slopes, before),
            "h1": outer.sum(dim=(0, 2)),
            "h2": (inner * first).sum(dim=(0, 2)),
        }
        return after, found, (outer,)

    def push(self, z: States, x: Inputs | None, V: Tangents) -> tuple[States, Tangents]:
        moved = carry(carry(V, self.W2) * self.slopes(z).unsqueeze(2), self.W1)
        return self.step(z, x), moved + V * self.A[:, None, None]

    def jacobian_factors(self, z: States, x: Inputs | None = None) -> JacobianFactors:
        return additive_factors(self.W1, self.slopes(z), self.A)._replace(second=self.W2)

    def slopes(self, z: States) -> Float[Tensor, "population batch hidden"]:
        """D's diagonal: 1 where a hidden unit is active, 0 or (clipped) the difference of the two where it is not."""
        a = affine(z, self.W2, self.h2)
        slope = (a > 0).to(z.dtype)
        return slope - (a - self.h2.unsqueeze(1) > 0).to(z.dtype) if self.clipped else slope
