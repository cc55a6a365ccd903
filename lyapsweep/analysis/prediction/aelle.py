"""Do spectra that train alike lie together? An autoencoder of spectra that also predicts (AeLLE, Vogt et al. 2024)."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots
from sklearn.decomposition import PCA
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from lyapsweep.analysis.prediction import autoencoder, cross_validation
from lyapsweep.analysis.prediction.band_importance import PENALTIES
from lyapsweep.analysis.prediction.cross_validation import ranks
from lyapsweep.analysis.shared import theme
from lyapsweep.analysis.shared.selection import Direction, digits, direction, label
from lyapsweep.analysis.shared.spectrum_features import summaries
from lyapsweep.analysis.spectra.correlation import refuse
from lyapsweep.results.table import Table

MODELS = ("AeLLE", "PCA + ridge", "statistics + ridge")
COMPONENTS = 10


class AelleFinding(NamedTuple):
    """The latent map of one split and the scores of three models on all of them.

    `coordinates` (trials, 2) are the latent variables of the first split on the two principal axes of its training
    part, which hold the shares `explained` of their variance; `held` (trials,) the trials that this split's
    autoencoder never saw. `values` (trials,) are infinite and `shade` is NaN where a trial was lost; shade in [0, 1]
    is the rank among the finite values, from the worst to the best; `ticks` (5,) are the values at 0, 1/4, ..., 1.
    `score`, `low`, `high` (models,): rank correlation with the outcome in the held-out part, mean over splits and 95 %
    interval; `gain`, `gain_low`, `gain_high` (models,): AeLLE's score less each model's, on the same splits. `best` and
    `last` (splits,) are the epochs whose state was kept and at which training ended.
    """

    which: str
    column: str
    trials: tuple[str, ...]
    coordinates: np.ndarray
    explained: np.ndarray
    held: np.ndarray
    values: np.ndarray
    shade: np.ndarray
    ticks: np.ndarray
    models: tuple[str, ...]
    score: np.ndarray
    low: np.ndarray
    high: np.ndarray
    gain: np.ndarray
    gain_low: np.ndarray
    gain_high: np.ndarray
    best: np.ndarray
    last: np.ndarray
    lost: int
    without: int
    splits: int


def find(
    table: Table,
    column: str,
    map: str | None = None,
    *,
    fraction: float | None = None,
    points: int = 32,
    settings: autoencoder.Settings = autoencoder.DEFAULT,
    group: str | Sequence[str] | None = None,
    splits: int = cross_validation.SPLITS,
    hunted: bool = False,
    seed: int = 0,
) -> AelleFinding:
    """Train on spectra at `points` quantiles, so that networks of all sizes share one latent space:
    the last spectra, or those at a `fraction` of training.

    The outcome is its rank among the training trials, lost ones the worst. Everything that is fitted, standardisation
    too, is fitted to a split's training part, and the autoencoder's best epoch is chosen on its validation part; PCA
    with ridge regression and the spectrum's statistics with ridge regression learn from both parts.

    Raises `Hunted` for the trials of a hunt unless `hunted=True`, `UnknownName` for a map or column that is not there,
    `TooFew` below 40 trials with both.
    """
    refuse(table, hunted)
    rows = cross_validation.rows(table, column, map, fraction)
    split = cross_validation.parts(rows.trials, splits, seed, group)
    made = encoded(rows, split, points, settings, seed)
    scores = np.stack([scored(rows, part, points, p) for part, p in zip(split, made.predicted, strict=True)], axis=1)
    score, gain = (
        cross_validation.over_splits(scores, split, 1.0),
        cross_validation.over_splits(scores[0] - scores, split),
    )
    coordinates, explained = flat(made.latent[0], split[0], made.predicted[0])
    shade, ticks = shades(rows.values, direction(table, column))
    return AelleFinding(
        which=rows.which,
        column=column,
        trials=tuple(rows.trials.frame["trial"].astype(str)),
        coordinates=coordinates,
        explained=explained,
        held=split[0] == cross_validation.TEST,
        values=rows.values,
        shade=shade,
        ticks=ticks,
        models=MODELS,
        score=score.mean,
        low=score.low,
        high=score.high,
        gain=gain.mean,
        gain_low=gain.low,
        gain_high=gain.high,
        best=made.best,
        last=made.last,
        lost=int(rows.lost.sum()),
        without=rows.without,
        splits=splits,
    )


def encoded(
    rows: cross_validation.Rows, split: np.ndarray, points: int, settings: autoencoder.Settings, seed: int
) -> autoencoder.AutoencoderFit:
    """The autoencoders of all splits, each on numbers that its own training part standardised."""
    x = np.stack(
        [
            standard(
                cross_validation.axis(rows.spectra, points, p == cross_validation.TRAIN), p == cross_validation.TRAIN
            )
            for p in split
        ]
    )
    y = [ranks(rows.values, rows.values[p == cross_validation.TRAIN]) for p in split]
    return autoencoder.fit(x, np.sqrt(3) * np.stack(y), split, seed, settings)  # ranks in [-1, 1] to unit variance


def standard(x: np.ndarray, learned: np.ndarray) -> np.ndarray:
    """Columns in units of their spread about their mean over the learned rows."""
    return np.asarray(StandardScaler().fit(x[learned]).transform(x))


def scored(rows: cross_validation.Rows, part: np.ndarray, points: int, predicted: np.ndarray) -> np.ndarray:
    """The scores (models,) in the test part of one split; `predicted` (trials,) is the autoencoder's answer."""
    test = part == cross_validation.TEST
    answers = np.vstack([predicted, answered(rows, part, points)])
    return cross_validation.agreement(answers[:, test], rows.values[test])


def answered(rows: cross_validation.Rows, part: np.ndarray, points: int) -> np.ndarray:
    """(2, trials): what PCA with ridge and statistics with ridge predict, learned outside of the test part."""
    learned = part != cross_validation.TEST
    y = ranks(rows.values[learned], rows.values[learned])
    axis = cross_validation.axis(rows.spectra, points, learned)
    statistics = np.stack([*summaries(rows.spectra, cross_validation.floor(rows.spectra[learned])).values()], axis=1)
    components = min(COMPONENTS, points, int(learned.sum()))
    models = ((ridge(PCA(components)), axis), (ridge(), statistics))
    return np.stack([model.fit(x[learned], y).predict(x) for model, x in models])


def ridge(*steps: PCA) -> Pipeline:
    return make_pipeline(StandardScaler(), *steps, RidgeCV(PENALTIES))


def flat(latent: np.ndarray, part: np.ndarray, predicted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """((rows, 2) on principal axes of the training part, shares of variance); what is predicted rises along both."""
    pca = PCA(min(2, latent.shape[1])).fit(latent[part == cross_validation.TRAIN])
    found = np.zeros((len(latent), 2))
    found[:, : pca.n_components_] = pca.transform(latent)
    sign = np.where(((found - found.mean(0)) * (predicted - predicted.mean())[:, None]).sum(0) < 0, -1.0, 1.0)
    return sign * found, np.append(pca.explained_variance_ratio_, 0.0)[:2]


def shades(values: np.ndarray, better: Direction) -> tuple[np.ndarray, np.ndarray]:
    """(where values lie among the finite ones, the worst 0 and the best 1 (trials,), NaN where infinite; the values at
    0, 1/4, ..., 1 (5,)): by rank, so that one outlier does not make all others look the same."""
    finite = np.isfinite(values)
    known = values[finite] if finite.any() else np.array([np.nan])
    share = np.full(len(values), np.nan)
    share[finite] = (1 + ranks(values[finite], known)) / 2
    marks = np.quantile(known, np.linspace(0, 1, 5))
    return (1 - share, marks[::-1]) if better == "minimise" else (share, marks)


def sentence(finding: AelleFinding) -> str:
    """What was found, in words."""
    scores = ", ".join(
        f"{name} {interval(*row)}"
        for name, *row in zip(finding.models, finding.score, finding.low, finding.high, strict=True)
    )
    other = 1 + int(np.argmax(finding.score[1:]))
    low, high = finding.gain_low[other], finding.gain_high[other]
    verdict = "better" if low > 0 else "worse" if high < 0 else "no difference is shown"
    left = f"; {finding.without} without a spectrum left out" if finding.without else ""
    return (
        f"Held-out rank correlation of the {finding.which} with {label(finding.column)}: {scores}. AeLLE gains "
        f"{interval(finding.gain[other], low, high)} on {finding.models[other]}: {verdict} "
        f"({len(finding.trials)} trials, {finding.lost} of them lost{left}; {finding.splits} splits, 95 % intervals)."
    )


def interval(mean: float, low: float, high: float) -> str:
    return f"{digits(mean)} [{digits(low)}, {digits(high)}]"


def draw(finding: AelleFinding) -> go.Figure:
    """The latent map, trials that it never saw ringed and lost ones crossed out; beside it the scores."""
    fig = make_subplots(rows=1, cols=2, column_widths=[0.62, 0.38], horizontal_spacing=0.3)
    fig.update_layout(theme.figure(480).layout)
    lost = ~np.isfinite(finding.values)
    for held, name in ((False, "learned from"), (True, "held out")):
        dots(fig, finding, (finding.held == held) & ~lost, name, held)
    if lost.any():
        fig.add_scatter(**placed(finding, lost, "lost"), marker={"symbol": "x", "size": 9, "color": theme.colour(1)})
    fig.add_scatter(
        x=finding.score,
        y=[*finding.models],
        error_x={"array": finding.high - finding.score, "arrayminus": finding.score - finding.low, "color": theme.GREY},
        mode="markers",
        marker={"size": 10, "color": theme.colour(0)},
        showlegend=False,
        hovertemplate="%{y}: %{x:.2f}<extra></extra>",
        row=1,
        col=2,
    )
    for axis, update in ((0, fig.update_xaxes), (1, fig.update_yaxes)):
        share = f"latent axis {axis + 1} ({100 * finding.explained[axis]:.0f} % of variance)"
        update(title=share, row=1, col=1)
    fig.update_xaxes(title="held-out rank correlation", row=1, col=2)
    fig.update_yaxes(autorange="reversed", row=1, col=2)
    return theme.frame(fig)


def placed(finding: AelleFinding, chosen: np.ndarray, name: str) -> dict[str, Any]:
    """The places of some trials on the map."""
    return {
        "x": finding.coordinates[chosen, 0],
        "y": finding.coordinates[chosen, 1],
        "mode": "markers",
        "name": name,
        "customdata": [theme.plain(t) for t, c in zip(finding.trials, chosen, strict=True) if c],
        "hovertemplate": f"trial %{{customdata}}, {name}<extra></extra>",
    }


def dots(fig: go.Figure, finding: AelleFinding, chosen: np.ndarray, name: str, held: bool) -> None:
    """Trials with a value, the better the lighter; one colour bar for all of them."""
    bar = {
        "title": {"text": theme.plain(label(finding.column)), "side": "right"},
        "tickvals": np.linspace(0, 1, len(finding.ticks)),
        "ticktext": [digits(t) for t in finding.ticks],
        "thickness": 14,
        "x": 0.445,
        "xanchor": "left",
    }
    marker = {
        "color": finding.shade[chosen],
        "cmin": 0,
        "cmax": 1,
        "colorscale": theme.SCALE,
        "size": 11 if held else 7,
        "line": {"width": 2 if held else 0, "color": "black"},
        "showscale": held,
        "colorbar": bar,
    }
    fig.add_scatter(**placed(finding, chosen, name), marker=marker)
