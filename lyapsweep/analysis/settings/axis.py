"""Where the values of a swept setting lie on an axis: a place for each, or bins where a sampler drew too many."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from lyapsweep.analysis.shared.selection import digits

MOST = 24  # more distinct values than this are binned
BINS = 10


class Places(NamedTuple):
    """The places of one axis: `centres` (places,), `labels` of them, and `index` (rows,), -1 where a row has none."""

    centres: np.ndarray
    labels: tuple[str, ...]
    index: np.ndarray
    numeric: bool
    log: bool
    binned: bool


def places(values: pd.Series, most: int = MOST, bins: int = BINS) -> Places:
    """One place a distinct value; of more than `most` numbers, `bins` equal bins of the axis, empty ones left out."""
    numeric = pd.api.types.is_numeric_dtype(values.dtype) and not pd.api.types.is_bool_dtype(values.dtype)
    if not numeric:
        index, names = pd.factorize(values.astype("string"), sort=True)
        return Places(np.arange(len(names), dtype=float), tuple(map(str, names)), index, False, False, False)
    x = values.to_numpy(float)
    known = np.isfinite(x)
    distinct = np.unique(x[known])
    log = log_spaced(distinct)
    if len(distinct) <= most:
        index = np.where(known, np.searchsorted(distinct, x), -1)
        return Places(distinct, tuple(f"{v:.6g}" for v in distinct), index, True, log, False)
    scaled = np.log(np.where(known, x, 1.0)) if log else np.where(known, x, 0.0)
    return binned(scaled, known, log, bins)


def binned(scaled: np.ndarray, known: np.ndarray, log: bool, bins: int) -> Places:
    """Equal bins of the (logarithmic) axis between its ends."""
    unscale = np.exp if log else np.asarray
    edges = np.linspace(scaled[known].min(), scaled[known].max(), bins + 1)
    bin_of = np.clip(np.searchsorted(edges, scaled, side="right") - 1, 0, bins - 1)
    used = np.unique(bin_of[known])
    centres = unscale((edges[used] + edges[used + 1]) / 2)
    low, high = unscale(edges[used]), unscale(edges[used + 1])
    labels = tuple(f"{digits(a)} to {digits(b)}" for a, b in zip(low, high, strict=True))
    return Places(centres, labels, np.where(known, np.searchsorted(used, bin_of), -1), True, log, True)


def log_spaced(distinct: np.ndarray) -> bool:
    """Whether sorted positive numbers over a decade or more are spaced more evenly in their logarithms."""
    if len(distinct) < 2 or distinct[0] <= 0 or distinct[-1] < 10 * distinct[0]:
        return False
    unevenness = lambda gaps: gaps.std() / gaps.mean()  # noqa: E731
    return len(distinct) == 2 or bool(unevenness(np.diff(np.log(distinct))) < unevenness(np.diff(distinct)))


def wide(values: np.ndarray, decades: float = 1.5) -> bool:
    """Whether positive numbers span so much that only a logarithmic axis shows them."""
    finite = values[np.isfinite(values)]
    return bool(finite.size and finite.min() > 0 and np.log10(finite.max() / finite.min()) > decades)
