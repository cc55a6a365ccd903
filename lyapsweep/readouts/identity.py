"""x_hat = (z_1 ... z_N): the first units are the observation (Brenner et al. 2022; identity teacher forcing).

The inverse is [x, L x] with a learned L for the units that are not observed; a forcing replaces the observed units
only, the others keep their values.
"""

import torch
from torch import Generator, Tensor, nn
from torch.nn.functional import pad

from lyapsweep.inits import bounded
from lyapsweep.readouts.readout import AbstractReadout


class Identity(AbstractReadout):
    """The first N units are the observation; forces those units only (Brenner et al. 2022).

    Observations are inverted by [x, L x] with a learned L for the other units.

    Args:
        features: Number of observed features.
        units: Number of visible units, the first entries of a state.
        state: Dimension of the state.
        population: Number of readouts of this shape, evaluated side by side.

    Raises:
        ValueError: If there are more features than units.

    Example:
        >>> readout = Identity(features=1, units=3, state=4, population=2)
        >>> readout.build([torch.Generator().manual_seed(seed) for seed in (0, 1)])
        >>> readout(torch.zeros(2, 5, 4)).shape
        torch.Size([2, 5, 1])
    """

    L: nn.Parameter

    def __init__(self, features: int, units: int, state: int, population: int):
        super().__init__(features, units, state, population)
        if features > units:
            raise ValueError(
                f"readout/kind 'identity': cell/units={units} is below the {features} features of the series. "
                f"Raise cell/units or use readout: {{kind: linear}}."
            )
        self.register_buffer("mask", (torch.arange(state) < features).float(), persistent=False)

    def draw(self, generator: Generator) -> dict[str, Tensor]:
        return {"L": bounded(self.units - self.features, self.features, units=self.units, generator=generator)}

    def forward(self, z: Tensor) -> Tensor:
        return z[..., : self.features]

    def back(self, x: Tensor) -> Tensor:
        return pad(torch.cat((x, x @ self.L.mT), dim=-1), (0, self.state - self.units))
