"""Preparation of recorded columns: unusable ones are refused, misleading ones are noted."""

import numpy as np

from lyapsweep.timeseries import denoise, embedding
from lyapsweep.timeseries.coordinates import NoExponent, circles
from lyapsweep.timeseries.embedding import Columns

FEWEST, MOST = 500, 50_000  # samples that are asked for, and that are used
REPEATED, DRIFT = 0.2, 0.2  # shares of the samples, and of a column's variance, from which on a reader is told
WIDEST = 6  # columns; of more, the leading principal components
LEVELS = 32  # different values of some column, below which rounding makes the exponent of a known map wrong by 25 %
NOISE = 0.01  # standard deviations, above which a series is cleaned


def prepared(values: Columns, names: tuple[str, ...]) -> tuple[Columns, tuple[str, ...]]:
    """Standardised columns, cut to the longest length and width used, and notes for the reader."""
    if values.ndim != 2 or len(values) < FEWEST:
        raise NoExponent(
            f"{FEWEST} samples are needed to see neighbours part, but there are {len(values)}. Record longer."
        )
    if not np.isfinite(values).all():
        row, column = np.argwhere(~np.isfinite(values))[0]
        raise NoExponent(f"Values must be finite, but sample {row} of column '{names[column]}' is not. Fill it.")
    notes = [f"the first {MOST} of {len(values)} samples are used"] if len(values) > MOST else []
    values = values[:MOST]
    with np.errstate(over="ignore"):
        mean, std = values.mean(axis=0), values.std(axis=0)
    if not np.isfinite(std).all():
        largest = int(np.abs(values).max(axis=0).argmax())
        raise NoExponent(f"Column '{names[largest]}' has values whose squares overflow. Scale it.")
    constant = np.flatnonzero(~(std > 1e-10 * np.maximum(np.abs(mean), 1e-290)))
    if len(constant):
        raise NoExponent(f"Column '{names[constant[0]]}' is constant ({values[0, constant[0]]:g}). Leave it out.")
    if (levels := max(len(np.unique(x)) for x in values.T)) < LEVELS:
        raise NoExponent(
            f"The values are rounded to {levels} different ones, which hides how neighbours part. "
            f"Record more digits, at least {LEVELS} different values."
        )
    notes += [*repeats(values), *drifts(values, names)]
    values, angles = circles(values)
    notes += [f"{angles} columns are angles: their cosine and sine are used"] if angles else []
    columns = (values - values.mean(axis=0)) / values.std(axis=0)
    if columns.shape[1] > WIDEST:
        notes.append(f"{WIDEST} principal components stand for {columns.shape[1]} columns")
        directions = np.linalg.svd(columns, full_matrices=False)[2]
        columns = columns @ directions[:WIDEST].T
        columns /= columns.std()
    return columns, tuple(notes)


def repeats(values: Columns) -> tuple[str, ...]:
    share = float((np.diff(values, axis=0) == 0).all(axis=1).mean())
    if share < REPEATED:
        return ()
    return (
        f"{share:.0%} of the samples repeat the one before: held or rounded values. Keep one of each, or more digits",
    )


def drifts(values: Columns, names: tuple[str, ...]) -> tuple[str, ...]:
    """Columns that a straight line in time explains: states that do not recur have no neighbours."""
    t = np.linspace(-1, 1, len(values))
    share = np.square(np.corrcoef(np.c_[t, values].T)[0, 1:])
    return tuple(
        f"column '{name}' drifts: a straight line in time is {s:.0%} of its variance. Take the trend out"
        for name, s in zip(names, share)
        if s > DRIFT
    )


def cleaned(columns: Columns) -> tuple[Columns, float]:
    """Columns after local projection, if it changes them by over 1 %, and the size of the change (root mean square)."""
    period = embedding.mean_period(columns)
    flow = period >= embedding.SAMPLED_FLOW
    delay, _ = embedding.choose_delay(columns, flow, period)
    plane, spacing = (3 if flow else 2), max(1, delay // denoise.COORDINATES)
    length = denoise.window_length(columns.shape[1], flow)
    moved = denoise.project(columns, plane, spacing, length)
    noise = float(np.sqrt(np.square(moved - columns).mean()))
    if noise <= NOISE:
        return columns, noise
    for _ in range(denoise.ROUNDS - 1):
        moved = denoise.project(moved, plane, spacing, length)
    noise = float(np.sqrt(np.square(moved - columns).mean()))
    return (moved - moved.mean(axis=0)) / np.maximum(moved.std(axis=0), 1e-12), noise
