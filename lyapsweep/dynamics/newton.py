"""Moving candidates to where a map moves least: Adam, then Newton's method with steps of least norm."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from lyapsweep.maps import AbstractMap, Inputs, Jacobians, States, can_batch

ConstantInput = Float[Tensor, "population inputs"]
Column = Float[Tensor, "population batch state 1"]
Candidates = Float[Tensor, "population batch"]
Progress = Callable[[str, int, int], None]
"""Called with the stage ("adam", "newton"), the steps done and their limit."""

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-12  # of Adam
FINAL_RATE = 1e-4  # of Adam, relative to its first rate
DAMPING, DAMPING_DECREASE, DAMPING_INCREASE, MAX_DAMPING = 1e-3, 0.1, 10.0, 1e3  # relative to || J - I ||^2
MIN_DECREASE = 1e-4  # relative decrease of q below which undamped Newton steps end
ROUNDING = 16  # speed that rounding alone can cause, in units in the last place of the state
MAX_ENTRIES = 2**23  # of the Jacobians formed at a time


@dataclass(frozen=True)
class Search:
    """Settings of a search for fixed and slow points, with q = || f(z) - z ||^2 / 2 (not divided by the state's size).

    Args:
        candidates: Number of visited states from which the search starts.
        noise: Size of their displacement, in spreads of the visited states.
        tolerance: Fixed points have q <= tolerance, or as little as rounding allows.
        slow: Slow points have q <= slow.
        near: Slow points within this distance of a fixed point are dropped, in spreads.
        radius: Points within this distance of each other are one point, in the state's own unit.
        reach: Points farther from the centroid of the visited states are counted and dropped, in mean distances.
        adam: Largest number of Adam steps.
        rate: Smallest of the candidates' first rates, in spreads.
        fastest: Largest of the candidates' first rates, in spreads.
        newton: Largest number of Newton steps.
        seed: Seed of the candidates.

    Raises:
        ValueError: If a setting is out of its range.

    Example:
        >>> Search(candidates=64).adam
        300
    """

    candidates: int = 256
    noise: float = 0.0
    tolerance: float = 1e-20
    slow: float = 1e-8
    near: float = 0.01
    radius: float = 1e-4
    reach: float = 10.0
    adam: int = 300
    rate: float = 0.05
    fastest: float = 1.0
    newton: int = 100
    seed: int = 0

    def __post_init__(self) -> None:
        for name, low in (("candidates", 1), ("noise", 0), ("adam", 0), ("newton", 0), ("radius", 0), ("near", 0)):
            if not getattr(self, name) >= low:
                raise ValueError(f"Search: {name} >= {low} must hold, but got {getattr(self, name)}. Change {name}.")
        for name in ("tolerance", "slow", "reach", "rate"):
            if not getattr(self, name) > 0:
                raise ValueError(f"Search: {name} > 0 must hold, but got {getattr(self, name)}. Change {name}.")
        for name in ("noise", "tolerance", "slow", "radius", "near"):
            if getattr(self, name) == math.inf:
                raise ValueError(f"Search: {name} must be finite. Change {name}.")
        if not self.rate <= self.fastest < math.inf:
            raise ValueError(
                f"Search: rate={self.rate} is above fastest={self.fastest}. Give a finite fastest >= rate."
            )


def half_squared_speed(map: AbstractMap, z: States, x: Inputs | None) -> Candidates:
    """q = || f(z, x) - z ||^2 / 2."""
    return 0.5 * (map.step(z, x) - z).square().sum(dim=-1)


def broadcast(constant: ConstantInput | None, z: States) -> Inputs | None:
    """x* for every candidate."""
    return None if constant is None else constant.unsqueeze(1).expand(-1, z.shape[1], -1)


class FirstSlow:
    """The state of each candidate, and its q, when it first was slow; q is infinite until then."""

    def __init__(self, z: States, slow: float):
        self.z, self.q, self.slow = z.clone(), torch.full_like(z[..., 0], torch.inf), slow

    def update(self, z: States, q: Candidates) -> None:
        new = self.q.isinf() & (q <= self.slow)
        self.z, self.q = torch.where(new.unsqueeze(-1), z, self.z), torch.where(new, q, self.q)


def descend(
    map: AbstractMap,
    z: States,
    constant: ConstantInput | None,
    spread: Tensor,
    search: Search,
    first_slow: FirstSlow,
    progress: Progress | None,
) -> tuple[States, Candidates]:
    """The slowest state that Adam reaches from each candidate, and its q (Kingma and Ba 2015).

    The first rates are evenly spaced on a logarithmic scale from `rate` to `fastest` spreads: small ones converge
    nearby, large ones explore, and together they find more points than any single rate. Each decays geometrically to
    FINAL_RATE of its value. Adam's averages are kept per candidate.
    """
    decades = math.log10(search.rate), math.log10(search.fastest)
    rates = torch.logspace(*decades, z.shape[1], dtype=z.dtype, device=z.device).unsqueeze(-1)
    x, best, least = broadcast(constant, z), z, torch.full_like(z[..., 0], torch.inf)
    first, second = torch.zeros_like(z), torch.zeros_like(z)
    for t in range(search.adam + 1):
        with torch.enable_grad():
            here = z.detach().clone().requires_grad_()
            q = half_squared_speed(map, here, x)
            (slope,) = torch.autograd.grad(q.sum(), here)
        slower = q < least
        best, least = torch.where(slower.unsqueeze(-1), z, best), torch.where(slower, q.detach(), least)
        first_slow.update(best, least)
        if progress:
            progress("adam", t, search.adam)
        if t == search.adam or bool((least <= search.tolerance).all()):
            break
        slope = slope.nan_to_num()
        first, second = torch.lerp(slope, first, BETA1), torch.lerp(slope.square(), second, BETA2)
        step = (first / (1 - BETA1 ** (t + 1))) / ((second / (1 - BETA2 ** (t + 1))).sqrt() + EPSILON)
        z = z - rates * spread * FINAL_RATE ** (t / search.adam) * step
    return best, least


def refine(
    map: AbstractMap,
    z: States,
    q: Candidates,
    constant: ConstantInput | None,
    search: Search,
    first_slow: FirstSlow,
    progress: Progress | None,
) -> tuple[States, Candidates]:
    """Newton's method from every candidate; a step is taken only if q falls, so no candidate gets worse.

    The step is that of least norm, -(A^T A + mu I)^-1 A^T (f(z) - z) with A = Df - I and mu decreasing toward rounding
    as steps succeed (Levenberg 1944; Marquardt 1963): for mu -> 0 it is -A^+ (f(z) - z). A is singular along a line of
    fixed points, where a plain solve would move candidates along the line.
    """
    z, q = z.clone(), q.clone()
    damping, open_ = torch.full_like(q, DAMPING), q.isfinite()
    least = 64 * torch.finfo(z.dtype).eps
    for t in range(search.newton):
        width = int(open_.sum(dim=1).max())
        if progress:
            progress("newton", t, search.newton)
        if not width:
            break
        rows = open_.to(torch.int8).argsort(dim=1, descending=True, stable=True)[:, :width]
        wide = rows.unsqueeze(-1).expand(-1, -1, z.shape[-1])
        here, before, mu = z.gather(1, wide), q.gather(1, rows), damping.gather(1, rows)
        there = here + newton_step(map, here, constant, mu)
        after = half_squared_speed(map, there, broadcast(constant, there))
        taken = (after < before) & open_.gather(1, rows)
        z.scatter_(1, wide, torch.where(taken.unsqueeze(-1), there, here))
        q.scatter_(1, rows, torch.where(taken, after, before))
        first_slow.update(z, q)
        decreases = taken & ((after < (1 - MIN_DECREASE) * before) | (mu > least))
        retries = ~taken & (before > fixed_threshold(here, search)) & (mu < MAX_DAMPING)
        damping.scatter_(1, rows, torch.where(taken, mu * DAMPING_DECREASE, mu * DAMPING_INCREASE).clamp(min=least))
        open_.scatter_(1, rows, open_.gather(1, rows) & (decreases | retries))
    return z, q


def fixed_threshold(z: Tensor, search: Search) -> Tensor:
    """The q below which a state counts as fixed: the tolerance, or what rounding of the state can cause."""
    size = torch.linalg.vector_norm(z, dim=-1).clamp(min=1)
    return (0.5 * (ROUNDING * torch.finfo(z.dtype).eps * size).square()).clamp(min=search.tolerance)


def newton_step(map: AbstractMap, z: States, constant: ConstantInput | None, damping: Candidates) -> States:
    """-(A^T A + mu I)^-1 A^T (f(z) - z), A = Df(z) - I and mu = damping || A ||_F^2, in chunks of candidates."""
    unit = torch.eye(map.state, dtype=z.dtype, device=z.device)
    steps = []
    for part, share in zip(row_chunks(map, z), row_chunks(map, damping.unsqueeze(-1))):
        x = broadcast(constant, part)
        A, r = map.jacobian(part, x) - unit, map.step(part, x) - part
        square = A.mT @ A
        mu = share * square.diagonal(dim1=-2, dim2=-1).sum(dim=-1, keepdim=True)
        steps.append(-solve_positive_definite(square + mu.unsqueeze(-1) * unit, (A.mT @ r.unsqueeze(-1))))
    return torch.cat(steps, dim=1).squeeze(-1).nan_to_num(posinf=0, neginf=0)


def solve_positive_definite(M: Jacobians, right: Column) -> Column:
    """M^-1 right for positive definite M, one at a time where batches are unreliable (see `can_batch`)."""
    if can_batch(M):
        return torch.cholesky_solve(right, torch.linalg.cholesky_ex(M)[0])
    flat = zip(M.flatten(0, 1), right.flatten(0, 1))
    solved = [torch.cholesky_solve(r, torch.linalg.cholesky_ex(m)[0]) for m, r in flat]
    return torch.stack(solved).view_as(right)


def row_chunks(map: AbstractMap, rows: Tensor) -> tuple[Tensor, ...]:
    """Rows (population, batch, ...) in chunks whose Jacobians fit into memory."""
    return rows.split(max(1, MAX_ENTRIES // (map.population * map.state**2)), dim=1)
