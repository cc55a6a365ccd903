"""The training loss of windows of one stream that carry their state from one to the next."""

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from lyapsweep.cells.unrolled import drive, visible
from lyapsweep.datasets.task import Task
from lyapsweep.rollout import Network, Strengths, across_time
from lyapsweep.training.examples import Examples
from lyapsweep.training.losses import answer_losses, mean_over_time
from lyapsweep.training.sampling import generator_states, set_generator_states
from lyapsweep.windows import Windows


class CarriedWindows:
    """Windows of one stream in their own order; the state is carried from each to the next, its gradient is not.

    `stateful`: `batch` contiguous rows of K windows side by side, update j trains their j-th windows. `sequential`:
    one row, update j trains `batch` windows one after the other. K = steps // (batch length) updates are one pass over
    the data; then z = 0 again, and the rows start at steps that each member draws from its generator.

    Args:
        network: The population.
        task: A task of one stream.
        windows: Length, batch, policy and spin-up.
        generators: One per member.
        device: Where the data are needed.
    """

    def __init__(
        self, network: Network, task: Task, windows: Windows, generators: Sequence[torch.Generator], device: str = "cpu"
    ):
        self.network, self.windows, self.generators = network, windows, generators
        self.examples = Examples(task, "train", windows.length, device, torch.get_default_dtype())
        self.rows, self.each = (windows.batch, 1) if windows.policy == "stateful" else (1, windows.batch)
        self.updates = task.length // (windows.batch * windows.steps)

    def loss(self, step: int) -> Float[Tensor, " population"]:
        """Return the loss of one update. Call it once per update, in order."""
        update = step % self.updates
        if update == 0:
            self.start_pass()
        parts = [self.window(n) for n in range(update * self.each, (update + 1) * self.each)]
        losses, masks = torch.cat([p[0] for p in parts]), [p[1] for p in parts if p[1] is not None]
        spin_up = self.windows.spin_up if update == 0 else 0
        return mean_over_time(losses[spin_up:], torch.cat(masks)[spin_up:] if masks else None).mean(dim=1)

    def start_pass(self) -> None:
        """Set the states to zero, and draw the first step of every row."""
        cell, inputs = self.network.cell, self.examples.inputs
        row = self.updates * self.each * self.windows.steps
        spare = inputs.shape[1] - self.rows * row
        shifts = torch.cat([torch.randint(spare + 1, (1,), generator=g) for g in self.generators])
        self.first = (shifts[:, None] + row * torch.arange(self.rows)).to(inputs.device, non_blocking=True)
        self.z = next(cell.parameters()).new_zeros(cell.population, self.rows, cell.state)

    def window(self, n: int) -> tuple[Tensor, Tensor | None]:
        """Losses and mask (time, population, rows) of every row's n-th window; the state moves to its end."""
        x, targets, mask = self.examples.cut(self.first + n * self.windows.steps)
        cell, whole = self.network.cell, self.network.cell.state == self.network.cell.units
        states = visible(cell, self.z, len(x), x) if whole else drive(cell, self.z, x)  # faster, where it is the state
        self.z = states[-1].detach().contiguous()
        return answer_losses(self.examples.task, across_time(self.network.readout, states), targets), mask

    def strengths(self, step: int) -> Strengths:
        """Return no strengths: nothing is forced."""
        return torch.empty(0, len(self.generators))

    def state(self) -> dict[str, Tensor]:
        """Return the position and state of every row, the population leading."""
        return {"first": self.first, "z": self.z, "generators": generator_states(self.generators)}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Continue from a `state`."""
        self.first, self.z = (state[name].to(self.examples.inputs.device) for name in ("first", "z"))
        set_generator_states(self.generators, state["generators"])
