"""What every cell is: a map whose weights carry the population in front, drawn member by member from seeds."""

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import torch
from jaxtyping import Bool, Float
from torch import Generator, Tensor, nn

from lyapsweep.maps import AbstractMap, Inputs, States, Tangents, autodiff_push

Draw = Callable[[int, int, Generator], Tensor]
"""A recurrent matrix from (rows, columns, generator): one of `INITS` with its settings."""
Driven = Float[Tensor, "population batch exponents inputs"]
"""Tangents of a cell's inputs, one a row."""


class AbstractCell(nn.Module, AbstractMap):
    """A recurrent network's map z' = f(z, x), as a population of networks of one shape.

    The state is one flat row whose first `units` entries are what a read-out sees (an LSTM's h; its c comes after).
    Weights are (population, out, in), biases (population, out). `inputs` may be 0: an autonomous network.
    `linear_part` names A, W and h of a cell z' = A z + W phi(z) + h: what a regularisation may hold on to.
    `rates` are learning rates of single weights relative to the trial's; 1 for a weight that is not named.
    """

    linear_part: tuple[str, str, str] | None = None
    rates: Mapping[str, float] = MappingProxyType({})

    def __init__(self, inputs: int, units: int, population: int, state: int):
        super().__init__()
        if units < 1:
            raise ValueError(f"cell/units >= 1 must hold, but got {units}.")
        self.inputs, self.units, self.population, self.state = inputs, units, population, state

    @abstractmethod
    def draw(self, init: Draw, generator: Generator) -> dict[str, Tensor]:
        """One member's weights by parameter name, without the population axis, in a fixed order of draws."""

    def build(self, draws: Sequence[tuple[Draw, Generator]]) -> None:
        """Give each member its weights; `draws` holds one (init, generator) a member."""
        members = [self.draw(init, generator) for init, generator in draws]
        for name in members[0]:
            stacked = torch.stack([m[name] for m in members]).to(torch.get_default_dtype())
            setattr(self, name, nn.Parameter(stacked))

    def push(self, z: States, x: Inputs | None, V: Tangents) -> tuple[States, Tangents]:
        """The next state and V Df^T, by autodiff; cells of ours write it out, which is faster."""
        return autodiff_push(self.step, z, x, V)

    def drive(self, z: States, x: Inputs, X: Driven) -> Tangents:
        """X (df/dx)^T: what tangents of the inputs add to those of the next state. By autodiff unless written out."""
        along = lambda v: torch.func.jvp(lambda driven: self.step(z, driven), (x,), (v,))[1]  # noqa: E731
        return torch.func.vmap(along, in_dims=2, out_dims=2)(X)

    @property
    def visible(self) -> Bool[Tensor, " state"]:
        """True at what a read-out sees of the state."""
        return torch.arange(self.state) < self.units


def affine(
    z: Float[Tensor, "population batch columns"],
    W: Float[Tensor, "population rows columns"],
    b: Float[Tensor, "population rows"],
) -> Float[Tensor, "population batch rows"]:
    """z W^T + b for every member: one batched product."""
    return torch.baddbmm(b.unsqueeze(1), z, W.mT)


def carry(
    V: Float[Tensor, "population batch exponents columns"], W: Float[Tensor, "population rows columns"]
) -> Float[Tensor, "population batch exponents rows"]:
    """V W^T for every tangent row of every member: one batched product over the flattened rows."""
    population, batch, exponents, _ = V.shape
    return torch.bmm(V.flatten(1, 2), W.mT).view(population, batch, exponents, W.shape[1])


def logistic_slope(a: Tensor) -> Tensor:
    """s'(a) = s(a) s(-a): s (1 - s) without its cancellation, so that a saturated unit is contracting, not dead."""
    return a.sigmoid() * (-a).sigmoid()


def tanh_slope(a: Tensor) -> Tensor:
    """tanh'(a) = 4 s(2a) s(-2a): 1 - tanh(a)^2 without its cancellation, which is total from |a| = 19."""
    return 4 * logistic_slope(2 * a)
