"""x_hat = B z, without a bias: the observation model of Mikhaeil et al. 2022, section 2.

Back by the pseudo-inverse, z = pinv(B) x (the shortest state that is observed as x); gradients flow through it. The
whole state is forced: what the read-out does not see (an LSTM's c) becomes zero.
"""

import torch
from torch import Generator, Tensor, nn

from lyapsweep.inits import bounded
from lyapsweep.readouts.inverse import inferred
from lyapsweep.readouts.product import observed, squared_error
from lyapsweep.readouts.readout import AbstractReadout


class Linear(AbstractReadout):
    """x_hat = B z, back by pinv(B); forces the whole state (Mikhaeil et al. 2022)."""

    matrix = "B"
    B: nn.Parameter

    def __init__(self, features: int, units: int, state: int, population: int):
        super().__init__(features, units, state, population)
        self.register_buffer("mask", torch.ones(state), persistent=False)

    def draw(self, generator: Generator) -> dict[str, Tensor]:
        return {"B": bounded(self.features, self.units, units=self.units, generator=generator)}

    def forward(self, z: Tensor) -> Tensor:
        return observed(z[..., : self.units], self.B)

    def squared_error(self, z: Tensor, x: Tensor, counted: Tensor | None = None) -> Tensor:
        return squared_error(z[..., : self.units], self.B, x, counted)

    def back(self, x: Tensor) -> Tensor:
        return inferred(x, self.B, self.state)
