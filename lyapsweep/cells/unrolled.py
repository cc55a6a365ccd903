"""Many undriven steps at once, and backpropagation through them written out.

Autograd makes dozens of nodes a step and pays for each; on small networks that is most of the training time. A cell
that writes its own way back is one node, whatever the number of steps. A cell that does not is stepped by autograd.
"""

from abc import abstractmethod
from collections.abc import Iterator
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from lyapsweep.cells.cell import AbstractCell
from lyapsweep.maps import States

Steps = Float[Tensor, "steps population batch state"]
Gradients = tuple[Tensor, dict[str, Tensor]]
"""dL/dz_0 (population, batch, state), and dL/dw by parameter name, absent where a weight played no part."""


class AbstractUnrolledCell(AbstractCell):
    """A cell that knows its own way back through time."""

    @abstractmethod
    def ahead(self, z: States, steps: int) -> tuple[Steps, tuple[Tensor, ...]]:
        """The states after 1 ... steps undriven steps, without a graph, and what `back` wants to know of the way."""

    @abstractmethod
    def back(self, kept: tuple[Tensor, ...], g: Steps) -> Gradients:
        """Backpropagation through time: from dL/dz_t, the direct part at every step, to dL/dz_0 and dL/dw.

        g_{t-1} = dL/dz_{t-1} + g_t Df(z_{t-1}); what each step tells the weights is kept and summed in one product.
        """

    def orbit(self, z: States, inputs: Tensor | None, steps: int) -> Steps:
        return super().orbit(z, inputs, steps) if inputs is not None else self.ahead(z, steps)[0]


class AbstractFusedCell(AbstractUnrolledCell):
    """A cell for which a processor has one call that does all steps, and their way back, of what a read-out sees."""

    @abstractmethod
    def fused(self, z: States, steps: int) -> Float[Tensor, "steps population batch units"]:
        """The visible units after 1 ... steps undriven steps, differentiable in z and in the weights."""


def visible(cell: AbstractCell, z: States, steps: int) -> Float[Tensor, "steps population batch units"]:
    """The visible units after 1 ... steps undriven steps: all that training asks of a cell.

    The fused call is oneDNN's, single precision on a CPU; elsewhere it would go step by step.
    """
    single = z.device.type == "cpu" and z.dtype == torch.float32 and torch.backends.mkldnn.is_available()
    if single and isinstance(cell, AbstractFusedCell):
        return cell.fused(z, steps)
    return unroll(cell, z, steps)[..., : cell.units]


def unroll(cell: AbstractCell, z: States, steps: int) -> Steps:
    """The states after 1 ... steps undriven steps from z, differentiable in z and in the weights."""
    if isinstance(cell, AbstractUnrolledCell):
        return Unrolled.apply(cell, steps, z, *cell.parameters())  # type: ignore[no-any-return]
    return cell.orbit(z, None, steps)


def drive(cell: AbstractCell, z: States, inputs: Float[Tensor, "steps population batch inputs"]) -> Steps:
    """The states after each of the steps driven by `inputs` from z, differentiable in z, the inputs and the weights."""
    return cell.orbit(z, inputs, len(inputs))


class Unrolled(torch.autograd.Function):
    """A cell's own `ahead` and `back` as one node of the graph."""

    @staticmethod
    def forward(ctx: Any, cell: AbstractUnrolledCell, steps: int, z: Tensor, *weights: Tensor) -> Tensor:
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
