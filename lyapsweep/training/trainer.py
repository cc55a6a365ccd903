"""Gradient descent on a population: members share tensors, and nothing that one does changes another.

A member whose loss or gradient is not finite is frozen with its last finite weights. Learning rate, its decay, clipping
and penalty are set per member; the data are the objective's business (`objectives`).
"""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from lyapsweep.compiled.engine import COMPILED, TORCH, engine_of
from lyapsweep.config import Config, Lyapunov, Training
from lyapsweep.optimizers import OPTIMIZERS
from lyapsweep.regularisation import Penalty
from lyapsweep.rollout import Network, Strengths
from lyapsweep.training.compiled_support import obstacle
from lyapsweep.training.gradients import flatten
from lyapsweep.training.update import GraphedUpdate, Update, fastest

READ_EVERY = 100  # updates on a GPU between two looks at who is alive, for which the host waits

log = logging.getLogger("lyapsweep")

State = Mapping[str, Tensor]
"""What updates change, by name: the population leads in every tensor but scalars, which all members share."""


@dataclass(frozen=True)
class TrainingProgress:
    """A training after `step` updates.

    Args:
        step: Updates so far.
        strengths: Forcing strengths for the evaluation.
        losses: Loss of every update so far.
        gradient_norms: Gradient norm of every update so far, before clipping.
        alive: Members whose numbers are finite.
        died_at: The update at which each member diverged, None for those alive.
        state: Returns what `train` resumes from. It holds views: copy it before the next report.
        engine: What makes the updates, "torch" or "compiled".

    Example:
        >>> alive, none = torch.ones(1, dtype=torch.bool), torch.empty(0, 1)
        >>> TrainingProgress(0, none, none, none, alive, [None]).step
        0
    """

    step: int
    strengths: Strengths
    losses: Float[Tensor, "updates population"]
    gradient_norms: Float[Tensor, "updates population"]
    alive: Bool[Tensor, " population"]
    died_at: list[int | None]
    state: Callable[[], State] = dict
    engine: str = TORCH

    def lyapunov(self, config: Config) -> Lyapunov:
        """Return how exponents are measured now: with fewer steps while a member still trains."""
        over = self.step == config.training.steps or not self.alive.any()
        return config.lyapunov if over else config.lyapunov.during()


@runtime_checkable
class Objective(Protocol):
    """A training loss per member.

    `loss` returns the loss of one update and is called once per update, in order; `strengths` returns the forcing
    strengths for an evaluation; `state` returns what updates change in it, and `restore` continues from that.

    Example:
        >>> from lyapsweep.training.objectives import DrivenWindows
        >>> all(hasattr(DrivenWindows, method) for method in ("loss", "strengths", "state", "restore"))
        True
    """

    def loss(self, step: int) -> Float[Tensor, " population"]: ...

    def strengths(self, step: int) -> Strengths: ...

    def state(self) -> State: ...

    def restore(self, state: State) -> None: ...


def train(
    network: Network,
    objective: Objective,
    plans: Sequence[Training],
    penalty: Penalty | None = None,
    state: State | None = None,
) -> Iterator[TrainingProgress]:
    """Train in place, and yield the progress before each update of `Training.reports`.

    theta <- theta - rate(t) optimizer(clip(d(L + penalty) / d theta)), for t = 0 ... steps - 1.

    Args:
        network: The population.
        objective: The loss L.
        plans: One per member; they share optimizer, steps and reports.
        penalty: Added to the loss; it is minimised but not reported.
        state: State of an earlier progress: training resumes after that report, with numbers that are bitwise those of
            a training without a break. Network and objective must be as before the first update.

    Yields:
        The progress at each report. Training ends early when no member is alive.

    Example:
        >>> weights = torch.nn.ParameterList([torch.nn.Parameter(torch.tensor([[2.0]]))])
        >>> weights.cell = weights  # a network without rates of its own
        >>> weights.cell.rates = {}
        >>> class Square:
        ...     loss = lambda self, step: (weights[0] ** 2).sum(dim=1)
        ...     strengths = lambda self, step: torch.empty(0, 1)
        ...     state = dict
        >>> [p.step for p in train(weights, Square(), [Training(steps=3, lr=0.25, optimizer="sgd")])]
        [0, 3]
    """
    trainer = Trainer(network, objective, plans[0])
    updates = make_updates(trainer, network, plans, penalty)
    trainer.engine = updates.engine
    reported = trainer.restore(state) if state else -1
    for stop in sorted(plans[0].reports):
        if stop <= reported or not trainer.remaining:
            continue
        updates.run(stop)
        if trainer.step == stop:
            yield trainer.progress()
    if not trainer.remaining:
        yield trainer.progress()


@runtime_checkable
class Updates(Protocol):
    """What makes updates: a population's loss, gradient and optimizer, on torch or compiled.

    Attributes:
        engine: "torch" or "compiled".
    """

    engine: str

    def run(self, stop: int) -> None:
        """Update from `trainer.step` until `stop` updates are made or no member is alive; record loss and norm."""


def make_updates(trainer: "Trainer", network: Network, plans: Sequence[Training], penalty: Penalty | None) -> Updates:
    """The updates of the engine that covers this training."""
    if engine_of("training", obstacle(network, trainer.objective, penalty)) == COMPILED:
        from lyapsweep.training.compiled import CompiledUpdates

        return CompiledUpdates(trainer, network, plans, penalty)
    return TorchUpdates(trainer, plans, penalty)


class TorchUpdates:
    """Updates by autograd, for any network, objective and device; on a GPU replayed from a CUDA graph if possible."""

    engine = TORCH

    def __init__(self, trainer: "Trainer", plans: Sequence[Training], penalty: Penalty | None):
        self.trainer, self.eager = trainer, Update(trainer, plans, penalty)
        self.update: Update | GraphedUpdate | None = None

    def run(self, stop: int) -> None:
        """Update until `stop` updates are made or no member is alive, which a GPU tells later."""
        trainer = self.trainer
        if trainer.step < stop and self.update is None:
            self.update = fastest(self.eager, trainer.step)
        while self.update and trainer.step < stop and trainer.remaining:
            self.update(trainer.step)
            trainer.step += 1
        trainer.read_deaths()
        if not trainer.remaining:
            trainer.step = 1 + max(d for d in trainer.died_at if d is not None)


class Trainer:
    """What changes while a population trains: weights, optimizer state, curves, and which members are alive.

    Args:
        network: The population, trained in place.
        objective: Its loss.
        plan: Optimizer and number of updates, which all members share.

    Attributes:
        step: Updates made so far.
        engine: What makes them, "torch" or "compiled".

    Example:
        >>> network = torch.nn.ParameterList([torch.nn.Parameter(torch.ones(2, 3))])  # two members of three weights
        >>> Trainer(network, None, Training(steps=1)).remaining
        2
    """

    def __init__(self, network: Network, objective: Objective, plan: Training):
        self.network, self.objective, self.step, self.engine = network, objective, 0, TORCH
        self.theta, self.weights = flatten(network)
        self.optimizer = OPTIMIZERS[plan.optimizer](self.theta)
        self.losses, self.norms = (self.theta.new_full((plan.steps, len(self.theta)), torch.nan) for _ in range(2))
        self.alive = torch.ones(len(self.theta), dtype=torch.bool, device=self.theta.device)
        self.died_at: list[int | None] = [None] * len(self.theta)
        self.read = 0  # updates whose losses have been looked at, on a GPU

    @property
    def remaining(self) -> int:
        """The number of members that are alive."""
        return self.died_at.count(None)

    def progress(self) -> TrainingProgress:
        strengths, curves = self.objective.strengths(self.step), (self.losses[: self.step], self.norms[: self.step])
        alive, died_at = self.alive.clone(), list(self.died_at)
        return TrainingProgress(self.step, strengths, *curves, alive, died_at, self.state, self.engine)

    def record(self, loss: Float[Tensor, " population"], norm: Float[Tensor, " population"]) -> None:
        """Keep loss and gradient norm of this update; members where one of them is not finite have diverged."""
        self.keep(loss, norm)
        alive = self.alive & (loss + norm < torch.inf)  # neither is negative: the sum is finite if both are
        if alive.is_cuda:
            self.alive = alive
        elif not torch.equal(alive, self.alive):
            for p in (self.alive & ~alive).nonzero().flatten().tolist():
                self.died_at[p] = self.step
            self.alive = alive

    def keep(self, loss: Float[Tensor, " population"], norm: Float[Tensor, " population"]) -> None:
        """Keep loss and gradient norm of this update."""
        self.losses[self.step], self.norms[self.step] = loss, norm
        if (self.step + 1) % READ_EVERY == 0:
            self.read_deaths(self.step + 1)

    def read_deaths(self, updates: int | None = None) -> None:
        """On a GPU, find the first of the latest updates at which each member's loss or norm was not finite."""
        done = self.step if updates is None else updates
        if not self.alive.is_cuda or done <= self.read:
            return
        lost = ~(self.losses[self.read : done] + self.norms[self.read : done] < torch.inf)
        first = torch.where(lost.any(dim=0), lost.int().argmax(dim=0) + self.read, -1).tolist()
        self.died_at = [(None if t < 0 else t) if d is None else d for d, t in zip(self.died_at, first)]
        self.read = done

    @torch.no_grad()
    def update(self, gradient: Tensor, rate: Tensor) -> None:
        """Move the weights, each at its own rate; those of members that are not alive stay."""
        if self.alive.is_cuda or self.remaining < len(self.died_at):
            gradient, rate = (torch.where(self.alive[:, None], v, 0.0) for v in (gradient, rate))
        self.theta.addcmul_(self.optimizer(gradient), rate)

    def state(self) -> State:
        self.read_deaths()
        died_at = [-1 if d is None else d for d in self.died_at]
        return {
            "step": torch.tensor(self.step),
            "compiled": torch.tensor(self.engine == COMPILED),
            "theta": self.theta.detach(),
            "losses": self.losses[: self.step].T,
            "gradient_norms": self.norms[: self.step].T,
            "died_at": torch.tensor(died_at),
            **{f"optimizer/{name}": value for name, value in self.optimizer.state.items()},
            **{f"objective/{name}": value for name, value in self.objective.state().items()},
        }

    def restore(self, state: State) -> int:
        """Continue from a `state`; return its step."""
        self.step = self.read = int(state["step"])
        if (before := COMPILED if state.get("compiled", False) else TORCH) != self.engine:
            log.warning(
                "Training began on engine '%s' and resumes on '%s': equal to rounding only.", before, self.engine
            )
        self.theta.copy_(state["theta"])  # in place: the network's parameters are views of it
        for curve, name in ((self.losses, "losses"), (self.norms, "gradient_norms")):
            curve[: self.step] = state[name].T
        self.died_at = [None if d < 0 else d for d in state["died_at"].tolist()]
        self.alive = (state["died_at"] < 0).to(self.theta.device)
        for name, value in self.optimizer.state.items():
            value.copy_(state[f"optimizer/{name}"])
        prefix = "objective/"
        self.objective.restore({k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)})
        return self.step
