"""Fixed and slow points of any map under a constant input (Sussillo and Barak 2013; Golub and Sussillo 2018).

q(z) = || f(z, x*) - z ||^2 / 2 is minimised from many visited states at once: Adam leads each candidate to where the
map moves least, Newton's method from there to where it does not move at all. A line attractor that training left
imperfect holds few points at rest, and both methods slide along it to those; so the state in which a candidate first
became slow is kept beside the one in which it ended.
"""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from lyapsweep.dynamics.linearisation import Points
from lyapsweep.dynamics.newton import Entries, Progress, Rest, Search, at_rest, descend, everywhere, pieces, polish
from lyapsweep.maps import AbstractMap, States

ESCAPED = 1e3  # times the usual size of a state: beyond, an orbit is on its way to infinity


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

    @property
    def every(self) -> Points:
        """Fixed and slow points together: what a line attractor consists of."""
        a, b = self.fixed, self.slow
        joined = (np.concatenate(pair) for pair in ((a.z, b.z), (a.q, b.q), (a.jacobians, b.jacobians)))
        return Points(*joined, dt=a.dt)


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
    each other, nor members each other; those that are not finite or on their way to infinity are lost. Ends after
    `search.adam` + `search.newton` steps at the latest; a member without a finite state has no points. Raises
    ValueError where shapes do not fit.
    """
    search = Search() if search is None else search
    if visited.dim() != 3 or visited.shape[0] != map.population or visited.shape[2] != map.state:
        want = f"({map.population}, states, {map.state})"
        raise ValueError(f"visited must be (population, states, state) = {want}, but is {tuple(visited.shape)}.")
    rest = None if x is None else x.to(visited).expand(map.population, x.shape[-1])
    with torch.no_grad():
        visited = bounded(visited)
        centre, spread = extent(visited)
        start = candidates(visited, spread, search)
        entries = Entries(start, search.slow)
        z, q = descend(map, start, rest, spread, search, entries, progress)
        z, q = polish(map, z, q, rest, search, entries, progress)
        slowed = torch.cat((entries.z, z), dim=1), torch.cat((entries.q, q), dim=1)
        sources = (visited, centre, spread, z, q, *slowed)
        kept = [sifted(search, *(s[p] for s in sources)) for p in range(len(z))]
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


def bounded(visited: States) -> States:
    """The visited states, NaN where they are not finite or have escaped: one such state would be the whole spread."""
    finite = torch.where(visited.isfinite(), visited, torch.nan)
    size = torch.linalg.vector_norm(finite, dim=-1, keepdim=True)
    usual = size.nanmedian(dim=1, keepdim=True).values.clamp(min=1)
    return torch.where(size <= ESCAPED * usual, finite, torch.nan)


def extent(visited: States) -> tuple[Float[Tensor, "population 1 state"], Float[Tensor, "population 1 1"]]:
    """Centroid of the finite visited states, and their root mean square distance from it per coordinate (1 if 0)."""
    finite = visited.isfinite().all(dim=-1, keepdim=True)
    count, inside = finite.sum(dim=1, keepdim=True), torch.where(finite, visited, 0)
    centre = inside.sum(dim=1, keepdim=True) / count
    squares = torch.where(finite, inside - centre, 0).square().sum(dim=(1, 2), keepdim=True)
    spread = (squares / (count * visited.shape[-1])).sqrt()
    return centre, torch.where(spread == 0, torch.ones_like(spread), spread)


def candidates(visited: States, spread: Tensor, search: Search) -> Float[Tensor, "population candidates state"]:
    """Visited states drawn without replacement, displaced by noise; more than there are only where there is noise."""
    generator = torch.Generator().manual_seed(search.seed)
    states = visited.shape[1]
    count = search.candidates if search.noise else min(search.candidates, states)
    order = torch.randperm(states, generator=generator)
    rows = order.repeat(-(-count // states))[:count].to(visited.device)
    kicks = torch.randn(count, visited.shape[2], generator=generator, dtype=torch.float64).to(visited)
    return visited[:, rows] + search.noise * spread * kicks


class Sifted(NamedTuple):
    """Distinct states (points, state) and q (points,) of one member, the slowest first."""

    fixed: tuple[Tensor, Tensor]
    slow: tuple[Tensor, Tensor]
    far: int


def sifted(
    search: Search,
    visited: Tensor,
    centre: Tensor,
    spread: Tensor,
    z: Tensor,
    q: Tensor,
    slow_z: Tensor,
    slow_q: Tensor,
) -> Sifted:
    """Fixed points, and of the slow states those that are near no fixed point."""
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
