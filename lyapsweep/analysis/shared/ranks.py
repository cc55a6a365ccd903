"""Ranks and Spearman's rank correlation, also of samples with weights and of many pairs at once."""

import numpy as np
from scipy import stats


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
