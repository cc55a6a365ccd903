"""Snow and soil water as two buckets under daily weather: an environmental model with a known memory in days."""

import math

import numpy as np

from lyapsweep.datasets.series import column_positions
from lyapsweep.datasets.stream import stream
from lyapsweep.datasets.task import BadTask, Task
from lyapsweep.setting_types import Count, Seed, Share

YEAR = 365  # days
MEAN, SWING, COLDEST = 6.0, 12.0, 15  # deg C, deg C, day of the year
WANDERING, MEMORY_OF_WEATHER = 4.0, 0.7  # standard deviation in deg C, and correlation from day to day
RAIN_AFTER_DRY, RAIN_AFTER_WET, DEPTH = 0.25, 0.6, 8.0  # chances of a wet day, and its mean depth in mm
MELT, EVAPORATION = 3.0, 0.1  # mm a day and deg C above freezing
FULL = 300.0  # mm of soil water, above which water flows off
TARGETS = ("snow", "soil", "flow")


def buckets(
    *,
    years: Count = 60,
    test: Share = 0.25,
    keep: Share = 0.99,
    targets: list | None = None,
    seed: Seed = 0,
) -> Task:
    """Snow and soil water from rain and temperature: two buckets with a memory of -1 / ln(keep) days.

    Weather, daily: T = 6 - 12 cos(2 pi (day - 15) / 365) + w deg C, w Gaussian with a standard deviation of 4 and a
    correlation of 0.7 from day to day; precipitation P on a wet day is exponential with mean 8 mm, a day being wet with
    probability 0.6 after a wet one, else 0.25. Water, in mm, with T+ = max(T, 0):

        snow'  = snow + P [T <= 0] - melt          melt = min(snow + P [T <= 0], 3 T+)
        soil'  = min(rest, 300)                    rest = w - min(w, 0.1 T+),  w = keep soil + P [T > 0] + melt
        flow   = max(rest - 300, 0)

    Soil water decays as keep^t while the bucket is neither empty nor full, snow lasts from autumn to spring. Both start
    empty, and the first of `years` + 1 years is dropped. Inputs are P and T of the day; targets, at every step, are the
    values after that day. The data are one long stream, standardised by the moments of the training part, which `notes`
    holds in mm (`snow/std`, ...), with `memory` in days and the loss of the least-squares quadratic in the day's
    weather (`memoryless`). Baseline: always answering the mean.

    Args:
        years: Number of years, 60 by default.
        test: Share of the days that is held out, the last ones; 0.25 by default.
        keep: Share of soil water that remains after a day, 0.99 by default (a memory of 99.5 days).
        targets: Some of "snow", "soil", "flow"; None (the default) is snow and soil.
        seed: Seed of the weather, 0 by default.

    Returns:
        A task with head "step" and loss "mse".

    Raises:
        BadTask: If years >= 2, 0 < test < 1 and 0 < keep < 1 do not hold.
        UnknownName: If a target is unknown.

    Example:
        >>> round(buckets(years=2).notes["memory"], 1)
        99.5
    """
    if years < 2 or not 0 < test < 1 or not 0 < keep < 1:
        raise BadTask(
            f"buckets: years >= 2, 0 < test < 1 and 0 < keep < 1 must hold, but got years={years}, test={test}, "
            f"keep={keep}."
        )
    source = f"buckets, {years} years"
    weather = daily(YEAR * (years + 1), np.random.default_rng(seed))
    wanted = column_positions(["snow", "soil"] if targets is None else targets, TARGETS, source)
    water = fill(weather, keep)[YEAR:, wanted]
    names = tuple(TARGETS[c] for c in wanted)
    return stream(weather[YEAR:], water, ("rain", "temperature"), names, test, source, {"memory": -1 / math.log(keep)})


def daily(days: int, random: np.random.Generator) -> np.ndarray:
    """Precipitation (mm) and temperature (deg C) of each day: (days, 2)."""
    chance, depth, noise = random.random(days), random.exponential(DEPTH, days), random.standard_normal(days)
    wet, wander, rain, warmth = False, 0.0, np.zeros(days), np.zeros(days)
    for day in range(days):
        wet = bool(chance[day] < (RAIN_AFTER_WET if wet else RAIN_AFTER_DRY))
        rain[day] = depth[day] if wet else 0.0
        wander = MEMORY_OF_WEATHER * wander + math.sqrt(1 - MEMORY_OF_WEATHER**2) * WANDERING * noise[day]
        warmth[day] = MEAN - SWING * math.cos(2 * math.pi * (day - COLDEST) / YEAR) + wander
    return np.stack([rain, warmth], axis=1)


def fill(weather: np.ndarray, keep: float) -> np.ndarray:
    """Snow, soil water and flow after each day, in mm: (days, 3), both buckets empty before the first."""
    snow, soil, filled = 0.0, 0.0, []
    for fallen, warmth in weather.tolist():
        above = max(warmth, 0.0)
        snow += fallen if warmth <= 0 else 0.0
        melt = min(snow, MELT * above)
        snow -= melt
        water = keep * soil + (fallen if warmth > 0 else 0.0) + melt
        rest = water - min(water, EVAPORATION * above)
        soil = min(rest, FULL)
        filled.append((snow, soil, max(rest - FULL, 0.0)))
    return np.array(filled)
