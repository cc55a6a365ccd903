"""Gradient descent on a population: members share every tensor and nothing else.

A member whose loss or gradient leaves the finite numbers is frozen with its last finite weights; its neighbours do
not notice. Learning rate, its decay, the clips and penalty are a member's own; what is descended, and what each member
sees of the data, is the objective's business (`objectives`).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from lyapsweep.config import Config, Lyapunov, Training
from lyapsweep.optimizers import OPTIMIZERS
from lyapsweep.regularisation import Penalty
from lyapsweep.rollout import Network, Strengths

State = Mapping[str, Tensor]
"""What moves, by its name: the population leads in every tensor but those without axes, which all members share."""


@dataclass(frozen=True)
class Progress:
    """Where training stands: losses and gradient norms (before clipping) of all updates so far, and who is alive.

    `state()` is what `train` goes on from; it holds views, and is to be kept before the next report is asked for.
    """

    step: int
    strengths: Strengths  # that a network is evaluated under
    losses: Float[Tensor, "updates population"]
    gradient_norms: Float[Tensor, "updates population"]
    alive: Bool[Tensor, " population"]
    died_at: list[int | None]
    state: Callable[[], State] = dict

    def lyapunov(self, config: Config) -> Lyapunov:
        """How exponents are measured now: with fewer steps while some member still trains."""
        over = self.step == config.training.steps or not self.alive.any()
        return config.lyapunov if over else config.lyapunov.during()


@runtime_checkable
class Objective(Protocol):
    """What is descended: `loss` of the next update's windows, asked for in order; `strengths` of the forcing there.

    `state` is all that the updates so far have moved in it, and what `restore` takes back.
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
) -> Iterator[Progress]:
    """Train in place; pause before the updates of `Training.reports`. `plans`: one a member.

    What `penalty` adds to the objective's loss is descended but not reported. From the `state` of a Progress it goes on
    after that report, with a network and an objective that are as they were before the first update, and comes to the
    same numbers to the last bit.
    """
    plan, told = plans[0], -1
    descent = Descent(network, objective, plan)
    weights, shorten, rate = descent.weights, Clip(plans, descent.theta), Rates(plans, network, descent.weights)
    if state:
        told = descent.restore(state)
    for step in range(descent.step, plan.steps + 1):
        descent.step = step
        if step in plan.reports and step > told:
            yield descent.progress()
        if step == plan.steps or not descent.left:
            break
        loss = objective.loss(step)
        gradient = collect(loss if penalty is None else loss + penalty(), weights)
        norm = gradient.norm(dim=1)
        descent.note(loss.detach(), norm)
        descent.move(shorten(gradient, norm), rate(step))
    if not descent.left:
        yield descent.progress()


class Descent:
    """What moves while a population trains: weights, the optimizer, curves, who is alive. `step` updates are made."""

    def __init__(self, network: Network, objective: Objective, plan: Training):
        self.objective, self.step = objective, 0
        self.theta, self.weights = flatten(network)
        self.optimizer = OPTIMIZERS[plan.optimizer](self.theta)
        self.losses, self.norms = (self.theta.new_full((plan.steps, len(self.theta)), torch.nan) for _ in range(2))
        self.alive = torch.ones(len(self.theta), dtype=torch.bool, device=self.theta.device)
        self.died_at: list[int | None] = [None] * len(self.theta)

    @property
    def left(self) -> int:
        """How many members are alive."""
        return self.died_at.count(None)

    def progress(self) -> Progress:
        strengths, curves = self.objective.strengths(self.step), (self.losses[: self.step], self.norms[: self.step])
        return Progress(self.step, strengths, *curves, self.alive.clone(), list(self.died_at), self.state)

    def note(self, loss: Float[Tensor, " population"], norm: Float[Tensor, " population"]) -> None:
        """Loss and gradient norm of this update; a member where one of them is not finite has ended."""
        self.losses[self.step], self.norms[self.step] = loss, norm
        alive = self.alive & (loss + norm < torch.inf)  # neither is negative: what is not finite stays so in the sum
        if not torch.equal(alive, self.alive):
            for p in (self.alive & ~alive).nonzero().flatten().tolist():
                self.died_at[p] = self.step
            self.alive = alive

    @torch.no_grad()
    def move(self, gradient: Tensor, rate: Tensor) -> None:
        """One update at each weight's own rate; members that are not alive stay put."""
        if self.left < len(self.died_at):
            gradient, rate = (torch.where(self.alive[:, None], v, 0.0) for v in (gradient, rate))
        self.theta.addcmul_(self.optimizer(gradient), rate)

    def state(self) -> State:
        died_at = [-1 if d is None else d for d in self.died_at]
        return {
            "step": torch.tensor(self.step),
            "theta": self.theta.detach(),
            "losses": self.losses[: self.step].T,
            "gradient_norms": self.norms[: self.step].T,
            "died_at": torch.tensor(died_at),
            **{f"optimizer/{name}": value for name, value in self.optimizer.state.items()},
            **{f"objective/{name}": value for name, value in self.objective.state().items()},
        }

    def restore(self, state: State) -> int:
        """Take a state back; its step."""
        self.step = int(state["step"])
        self.theta.copy_(state["theta"])  # in place: the network's parameters are views of it
        for curve, name in ((self.losses, "losses"), (self.norms, "gradient_norms")):
            curve[: self.step] = state[name].T
        self.died_at = [None if d < 0 else d for d in state["died_at"].tolist()]
        self.alive = (state["died_at"] < 0).to(self.theta.device)
        for name, value in self.optimizer.state.items():
            value.copy_(state[f"optimizer/{name}"])
        self.objective.restore(part(state, "objective/"))
        return self.step


def part(state: State, prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}


def flatten(network: Network) -> tuple[Tensor, list[nn.Parameter]]:
    """All weights of a member in one row (population, weights); the network's own parameters become views of it."""
    weights = [w for w in network.parameters() if w.numel()]
    theta = torch.cat([w.detach().flatten(1) for w in weights], dim=1)
    for w, part in zip(weights, theta.split([w[0].numel() for w in weights], dim=1)):
        w.data = part.unflatten(1, w.shape[1:])
    return theta, weights


def collect(loss: Float[Tensor, " population"], weights: list[nn.Parameter]) -> Float[Tensor, "population weights"]:
    """d loss_p / d theta_p for every member: they share no weight, so one backward pass of the sum serves all."""
    gradients = torch.autograd.grad(loss, weights, torch.ones_like(loss), allow_unused=True)
    parts = [torch.zeros_like(w) if g is None else g for g, w in zip(gradients, weights)]
    return torch.cat([g.flatten(1) for g in parts], dim=1)


class Rates:
    """Each weight's rate at an update: lr (lr_end / lr)^(step / steps) of its member, times what the cell says of it.

    What the cell says is `AbstractCell.rates`, else 1.
    """

    def __init__(self, plans: Sequence[Training], network: Network, weights: list[nn.Parameter]):
        said = {id(getattr(network.cell, name)): rate for name, rate in network.cell.rates.items()}
        paces = torch.cat([torch.full_like(w, said.get(id(w), 1.0)).detach().flatten(1) for w in weights], dim=1)
        self.first = paces.new_tensor([p.lr for p in plans])[:, None] * paces
        factors = [((p.lr_end or p.lr) / p.lr) ** (1 / max(p.steps, 1)) for p in plans]
        self.decay = None if set(factors) == {1.0} else paces.new_tensor(factors)[:, None]

    def __call__(self, step: int) -> Float[Tensor, "population weights"]:
        return self.first if self.decay is None else self.first * self.decay**step


class Clip:
    """Shortens each member's gradient to its largest norm (`clip`), then each entry to its largest size."""

    def __init__(self, plans: Sequence[Training], theta: Tensor):
        norms, sizes = ([p.clip for p in plans], [p.clip_value for p in plans])
        self.norm, self.size = (
            theta.new_tensor([float("inf") if c is None else c for c in limits])[:, None] for limits in (norms, sizes)
        )
        self.by_norm, self.by_value = (any(c is not None for c in limits) for limits in (norms, sizes))

    def __call__(self, gradient: Float[Tensor, "population weights"], norm: Float[Tensor, " population"]) -> Tensor:
        if self.by_norm:
            gradient = gradient * (self.norm / norm.clamp(min=1e-30)[:, None]).clamp(max=1)
        return torch.clamp(gradient, -self.size, self.size) if self.by_value else gradient
