"""Predicting outcomes that were held out: predictors made ready inside each fold, ridge regression, scores.

Nothing of a held-out trial reaches the fit: limits, medians, means, scales, components and the penalty come from the
training rows alone. Weights (rows,) say how often each trial counts; they are one but where an interval is resampled.
"""

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
from scipy import stats
from sklearn.ensemble import ExtraTreesRegressor

PENALTIES = np.logspace(-4, 2, 13)  # a unit of weight
SCALES = (0.03, 0.1, 0.3, 1.0)  # of a kind of predictors beside others
COMPONENTS = 10
Score = Literal["rank correlation", "AUC"]
Learner = Literal["ridge", "trees"]


class Block(NamedTuple):
    """Predictors of one kind: `numbers` (n, a), logarithms already taken, and `names` (n, b), an indicator a name.

    `squares` are added where an optimum in the middle of a range is to be seen; `components` > 0 replaces the numbers
    by as many principal components.
    """

    numbers: np.ndarray
    names: np.ndarray
    squares: bool = False
    ranked: bool = False
    components: int = 0


def block(frame: pd.DataFrame, squares: bool = False, ranked: bool = False, components: int = 0) -> Block:
    """The columns of a frame as predictors: positive numbers that span more than a decade by their logarithm."""
    numbers, names = [], []
    for name in frame:
        values = frame[name]
        if pd.api.types.is_numeric_dtype(values.dtype) and not pd.api.types.is_bool_dtype(values.dtype):
            numbers.append(spread(values.to_numpy(float)))
        else:
            names.append(pd.get_dummies(values.astype(str)).to_numpy(float))
    stacked = lambda parts: np.column_stack(parts) if parts else np.empty((len(frame), 0))  # noqa: E731
    return Block(stacked(numbers), stacked(names), squares, ranked, components)


def spread(values: np.ndarray) -> np.ndarray:
    """The logarithm of positive numbers over more than a decade, others as they are."""
    finite = values[np.isfinite(values)]
    if not finite.size or finite.min() <= 0 or finite.max() <= 10 * finite.min() * (1 + 1e-9):
        return values
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.log(values)


def ready(block: Block, w: np.ndarray) -> np.ndarray:
    """Predictors (n, columns) of mean 0 and variance 1 over the rows of positive weight, which alone are looked at.

    What is missing is the median, infinite numbers the last finite ones; a column that does not vary there is 0.
    """
    x = filled(block.numbers, w > 0)
    x = standard(placed(x, w) if block.ranked else x, w)
    if block.components and x.shape[1]:
        axes, size = np.linalg.svd(x * np.sqrt(w)[:, None], full_matrices=False)[:0:-1]
        x = x @ axes[: block.components].T * np.sqrt(w.sum()) / max(size[0], 1e-12)
    parts = [x, standard(x**2, w)] if block.squares else [x]
    return np.column_stack([*parts, standard(block.names, w)])


def filled(x: np.ndarray, train: np.ndarray) -> np.ndarray:
    """Finite numbers throughout: limits and medians are those of the rows `train`."""
    if np.isfinite(x).all():
        return x
    seen = np.where(np.isfinite(x) & train[:, None], x, np.nan)
    seen = np.where(np.isnan(seen).all(0), 0.0, seen)
    low, high, middle = np.nanmin(seen, 0), np.nanmax(seen, 0), np.nanmedian(seen, 0)
    return np.where(np.isnan(x), middle, np.where(np.isposinf(x), high, np.where(np.isneginf(x), low, x)))


def placed(x: np.ndarray, w: np.ndarray) -> np.ndarray:
    """Each number's place (n, a) among the training rows: the share of their weight below it and half of its own."""
    found = np.empty_like(x)
    for column, values in enumerate(x.T):
        order = np.argsort(values, kind="stable")
        upto = np.append(0.0, np.cumsum(w[order]))
        ends = [np.searchsorted(values[order], values, side=side) for side in ("left", "right")]
        found[:, column] = (upto[ends[0]] + upto[ends[1]]) / (2 * upto[-1])
    return found


def standard(x: np.ndarray, w: np.ndarray) -> np.ndarray:
    share = w / w.sum()
    x = x - share @ x
    scale = np.sqrt(share @ x**2)
    varies = scale > 1e-9 * np.maximum(1.0, np.abs(x).max(0, initial=0.0))
    return np.divide(x, scale, out=np.zeros_like(x), where=varies)


def ridge(x: np.ndarray, y: np.ndarray, w: np.ndarray) -> tuple[np.ndarray, float]:
    """(predictions, error): ridge regression of y on columns x (n, p) of weighted mean 0, evaluated on every row.

    beta = argmin sum w (y - mean y - x beta)^2 + a sum(w) |beta|^2, the penalty a of the least leave-one-out error
    among `PENALTIES`, e_i = (y_i - y^_i) / (1 - h_i). Predictions are x beta, counted from the training mean: that of
    the training rows goes against the held-out ones by construction, and would look like a wrong prediction.
    """
    root, total = np.sqrt(w), w.sum()
    t = root * (y - w @ y / total)
    u, s, v = np.linalg.svd(root[:, None] * x, full_matrices=False)
    shrink = s[:, None] ** 2 / (s[:, None] ** 2 + total * PENALTIES)
    lever = np.minimum(w[:, None] / total + u**2 @ shrink, 1 - 1e-9)
    errors = (((t[:, None] - u @ (shrink * (u.T @ t)[:, None])) / (1 - lever)) ** 2).sum(0)
    best = int(errors.argmin())
    beta = v.T @ (s / (s**2 + total * PENALTIES[best]) * (u.T @ t))
    return x @ beta, float(errors[best])


def held_out(
    blocks: Mapping[str, Block],
    sets: Sequence[Sequence[str]],
    y: np.ndarray,
    folds: np.ndarray,
    w: np.ndarray,
    score: Score = "rank correlation",
    learner: Learner = "ridge",
) -> np.ndarray:
    """Predictions (sets, n) of each trial's target by fits without its fold; each set names its blocks."""
    fit = LEARNERS[learner]
    found = np.zeros((len(sets), len(y)))
    for fold in np.unique(folds):
        train = np.where(folds == fold, 0.0, w)
        made = {name: ready(b, train) for name, b in blocks.items()}
        target = y if score == "AUC" else ranks(y, train)
        for i, names in enumerate(sets):
            found[i, folds == fold] = fit([made[name] for name in names], target, train)[folds == fold]
    return found


def fitted(parts: list[np.ndarray], y: np.ndarray, w: np.ndarray) -> np.ndarray:
    """Ridge predictions with a penalty for each part: every part after the first enters times one of `SCALES`."""
    scales = itertools.product(*([(1.0,)] + [SCALES] * (len(parts) - 1)))
    found = [ridge(np.column_stack([c * part for c, part in zip(s, parts, strict=True)]), y, w) for s in scales]
    return min(found, key=lambda f: f[1])[0]


def forest(parts: list[np.ndarray], y: np.ndarray, w: np.ndarray) -> np.ndarray:
    """Predictions of 200 extremely randomised trees, counted from the training mean: settings may interact at will."""
    x = np.column_stack(parts)
    if not x.shape[1]:  # where nothing but seeds was varied, settings say nothing
        return np.zeros(len(y))
    trees = ExtraTreesRegressor(200, min_samples_leaf=3, random_state=0, n_jobs=1)
    return trees.fit(x[w > 0], y[w > 0], sample_weight=w[w > 0]).predict(x) - w @ y / w.sum()


LEARNERS: dict[Learner, Callable[[list[np.ndarray], np.ndarray, np.ndarray], np.ndarray]] = {
    "ridge": fitted,
    "trees": forest,
}


def ranks(values: np.ndarray, w: np.ndarray) -> np.ndarray:
    """Midranks (..., n) of values (n,) for weights (..., n), as shares: (weight below + half of that of ties) / all."""
    order = np.argsort(values, kind="stable")
    starts = np.flatnonzero(np.append(True, values[order][1:] != values[order][:-1]))
    ends = np.append(starts[1:], len(values)) - 1
    upto = np.cumsum(w[..., order], axis=-1)
    below = np.where(starts > 0, upto[..., starts - 1], 0.0)
    found = np.empty(upto.shape)
    found[..., order] = np.repeat((below + upto[..., ends]) / 2, ends - starts + 1, axis=-1)
    return found / upto[..., -1:]


def split(units: np.ndarray, folds: int, generator: np.random.Generator) -> np.ndarray:
    """The fold (n,) of each trial, drawn so that trials of one unit (n,) stay together and folds are of like size."""
    names, of, size = np.unique(units, return_inverse=True, return_counts=True)
    order, filled = generator.permutation(len(names)), np.zeros(folds)
    fold = np.empty(len(names), int)
    for unit in order[np.argsort(-size[order], kind="stable")]:
        fold[unit] = int(filled.argmin())
        filled[fold[unit]] += size[unit]
    return fold[of]


def scored(predicted: np.ndarray, y: np.ndarray, w: np.ndarray, score: Score) -> np.ndarray:
    """The score (...) of predictions (n,) for weights (..., n).

    Spearman's rho with numbers y, or the area under the ROC of labels y in {0, 1}; 0 and 1/2 where nothing is said.
    """
    if score == "AUC":
        one, p = y == 1, ranks(predicted, w) * w.sum(-1, keepdims=True)
        up = w[..., one].sum(-1)
        below = p[..., one] - ranks(predicted[one], w[..., one]) * up[..., None]
        return (below * w[..., one]).sum(-1) / (up * w[..., ~one].sum(-1))
    share = w / w.sum(-1, keepdims=True)
    a, b = ranks(predicted, w) - 0.5, ranks(y, w) - 0.5  # the weighted mean of midranks is 1/2
    scale = np.sqrt((share * a**2).sum(-1) * (share * b**2).sum(-1))
    return np.divide((share * a * b).sum(-1), scale, out=np.zeros_like(scale), where=scale > 1e-12)


def weights(units: np.ndarray, draws: int, generator: np.random.Generator) -> np.ndarray:
    """Bayesian bootstrap weights (draws, n): an exponential variate each unit, shared by its trials (Rubin 1981)."""
    _, of = np.unique(units, return_inverse=True)
    return generator.exponential(size=(draws, of.max() + 1))[:, of]


def interval(values: np.ndarray, units: int, *, crossed: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(value, low, high), each (m,), of scores (repeats, m, 1 + draws): of the trials as they are, then under weights.

    value +- t sqrt(c v + s), 95 %, t of u - 1 degrees of freedom. v is the variance over Bayesian bootstrap draws times
    (u + 1) / (u - 1), by which they vary less than samples of u units, and s that between repeats of the split: not
    divided by their number, since all repeats share their trials. In cross-validation (`crossed`) c = 2: each trial is
    predicted by fits on the others and has its part in predicting them, so that where there is no signal a score is a
    sum over pairs, of twice the variance that it has with the fits held fixed. Where there is signal the interval is
    wider than it need be. Else c = 1.
    """
    value, draws = values[:, :, 0].mean(0), values[:, :, 1:].mean(0)
    between = values[:, :, 0].var(0, ddof=1) if len(values) > 1 else 0.0
    fixed = draws.var(1) * (units + 1) / (units - 1)
    half = stats.t.ppf(0.975, units - 1) * np.sqrt((2 if crossed else 1) * fixed + between)
    return value, value - half, value + half
