"""The interface of every readout: from the visible units to an observation, and back from an observation to a state."""

from abc import abstractmethod
from functools import cached_property

import torch
from jaxtyping import Bool, Float
from torch import Generator, Tensor, nn


class AbstractReadout(nn.Module):
    """The interface of a readout x_hat = g(z) with an inverse that gives the state that a forcing pulls toward.

    Subclasses implement `draw`, `forward` and `back`, and set the buffer `mask`.

    Args:
        features: Number of observed features.
        units: Number of visible units, the first entries of a state.
        state: Dimension of the state.
        population: Number of readouts of this shape, evaluated side by side.

    Attributes:
        mask: 1 for the directions of the state that a forcing replaces, shape (state,). If it is all ones, a fully
            forced
            step cuts the chain and windows fall into segments.
        whole: True if the readout reads all steps of a sequence at once, rows [h_1, ..., h_T]; False by default.
        matrix: Name of B if x_hat = B z; None by default.

    Example:
        >>> from lyapsweep.readouts import READOUTS
        >>> READOUTS["identity"](features=1, units=3, state=4, population=1).mask
        tensor([1., 0., 0., 0.])
    """

    mask: Tensor
    whole = False
    matrix: str | None = None

    def __init__(self, features: int, units: int, state: int, population: int):
        super().__init__()
        self.features, self.units, self.state, self.population = features, units, state, population

    @cached_property
    def replaces_all(self) -> bool:
        """Whether a forcing replaces the whole state; read from `mask` once."""
        return bool(self.mask.all())

    @abstractmethod
    def draw(self, generator: Generator) -> dict[str, Tensor]:
        """Return the weights of one member by parameter name, without the population axis."""

    @abstractmethod
    def forward(self, z: Float[Tensor, "population rows state"]) -> Float[Tensor, "population rows features"]:
        """Return the observation of each state."""

    def squared_error(
        self,
        z: Float[Tensor, "population rows units"],
        x: Float[Tensor, "population features rows"],
        counted: Bool[Tensor, " rows"] | None = None,
    ) -> Float[Tensor, " population"]:
        """Return the mean of (x_hat - x)^2 over features and rows; `counted` selects rows (all by default)."""
        if counted is not None and counted.is_cuda:  # where indexing by a mask would wait
            errors = torch.where(counted[:, None], (self(z) - x.mT).square(), 0.0)
            return errors.sum(dim=(1, 2)) / (counted.sum() * x.shape[1])
        rows = slice(None) if counted is None else counted
        return (self(z)[:, rows] - x.mT[:, rows]).square().mean(dim=(1, 2))

    @abstractmethod
    def back(self, x: Float[Tensor, "population rows features"]) -> Float[Tensor, "population rows state"]:
        """Return a state whose observation is x; entries that no observation determines are zero."""

    def build(self, generators: list[Generator]) -> None:
        """Give each member its weights, one generator per member."""
        members = [self.draw(generator) for generator in generators]
        for name in members[0]:
            stacked = torch.stack([m[name] for m in members]).to(torch.get_default_dtype())
            setattr(self, name, nn.Parameter(stacked))
