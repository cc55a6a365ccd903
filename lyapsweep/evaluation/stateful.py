"""One long stream in windows whose states or answers go on from one to the next: how it is trained on, and examined.

Of a window that begins at step s, `reset` starts at z_s = 0, `unbroken` at the last state of the window before, and the
closed loop at z_s = 0 with the answer y_{s-1} as a further input. Nothing of the window's own targets is told.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from lyapsweep.cells.unrolled import drive, visible
from lyapsweep.config.parsing import ConfigError
from lyapsweep.datasets.task import Task
from lyapsweep.maps import AbstractMap, Inputs, States, Tangents, autodiff_push
from lyapsweep.rollout import Network, Strengths, across_time, driven
from lyapsweep.training.objectives import Examples, answer_losses, mean_over_time, move_to, positions
from lyapsweep.windows import Windows

NUMBERS = 10_000_000  # of states held at a time


def fit_windows(windows: Windows, task: Task) -> None:
    """Raise `ConfigError` where windows cannot follow each other, or begin with what is not there."""
    policy, length, steps = windows.policy, windows.length, windows.batch * windows.steps
    if policy != "random" and not (task.stream and task.head == "step"):
        raise ConfigError(
            f"windows/policy must be random for {task.source}, whose sequences do not follow each other, but is "
            f"'{policy}': the others take one long stream that asks at every step."
        )
    if windows.spin_up and (task.head == "last" or length is None):
        raise ConfigError(f"windows/spin_up must be 0 for {task.source}, which asks once, but is {windows.spin_up}.")
    if windows.carried and steps > task.length:
        raise ConfigError(
            f"windows/batch x windows/length <= {task.length} steps of {task.source} must hold, but got "
            f"{windows.batch} x {length}: windows that follow each other do not overlap. Shorten one of them."
        )
    if windows.held and (task.classes or windows.held >= task.length):
        raise ConfigError(
            f"windows/policy 'conditional' needs answers that are numbers and more than windows/length steps, but "
            f"{task.source} has {task.loss} over {task.length} steps, and length is {length}."
        )


class CarriedWindows:
    """Windows of one stream in their own order: z carried from each to the next, without its gradient.

    `stateful`: `batch` contiguous streams of K windows side by side, update j trains their j-th. `sequential`: update j
    trains `batch` windows one after the other, z <- stop(z) between them. After K updates, K = steps // (batch length),
    the data are through: z = 0 again, and the steps that were left over lie elsewhere, as each member's generator says.
    """

    def __init__(
        self, network: Network, task: Task, windows: Windows, generators: Sequence[torch.Generator], device: str = "cpu"
    ):
        self.network, self.windows, self.generators = network, windows, generators
        self.examples = Examples(task, "train", windows.length, device, torch.get_default_dtype())
        self.rows, self.each = (windows.batch, 1) if windows.policy == "stateful" else (1, windows.batch)
        self.updates = task.length // (windows.batch * windows.steps)

    def loss(self, step: int) -> Float[Tensor, " population"]:
        """To be asked once for each update, in order."""
        update = step % self.updates
        if update == 0:
            self.begin()
        parts = [self.window(n) for n in range(update * self.each, (update + 1) * self.each)]
        losses, masks = torch.cat([p[0] for p in parts]), [p[1] for p in parts if p[1] is not None]
        counted = self.windows.spin_up if update == 0 else 0
        return mean_over_time(losses[counted:], torch.cat(masks)[counted:] if masks else None).mean(dim=1)

    def begin(self) -> None:
        """Zero states, and the first step of every row."""
        cell, inputs = self.network.cell, self.examples.inputs
        row = self.updates * self.each * self.windows.steps
        spare = inputs.shape[1] - self.rows * row
        shifts = torch.cat([torch.randint(spare + 1, (1,), generator=g) for g in self.generators])
        self.first = (shifts[:, None] + row * torch.arange(self.rows)).to(inputs.device)
        self.z = next(cell.parameters()).new_zeros(cell.population, self.rows, cell.state)

    def window(self, n: int) -> tuple[Tensor, Tensor | None]:
        """Losses and mask (time, population, rows) of every row's n-th window; the state moves on to its end."""
        x, targets, mask = self.examples.cut(self.first + n * self.windows.steps)
        cell, whole = self.network.cell, self.network.cell.state == self.network.cell.units
        states = visible(cell, self.z, len(x), x) if whole else drive(cell, self.z, x)  # faster, where it is the state
        self.z = states[-1].detach().contiguous()
        return answer_losses(self.examples.task, across_time(self.network.readout, states), targets), mask

    def strengths(self, step: int) -> Strengths:
        """None: nothing is forced."""
        return torch.empty(0, len(self.generators))

    def state(self) -> dict[str, Tensor]:
        """Where every row is in its data, with which state, the population leading."""
        return {"first": self.first, "z": self.z, "generators": positions(self.generators)}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go on from a `state`."""
        self.first, self.z = (state[name].to(self.examples.inputs.device) for name in ("first", "z"))
        move_to(self.generators, state["generators"])


class Scores(NamedTuple):
    """Of every answer of each window: its loss (time, population, windows), and whether it is right (of classes)."""

    losses: Tensor
    right: Tensor


Answers = Iterator[tuple[Tensor, Tensor]]
"""Answers (time, population, windows, outputs) and their targets, some windows at a time."""


@torch.no_grad()
def examined(network: Network, task: Task, windows: Windows) -> dict[str, Scores]:
    """The test part's windows side by side, by how they begin: `own` as the policy says, `reset`, and `unbroken`.

    Conditional windows run in closed loop: `reset` tells them the true target instead of their own answer, and there is
    no `unbroken`. Every step counts.
    """
    device, length = next(network.parameters()).device, min(windows.steps, task.test_inputs.shape[1])
    examples = Examples(task, "test", length, device, torch.float64, windows.held and length)
    found = {"reset": scored(task, reset(network, examples))}
    if windows.held:
        return found | {"own": scored(task, closed_loop(network, examples))}
    found["unbroken"] = scored(task, unbroken(network, examples))
    return found | {"own": found["unbroken" if windows.carried else "reset"]}


def scored(task: Task, answers: Answers) -> Scores:
    losses, right = [], []
    for answer, targets in answers:
        losses.append(answer_losses(task, answer, targets))
        right.append((answer.argmax(dim=-1) == targets).double() if task.classes else losses[-1][:0])
    return Scores(torch.cat(losses, dim=-1), torch.cat(right, dim=-1))


def reset(network: Network, examples: Examples) -> Answers:
    """Every window from the zero state."""
    cell = network.cell
    some = max(1, NUMBERS // (examples.length * cell.population * cell.state))
    for windows in examples.whole.to(examples.inputs.device).split(some):
        x, targets, _ = examples.cut(windows.expand(cell.population, -1))
        yield driven(network, x, "step"), targets


def unbroken(network: Network, examples: Examples) -> Answers:
    """One pass from the zero state at the first window's first step."""
    cell, z = network.cell, None
    for window in examples.whole.to(examples.inputs.device).split(1):
        x, targets, _ = examples.cut(window.expand(cell.population, -1))
        states = drive(cell, x.new_zeros(*x.shape[1:3], cell.state) if z is None else z, x)
        z = states[-1]
        yield across_time(network.readout, states), targets


def closed_loop(network: Network, examples: Examples) -> Answers:
    """Every window from the zero state, told the last answer before it: of the first, the last training target."""
    answers = None
    for window in examples.whole.to(examples.inputs.device).split(1):
        x, targets, _ = examples.cut(window.expand(network.cell.population, -1))
        if answers is not None:
            x = torch.cat((x[..., : examples.task.inputs], answers[-1].expand(len(x), -1, -1, -1)), dim=-1)
        answers = driven(network, x, "step")
        yield answers, targets


class SegmentMap(AbstractMap):
    """y_{k+1} = G(y_k, X_k): a conditional network's answer after one window, from the answer before it.

    The state is y (outputs); the input row holds the window's inputs one step after the other (length inputs). Inside,
    z = 0, and z <- f(z, [x_t, y_k]) for each step; G = g(z). Its exponents, in nats per window, say whether the closed
    loop forgets a wrong answer (Xu et al. 2023). The push is by autodiff.
    """

    def __init__(self, network: Network, length: int, outputs: int):
        self.network, self.length = network, length
        self.population, self.state = network.cell.population, outputs
        self.dt = None if network.cell.dt is None else network.cell.dt * length

    def step(self, z: States, x: Inputs | None = None) -> States:
        assert x is not None, "a window's map needs the inputs of the window"
        cell, hidden = self.network.cell, z.new_zeros(*z.shape[:2], self.network.cell.state)
        for now in x.chunk(self.length, dim=-1):
            hidden = cell.step(hidden, torch.cat((now, z), dim=-1))
        return self.network.readout(hidden)

    def push(self, z: States, x: Inputs | None, V: Tangents) -> tuple[States, Tangents]:
        return autodiff_push(self.step, z, x, V)
