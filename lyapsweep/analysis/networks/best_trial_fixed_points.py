"""Where single networks of a sweep rest and how stable they are there: what the atlas says of a trial's fixed points.

Of a piecewise-linear map also whether the regions that orbits and points lie in hold the fixed point of their own
linear map (real) or not (virtual): z = (I - J)^-1 (f(z') - J z') for a state z' of the region, real where f(z) = z.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lyapsweep.analysis.networks.fixed_point_plot import KINDS
from lyapsweep.analysis.networks.network_fixed_points import TIMES, Rest, of_network
from lyapsweep.analysis.shared.selection import direction, network_of, numbers
from lyapsweep.maps import AbstractMap, States
from lyapsweep.registry import unknown
from lyapsweep.results.table import Table
from lyapsweep.trial import restore_network

BEST = 4  # networks that are searched unasked: the best of so many cells
LARGEST = 128  # units of those: larger networks take minutes
ROOM = 2**23  # numbers in the Jacobians that are formed at a time
MOST_TOLD = 32  # fixed points, the slowest first
KICK, LINEAR, AT_REST = 1e-5, 1e-9, 1e-8  # of the usual size of a state


def searched(table: Table, trials: Sequence[str] = ()) -> Table:
    """The table with what was found in `trials` and in the best networks, as `fixed_points`.

    {trial: `summary`, or {"error": sentence} where its network cannot be searched here}. A network of 64 units takes
    3 to 6 seconds, one of 20 less than one. Raises `UnknownName` where `trials` names one that is not there.
    """
    names = table.finals.frame["trial"].astype(str).tolist()
    for trial in trials:
        if trial not in names:
            raise unknown("trial", trial, names, "table")
    found: dict[str, Any] = {}
    for trial in dict.fromkeys((*trials, *best(table))):
        try:
            found[trial] = summary(table, trial)
        except (ValueError, OSError, RuntimeError, ImportError) as reason:  # no weights, nothing finite, data elsewhere
            found[trial] = {"error": str(reason)}
    return replace(table, fixed_points=found)


def best(table: Table) -> list[str]:
    """The best finished trial of every cell, the best first, of networks that are small enough and in the records."""
    finals, column = table.finals, table.description.objective_column
    if column not in finals.frame or not finals.networks:
        return []
    values = numbers(finals, column) * (-1 if direction(table, column) == "maximise" else 1)
    held = [bool(weights) and config.cell.get("units", 0) <= LARGEST for config, weights in finals.networks]
    good = (finals.frame["outcome"] == "finished").to_numpy(bool) & np.isfinite(values) & np.array(held, bool)
    cells = [config.cell["kind"] for config, _ in finals.networks]
    order = [int(i) for i in np.argsort(values, kind="stable") if good[i]]
    firsts = {cells[i]: i for i in reversed(order)}
    return finals.frame["trial"].astype(str).iloc[sorted(firsts.values(), key=order.index)[:BEST]].tolist()


@torch.no_grad()
def summary(table: Table, trial: str) -> dict[str, Any]:
    """What a search of the network in a trial's last record found, as plain JSON.

    `kinds` is {kind: [how many, smallest and largest of their largest |lambda|]}, `slow` and `far` are numbers of
    points, `started` of candidates; `points` lists [kind, observation] of fixed points, standardised (empty of a
    task); a network that a task or a series' inputs drive is `driven`. `regions` is `visited_regions`, None where the
    map is not piecewise linear or runs on inputs. Raises `TooFew` where there are no weights or no finite state.
    """
    config, weights = network_of(table, trial)
    rest = of_network(config, weights)
    fixed, (network, problem) = rest.found.fixed, restore_network(config, weights)
    leading = np.abs(fixed.eigenvalues).max(axis=1) if len(fixed) else np.empty(0)
    kinds = np.array(fixed.kinds)
    told: dict[str, Any] = {
        "kinds": {k: spread(leading[kinds == k]) for k in KINDS if len(fixed) and (kinds == k).any()},
        "slow": len(rest.found.slow),
        "far": rest.found.far,
        "started": rest.found.started,
        "points": [],
        "regions": None,
    }
    network = problem.double_precision(network)
    seen = problem.observations(network, torch.from_numpy(fixed.z[:MOST_TOLD])) if len(fixed) else torch.empty(0)
    told["points"] = [[kind, x] for kind, x in zip(fixed.kinds, seen.tolist())]
    if problem.size.inputs:
        return told | {"driven": True}
    lain = torch.cat((visited(rest), torch.from_numpy(fixed.z)[None]), dim=1)
    return told | {"regions": visited_regions(network.cell, lain)}


def spread(values: np.ndarray) -> list[float]:
    return [len(values), float(values.min()), float(values.max())]


def visited(rest: Rest) -> States:
    """Finite states of the orbits that points were sought from, evenly picked where there are many: (1, states, n)."""
    states = rest.orbits[:, TIMES].reshape(-1, rest.orbits.shape[-1])
    finite = states[np.isfinite(states).all(axis=1)]
    most = max(1, ROOM // states.shape[1] ** 2)
    return torch.from_numpy(finite[np.unique(np.linspace(0, len(finite) - 1, min(len(finite), most)).astype(int))])[
        None
    ]


def visited_regions(map: AbstractMap, z: States) -> dict[str, int] | None:
    """How many linear regions the states (1, states, state) lie in, and whether these hold their own fixed point.

    {"visited", "real", "virtual", "none"}: none where I - J is singular. None for a map that is not piecewise linear:
    whose step differs from its linearisation by more than rounding a little beside most states.
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
    real = int((regular & (off < AT_REST)).sum())
    return {"visited": len(J), "real": real, "virtual": int(regular.sum()) - real, "none": int((~regular).sum())}


def along(J: Tensor, v: Tensor) -> Tensor:
    return (J @ v.unsqueeze(-1)).squeeze(-1)
