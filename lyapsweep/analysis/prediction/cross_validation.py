"""Learned from some trials, scored on others: splits, scores, and intervals that know that splits overlap."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

from lyapsweep.analysis.prediction.early_records import early, map_of
from lyapsweep.analysis.shared.selection import JudgedTrials, judged, named, require
from lyapsweep.analysis.shared.spectrum_features import quantiles
from lyapsweep.results.table import Table

NEED = 40  # trials: three tenths of fewer are too few to rank
TRAIN, VALIDATION, TEST = 0, 1, 2
SHARES = (0.5, 0.2, 0.3)
SPLITS = 15


class Rows(NamedTuple):
    """The trials that have both a spectrum and an outcome, and how many have an outcome alone.

    `trials` are their last records, `spectra` (trials, k) with NaN past a spectrum's end, `values` (trials,) with lost
    trials at the worst (infinite). `which` says in words which spectra they are.
    """

    trials: Table
    spectra: np.ndarray
    values: np.ndarray
    lost: np.ndarray
    without: int
    map: str
    which: str


class CrossValidationScores(NamedTuple):
    """Means over splits (...,), their 95 % intervals, and p of a mean of 0, two-sided."""

    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray
    p: np.ndarray


def rows(table: Table, column: str, map: str | None = None, fraction: float | None = None) -> Rows:
    """The trials of `table` that came to an end of their own and have a spectrum of `map` and a value of `column`.

    The spectrum is the last record's, or an early one where a `fraction` of training is given (`foresight.early`). A
    trial without it is left out and counted; it gets no other's.

    Raises `UnknownName` for a map or column that is not there, `TooFew` below 40 trials or where all values are equal.
    """
    map = map_of(table, map)
    if fraction is None:
        trials = judged(table, column)
        spectra = trials.table.spectra[map]
        has, valued = ~np.isnan(spectra).all(1), ~np.isnan(trials.values)
        kept, which = has & valued, f"final {map} spectrum"
        chosen = JudgedTrials(trials.table.take(kept), trials.values[kept], trials.lost[kept])
        found, without = spectra[kept], int((valued & ~has).sum())
    else:
        first = early(table, column, fraction, map)
        chosen, which = (
            JudgedTrials(first.trials, first.values, first.lost),
            f"{map} spectrum at {100 * fraction:.3g} % of training",
        )
        found, without = first.spectra, first.without + first.over
    require(len(found), NEED, f"trials with a spectrum and a value of {column}")
    require(len(np.unique(chosen.values)), 2, f"values of {column}")
    return Rows(chosen.table, found, chosen.values, chosen.lost, without, map, which)


def parts(table: Table, count: int, seed: int, group: str | Sequence[str] | None = None) -> np.ndarray:
    """(count, trials): TRAIN, VALIDATION or TEST, in the shares 0.5, 0.2, 0.3, drawn anew for every split.

    Trials that share the values of `group` (all settings but the seed, say) stay in one part.

    Raises `TooFew` with less than ten groups.
    """
    of = np.arange(len(table)) if group is None else np.unique(named(table, group), return_inverse=True)[1]
    groups = int(of.max()) + 1
    require(groups, 10, "groups of trials to split")
    first, second = round(SHARES[0] * groups), round((SHARES[0] + SHARES[1]) * groups)
    generator = np.random.default_rng(seed)
    place = np.array([generator.permutation(groups) for _ in range(count)])
    return np.where(place < first, TRAIN, np.where(place < second, VALIDATION, TEST))[:, of]


def agreement(predicted: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Spearman's rank correlation along the last axis; 0 where the prediction is one number, which ranks nothing."""
    x, y = stats.rankdata(predicted, axis=-1), stats.rankdata(values, axis=-1)
    x, y = x - x.mean(-1, keepdims=True), y - y.mean(-1, keepdims=True)
    size = np.sqrt((x**2).sum(-1) * (y**2).sum(-1))
    return np.where(size > 0, (x * y).sum(-1) / np.where(size > 0, size, 1.0), 0.0)


def over_splits(scores: np.ndarray, split: np.ndarray, limit: float = np.inf) -> CrossValidationScores:
    """Mean of scores (..., splits) with the corrected resampled t interval (Nadeau and Bengio 2003).

    var = (1/J + n_test / n_train) s^2 with J - 1 degrees of freedom: s^2 the variance over J splits, whose parts
    overlap so that s^2 / J alone is far too small. n_train counts the TRAIN part alone, also where a model learns from
    the VALIDATION part too: without any effect, intervals with all that is learned from hold 0 in 85 to 90 % of tables,
    and these in 93 % or more. Intervals end at -`limit` and `limit`.
    """
    count = scores.shape[-1]
    ratio = (split == TEST).sum() / (split == TRAIN).sum()
    mean = scores.mean(-1)
    error = np.sqrt((1 / count + ratio) * scores.var(-1, ddof=1))
    reach = error * stats.t.ppf(0.975, count - 1)
    safe = np.where(error > 0, error, 1.0)
    p = np.where(error > 0, 2 * stats.t.sf(np.abs(mean) / safe, count - 1), np.where(mean == 0, 1.0, 0.0))
    return CrossValidationScores(mean, np.maximum(mean - reach, -limit), np.minimum(mean + reach, limit), p)


def ranks(values: np.ndarray, among: np.ndarray) -> np.ndarray:
    """Where values lie among others, as mean ranks from -1 to 1: infinite ones, lost trials, at an end."""
    ordered = np.sort(among)
    below, upto = (np.searchsorted(ordered, values, side=side) for side in ("left", "right"))
    return (below + upto) / len(ordered) - 1


def axis(spectra: np.ndarray, points: int, learned: np.ndarray) -> np.ndarray:
    """Spectra on `points` quantiles; -inf counts as the smallest finite exponent of the `learned` trials alone."""
    return quantiles(spectra, points, floor=floor(spectra[learned]))


def floor(spectra: np.ndarray) -> float:
    """The smallest finite exponent. Raises `TooFew` where there is none."""
    known = spectra[np.isfinite(spectra)]
    require(known.size, 1, "finite exponents")
    return float(known.min())
