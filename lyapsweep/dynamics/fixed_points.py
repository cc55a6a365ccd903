"""Fixed and slow points of any map under a constant input (Sussillo and Barak 2013; Golub and Sussillo 2018).

q(z) = || f(z, x*) - z ||^2 / 2 is minimised from many visited states at once: Adam moves each candidate to where the
map moves least, Newton's method from there to a fixed point. An imperfect line attractor has few fixed points, and both
methods slide along it to those; so the state in which a candidate first became slow is kept as well.
"""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from lyapsweep.dynamics.linearisation import Points
from lyapsweep.dynamics.newton import (
    ConstantInput,
    FirstSlow,
    Progress,
    Search,
    broadcast,
    descend,
    fixed_threshold,
    refine,
    row_chunks,
)
from lyapsweep.maps import AbstractMap, States, check_time_step

ESCAPED = 1e3  # times the median size of a state; larger states belong to a diverging orbit


class FixedPoints(NamedTuple):
    """The result of a search in one member of a population.

    Args:
        fixed: Fixed points, those of smallest q first.
        slow: Slow points that are not near a fixed point, those of smallest q first.
        far: Number of distinct fixed points out of reach.
        lost: Number of candidates that diverged.
        started: Number of candidates.
        search: The settings of the search.

    Example:
        >>> from lyapsweep.systems import build
        >>> visited = torch.linspace(0, 1, 32, dtype=torch.float64).view(1, 32, 1)
        >>> (found,) = find_fixed_points(build("logistic"), visited)
        >>> found.fixed.kinds, found.lost
        (('repeller', 'repeller'), 0)
    """

    fixed: Points
    slow: Points
    far: int
    lost: int
    started: int
    search: Search

    @property
    def combined(self) -> Points:
        """Fixed and slow points together, which make up a line attractor."""
        a, b = self.fixed, self.slow
        joined = (np.concatenate(pair) for pair in ((a.z, b.z), (a.q, b.q), (a.jacobians, b.jacobians)))
        return Points(*joined, dt=a.dt)


def find_fixed_points(
    map: AbstractMap,
    visited: States,
    x: Tensor | None = None,
    search: Search | None = None,
    progress: Progress | None = None,
) -> list[FixedPoints]:
    """Find fixed and slow points of every member of a population, with the map linearised at each.

    Minimises q(z) = || f(z, x*) - z ||^2 / 2 by Adam, then by Newton's method. Candidates and members are independent
    of each other; candidates that diverge are dropped. Ends after `search.adam` + `search.newton` steps at the latest.

    Args:
        map: The map f.
        visited: States that the map visits, shape (population, states, state); their precision is that of the search.
        x: The constant input x*, shape (population, inputs) or (inputs,); None (the default) for maps without inputs.
        search: Settings of the search; None (the default) is `Search()`.
        progress: Called with the stage, the steps done and their limit; None by default.

    Returns:
        One `FixedPoints` per member. A member without a finite visited state has no points.

    Raises:
        ValueError: If `visited` has the wrong shape, or the map's time step is not positive.

    Source: Sussillo and Barak 2013; Golub and Sussillo 2018.

    Example:
        >>> from lyapsweep.systems import build
        >>> visited = torch.linspace(0, 1, 32, dtype=torch.float64).view(1, 32, 1)
        >>> (found,) = find_fixed_points(build("logistic"), visited)
        >>> np.abs(np.sort(found.fixed.z[:, 0])).round(6)
        array([0.  , 0.75])
    """
    search = Search() if search is None else search
    if visited.dim() != 3 or visited.shape[0] != map.population or visited.shape[2] != map.state:
        wanted = f"({map.population}, states, {map.state})"
        raise ValueError(
            f"visited must be (population, states, state) = {wanted}, but is {tuple(visited.shape)}. Change its shape."
        )
    check_time_step(map.dt)
    constant = None if x is None else x.to(visited).expand(map.population, x.shape[-1])
    with torch.no_grad():
        visited = mask_escaped(visited)
        centre, spread = extent(visited)
        start = draw_candidates(visited, spread, search)
        first_slow = FirstSlow(start, search.slow)
        z, q = descend(map, start, constant, spread, search, first_slow, progress)
        z, q = refine(map, z, q, constant, search, first_slow, progress)
        slowed = torch.cat((first_slow.z, z), dim=1), torch.cat((first_slow.q, q), dim=1)
        sources = (visited, centre, spread, z, q, *slowed)
        kept = [classify(search, *(s[p] for s in sources)) for p in range(len(z))]
        fixed = linearise(map, [k.fixed for k in kept], constant)
        slow = linearise(map, [k.slow for k in kept], constant)
    lost = (~q.isfinite()).sum(dim=1).tolist()
    return [FixedPoints(f, s, k.far, n, start.shape[1], search) for f, s, k, n in zip(fixed, slow, kept, lost)]


def resting_input(inputs: Float[Tensor, "time population batch inputs"], choice: str = "mean") -> ConstantInput:
    """Choose the constant input x* from the inputs that a map was driven with.

    Args:
        inputs: Driving inputs, shape (time, population, batch, inputs).
        choice: "mean" (the default), over time and batch, or "zero". Zero need not lie among the inputs: embedded
            tokens are better represented by their mean (Maheswaranathan et al. 2019 take zero).

    Returns:
        x*, shape (population, inputs).

    Raises:
        ValueError: If `choice` is neither.

    Example:
        >>> resting_input(torch.tensor([1.0, 3.0]).view(2, 1, 1, 1))
        tensor([[2.]])
    """
    if choice not in ("mean", "zero"):
        raise ValueError(f"choice must be 'mean' or 'zero', but got '{choice}'. Use one of these.")
    mean = inputs.mean(dim=(0, 2))
    return mean if choice == "mean" else torch.zeros_like(mean)


def mask_escaped(visited: States) -> States:
    """The visited states, NaN where they diverge, because one such state would dominate the spread."""
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


def draw_candidates(visited: States, spread: Tensor, search: Search) -> Float[Tensor, "population candidates state"]:
    """Visited states drawn without replacement, displaced by noise; drawn repeatedly only if there is noise."""
    generator = torch.Generator().manual_seed(search.seed)
    states = visited.shape[1]
    count = search.candidates if search.noise else min(search.candidates, states)
    order = torch.randperm(states, generator=generator)
    rows = order.repeat(-(-count // states))[:count].to(visited.device)
    noise = torch.randn(count, visited.shape[2], generator=generator, dtype=torch.float64).to(visited)
    return visited[:, rows] + search.noise * spread * noise


class Classified(NamedTuple):
    """Distinct states (points, state) and q (points,) of one member, the slowest first."""

    fixed: tuple[Tensor, Tensor]
    slow: tuple[Tensor, Tensor]
    far: int


def classify(
    search: Search,
    visited: Tensor,
    centre: Tensor,
    spread: Tensor,
    z: Tensor,
    q: Tensor,
    slow_z: Tensor,
    slow_q: Tensor,
) -> Classified:
    """Split candidates into fixed points and slow points that are near no fixed point."""
    distance = torch.linalg.vector_norm(visited - centre, dim=-1)
    limit = search.reach * distance[distance.isfinite()].mean()
    limit = torch.where(limit > 0, limit, torch.inf)  # identical states set no scale
    within = lambda points: torch.linalg.vector_norm(points - centre, dim=-1) <= limit  # noqa: E731
    fixed, fixed_q = distinct(z, q, q <= fixed_threshold(z, search), search.radius)
    slow, slow_q = distinct(slow_z, slow_q, slow_q <= search.slow, search.radius)
    clear = (search.near * spread).clamp(min=search.radius)
    apart = (torch.cdist(slow, fixed) > clear).all(dim=1) & (slow_q > fixed_threshold(slow, search)) & within(slow)
    near = within(fixed)
    return Classified((fixed[near], fixed_q[near]), (slow[apart], slow_q[apart]), int((~near).sum()))


def distinct(z: Tensor, q: Tensor, chosen: Tensor, radius: float) -> tuple[Tensor, Tensor]:
    """Of chosen states within `radius` of each other keep the slowest: states and q, the slowest first."""
    z, q = z[chosen], q[chosen]
    order = q.argsort(stable=True)
    z, q, kept = z[order], q[order], []
    open_ = torch.ones_like(q, dtype=torch.bool)
    for i in range(len(z)):
        if open_[i]:
            kept.append(i)
            open_ &= torch.linalg.vector_norm(z - z[i], dim=-1) > radius
    return z[kept], q[kept]


def linearise(map: AbstractMap, kept: list[tuple[Tensor, Tensor]], constant: ConstantInput | None) -> list[Points]:
    """The points of every member with their Jacobians, computed for all members at once (short lists are padded)."""
    longest = max(len(z) for z, _ in kept)
    padded = torch.stack([torch.cat((z, z.new_zeros(longest - len(z), map.state))) for z, _ in kept])
    J = torch.cat([map.jacobian(part, broadcast(constant, part)) for part in row_chunks(map, padded)], dim=1)
    arrays = [[t.cpu().numpy().astype(np.float64) for t in (z, q, J[p, : len(z)])] for p, (z, q) in enumerate(kept)]
    return [Points(*member, dt=map.dt) for member in arrays]
