"""What a population descends: the loss of the windows that each update draws, one number a member.

A member draws from a generator of its own, so that what it sees does not depend on its pack.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor
from torch.nn.functional import cross_entropy, mse_loss

from lyapsweep.datasets.task import Part, Task
from lyapsweep.forcing import Plan, Schedule
from lyapsweep.rollout import Network, Strengths, across_time, driven, shared_cuts, stepwise, unforced_error
from lyapsweep.windows import Segments, Windows, cut, driving, starts

CHUNK = 256  # updates whose windows are drawn at a time


class Draws:
    """The windows of every update: CHUNK updates' at a time, each member's by `draw` from its own generator."""

    def __init__(
        self,
        draw: Callable[[torch.Generator], Int[Tensor, "updates batch"]],
        generators: Sequence[torch.Generator],
        device: torch.device,
    ):
        self.draw, self.generators, self.device = draw, generators, device
        self.drawn: Int[Tensor, "updates population batch"] = torch.empty(0, len(generators), 0)

    def at(self, step: int) -> Int[Tensor, "population batch"]:
        """To be asked once for each update, in order."""
        if step % CHUNK == 0:
            self.drawn = torch.stack([self.draw(g) for g in self.generators], dim=1).to(self.device)
        return self.drawn[step % CHUNK]

    def state(self) -> dict[str, Tensor]:
        """What the updates so far have moved, the population leading."""
        return {"drawn": self.drawn.transpose(0, 1), "generators": positions(self.generators)}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go on from a `state`."""
        self.drawn = state["drawn"].transpose(0, 1).to(self.device)
        move_to(self.generators, state["generators"])


def positions(generators: Sequence[torch.Generator]) -> UInt8[Tensor, "population bytes"]:
    """Where each generator is in its stream."""
    return torch.stack([g.get_state() for g in generators])


def move_to(generators: Sequence[torch.Generator], positions: UInt8[Tensor, "population bytes"]) -> None:
    for generator, position in zip(generators, positions):
        generator.set_state(position.clone())  # of a view torch reads the wrong memory


def prolonged(series: Float[Tensor, "samples columns"], steps: int) -> Float[Tensor, "more columns"]:
    """The series, its last row again at every one of `steps` more: what runs on beyond its end, and does not count.

    Rows lie together in memory: they are cut out in a tenth of the time.
    """
    return torch.cat((series, series[-1:].expand(steps, -1))).contiguous()


class ForcedWindows:
    """Windows of a series under a forcing's schedule: L = mean over steps, windows and features of (x_hat - x)^2.

    `pieces` are the lengths of the trajectories in `series`, one after the other; of one where none are given. `inputs`
    are what drove the system at each of its samples.
    """

    def __init__(
        self,
        network: Network,
        schedule: Schedule,
        series: Float[Tensor, "samples features"],
        windows: Windows,
        generators: Sequence[torch.Generator],
        pieces: Sequence[int] = (),
        inputs: Float[Tensor, "samples inputs"] | None = None,
    ):
        self.network, self.schedule, self.windows = network, schedule, windows
        self.series = prolonged(series, windows.steps)
        self.inputs = None if inputs is None else prolonged(inputs, windows.steps)
        draw = partial(starts, windows, pieces or len(series), CHUNK)
        self.draws = Draws(draw, generators, series.device)
        self.fixed = None if schedule.fixed is None else self.segments(schedule.at(0))

    def loss(self, step: int) -> Float[Tensor, " population"]:
        """To be asked once for each update, in order."""
        cell, readout = self.network.cell, self.network.readout
        first = self.draws.at(step)
        if self.fixed is not None:
            return self.segmentwise(self.fixed, first)
        x, s = self.cut(first, self.windows.steps)
        self.schedule.adapt(step, cell, partial(across_time, readout.back, x[:-1]), s)
        plan = self.schedule.at(step)
        segments = self.segments(plan)
        if segments is not None:
            return self.segmentwise(segments, first)
        return (stepwise(cell, readout, x, *plan, s) - x[1:]).square().mean(dim=(0, 2, 3))

    def cut(self, first: Int[Tensor, "population batch"], length: int) -> tuple[Tensor, Tensor | None]:
        """The windows that begin at `first`, and what drives them."""
        return cut(self.series, first, length), driving(self.inputs, first, length)

    def segments(self, plan: Plan) -> Segments | None:
        """What windows fall into under a plan, None where they do not."""
        cuts = shared_cuts(self.network.readout, plan.strengths) if plan.truncations is None else None
        return None if cuts is None else Segments.of(cuts, self.windows, self.series.device)

    def segmentwise(self, segments: Segments, first: Int[Tensor, "population batch"]) -> Float[Tensor, " population"]:
        """The loss of windows that fall into segments."""
        cell, readout = self.network.cell, self.network.readout
        return unforced_error(cell, readout, *self.cut(segments.first(first), segments.length), segments.counted)

    def strengths(self, step: int) -> Strengths:
        """That a network is evaluated under after so many updates."""
        return self.schedule.nominal(step)

    def state(self) -> dict[str, Tensor]:
        return self.draws.state() | self.schedule.state()

    def restore(self, state: Mapping[str, Tensor]) -> None:
        self.draws.restore(state)
        self.schedule.restore(state)


class Examples:
    """One part of a task as tensors, cut into windows of `length` steps; a window is named by one number.

    Numbers count the first steps of the first sequence, then of the second, ...; `length` None is the whole sequence.
    Where targets are `held`, for so many steps, they are further inputs: at each step the target before the last
    multiple of `held` from the window's start, so that of a stream nothing of the window itself is told.
    """

    def __init__(
        self,
        task: Task,
        part: Part,
        length: int | None,
        device: torch.device | str,
        dtype: torch.dtype,
        held: int | None = None,
    ):
        inputs, targets = task.part(part)
        self.task, self.length = task, length or inputs.shape[1]
        self.codes = None if task.symbols is None else torch.eye(task.symbols, dtype=dtype, device=device)
        self.inputs = torch.as_tensor(inputs, device=device, dtype=dtype if self.codes is None else None)
        self.targets = torch.as_tensor(targets, device=device, dtype=torch.long if task.classes else dtype)
        self.mask = None if task.mask is None else torch.as_tensor(task.mask, device=device)
        self.places = inputs.shape[1] - self.length + 1
        self.held, self.least = held, int(held is not None and part == "train")  # before its first step none is known
        if held is not None:
            known = torch.as_tensor(task.train_targets[:, -1:], device=device, dtype=dtype)
            self.before = torch.cat((known, self.targets[:, :-1]), dim=1)

    def __len__(self) -> int:
        return len(self.inputs) * self.places

    @property
    def whole(self) -> Int[Tensor, " windows"]:
        """The windows that lie side by side: all the part, but for what is left over at each sequence's end."""
        first = torch.arange(0, self.places, self.length)
        return (torch.arange(len(self.inputs))[:, None] * self.places + first).flatten()

    def cut(self, windows: Int[Tensor, "*index"]) -> tuple[Tensor, Tensor, Tensor | None]:
        """Inputs (time, *index, inputs), targets and mask (time, *index), of head `last` targets (*index)."""
        sequence, first = windows // self.places, windows % self.places
        steps = first + torch.arange(self.length, device=windows.device).reshape(-1, *[1] * windows.dim())
        x = self.inputs[sequence, steps]
        x = x if self.codes is None else self.codes[x.long()]
        if self.held is not None:
            since = (steps - first) % self.held
            x = torch.cat((x, self.before[sequence, steps - since]), dim=-1)
        if self.task.head == "last":
            return x, self.targets[sequence], None
        return x, self.targets[sequence, steps], None if self.mask is None else self.mask[steps]


class DrivenWindows:
    """Windows of a task's sequences, every one equally likely, each from the zero state: the loss is the task's own.

    Steps of `windows.spin_up` do not count; conditional windows are told the target before them.
    """

    def __init__(
        self, network: Network, task: Task, windows: Windows, generators: Sequence[torch.Generator], device: str = "cpu"
    ):
        self.network, self.windows = network, windows
        self.examples = Examples(task, "train", windows.length, device, torch.get_default_dtype(), windows.held)
        ends, size = (self.examples.least, len(self.examples)), (CHUNK, windows.batch)
        draw = lambda generator: torch.randint(*ends, size, generator=generator)  # noqa: E731
        self.draws = Draws(draw, generators, self.examples.inputs.device)

    def loss(self, step: int) -> Float[Tensor, " population"]:
        """To be asked once for each update, in order."""
        x, targets, mask = self.examples.cut(self.draws.at(step))
        task, spin_up = self.examples.task, self.windows.spin_up
        answers = driven(self.network, x, task.head)
        if spin_up:
            answers, targets, mask = answers[spin_up:], targets[spin_up:], None if mask is None else mask[spin_up:]
        return window_losses(task, answers, targets, mask).mean(dim=1)

    def strengths(self, step: int) -> Strengths:
        """None: nothing is forced."""
        return torch.empty(0, self.network.cell.population)

    def state(self) -> dict[str, Tensor]:
        return self.draws.state()

    def restore(self, state: Mapping[str, Tensor]) -> None:
        self.draws.restore(state)


def window_losses(
    task: Task, answers: Tensor, targets: Tensor, mask: Tensor | None
) -> Float[Tensor, "population windows"]:
    """The loss of every window: -log softmax(answer)[class], or the squared error's mean over outputs.

    Under head `step` the mean over the window's steps; where a mask is given, over those that count (0 without any).
    """
    losses = answer_losses(task, answers, targets)
    return losses if task.head == "last" else mean_over_time(losses, mask)


def answer_losses(task: Task, answers: Tensor, targets: Tensor) -> Float[Tensor, "*time population windows"]:
    """The loss of every answer."""
    if not task.classes:
        return mse_loss(answers, targets, reduction="none").mean(dim=-1)
    flat = cross_entropy(answers.flatten(0, -2), targets.flatten(), reduction="none")
    return flat.view(targets.shape)


def window_accuracies(
    task: Task, answers: Tensor, targets: Tensor, mask: Tensor | None
) -> Float[Tensor, "population windows"]:
    """The share of every window's answers whose largest logit is that of the right class."""
    right = (answers.argmax(dim=-1) == targets).to(answers.dtype)
    return right if task.head == "last" else mean_over_time(right, mask)


def mean_over_time(values: Tensor, mask: Tensor | None) -> Tensor:
    return values.mean(dim=0) if mask is None else (values * mask).sum(dim=0) / mask.sum(dim=0).clamp(min=1)
