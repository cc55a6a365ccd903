"""What every cell is: a map whose weights carry the population in front, drawn member by member from seeds."""

from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn

from lyapsweep.maps import AbstractMap, States

Draw = Callable[[int, int, Generator], Tensor]
"""A recurrent matrix from (rows, columns, generator): one of `INITS` with its settings."""


class AbstractCell(nn.Module, AbstractMap):
    """A recurrent network's map z' = f(z, x), as a population of networks of one shape.

    The state is one flat row whose first `units` entries are what a read-out sees (an LSTM's h; its c comes after).
    Weights are (population, out, in), biases (population, out). `inputs` may be 0: an autonomous network.
    """

    def __init__(self, inputs: int, units: int, population: int, state: int):
        super().__init__()
        self.inputs, self.units, self.population, self.state = inputs, units, population, state

    @abstractmethod
    def draw(self, init: Draw, generator: Generator) -> dict[str, Tensor]:
        """One member's weights by parameter name, without the population axis, in a fixed order of draws."""

    def unroll(self, z: States, steps: int) -> Float[Tensor, "steps population batch state"]:
        """The states after 1 ... steps undriven steps from z, differentiable in z and in the weights."""
        return Unrolled.apply(self, steps, z, *self.parameters())  # type: ignore[no-any-return]

    @abstractmethod
    def ahead(self, z: States, steps: int) -> tuple[Float[Tensor, "steps population batch state"], tuple[Tensor, ...]]:
        """`unroll` without a graph: the states, and whatever `back` wants to know of the way."""

    @abstractmethod
    def back(self, kept: tuple[Tensor, ...], g: Float[Tensor, "steps population batch state"]) -> "Gradients":
        """Backpropagation through time, written out: from dL/dz_t, the direct part at every step, dL/dz_0 and dL/dw.

        g_{t-1} = dL/dz_{t-1} + g_t Df(z_{t-1}); what each step tells the weights is kept and summed in one product.
        """

    def build(self, draws: Sequence[tuple[Draw, Generator]]) -> None:
        """Give each member its weights; `draws` holds one (init, generator) a member."""
        members = [self.draw(init, generator) for init, generator in draws]
        for name in members[0]:
            stacked = torch.stack([m[name] for m in members]).to(torch.get_default_dtype())
            setattr(self, name, nn.Parameter(stacked))

    def member(self, name: str, p: int) -> Tensor:
        """One member's slice of a parameter."""
        return self.get_parameter(name)[p]


Gradients = tuple[Tensor, dict[str, Tensor]]
"""dL/dz_0 (population, batch, state), and dL/dw by parameter name, absent where a weight played no part."""


class Unrolled(torch.autograd.Function):
    """A cell's own `ahead` and `back` as one node of the graph, where autograd would make dozens a step."""

    @staticmethod
    def forward(ctx: Any, cell: AbstractCell, steps: int, z: Tensor, *weights: Tensor) -> Tensor:
        states, kept = cell.ahead(z.detach(), steps)
        ctx.cell = cell
        ctx.save_for_backward(*kept)
        return states

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, g: Tensor) -> Any:
        start, found = ctx.cell.back(ctx.saved_tensors, g)
        return None, None, start, *(found.get(name) for name, _ in ctx.cell.named_parameters())


def along(z: States, steps: int) -> Float[Tensor, "steps_plus_one population batch state"]:
    """Room for z and the states after 1 ... steps steps, z written into it."""
    states = z.new_empty(steps + 1, *z.shape)
    states[0] = z
    return states


def backwards(*sequences: Float[Tensor, "steps ..."]) -> Iterator[tuple[Tensor, ...]]:
    """The steps of several sequences side by side, the last one first."""
    return zip(*(s.unbind()[::-1] for s in sequences))


def total(
    errors: Float[Tensor, "steps population batch rows"], given: Float[Tensor, "steps population batch columns"]
) -> Float[Tensor, "population rows columns"]:
    """sum_t errors_t^T given_t: what all steps together tell a matrix, as one product."""
    return torch.bmm(errors.transpose(0, 1).flatten(1, 2).mT, given.transpose(0, 1).flatten(1, 2))


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
