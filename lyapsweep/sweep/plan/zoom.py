"""A part of a grid at the grid's own resolution."""

import dataclasses
from collections.abc import Mapping

from lyapsweep.registry import unknown
from lyapsweep.sweep.plan.axes import log_points, logarithmic, numeric, points
from lyapsweep.sweep.plan.definition import Sweep, SweepError


def zoomed(sweep: Sweep, ranges: Mapping[str, tuple[float, float]]) -> Sweep:
    """Replace axes of a grid by as many values between other ends.

    A linear axis stays linear, a logarithmic one logarithmic, and integers stay integers.

    Args:
        sweep: A sweep with a grid.
        ranges: {path: (low, high)}, both ends included.

    Returns:
        The sweep, with the ranges appended to its name.

    Raises:
        UnknownName: If a path is no numeric axis of the grid.
        SweepError: If the sweep has no grid, or `low < high` does not hold.
    """
    if sweep.grid is None:
        raise SweepError("zoom: the sweep draws from a space. Zoom into a sweep with a grid.")
    axes = {path: values for path, values in sweep.grid.items() if numeric(values) and len(values) > 1}
    grid, words = dict(sweep.grid), [sweep.name or "sweep"]
    for path, (low, high) in ranges.items():
        if path not in axes:
            raise unknown("axis", path, list(axes), "zoom")
        spaced = log_points if logarithmic(axes[path]) else points
        values = spaced(low, high, len(axes[path]))
        integers = all(isinstance(v, int) for v in axes[path])
        grid[path] = list(dict.fromkeys(round(v) for v in values)) if integers else values
        words.append(f"{path.rpartition('/')[2]}{low:g}-{high:g}")
    return dataclasses.replace(sweep, grid=grid, name="-".join(words).replace("+", ""))
