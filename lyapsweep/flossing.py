"""Gradient flossing: move weights before training until the leading exponents reach a target (Engelken 2023).

L = (1/k) sum_i (lambda_i - target)^2, lambda_i the mean of log |R_ii| along a short orbit, by gradient descent through
the QR of every step. With target 0 the products of Jacobians in gradients neither grow nor vanish along k directions.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import torch
from jaxtyping import Float
from torch import Tensor

from lyapsweep.cells import AbstractCell
from lyapsweep.dynamics.frames import orthonormalise
from lyapsweep.maps import States, Tangents
from lyapsweep.optimizers import Adam
from lyapsweep.setting_types import CountOrZero, Positive, Range, Seed, check_fields

ALIGNING = 0.3  # of an orbit's length: state and frame settle before exponents count (16 of 55 in the published code)


@dataclass(frozen=True)
class Flossing:
    """How the leading exponents are moved to a target before training, by Adam.

    Args:
        exponents: Number of leading exponents; 0 for no flossing.
        target: Their target, nats per step.
        steps: Number of updates.
        length: Steps of the orbit of each update, from a new random state.
        lr: Learning rate.
        clip: Largest norm of a member's gradient.
        seed: Seed of states and frames, which all members share.

    Raises:
        ValueError: If a value is out of range.

    Example:
        >>> Flossing(exponents=2).target
        0.0
    """

    exponents: CountOrZero = 0
    target: float = 0.0  # nats per step
    steps: CountOrZero = 500
    length: Annotated[int, Range(least=2)] = 55
    lr: Positive = 1e-3
    clip: Positive = 1.0
    seed: Seed = 0

    def __post_init__(self) -> None:
        check_fields(self, "flossing")

    def fit(self, state: int) -> None:
        """Raise ValueError if a state has fewer dimensions than `exponents`."""
        if self.exponents > state:
            raise ValueError(
                f"flossing/exponents <= {state} (the dimension of the cell's state) must hold, "
                f"but got {self.exponents}."
            )


def floss(cell: AbstractCell, plans: Sequence[Flossing]) -> Float[Tensor, "updates population"]:
    """Move the weights of every member in place, in double precision.

    All members share random numbers, so that a member does not depend on its pack. One whose loss or gradient is not
    finite keeps its last finite weights.

    Args:
        cell: The population.
        plans: One per member, which may differ in `target`, `lr` and `clip`.

    Returns:
        The loss of each update.

    Raises:
        ValueError: If a Jacobian has a rank below `exponents`, where QR has no derivative.
    """
    plan = plans[0]
    if not plan.exponents:
        return torch.empty(0, cell.population)
    plan.fit(cell.state)
    double = copy.deepcopy(cell).double().requires_grad_(True)
    refuse_low_rank(double, plan)
    weights = [w for w in double.parameters() if w.numel()]
    optimizers, generator = [Adam(w) for w in weights], torch.Generator().manual_seed(plan.seed)
    target, rate, clip = (weights[0].new_tensor([getattr(p, name) for p in plans]) for name in ("target", "lr", "clip"))
    alive, losses = torch.ones_like(target, dtype=torch.bool), []
    for _ in range(plan.steps):
        exponents = short(double, plan, generator)
        loss = (exponents - target[:, None]).square().mean(dim=1)
        gradients = torch.autograd.grad(loss.sum(), weights, allow_unused=True, materialize_grads=True)
        norm = torch.cat([g.flatten(1) for g in gradients], dim=1).norm(dim=1)
        alive = alive & loss.isfinite() & norm.isfinite()
        with torch.no_grad():
            for w, g, adam in zip(weights, gradients, optimizers):
                g = torch.where(along(alive, g), g * along((clip / norm).clamp(max=1), g), 0.0)
                w.addcmul_(adam(g), along(torch.where(alive, rate, 0.0), w))
        losses.append(loss.detach())
    with torch.no_grad():
        for mine, moved in zip(cell.parameters(), double.parameters()):
            mine.copy_(moved)
    return torch.stack(losses) if losses else torch.empty(0, cell.population)


def begin(cell: AbstractCell, plan: Flossing, generator: torch.Generator) -> tuple[States, Tangents]:
    """A random state and frame that all members share."""
    drawn = torch.randn(1, 1, plan.exponents + 1, cell.state, generator=generator, dtype=torch.float64)
    drawn = drawn.to(next(cell.parameters()).device).expand(cell.population, -1, -1, -1)
    return drawn[:, :, 0], orthonormalise(drawn[:, :, 1:])[0]


def short(cell: AbstractCell, plan: Flossing, generator: torch.Generator) -> Float[Tensor, "population exponents"]:
    """lambda_i of a short orbit, differentiable in the weights."""
    z, V = begin(cell, plan, generator)
    logs = []
    for _ in range(plan.length):
        z, W = cell.push(z, None, V)
        V, stretch = orthonormalise(W)
        logs.append(stretch)
    return torch.stack(logs[int(ALIGNING * plan.length) :]).mean(dim=0)[:, 0]


@torch.no_grad()
def refuse_low_rank(cell: AbstractCell, plan: Flossing) -> None:
    """Raise ValueError where a member's Jacobian, at a random state, annihilates a direction up to rounding."""
    z, V = begin(cell, plan, torch.Generator().manual_seed(plan.seed))
    sizes = orthonormalise(cell.push(z, None, V)[1])[1][:, 0].exp()
    smallest = torch.finfo(sizes.dtype).eps * cell.state * sizes.amax(dim=1, keepdim=True)
    rank = (sizes > smallest).sum(dim=1).where(sizes.isfinite().all(dim=1), plan.exponents)
    if (rank < plan.exponents).any():
        raise ValueError(
            f"flossing/exponents <= {int(rank.min())} must hold, the rank of the Jacobian of member "
            f"{int(rank.argmin())}, but got {plan.exponents}: exponents beyond it are -inf, and -inf has no derivative."
        )


def along(values: Tensor, like: Tensor) -> Tensor:
    """One value per member, broadcastable to a weight."""
    return values.reshape(-1, *[1] * (like.dim() - 1))
