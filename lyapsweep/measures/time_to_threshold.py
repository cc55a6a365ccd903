"""How many updates it took to learn a task."""

import math

import numpy as np

from lyapsweep.measures.evidence import Evidence
from lyapsweep.measures.measure import Measure, Undefined

WORST = 1e9  # updates


def crossing(evidence: Evidence, fraction: float, average: int) -> int | None:
    """Updates until the mean of the last `average` training losses is below the threshold; None if never."""
    if evidence.baseline is None or evidence.training_losses.size == 0:
        raise Undefined("no baseline, or no update yet")
    losses = np.asarray(evidence.training_losses, np.float64)
    if losses.size < average:
        return None
    means = np.lib.stride_tricks.sliding_window_view(losses, average).mean(axis=1)
    below = np.flatnonzero(means < fraction * evidence.baseline)
    return int(below[0]) + average if below.size else None


def time_to_threshold(evidence: Evidence, fraction: float = 0.5, average: int = 10) -> float:
    """Updates until the running mean of the training loss first falls below a share of the baseline. Worst: 1e9.

    If the loss was never that low, the number of updates so far, a lower bound; `time_to_threshold/censored` is 1 then.
    Worst for a network whose loss diverged before.

    Args:
        evidence: Uses `training_losses` and `baseline`.
        fraction: Share of the baseline, 0.5 by default.
        average: Number of losses in the running mean, 10 by default.

    Returns:
        Updates.

    Raises:
        Undefined: If there is no baseline or no update yet.

    Example:
        >>> losses = np.array([1.0, 1.0, 0.2, 0.2])
        >>> time_to_threshold(Evidence(training_losses=losses, baseline=1.0), average=2)
        4.0
    """
    first = crossing(evidence, fraction, average)
    if first is not None:
        return float(first)
    return float(evidence.training_losses.size) if np.isfinite(evidence.training_losses).all() else math.inf


def further(evidence: Evidence, fraction: float = 0.5, average: int = 10) -> dict[str, float]:
    """1 if the threshold was not reached so far, 0 if it was, NaN before the first update."""
    try:
        return {"censored": float(crossing(evidence, fraction, average) is None)}
    except Undefined:
        return {"censored": math.nan}


TIME_TO_THRESHOLD = Measure(
    "time_to_threshold",
    time_to_threshold,
    "minimise",
    worst=WORST,
    unit="updates",
    title="Updates to threshold",
    further=further,
    has_floor=False,
    data=("task",),
)
