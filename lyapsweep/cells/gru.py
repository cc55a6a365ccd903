"""The gated recurrent unit (Cho et al. 2014), torch's convention and gate order (r, z, n).

(a_r, a_z, a_n) = W h + b,  (u_r, u_z, u_n) = U x;  r = s(a_r + u_r), z = s(a_z + u_z), n = tanh(r a_n + u_n + d),
h' = (1 - z) n + z h, s the logistic function. b_n stands inside the product with r, d outside: torch's two biases.
State: h (units). Jacobian: diag(z) + D_r W_r + D_z W_z + D_n W_n, the D of `bends`.
"""

import torch
from torch import Generator, Tensor, nn

from lyapsweep.cells.cell import Draw, affine, carry
from lyapsweep.cells.unrolled import AbstractUnrolledCell, Gradients, along, backwards, total
from lyapsweep.inits import bounded
from lyapsweep.maps import Inputs, States, Tangents


class Gru(AbstractUnrolledCell):
    """The GRU with the reset gate after the product, gates in torch's order r, z, n (Cho et al. 2014)."""

    W: nn.Parameter
    U: nn.Parameter
    b: nn.Parameter
    d: nn.Parameter

    def __init__(self, inputs: int, population: int, *, units: int = 30):
        super().__init__(inputs, units, population, state=units)

    def draw(self, init: Draw, generator: Generator) -> dict[str, Tensor]:
        n, m = self.units, self.inputs
        return {
            "W": torch.cat([init(n, n, generator) for _ in range(3)]),
            "U": bounded(3 * n, m, units=n, generator=generator),
            "b": bounded(3 * n, units=n, generator=generator),
            "d": bounded(n, units=n, generator=generator),
        }

    def gates(self, h: States, x: Inputs | None) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """(r, z, n, a_n)."""
        r, z, a = affine(h, self.W, self.b).split(self.units, dim=-1)
        drive = self.d.unsqueeze(1)
        if x is not None:
            u_r, u_z, u_n = (x @ self.U.mT).split(self.units, dim=-1)
            r, z, drive = r + u_r, z + u_z, u_n + drive
        r, z = r.sigmoid(), z.sigmoid()
        return r, z, torch.tanh(torch.addcmul(drive, r, a)), a

    def step(self, z: States, x: Inputs | None = None) -> States:
        _, keep, n, _ = self.gates(z, x)
        return torch.lerp(n, z, keep)

    @torch.no_grad()
    def ahead(self, z: States, steps: int) -> tuple[Tensor, tuple[Tensor, ...]]:
        states, gates = along(z, steps), z.new_empty(steps, *z.shape[:2], 3 * self.units)
        candidates = torch.empty_like(states[1:])
        b, d, W = self.b.unsqueeze(1), self.d.unsqueeze(1), self.W.mT
        r_and_z, split = gates[..., : 2 * self.units], gates.split(self.units, dim=-1)
        h = z
        for h1, all_gates, two, r, keep, a, n in zip(
            *(v.unbind() for v in (states[1:], gates, r_and_z, *split, candidates))
        ):
            torch.baddbmm(b, h, W, out=all_gates)
            two.sigmoid_()
            torch.addcmul(d, r, a, out=n).tanh_()
            h = torch.lerp(n, h, keep, out=h1)
        return states[1:], (states, gates, candidates)

    def back(self, kept: tuple[Tensor, ...], g: Tensor) -> Gradients:
        states, gates, n = kept
        before = states[:-1]
        r, keep, a = gates.split(self.units, dim=-1)
        slopes = torch.stack(bends(before, r, keep, n, a), dim=-2)
        errors, reached, after = torch.empty_like(gates), torch.empty_like(g), torch.zeros_like(states[0])
        split = errors.unflatten(-1, (3, self.units))
        for e, e3, total_g, slope, kept_share, direct in backwards(errors, split, reached, slopes, keep, g):
            torch.add(after, direct, out=total_g)
            torch.mul(total_g.unsqueeze(-2), slope, out=e3)
            torch.bmm(e, self.W, out=after).addcmul_(total_g, kept_share)
        by_d = (reached * (1 - keep) * (1 - n * n)).sum(dim=(0, 2))
        return after, {"W": total(errors, before), "b": errors.sum(dim=(0, 2)), "d": by_d}

    def push(self, z: States, x: Inputs | None, V: Tangents) -> tuple[States, Tangents]:
        r, keep, n, a = self.gates(z, x)
        by_r, by_z, by_n = carry(V, self.W).split(self.units, dim=-1)
        d_r, d_z, d_n = (d.unsqueeze(2) for d in bends(z, r, keep, n, a))
        return torch.lerp(n, z, keep), V * keep.unsqueeze(2) + by_r * d_r + by_z * d_z + by_n * d_n


def bends(h: Tensor, r: Tensor, z: Tensor, n: Tensor, a: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(D_r, D_z, D_n) = dh'/d(a_r, a_z, a_n): (1-z)(1-n^2) a_n r(1-r), (h-n) z(1-z), (1-z)(1-n^2) r."""
    by_candidate = (1 - z) * (1 - n * n) * r
    return by_candidate * a * (1 - r), (h - n) * z * (1 - z), by_candidate
