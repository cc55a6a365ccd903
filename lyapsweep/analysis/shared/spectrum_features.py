"""Spectra as predictors: summaries, and spectra of any length on one axis of quantiles.

Spectra are rows (rows, k) in nats per step, NaN past a spectrum's end. They are sorted here, largest first. Quantiles,
means and fractions of a partial spectrum are those of its leading exponents, comparable only at an equal share of the
state. An exponent of -inf (an annihilated direction) counts as `floor`, by default the smallest finite one of all rows.
"""

import numpy as np
import pandas as pd

from lyapsweep.dynamics.dimension import kaplan_yorke, zeros

SURE = 2.0  # standard errors of a 95 % interval
LN2 = float(np.log(2))
POINTS = 1000  # of the axis from which quantiles are read
TOP = 10  # leading exponents, as in Vogt et al. 2022
THRESHOLDS = (-0.5, -1.0, -3.0)  # bits per step
QUANTILES = (0.1, 0.25)
SLOPES = ((0.1, 0.2), (0.4, 0.6))  # between two quantiles


def quantiles(spectra: np.ndarray, points: int, floor: float | None = None) -> np.ndarray:
    """Interpolate spectra at `points` evenly spaced quantiles, so that networks of any size can be compared.

    Exponent i of n lies at the quantile u = (i - 1/2) / n. The j-th result is linearly interpolated at
    u = (j - 1/2) / points, and constant before the first and after the last exponent.

    Args:
        spectra: Exponents (rows, k), NaN past a spectrum's end.
        points: Number of quantiles.
        floor: What an exponent of -inf counts as; by default the smallest finite exponent.

    Returns:
        Quantiles (rows, points), largest first; NaN for a row without exponents.

    Raises:
        ValueError: If `points` is not positive or `spectra` does not have two dimensions.

    Example:
        >>> quantiles(np.array([[0.0, -1.0, -2.0, -3.0]]), 2)
        array([[-0.5, -2.5]])
    """
    if points < 1:
        raise ValueError(f"points: must be at least 1, but is {points}.")
    ordered, count = sorted_spectra(spectra, floor)
    resampled = np.full((len(ordered), points), np.nan)
    for n in np.unique(count[count > 0]):
        at = np.clip((np.arange(points) + 0.5) / points * n - 0.5, 0, n - 1)
        below = np.minimum(np.floor(at).astype(int), n - 1)
        above, share = np.minimum(below + 1, n - 1), at - below
        rows = ordered[count == n]
        resampled[count == n] = rows[:, below] * (1 - share) + rows[:, above] * share
    return resampled


def sorted_spectra(spectra: np.ndarray, floor: float | None = None) -> tuple[np.ndarray, np.ndarray]:
    """(rows sorted, largest first, NaN last, -inf replaced by `floor`; number of exponents (rows,))."""
    spectra = np.asarray(spectra, float)
    if spectra.ndim != 2:
        raise ValueError(f"spectra: must be an array of rows (rows, k), but has the shape {spectra.shape}.")
    lowest = np.isneginf(spectra)
    if lowest.any():
        finite = spectra[np.isfinite(spectra)]
        bottom = floor if floor is not None else (finite.min() if finite.size else np.nan)
        spectra = np.where(lowest, bottom, spectra)
    return -np.sort(-spectra, axis=1), (~np.isnan(spectra)).sum(1)


def summaries(spectra: np.ndarray, floor: float | None = None, stderr: np.ndarray | None = None) -> pd.DataFrame:
    """Compute named statistics of each spectrum; NaN where a row does not determine one.

    maximum, mean, std, minimum; top_mean and top_abs, the means of the leading ten exponents and of their moduli; above
    -0.5, -1 and -3 bits, the fraction of exponents above that rate per step; quantile u, lambda(u); slope u-v,
    (lambda(v) - lambda(u)) / (v - u); entropy_rate, the sum of the positive exponents, NaN if the last one is positive;
    kaplan_yorke, D = j + (lambda_1 + ... + lambda_j) / |lambda_{j+1}|, NaN if the sum never turns negative: a row does
    not say whether further exponents follow. With standard errors it is the middle of the dimensions that they allow.

    Args:
        spectra: Exponents (rows, k), NaN past a spectrum's end.
        floor: What an exponent of -inf counts as; by default the smallest finite exponent.
        stderr: Standard errors (rows, k); NaN where unknown.

    Returns:
        One row per spectrum, one column per statistic.

    Example:
        >>> found = summaries(np.array([[0.5, 0.0, -1.0]]))
        >>> found[["kaplan_yorke", "entropy_rate"]].to_numpy()
        array([[2.5, 0.5]])
    """
    ordered, count = sorted_spectra(spectra, floor)
    known = ~np.isnan(ordered)
    some = np.where(count > 0, count, np.nan)
    filled = np.where(known, ordered, 0.0)
    mean = filled.sum(1) / some
    top = np.minimum(some, TOP)
    found = {
        "maximum": ordered[:, 0] if ordered.shape[1] else np.full(len(ordered), np.nan),
        "mean": mean,
        "std": np.sqrt((np.where(known, ordered - mean[:, None], 0.0) ** 2).sum(1) / some),
        "minimum": np.where(count > 0, np.where(known, ordered, np.inf).min(1, initial=np.inf), np.nan),
        "top_mean": filled[:, :TOP].sum(1) / top,
        "top_abs": np.abs(filled[:, :TOP]).sum(1) / top,
    }
    found |= {f"above {t:g} bits": (known & (ordered > t * LN2)).sum(1) / some for t in THRESHOLDS}
    axis = quantiles(ordered, POINTS)
    at = {u: axis[:, round(POINTS * u - 0.5)] for u in (*QUANTILES, *sum(SLOPES, ()))}
    found |= {f"quantile {u:g}": at[u] for u in QUANTILES}
    found |= {f"slope {u:g}-{v:g}": (at[v] - at[u]) / (v - u) for u, v in SLOPES}
    positive = np.where(known & (ordered > 0), ordered, 0.0).sum(1)
    errors = np.full(ordered.shape, np.nan) if stderr is None else stderr
    dimension = [dimension_of(row[:n], error[:n]) for row, error, n in zip(ordered, errors, count, strict=True)]
    found |= {"entropy_rate": np.where(found["minimum"] <= 0, positive, np.nan), "kaplan_yorke": np.array(dimension)}
    return pd.DataFrame(found)


def dimension_of(exponents: np.ndarray, stderr: np.ndarray) -> float:
    """The Kaplan-Yorke dimension; with all errors known the middle of those that they allow."""
    half = SURE * stderr
    if np.isnan(half).any():
        return kaplan_yorke(exponents, np.nan)
    still = zeros(exponents, half, flow=False)
    exponents, half = np.where(still, 0.0, exponents), np.where(still, 0.0, half)
    ends = [kaplan_yorke(np.sort(exponents + sign * half)[::-1], np.nan) for sign in (-1, 1)]
    return float(np.mean(ends)) if np.isfinite(ends).all() else kaplan_yorke(exponents, np.nan)


def determined(spectra: np.ndarray, floor: float | None = None, stderr: np.ndarray | None = None) -> pd.DataFrame:
    """The columns of `summaries` that every row determines."""
    return summaries(spectra, floor, stderr).dropna(axis=1)
