"""Stacked recurrent layers as one map: layer l at time t is driven by the new hidden state of layer l - 1.

z' = [f_1(z_1, x), f_2(z_2, h_1'), ..., f_L(z_L, h_{L-1}')], h the visible part of a layer.
State: [z_1, ..., z_L].
Jacobian: block lower-triangular; its diagonal blocks are the Jacobians of the single layers.
"""

import itertools
from collections.abc import Sequence

import torch
from jaxtyping import Bool
from torch import Tensor, nn

from lyapsweep.cells.cell import AbstractCell
from lyapsweep.maps import AbstractMap, Inputs, Jacobians, States, Tangents


class Stack(nn.Module, AbstractMap):
    """Several cells of one population as one map on their concatenated states.

    Args:
        cells: The layers, the lowest first.

    Raises:
        ValueError: If a layer's `inputs` are not the `units` of the layer below, or populations differ.

    Example:
        >>> from lyapsweep.cells import Vanilla
        >>> Stack([Vanilla(2, 1, units=4), Vanilla(4, 1, units=3)]).state
        7
    """

    def __init__(self, cells: Sequence[AbstractCell]):
        super().__init__()
        for below, above in itertools.pairwise(cells):
            if above.inputs != below.units or above.population != below.population:
                raise ValueError(
                    f"A layer must take the units of the one below, in the same population, but got inputs="
                    f"{above.inputs} (population {above.population}) on units={below.units} ({below.population})."
                )
        self.cells: Sequence[AbstractCell] = nn.ModuleList(cells)  # type: ignore[assignment]
        self.inputs, self.population = cells[0].inputs, cells[0].population
        self.sizes = [cell.state for cell in cells]
        self.state = sum(self.sizes)

    @property
    def visible(self) -> Bool[Tensor, " state"]:
        """True at every layer's hidden state, False at entries that no other layer sees (an LSTM's c)."""
        return torch.cat([cell.visible for cell in self.cells])

    def step(self, z: States, x: Inputs | None = None) -> States:
        after = []
        for cell, own in zip(self.cells, z.split(self.sizes, dim=-1)):
            after.append(cell.step(own, x))
            x = after[-1][..., : cell.units]
        return torch.cat(after, dim=-1)

    def push(self, z: States, x: Inputs | None, V: Tangents) -> tuple[States, Tangents]:
        after, moved, X = [], [], None
        for cell, own, own_V in zip(self.cells, z.split(self.sizes, dim=-1), V.split(self.sizes, dim=-1)):
            state, tangents = cell.push(own, x, own_V)
            if X is not None and x is not None:
                tangents = tangents + cell.drive(own, x, X)
            after.append(state)
            moved.append(tangents)
            x, X = state[..., : cell.units], tangents[..., : cell.units]
        return torch.cat(after, dim=-1), torch.cat(moved, dim=-1)

    def jacobian(self, z: States, x: Inputs | None = None) -> Jacobians:
        J, first = z.new_zeros(*z.shape[:2], self.state, self.state), 0  # transposed: rows of tangents
        h = slice(0, 0)
        for cell, own in zip(self.cells, z.split(self.sizes, dim=-1)):
            last = first + cell.state
            J[..., first:last, first:last] = cell.jacobian(own, x).mT
            if first and x is not None:
                J[..., :first, first:last] = cell.drive(own, x, J[..., :first, h])
            x, h, first = cell.step(own, x)[..., : cell.units], slice(first, first + cell.units), last
        return J.mT
