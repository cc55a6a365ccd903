"""Do spectra of similar outcome lie together? A predicting autoencoder of spectra (AeLLE, Vogt et al. 2024)."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots
from sklearn.decomposition import PCA
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from lyapsweep.analysis.prediction import autoencoder, cross_validation
from lyapsweep.analysis.prediction.band_importance import PENALTIES
from lyapsweep.analysis.prediction.cross_validation import TEST, TRAIN, CrossValidationScores, scaled_ranks
from lyapsweep.analysis.shared import theme
from lyapsweep.analysis.shared.early_records import SpectrumRows, spectrum_rows
from lyapsweep.analysis.shared.selection import Direction, direction, interval, label, left_out, refuse_hunt
from lyapsweep.analysis.shared.spectrum_features import determined
from lyapsweep.analysis.shared.units import UnitCount
from lyapsweep.results.table import Table

MODELS = ("AeLLE", "PCA + ridge", "statistics + ridge")
COMPONENTS = 10


class AelleFinding(NamedTuple):
    """The latent space of one split, and the scores of three models on all splits.

    `coordinates` (trials, 2) are the latent variables of the first split on the two principal axes of its training
    part, with the shares `explained` of their variance; `held` (trials,) marks the trials that this split held out.
    `values` (trials,) are infinite and `rank` is NaN where a trial was lost; rank in [0, 1] is that among the finite
    values, from the worst to the best; `ticks` (5,) are the values at ranks 0, 1/4, ..., 1. `score` (models,) is the
    held-out rank correlation, `gain` (models,) AeLLE's score minus each model's on the same splits. `best` and `last`
    (splits,) are the epochs of the kept state and of the end of training.
    """

    which: str
    column: str
    trials: tuple[str, ...]
    coordinates: np.ndarray
    explained: np.ndarray
    held: np.ndarray
    values: np.ndarray
    rank: np.ndarray
    ticks: np.ndarray
    models: tuple[str, ...]
    score: CrossValidationScores
    gain: CrossValidationScores
    best: np.ndarray
    last: np.ndarray
    count: UnitCount
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
    """Train an autoencoder of spectra with a head that predicts the rank of the outcome, and compare it.

    Everything, standardisation included, is fitted to a split's training part, and the best epoch is chosen on its
    validation part. The two other models, PCA with ridge regression and the spectrum's statistics with ridge
    regression, are fitted to both parts. The outcome is its rank among the training trials, that of a lost trial the
    worst.

    Args:
        table: The trials of a sweep with spectra.
        column: The outcome, such as `measures/loss`.
        map: The map of the spectra; the closed loop or the first one by default.
        fraction: Of training, for early spectra; None for the last ones.
        points: Quantiles per spectrum, so that networks of all sizes share one latent space.
        settings: Of the autoencoder.
        group: Trials with the same values of these columns stay in one part of a split; by default those of a setting.
        splits: Random splits into training, validation and test part.
        hunted: Accept the trials of a hunt.
        seed: Of splits and weights.

    Returns:
        An `AelleFinding`.

    Raises:
        HuntTableError: If the trials are those of a hunt and `hunted` is false.
        TooFew: With fewer than 40 trials.
        UnknownName: If a map or column does not exist.

    Example:
        >>> import pandas as pd
        >>> spectra = np.random.default_rng(0).normal(size=(60, 4)) / 9 - np.arange(4)
        >>> frame = pd.DataFrame({"trial": np.arange(60), "step": 1, "outcome": "finished", "final": True})
        >>> table = Table(frame.assign(**{"measures/loss": spectra[:, 2]}), {"driven": spectra})
        >>> found = find(table, "measures/loss", points=4, splits=3, settings=autoencoder.Settings(epochs=20))
        >>> found.coordinates.shape, found.models
        ((60, 2), ('AeLLE', 'PCA + ridge', 'statistics + ridge'))
    """
    refuse_hunt(table, hunted)
    rows = spectrum_rows(table, column, map, fraction)
    split = cross_validation.random_splits(rows.trials, splits, seed, group)
    fit = encoded(rows, split, points, settings, seed)
    scores = np.stack([scored(rows, part, points, p) for part, p in zip(split, fit.predicted, strict=True)], axis=1)
    score = cross_validation.over_splits(scores, split, 1.0)
    gain = cross_validation.over_splits(scores[0] - scores, split)
    coordinates, explained = principal_axes(fit.latent[0], split[0], fit.predicted[0])
    rank, ticks = outcome_ranks(rows.values, direction(table, column))
    return AelleFinding(
        which=rows.description,
        column=column,
        trials=tuple(rows.trials.frame["trial"].astype(str)),
        coordinates=coordinates,
        explained=explained,
        held=split[0] == TEST,
        values=rows.values,
        rank=rank,
        ticks=ticks,
        models=MODELS,
        score=score,
        gain=gain,
        best=fit.best,
        last=fit.last,
        count=rows.units.count,
        lost=int(rows.lost.sum()),
        without=rows.without,
        splits=splits,
    )


def encoded(
    rows: SpectrumRows, split: np.ndarray, points: int, settings: autoencoder.Settings, seed: int
) -> autoencoder.AutoencoderFit:
    """The autoencoders of all splits, each on quantiles standardised by its own training part."""
    x, y = [], []
    for part in split:
        train = part == TRAIN
        axis = cross_validation.quantile_axis(rows.spectra, points, train)
        x.append(StandardScaler().fit(axis[train]).transform(axis))
        y.append(np.sqrt(3) * scaled_ranks(rows.target, rows.target[train]))  # of unit variance
    return autoencoder.fit(np.stack(x), np.stack(y), split, seed, settings)


def scored(rows: SpectrumRows, part: np.ndarray, points: int, predicted: np.ndarray) -> np.ndarray:
    """The scores (models,) in the test part of one split; `predicted` (trials,) are the autoencoder's predictions."""
    test = part == TEST
    every = np.vstack([predicted, linear_predictions(rows, part, points)])
    return cross_validation.rank_score(every[:, test], rows.target[test])


def linear_predictions(rows: SpectrumRows, part: np.ndarray, points: int) -> np.ndarray:
    """(2, trials): predictions by PCA with ridge and by statistics with ridge, fitted to all but the test part."""
    train = part != TEST
    y = scaled_ranks(rows.target[train], rows.target[train])
    axis = cross_validation.quantile_axis(rows.spectra, points, train)
    known = rows.stderr is not None and rows.stderr.shape == rows.spectra.shape  # on a common axis no errors are
    stderr = rows.stderr if known else None
    statistics = determined(rows.spectra, cross_validation.floor(rows.spectra[train]), stderr).to_numpy()
    pca = PCA(min(COMPONENTS, points, int(train.sum())))
    models = (
        (make_pipeline(StandardScaler(), pca, RidgeCV(PENALTIES)), axis),
        (make_pipeline(StandardScaler(), RidgeCV(PENALTIES)), statistics),
    )
    return np.stack([model.fit(x[train], y).predict(x) for model, x in models])


def principal_axes(latent: np.ndarray, part: np.ndarray, predicted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(coordinates (rows, 2) on principal axes of the training part, their shares of the variance).

    The sign of an axis is such that the prediction increases along it.
    """
    pca = PCA(min(2, latent.shape[1])).fit(latent[part == TRAIN])
    found = np.zeros((len(latent), 2))
    found[:, : pca.n_components_] = pca.transform(latent)
    sign = np.where(((found - found.mean(0)) * (predicted - predicted.mean())[:, None]).sum(0) < 0, -1.0, 1.0)
    return sign * found, np.append(pca.explained_variance_ratio_, 0.0)[:2]


def outcome_ranks(values: np.ndarray, better: Direction) -> tuple[np.ndarray, np.ndarray]:
    """(ranks (trials,) among the finite values, the worst 0, the best 1, NaN if infinite; the values at 0, 1/4, ...,
    1).

    Colours are by rank, so that an outlier does not take most of the scale.
    """
    finite = np.isfinite(values)
    known = values[finite] if finite.any() else np.array([np.nan])
    share = np.full(len(values), np.nan)
    share[finite] = (1 + scaled_ranks(values[finite], known)) / 2
    ticks = np.quantile(known, np.linspace(0, 1, 5))
    return (1 - share, ticks[::-1]) if better == "minimise" else (share, ticks)


def sentence(finding: AelleFinding) -> str:
    """State the three scores and compare AeLLE with the better of the other models."""
    score, gain = finding.score, finding.gain
    rows = zip(finding.models, score.mean, score.low, score.high, strict=True)
    scores = ", ".join(f"{name} {interval(*row)}" for name, *row in rows)
    other = 1 + int(np.argmax(score.mean[1:]))
    low, high = gain.low[other], gain.high[other]
    verdict = "better" if low > 0 else "worse" if high < 0 else "no significant difference"
    return (
        f"Held-out rank correlation of the {finding.which} with {label(finding.column)}: {scores}. AeLLE gains "
        f"{interval(gain.mean[other], low, high)} over {finding.models[other]}: {verdict} "
        f"({finding.count}, {finding.lost} of them lost{left_out(finding.without)}; {finding.splits} "
        "splits, 95 % intervals)."
    )


def draw(finding: AelleFinding) -> go.Figure:
    """Draw the latent space, held-out trials ringed and lost ones as crosses (left), and the scores (right)."""
    fig = make_subplots(rows=1, cols=2, column_widths=[0.62, 0.38], horizontal_spacing=0.3)
    fig.update_layout(theme.figure(480).layout)
    lost = ~np.isfinite(finding.values)
    for held, name in ((False, "training"), (True, "held out")):
        draw_trials(fig, finding, (finding.held == held) & ~lost, name, held)
    if lost.any():
        fig.add_scatter(
            **coordinates_of(finding, lost, "lost"), marker={"symbol": "x", "size": 9, "color": theme.colour(1)}
        )
    fig.add_scatter(
        x=finding.score.mean,
        y=[*finding.models],
        error_x=theme.error_bars(*finding.score[:3]),
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


def coordinates_of(finding: AelleFinding, chosen: np.ndarray, name: str) -> dict[str, Any]:
    """Plotly's arguments for the points of some trials."""
    return {
        "x": finding.coordinates[chosen, 0],
        "y": finding.coordinates[chosen, 1],
        "mode": "markers",
        "name": name,
        "customdata": [theme.plain(t) for t, c in zip(finding.trials, chosen, strict=True) if c],
        "hovertemplate": f"trial %{{customdata}}, {name}<extra></extra>",
    }


def draw_trials(fig: go.Figure, finding: AelleFinding, chosen: np.ndarray, name: str, held: bool) -> None:
    """Trials with a value, better ones lighter; one colour bar for all of them."""
    bar = theme.colour_bar(label(finding.column), finding.ticks) | {"x": 0.445, "xanchor": "left"}
    marker = {
        "color": finding.rank[chosen],
        "cmin": 0,
        "cmax": 1,
        "colorscale": theme.SCALE,
        "size": 11 if held else 7,
        "line": {"width": 2 if held else 0, "color": "black"},
        "showscale": held,
        "colorbar": bar,
    }
    fig.add_scatter(**coordinates_of(finding, chosen, name), marker=marker)
