"""The scaling region of a divergence curve, found by one rule, and the slope there."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from lyapsweep.timeseries.divergence import Curve

SATURATION = 1.0  # nats below the ceiling, where curves bend towards it
STRAIGHT = 0.02  # of a stretch's rise: the root mean square residual that still counts as a line
TRANSIENT = 0.15  # of the rise to saturation, in which neighbours first turn to the fastest direction
GRID = 40  # lags that are tried as ends
RESAMPLES = 400


@dataclass(frozen=True)
class ScalingRegion:
    """S(k) ~ `level` + `slope` k for k = `first` ... `last`; `low` to `high` holds 95 % of bootstrapped slopes."""

    first: int
    last: int
    slope: float
    level: float
    low: float
    high: float


def line(curve: Curve, seed: int) -> ScalingRegion | None:
    """The stretch of largest rise with a residual of at most 2 % of that rise, after the transient, below saturation.

    None if there is none. The interval is a bootstrap over blocks of reference points.
    """
    S = curve.mean
    above = np.flatnonzero(curve.ceiling - SATURATION <= S)
    end = int(above[0]) if len(above) else len(S) - 1
    start = int(np.argmax(S[0] + TRANSIENT * (S[end] - S[0]) <= S))
    ends = np.unique(np.linspace(start, end, GRID).round().astype(int))
    best, region = 0.0, None
    for first in ends:
        for last in ends[ends >= first + 3]:
            k = np.arange(first, last + 1)
            fit = np.polyfit(k, S[k], 1)
            rise = fit[0] * (last - first)
            if rise > best and np.std(S[k] - np.polyval(fit, k)) <= STRAIGHT * rise:
                best, region = rise, (int(first), int(last), fit)
    if region is None:
        return None
    first, last, fit = region
    slopes = resampled(curve, first, last, np.random.default_rng(seed))
    low, high = np.percentile(slopes, [2.5, 97.5])
    return ScalingRegion(first, last, float(fit[0]), float(fit[1]), float(low), float(high))


def resampled(curve: Curve, first: int, last: int, rng: np.random.Generator) -> Float[np.ndarray, " resamples"]:
    """Slopes of curves from blocks drawn with replacement."""
    k = np.arange(first, last + 1.0)
    lever = (k - k.mean()) / np.square(k - k.mean()).sum()
    slopes, blocks = curve.blocks[:, first : last + 1] @ lever, len(curve.weights)
    drawn = rng.integers(blocks, size=(RESAMPLES, blocks))
    return (slopes * curve.weights)[drawn].sum(axis=1) / curve.weights[drawn].sum(axis=1)
