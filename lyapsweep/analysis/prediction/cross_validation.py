"""Cross-validated scores: random splits of the trials, and confidence intervals that allow for overlapping splits."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats
from sklearn.model_selection import GroupShuffleSplit

from lyapsweep.analysis.shared.ranks import rank_share, spearman
from lyapsweep.analysis.shared.selection import named, require
from lyapsweep.analysis.shared.spectrum_features import quantiles
from lyapsweep.analysis.shared.units import Units
from lyapsweep.results.table import Table

TRAIN, VALIDATION, TEST = 0, 1, 2
TRAIN_SHARE, TEST_SHARE = 0.5, 0.3
SPLITS = 15


class CrossValidationScores(NamedTuple):
    """Means over splits (...,), their 95 % intervals, and two-sided p values of a mean of 0."""

    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray
    p: np.ndarray


def random_splits(table: Table, count: int, seed: int, group: str | Sequence[str] | None = None) -> np.ndarray:
    """Draw `count` splits of the trials into TRAIN (0.5), VALIDATION (0.2) and TEST (0.3): (count, trials).

    Trials of one unit, a setting with all its seeds, stay in one part, or those that share the values of `group`.
    Raises `TooFew` with fewer than ten groups.
    """
    groups = Units.of(table).index if group is None else named(table, group)
    require(len(set(groups)), 10, "groups of trials to split")
    splitter = GroupShuffleSplit(count, train_size=TRAIN_SHARE, test_size=TEST_SHARE, random_state=seed)
    parts = np.full((count, len(table)), VALIDATION)
    for part, (train, test) in zip(parts, splitter.split(groups, groups=groups), strict=True):
        part[train], part[test] = TRAIN, TEST
    return parts


def rank_score(predicted: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Spearman's rank correlation along the last axis; 0 for a constant prediction."""
    return np.nan_to_num(spearman(predicted, np.broadcast_to(values, predicted.shape)))


def over_splits(scores: np.ndarray, split: np.ndarray, limit: float = np.inf) -> CrossValidationScores:
    """Mean of scores (..., splits) with the corrected resampled t interval (Nadeau and Bengio 2003).

    var = (1/J + n_test / n_train) s^2 with J - 1 degrees of freedom, s^2 the variance over J splits, whose parts
    overlap, so that s^2 / J alone is too small. n_train counts the TRAIN part alone, also if a model is fitted to the
    VALIDATION part too: intervals with both parts hold 0 in 85 to 90 % of tables without an effect, these in 93 % or
    more. Intervals end at -`limit` and `limit`.
    """
    count = scores.shape[-1]
    ratio = (split == TEST).sum() / (split == TRAIN).sum()
    mean = scores.mean(-1)
    error = np.sqrt((1 / count + ratio) * scores.var(-1, ddof=1))
    half = error * stats.t.ppf(0.975, count - 1)
    safe = np.where(error > 0, error, 1.0)
    p = np.where(error > 0, 2 * stats.t.sf(np.abs(mean) / safe, count - 1), np.where(mean == 0, 1.0, 0.0))
    return CrossValidationScores(mean, np.maximum(mean - half, -limit), np.minimum(mean + half, limit), p)


def scaled_ranks(values: np.ndarray, among: np.ndarray) -> np.ndarray:
    """Mean ranks of values among others, scaled to [-1, 1]; the infinite values of lost trials are at an end."""
    return 2 * rank_share(values, among) - 1


def quantile_axis(spectra: np.ndarray, points: int, fitted: np.ndarray) -> np.ndarray:
    """Spectra at `points` quantiles; -inf counts as the smallest finite exponent of the `fitted` trials alone."""
    return quantiles(spectra, points, floor=floor(spectra[fitted]))


def floor(spectra: np.ndarray) -> float:
    """The smallest finite exponent. Raises `TooFew` if there is none."""
    finite = spectra[np.isfinite(spectra)]
    require(finite.size, 1, "finite exponents")
    return float(finite.min())
