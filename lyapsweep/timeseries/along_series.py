"""The largest exponent along a series by local maps, with the spread over choices that are as good."""

import math

import numpy as np
from jaxtyping import Float

from lyapsweep.timeseries.embedding import Columns, Embedding, delayed
from lyapsweep.timeseries.neighbours import Points
from lyapsweep.timeseries.tangents import TangentFit, jacobians, tangent_growth

BLOCKS = 12  # of consecutive steps, the units of the bootstrap
RESAMPLES = 2000


def growth(columns: Columns, found: Embedding, fit: TangentFit, noisy: bool, seed: int) -> tuple[float, float, float]:
    """(exponent, low, high): the mean over choices that are as good, a bootstrap interval, and twice their spread.

    The choices are one value of each column more, another time step, and, without noise, maps of the other order: few
    neighbours make linear maps too flat and quadratic ones too steep.
    """
    states = found.states(columns)
    steps = tangent_steps(states, fit, seed)
    slower = TangentFit(max(1, fit.ahead // 2) if fit.degree == 1 else found.delay, fit.theiler, fit.degree)
    others = [tangent_steps(delayed(columns, found.dimension + 1, found.delay), fit, seed)]
    others += [tangent_steps(states, slower, seed)]
    if not noisy:
        others += [tangent_steps(states, TangentFit(fit.ahead, fit.theiler, 3 - fit.degree), seed)]
    means = [float(s.mean()) for s in (steps, *others)]
    exponent, spread = float(np.mean(means)), float(np.std(means))
    blocks = np.array([b.mean() for b in np.array_split(steps, BLOCKS)])
    drawn = np.random.default_rng(seed).integers(BLOCKS, size=(RESAMPLES, BLOCKS))
    low, high = np.percentile(blocks[drawn].mean(axis=1) - means[0], [2.5, 97.5])
    return exponent, exponent - math.hypot(low, 2 * spread), exponent + math.hypot(high, 2 * spread)


def tangent_steps(states: Points, fit: TangentFit, seed: int) -> Float[np.ndarray, " steps"]:
    return tangent_growth(jacobians(states, fit)[0], fit.ahead, seed).mean(axis=1)
