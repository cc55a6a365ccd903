"""A sub-rectangle of a map at the map's resolution."""

import dataclasses
import itertools
from collections.abc import Mapping, Sequence

from lyapsweep.registry import unknown
from lyapsweep.sweep.plan.definition import Sweep, SweepError
from lyapsweep.sweep.spaces import log_points, numeric, points


def zoomed(sweep: Sweep, ranges: Mapping[str, tuple[float, float]]) -> Sweep:
    """The sweep with as many points of each axis in `ranges` between the ends given there, both included.

    An axis stays linear or logarithmic as it was, and whole numbers stay whole. The sweep is named after the ranges.
    Raises `UnknownName` for a path that is no axis of numbers, `SweepError` for a sweep without a grid and for ends
    that do not fit.
    """
    if sweep.grid is None:
        raise SweepError("Only a grid can be zoomed into; this sweep draws from a space.")
    axes = {path: values for path, values in sweep.grid.items() if numeric(values) and len(values) > 1}
    grid, words = dict(sweep.grid), [sweep.name or "sweep"]
    for path, (low, high) in ranges.items():
        if path not in axes:
            raise unknown("axis", path, list(axes), "zoom")
        spaced = log_points if logarithmic(axes[path]) else points
        values = spaced(low, high, len(axes[path]))
        whole = all(isinstance(v, int) for v in axes[path])
        grid[path] = list(dict.fromkeys(round(v) for v in values)) if whole else values
        words.append(f"{path.rpartition('/')[2]}{low:g}-{high:g}")
    return dataclasses.replace(sweep, grid=grid, name="-".join(words).replace("+", ""))


def logarithmic(values: Sequence[float]) -> bool:
    """Whether positive numbers have steps that are more alike as ratios than as differences."""
    spread = lambda steps: max(steps) / min(steps)  # noqa: E731
    ordered = sorted(values)
    if ordered[0] <= 0 or len(ordered) < 3:
        return False
    pairs = list(itertools.pairwise(ordered))
    return spread([b / a for a, b in pairs]) < spread([b - a for a, b in pairs])
