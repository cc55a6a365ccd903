"""z' = A z + W phi(z) + h + C x, phi(z)_i = sum_b alpha_b [relu(z_i - H_ib) - clipped relu(z_i)]: the dendritic PLRNN.

Brenner et al. 2022. A is diagonal, W a full matrix, H (units, bases) holds every unit's thresholds, alpha (bases) their
slopes; the subtraction (`clipped`) bounds the map where |A| < 1. State: z (units).
Jacobian: diag(A) + W diag(phi'), phi'(z)_i = sum_b alpha_b (1[z_i > H_ib] - clipped 1[z_i > 0]).

phi_i is a piecewise-linear function of one number. With the thresholds sorted, z_i lies behind k of them and
phi_i = S_k z_i - Q_k, with running sums S of alpha and Q of alpha H: a step costs log(bases) for a unit, not bases.
The clipped term is one more threshold, at 0 with slope -sum(alpha).
"""

from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Generator, Tensor, nn
from torch.nn.functional import pad

from lyapsweep.cells.cell import Draw, additive_factors, affine, carry
from lyapsweep.cells.unrolled import AbstractUnrolledCell, Gradients, offsets, reversed_steps
from lyapsweep.compiled.elementwise import Elementwise, diagonal_unit
from lyapsweep.inits import bounded
from lyapsweep.jacobian_factors import JacobianFactors
from lyapsweep.maps import Inputs, States, Tangents
from lyapsweep.setting_types import Count

Columns = Float[Tensor, "population units batch"]


class Spline(NamedTuple):
    """phi of every unit: sorted thresholds, their order before sorting, slopes and running sums."""

    thresholds: Float[Tensor, "population units kinks"]
    order: Int[Tensor, "population units kinks"]
    slopes: Float[Tensor, "population units kinks"]
    S: Float[Tensor, "population units kinks_plus_one"]
    Q: Float[Tensor, "population units kinks_plus_one"]

    def at(self, z: Columns) -> tuple[Int[Tensor, "population units batch"], Columns, Columns]:
        """How many thresholds lie below each z, phi'(z) and phi(z)."""
        k = torch.searchsorted(self.thresholds.detach(), z.detach().contiguous())
        look_up = Lookup.apply if z.is_cuda else lookup
        slope = look_up(self.S, k)
        return k, slope, slope * z - look_up(self.Q, k)


def lookup(table: Tensor, k: Tensor) -> Tensor:
    return table.gather(-1, k)


class Lookup(torch.autograd.Function):
    """The same with sums in a fixed order in the backward pass; that of `gather` is not reproducible on a GPU."""

    generate_vmap_rule = True

    @staticmethod
    def forward(table: Tensor, k: Tensor) -> Tensor:
        return table.gather(-1, k)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
        ctx.size = inputs[0].shape[-1]
        ctx.save_for_backward(inputs[1])
        ctx.save_for_forward(inputs[1])

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        (k,) = ctx.saved_tensors
        return torch.stack([torch.where(k == j, g, 0.0).sum(dim=-1) for j in range(ctx.size)], dim=-1), None

    @staticmethod
    def jvp(ctx: Any, table: Tensor, _: None) -> Tensor:
        return table.gather(-1, ctx.saved_tensors[0])


def branch(f: Any) -> tuple:
    """alpha_b [relu(z - H_b) - c relu(z)] of one unit, q = (alpha, H, c), c = 1 if clipped; and its way back."""
    zero = f.zero

    def bend(z, q):
        return q[0] * (max(z - q[1], zero) - q[2] * max(z, zero))

    def back(g, z, q):
        shifted, plain = z - q[1], q[2] * max(z, zero)
        direct = q[0] * g if shifted > zero else zero
        return direct - (q[2] * q[0] * g if z > zero else zero), (g * (max(shifted, zero) - plain), -direct, zero)

    return bend, back


class DendriticPlrnn(AbstractUnrolledCell):
    """The dendritic PLRNN z' = A z + W sum_b alpha_b relu(z - H_b) + h (Brenner et al. 2022).

    A is diagonal; each unit has `bases` thresholds H, with slopes alpha that all units share.

    Args:
        inputs: Number of input features; 0 for an autonomous network.
        population: Number of networks of this shape, evaluated side by side.
        units: Number of hidden units, 22 by default.
        bases: Number of thresholds per unit, 20 by default.
        clipped: Subtract sum_b alpha_b relu(z), which bounds the map for |A| < 1; False by default.

    Raises:
        ValueError: If `bases` is below 1.

    Example:
        >>> DendriticPlrnn(inputs=0, population=2, units=4, bases=3).state
        4
    """

    linear_part = ("A", "W", "h")
    entry = ("C", "h")
    elementwise = Elementwise(
        diagonal_unit,
        biases=("h",),
        parameters=("A",),
        bend=branch,
        bend_parameters=("alpha", "H", "clipped"),
        shared=("alpha",),
        terms="bases",
    )
    A: nn.Parameter
    W: nn.Parameter
    h: nn.Parameter
    alpha: nn.Parameter
    H: nn.Parameter
    C: nn.Parameter

    def __init__(self, inputs: int, population: int, *, units: Count = 22, bases: Count = 20, clipped: bool = False):
        if bases < 1:
            raise ValueError(f"cell/bases >= 1 must hold, but got {bases}.")
        super().__init__(inputs, units, population, state=units)
        self.bases, self.clipped = bases, clipped

    def draw(self, init: Draw, generator: Generator) -> dict[str, Tensor]:
        n, m = self.units, self.inputs
        whole = init(n, n, generator)
        return {
            "A": whole.diagonal().clone(),
            "W": whole - torch.diag(whole.diagonal()),
            "h": torch.zeros(n, dtype=torch.float64),
            "alpha": bounded(self.bases, units=self.bases, generator=generator),
            "H": torch.randn(n, self.bases, generator=generator, dtype=torch.float64),
            "C": bounded(n, m, units=n, generator=generator),
        }

    def spline(self) -> Spline:
        slopes = self.alpha.unsqueeze(1).expand_as(self.H)
        kinks = self.H
        if self.clipped:
            kinks, slopes = pad(kinks, (0, 1)), torch.cat((slopes, -slopes.sum(-1, keepdim=True)), dim=-1)
        thresholds, order = kinks.sort(dim=-1)
        slopes = slopes.gather(-1, order)
        S, Q = (pad(sums.cumsum(-1), (1, 0)) for sums in (slopes, slopes * thresholds))
        return Spline(thresholds, order, slopes, S, Q)

    def step(self, z: States, x: Inputs | None = None) -> States:
        _, _, phi = self.spline().at(z.mT)
        a = torch.addcmul(affine(phi.mT, self.W, self.h), self.A.unsqueeze(1), z)
        return a if x is None else a + x @ self.C.mT

    @torch.no_grad()
    def ahead(self, z: States, steps: int, fed: Tensor | None = None) -> tuple[Tensor, tuple[Tensor, ...]]:
        spline, A = self.spline(), self.A.unsqueeze(2)
        states = z.new_empty(steps + 1, *z.mT.shape)
        states[0] = z.mT
        way = []
        for before, after, h in zip(states[:-1].unbind(), states[1:].unbind(), offsets(self.h, fed)):
            way.append(spline.at(before))
            torch.baddbmm(h.mT, self.W, way[-1][2], out=after).addcmul_(A, before)
        return states[1:].mT, (states, *(torch.stack(parts) for parts in zip(*way)))

    @torch.no_grad()
    def back(self, kept: tuple[Tensor, ...], g: Tensor) -> Gradients:
        states, k, slope, phi = kept
        outer, inner, after = torch.empty_like(phi), torch.empty_like(phi), torch.zeros_like(phi[0])
        W, A = self.W.mT, self.A.unsqueeze(2)
        for e, d, s, direct in reversed_steps(outer, inner, slope, g.mT):
            torch.add(after, direct, out=e)
            torch.mul(torch.bmm(W, e, out=d), s, out=after).addcmul_(e, A)
        before = states[:-1]
        found = {
            "A": (outer * before).sum(dim=(0, 3)),
            "W": torch.bmm(rows(outer), rows(phi).mT),
            "h": outer.sum(dim=(0, 3)),
        }
        return after.mT, found | self.bases_back(rows(k), rows(inner), rows(before)), (outer.mT,)

    def bases_back(self, k: Tensor, g: Tensor, z: Tensor) -> dict[str, Tensor]:
        """dL/dalpha and dL/dH from k, g = dL/dphi and z, (population, units, samples)."""
        spline = self.spline()
        plain, weighted = above_kinks(k, torch.stack((g, g * z)), spline.S.shape[-1] - 1)
        back = spline.order.argsort(dim=-1)
        alpha = (weighted - spline.thresholds * plain).gather(-1, back).sum(dim=1)
        H = (-spline.slopes * plain).gather(-1, back)
        if self.clipped:
            alpha = alpha - alpha[..., -1:]
        return {"alpha": alpha[..., : self.bases], "H": H[..., : self.bases]}

    def push(self, z: States, x: Inputs | None, V: Tangents) -> tuple[States, Tangents]:
        _, slope, _ = self.spline().at(z.mT)
        return self.step(z, x), carry(V * slope.mT.unsqueeze(2), self.W) + V * self.A[:, None, None]

    def jacobian_factors(self, z: States, x: Inputs | None = None) -> JacobianFactors:
        _, slope, _ = self.spline().at(z.mT)
        return additive_factors(self.W, slope.mT, self.A)


def above_kinks(k: Tensor, values: Tensor, kinks: int) -> Float[Tensor, "two population units kinks"]:
    """The sums of the values of all samples with k > j, for every kink j.

    On a GPU kink by kink: there `scatter_add` adds in an order that differs from run to run.
    """
    if values.is_cuda:
        return torch.stack([torch.where(k > j, values, 0.0).sum(dim=-1) for j in range(kinks)], dim=-1)
    sums = values.new_zeros(*values.shape[:-1], kinks + 1).scatter_add(-1, k.expand_as(values), values)
    return sums[..., 1:].flip(-1).cumsum(-1).flip(-1)


def rows(steps: Tensor) -> Tensor:
    """(steps, population, units, batch) as (population, units, steps * batch)."""
    return steps.permute(1, 2, 0, 3).flatten(2)
