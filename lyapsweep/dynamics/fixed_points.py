"""Fixed and slow points of any map under a constant input (Sussillo and Barak 2013; Golub and Sussillo 2018).

q(z) = || f(z, x*) - z ||^2 / 2 is minimised from many visited states at once: Adam leads each candidate to where the
map moves least, Newton's method from there to where it does not move at all. Points that Adam left slow and Newton did
not bring to rest nearby are kept as slow points: a line attractor that training left imperfect consists of them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from lyapsweep.dynamics.linearisation import Points
from lyapsweep.maps import SAFE_TO_BATCH, AbstractMap, Inputs, Jacobians, States

Rest = Float[Tensor, "population inputs"]
Slowness = Float[Tensor, "population batch"]
Progress = Callable[[str, int, int], None]
"""Called with the stage ("adam", "newton"), the steps done and their limit."""

FIRST, SECOND, TINY = 0.9, 0.999, 1e-12  # Adam's usual averages; its guard against division by zero
END = 1e-4  # of the rate that Adam starts with, where it ends
DAMPING, EASIER, HARDER, HOPELESS = 1e-3, 0.1, 10.0, 1e3  # of Newton's steps, relative to || J - I ||^2
WORTH = 1e-4  # relative fall of q below which a step is refused
ROUNDING = 16  # units in the last place of the state: a speed that rounding alone can make
MEMORY = 2**23  # entries of the Jacobians formed at a time


@dataclass(frozen=True)
class Search:
    """How points are sought. `tolerance` and `slow` bound q = || f(z) - z ||^2 / 2 (a half, and no division by N).

    `candidates` visited states start it, displaced by `noise` times the spread of the visited states. Fixed points
    have q <= `tolerance`, or as little as rounding allows; slow points q <= `slow` and no fixed point within `near`
    spreads. Points within `radius` (in the state's own unit) of each other are one; points further from the visited states' centroid than `reach` times their mean distance
    from it are counted, not kept. `adam` and `newton` limit the steps; `rate` is Adam's first, in spreads.
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
    newton: int = 100
    seed: int = 0

    def __post_init__(self) -> None:
        for name, low in (("candidates", 1), ("noise", 0), ("adam", 0), ("newton", 0), ("radius", 0), ("near", 0)):
            if getattr(self, name) < low:
                raise ValueError(f"{name} >= {low} must hold, but got {getattr(self, name)}.")
        for name in ("tolerance", "slow", "reach", "rate"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} > 0 must hold, but got {getattr(self, name)}.")


class Found(NamedTuple):
    """What a search found in one member: points at rest, slow points elsewhere, both the slowest first.

    `far` counts distinct fixed points out of reach, `lost` candidates that left the finite numbers, of `started`.
    """

    fixed: Points
    slow: Points
    far: int
    lost: int
    started: int
    search: Search


def find_fixed_points(
    map: AbstractMap,
    visited: States,
    x: Tensor | None = None,
    search: Search | None = None,
    progress: Progress | None = None,
) -> list[Found]:
    """Fixed and slow points of every member of a population, with the map linearised at each.

    `visited` (population, states, state) are states that the map visits; its precision is that of the search. `x`
    (population, inputs) or (inputs,) is the constant input x*; None where the map takes none. Candidates do not see
    each other, nor members each other. Ends after `search.adam` + `search.newton` steps at the latest; a member whose
    states are not finite has no points. Raises ValueError where shapes do not fit.
    """
    search = Search() if search is None else search
    if visited.dim() != 3 or visited.shape[0] != map.population or visited.shape[2] != map.state:
        want = f"({map.population}, states, {map.state})"
        raise ValueError(f"visited must be (population, states, state) = {want}, but is {tuple(visited.shape)}.")
    rest = None if x is None else x.to(visited).expand(map.population, x.shape[-1])
    with torch.no_grad():
        centre, spread = extent(visited)
        start = candidates(visited, spread, search)
        resting = descend(map, start, rest, spread, search, progress)
        z, q = polish(map, *resting, rest, search, progress)
        kept = [sifted(visited[p], z[p], q[p], *(r[p] for r in (*resting, centre, spread)), search) for p in range(len(z))]
        fixed = linearised(map, [k.fixed for k in kept], rest)
        slow = linearised(map, [k.slow for k in kept], rest)
    lost = (~q.isfinite()).sum(dim=1).tolist()
    return [Found(f, s, k.far, n, start.shape[1], search) for f, s, k, n in zip(fixed, slow, kept, lost)]


def resting_input(inputs: Float[Tensor, "time population batch inputs"], choice: str = "mean") -> Rest:
    """x* from the inputs that a map was driven with: their "mean" over time and batch, or "zero".

    Zero need not lie among the inputs: embedded tokens are better represented by their mean (Maheswaranathan et al.
    2019 take zero). Raises ValueError for another choice.
    """
    if choice not in ("mean", "zero"):
        raise ValueError(f"The choice of x* must be 'mean' or 'zero', but got '{choice}'.")
    mean = inputs.mean(dim=(0, 2))
    return mean if choice == "mean" else torch.zeros_like(mean)


def extent(visited: States) -> tuple[Float[Tensor, "population 1 state"], Float[Tensor, "population 1 1"]]:
    """Centroid of the finite visited states, and their root mean square distance from it per coordinate (1 if 0)."""
    finite = visited.isfinite().all(dim=-1, keepdim=True)
    count, inside = finite.sum(dim=1, keepdim=True), torch.where(finite, visited, 0)
    centre = inside.sum(dim=1, keepdim=True) / count
    squares = torch.where(finite, inside - centre, 0).square().sum(dim=(1, 2), keepdim=True)
    spread = (squares / (count * visited.shape[-1])).sqrt()
    return centre, torch.where(spread == 0, torch.ones_like(spread), spread)


def candidates(visited: States, spread: Tensor, search: Search) -> States:
    """Visited states drawn without replacement, displaced by noise; more than there are only where there is noise."""
    generator = torch.Generator().manual_seed(search.seed)
    states = visited.shape[1]
    count = search.candidates if search.noise else min(search.candidates, states)
    order = torch.randperm(states, generator=generator)
    rows = order.repeat(-(-count // states))[:count].to(visited.device)
    kicks = torch.randn(count, visited.shape[2], generator=generator, dtype=torch.float64).to(visited)
    return visited[:, rows] + search.noise * spread * kicks


def slowness(map: AbstractMap, z: States, x: Inputs | None) -> Slowness:
    """q = || f(z, x) - z ||^2 / 2."""
    return 0.5 * (map.step(z, x) - z).square().sum(dim=-1)


def everywhere(rest: Rest | None, z: States) -> Inputs | None:
    """x* beside every candidate."""
    return None if rest is None else rest.unsqueeze(1).expand(-1, z.shape[1], -1)


def descend(
    map: AbstractMap, z: States, rest: Rest | None, spread: Tensor, search: Search, progress: Progress | None
) -> tuple[States, Slowness]:
    """The slowest state that Adam comes by from each candidate, and its q (Kingma and Ba 2015).

    The rate falls geometrically to END of its first value; Adam's averages are those of each candidate alone.
    """
    x, best, least = everywhere(rest, z), z, torch.full_like(z[..., 0], torch.inf)
    first, second = torch.zeros_like(z), torch.zeros_like(z)
    for t in range(search.adam + 1):
        with torch.enable_grad():
            here = z.detach().clone().requires_grad_()
            q = slowness(map, here, x)
            (slope,) = torch.autograd.grad(q.sum(), here)
        slower = q < least
        best, least = torch.where(slower.unsqueeze(-1), z, best), torch.where(slower, q.detach(), least)
        if progress:
            progress("adam", t, search.adam)
        if t == search.adam or bool((least <= search.tolerance).all()):
            break
        slope = slope.nan_to_num()
        first, second = torch.lerp(slope, first, FIRST), torch.lerp(slope.square(), second, SECOND)
        step = (first / (1 - FIRST ** (t + 1))) / ((second / (1 - SECOND ** (t + 1))).sqrt() + TINY)
        z = z - search.rate * spread * END ** (t / search.adam) * step
    return best, least


def polish(
    map: AbstractMap, z: States, q: Slowness, rest: Rest | None, search: Search, progress: Progress | None
) -> tuple[States, Slowness]:
    """Newton's method from every candidate; a step is taken only where q falls by it, so no candidate gets worse.

    The step is that of least norm, -(A^T A + mu I)^-1 A^T (f(z) - z) with A = Df - I and mu falling toward rounding
    as steps succeed (Levenberg 1944; Marquardt 1963): for mu -> 0 it is -A^+ (f(z) - z). Along a line of fixed points
    A is singular, and a plain solve would throw candidates along it.
    """
    z, q = z.clone(), q.clone()
    damping, open_ = torch.full_like(q, DAMPING), q.isfinite()
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
        taken = (after < (1 - WORTH) * before) & open_.gather(1, rows)
        z.scatter_(1, wide, torch.where(taken.unsqueeze(-1), there, here))
        q.scatter_(1, rows, torch.where(taken, after, before))
        mu = torch.where(taken, mu * EASIER, mu * HARDER).clamp(min=64 * torch.finfo(z.dtype).eps)
        damping.scatter_(1, rows, mu)
        still = taken | ((before > at_rest(here, search)) & (mu < HOPELESS))
        open_.scatter_(1, rows, open_.gather(1, rows) & still)
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


class Sifted(NamedTuple):
    """Distinct states (points, state) and q (points,) of one member, the slowest first."""

    fixed: tuple[Tensor, Tensor]
    slow: tuple[Tensor, Tensor]
    far: int


def sifted(
    visited: Tensor, z: Tensor, q: Tensor, slow_z: Tensor, slow_q: Tensor, centre: Tensor, spread: Tensor, search: Search
) -> Sifted:
    """Fixed points from what Newton polished, slow ones from what Adam left and no fixed point explains."""
    distance = torch.linalg.vector_norm(visited - centre, dim=-1)
    limit = search.reach * distance[distance.isfinite()].mean()
    limit = torch.where(limit > 0, limit, torch.inf)  # states that are all one state set no scale
    within = lambda points: torch.linalg.vector_norm(points - centre, dim=-1) <= limit  # noqa: E731
    fixed, fixed_q = distinct(z, q, q <= at_rest(z, search), search.radius)
    slow, slow_q = distinct(slow_z, slow_q, slow_q <= search.slow, search.radius)
    clear = (search.near * spread).clamp(min=search.radius)
    apart = (torch.cdist(slow, fixed) > clear).all(dim=1) & (slow_q > at_rest(slow, search)) & within(slow)
    near = within(fixed)
    return Sifted((fixed[near], fixed_q[near]), (slow[apart], slow_q[apart]), int((~near).sum()))


def distinct(z: Tensor, q: Tensor, chosen: Tensor, radius: float) -> tuple[Tensor, Tensor]:
    """Of chosen states within `radius` of each other the slowest: states (points, state) and q, the slowest first."""
    z, q = z[chosen], q[chosen]
    order = q.argsort(stable=True)
    z, q, kept = z[order], q[order], []
    open_ = torch.ones_like(q, dtype=torch.bool)
    for i in range(len(z)):
        if open_[i]:
            kept.append(i)
            open_ &= torch.linalg.vector_norm(z - z[i], dim=-1) > radius
    return z[kept], q[kept]


def linearised(map: AbstractMap, kept: list[tuple[Tensor, Tensor]], rest: Rest | None) -> list[Points]:
    """The points of every member with their Jacobians, taken for all members at once (short lists are padded)."""
    longest = max(len(z) for z, _ in kept)
    padded = torch.stack([torch.cat((z, z.new_zeros(longest - len(z), map.state))) for z, _ in kept])
    J = torch.cat([map.jacobian(part, everywhere(rest, part)) for part in pieces(map, padded)], dim=1)
    arrays = [[t.cpu().numpy().astype(np.float64) for t in (z, q, J[p, : len(z)])] for p, (z, q) in enumerate(kept)]
    return [Points(*member, dt=map.dt) for member in arrays]
