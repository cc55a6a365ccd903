"""The long short-term memory (Hochreiter and Schmidhuber 1997), torch's convention and gate order (i, f, g, o).

(i, f, g, o) = W h + U x + b;  c' = s(f) c + s(i) tanh(g);  h' = s(o) tanh(c'), s the logistic function.
State: z = [h, c], 2 x units: the Jacobian and the spectrum are those of the pair, not of h with c held fixed.
"""

from typing import Any

import torch
from torch import Generator, Tensor, nn

from lyapsweep.cells.cell import Draw, Driven, affine, carry, logistic_slope, tanh_slope
from lyapsweep.cells.unrolled import (
    AbstractFusedCell,
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
from lyapsweep.setting_types import Count


def unit(f: Any) -> tuple:
    """(h', c') of one unit from the activations of i, f, g and o, and its way back."""
    tanh, logistic, tanh_slope, logistic_slope = f.tanh, f.logistic, f.tanh_slope, f.logistic_slope
    zero = f.zero

    def step(z, a, p):
        i, forget, g, o = logistic(a[0]), logistic(a[1]), tanh(a[2]), logistic(a[3])
        c = forget * z[1] + i * g
        t = tanh(c)
        by_i, by_f = g * logistic_slope(a[0], i), z[1] * logistic_slope(a[1], forget)
        by_g, by_o = i * tanh_slope(a[2], g), t * logistic_slope(a[3], o)
        return (o * t, c), (by_i, by_f, by_g, by_o, forget, o * tanh_slope(c, t))

    def back(e, z, kept, p):
        d = e[1] + e[0] * kept[5]
        return (d * kept[0], d * kept[1], d * kept[2], e[0] * kept[3]), (zero, d * kept[4]), ()

    return step, back


class Lstm(AbstractFusedCell):
    """The LSTM on its full state [h, c], gates in torch's order i, f, g, o (Hochreiter and Schmidhuber 1997).

    (i, f, g, o) = W h + U x + b; c' = s(f) c + s(i) tanh(g); h' = s(o) tanh(c'), s the logistic function. The state has
    2 x units entries, and exponents are those of the pair [h, c].

    Args:
        inputs: Number of input features; 0 for an autonomous network.
        population: Number of networks of this shape, evaluated side by side.
        units: Number of hidden units, 30 by default.

    Example:
        >>> Lstm(inputs=0, population=2, units=4).state
        8
    """

    elementwise = Elementwise(unit, kept=6, parts=2, gates=4, rows=4, driven=(0, 1, 2, 3))
    W: nn.Parameter
    U: nn.Parameter
    b: nn.Parameter

    def __init__(self, inputs: int, population: int, *, units: Count = 30):
        super().__init__(inputs, units, population, state=2 * units)

    def draw(self, init: Draw, generator: Generator) -> dict[str, Tensor]:
        n, m = self.units, self.inputs
        return {
            "W": torch.cat([init(n, n, generator) for _ in range(4)]),
            "U": bounded(4 * n, m, units=n, generator=generator),
            "b": bounded(4 * n, units=n, generator=generator),
        }

    def activations(self, h: States, x: Inputs | None) -> tuple[Tensor, ...]:
        a = affine(h, self.W, self.b)
        return (a if x is None else a + x @ self.U.mT).split(self.units, dim=-1)

    def gates(self, h: States, x: Inputs | None) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        i, f, g, o = self.activations(h, x)
        return i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()

    def step(self, z: States, x: Inputs | None = None) -> States:
        h, c = z.split(self.units, dim=-1)  # backward, a split is one concatenation; slices would be two sums
        i, f, g, o = self.gates(h, x)
        c = torch.addcmul(i * g, f, c)
        return torch.cat((o * torch.tanh(c), c), dim=-1)

    def fused(self, z: States, steps: int, inputs: Tensor | None = None) -> Tensor:
        U: Tensor = self.U
        if inputs is None:  # torch.lstm requires inputs
            inputs, U = z.new_zeros(steps, *z.shape[:2], 1), z.new_zeros(len(z), 4 * self.units, 1)
        (h, c), given = z.unsqueeze(1).split(self.units, dim=-1), inputs.expand(-1, len(z), -1, -1).transpose(0, 1)
        none = z.new_zeros(4 * self.units)  # torch.lstm requires two biases
        split = Tensor.unbind if len(z) > 1 else lambda v: (v.squeeze(0),)
        members = [
            torch.lstm(x, (h, c), (by_x, by_h, b, none), True, 1, 0.0, True, False, False)[0]
            for x, h, c, by_x, by_h, b in zip(*(split(v) for v in (given, h, c, U, self.W, self.b)))
        ]
        side_by_side = torch.stack(members) if len(members) > 1 else members[0].unsqueeze(0)
        return side_by_side.transpose(0, 1)  # a readout reads each member's steps contiguously

    @torch.no_grad()
    def ahead(self, z: States, steps: int, fed: Tensor | None = None) -> tuple[Tensor, tuple[Tensor, ...]]:
        n = self.units
        states, gates = allocate_states(z, steps), z.new_empty(steps, *z.shape[:2], 4 * n)
        squashed = torch.empty_like(states[1:, ..., :n])
        W, (h, c) = self.W.mT, z.split(n, dim=-1)
        views = (
            states[1:, ..., :n],
            states[1:, ..., n:],
            gates,
            gates[..., : 2 * n],
            *gates.split(n, dim=-1),
            squashed,
        )
        for h1, c1, a, i_and_f, i, f, g, o, t, b in zip(*(v.unbind() for v in views), offsets(self.b, fed)):
            torch.baddbmm(b, h, W, out=a)
            i_and_f.sigmoid_()
            g.tanh_()
            o.sigmoid_()
            c = torch.mul(f, c, out=c1).addcmul_(i, g)
            h = torch.mul(o, torch.tanh(c, out=t), out=h1)
        return states[1:], (states, gates, squashed)

    def back(self, kept: tuple[Tensor, ...], g: Tensor) -> Gradients:
        states, gates, t = kept
        n = self.units
        before = states[:-1]
        i, f, c_gate, o = gates.split(n, dim=-1)
        slopes = torch.stack((c_gate * i * (1 - i), before[..., n:] * f * (1 - f), i * (1 - c_gate * c_gate)), dim=-2)
        by_h, through = t * o * (1 - o), o * (1 - t * t)  # of o in h', and of c' in h'
        errors = torch.empty_like(gates)
        split = errors.unflatten(-1, (4, n))
        gh, gc = torch.zeros_like(states[0][..., :n]), torch.zeros_like(states[0][..., n:])
        views = (errors, split[..., :3, :], split[..., 3, :], slopes, by_h, through, f, g[..., :n], g[..., n:])
        for e, e_ifg, e_o, slope, h_slope, c_slope, forget, direct_h, direct_c in reversed_steps(*views):
            gh.add_(direct_h)
            gc.add_(direct_c).addcmul_(gh, c_slope)
            torch.mul(gc.unsqueeze(-2), slope, out=e_ifg)
            torch.mul(gh, h_slope, out=e_o)
            gc.mul_(forget)
            torch.bmm(e, self.W, out=gh)
        found = {"W": summed_products(errors, before[..., :n]), "b": errors.sum(dim=(0, 2))}
        return torch.cat((gh, gc), dim=-1), found, (errors,)

    def push(self, z: States, x: Inputs | None, V: Tangents) -> tuple[States, Tangents]:
        """dc' = f dc + c f(1-f) df + g i(1-i) di + i(1-g^2) dg;  dh' = o(1-tanh^2 c') dc' + tanh(c') o(1-o) do."""
        after, slopes, f, through = self.slopes(z, x)
        dh, dc = V.split(self.units, dim=-1)
        return after, combined(carry(dh, self.W), dc * f.unsqueeze(2), slopes, through)

    def drive(self, z: States, x: Inputs, X: Driven) -> Tangents:
        _, slopes, _, through = self.slopes(z, x)
        return combined(carry(X, self.U), None, slopes, through)

    def slopes(self, z: States, x: Inputs | None) -> tuple[States, tuple[Tensor, ...], Tensor, Tensor]:
        """[h', c'];  of c' in the activations of i, f, g, and of h' in that of o;  of c' in c;  of h' in c'."""
        h, c = z.split(self.units, dim=-1)
        a = self.activations(h, x)
        i, f, g, o = a[0].sigmoid(), a[1].sigmoid(), a[2].tanh(), a[3].sigmoid()
        c1 = torch.addcmul(i * g, f, c)
        t = torch.tanh(c1)
        of_gates = (g * logistic_slope(a[0]), c * logistic_slope(a[1]), i * tanh_slope(a[2]), t * logistic_slope(a[3]))
        return torch.cat((o * t, c1), dim=-1), of_gates, f, o * tanh_slope(c1)

    def jacobian_factors(self, z: States, x: Inputs | None = None) -> JacobianFactors:
        """[[d C + D_o W_o, d f], [C, f]], C = D_i W_i + D_f W_f + D_g W_g; D and d as `slopes` has them."""
        _, (D_i, D_f, D_g, D_o), f, d = self.slopes(z, x)
        none = torch.zeros_like(f)
        of_h, of_c = torch.stack((d * D_i, d * D_f, d * D_g, D_o), dim=2), torch.stack((D_i, D_f, D_g, none), dim=2)
        direct = torch.stack((none, d * f, none, f), dim=2).unflatten(2, (2, 2))
        return JacobianFactors(self.W, torch.stack((of_h, of_c), dim=2), direct=direct)

    def log_det(self, z: States, x: Inputs | None = None) -> Tensor:
        """log |det W_o| + sum_i log |f_i tanh(c'_i) o_i (1 - o_i)|: the Schur complement of dc'/dc = diag(f)."""
        _, of_gates, f, _ = self.slopes(z, x)
        W_o = self.W[:, 3 * self.units :]
        return log_abs_det(W_o.unsqueeze(1)) + (f.log() + of_gates[3].abs().log()).sum(-1)


def combined(da: Tensor, dc: Tensor | None, slopes: tuple[Tensor, ...], through: Tensor) -> Tangents:
    """[dh', dc'] from the tangents of the four activations, and dc carried by the forget gate."""
    d_i, d_f, d_g, d_o = (da * torch.cat(slopes, dim=-1).unsqueeze(2)).chunk(4, dim=-1)
    dc = d_i + d_f + d_g if dc is None else dc + d_i + d_f + d_g
    return torch.cat((dc * through.unsqueeze(2) + d_o, dc), dim=-1)
