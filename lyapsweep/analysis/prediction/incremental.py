"""What do early spectra add to what is known anyway? Predictions of held-out trials, with the spectra and without."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from lyapsweep.analysis.prediction.early_records import Early, Seen, early, seen
from lyapsweep.analysis.prediction.ridge import (
    COMPONENTS,
    Block,
    Learner,
    Score,
    block,
    held_out,
    interval,
    scored,
    split,
    weights,
)
from lyapsweep.analysis.shared import theme
from lyapsweep.analysis.shared.selection import label, named, require
from lyapsweep.analysis.shared.spectrum_features import quantiles
from lyapsweep.analysis.spectra.correlation import refuse
from lyapsweep.results.table import Table

NEED, GROUPS = 20, 3  # trials, and groups of them, below which nothing can be held out
LONGEST = 512  # points that a spectrum is resampled to before its components are taken
Form = Literal["summaries", "quantiles", "components"]
SETS = {
    "settings": ("settings",),
    "early scores": ("early scores",),
    "settings + early scores": ("settings", "early scores"),
    "spectrum": ("spectrum",),
    "settings + spectrum": ("settings", "spectrum"),
    "early scores + spectrum": ("early scores", "spectrum"),
    "settings + early scores + spectrum": ("settings", "early scores", "spectrum"),
}
BY = {"ridge": "ridge regression", "trees": "trees"}
GAINS = {name: f"{name} + spectrum" for name in ("settings", "early scores", "settings + early scores")}


class IncrementalScores(NamedTuple):
    """A value (m,) for each of `names`, with its 95 % interval [low, high]."""

    names: tuple[str, ...]
    value: np.ndarray
    low: np.ndarray
    high: np.ndarray


class IncrementalFinding(NamedTuple):
    """Out-of-sample scores of seven sets of predictors, and what the spectrum adds to three of them.

    `gains` are scores with the spectrum less those without, named by what it is added to; the last is beyond settings
    and early scores. `columns` (3,) counts the predictors of each kind: settings, early scores, spectrum. Intervals
    rest on `units` trials, or groups of them.
    """

    rows: Seen
    form: str
    score: str
    group: str
    predictors: IncrementalScores
    gains: IncrementalScores
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
    learner: Learner = "ridge",
    hunted: bool = False,
    seed: int = 0,
) -> IncrementalFinding:
    """Cross-validated prediction of the final outcome from settings, early scores and the early spectrum.

    Predictors are fitted by `prediction.held_out`, once a fold and repeat, to the rank of the outcome, judged by
    Spearman's rho between predictions and outcomes; or ("AUC") to whether a trial ends in the better half. Scores are
    of all held-out predictions of a repeat together, and their mean over repeats is reported. With `group`, a column
    such as seed or cell/kind, whole groups are held out, and it is no predictor. `form` says what the spectrum is
    given as: its summaries, 20 quantiles, or ten principal components of all of it.

    Intervals are those of `prediction.interval`, over trials, or over groups where these are held out: they hold the
    variance of trials, twice because every trial is also trained on, and that of the splits. A gain is that of this
    learner. Ridge regression sees settings with their squares and no interaction of two, for which a spectrum may stand
    in; to `trees`, an ensemble of 200 that may interact, it adds what settings cannot say.

    Raises `Hunted` for the trials of a hunt unless `hunted=True`, `TooFew` with less than 20 trials, less than three
    groups, or less than five trials in either half, `UnknownName` and `ValueError` as `foresight.early` does.
    """
    refuse(table, hunted)
    rows = early(table, outcome, fraction, map, scores)
    n = len(rows.values)
    require(n, NEED, "trials with an early spectrum and an outcome")
    units = np.arange(n) if group is None else np.unique(named(rows.trials, group), return_inverse=True)[1]
    count = len(np.unique(units))
    require(count, GROUPS, f"values of {group}")
    blocks, target = blocks_of(rows, form, group), target_of(rows, score)
    values = cross_validated(blocks, target, units, score, min(folds, count), repeats, resamples, seed, learner)
    places = [[list(SETS).index(name) for name in pair] for pair in GAINS.items()]
    gained = np.stack([values[:, after] - values[:, before] for before, after in places], axis=1)
    limits = (0.0, 1.0) if score == "AUC" else (-1.0, 1.0)
    return IncrementalFinding(
        rows=seen(rows),
        form=form,
        score=score,
        group=group or "",
        predictors=IncrementalScores(
            tuple(SETS), *(np.clip(v, *limits) for v in interval(values, count, crossed=True))
        ),
        gains=IncrementalScores(tuple(GAINS), *interval(gained, count, crossed=True)),
        columns=np.array([b.numbers.shape[1] + b.names.shape[1] for b in blocks.values()]),
        units=count,
        folds=min(folds, count),
        repeats=repeats,
        learner=learner,
    )


def cross_validated(
    blocks: dict[str, Block],
    target: np.ndarray,
    units: np.ndarray,
    score: Score,
    folds: int,
    repeats: int,
    resamples: int,
    seed: int,
    learner: Learner,
) -> np.ndarray:
    """Scores (repeats, 7, 1 + resamples) of held-out predictions: of the trials as they are, then under weights."""
    generator, one = np.random.default_rng(seed), np.ones(len(target))
    cuts = [split(units, folds, generator) for _ in range(repeats)]
    made = [held_out(blocks, list(SETS.values()), target, cut, one, score, learner) for cut in cuts]
    drawn = np.concatenate([one[None], weights(units, resamples, generator)])
    return np.array([[scored(p, target, drawn, score) for p in repeat] for repeat in made])


def blocks_of(rows: Early, form: Form, group: str | None) -> dict[str, Block]:
    """The predictors of each kind. Settings have squares: a learning rate is best somewhere in the middle."""
    settings = rows.settings.drop(columns=[group] if group in rows.settings else [])
    forms = {
        "summaries": lambda: block(rows.statistics),
        "quantiles": lambda: block(pd.DataFrame(quantiles(rows.spectra, 2 * COMPONENTS))),
        "components": lambda: block(
            pd.DataFrame(quantiles(rows.spectra, min(rows.spectra.shape[1], LONGEST))), components=COMPONENTS
        ),
    }
    if form not in forms:
        raise ValueError(f"form: must be one of {', '.join(forms)}, but is '{form}'.")
    return {
        "settings": block(settings, squares=True),
        "early scores": block(rows.scores, ranked=True),
        "spectrum": forms[form](),
    }


def target_of(rows: Early, score: Score) -> np.ndarray:
    """The outcome (rows,) as it is, or whether it is in the better half (1.0) or not (0.0)."""
    if score != "AUC":
        return rows.values
    better = (rows.ranked <= np.median(rows.ranked)).astype(float)
    require(int(min(better.sum(), (1 - better).sum())), 5, "trials in the worse half")
    return better


def sentence(finding: IncrementalFinding) -> str:
    """What the spectrum adds beyond settings and early scores, with its interval, and what that means."""
    rows, predictors, last = finding.rows, finding.predictors, finding.gains.names[-1]
    before, after = (predictors.value[predictors.names.index(name)] for name in (last, GAINS[last]))
    gain, low, high = (float(v[-1]) for v in finding.gains[1:])
    name = "an area under the ROC" if finding.score == "AUC" else "a Spearman ρ"
    held = f"trials of held-out {finding.group} ({finding.units} groups)" if finding.group else "held-out trials"
    said = (
        f"Settings and early scores foretell the final {label(rows.outcome)} of {held} with {name} of {before:.3f}; "
        f"with the spectrum at {rows.moment} it is {after:.3f}: {signed(gain)} ({signed(low)} to {signed(high)}), "
        f"n = {rows.n}, by {BY[finding.learner]}."
    )
    if low > 0:
        return f"{said} The spectrum adds to what was known."
    if high < 0:
        return f"{said} The spectrum makes this prediction worse."
    return f"{said} That the spectrum adds anything is not shown."


def signed(value: float) -> str:
    return f"{value:+.3f}".replace("-", "−")


def draw(finding: IncrementalFinding) -> go.Figure:
    """Left the score of each set of predictors, right what the spectrum adds to three of them, with intervals."""
    fig = theme.figure(430, legend=False)
    left, right = finding.predictors, finding.gains
    dots(fig, left, left.names, "x")
    dots(fig, right, tuple(GAINS[name] for name in right.names), "x2")
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


def dots(fig: go.Figure, scores: IncrementalScores, rows: Sequence[str], axis: str) -> None:
    """One dot a row with its interval as a bar; another colour where the spectrum is a predictor."""
    for i, row in enumerate(rows):
        value, low, high = (float(v[i]) for v in scores[1:])
        fig.add_scatter(
            x=[value],
            y=[row],
            xaxis=axis,
            error_x={
                "type": "data",
                "array": [high - value],
                "arrayminus": [value - low],
                "thickness": 1.6,
                "width": 0,
            },
            mode="markers",
            marker={"size": 9, "color": theme.colour(1 if "spectrum" in row else 0)},
            hovertext=f"{theme.plain(row)}: {value:.3f} ({low:.3f} to {high:.3f})",
            hoverinfo="text",
            showlegend=False,
        )
