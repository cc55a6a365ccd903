"""The fixed points of the best networks of a sweep and their stability, for the atlas.

For a piecewise-linear map also whether the linear regions of orbits and points contain the fixed point of their own
linear map (real) or not (virtual): z = (I - J)^-1 (f(z') - J z') for a state z' of the region, real if f(z) = z.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lyapsweep.analysis.networks.fixed_point_plot import KINDS
from lyapsweep.analysis.networks.network_fixed_points import TIMES, NetworkFixedPoints, of_network
from lyapsweep.analysis.shared.selection import network_of
from lyapsweep.maps import AbstractMap, States
from lyapsweep.registry import unknown
from lyapsweep.results.best import best_of_groups
from lyapsweep.results.table import Table
from lyapsweep.trial import restore_network

BEST = 4  # networks searched by default, the best of different cells
LARGEST = 128  # units of those: larger networks take minutes
BATCH = 2**23  # numbers in the Jacobians formed at a time
MOST_POINTS = 32  # fixed points listed, the slowest first
KICK, LINEAR, FIXED = 1e-5, 1e-9, 1e-8  # relative to the median size of a state


def find(table: Table, trials: Sequence[str] = ()) -> dict[str, Any]:
    """Search the fixed points of `trials` and of the best networks, as plain JSON for the page.

    {trial: `summary`, or {"error": sentence} if its network cannot be searched}. A network of 64 units takes 3 to 6
    seconds, one of 20 less than one. Raises `UnknownName` if there is no such trial.
    """
    names = table.finals.frame["trial"].astype(str).tolist()
    for trial in trials:
        if trial not in names:
            raise unknown("trial", trial, names, "table")
    found: dict[str, Any] = {}
    for trial in dict.fromkeys((*trials, *best(table))):
        try:
            found[trial] = summary(table, trial)
        except (ValueError, OSError, RuntimeError, ImportError) as reason:  # no weights, no finite state, missing data
            found[trial] = {"error": str(reason)}
    return found


def best(table: Table) -> list[str]:
    """The best finished trial of each cell with recorded weights and at most `LARGEST` units, the best first."""
    finals = table.finals
    if not finals.networks:
        return []
    small = [bool(weights) and config.cell.get("units", 0) <= LARGEST for config, weights in finals.networks]
    rows = best_of_groups(table, ["cell/kind"], among=np.array(small))[:BEST]
    return finals.frame["trial"].astype(str).iloc[rows].tolist()


@torch.no_grad()
def summary(table: Table, trial: str) -> dict[str, Any]:
    """Search the fixed points of the network in a trial's last record, and describe them as plain JSON.

    `kinds` is {kind: [how many, smallest and largest of their largest |lambda|]}, `slow` and `far` are numbers of
    points, `started` of candidates; `points` lists [kind, observation] of fixed points, standardised (empty of a task);
    a network that a task or a series' inputs drive is `driven`. `regions` is `visited_regions`, None if the map is not
    piecewise linear or has inputs. Raises `TooFew` without weights or a finite state.
    """
    config, weights = network_of(table, trial)
    points = of_network(config, weights)
    fixed, (network, problem) = points.found.fixed, restore_network(config, weights)
    leading = np.abs(fixed.eigenvalues).max(axis=1) if len(fixed) else np.empty(0)
    kinds = np.array(fixed.kinds)
    entry: dict[str, Any] = {
        "kinds": {k: count_and_range(leading[kinds == k]) for k in KINDS if len(fixed) and (kinds == k).any()},
        "slow": len(points.found.slow),
        "far": points.found.far,
        "started": points.found.started,
        "points": [],
        "regions": None,
    }
    network = problem.double_precision(network)
    seen = problem.observations(network, torch.from_numpy(fixed.z[:MOST_POINTS])) if len(fixed) else torch.empty(0)
    entry["points"] = [[kind, x] for kind, x in zip(fixed.kinds, seen.tolist())]
    if problem.size.inputs:
        return entry | {"driven": True}
    states = torch.cat((visited(points), torch.from_numpy(fixed.z)[None]), dim=1)
    return entry | {"regions": visited_regions(network.cell, states)}


def count_and_range(values: np.ndarray) -> list[float]:
    """[number, smallest, largest]."""
    return [len(values), float(values.min()), float(values.max())]


def visited(points: NetworkFixedPoints) -> States:
    """Finite states of the orbits of the search, an evenly spaced selection of many: (1, states, n)."""
    states = points.orbits[:, TIMES].reshape(-1, points.orbits.shape[-1])
    finite = states[np.isfinite(states).all(axis=1)]
    most = max(1, BATCH // states.shape[1] ** 2)
    chosen = np.unique(np.linspace(0, len(finite) - 1, min(len(finite), most)).astype(int))
    return torch.from_numpy(finite[chosen])[None]


def visited_regions(map: AbstractMap, z: States) -> dict[str, int] | None:
    """Count the linear regions of the states (1, states, state) that contain their own fixed point, and those that do
    not.

    {"visited", "real", "virtual", "none"}: none if I - J is singular. None for a map that is not piecewise linear,
    that is, whose step near most states differs from its linearisation by more than rounding.
    """
    if not z.shape[1]:
        return None
    size = z.norm(dim=-1).median().clamp(min=1e-3)
    J, f = map.jacobian(z)[0], map.step(z)[0]
    kick = KICK * size * torch.randn(z.shape, generator=torch.Generator().manual_seed(0), dtype=z.dtype)
    bent = (map.step(z + kick)[0] - f - along(J, kick[0])).norm(dim=-1) > LINEAR * KICK * size + 1e-14 * size
    if bent.double().mean() > 0.5:
        return None
    offset = f - along(J, z[0])
    keys = torch.cat((J.flatten(1), offset), dim=1)
    _, first = np.unique((keys / keys.abs().max() * 1e9).round().numpy(), axis=0, return_index=True)
    J, offset = J[first], offset[first]
    gap = torch.eye(z.shape[-1], dtype=z.dtype) - J
    solved, failed = torch.linalg.solve_ex(gap, offset)
    off = (map.step(solved[None].nan_to_num())[0] - solved).norm(dim=-1) / solved.norm(dim=-1).clamp(min=float(size))
    regular = (failed == 0) & solved.isfinite().all(dim=-1)
    real = int((regular & (off < FIXED)).sum())
    return {"visited": len(J), "real": real, "virtual": int(regular.sum()) - real, "none": int((~regular).sum())}


def along(J: Tensor, v: Tensor) -> Tensor:
    """J v for every state."""
    return (J @ v.unsqueeze(-1)).squeeze(-1)
