"""Columns that count time: not part of the state, and a check of the time step that somebody gave."""

import numpy as np

from lyapsweep.timeseries.embedding import Columns
from lyapsweep.timeseries.largest_exponent import NoExponent

EVEN = 1e-3  # of the mean step, that steps of a clock may differ
AGREE = 0.01  # relative difference of the given and the read time step


def without_clock(names: tuple[str, ...], values: Columns, dt: float | None) -> tuple[tuple[str, ...], Columns, float]:
    """(names, values, dt) without the columns that rise evenly; dt is theirs where none was given, else 1.

    Raises `NoExponent` where dt is not positive, where it is not the clock's, or where no column is left.
    """
    if dt is not None and not (dt > 0 and np.isfinite(dt)):
        raise NoExponent(f"dt > 0 must hold, but got {dt}: it is the time between samples.")
    steps = np.diff(values, axis=0)
    mean = steps.mean(axis=0) if len(steps) else np.zeros(values.shape[1])
    clock = (mean > 0) & (np.abs(steps - mean).max(axis=0, initial=0) <= EVEN * mean)
    if not clock.any():
        return names, values, dt or 1.0
    first = int(np.argmax(clock))
    read = float(mean[first])
    counts = abs(read - 1) < AGREE  # a running number says nothing about time
    if dt is not None and not counts and abs(read - dt) > AGREE * dt:
        raise NoExponent(
            f"Column '{names[first]}' rises by {read:.6g} a sample, but dt is {dt:g}. Give --dt {read:.6g}."
        )
    if clock.all():
        raise NoExponent(f"Column '{names[first]}' only rises evenly, as time does: no column is left to look at.")
    return tuple(np.array(names)[~clock].tolist()), values[:, ~clock], dt or read
