"""Run a population: forced by data (step by step, or as independent segments), driven by inputs, or freely.

Observations lead with time: x (time + 1, population, batch, features). Strengths a (time, population) are those of each
member's forcing, truncations the steps at which its gradient ends (see `forcing`); x_hat_{t+1} = g(f(z_t)) is compared
with x_{t+1}. Where inputs (time, population, batch, inputs) drive the network, row t drives the step from z_t to
z_{t+1}: s_{t+1} of the series (`windows.driving`).
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from lyapsweep.cells import AbstractCell
from lyapsweep.cells.unrolled import drive, unroll, visible
from lyapsweep.readouts import AbstractReadout

Observations = Float[Tensor, "time_plus_one population batch features"]
Predictions = Float[Tensor, "time population batch features"]
Strengths = Float[Tensor, "time population"]
Truncations = Bool[Tensor, "time population"]
Driving = Float[Tensor, "time #population batch inputs"]


class Network(nn.Module):
    """A population of recurrent networks: a cell and a readout of its states."""

    def __init__(self, cell: AbstractCell, readout: AbstractReadout):
        super().__init__()
        self.cell, self.readout = cell, readout


def forced(
    cell: AbstractCell,
    readout: AbstractReadout,
    x: Observations,
    a: Strengths,
    truncations: Truncations | None = None,
    inputs: Driving | None = None,
) -> Predictions:
    """Predict x_1 ... x_T under forcing: by segments if all members are forced at the same steps, else step by step.

    Both give the same predictions and gradients; segments need max(interval) sequential steps instead of T. At
    `truncations` the state is kept and its gradient ends.
    """
    cuts = shared_cuts(readout, a) if truncations is None else None
    if cuts is None:
        return stepwise(cell, readout, x, a, truncations, inputs)
    return segmented(cell, readout, x, cuts, inputs)


@dataclass(frozen=True)
class Stops:
    """The steps of a window at which a forcing acts or a gradient ends, the first step included.

    `index` and `pulls` = a_t P (time, population, 1, state) lie where the states do; `replaces` and `truncates` say
    for every step whether it replaces a member's state or ends its gradient.
    """

    steps: list[int]
    index: Int[Tensor, " stops"]
    strengths: Strengths
    pulls: Tensor
    whole: Tensor
    ends: Truncations
    replaces: list[bool]
    truncates: list[bool]

    @classmethod
    def of(
        cls, readout: AbstractReadout, a: Strengths, truncations: Truncations | None, device: torch.device
    ) -> "Stops":
        """Strengths and truncations that lie on the CPU spare a GPU's host the wait for them."""
        here, placed = a.cpu(), {"device": device, "non_blocking": True}
        ends = torch.zeros_like(here, dtype=torch.bool) if truncations is None else truncations[: len(a)].cpu()
        steps = [0, *(t for t in ((here != 0) | ends).any(dim=1).nonzero().flatten().tolist() if t)]
        a = here.to(**placed)
        pulls = a[..., None, None] * readout.mask
        acts = (here == 1).any(dim=1).tolist(), ends.any(dim=1).tolist()
        return cls(steps, torch.tensor(steps).to(**placed), a, pulls, pulls == 1, ends.to(**placed), *acts)


def stepwise(
    cell: AbstractCell,
    readout: AbstractReadout,
    x: Observations,
    a: Strengths,
    truncations: Truncations | None = None,
    inputs: Driving | None = None,
) -> Predictions:
    """The definition: z = a_0 back(x_0), then z <- f(z), x_hat = g(z), z <- z + a_t P (back(x_t) - z) for each t.

    Steps without forcing or truncation of any member are unrolled together.
    """
    return stopping(cell, readout, x, Stops.of(readout, a, truncations, x.device), inputs)


def stopping(
    cell: AbstractCell, readout: AbstractReadout, x: Observations, stops: Stops, inputs: Driving | None = None
) -> Predictions:
    """`stepwise` with stops that are known."""
    targets = across_time(readout.back, x[stops.index]).unbind()
    z, states = stops.strengths[0, :, None, None] * targets[0], []
    for t, end, target in zip(stops.steps, [*stops.steps[1:], len(x) - 1], targets):
        if t and stops.truncates[t]:
            z = torch.where(stops.ends[t, :, None, None], z.detach(), z)
        if t:
            pulled = torch.lerp(z, target, stops.pulls[t].to(z.dtype))
            z = torch.where(stops.whole[t], target, pulled) if stops.replaces[t] else pulled
        states.append(onward(cell, z, t, end, inputs))
        z = states[-1][-1]
    return across_time(readout, torch.cat(states))


def onward(
    cell: AbstractCell, z: Float[Tensor, "population batch state"], t: int, end: int, inputs: Driving | None
) -> Float[Tensor, "steps population batch state"]:
    """The states z_{t+1} ... z_end from z_t without forcing."""
    if end - t == 1:
        return cell.step(z, None if inputs is None else inputs[t]).unsqueeze(0)
    return unroll(cell, z, end - t) if inputs is None else drive(cell, z, inputs[t:end])


def segmented(
    cell: AbstractCell, readout: AbstractReadout, x: Observations, cuts: list[int], inputs: Driving | None = None
) -> Predictions:
    """The same if the whole state is replaced at `cuts`: the segments between them run side by side."""
    steps, population, batch, _ = (len(x) - 1, *x.shape[1:])
    lengths = [after - before for before, after in zip(cuts, [*cuts[1:], steps])]
    z = across_time(readout.back, x[cuts]).transpose(0, 1).flatten(1, 2)
    s = None if inputs is None else beside(inputs, cuts, max(lengths))
    seen = across_time(readout, visible(cell, z, max(lengths), s)).unflatten(2, (len(cuts), batch))
    if steps == len(cuts) * lengths[0]:
        return seen.permute(2, 0, 1, 3, 4).reshape(steps, population, batch, -1)
    order = [j * len(cuts) + i for i, length in enumerate(lengths) for j in range(length)]
    return seen.transpose(1, 2).flatten(0, 1)[order]


def unforced_error(
    cell: AbstractCell,
    readout: AbstractReadout,
    x: Observations,
    inputs: Driving | None = None,
    counted: Bool[Tensor, " time_batch"] | None = None,
) -> Float[Tensor, " population"]:
    """The mean of (x_hat - x)^2 over steps, batch and features, forced at the start only.

    If `counted` is given, over the steps that it counts.
    """
    z = visible(cell, readout.back(x[0]), len(x) - 1, inputs)
    return readout.squared_error(z.transpose(0, 1).flatten(1, 2), x[1:].permute(1, 3, 0, 2).flatten(2), counted)


def beside(inputs: Driving, cuts: list[int], length: int) -> Float[Tensor, "length #population rows inputs"]:
    """The inputs of `length` steps after each cut, side by side; shorter segments do not use all of them."""
    steps = torch.tensor(cuts, device=inputs.device) + torch.arange(length, device=inputs.device)[:, None]
    return inputs[steps.clamp(max=len(inputs) - 1)].transpose(1, 2).flatten(2, 3)


def free(
    cell: AbstractCell,
    readout: AbstractReadout,
    z: Float[Tensor, "population batch state"],
    steps: int,
    inputs: Driving | None = None,
) -> tuple[Predictions, Float[Tensor, "population batch state"]]:
    """Observations of a free run of `steps` steps from z, and the state that it ends in."""
    states = unroll(cell, z, steps) if inputs is None else drive(cell, z, inputs)
    return across_time(readout, states), states[-1]


def driven(
    network: Network, inputs: Float[Tensor, "time population batch inputs"], head: str
) -> Float[Tensor, "*time population batch outputs"]:
    """The answers of networks driven by `inputs` from the zero state: of the last step, or for head `step` of each.

    z_0 = 0, z_{t+1} = f(z_t, x_t), y = g(z_T) or y_{t+1} = g(z_{t+1}). A readout of whole sequences takes all visible
    states: y = g([h_1, ..., h_T]).
    """
    cell, readout = network.cell, network.readout
    seen = visible(cell, inputs.new_zeros(*inputs.shape[1:3], cell.state), len(inputs), inputs)
    if readout.whole:
        return readout(seen.movedim(0, 2).flatten(2))
    return readout(seen[-1]) if head == "last" else across_time(readout, seen)


def shared_cuts(readout: AbstractReadout, a: Strengths) -> list[int] | None:
    """The steps at which the whole state of every member is replaced; None under any other forcing."""
    if not readout.replaces_all or not torch.equal(a, a[:, :1].expand_as(a)):
        return None
    strengths = a[:, 0].tolist()
    if strengths[0] != 1 or not set(strengths) <= {0.0, 1.0}:
        return None
    return [t for t, strength in enumerate(strengths) if strength]


def across_time(
    function, rows: Float[Tensor, "time population batch in"]
) -> Float[Tensor, "time population batch out"]:
    """Apply a function of (population, rows, in) to every step at once."""
    time, _, batch, _ = rows.shape
    return function(rows.transpose(0, 1).flatten(1, 2)).unflatten(1, (time, batch)).transpose(0, 1)
