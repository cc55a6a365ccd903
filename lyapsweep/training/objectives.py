"""Training losses of a population: of a series under forcing, and of a task on windows from the zero state."""

from collections.abc import Mapping, Sequence
from functools import partial

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lyapsweep.datasets.task import Task
from lyapsweep.forcing import Plan, Schedule
from lyapsweep.rollout import Network, Stops, Strengths, across_time, driven, shared_cuts, stopping, unforced_error
from lyapsweep.training.examples import Examples
from lyapsweep.training.losses import window_losses
from lyapsweep.training.sampling import CHUNK, WindowSampler
from lyapsweep.windows import Segments, Windows, cut, driving, starts


class ForcedWindows:
    """Windows of a series under a forcing schedule.

    L = mean over steps, windows and features of (x_hat - x)^2.

    Args:
        network: The population.
        schedule: Forcing of every member.
        series: Training part.
        windows: Length and batch.
        generators: One per member.
        pieces: Lengths of the trajectories in `series`, one after the other; one trajectory if empty.
        inputs: What drove the system at each sample of `series`; None if nothing did.
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
        self.series = padded(series, windows.steps)
        self.inputs = None if inputs is None else padded(inputs, windows.steps)
        draw = partial(starts, windows, pieces or len(series), CHUNK)
        self.sampler = WindowSampler(draw, generators, series.device)
        self.replaces_all = network.readout.replaces_all  # read here, because a GPU's host waits for it
        self.known: dict[tuple[int, ...], Segments] = {}  # by their cuts
        self.fixed = None if schedule.fixed is None else self.course(schedule.at(0))

    def loss(self, step: int) -> Float[Tensor, " population"]:
        """Return the loss of one update. Call it once per update, in order."""
        first = self.sampler.at(step)
        if self.fixed is not None:
            return self.loss_at(first)
        self.adapt(step, first)
        return self.loss_under(self.course(self.schedule.at(step)), first)

    @property
    def repeats(self) -> bool:
        """Whether updates differ in their windows only."""
        return self.fixed is not None

    def loss_at(self, first: Int[Tensor, "population batch"]) -> Float[Tensor, " population"]:
        """Return the loss of windows that begin at `first`, if the forcing is fixed."""
        assert self.fixed is not None, "the strengths differ from update to update"
        return self.loss_under(self.fixed, first)

    def loss_under(self, course: Segments | Stops, first: Int[Tensor, "population batch"]) -> Tensor:
        """The loss of windows that begin at `first`, as segments side by side or step by step."""
        cell, readout = self.network.cell, self.network.readout
        if isinstance(course, Segments):
            return unforced_error(cell, readout, *self.cut(course.first(first), course.length), course.counted)
        x, s = self.cut(first, self.windows.steps)
        return (stopping(cell, readout, x, course, s) - x[1:]).square().mean(dim=(0, 2, 3))

    def adapt(self, step: int, first: Int[Tensor, "population batch"]) -> None:
        """Let adaptive forcings that are due follow the network, along the windows that begin at `first`."""
        if self.schedule.due(step):
            x, s = self.cut(first, self.windows.steps)
            self.schedule.adapt(step, self.network.cell, partial(across_time, self.network.readout.back, x[:-1]), s)

    def cut(self, first: Int[Tensor, "population batch"], length: int) -> tuple[Tensor, Tensor | None]:
        """The windows that begin at `first`, and what drives them."""
        return cut(self.series, first, length), driving(self.inputs, first, length)

    def course(self, plan: Plan) -> Segments | Stops:
        """The segments of a window under a plan that replaces whole states of all members at once, else its stops."""
        whole = plan.truncations is None and self.replaces_all
        cuts = shared_cuts(self.network.readout, plan.strengths) if whole else None
        if cuts is None:
            return Stops.of(self.network.readout, *plan, self.series.device)
        if tuple(cuts) not in self.known:
            self.known[tuple(cuts)] = Segments.of(cuts, self.windows, self.series.device)
        return self.known[tuple(cuts)]

    def strengths(self, step: int) -> Strengths:
        """Return the forcing strengths of evaluation after so many updates."""
        return self.schedule.nominal(step).to(self.series.device)

    def state(self) -> dict[str, Tensor]:
        """Return what updates have changed, the population leading."""
        return self.sampler.state() | self.schedule.state()

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Continue from a `state`."""
        self.sampler.restore(state)
        self.schedule.restore(state)


def padded(series: Float[Tensor, "samples columns"], steps: int) -> Float[Tensor, "more columns"]:
    """The series followed by `steps` copies of its last row, which segments may run into but which do not count."""
    return torch.cat((series, series[-1:].expand(steps, -1))).contiguous()  # rows together in memory: cut 10 x faster


class DrivenWindows:
    """Uniformly drawn windows of a task's sequences, each from the zero state; the loss is the task's own.

    The first `windows.spin_up` steps do not count. Conditional windows are given the target before them.

    Args:
        network: The population.
        task: The data.
        windows: Length, batch, policy and spin-up.
        generators: One per member.
        device: Where the data are needed.
    """

    def __init__(
        self, network: Network, task: Task, windows: Windows, generators: Sequence[torch.Generator], device: str = "cpu"
    ):
        self.network, self.windows = network, windows
        self.examples = Examples(task, "train", windows.length, device, torch.get_default_dtype(), windows.held)
        self.sampler = WindowSampler(self.draw, generators, self.examples.inputs.device)

    repeats = True

    def draw(self, generator: torch.Generator) -> Int[Tensor, "updates batch"]:
        ends = self.examples.first_window, len(self.examples)
        return torch.randint(*ends, (CHUNK, self.windows.batch), generator=generator)

    def loss(self, step: int) -> Float[Tensor, " population"]:
        """Return the loss of one update. Call it once per update, in order."""
        return self.loss_at(self.sampler.at(step))

    def loss_at(self, windows: Int[Tensor, "population batch"]) -> Float[Tensor, " population"]:
        """Return the loss of these windows."""
        x, targets, mask = self.examples.cut(windows)
        task, spin_up = self.examples.task, self.windows.spin_up
        answers = driven(self.network, x, task.head)
        if spin_up:
            answers, targets, mask = answers[spin_up:], targets[spin_up:], None if mask is None else mask[spin_up:]
        return window_losses(task, answers, targets, mask).mean(dim=1)

    def strengths(self, step: int) -> Strengths:
        """Return no strengths: nothing is forced."""
        return torch.empty(0, self.network.cell.population)

    def state(self) -> dict[str, Tensor]:
        """Return what updates have changed, the population leading."""
        return self.sampler.state()

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Continue from a `state`."""
        self.sampler.restore(state)
