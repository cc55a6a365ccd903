"""At the floor: the interval of a setting's seeds, the interval of a floor, and when one reaches the other."""

import math
from typing import Literal

import numpy as np

from lyapsweep.results.table import Table

Direction = Literal["minimise", "maximise"]


def seed_interval(values: np.ndarray) -> tuple[float, float]:
    """Return the quartiles of the scores of a setting's seeds, interpolated linearly, whatever their number.

    The range would grow with the number of seeds, and one seed of three would decide what is said of a setting.

    Args:
        values: Scores, one per seed; those that are not finite are left out.

    Returns:
        The lower and the upper quartile; NaN without a score.

    Example:
        >>> seed_interval(np.array([0.5, 0.1, 0.3]))
        (0.2, 0.4)
    """
    values = values[np.isfinite(values)]
    if not values.size:
        return math.nan, math.nan
    low, high = np.percentile(values, (25, 75))
    return float(low), float(high)


def reaches_floor(
    direction: Direction, interval: tuple[float, float], floor: tuple[float, float], median: float
) -> bool:
    """Whether a setting is at the floor: the quartiles of its seeds' scores reach the floor's interval.

    Settings at the floor are tied, whatever their medians: the measure cannot tell networks from the truth there.

    Args:
        direction: Which way the measure is better.
        interval: Interval of the setting's seeds (`seed_interval`).
        floor: Interval of the floor, NaN if unknown.
        median: Median over the seeds, lost ones counted as the worst; where it is infinite the setting is not at the
            floor.

    Returns:
        True at the floor.

    Example:
        >>> reaches_floor("minimise", (0.4, 0.9), (0.2, 0.5), 0.6), reaches_floor("minimise", (0.6, 0.9), (0.2, 0.5), 1)
        (True, False)
    """
    if not math.isfinite(median):
        return False
    return interval[1] >= floor[0] if direction == "maximise" else interval[0] <= floor[1]


def floor_intervals(finals: Table, column: str) -> np.ndarray:
    """The interval of the floor of each row, (rows, 2): the floor itself if it has none, NaN without a floor."""
    name = column.replace("measures/", "floors/", 1)
    frame = finals.frame.reindex(columns=[name, f"{name}/low", f"{name}/high"]).to_numpy(float)
    if name == column:
        return np.full((len(frame), 2), np.nan)
    return np.where(np.isnan(frame[:, 1:]), frame[:, :1], frame[:, 1:])


def floor_of(floors: np.ndarray) -> tuple[float, float]:
    """The floor's interval of several rows, medians of its ends; NaN where none is known."""
    known = floors[np.isfinite(floors).all(axis=1)]
    low, high = np.median(known, axis=0) if len(known) else (math.nan, math.nan)
    return float(low), float(high)
