"""The gated recurrent unit (Cho et al. 2014), torch's convention and gate order (r, z, n).

(a_r, a_z, a_n) = W h + b,  (u_r, u_z, u_n) = U x;  r = s(a_r + u_r), z = s(a_z + u_z), n = tanh(r a_n + u_n + d),
h' = (1 - z) n + z h, s the logistic function. b_n is inside the product with r, d outside: torch's two biases.
State: h (units). Jacobian: diag(z) + D_r W_r + D_z W_z + D_n W_n, the D of `slopes`.
"""

from typing import Any

import torch
from torch import Generator, Tensor, nn

from lyapsweep.cells.cell import Draw, Driven, affine, carry, logistic_slope, tanh_slope
from lyapsweep.cells.unrolled import (
    AbstractUnrolledCell,
    Gradients,
    affine_inputs,
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
    """h' = (1 - z) n + z h of one unit from (a_r, a_z, a_n, u_n + d), and its way back."""
    tanh, logistic, tanh_slope, logistic_slope = f.tanh, f.logistic, f.tanh_slope, f.logistic_slope

    def step(z, a, p):
        r, keep, c = logistic(a[0]), logistic(a[1]), logistic(a[0]) * a[2] + a[3]
        n = tanh(c)
        outside = logistic(-a[1]) * tanh_slope(c, n)
        by_r, by_z = outside * a[2] * logistic_slope(a[0], r), (z[0] - n) * logistic_slope(a[1], keep)
        return (n + keep * (z[0] - n),), (by_r, by_z, outside * r, outside, keep)

    def back(e, z, kept, p):
        g = e[0]
        return (g * kept[0], g * kept[1], g * kept[2], g * kept[3]), (g * kept[4],), ()

    return step, back


class Gru(AbstractUnrolledCell):
    """The GRU with the reset gate after the product, gates in torch's order r, z, n (Cho et al. 2014).

    r = s(a_r + u_r), z = s(a_z + u_z), n = tanh(r a_n + u_n + d), h' = (1 - z) n + z h with (a_r, a_z, a_n) = W h + b
    and (u_r, u_z, u_n) = U x.

    Args:
        inputs: Number of input features; 0 for an autonomous network.
        population: Number of networks of this shape, evaluated side by side.
        units: Number of hidden units, 30 by default.

    Example:
        >>> Gru(inputs=0, population=2, units=4).state
        4
    """

    W: nn.Parameter
    U: nn.Parameter
    b: nn.Parameter
    d: nn.Parameter
    entry = ("U", "b", "d")
    elementwise = Elementwise(unit, kept=5, gates=3, rows=4, biases=("b", "d"), driven=(0, 1, 3))

    def __init__(self, inputs: int, population: int, *, units: Count = 30):
        super().__init__(inputs, units, population, state=units)

    def draw(self, init: Draw, generator: Generator) -> dict[str, Tensor]:
        n, m = self.units, self.inputs
        return {
            "W": torch.cat([init(n, n, generator) for _ in range(3)]),
            "U": bounded(3 * n, m, units=n, generator=generator),
            "b": bounded(3 * n, units=n, generator=generator),
            "d": bounded(n, units=n, generator=generator),
        }

    def activations(self, h: States, x: Inputs | None) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The arguments of the gates r, z and of the candidate n, and a_n."""
        r, z, a = affine(h, self.W, self.b).split(self.units, dim=-1)
        drive = self.d.unsqueeze(1)
        if x is not None:
            u_r, u_z, u_n = (x @ self.U.mT).split(self.units, dim=-1)
            r, z, drive = r + u_r, z + u_z, u_n + drive
        return r, z, torch.addcmul(drive, r.sigmoid(), a), a

    def step(self, z: States, x: Inputs | None = None) -> States:
        _, keep, n, _ = self.activations(z, x)
        return torch.lerp(n.tanh(), z, keep.sigmoid())

    def feed(self, x: Tensor) -> Tensor:
        """[u_r + b_r, u_z + b_z, b_n, u_n + d]: b_n is multiplied by r, u_n + d is not."""
        u_r, u_z, u_n = self.U.split(self.units, dim=1)
        return affine_inputs(
            x, torch.cat((u_r, u_z, torch.zeros_like(u_n), u_n), dim=1), torch.cat((self.b, self.d), dim=1)
        )

    @torch.no_grad()
    def ahead(self, z: States, steps: int, fed: Tensor | None = None) -> tuple[Tensor, tuple[Tensor, ...]]:
        states, gates = allocate_states(z, steps), z.new_empty(steps, *z.shape[:2], 3 * self.units)
        candidates = torch.empty_like(states[1:])
        inside, outside = (None, None) if fed is None else fed.split((3 * self.units, self.units), dim=-1)
        r_and_z, split = gates[..., : 2 * self.units], gates.split(self.units, dim=-1)
        sequences, W, h = (states[1:], gates, r_and_z, *split, candidates), self.W.mT, z
        views = zip(*(s.unbind() for s in sequences), offsets(self.b, inside), offsets(self.d, outside))
        for h1, all_gates, two, r, keep, a, n, b, d in views:
            torch.baddbmm(b, h, W, out=all_gates)
            two.sigmoid_()
            torch.addcmul(d, r, a, out=n).tanh_()
            h = torch.lerp(n, h, keep, out=h1)
        return states[1:], (states, gates, candidates)

    def back(self, kept: tuple[Tensor, ...], g: Tensor) -> Gradients:
        states, gates, n = kept
        before = states[:-1]
        r, keep, a = gates.split(self.units, dim=-1)
        by_d = (1 - keep) * (1 - n * n)
        slopes = torch.stack((by_d * a * r * (1 - r), (before - n) * keep * (1 - keep), by_d * r), dim=-2)
        errors, reached, after = torch.empty_like(gates), torch.empty_like(g), torch.zeros_like(states[0])
        split = errors.unflatten(-1, (3, self.units))
        for e, e3, total_g, slope, kept_share, direct in reversed_steps(errors, split, reached, slopes, keep, g):
            torch.add(after, direct, out=total_g)
            torch.mul(total_g.unsqueeze(-2), slope, out=e3)
            torch.bmm(e, self.W, out=after).addcmul_(total_g, kept_share)
        outside = reached * by_d
        found = {"W": summed_products(errors, before), "b": errors.sum(dim=(0, 2)), "d": outside.sum(dim=(0, 2))}
        return after, found, (errors, outside)

    def push(self, z: States, x: Inputs | None, V: Tangents) -> tuple[States, Tangents]:
        after, (D_r, D_z, D_n), _, keep = self.slopes(z, x)
        return after, V * keep.unsqueeze(2) + combined(carry(V, self.W), D_r, D_z, D_n)

    def drive(self, z: States, x: Inputs, X: Driven) -> Tangents:
        _, (D_r, D_z, _), D_u, _ = self.slopes(z, x)
        return combined(carry(X, self.U), D_r, D_z, D_u)

    def slopes(self, h: States, x: Inputs | None) -> tuple[States, tuple[Tensor, Tensor, Tensor], Tensor, Tensor]:
        """h';  (D_r, D_z, D_n) of h' in a_r, a_z, a_n;  of h' in u_n;  of h' in h alone, which is z."""
        a_r, a_z, candidate, a_n = self.activations(h, x)
        r, z, n = a_r.sigmoid(), a_z.sigmoid(), candidate.tanh()
        D_u = (-a_z).sigmoid() * tanh_slope(candidate)
        D = (D_u * a_n * logistic_slope(a_r), (h - n) * logistic_slope(a_z), D_u * r)
        return torch.lerp(n, h, z), D, D_u, z

    def jacobian_factors(self, z: States, x: Inputs | None = None) -> JacobianFactors:
        _, of_activations, _, keep = self.slopes(z, x)
        outer = torch.stack(of_activations, dim=-2).unsqueeze(2)
        return JacobianFactors(self.W, outer, direct=keep[:, :, None, None])


def combined(da: Tensor, D_r: Tensor, D_z: Tensor, D_n: Tensor) -> Tangents:
    """The sum of the contributions of the tangents of the three activations to dh'."""
    d_r, d_z, d_n = da.chunk(3, dim=-1)
    return d_r * D_r.unsqueeze(2) + d_z * D_z.unsqueeze(2) + d_n * D_n.unsqueeze(2)
