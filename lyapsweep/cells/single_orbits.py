"""A few orbits of a cell by compiled loops, where calls of torch would cost more than their arithmetic."""

import numpy as np
import torch
from torch import Tensor

from lyapsweep.cells.cell import AbstractCell
from lyapsweep.compiled.elementwise import Elementwise, statement_of
from lyapsweep.compiled.engine import COMPILED, engine_of
from lyapsweep.maps import States

FEW, LONG = 3, 50  # orbits up to which, and steps from which compiled loops are used


def statement_for(cell: AbstractCell, z: States, steps: int) -> Elementwise | None:
    """The statement of a cell if compiled loops are to compute this orbit: in double precision, on a CPU."""
    statement = statement_of(cell)
    if statement is None or statement.bend_parameters or statement.inner is not None or steps < LONG:
        return None
    if z.is_cuda or z.dtype != torch.float64 or z.shape[0] * z.shape[1] > FEW:
        return None
    return statement if engine_of("an orbit", None) == COMPILED else None


def single_orbits(cell: AbstractCell, statement: Elementwise, z: States, fed: Tensor | None, steps: int) -> Tensor:
    """The states after 1 ... `steps` steps, (steps, population, batch, state); `fed` replaces the biases."""
    from lyapsweep.compiled.orbits import compiled_orbit

    n, rows = cell.units, statement.rows
    factors = cell.jacobian_factors(z[:, :1], None)
    assert factors is not None
    states = z.new_empty(*z.shape[:2], steps + 1, z.shape[2])
    states[:, :, 0] = z
    A, u = np.empty((max(rows, statement.kept), n)), np.empty(factors.W.shape[2])
    for p in range(len(z)):
        W = np.ascontiguousarray(factors.W[p].detach().mT.numpy())
        own = [getattr(cell, name) for name in statement.parameters]
        parameters = np.array([np.broadcast_to(v[p].numpy() if isinstance(v, Tensor) else v, n) for v in own])
        biases = torch.cat([getattr(cell, name)[p] for name in statement.biases]).view(1, rows, n)
        for b in range(z.shape[1]):
            added = biases if fed is None else fed[:, p, b].reshape(-1, rows, n)
            run = compiled_orbit(statement)
            run(
                W,
                statement.gates,
                added.contiguous().numpy(),
                parameters.reshape(-1, n),
                states[p, b].view(-1, statement.parts, n).numpy(),
                A,
                u,
                np.zeros((0, 1, 1)),
            )
    return states[:, :, 1:].movedim(2, 0)
