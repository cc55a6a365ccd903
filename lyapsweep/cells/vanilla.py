"""h' = tanh(W h + U x + b): the standard RNN (Elman 1990), the RNN of Mikhaeil et al. 2022.

State: h (units). Jacobian: diag(1 - h'^2) W.
"""

from torch import Generator, Tensor, nn, tanh

from lyapsweep.cells.cell import AbstractCell, Draw, affine, carry
from lyapsweep.inits import bounded
from lyapsweep.maps import Inputs, States, Tangents


class Vanilla(AbstractCell):
    """The tanh network h' = tanh(W h + U x + b) (Elman 1990)."""

    W: nn.Parameter
    U: nn.Parameter
    b: nn.Parameter

    def __init__(self, inputs: int, population: int, *, units: int = 30):
        super().__init__(inputs, units, population, state=units)

    def draw(self, init: Draw, generator: Generator) -> dict[str, Tensor]:
        n, m = self.units, self.inputs
        return {
            "W": init(n, n, generator),
            "U": bounded(n, m, units=n, generator=generator),
            "b": bounded(n, units=n, generator=generator),
        }

    def step(self, z: States, x: Inputs | None = None) -> States:
        a = affine(z, self.W, self.b)
        return tanh(a if x is None else a + x @ self.U.mT)

    def push(self, z: States, x: Inputs | None, V: Tangents) -> tuple[States, Tangents]:
        h = self.step(z, x)
        return h, carry(V, self.W) * (1 - h * h).unsqueeze(2)
