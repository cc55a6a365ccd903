"""What do early spectra add to what is known without them? Held-out predictions with and without the spectra."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import plotly.graph_objects as go
from scipy import stats

from lyapsweep.analysis.prediction.held_out import (
    Block,
    Form,
    Learner,
    Score,
    bootstrap_weights,
    held_out,
    interval,
    predictor_blocks,
    random_folds,
    scored,
)
from lyapsweep.analysis.shared import theme
from lyapsweep.analysis.shared.early_records import EarlyRecords, RowSummary, early_records
from lyapsweep.analysis.shared.selection import digits, label, named, refuse_hunt, require
from lyapsweep.analysis.shared.units import enough_permutations
from lyapsweep.results.table import Table

NEED, GROUPS = 20, 3  # fewest trials and groups for cross-validation
GAINS = {name: f"{name} + spectrum" for name in ("settings", "early scores", "settings + early scores")}
SETS = {name: tuple(name.split(" + ")) for name in (*GAINS, "spectrum", *GAINS.values())}
LEARNERS = {"ridge": "ridge regression", "trees": "trees"}
LEVEL = 0.05  # of p


class IncrementalScores(NamedTuple):
    """A value (m,) for each of `names`, with its 95 % interval [low, high]."""

    names: tuple[str, ...]
    value: np.ndarray
    low: np.ndarray
    high: np.ndarray


class IncrementalFinding(NamedTuple):
    """Held-out scores of seven sets of predictors, and the gain of three of them by the spectrum.

    `gains` are scores with the spectrum minus those without, named by the set without; the last is that beyond settings
    and early scores. A spectrum without a relation makes predictions worse, so that its gain is below zero on average:
    `p` (3,) is that of a gain as large by spectra of other settings, one-sided; NaN for trees, for groups and
    without permutations. `columns` (3,) counts the predictors of each kind: settings, early scores, spectrum. Intervals
    are over `units`: settings with all their seeds, or groups of trials.
    """

    rows: RowSummary
    form: str
    score: str
    group: str
    predictors: IncrementalScores
    gains: IncrementalScores
    p: np.ndarray
    columns: np.ndarray
    units: int
    folds: int
    repeats: int
    learner: str


def find(
    table: Table,
    outcome: str,
    fraction: float = 0.1,
    *,
    form: Form = "summaries",
    score: Score = "rank correlation",
    group: str | None = None,
    map: str | None = None,
    scores: Sequence[str] | None = None,
    folds: int = 10,
    repeats: int = 10,
    resamples: int = 1000,
    permutations: int = 19,
    learner: Learner = "ridge",
    hunted: bool = False,
    seed: int = 0,
) -> IncrementalFinding:
    """Predict the final outcome from settings, early scores and the early spectrum by cross-validation.

    The rank of the outcome is fitted, once per fold and repeat. A score is that of all held-out predictions of a repeat
    together; the mean over repeats is reported, with the interval of `held_out.interval`. A gain is specific to the
    learner: ridge regression has squares of settings and no interactions, which a spectrum can replace.

    Args:
        table: The trials of a sweep, with spectra at early records.
        outcome: The predicted column, such as `measures/loss`.
        fraction: Of training; spectra are those of the latest record at or before it.
        form: The spectrum as its "summaries", 20 "quantiles", or ten principal "components".
        score: "rank correlation", Spearman's rho of predictions with outcomes, or "AUC" for ending in the better half.
        group: A column; all trials with the same value are held out together, by default those of a setting, and it is
            no predictor. With "dataset/system" whole data sets are held out.
        map: The map of the spectra; the closed loop or the first one by default.
        scores: Columns of early scores; the outcome and the loss by default.
        folds: Of the cross-validation; at most as many as there are groups.
        repeats: Random splits into folds.
        resamples: Bayesian bootstrap draws for the intervals.
        permutations: Of spectra between settings, for p: a t distribution is fitted to their gains; 19 or more, or 0
            for no p, which takes most of the time.
        learner: "ridge" regression, or 200 "trees", which model interactions of settings.
        hunted: Accept the trials of a hunt.
        seed: Of folds and bootstrap.

    Returns:
        An `IncrementalFinding`.

    Raises:
        HuntTableError: If the trials are those of a hunt and `hunted` is false.
        TooFew: With fewer than 20 trials, three groups, or five trials in either half (AUC).
        UnknownName: If a map or column does not exist.
        ValueError: If `fraction` is not in [0, 1), `form` is unknown, or `permutations` is too small.

    Example:
        >>> import pandas as pd
        >>> from lyapsweep.results.imported import from_frame
        >>> rng = np.random.default_rng(0)
        >>> frame = pd.DataFrame({"run": np.repeat(np.arange(30), 2), "epoch": [0, 9] * 30})
        >>> frame["lr"] = np.repeat(rng.uniform(size=30), 2)
        >>> frame["loss"], frame["l1"] = frame["lr"] + frame["epoch"] / 9, rng.normal(size=60)
        >>> names = {"settings": "lr", "outcomes": "loss", "exponents": "l1", "trial": "run", "step": "epoch"}
        >>> found = find(from_frame(frame, **names), "measures/loss", folds=3, repeats=1, resamples=20)
        >>> found.units, found.gains.names
        (30, ('settings', 'early scores', 'settings + early scores'))
    """
    refuse_hunt(table, hunted)
    rows = early_records(table, outcome, fraction, map, scores)
    require(n := len(rows.values), NEED, "trials with an early spectrum and an outcome")
    units, count = held_together(rows, group)
    blocks, target, folds = predictor_blocks(rows, form, group), target_of(rows, score), min(folds, count)
    generator = np.random.default_rng(seed)
    splits = [random_folds(units, folds, generator) for _ in range(repeats)]
    predicted = [held_out(blocks, list(SETS.values()), target, split, score, learner) for split in splits]
    w = np.concatenate([np.ones((1, n)), bootstrap_weights(units, resamples, generator)])
    values = np.array([[scored(p, target, w, score) for p in repeat] for repeat in predicted])
    gains, asked = gains_of(values), permutations if group is None and learner == "ridge" else 0
    other = unrelated_gains(rows, blocks, target, splits, values[:, :, 0], asked, score, generator)
    return IncrementalFinding(
        rows=rows.summary,
        form=form,
        score=score,
        group=group or "",
        predictors=IncrementalScores(tuple(SETS), *clipped(interval(values, count, crossed=True), score)),
        gains=IncrementalScores(tuple(GAINS), *interval(gains, count, crossed=True)),
        p=p_among(gains[:, :, 0].mean(0), other),
        columns=np.array([b.numbers.shape[1] + b.names.shape[1] for b in blocks.values()]),
        units=count,
        folds=folds,
        repeats=repeats,
        learner=learner,
    )


def held_together(rows: EarlyRecords, group: str | None) -> tuple[np.ndarray, int]:
    """The unit (rows,) of each trial, a setting or a value of `group`, and the number of units."""
    units = rows.units.index if group is None else np.unique(named(rows.trials, group), return_inverse=True)[1]
    count = len(np.unique(units))
    require(count, GROUPS, f"values of {group}")
    return units, count


def gains_of(values: np.ndarray) -> np.ndarray:
    """Scores (repeats, sets, ...) with the spectrum minus those without: (repeats, 3, ...)."""
    pairs = [[list(SETS).index(name) for name in pair] for pair in GAINS.items()]
    return np.stack([values[:, after] - values[:, before] for before, after in pairs], axis=1)


def clipped(values: tuple[np.ndarray, ...], score: Score) -> list[np.ndarray]:
    """Scores within their possible range."""
    return [np.clip(v, 0.0 if score == "AUC" else -1.0, 1.0) for v in values]


def p_among(gains: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The probability (m,) that one more of normal numbers `other` (m, n) is as large as `gains` (m,); NaN if n = 0."""
    n = other.shape[1]
    if not n:
        return np.full(len(gains), np.nan)
    return stats.t.sf((gains - other.mean(1)) / (other.std(1, ddof=1) * np.sqrt(1 + 1 / n)), n - 1)


def target_of(rows: EarlyRecords, score: Score) -> np.ndarray:
    """The outcome (rows,) itself, or whether it is in the better half (1.0) or not (0.0)."""
    if score != "AUC":
        return rows.target
    better = (rows.ranked <= np.median(rows.ranked)).astype(float)
    require(int(min(better.sum(), (1 - better).sum())), 5, "trials in the worse half")
    return better


def unrelated_gains(
    rows: EarlyRecords,
    blocks: dict[str, Block],
    y: np.ndarray,
    splits: list[np.ndarray],
    scores: np.ndarray,
    permutations: int,
    score: Score,
    generator: np.random.Generator,
) -> np.ndarray:
    """Gains (3, permutations) by spectra that are permuted between settings, each with one of the splits.

    `scores` (repeats, sets) are those of the actual predictors, of which those without the spectrum are taken.
    """
    if permutations:
        enough_permutations(permutations, LEVEL)
    before, after, one = [list(SETS).index(name) for name in GAINS], [SETS[v] for v in GAINS.values()], np.ones(len(y))
    gains = np.empty((len(GAINS), permutations))
    for k in range(permutations):
        repeat = k % len(splits)
        other = blocks | {"spectrum": blocks["spectrum"].take(rows.units.permuted(generator))}
        predicted = held_out(other, after, y, splits[repeat], score)
        gains[:, k] = [scored(p, y, one, score) for p in predicted] - scores[repeat, before]
    return gains


def sentence(finding: IncrementalFinding) -> str:
    """State the gain by the spectrum beyond settings and early scores, with its interval."""
    rows, predictors, last = finding.rows, finding.predictors, finding.gains.names[-1]
    before, after = (predictors.value[predictors.names.index(name)] for name in (last, GAINS[last]))
    gain, low, high = (float(v[-1]) for v in finding.gains[1:])
    name = "an area under the ROC curve" if finding.score == "AUC" else "a Spearman ρ"
    held = f"trials of held-out {finding.group} ({finding.units} groups)" if finding.group else "held-out trials"
    chance = f", p = {digits(finding.p[-1])}" if np.isfinite(finding.p[-1]) else ""
    words = (
        f"Settings and early scores predict the final {label(rows.outcome)} of {held} with {name} of {before:.3f}; "
        f"with the spectrum at {rows.moment} it is {after:.3f}: {signed(gain)} ({signed(low)} to "
        f"{signed(high)}{chance}), n = {rows.count}, by {LEARNERS[finding.learner]}."
    )
    if finding.p[-1] < LEVEL or (not chance and low > 0):
        return f"{words} The spectrum improves the prediction."
    if high < 0:
        return f"{words} The spectrum makes this prediction worse."
    return f"{words} No significant gain by the spectrum."


def signed(value: float) -> str:
    return f"{value:+.3f}".replace("-", "−")


def draw(finding: IncrementalFinding) -> go.Figure:
    """Draw the score of each set of predictors (left) and the gains by the spectrum (right), with intervals."""
    fig = theme.figure(430, legend=False)
    left, right = finding.predictors, finding.gains
    draw_scores(fig, left, left.names, "x")
    draw_scores(fig, right, tuple(GAINS[name] for name in right.names), "x2")
    fig.add_shape(type="line", x0=0, x1=0, y0=0, y1=1, xref="x2", yref="paper", line={"color": "#444", "width": 1})
    fig.update_layout(
        xaxis={"domain": [0, 0.6], "title": f"{finding.score}, held out"},
        xaxis2=fig.to_dict()["layout"]["xaxis"] | {"domain": [0.66, 1], "title": "gain by the spectrum"},
        title=theme.headline(sentence(finding)),
        margin={"t": 80},
        showlegend=False,
    )
    fig.update_yaxes(type="category", categoryorder="array", categoryarray=list(left.names)[::-1])
    return fig


def draw_scores(fig: go.Figure, scores: IncrementalScores, rows: Sequence[str], axis: str) -> None:
    """One dot per row with its interval, in another colour if the spectrum is a predictor."""
    value, low, high = scores[1:]
    texts = zip(rows, value, low, high, strict=True)
    fig.add_scatter(
        x=value,
        y=list(rows),
        xaxis=axis,
        error_x=theme.error_bars(value, low, high, width=0),
        mode="markers",
        marker={"size": 9, "color": [theme.colour(1 if "spectrum" in row else 0) for row in rows]},
        hovertext=[f"{theme.plain(row)}: {v:.3f} ({a:.3f} to {b:.3f})" for row, v, a, b in texts],
        hoverinfo="text",
        showlegend=False,
    )
