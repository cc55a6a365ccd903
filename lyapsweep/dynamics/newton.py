"""The descent of candidates to where a map moves least: Adam, then Newton's method with steps of least norm."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from lyapsweep.maps import SAFE_TO_BATCH, AbstractMap, Inputs, Jacobians, States

Rest = Float[Tensor, "population inputs"]
Slowness = Float[Tensor, "population batch"]
Progress = Callable[[str, int, int], None]
"""Called with the stage ("adam", "newton"), the steps done and their limit."""

FIRST, SECOND, TINY = 0.9, 0.999, 1e-12  # Adam's usual averages; its guard against division by zero
END = 1e-4  # of the rate that Adam starts with, where it ends
DAMPING, EASIER, HARDER, HOPELESS = 1e-3, 0.1, 10.0, 1e3  # of Newton's steps, relative to || J - I ||^2
WORTH = 1e-4  # relative fall of q below which Newton has come to an end, once it is no longer damped
ROUNDING = 16  # units in the last place of the state: a speed that rounding alone can make
MEMORY = 2**23  # entries of the Jacobians formed at a time


@dataclass(frozen=True)
class Search:
    """How points are sought. `tolerance` and `slow` bound q = || f(z) - z ||^2 / 2 (a half, and no division by N).

    `candidates` visited states start it, displaced by `noise` times the spread of the visited states. Fixed points
    have q <= `tolerance`, or as little as rounding allows; slow points q <= `slow` and no fixed point within `near`
    spreads. Points within `radius` (in the state's own unit) of each other are one; points further from the visited
    states' centroid than `reach` times their mean distance from it are counted, not kept. `adam` and `newton` limit the
    steps; `rate` and `fastest` are the rates that Adam begins with, the smallest and the largest, in spreads.
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
            if getattr(self, name) < low:
                raise ValueError(f"{name} >= {low} must hold, but got {getattr(self, name)}.")
        for name in ("tolerance", "slow", "reach", "rate"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} > 0 must hold, but got {getattr(self, name)}.")
        if not self.rate <= self.fastest < math.inf:
            raise ValueError(f"rate <= fastest must hold, but got rate={self.rate}, fastest={self.fastest}.")


def slowness(map: AbstractMap, z: States, x: Inputs | None) -> Slowness:
    """q = || f(z, x) - z ||^2 / 2."""
    return 0.5 * (map.step(z, x) - z).square().sum(dim=-1)


def everywhere(rest: Rest | None, z: States) -> Inputs | None:
    """x* beside every candidate."""
    return None if rest is None else rest.unsqueeze(1).expand(-1, z.shape[1], -1)


class Entries:
    """The state of each candidate, and its q, when it first was slow; q is infinite where it never was."""

    def __init__(self, z: States, slow: float):
        self.z, self.q, self.slow = z.clone(), torch.full_like(z[..., 0], torch.inf), slow

    def note(self, z: States, q: Slowness) -> None:
        new = self.q.isinf() & (q <= self.slow)
        self.z, self.q = torch.where(new.unsqueeze(-1), z, self.z), torch.where(new, q, self.q)


def descend(
    map: AbstractMap,
    z: States,
    rest: Rest | None,
    spread: Tensor,
    search: Search,
    entries: Entries,
    progress: Progress | None,
) -> tuple[States, Slowness]:
    """The slowest state that Adam comes by from each candidate, and its q (Kingma and Ba 2015).

    The first rates lie evenly on a logarithmic scale from `rate` to `fastest` spreads: small ones settle nearby, large
    ones see more of the space, and together they find more points than any one. Each falls geometrically to END of its
    value. Adam's averages are those of each candidate alone.
    """
    decades = math.log10(search.rate), math.log10(search.fastest)
    rates = torch.logspace(*decades, z.shape[1], dtype=z.dtype, device=z.device).unsqueeze(-1)
    x, best, least = everywhere(rest, z), z, torch.full_like(z[..., 0], torch.inf)
    first, second = torch.zeros_like(z), torch.zeros_like(z)
    for t in range(search.adam + 1):
        with torch.enable_grad():
            here = z.detach().clone().requires_grad_()
            q = slowness(map, here, x)
            (slope,) = torch.autograd.grad(q.sum(), here)
        slower = q < least
        best, least = torch.where(slower.unsqueeze(-1), z, best), torch.where(slower, q.detach(), least)
        entries.note(best, least)
        if progress:
            progress("adam", t, search.adam)
        if t == search.adam or bool((least <= search.tolerance).all()):
            break
        slope = slope.nan_to_num()
        first, second = torch.lerp(slope, first, FIRST), torch.lerp(slope.square(), second, SECOND)
        step = (first / (1 - FIRST ** (t + 1))) / ((second / (1 - SECOND ** (t + 1))).sqrt() + TINY)
        z = z - rates * spread * END ** (t / search.adam) * step
    return best, least


def polish(
    map: AbstractMap,
    z: States,
    q: Slowness,
    rest: Rest | None,
    search: Search,
    entries: Entries,
    progress: Progress | None,
) -> tuple[States, Slowness]:
    """Newton's method from every candidate; a step is taken only where q falls by it, so no candidate gets worse.

    The step is that of least norm, -(A^T A + mu I)^-1 A^T (f(z) - z) with A = Df - I and mu falling toward rounding
    as steps succeed (Levenberg 1944; Marquardt 1963): for mu -> 0 it is -A^+ (f(z) - z). Along a line of fixed points
    A is singular, and a plain solve would throw candidates along it.
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
        there = here + newton_step(map, here, rest, mu)
        after = slowness(map, there, everywhere(rest, there))
        taken = (after < before) & open_.gather(1, rows)
        z.scatter_(1, wide, torch.where(taken.unsqueeze(-1), there, here))
        q.scatter_(1, rows, torch.where(taken, after, before))
        entries.note(z, q)
        falls = taken & ((after < (1 - WORTH) * before) | (mu > least))
        waits = ~taken & (before > at_rest(here, search)) & (mu < HOPELESS)
        damping.scatter_(1, rows, torch.where(taken, mu * EASIER, mu * HARDER).clamp(min=least))
        open_.scatter_(1, rows, open_.gather(1, rows) & (falls | waits))
    return z, q


def at_rest(z: Tensor, search: Search) -> Tensor:
    """The q below which a state counts as fixed: the tolerance, or what rounding in the state itself can make."""
    size = torch.linalg.vector_norm(z, dim=-1).clamp(min=1)
    return (0.5 * (ROUNDING * torch.finfo(z.dtype).eps * size).square()).clamp(min=search.tolerance)


def newton_step(map: AbstractMap, z: States, rest: Rest | None, damping: Slowness) -> States:
    """-(A^T A + mu I)^-1 A^T (f(z) - z), A = Df(z) - I and mu = damping || A ||_F^2, some candidates at a time."""
    unit = torch.eye(map.state, dtype=z.dtype, device=z.device)
    steps = []
    for part, share in zip(pieces(map, z), pieces(map, damping.unsqueeze(-1))):
        x = everywhere(rest, part)
        A, r = map.jacobian(part, x) - unit, map.step(part, x) - part
        square = A.mT @ A
        mu = share * square.diagonal(dim1=-2, dim2=-1).sum(dim=-1, keepdim=True)
        steps.append(-solve(square + mu.unsqueeze(-1) * unit, (A.mT @ r.unsqueeze(-1))))
    return torch.cat(steps, dim=1).squeeze(-1).nan_to_num(posinf=0, neginf=0)


def solve(M: Jacobians, right: Float[Tensor, "population batch state 1"]) -> Float[Tensor, "population batch state 1"]:
    """M^-1 right for positive definite M; one at a time where torch's batches cannot be trusted (see `log_abs_det`)."""
    if M.is_cuda or torch.get_num_threads() == 1 or M.shape[-1] <= SAFE_TO_BATCH:
        return torch.cholesky_solve(right, torch.linalg.cholesky_ex(M)[0])
    flat = zip(M.flatten(0, 1), right.flatten(0, 1))
    solved = [torch.cholesky_solve(r, torch.linalg.cholesky_ex(m)[0]) for m, r in flat]
    return torch.stack(solved).view_as(right)


def pieces(map: AbstractMap, rows: Tensor) -> tuple[Tensor, ...]:
    """Rows (population, batch, ...) in pieces of so many that their Jacobians fit into memory."""
    return rows.split(max(1, MEMORY // (map.population * map.state**2)), dim=1)
