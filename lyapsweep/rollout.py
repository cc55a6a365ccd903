"""A network in motion: forced by data (step by step, or as independent segments) or running freely.

Observations lead with time: x (time + 1, population, batch, features). Strengths a (time, population) say how hard
each member is forced at each step (see `forcing`); x_hat_{t+1} = g(f(z_t)) is compared with x_{t+1}.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lyapsweep.cells import AbstractCell
from lyapsweep.cells.unrolled import unroll, visible
from lyapsweep.readouts import AbstractReadout

Observations = Float[Tensor, "time_plus_one population batch features"]
Predictions = Float[Tensor, "time population batch features"]
Strengths = Float[Tensor, "time population"]


class Network(nn.Module):
    """A population of recurrent networks: a cell, and the read-out of its states."""

    def __init__(self, cell: AbstractCell, readout: AbstractReadout):
        super().__init__()
        self.cell, self.readout = cell, readout


def forced(cell: AbstractCell, readout: AbstractReadout, x: Observations, a: Strengths) -> Predictions:
    """Predictions of x_1 ... x_T under forcing: as segments where every member is cut at the same steps, else stepwise.

    Both give the same predictions and gradients; segments take max(interval) sequential steps instead of T.
    """
    cuts = shared_cuts(readout, a)
    return stepwise(cell, readout, x, a) if cuts is None else segmented(cell, readout, x, cuts)


def stepwise(cell: AbstractCell, readout: AbstractReadout, x: Observations, a: Strengths) -> Predictions:
    """The definition: z <- z + a_t P (back(x_t) - z), z <- f(z), x_hat = g(z), for t = 0 ... T - 1, z = back(x_0)."""
    targets = across_time(readout.back, x[:-1])
    pull = a[:, :, None, None] * readout.mask
    some, whole = (pull != 0).flatten(1).any(1).tolist(), pull == 1
    z, states = targets[0], []
    for t in range(len(targets)):
        if t and some[t]:
            z = torch.where(whole[t], targets[t], z + pull[t] * (targets[t] - z))
        z = cell.step(z)
        states.append(z)
    return across_time(readout, torch.stack(states))


def segmented(cell: AbstractCell, readout: AbstractReadout, x: Observations, cuts: list[int]) -> Predictions:
    """The same where the whole state is replaced at `cuts`: the chain breaks there, so the pieces run side by side."""
    steps, population, batch, _ = (len(x) - 1, *x.shape[1:])
    lengths = [after - before for before, after in zip(cuts, [*cuts[1:], steps])]
    z = across_time(readout.back, x[cuts]).transpose(0, 1).flatten(1, 2)
    seen = across_time(readout, visible(cell, z, max(lengths))).unflatten(2, (len(cuts), batch))
    if steps == len(cuts) * lengths[0]:
        return seen.permute(2, 0, 1, 3, 4).reshape(steps, population, batch, -1)
    order = [j * len(cuts) + i for i, length in enumerate(lengths) for j in range(length)]
    return seen.transpose(1, 2).flatten(0, 1)[order]


def free(
    cell: AbstractCell, readout: AbstractReadout, z: Float[Tensor, "population batch state"], steps: int
) -> tuple[Predictions, Float[Tensor, "population batch state"]]:
    """Observations of a free run of `steps` steps from z, and the state that it ends in."""
    states = unroll(cell, z, steps)
    return across_time(readout, states), states[-1]


def shared_cuts(readout: AbstractReadout, a: Strengths) -> list[int] | None:
    """The steps at which every member's whole state is replaced, None where some step is forced otherwise."""
    first = a[:, :1]
    if not bool(readout.mask.all()) or not bool((a == first).all()) or not bool(((first == 0) | (first == 1)).all()):
        return None
    return first[:, 0].nonzero().flatten().tolist()


def across_time(
    function, rows: Float[Tensor, "time population batch in"]
) -> Float[Tensor, "time population batch out"]:
    """Apply a function of (population, rows, in) to every step at once."""
    time, _, batch, _ = rows.shape
    return function(rows.transpose(0, 1).flatten(1, 2)).unflatten(1, (time, batch)).transpose(0, 1)
