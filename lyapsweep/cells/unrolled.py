"""Many steps at once, driven or not, and backpropagation through them written out.

Autograd creates dozens of nodes per step, which is most of the training time of a small network. A cell with its own
backward pass is a single node, whatever the number of steps; other cells are stepped by autograd. Inputs enter all
steps in one product, before the first step, which autograd differentiates.
"""

from abc import abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from itertools import repeat
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from lyapsweep.cells.cell import AbstractCell
from lyapsweep.cells.single_orbits import single_orbits, statement_for
from lyapsweep.maps import States

Steps = Float[Tensor, "steps population batch state"]
Driving = Float[Tensor, "driven #population batch inputs"]
Fed = Float[Tensor, "steps population batch rows"]
Gradients = tuple[Tensor, dict[str, Tensor], tuple[Tensor, ...]]
"""dL/dz_0 (population, batch, state); dL/dw by parameter name, without unused weights; dL/dfed, in pieces to be
concatenated along the last axis."""


MOST_UNITS = 64  # of a cell whose matrix fits into the registers of a GPU's program


@dataclass(frozen=True)
class OneMatrix:
    """A cell of one matrix: z' = phi(W z + b), phi `tanh` or `relu`; or z' = A z + W phi(z) + b, `piecewise`.

    Args:
        W: Shape (population, units, units).
        b: Shape (population, units).
        kind: One of the three.
        A: Shape (population, units); only of `piecewise`.
        linear: Number of units, the first ones, that a `piecewise` phi leaves as they are; it is relu of the others.

    Example:
        >>> OneMatrix(torch.zeros(1, 2, 2), torch.zeros(1, 2), "tanh").linear
        0
    """

    W: Float[Tensor, "population units units"]
    b: Float[Tensor, "population units"]
    kind: str
    A: Float[Tensor, "population units"] | None = None
    linear: int = 0


class AbstractUnrolledCell(AbstractCell):
    """The interface of a cell with its own backpropagation through time.

    Subclasses implement `draw`, `step`, `ahead` and `back`.

    Args:
        inputs: Number of input features; 0 for an autonomous network.
        units: Number of visible units.
        population: Number of networks of this shape, evaluated side by side.
        state: Dimension of the state.

    Attributes:
        entry: Names of the weights through which inputs enter, read by `feed`: a matrix and a bias, ("U", "b") by
            default.

    Example:
        >>> from lyapsweep.cells import Plrnn
        >>> issubclass(Plrnn, AbstractUnrolledCell), Plrnn.entry
        (True, ('C', 'h'))
    """

    entry: tuple[str, ...] = ("U", "b")

    def feed(self, x: Driving) -> Fed:
        """Return b + U x_t at every step, which replaces the bias of a driven cell."""
        U, b = (getattr(self, name) for name in self.entry)
        return affine_inputs(x, U, b)

    def one_matrix(self) -> OneMatrix | None:
        """Return the undriven cell as `OneMatrix`, for which a GPU has kernels of many steps; None if it is not one."""
        return None

    @abstractmethod
    def ahead(self, z: States, steps: int, fed: Fed | None = None) -> tuple[Steps, tuple[Tensor, ...]]:
        """Return the states after 1 ... `steps` steps, without a graph, and the tensors that `back` needs."""

    @abstractmethod
    def back(self, kept: tuple[Tensor, ...], g: Steps) -> Gradients:
        """Backpropagate through time, from the direct part dL/dz_t of every step to dL/dz_0, dL/dw and dL/dfed.

        g_{t-1} = dL/dz_{t-1} + g_t Df(z_{t-1}); gradients of weights are summed over all steps in one product. A bias
        that inputs replace gets its gradient through dL/dfed.

        Args:
            kept: What `ahead` returned beside the states.
            g: dL/dz_t, shape (steps, population, batch, state).

        Returns:
            dL/dz_0, dL/dw by parameter name, and dL/dfed in pieces to be concatenated along the last axis.
        """

    @torch.no_grad()
    def orbit(self, z: States, inputs: Driving | None, steps: int) -> Steps:
        """Return the states after 1 ... `steps` steps, without a graph; `unroll` and `drive` have one."""
        if inputs is not None and len(inputs) < steps:
            raise ValueError(f"orbit: {len(inputs)} inputs are fewer than {steps} steps. Give one input per step.")
        fed = None if inputs is None else self.feed(inputs[:steps])
        if (statement := statement_for(self, z, steps)) is not None:
            return single_orbits(self, statement, z, fed, steps)
        return self.ahead(z, steps, fed)[0]


class AbstractFusedCell(AbstractUnrolledCell):
    """The interface of a cell for which the processor has one call for all steps and their backward pass.

    Args:
        inputs: Number of input features; 0 for an autonomous network.
        units: Number of visible units.
        population: Number of networks of this shape, evaluated side by side.
        state: Dimension of the state.

    Example:
        >>> from lyapsweep.cells import Lstm
        >>> issubclass(Lstm, AbstractFusedCell)
        True
    """

    @abstractmethod
    def fused(
        self, z: States, steps: int, inputs: Driving | None = None
    ) -> Float[Tensor, "steps population batch units"]:
        """Return the visible units after 1 ... `steps` steps, differentiable in z, the inputs and the weights."""


def visible(
    cell: AbstractCell, z: States, steps: int, inputs: Driving | None = None
) -> Float[Tensor, "steps population batch units"]:
    """The visible units after 1 ... `steps` steps, one step per input if there are inputs.

    The fused call is oneDNN's, in single precision on a CPU; elsewhere it would go step by step.
    """
    single = z.device.type == "cpu" and z.dtype == torch.float32 and torch.backends.mkldnn.is_available()
    if single and isinstance(cell, AbstractFusedCell):
        return cell.fused(z, steps, inputs)
    return (unroll(cell, z, steps) if inputs is None else drive(cell, z, inputs))[..., : cell.units]


def unroll(cell: AbstractCell, z: States, steps: int) -> Steps:
    """Return the states after 1 ... `steps` undriven steps from z, differentiable in z and in the weights.

    Args:
        cell: The cell.
        z: First states, shape (population, batch, state).
        steps: Number of steps.

    Returns:
        States, shape (steps, population, batch, state).

    Example:
        >>> from lyapsweep.cells import Vanilla
        >>> from lyapsweep.inits import gaussian
        >>> cell = Vanilla(inputs=0, population=1, units=4)
        >>> cell.build([(gaussian, torch.Generator().manual_seed(0))])
        >>> unroll(cell, torch.zeros(1, 2, 4), steps=10).shape
        torch.Size([10, 1, 2, 4])
    """
    if isinstance(cell, AbstractUnrolledCell):
        form = cell.one_matrix() if z.is_cuda and z.dtype == torch.float32 and steps > 1 and has_triton() else None
        if form is not None and cell.units <= MOST_UNITS:
            from lyapsweep.cells import triton_steps

            if triton_steps.works(z.device):
                return triton_steps.one_matrix_steps(form, z, steps)
        weights = dict(cell.named_parameters())
        return Unrolled.apply(cell, steps, (*weights,), z, None, *weights.values())  # type: ignore[no-any-return]
    return cell.orbit(z, None, steps)


@cache
def has_triton() -> bool:
    """Whether Triton is installed; torch's builds for CUDA bring it."""
    return find_spec("triton") is not None


def drive(cell: AbstractCell, z: States, inputs: Driving) -> Steps:
    """Return the states after each step driven by `inputs`, differentiable in z, the inputs and the weights.

    Args:
        cell: The cell.
        z: First states, shape (population, batch, state).
        inputs: Driving inputs, shape (steps, population, batch, inputs).

    Returns:
        States, shape (steps, population, batch, state).

    Example:
        >>> from lyapsweep.cells import Vanilla
        >>> from lyapsweep.inits import gaussian
        >>> cell = Vanilla(inputs=3, population=1, units=4)
        >>> cell.build([(gaussian, torch.Generator().manual_seed(0))])
        >>> drive(cell, torch.zeros(1, 2, 4), torch.ones(10, 1, 2, 3)).shape
        torch.Size([10, 1, 2, 4])
    """
    if isinstance(cell, AbstractUnrolledCell):
        weights = {name: w for name, w in cell.named_parameters() if name not in cell.entry}
        fed = cell.feed(inputs)
        return Unrolled.apply(cell, len(inputs), (*weights,), z, fed, *weights.values())  # type: ignore[no-any-return]
    return cell.orbit(z, inputs, len(inputs))


class Unrolled(torch.autograd.Function):
    """A cell's own `ahead` and `back` as one node of the graph; it returns gradients of `names`."""

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


def affine_inputs(x: Driving, U: Float[Tensor, "population rows inputs"], b: Float[Tensor, "population rows"]) -> Fed:
    """b + U x_t at every step, as one product."""
    steps, _, batch, _ = x.shape
    rows = x.expand(-1, len(U), -1, -1).transpose(0, 1).flatten(1, 2)
    return torch.baddbmm(b.unsqueeze(1), rows, U.mT).unflatten(1, (steps, batch)).transpose(0, 1)


def offsets(b: Float[Tensor, "population rows"], fed: Fed | None) -> Iterable[Tensor]:
    """What every step adds: the bias, or the inputs' part of `feed`."""
    return repeat(b.unsqueeze(1)) if fed is None else fed.unbind()


def allocate_states(z: States, steps: int) -> Float[Tensor, "steps_plus_one population batch state"]:
    """An empty tensor for z and the states after 1 ... `steps` steps, with z written into it."""
    states = z.new_empty(len(z), steps + 1, *z.shape[1:]).transpose(0, 1)
    states[0] = z
    return states


def reversed_steps(*sequences: Float[Tensor, "steps ..."]) -> Iterator[tuple[Tensor, ...]]:
    """The steps of several sequences side by side, the last one first."""
    return zip(*(s.unbind()[::-1] for s in sequences))


def summed_products(
    errors: Float[Tensor, "steps population batch rows"], given: Float[Tensor, "steps population batch columns"]
) -> Float[Tensor, "population rows columns"]:
    """sum_t errors_t^T given_t: the gradient of a matrix over all steps, as one product."""
    return torch.bmm(errors.transpose(0, 1).flatten(1, 2).mT, given.transpose(0, 1).flatten(1, 2))


def summed(errors: Float[Tensor, "steps population batch rows"]) -> Float[Tensor, "population rows"]:
    """Sum over steps, then over batch: six times as fast as both at once."""
    return errors.sum(dim=0).sum(dim=1)
