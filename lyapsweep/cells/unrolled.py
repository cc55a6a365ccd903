"""Many steps at once, driven or not, and backpropagation through them written out.

Autograd makes dozens of nodes a step and pays for each; on small networks that is most of the training time. A cell
that writes its own way back is one node, whatever the number of steps. A cell that does not is stepped by autograd.
Inputs enter all steps in one product, before the first of them, which autograd differentiates.
"""

from abc import abstractmethod
from collections.abc import Iterable, Iterator
from itertools import repeat
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from lyapsweep.cells.cell import AbstractCell
from lyapsweep.maps import States

Steps = Float[Tensor, "steps population batch state"]
Driving = Float[Tensor, "driven #population batch inputs"]
Fed = Float[Tensor, "steps population batch rows"]
Gradients = tuple[Tensor, dict[str, Tensor], tuple[Tensor, ...]]
"""dL/dz_0 (population, batch, state); dL/dw by parameter name, absent where a weight played no part; dL/dfed, its rows
in pieces that stand side by side."""


class AbstractUnrolledCell(AbstractCell):
    """A cell that knows its own way back through time.

    `entry` names the weights through which inputs enter, those that `feed` reads: a matrix and a bias.
    """

    entry: tuple[str, ...] = ("U", "b")

    def feed(self, x: Driving) -> Fed:
        """b + U x_t at every step: what stands in place of the bias where a cell is driven."""
        U, b = (getattr(self, name) for name in self.entry)
        return supply(x, U, b)

    @abstractmethod
    def ahead(self, z: States, steps: int, fed: Fed | None = None) -> tuple[Steps, tuple[Tensor, ...]]:
        """The states after 1 ... steps steps, without a graph, and what `back` wants to know of the way."""

    @abstractmethod
    def back(self, kept: tuple[Tensor, ...], g: Steps) -> Gradients:
        """Backpropagation through time: from dL/dz_t, the direct part at every step, to dL/dz_0, dL/dw and dL/dfed.

        g_{t-1} = dL/dz_{t-1} + g_t Df(z_{t-1}); what each step tells the weights is kept and summed in one product.
        That of a bias is what it is without inputs; with them it comes by way of dL/dfed.
        """

    @torch.no_grad()
    def orbit(self, z: States, inputs: Driving | None, steps: int) -> Steps:
        """The states after 1 ... steps steps from z, without a graph; `unroll` and `drive` are differentiable."""
        if inputs is not None and len(inputs) < steps:
            raise ValueError(
                f"An orbit of {steps} steps wants as many inputs, but got {len(inputs)}: give more of them."
            )
        return self.ahead(z, steps, None if inputs is None else self.feed(inputs[:steps]))[0]


class AbstractFusedCell(AbstractUnrolledCell):
    """A cell for which a processor has one call that does all steps, and their way back, of what a read-out sees."""

    @abstractmethod
    def fused(
        self, z: States, steps: int, inputs: Driving | None = None
    ) -> Float[Tensor, "steps population batch units"]:
        """The visible units after 1 ... steps steps, differentiable in z, the inputs and the weights."""


def visible(
    cell: AbstractCell, z: States, steps: int, inputs: Driving | None = None
) -> Float[Tensor, "steps population batch units"]:
    """The visible units after 1 ... steps steps, one for each of the inputs if there are any: all training asks for.

    The fused call is oneDNN's, single precision on a CPU; elsewhere it would go step by step.
    """
    single = z.device.type == "cpu" and z.dtype == torch.float32 and torch.backends.mkldnn.is_available()
    if single and isinstance(cell, AbstractFusedCell):
        return cell.fused(z, steps, inputs)
    return (unroll(cell, z, steps) if inputs is None else drive(cell, z, inputs))[..., : cell.units]


def unroll(cell: AbstractCell, z: States, steps: int) -> Steps:
    """The states after 1 ... steps undriven steps from z, differentiable in z and in the weights."""
    if isinstance(cell, AbstractUnrolledCell):
        weights = dict(cell.named_parameters())
        return Unrolled.apply(cell, steps, (*weights,), z, None, *weights.values())  # type: ignore[no-any-return]
    return cell.orbit(z, None, steps)


def drive(cell: AbstractCell, z: States, inputs: Driving) -> Steps:
    """The states after each of the steps driven by `inputs` from z, differentiable in z, the inputs and the weights."""
    if isinstance(cell, AbstractUnrolledCell):
        weights = {name: w for name, w in cell.named_parameters() if name not in cell.entry}
        fed = cell.feed(inputs)
        return Unrolled.apply(cell, len(inputs), (*weights,), z, fed, *weights.values())  # type: ignore[no-any-return]
    return cell.orbit(z, inputs, len(inputs))


class Unrolled(torch.autograd.Function):
    """A cell's own `ahead` and `back` as one node of the graph; `names` are those of the weights it answers for."""

    @staticmethod
    def forward(
        ctx: Any, cell: AbstractUnrolledCell, steps: int, names: tuple[str, ...], z: Tensor, fed: Fed | None, *_: Tensor
    ) -> Tensor:
        states, kept = cell.ahead(z.detach(), steps, fed)
        ctx.cell, ctx.names, ctx.driven = cell, names, fed is not None
        ctx.save_for_backward(*kept)
        return states

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, g: Tensor) -> Any:
        start, found, pieces = ctx.cell.back(ctx.saved_tensors, g)
        fed = None if not ctx.driven else pieces[0] if len(pieces) == 1 else torch.cat(pieces, dim=-1)
        return None, None, None, start, fed, *(found.get(name) for name in ctx.names)


def supply(x: Driving, U: Float[Tensor, "population rows inputs"], b: Float[Tensor, "population rows"]) -> Fed:
    """b + U x_t at every step, for all of them as one product."""
    steps, _, batch, _ = x.shape
    rows = x.expand(-1, len(U), -1, -1).transpose(0, 1).flatten(1, 2)
    return torch.baddbmm(b.unsqueeze(1), rows, U.mT).unflatten(1, (steps, batch)).transpose(0, 1)


def offsets(b: Float[Tensor, "population rows"], fed: Fed | None) -> Iterable[Tensor]:
    """What every step adds: the bias, or what it was fed with."""
    return repeat(b.unsqueeze(1)) if fed is None else fed.unbind()


def along(z: States, steps: int) -> Float[Tensor, "steps_plus_one population batch state"]:
    """Room for z and the states after 1 ... steps steps, z written into it."""
    states = z.new_empty(len(z), steps + 1, *z.shape[1:]).transpose(0, 1)
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


def pooled(errors: Float[Tensor, "steps population batch rows"]) -> Float[Tensor, "population rows"]:
    """sum over steps and batch, one after the other: at once would take six times as long."""
    return errors.sum(dim=0).sum(dim=1)
