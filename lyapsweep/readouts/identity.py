"""x_hat = (z_1 ... z_N): the first units are the observation (Brenner et al. 2022; identity teacher forcing).

Back: [x, L x] with a learned L for the units that are not observed; a forcing replaces the observed units only, the
others carry on.
"""

import torch
from torch import Generator, Tensor, nn
from torch.nn.functional import pad

from lyapsweep.inits import bounded
from lyapsweep.readouts.readout import AbstractReadout


class Identity(AbstractReadout):
    """x_hat = the first N units, back [x, L x] with L learned; forces those N units only (Brenner et al. 2022)."""

    L: nn.Parameter

    def __init__(self, features: int, units: int, state: int, population: int):
        super().__init__(features, units, state, population)
        if features > units:
            raise ValueError(
                f"cell/units >= the {features} features of the series must hold under readout 'identity', but got "
                f"units={units}. Raise cell/units or use readout: {{kind: linear}}."
            )
        self.register_buffer("mask", (torch.arange(state) < features).float(), persistent=False)

    def draw(self, generator: Generator) -> dict[str, Tensor]:
        return {"L": bounded(self.units - self.features, self.features, units=self.units, generator=generator)}

    def forward(self, z: Tensor) -> Tensor:
        return z[..., : self.features]

    def back(self, x: Tensor) -> Tensor:
        return pad(torch.cat((x, x @ self.L.mT), dim=-1), (0, self.state - self.units))
