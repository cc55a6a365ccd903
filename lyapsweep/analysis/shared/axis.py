"""Where the values of a swept setting lie on an axis: one place per value, or bins of many values."""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from lyapsweep.analysis.shared.selection import digits

MOST = 24  # with more distinct values than this, values are binned
BINS = 10


class Places(NamedTuple):
    """The places on one axis: `centres` (places,), their `labels`, and `index` (rows,) of each row's, -1 for none."""

    centres: np.ndarray
    labels: tuple[str, ...]
    index: np.ndarray
    numeric: bool
    log: bool
    binned: bool


def places(values: pd.Series, most: int = MOST, bins: int = BINS) -> Places:
    """One place per distinct value, or `bins` equal bins of more than `most` numbers; empty bins are left out."""
    if not is_numeric(values):
        index, names = pd.factorize(values.astype("string"), sort=True)
        return Places(np.arange(len(names), dtype=float), tuple(map(str, names)), index, False, False, False)
    x = values.to_numpy(float)
    known = np.isfinite(x)
    unique = np.unique(x[known])
    log = log_spaced(unique)
    if len(unique) <= most:
        index = np.where(known, np.searchsorted(unique, x), -1)
        return Places(unique, tuple(f"{v:.6g}" for v in unique), index, True, log, False)
    return binned(np.log(np.where(known, x, 1.0)) if log else np.where(known, x, 0.0), known, log, bins)


def is_numeric(values: Any) -> bool:
    """Whether a column holds numbers; truth values are names."""
    return pd.api.types.is_numeric_dtype(values.dtype) and not pd.api.types.is_bool_dtype(values.dtype)


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


def log_spaced(unique: np.ndarray) -> bool:
    """Whether sorted positive numbers over a decade or more are spaced more evenly in their logarithms."""
    if len(unique) < 2 or unique[0] <= 0 or unique[-1] < 10 * unique[0]:
        return False
    linear, logs = np.diff(unique), np.diff(np.log(unique))
    return len(unique) == 2 or bool(logs.std() / logs.mean() < linear.std() / linear.mean())


def wide(values: np.ndarray, decades: float = 1.5) -> bool:
    """Whether positive numbers span so many decades that a logarithmic axis is needed."""
    finite = values[np.isfinite(values)]
    return bool(finite.size and finite.min() > 0 and np.log10(finite.max() / finite.min()) > decades)
