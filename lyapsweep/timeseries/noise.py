"""How much of a series is observation noise, without assuming the dimension of its attractor."""

import math

import numpy as np

from lyapsweep.timeseries.embedding import Columns, delayed
from lyapsweep.timeseries.tangents import next_error

ORDERS = 12  # differences of a flow
WIDEST = 6  # values of a map's states, all columns together


def noise_level(columns: Columns, flow: bool, theiler: int) -> float:
    """Standard deviation of white observation noise, at most; in that of the columns.

    A flow is smooth: differences of order p of a smooth signal shrink with p, those of noise have a variance of
    binom(2p, p) times its own. The smallest quotient over p = 1 ... 12 is a bound, and close where noise dominates. The
    next sample of a map is predicted from states of 1 to 6 values; the variance of the error is at least twice that of
    the noise, which is in the states and in the next sample.
    """
    if flow:
        return float(np.sqrt(np.square(difference_noise(columns)).mean()))
    width = columns.shape[1]
    dimensions = range(1, max(1, WIDEST // width) + 1)
    errors = [next_error(delayed(columns, E, 1), width, theiler) for E in dimensions]
    return min(errors) / math.sqrt(2)


def difference_noise(columns: Columns) -> np.ndarray:
    """The bound of every column of a flow."""
    bounds = []
    for order in range(1, ORDERS + 1):
        size = np.square(np.diff(columns, order, axis=0)).mean(axis=0)
        bounds.append(np.sqrt(size / math.comb(2 * order, order)))
    return np.min(bounds, axis=0)
