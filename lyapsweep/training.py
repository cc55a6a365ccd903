"""Gradient descent on a population: members share every tensor and nothing else.

A member whose loss or gradient leaves the finite numbers is frozen with its last finite weights; its neighbours do
not notice. Learning rate, its decay, the clips and penalty are a member's own; what is descended, and what each member
sees of the data, is the objective's business (`objectives`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from lyapsweep.config import Config, Lyapunov, Training
from lyapsweep.regularisation import Penalty
from lyapsweep.rollout import Network, Strengths

OPTIMIZERS = {"adam": torch.optim.Adam, "radam": torch.optim.RAdam, "sgd": torch.optim.SGD}


@dataclass(frozen=True)
class Progress:
    """Where training stands: losses and gradient norms (before clipping) of all updates so far, and who is alive."""

    step: int
    strengths: Strengths  # that a network is evaluated under
    losses: Float[Tensor, "updates population"]
    gradient_norms: Float[Tensor, "updates population"]
    alive: Bool[Tensor, " population"]
    died_at: list[int | None]

    def lyapunov(self, config: Config) -> Lyapunov:
        """How exponents are measured now: with fewer steps while some member still trains."""
        over = self.step == config.training.steps or not self.alive.any()
        return config.lyapunov if over else config.lyapunov.during()


@runtime_checkable
class Objective(Protocol):
    """What is descended: `loss` of the next update's windows, asked for in order; `strengths` of the forcing there."""

    def loss(self, step: int) -> Float[Tensor, " population"]: ...

    def strengths(self, step: int) -> Strengths: ...


def train(
    network: Network, objective: Objective, plans: Sequence[Training], penalty: Penalty | None = None
) -> Iterator[Progress]:
    """Train in place; pause before the updates of `Training.reports`. `plans`: one a member.

    What `penalty` adds to the objective's loss is descended but not reported.
    """
    plan = plans[0]
    theta, weights = flatten(network)
    optimizer = OPTIMIZERS[plan.optimizer]([theta], lr=1.0)
    (rate, decay), pace, shorten = rates(plans, theta), paces(network, weights), Clip(plans, theta)
    losses, norms = (theta.new_full((plan.steps, len(theta)), torch.nan) for _ in range(2))
    alive, died_at = torch.ones(len(theta), dtype=torch.bool, device=theta.device), [None] * len(theta)
    for step in range(plan.steps + 1):
        if step in plan.reports:
            yield Progress(step, objective.strengths(step), losses[:step], norms[:step], alive.clone(), list(died_at))
        if step == plan.steps or not alive.any():
            break
        loss = objective.loss(step)
        gradient = collect(loss if penalty is None else loss + penalty(), weights)
        norm = gradient.norm(dim=1)
        losses[step], norms[step] = loss.detach(), norm
        fine = loss.isfinite() & norm.isfinite()
        if not fine[alive].all():
            died_at = [d if d is not None or fine[p] else step for p, d in enumerate(died_at)]
        alive = alive & fine
        move(theta, optimizer, shorten(gradient, norm), alive, (rate * decay**step)[:, None] * pace)
    if not alive.any():
        yield Progress(step, objective.strengths(step), losses[:step], norms[:step], alive, list(died_at))


def flatten(network: Network) -> tuple[nn.Parameter, list[nn.Parameter]]:
    """All weights of a member in one row (population, weights); the network's own parameters become views of it."""
    weights = [w for w in network.parameters() if w.numel()]
    theta = nn.Parameter(torch.cat([w.detach().flatten(1) for w in weights], dim=1))
    for w, part in zip(weights, theta.detach().split([w[0].numel() for w in weights], dim=1)):
        w.data = part.unflatten(1, w.shape[1:])
    return theta, weights


def collect(loss: Float[Tensor, " population"], weights: list[nn.Parameter]) -> Float[Tensor, "population weights"]:
    """d loss_p / d theta_p for every member: they share no weight, so one backward pass of the sum serves all."""
    gradients = torch.autograd.grad(loss.sum(), weights, allow_unused=True)
    parts = [torch.zeros_like(w) if g is None else g for g, w in zip(gradients, weights)]
    return torch.cat([g.flatten(1) for g in parts], dim=1)


@torch.no_grad()
def move(theta: nn.Parameter, optimizer, gradient: Tensor, alive: Tensor, rate: Tensor) -> None:
    """One update with unit learning rate, scaled to each weight's own rate; members that are not alive stay put."""
    before = theta.detach().clone()
    theta.grad = torch.where(alive[:, None], gradient, 0.0)
    optimizer.step()
    theta.copy_(torch.where(alive[:, None], before + rate * (theta - before), before))


def rates(plans: Sequence[Training], theta: Tensor) -> tuple[Tensor, Tensor]:
    """Each member's first rate, and its factor per update (lr_end / lr)^(1 / steps)."""
    rate = theta.new_tensor([p.lr for p in plans])
    return rate, theta.new_tensor([((p.lr_end or p.lr) / p.lr) ** (1 / max(p.steps, 1)) for p in plans])


def paces(network: Network, weights: list[nn.Parameter]) -> Float[Tensor, "population weights"]:
    """Each weight's rate relative to its member's: what the cell says (`AbstractCell.rates`), else 1."""
    said = {id(getattr(network.cell, name)): rate for name, rate in network.cell.rates.items()}
    return torch.cat([torch.full_like(w, said.get(id(w), 1.0)).detach().flatten(1) for w in weights], dim=1)


class Clip:
    """Shortens each member's gradient to its largest norm (`clip`), then each entry to its largest size."""

    def __init__(self, plans: Sequence[Training], theta: Tensor):
        norms, sizes = ([p.clip for p in plans], [p.clip_value for p in plans])
        self.norm, self.size = (
            theta.new_tensor([float("inf") if c is None else c for c in limits])[:, None] for limits in (norms, sizes)
        )
        self.by_value = any(c is not None for c in sizes)

    def __call__(self, gradient: Float[Tensor, "population weights"], norm: Float[Tensor, " population"]) -> Tensor:
        gradient = gradient * (self.norm / norm.clamp(min=1e-30)[:, None]).clamp(max=1)
        return torch.clamp(gradient, -self.size, self.size) if self.by_value else gradient
