"""x_hat = B z, without a bias: the observation model of Mikhaeil et al. 2022, section 2.

The inverse is z = pinv(B) x, the shortest state with that observation; gradients flow through it. The whole state is
forced: entries that the readout does not see (an LSTM's c) become zero.
"""

import torch
from torch import Generator, Tensor, nn

from lyapsweep.inits import bounded
from lyapsweep.readouts.inverse import inferred
from lyapsweep.readouts.product import observed, squared_error
from lyapsweep.readouts.readout import AbstractReadout


class Linear(AbstractReadout):
    """The linear readout x_hat = B z; forces the whole state (Mikhaeil et al. 2022).

    Observations are inverted by the pseudo-inverse, z = pinv(B) x; entries of the state that B does not see become
    zero.

    Args:
        features: Number of observed features.
        units: Number of visible units, the first entries of a state.
        state: Dimension of the state.
        population: Number of readouts of this shape, evaluated side by side.

    Example:
        >>> readout = Linear(features=1, units=3, state=4, population=2)
        >>> readout.build([torch.Generator().manual_seed(seed) for seed in (0, 1)])
        >>> readout(torch.zeros(2, 5, 4)).shape
        torch.Size([2, 5, 1])
    """

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
