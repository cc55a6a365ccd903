"""Numbers made of spectra for statistics: summaries, and spectra of any length on one axis of quantiles.

Spectra are rows (rows, k), nats per step, NaN past a spectrum's end or throughout where a row has none. They are sorted
here, the largest first. A partial spectrum holds the leading exponents only: its quantiles, means and fractions are of
those, and compare with others of the same share of the state. An exponent of -inf (a direction that is annihilated) is
no number that a regression can take: it counts as `floor`, by default the smallest finite exponent of all rows given.
"""

import numpy as np

LN2 = float(np.log(2))
POINTS = 1000  # of the axis that quantiles are read from
TOP = 10  # exponents that "the leading ones" are, as in Vogt et al. 2022
THRESHOLDS = (-0.5, -1.0, -3.0)  # bits per step: what shrinks by less than sqrt 2, 2 and 8 a step
QUANTILES = (0.1, 0.25)
SLOPES = ((0.1, 0.2), (0.4, 0.6))  # quantiles between which a slope is taken


def quantiles(spectra: np.ndarray, points: int, floor: float | None = None) -> np.ndarray:
    """Spectra on `points` equidistant quantiles, so that networks of any size compare: (rows, k) -> (rows, points).

    Exponent i of n stands at the quantile u = (i - 1/2) / n, the j-th number returned is the linear interpolation at
    u = (j - 1/2) / points, and constant before the first and after the last exponent. Of n = `points` exponents each
    is itself. A row without exponents is NaN.

    Raises `ValueError` where `points` is not positive or `spectra` is no array of rows.
    """
    if points < 1:
        raise ValueError(f"points: must be at least 1, but is {points}.")
    ordered, count = held(spectra, floor)
    resampled = np.full((len(ordered), points), np.nan)
    for n in np.unique(count[count > 0]):
        at = np.clip((np.arange(points) + 0.5) / points * n - 0.5, 0, n - 1)
        below = np.minimum(np.floor(at).astype(int), n - 1)
        above, share = np.minimum(below + 1, n - 1), at - below
        rows = ordered[count == n]
        resampled[count == n] = rows[:, below] * (1 - share) + rows[:, above] * share
    return resampled


def held(spectra: np.ndarray, floor: float | None = None) -> tuple[np.ndarray, np.ndarray]:
    """(spectra, count): rows sorted, largest first, NaN last, -inf as `floor`; how many exponents (rows,)."""
    spectra = np.asarray(spectra, float)
    if spectra.ndim != 2:
        raise ValueError(f"spectra: must be an array of rows (rows, k), but has the shape {spectra.shape}.")
    lowest = np.isneginf(spectra)
    if lowest.any():
        finite = spectra[np.isfinite(spectra)]
        bottom = floor if floor is not None else (finite.min() if finite.size else np.nan)
        spectra = np.where(lowest, bottom, spectra)
    return -np.sort(-spectra, axis=1), (~np.isnan(spectra)).sum(1)


def summaries(spectra: np.ndarray, floor: float | None = None) -> dict[str, np.ndarray]:
    """Named statistics of each spectrum, each (rows,): what a row cannot say is NaN.

    maximum, mean, std, minimum; top_mean and top_abs, mean and mean |.| of the leading ten; above -0.5, -1 and -3 bits,
    the fraction of exponents that say so per step; quantile u, lambda(u); slope u-v, (lambda(v) - lambda(u)) / (v - u);
    entropy_rate, the sum of the positive ones; kaplan_yorke, D = j + (lambda_1 + ... + lambda_j) / |lambda_{j+1}|,
    where a spectrum whose sum never turns negative counts as many dimensions as it has exponents.
    """
    ordered, count = held(spectra, floor)
    known = ~np.isnan(ordered)
    some = np.where(count > 0, count, np.nan)
    filled = np.where(known, ordered, 0.0)
    mean = filled.sum(1) / some
    top = np.minimum(np.nan_to_num(some, nan=1.0), TOP)
    found = {
        "maximum": first(ordered),
        "mean": mean,
        "std": np.sqrt((np.where(known, ordered - mean[:, None], 0.0) ** 2).sum(1) / some),
        "minimum": np.where(count > 0, np.where(known, ordered, np.inf).min(1, initial=np.inf), np.nan),
        "top_mean": np.where(count > 0, filled[:, :TOP].sum(1) / top, np.nan),
        "top_abs": np.where(count > 0, np.abs(filled[:, :TOP]).sum(1) / top, np.nan),
    }
    found |= {f"above {t:g} bits": (known & (ordered > t * LN2)).sum(1) / some for t in THRESHOLDS}
    axis = quantiles(ordered, POINTS)
    at = lambda u: axis[:, round(POINTS * u - 0.5)]  # noqa: E731  # the point whose quantile is u
    found |= {f"quantile {u:g}": at(u) for u in QUANTILES}
    found |= {f"slope {u:g}-{v:g}": (at(v) - at(u)) / (v - u) for u, v in SLOPES}
    positive = np.where(known & (ordered > 0), ordered, 0.0).sum(1)
    return found | {"entropy_rate": np.where(count > 0, positive, np.nan), "kaplan_yorke": kaplan_yorke(ordered)}


def first(ordered: np.ndarray) -> np.ndarray:
    return ordered[:, 0] if ordered.shape[1] else np.full(len(ordered), np.nan)


def kaplan_yorke(ordered: np.ndarray) -> np.ndarray:
    """The Kaplan-Yorke dimension (rows,) of sorted spectra (rows, k)."""
    found = np.full(len(ordered), np.nan)
    for i, row in enumerate(ordered):
        row = row[~np.isnan(row)]
        sums = np.cumsum(row)
        negative = np.flatnonzero(sums < 0)
        if not len(row):
            continue
        j = int(negative[0]) if negative.size else len(row)
        found[i] = float(j) if j in (0, len(row)) else j + sums[j - 1] / abs(row[j])
    return found
