"""Columns that are not coordinates as they are: time, which never recurs, and angles, which jump."""

import numpy as np

from lyapsweep.timeseries.embedding import Columns

EVEN = 1e-3  # of the mean step, that steps of a clock may differ
AGREE = 0.01  # relative difference of the given and the read time step
JUMP, STEP = 0.7, 0.4  # of a range: an angle jumps by more than the one and else steps by less than the other
TURNS = 5  # jumps, from which on a column is an angle
NAMES = ("t", "time", "times", "seconds")


class NoExponent(ValueError):
    """A series whose exponent cannot be estimated; the message says why and what to do."""


def without_clock(names: tuple[str, ...], values: Columns, dt: float | None) -> tuple[tuple[str, ...], Columns, float]:
    """(names, values, dt) without the columns that rise evenly; dt is that of a time column if not given, else 1.

    An evenly rising column is time, an index or the phase of a drive: states with it never recur. Raises `NoExponent`
    if dt is not positive, differs from a time column's, or no column is left.
    """
    if dt is not None and not (dt > 0 and np.isfinite(dt)):
        raise NoExponent(f"dt > 0 must hold, but got {dt}: it is the time between samples.")
    steps = np.diff(values, axis=0)
    mean = steps.mean(axis=0) if len(steps) else np.zeros(values.shape[1])
    even = (mean > 0) & (np.abs(steps - mean).max(axis=0, initial=0) <= EVEN * mean)
    if even.all():
        raise NoExponent(f"Column '{names[0]}' only rises evenly, as time does: no column is left to look at.")
    for name, step in zip(np.array(names)[even], mean[even]):
        if name.lower() not in NAMES:
            continue
        if dt is not None and abs(step - dt) > AGREE * dt:
            raise NoExponent(f"Column '{name}' rises by {step:.6g} a sample, but dt is {dt:g}. Give --dt {step:.6g}.")
        dt = dt or float(step)
    return tuple(np.array(names)[~even].tolist()), values[:, ~even], dt or 1.0


def circles(values: Columns) -> tuple[Columns, int]:
    """Replace angles, columns that jump back by a whole turn, by cosine and sine: (values, number of angles).

    A jump separates neighbouring states although nothing happens. The turn is the median jump plus one step.
    """
    made, angles = [], 0
    for x in values.T:
        steps, extent = np.diff(x), np.ptp(x)
        jumps = np.abs(steps) > JUMP * extent
        one_way = len(np.unique(np.sign(steps[jumps]))) == 1
        if not (jumps.sum() >= TURNS and one_way and (np.abs(steps[~jumps]) < STEP * extent).all()):
            made.append(x[:, None])
            continue
        turn = np.abs(np.median(steps[jumps]) - np.median(steps[~jumps]))
        phase, angles = 2 * np.pi * (x - x.min()) / turn, angles + 1
        made.append(np.stack([np.cos(phase), np.sin(phase)], axis=1))
    return np.concatenate(made, axis=1), angles
