"""One update of a population: loss, gradient, clipping, optimizer; on a GPU replayed from a CUDA graph if it can be."""

import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol, cast, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from lyapsweep.config import Training
from lyapsweep.regularisation import Penalty
from lyapsweep.training.gradients import GradientClip, collect
from lyapsweep.training.lr_schedule import LRSchedule
from lyapsweep.training.sampling import WindowSampler

if TYPE_CHECKING:
    from lyapsweep.training.trainer import Trainer

log = logging.getLogger("lyapsweep")
TRIALS = 2  # updates by which a graph is compared with the loop
LEAST = 50  # updates that are worth a graph


class Update:
    """theta <- theta - rate(t) optimizer(clip(d(L + penalty) / d theta)), launched kernel by kernel.

    Args:
        trainer: What the update changes.
        plans: Rates and clips of each member.
        penalty: Added to the loss; None for none.
    """

    def __init__(self, trainer: "Trainer", plans: Sequence[Training], penalty: Penalty | None = None):
        self.trainer, self.penalty = trainer, penalty
        self.clip, self.rate = GradientClip(plans, trainer.theta), LRSchedule(plans, trainer.network, trainer.weights)

    def __call__(self, step: int) -> None:
        """Do the update `step`."""
        loss = self.trainer.objective.loss(step)
        gradient, norm = self.gradient(loss)
        self.trainer.record(loss.detach(), norm)
        self.trainer.update(self.clip(gradient, norm), self.rate(step))

    def gradient(self, loss: Float[Tensor, " population"]) -> tuple[Tensor, Float[Tensor, " population"]]:
        """The gradient of loss and penalty, and its norm."""
        gradient = collect(loss if self.penalty is None else loss + self.penalty(), self.trainer.weights)
        return gradient, gradient.norm(dim=1)


@runtime_checkable
class RepeatingObjective(Protocol):
    """An objective whose updates differ in their windows only."""

    sampler: WindowSampler

    def loss_at(self, windows: Tensor, /) -> Float[Tensor, " population"]: ...


class GraphedUpdate:
    """An update in one launch: a CUDA graph of the loop's kernels, for objectives whose updates differ in windows only.

    Windows and rates are copied into the graph's own tensors before a replay, losses and norms out of them after it.

    Args:
        eager: The update.
        step: The next update; its windows serve as the example.

    Raises:
        RuntimeError: If CUDA cannot capture a kernel, or a replay does not give the bits of the loop.
    """

    def __init__(self, eager: Update, step: int):
        self.eager, self.trainer = eager, eager.trainer
        self.objective = cast("RepeatingObjective", eager.trainer.objective)
        self.windows, self.rate = self.objective.sampler.at(step).clone(), eager.rate(step).clone()
        self.norm = self.loss = torch.zeros(len(self.trainer.theta), device=self.trainer.theta.device)
        before = copies(self.trainer)
        expected = self.outcome(self.kernels, before)
        self.graph = self.capture()
        found = self.outcome(self.graph.replay, before)
        if not all(bool(((a == b) | (a.isnan() & b.isnan())).all()) for a, b in zip(found, expected)):
            worst = max(float((a.double() - b.double()).abs().max()) for a, b in zip(found, expected))
            raise RuntimeError(f"a replay differs from the loop by {worst:.1e}")

    def kernels(self) -> None:
        """What the graph holds."""
        loss = self.objective.loss_at(self.windows)
        gradient, norm = self.eager.gradient(loss)
        self.loss, self.norm = loss.detach(), norm
        self.trainer.alive &= self.loss + norm < torch.inf
        self.trainer.update(self.eager.clip(gradient, norm), self.rate)

    def capture(self) -> Any:
        """The graph, after a rehearsal on a stream of its own, in which libraries allocate what they need."""
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(TRIALS):
                self.kernels()
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self.kernels()
        return graph

    def outcome(self, update: Callable[[], None], before: list[Tensor]) -> list[Tensor]:
        """What some updates from `before` lead to; the state is `before` again afterwards."""
        set_back(self.trainer, before)
        for _ in range(TRIALS):
            update()
        made = [*copies(self.trainer), self.loss.clone(), self.norm.clone()]
        set_back(self.trainer, before)
        return made

    def __call__(self, step: int) -> None:
        """Do the update `step`."""
        self.windows.copy_(self.objective.sampler.at(step))
        if self.eager.rate.decay is not None:
            self.rate.copy_(self.eager.rate(step))
        self.graph.replay()
        self.trainer.keep(self.loss, self.norm)


def changing(trainer: "Trainer") -> list[Tensor]:
    """The tensors that an update changes in place."""
    return [trainer.theta, trainer.alive, *trainer.optimizer.state.values()]


def copies(trainer: "Trainer") -> list[Tensor]:
    return [t.clone() for t in changing(trainer)]


@torch.no_grad()
def set_back(trainer: "Trainer", before: list[Tensor]) -> None:
    for t, value in zip(changing(trainer), before):
        t.copy_(value)


def fastest(update: Update, step: int) -> Update | GraphedUpdate:
    """Return the update as a graph where the device and the objective allow it, else as it is.

    Args:
        update: The update.
        step: The update that comes next.

    Returns:
        An update that gives the same bits.
    """
    trainer, objective = update.trainer, update.trainer.objective
    on_host = any(not t.is_cuda for t in trainer.optimizer.state.values())  # a counter that a graph would freeze
    few = len(trainer.losses) - step < LEAST
    if not trainer.theta.is_cuda or on_host or few or not getattr(objective, "repeats", False):
        return update
    before = copies(trainer)
    try:
        return GraphedUpdate(update, step)
    except Exception as error:  # CUDA, cuBLAS and torch raise many types
        log.warning("training: no CUDA graph of the update (%s). Kernels are launched one by one.", error)
        set_back(trainer, before)
        return update
