"""Evaluate networks of one stream by how windows begin: from zero, unbroken, or in closed loop.

Of a window that begins at step s, `reset` starts at z_s = 0, `unbroken` at the last state of the window before, and the
closed loop at z_s = 0 with the answer y_{s-1} as a further input. No window is given its own targets.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from lyapsweep.cells.unrolled import drive
from lyapsweep.datasets.task import Task
from lyapsweep.evaluation.evaluation import NUMBERS
from lyapsweep.maps import AbstractMap, Inputs, States, Tangents, autodiff_push
from lyapsweep.rollout import Network, across_time, driven
from lyapsweep.training.examples import Examples
from lyapsweep.training.losses import answer_losses
from lyapsweep.windows import Windows


class Scores(NamedTuple):
    """Loss of every answer (time, population, windows), and whether it is right (no windows without classes)."""

    losses: Tensor
    right: Tensor


Answers = Iterator[tuple[Tensor, Tensor]]
"""Answers (time, population, windows, outputs) and their targets, some windows at a time."""


@torch.no_grad()
def stream_scores(network: Network, task: Task, windows: Windows) -> dict[str, Scores]:
    """Scores of the test windows by how they begin: `own` as the policy says, `reset`, and `unbroken`.

    Conditional windows run in closed loop; their `reset` is given the true target before it in place of the answer,
    and they have no `unbroken`. Every step counts.
    """
    device, length = next(network.parameters()).device, min(windows.steps, task.test_inputs.shape[1])
    examples = Examples(task, "test", length, device, torch.float64, windows.held and length)
    found = {"reset": score(task, reset(network, examples))}
    if windows.held:
        return found | {"own": score(task, closed_loop(network, examples))}
    found["unbroken"] = score(task, unbroken(network, examples))
    return found | {"own": found["unbroken" if windows.carried else "reset"]}


def score(task: Task, answers: Answers) -> Scores:
    losses, right = [], []
    for answer, targets in answers:
        losses.append(answer_losses(task, answer, targets))
        right.append((answer.argmax(dim=-1) == targets).double() if task.classes else losses[-1][:0])
    return Scores(torch.cat(losses, dim=-1), torch.cat(right, dim=-1))


def reset(network: Network, examples: Examples) -> Answers:
    """Every window from the zero state."""
    cell = network.cell
    chunk = max(1, NUMBERS // (examples.length * cell.population * cell.state))
    for windows in examples.whole.to(examples.inputs.device).split(chunk):
        x, targets, _ = examples.cut(windows.expand(cell.population, -1))
        yield driven(network, x, "step"), targets


def unbroken(network: Network, examples: Examples) -> Answers:
    """One pass from the zero state at the first step of the first window."""
    cell, z = network.cell, None
    for window in examples.whole.to(examples.inputs.device).split(1):
        x, targets, _ = examples.cut(window.expand(cell.population, -1))
        states = drive(cell, x.new_zeros(*x.shape[1:3], cell.state) if z is None else z, x)
        z = states[-1]
        yield across_time(network.readout, states), targets


def closed_loop(network: Network, examples: Examples) -> Answers:
    """Every window from the zero state, given the last answer before it; the first, the last training target."""
    answers = None
    for window in examples.whole.to(examples.inputs.device).split(1):
        x, targets, _ = examples.cut(window.expand(network.cell.population, -1))
        if answers is not None:
            x = torch.cat((x[..., : examples.task.inputs], answers[-1].expand(len(x), -1, -1, -1)), dim=-1)
        answers = driven(network, x, "step")
        yield answers, targets


class SegmentMap(AbstractMap):
    """y_{k+1} = G(y_k, X_k): a conditional network's answer after one window, from the answer before it.

    Inside a window z = 0, z <- f(z, [x_t, y_k]) for each step, and G = g(z). Exponents, in nats per window, are
    negative where the closed loop forgets a wrong answer (Xu et al. 2023). The push is by autodiff.

    Args:
        network: The population.
        length: Time steps of a window.
        outputs: Dimension of the state y; an input row holds the inputs of all steps of the window.
    """

    def __init__(self, network: Network, length: int, outputs: int):
        self.network, self.length = network, length
        self.population, self.state = network.cell.population, outputs
        self.dt = None if network.cell.dt is None else network.cell.dt * length

    def step(self, z: States, x: Inputs | None = None) -> States:
        assert x is not None, "the map of a window needs the inputs of the window"
        cell, hidden = self.network.cell, z.new_zeros(*z.shape[:2], self.network.cell.state)
        for now in x.chunk(self.length, dim=-1):
            hidden = cell.step(hidden, torch.cat((now, z), dim=-1))
        return self.network.readout(hidden)

    def push(self, z: States, x: Inputs | None, V: Tangents) -> tuple[States, Tangents]:
        return autodiff_push(self.step, z, x, V)
