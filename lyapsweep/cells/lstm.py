"""The long short-term memory (Hochreiter and Schmidhuber 1997), torch's convention and gate order (i, f, g, o).

(i, f, g, o) = W h + U x + b;  c' = s(f) c + s(i) tanh(g);  h' = s(o) tanh(c'), s the logistic function.
State: z = [h, c], 2 x units: the Jacobian and the spectrum are those of the pair, not of h with c frozen.
"""

import torch
from torch import Generator, Tensor, nn

from lyapsweep.cells.cell import AbstractCell, Draw, affine, carry
from lyapsweep.inits import bounded
from lyapsweep.maps import Inputs, States, Tangents


class Lstm(AbstractCell):
    """The LSTM on its full state [h, c], gates in torch's order i, f, g, o (Hochreiter and Schmidhuber 1997)."""

    W: nn.Parameter
    U: nn.Parameter
    b: nn.Parameter

    def __init__(self, inputs: int, population: int, *, units: int = 30):
        super().__init__(inputs, units, population, state=2 * units)

    def draw(self, init: Draw, generator: Generator) -> dict[str, Tensor]:
        n, m = self.units, self.inputs
        return {
            "W": torch.cat([init(n, n, generator) for _ in range(4)]),
            "U": bounded(4 * n, m, units=n, generator=generator),
            "b": bounded(4 * n, units=n, generator=generator),
        }

    def gates(self, h: States, x: Inputs | None) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        a = affine(h, self.W, self.b)
        if x is not None:
            a = a + x @ self.U.mT
        i, f, g, o = a.split(self.units, dim=-1)
        return i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()

    def step(self, z: States, x: Inputs | None = None) -> States:
        h, c = z.split(self.units, dim=-1)  # a split is one concatenation on the way back, slices would be two sums
        i, f, g, o = self.gates(h, x)
        c = torch.addcmul(i * g, f, c)
        return torch.cat((o * torch.tanh(c), c), dim=-1)

    def push(self, z: States, x: Inputs | None, V: Tangents) -> tuple[States, Tangents]:
        """dc' = f dc + c f(1-f) df + g i(1-i) di + i(1-g^2) dg;  dh' = o(1-tanh^2 c') dc' + tanh(c') o(1-o) do."""
        n = self.units
        h, c = z.split(n, dim=-1)
        i, f, g, o = self.gates(h, x)
        c1 = torch.addcmul(i * g, f, c)
        t = torch.tanh(c1)
        slopes = torch.cat((g * i * (1 - i), c * f * (1 - f), i * (1 - g * g), t * o * (1 - o)), dim=-1)
        da = carry(V[..., :n], self.W) * slopes.unsqueeze(2)
        dc = V[..., n:] * f.unsqueeze(2) + da[..., :n] + da[..., n : 2 * n] + da[..., 2 * n : 3 * n]
        dh = dc * (o * (1 - t * t)).unsqueeze(2) + da[..., 3 * n :]
        return torch.cat((o * t, c1), dim=-1), torch.cat((dh, dc), dim=-1)
