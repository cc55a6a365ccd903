"""x_hat = B z + b: a linear read-out with a bias, the usual head for classes and targets.

Back by the pseudo-inverse, z = pinv(B) (x - b). The whole state is forced, as under `linear`.
"""

import torch
from torch import Generator, Tensor, nn

from lyapsweep.inits import bounded
from lyapsweep.readouts.inverse import inferred
from lyapsweep.readouts.product import observed, squared_error
from lyapsweep.readouts.readout import AbstractReadout


class Affine(AbstractReadout):
    """The affine readout x_hat = B z + b, the usual head of a task; forces the whole state.

    Observations are inverted by z = pinv(B)(x - b).

    Args:
        features: Number of observed features.
        units: Number of visible units, the first entries of a state.
        state: Dimension of the state.
        population: Number of readouts of this shape, evaluated side by side.

    Example:
        >>> readout = Affine(features=1, units=3, state=4, population=2)
        >>> readout.build([torch.Generator().manual_seed(seed) for seed in (0, 1)])
        >>> readout(torch.zeros(2, 5, 4)).shape
        torch.Size([2, 5, 1])
    """

    matrix = "B"
    B: nn.Parameter
    b: nn.Parameter

    def __init__(self, features: int, units: int, state: int, population: int):
        super().__init__(features, units, state, population)
        self.register_buffer("mask", torch.ones(state), persistent=False)

    def draw(self, generator: Generator) -> dict[str, Tensor]:
        return {
            "B": bounded(self.features, self.units, units=self.units, generator=generator),
            "b": bounded(self.features, units=self.units, generator=generator),
        }

    def forward(self, z: Tensor) -> Tensor:
        return observed(z[..., : self.units], self.B) + self.b.unsqueeze(1)

    def squared_error(self, z: Tensor, x: Tensor, counted: Tensor | None = None) -> Tensor:
        return squared_error(z[..., : self.units], self.B, x - self.b.unsqueeze(2), counted)

    def back(self, x: Tensor) -> Tensor:
        return inferred(x - self.b.unsqueeze(1), self.B, self.state)
