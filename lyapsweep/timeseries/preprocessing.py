"""Preparation of recorded columns: unusable ones are refused, misleading ones are noted."""

import numpy as np
from scipy.signal import savgol_filter

from lyapsweep.timeseries import denoise, embedding
from lyapsweep.timeseries.coordinates import NoExponent, circles
from lyapsweep.timeseries.embedding import AUTOMATIC, Choices, Columns
from lyapsweep.timeseries.noise import noise_level

FEWEST, MOST = 500, 50_000  # samples that are asked for, and that are used
REPEATED, DRIFT = 0.2, 0.2  # shares of the samples, and of a column's variance, from which on a reader is told
WIDEST = 10  # columns; of more, the leading principal components
LEVELS = 32  # different values of some column, below which rounding makes the exponent of a known map wrong by 25 %
NOISE = 0.01  # standard deviations, above which a series is cleaned
DEGREE = 3  # of the polynomials of a smoothing filter


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


def cleaned(columns: Columns, choices: Choices = AUTOMATIC) -> tuple[Columns, float]:
    """Columns without their noise, if there is more than NOISE of it, and the noise in standard deviations.

    A smoothing that the user gives replaces the local projection.
    """
    period = embedding.mean_period(columns)
    flow = period >= embedding.SAMPLED_FLOW
    noise = noise_level(columns, flow, max(1, int(period)))
    if choices.smoothing is not None:
        return smoothed(columns, choices.smoothing), noise
    return (columns if noise <= NOISE else projected(columns, flow, period, noise)), noise


def smoothed(columns: Columns, samples: int) -> Columns:
    """Columns after a cubic Savitzky-Golay filter; as they are for 0 samples."""
    if samples == 0:
        return columns
    if samples % 2 == 0 or not DEGREE < samples <= len(columns):
        raise NoExponent(
            f"smoothing: an odd number of samples above {DEGREE} is needed, but got {samples}. "
            f"Use {max(DEGREE + 2, samples + 1 - samples % 2)}, or 0 for none."
        )
    return standardised(np.asarray(savgol_filter(columns, samples, DEGREE, axis=0)))


def projected(columns: Columns, flow: bool, period: float, noise: float) -> Columns:
    """Columns after local projection onto planes of as many dimensions as the data have."""
    delay, _ = embedding.choose_delay(columns, flow, period)
    spacing, length = max(1, delay // denoise.COORDINATES), denoise.window_length(columns.shape[1], flow)
    plane = denoise.plane_dimension(columns, noise, spacing, length)
    for _ in range(denoise.ROUNDS):
        columns = denoise.project(columns, plane, spacing, length)
    return standardised(columns)


def standardised(columns: Columns) -> Columns:
    return (columns - columns.mean(axis=0)) / np.maximum(columns.std(axis=0), 1e-12)
