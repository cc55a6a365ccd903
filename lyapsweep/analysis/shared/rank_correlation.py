"""Spearman's rank correlation: of samples with weights, with a bootstrap interval, and of many pairs at once."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from lyapsweep.analysis.shared.selection import EndedTrials, require

NEED = 8  # fewest trials for which an interval is informative


class RankCorrelation(NamedTuple):
    """Spearman's rho with its 95 % interval [low, high] and its two-sided p value under independence.

    Numbers of one pair, or arrays of several.
    """

    rho: Any
    low: Any
    high: Any
    p: Any


class CorrelationFinding(NamedTuple):
    """Rank correlations, one row per pair of a statistic and a measure, strongest first. Arrays (pairs,).

    `rho` has the 95 % interval [low, high] and the p value `p`; `q` is p adjusted for all pairs (Benjamini and
    Hochberg 1995). `n` trials, of which `lost` were lost. `hunted` says that a hunt chose the trials.
    """

    statistics: tuple[str, ...]
    measures: tuple[str, ...]
    rho: np.ndarray
    low: np.ndarray
    high: np.ndarray
    p: np.ndarray
    q: np.ndarray
    n: np.ndarray
    lost: np.ndarray
    resamples: int
    hunted: bool


def rank_share(values: np.ndarray, among: np.ndarray) -> np.ndarray:
    """The share of the numbers `among` below each value, with half of those equal to it."""
    ordered = np.sort(among)
    below, up_to = (np.searchsorted(ordered, values, side=side) for side in ("left", "right"))
    return (below + up_to) / (2 * len(ordered))


def weighted_ranks(values: np.ndarray, w: np.ndarray) -> np.ndarray:
    """Midranks (..., n) in (0, 1) of values (n,) for weights (..., n): (weight below + half that of ties) / sum."""
    order = np.argsort(values, kind="stable")
    starts = np.flatnonzero(np.append(True, values[order][1:] != values[order][:-1]))
    ends = np.append(starts[1:], len(values)) - 1
    cumulative = np.cumsum(w[..., order], axis=-1)
    below = np.where(starts > 0, cumulative[..., starts - 1], 0.0)
    ranks = np.empty(cumulative.shape)
    ranks[..., order] = np.repeat((below + cumulative[..., ends]) / 2, ends - starts + 1, axis=-1)
    return ranks / cumulative[..., -1:]


def spearman(x: np.ndarray, y: np.ndarray, w: np.ndarray | None = None) -> np.ndarray:
    """Spearman's rank correlation along the last axis; NaN where x or y is constant.

    With weights (..., n), the correlation of the weighted midranks of x and y (n,): a weight of 2 counts a sample
    twice.
    """
    if w is None:
        share = np.full(np.shape(x)[-1], 1 / np.shape(x)[-1])
        a, b = (stats.rankdata(v, axis=-1) / len(share) for v in (x, y))
    else:
        share = w / w.sum(-1, keepdims=True)
        a, b = weighted_ranks(x, w), weighted_ranks(y, w)
    a, b = (v - (share * v).sum(-1, keepdims=True) for v in (a, b))
    scale = np.sqrt((share * a**2).sum(-1) * (share * b**2).sum(-1))
    return np.divide((share * a * b).sum(-1), scale, out=np.full(scale.shape, np.nan), where=scale > 1e-12)


def rank_correlation(x: np.ndarray, y: np.ndarray, resamples: int, seed: int) -> RankCorrelation:
    """Spearman's rho with its percentile bootstrap interval; resamples with a constant variable are left out."""
    found: Any = stats.spearmanr(x, y)
    rows = np.random.default_rng(seed).integers(len(x), size=(resamples, len(x)))
    low, high = np.nanpercentile(spearman(x[rows], y[rows]), (2.5, 97.5))
    return RankCorrelation(float(found.statistic), float(low), float(high), float(found.pvalue))


def correlate(
    columns: Mapping[str, np.ndarray], measures: Mapping[str, EndedTrials], resamples: int, seed: int, hunted: bool
) -> CorrelationFinding:
    """Correlate each column (trials,) with each measure, over the trials that have both.

    Raises `TooFew` if no pair has eight trials with both, or if none of these varies in both.
    """
    rows, most = [], 0
    for measure, trials in measures.items():
        for name, x in columns.items():
            both = ~np.isnan(x) & ~np.isnan(trials.values)
            count, most = int(both.sum()), max(most, int(both.sum()))
            if count >= NEED and np.unique(x[both]).size > 1 and np.unique(trials.values[both]).size > 1:
                found = rank_correlation(x[both], trials.values[both], resamples, seed)
                rows.append((name, measure, *found, count, int(trials.lost[both].sum())))
    require(most, NEED, "trials with a spectrum and a measure")
    require(len(rows), 1, "pairs of a statistic and a measure that both vary")
    rows.sort(key=lambda row: -abs(row[2]))
    statistics, names, *cells = zip(*rows, strict=True)
    rho, low, high, p, n, lost = map(np.array, cells)
    q = stats.false_discovery_control(p)
    return CorrelationFinding(statistics, names, rho, low, high, p, q, n, lost, resamples, hunted)
