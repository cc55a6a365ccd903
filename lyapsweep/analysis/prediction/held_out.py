"""Held-out predictions: predictors prepared inside each fold, ridge regression or trees, scores with intervals.

Nothing of a held-out trial reaches the fit: limits, medians, means, scales, components and the penalty come from the
training rows alone.
"""

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
from scipy import stats
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.model_selection import GroupKFold

from lyapsweep.analysis.shared.axis import is_numeric
from lyapsweep.analysis.shared.early_records import EarlyRecords
from lyapsweep.analysis.shared.ranks import rank_share, spearman, weighted_ranks
from lyapsweep.analysis.shared.spectrum_features import quantiles

PENALTIES = np.logspace(-4, 2, 13)  # per training row
SCALES = (0.03, 0.1, 0.3, 1.0)  # of a kind of predictors relative to the first kind
COMPONENTS = 10
LONGEST = 512  # quantiles of a spectrum from which components are computed
Form = Literal["summaries", "quantiles", "components"]
Score = Literal["rank correlation", "AUC"]
Learner = Literal["ridge", "trees"]


class Block(NamedTuple):
    """Predictors of one kind: `numbers` (n, a), some as logarithms, and `names` (n, b), one indicator per name.

    `squares` adds the squares of the numbers, which an optimum inside a range needs; `ranked` replaces numbers by their
    ranks; `components` > 0 replaces them by as many principal components.
    """

    numbers: np.ndarray
    names: np.ndarray
    squares: bool = False
    ranked: bool = False
    components: int = 0

    def take(self, rows: np.ndarray) -> "Block":
        """The predictors of some rows."""
        return self._replace(numbers=self.numbers[rows], names=self.names[rows])


def block(frame: pd.DataFrame, squares: bool = False, ranked: bool = False, components: int = 0) -> Block:
    """The columns of a frame as predictors."""
    numbers, names = [np.empty((len(frame), 0))], [np.empty((len(frame), 0))]
    for name in frame:
        if is_numeric(frame[name]):
            numbers.append(log_if_wide(frame[name].to_numpy(float))[:, None])
        else:
            names.append(pd.get_dummies(frame[name].astype(str)).to_numpy(float))
    return Block(np.column_stack(numbers), np.column_stack(names), squares, ranked, components)


def predictor_blocks(rows: EarlyRecords, form: Form, group: str | None) -> dict[str, Block]:
    """The predictors of each kind. Settings have squares: a learning rate is best inside its range."""
    settings = rows.settings.drop(columns=[group] if group in rows.settings else [])
    blocks = {"settings": block(settings, squares=True), "early scores": block(rows.scores, ranked=True)}
    if form == "summaries":
        return blocks | {"spectrum": block(rows.statistics)}
    if form == "quantiles":
        return blocks | {"spectrum": block(pd.DataFrame(quantiles(rows.spectra, 2 * COMPONENTS)))}
    if form == "components":
        whole = pd.DataFrame(quantiles(rows.spectra, min(rows.spectra.shape[1], LONGEST)))
        return blocks | {"spectrum": block(whole, components=COMPONENTS)}
    raise ValueError(f"form: must be one of summaries, quantiles, components, but is '{form}'.")


def log_if_wide(values: np.ndarray) -> np.ndarray:
    """The logarithm of positive numbers that span more than a decade, others unchanged."""
    finite = values[np.isfinite(values)]
    if not finite.size or finite.min() <= 0 or finite.max() <= 10 * finite.min() * (1 + 1e-9):
        return values
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.log(values)


def prepared(block: Block, train: np.ndarray) -> np.ndarray:
    """Predictors (n, columns) of mean 0 and variance 1 over the rows `train` (n,).

    A missing number becomes the median, an infinite one the last finite number; a constant column becomes 0.
    """
    x = filled(block.numbers, train)
    x = standardised(np.column_stack([rank_share(c, c[train]) for c in x.T]) if block.ranked and x.size else x, train)
    if block.components and x.shape[1]:
        _, size, axes = np.linalg.svd(x[train], full_matrices=False)
        x = x @ axes[: block.components].T * np.sqrt(train.sum()) / max(size[0], 1e-12)
    parts = [x, standardised(x**2, train)] if block.squares else [x]
    return np.column_stack([*parts, standardised(block.names, train)])


def filled(x: np.ndarray, train: np.ndarray) -> np.ndarray:
    """Replace missing and infinite numbers by the medians and limits of the rows `train`."""
    if np.isfinite(x).all():
        return x
    seen = np.where(np.isfinite(x) & train[:, None], x, np.nan)
    seen = np.where(np.isnan(seen).all(0), 0.0, seen)
    low, high, middle = np.nanmin(seen, 0), np.nanmax(seen, 0), np.nanmedian(seen, 0)
    return np.where(np.isnan(x), middle, np.where(np.isposinf(x), high, np.where(np.isneginf(x), low, x)))


def standardised(x: np.ndarray, train: np.ndarray) -> np.ndarray:
    """Columns in units of their standard deviation over the rows `train`, 0 if constant there."""
    x = x - x[train].mean(0)
    scale = x[train].std(0)
    varies = scale > 1e-9 * np.maximum(1.0, np.abs(x).max(0, initial=0.0))
    return np.divide(x, scale, out=np.zeros_like(x), where=varies)


def held_out(
    blocks: Mapping[str, Block],
    sets: Sequence[Sequence[str]],
    y: np.ndarray,
    folds: np.ndarray,
    score: Score = "rank correlation",
    learner: Learner = "ridge",
) -> np.ndarray:
    """Predict each trial's target (n,) by fits without its fold: (sets, n). Each set names its blocks.

    Ridge regression takes several targets (n, m) at once: (sets, n, m).
    """
    predicted = np.zeros((len(sets), *y.shape))
    for fold in np.unique(folds):
        train = folds != fold
        ready = {name: prepared(b, train) for name, b in blocks.items()}
        columns = y.reshape(len(y), -1).T
        ranked = y if score == "AUC" else np.column_stack([rank_share(c, c[train]) for c in columns])
        target = ranked.reshape(y.shape)
        for i, names in enumerate(sets):
            predicted[i, ~train] = LEARNERS[learner]([ready[name] for name in names], target, train)[~train]
    return predicted


def ridge(parts: list[np.ndarray], y: np.ndarray, train: np.ndarray) -> np.ndarray:
    """Predict by ridge regression fitted to the rows `train`, counted from the mean of their targets.

    The penalty has the least leave-one-out error. Several parts each have a penalty of their own: all parts but the
    first are multiplied by one of `SCALES`, the combination again that of the least leave-one-out error. The training
    mean is left out because it is negatively correlated with the held-out targets by construction.
    """
    best, error = np.zeros(y.shape), np.full(y.shape[1:], np.inf)
    for scales in itertools.product((1.0,), *[SCALES] * (len(parts) - 1)):
        x = np.column_stack([scale * part for scale, part in zip(scales, parts, strict=True)])
        if not x.shape[1]:
            break
        predicted, own = leave_one_out(x - x[train].mean(0), y - y[train].mean(0), train)
        best, error = np.where(own < error, predicted, best), np.minimum(own, error)
    return best


def leave_one_out(x: np.ndarray, y: np.ndarray, train: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(predictions, leave-one-out error) by ridge regression, of one target (n,) or of several (n, m) at once.

    Predictors and targets have mean 0 over the rows `train`. With x = U S V^T the residual without a row is that with
    it divided by 1 - h, h the diagonal of 1 / n + U S^2 / (S^2 + penalty) U^T, for every penalty and target.
    """
    target, penalties = y[train].reshape(train.sum(), -1), PENALTIES[:, None] * train.sum()
    u, size, axes = np.linalg.svd(x[train], full_matrices=False)
    kept = size**2 / (size**2 + penalties)
    inside = u.T @ target
    residual = target - np.einsum("nr,pr,rm->pnm", u, kept, inside, optimize=True)
    own = ((residual / (1 - 1 / len(target) - kept @ u.T**2)[..., None]) ** 2).mean(axis=1)
    chosen = own.argmin(axis=0)
    slopes = axes.T @ ((size / (size**2 + penalties[chosen])).T * inside)
    return (x @ slopes).reshape(y.shape), own.min(axis=0).reshape(y.shape[1:])


def trees(parts: list[np.ndarray], y: np.ndarray, train: np.ndarray) -> np.ndarray:
    """Predict by 200 extremely randomised trees, counted from the training mean: settings may interact."""
    x = np.column_stack(parts)
    if not x.shape[1]:
        return np.zeros(len(y))
    forest = ExtraTreesRegressor(200, min_samples_leaf=3, random_state=0, n_jobs=1)
    return forest.fit(x[train], y[train]).predict(x) - y[train].mean()


LEARNERS: dict[Learner, Callable[[list[np.ndarray], np.ndarray, np.ndarray], np.ndarray]] = {
    "ridge": ridge,
    "trees": trees,
}


def random_folds(units: np.ndarray, folds: int, generator: np.random.Generator) -> np.ndarray:
    """Draw the fold (n,) of each trial; trials of one unit (n,) stay together."""
    splitter = GroupKFold(folds, shuffle=True, random_state=int(generator.integers(2**31)))
    fold = np.empty(len(units), int)
    for i, (_, test) in enumerate(splitter.split(units, groups=units)):
        fold[test] = i
    return fold


def scored(predicted: np.ndarray, y: np.ndarray, w: np.ndarray, score: Score) -> np.ndarray:
    """The score (...) of predictions (n,) for weights (..., n).

    Spearman's rho with numbers y, or the area under the ROC curve of labels y in {0, 1}; 0 and 1/2 for a constant.
    """
    if score == "rank correlation":
        return np.nan_to_num(spearman(predicted, y, w))
    positive = y == 1
    ranks, sums = weighted_ranks(predicted, w) * w.sum(-1, keepdims=True), w[..., positive].sum(-1)
    below = ranks[..., positive] - weighted_ranks(predicted[positive], w[..., positive]) * sums[..., None]
    return (below * w[..., positive]).sum(-1) / (sums * w[..., ~positive].sum(-1))


def bootstrap_weights(units: np.ndarray, draws: int, generator: np.random.Generator) -> np.ndarray:
    """Bayesian bootstrap weights (draws, n): one exponential variate per unit, shared by its trials (Rubin 1981)."""
    _, of = np.unique(units, return_inverse=True)
    return generator.exponential(size=(draws, of.max() + 1))[:, of]


def interval(values: np.ndarray, units: int, *, crossed: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(value, low, high), each (m,), of scores (repeats, m, 1 + draws): unweighted first, then under weights.

    value +- t sqrt(c v + s), 95 %, t with u - 1 degrees of freedom. v is the variance over Bayesian bootstrap draws
    times (u + 1) / (u - 1), by which they vary less than samples of u units, and s that between repeats of the split,
    not divided by their number, since all repeats share their trials. In cross-validation (`crossed`) c = 2: each trial
    is predicted by fits on the others and takes part in predicting them, so that without a signal a score is a sum over
    pairs, with twice the variance at fixed fits. With a signal the interval is wider than necessary. Otherwise c = 1.
    """
    value, draws = values[:, :, 0].mean(0), values[:, :, 1:].mean(0)
    between = values[:, :, 0].var(0, ddof=1) if len(values) > 1 else 0.0
    fixed = draws.var(1) * (units + 1) / (units - 1)
    half = stats.t.ppf(0.975, units - 1) * np.sqrt((2 if crossed else 1) * fixed + between)
    return value, value - half, value + half
