"""What every read-out is: from the visible units to an observation, and back from an observation to a state."""

from abc import abstractmethod

import torch
from jaxtyping import Bool, Float
from torch import Generator, Tensor, nn


class AbstractReadout(nn.Module):
    """x_hat = g(z), with a `back` that turns an observation into the state that a forcing pulls toward.

    `units` are the visible entries of a `state` (they come first). `mask` (state) marks the directions that a forcing
    replaces; where it is all ones, a fully forced step cuts the chain and windows fall apart into segments.
    """

    mask: Tensor
    whole = False  # whether it reads all steps of a sequence at once, rows [h_1, ..., h_T], and `steps` says how many
    matrix: str | None = None  # the name of B, where x_hat = B z

    def __init__(self, features: int, units: int, state: int, population: int):
        super().__init__()
        self.features, self.units, self.state, self.population = features, units, state, population

    @abstractmethod
    def draw(self, generator: Generator) -> dict[str, Tensor]:
        """One member's weights by parameter name, without the population axis."""

    @abstractmethod
    def forward(self, z: Float[Tensor, "population rows state"]) -> Float[Tensor, "population rows features"]:
        """The observation of each state."""

    def squared_error(
        self,
        z: Float[Tensor, "population rows units"],
        x: Float[Tensor, "population features rows"],
        counted: Bool[Tensor, " rows"] | None = None,
    ) -> Float[Tensor, " population"]:
        """The mean of (x_hat - x)^2 over features and those rows that are `counted`, or all."""
        rows = slice(None) if counted is None else counted
        return (self(z)[:, rows] - x.mT[:, rows]).square().mean(dim=(1, 2))

    @abstractmethod
    def back(self, x: Float[Tensor, "population rows features"]) -> Float[Tensor, "population rows state"]:
        """A state that is observed as x; entries that no observation tells are zero."""

    def build(self, generators: list[Generator]) -> None:
        """Give each member its weights, one generator a member."""
        members = [self.draw(generator) for generator in generators]
        for name in members[0]:
            stacked = torch.stack([m[name] for m in members]).to(torch.get_default_dtype())
            setattr(self, name, nn.Parameter(stacked))
