"""Spearman's rank correlation of runs of many settings: its interval and p value leave out whole settings."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from scipy import special, stats

from lyapsweep.analysis.shared.ranks import spearman
from lyapsweep.analysis.shared.selection import EndedTrials, require
from lyapsweep.analysis.shared.units import Units

NEED = 8  # fewest trials for which an interval is informative
MOST = 200  # settings left out one by one; more are left out in so many blocks


class RankCorrelation(NamedTuple):
    """Spearman's rho with its 95 % interval [low, high] and the two-sided p value of a rho of 0.

    Numbers of one pair, or arrays of several.
    """

    rho: Any
    low: Any
    high: Any
    p: Any


class CorrelationFinding(NamedTuple):
    """Rank correlations, one row per pair of a statistic and a measure, strongest first. Arrays (pairs,).

    `rho` has the 95 % interval [low, high] and the p value `p`; `q` is p adjusted for all pairs (Benjamini and
    Hochberg 1995). `n` runs of so many `settings`; `lost` of the runs were lost. `hunted` says that a hunt chose them.
    """

    statistics: tuple[str, ...]
    measures: tuple[str, ...]
    rho: np.ndarray
    low: np.ndarray
    high: np.ndarray
    p: np.ndarray
    q: np.ndarray
    n: np.ndarray
    settings: np.ndarray
    lost: np.ndarray
    hunted: bool


def jackknifed(rho: np.ndarray, left: np.ndarray, sizes: np.ndarray, controls: int = 0) -> RankCorrelation:
    """Compute the interval and p of correlations (m,) from those without each of b blocks of settings, left (b, m).

    z = artanh(rho) +- t s, s^2 = (b - 3 - c) / b sum_g (z_g - mean z)^2 for c `controls`: the delete-one jackknife,
    with the factor (b - 3 - c) / (b - 1), without which it exceeds the variance 1 / (b - 3 - c) of z of independent
    pairs (Fisher 1921, 1924). t has b' - 1 - c degrees of freedom, b' = (sum n)^2 / sum n^2 the effective number of
    blocks with n runs each, `sizes` (b,) (Carter, Schnepel, Steigerwald 2017). A correlation that is undefined without
    one block rests on that block alone and counts as 0 there. No p is below 2 / b!, the smallest of an exact
    permutation test.
    """
    blocks = len(left)
    z, without = (np.arctanh(np.clip(v, -1 + 1e-9, 1 - 1e-9)) for v in (rho, np.nan_to_num(left)))
    error = np.sqrt(max(1, blocks - 3 - controls) * without.var(0))
    freedom = max(1.0, effective_number(sizes) - 1 - controls)
    half = error * stats.t.ppf(0.975, freedom)
    with np.errstate(divide="ignore", invalid="ignore"):
        p = 2 * stats.t.sf(np.where(z == 0, 0.0, np.abs(z) / error), freedom)
    return RankCorrelation(rho, np.tanh(z - half), np.tanh(z + half), np.maximum(p, 2 / special.factorial(blocks)))


def effective_number(sizes: np.ndarray) -> float:
    """The number of blocks of equal size that are as informative as blocks with so many runs: (sum n)^2 / sum n^2."""
    return float(sizes.sum() ** 2 / (sizes**2).sum())


def rank_correlation(
    x: np.ndarray, y: np.ndarray, units: Units, resamples: int = MOST, seed: int = 0
) -> RankCorrelation:
    """Spearman's rho within strata, its interval and p by leaving out each unit, or each of `resamples` blocks."""
    x, y = units.comparable(x), units.comparable(y)
    block = units.blocks(resamples, seed)
    kept = (block != np.arange(block.max() + 1)[:, None]).astype(float)
    return RankCorrelation(*map(float, jackknifed(spearman(x, y), spearman(x, y, kept), np.bincount(block))))


def correlate(
    columns: Mapping[str, np.ndarray], measures: Mapping[str, EndedTrials], resamples: int, seed: int, hunted: bool
) -> CorrelationFinding:
    """Correlate each column (trials,) with each measure, over the trials that have both.

    Raises `TooFew` if no pair has eight trials with both, or if none of these varies in both.
    """
    rows, most = [], 0
    units = Units.of(next(iter(measures.values())).table)
    for measure, trials in measures.items():
        for name, x in columns.items():
            both = ~np.isnan(x) & ~np.isnan(trials.values)
            count, most = int(both.sum()), max(most, int(both.sum()))
            if count >= NEED and varies(x[both], own := units.take(both)) and varies(trials.values[both], own):
                found = rank_correlation(x[both], trials.values[both], own, resamples, seed)
                rows.append((name, measure, *found, count, own.count.settings, int(trials.lost[both].sum())))
    require(most, NEED, "trials with a spectrum and a measure")
    require(len(rows), 1, "pairs of a statistic and a measure that both vary")
    rows.sort(key=lambda row: -abs(row[2]))
    statistics, names, *cells = zip(*rows, strict=True)
    rho, low, high, p, n, settings, lost = map(np.array, cells)
    q = stats.false_discovery_control(p)
    return CorrelationFinding(statistics, names, rho, low, high, p, q, n, settings, lost, hunted)


def varies(values: np.ndarray, units: Units) -> bool:
    """Whether runs that are compared differ."""
    return np.unique(units.comparable(values)).size > 1
