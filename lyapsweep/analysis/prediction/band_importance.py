"""Which part of the spectrum predicts the outcome? Bands of neighbouring quantiles, permuted in held-out trials."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal, NamedTuple

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots
from scipy import stats
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from lyapsweep.analysis.prediction import cross_validation
from lyapsweep.analysis.prediction.cross_validation import CrossValidationScores
from lyapsweep.analysis.shared import theme
from lyapsweep.analysis.shared.early_records import SpectrumRows, spectrum_rows
from lyapsweep.analysis.shared.rank_correlation import MOST, RankCorrelation, rank_correlation
from lyapsweep.analysis.shared.selection import digits, interval, label, left_out, refuse_hunt
from lyapsweep.analysis.shared.units import UnitCount, enough_permutations
from lyapsweep.results.table import Table

Model = Literal["ridge", "trees"]
PENALTIES = np.logspace(-2, 4, 13)
LEVEL = 0.05  # false discovery rate of significant bands
CHANCE = 4  # permutations of a band for outcomes of chance


class BandImportanceFinding(NamedTuple):
    """Importance of bands (bands,), and each quantile's own rank correlation with the outcome (points,).

    `importance` is the drop of the held-out rank correlation if a band's values are permuted among the held-out
    trials, mean over splits with its 95 % interval, which is too long (`over_splits`). Its p is the share of outcomes
    permuted between settings with as large a drop (Altmann et al. 2010), for trees that of the corrected t; q is p
    adjusted for all bands (Benjamini and Hochberg 1995). `edges` (bands, 2) and `quantiles` (points,) are in [0, 1], 0
    the largest exponent. `score` is that of the model without permutation. Of the runs `lost` were lost; `without` more
    had no spectrum.
    """

    which: str
    column: str
    model: Model
    quantiles: np.ndarray
    rho: RankCorrelation
    edges: np.ndarray
    importance: CrossValidationScores
    q: np.ndarray
    score: CrossValidationScores
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
    points: int = 24,
    bands: int = 6,
    model: Model = "ridge",
    group: str | Sequence[str] | None = None,
    splits: int = cross_validation.SPLITS,
    permutations: int = 20,
    chance: int = 199,
    resamples: int = MOST,
    hunted: bool = False,
    seed: int = 0,
) -> BandImportanceFinding:
    """Predict the rank of the outcome from spectra at quantiles, and permute bands of them in held-out trials.

    Neighbouring quantiles are correlated, so that a model can replace one by others: they are permuted together, one
    band at a time. A band that another band can replace has no importance; for this the rank correlations are given.

    Args:
        table: The trials of a sweep with spectra.
        column: The outcome, such as `measures/loss`.
        map: The map of the spectra; the closed loop or the first one by default.
        fraction: Of training, for early spectra; None for the last ones.
        points: Quantiles per spectrum.
        bands: Bands of neighbouring quantiles.
        model: "ridge" regression, its penalty by leave-one-out, or 200 extremely randomised "trees".
        group: Trials with the same values of these columns stay in one part of a split; by default those of a setting.
        splits: Random splits into training and held-out trials.
        permutations: Per band and split.
        chance: Outcomes permuted between settings, for p of ridge regression; at least 20 per band, less one.
        resamples: Settings are left out one by one for the intervals of the rank correlations, or in so many blocks.
        hunted: Accept the trials of a hunt.
        seed: Of splits, permutations and blocks.

    Returns:
        A `BandImportanceFinding`.

    Raises:
        HuntTableError: If the trials are those of a hunt and `hunted` is false.
        TooFew: With fewer than 40 trials.
        UnknownName: If a map or column does not exist.
        ValueError: If there are more bands than points, or no p of so few outcomes of `chance` can be significant.

    Example:
        >>> import pandas as pd
        >>> spectra = np.random.default_rng(0).normal(size=(60, 4)) / 9 - np.arange(4)
        >>> frame = pd.DataFrame({"trial": np.arange(60), "step": 1, "outcome": "finished", "final": True})
        >>> table = Table(frame.assign(**{"measures/loss": spectra[:, 2]}), {"driven": spectra})
        >>> found = find(table, "measures/loss", points=4, bands=4, splits=5)
        >>> significant(found)
        array([False, False,  True, False])
    """
    refuse_hunt(table, hunted)
    check_bands(bands, points, chance)
    rows = spectrum_rows(table, column, map, fraction)
    split = cross_validation.random_splits(rows.trials, splits, seed, group)
    cuts, generator = np.linspace(0, points, bands + 1).round().astype(int), np.random.default_rng(seed)
    regressor, outcomes = make_regressor(model, seed), with_chance(rows, chance if model == "ridge" else 0, seed)
    made = [drops(rows, outcomes, p, points, cuts, regressor, permutations, generator) for p in split]
    scores, dropped = (np.array(part) for part in zip(*made, strict=True))
    drop, mean = cross_validation.over_splits(dropped[:, :, 0].T, split), dropped.mean(0)
    if model == "ridge":
        drop = drop._replace(p=(mean >= mean[:, :1]).mean(1))
    axis = cross_validation.quantile_axis(rows.spectra, points, np.full(len(rows.values), True))
    rho = [rank_correlation(u, rows.values, rows.units, resamples, seed) for u in axis.T]
    return BandImportanceFinding(
        which=rows.description,
        column=column,
        model=model,
        quantiles=(np.arange(points) + 0.5) / points,
        rho=RankCorrelation(*np.array(rho).T),
        edges=np.stack([cuts[:-1], cuts[1:]], axis=1) / points,
        importance=drop,
        q=stats.false_discovery_control(drop.p),
        score=cross_validation.over_splits(scores, split, 1.0),
        count=rows.units.count,
        lost=int(rows.lost.sum()),
        without=rows.without,
        splits=splits,
    )


def check_bands(bands: int, points: int, chance: int) -> None:
    """Refuse more bands than points, and outcomes of chance that are too few for a significant p."""
    if not 1 <= bands <= points:
        raise ValueError(f"bands: must lie between 1 and points = {points}, but is {bands}.")
    enough_permutations(chance, LEVEL / bands)


def with_chance(rows: SpectrumRows, chance: int, seed: int) -> np.ndarray:
    """The outcome and so many copies of it that are permuted between settings: (trials, 1 + chance)."""
    generator = np.random.default_rng((seed, 1))
    return np.column_stack([rows.target, *(rows.target[rows.units.permuted(generator)] for _ in range(chance))])


def make_regressor(model: Model, seed: int) -> Pipeline:
    """Ridge regression with a penalty of each outcome by leave-one-out, or a forest of random trees."""
    if model == "trees":
        return make_pipeline(ExtraTreesRegressor(200, min_samples_leaf=3, random_state=seed))
    return make_pipeline(StandardScaler(), RidgeCV(PENALTIES, alpha_per_target=True))


def drops(
    rows: SpectrumRows,
    outcomes: np.ndarray,
    part: np.ndarray,
    points: int,
    cuts: np.ndarray,
    model: Pipeline,
    permutations: int,
    generator: np.random.Generator,
) -> tuple[float, np.ndarray]:
    """(rank correlation in the held-out part, its drops (bands, outcomes) as each band is permuted there) of one split.

    `outcomes` (trials, outcomes): the actual one first, of which the correlation is, then those of chance, which are
    judged by `CHANCE` of the permutations of a band.
    """
    train = part != cross_validation.TEST
    x, ranked = cross_validation.quantile_axis(rows.spectra, points, train), outcomes[train]
    targets = np.column_stack([cross_validation.scaled_ranks(y, y) for y in ranked.T])
    model.fit(x[train], targets if targets.shape[1] > 1 else targets[:, 0])
    held, values, units = x[~train], outcomes[~train].T[:, None], rows.units.take(~train)
    score = cross_validation.rank_score(predictions(model, held), values[:, 0])
    found = np.empty((len(cuts) - 1, len(score)))
    for band, (start, stop) in enumerate(pairwise(cuts)):
        order = np.array([units.permuted(generator) for _ in range(permutations)])
        mixed = np.repeat(held[None], permutations, axis=0)
        mixed[:, :, start:stop] = held[order, start:stop]
        predicted = predictions(model, mixed.reshape(-1, points)).reshape(len(score), permutations, -1)
        found[band, 0] = score[0] - cross_validation.rank_score(predicted[0], values[0]).mean()
        found[band, 1:] = score[1:] - cross_validation.rank_score(predicted[1:, :CHANCE], values[1:]).mean(1)
    return float(score[0]), found


def predictions(model: Pipeline, x: np.ndarray) -> np.ndarray:
    """(outcomes, trials); a forest drops the axis of a single outcome."""
    return model.predict(x).reshape(len(x), -1).T


def significant(finding: BandImportanceFinding) -> np.ndarray:
    """Whether permuting a band (bands,) reduces the score significantly, adjusted for all bands."""
    return (finding.q < LEVEL) & (finding.importance.mean > 0)


def sentence(finding: BandImportanceFinding) -> str:
    """State the held-out score and the significant bands."""
    found = np.flatnonzero(significant(finding))
    trials = f"{finding.count}, {finding.lost} of them lost" + left_out(finding.without)
    score = interval(*finding.score[:3])
    drops = [interval(*row) for row in zip(*finding.importance[:3], strict=True)]
    if not found.size:
        return (
            f"No band of the {finding.which} has a significant importance for {label(finding.column)}: held-out rank "
            f"correlation {score}, its largest drop by permuting one {drops[int(np.argmax(finding.importance.mean))]} "
            f"({trials})."
        )
    order = found[np.argsort(-finding.importance.mean[found])]
    bands = "; ".join(
        f"quantiles {digits(a)} to {digits(b)} by {drops[k]}" for k in order for a, b in [finding.edges[k]]
    )
    return (
        f"The {finding.which} predicts {label(finding.column)} with a held-out rank correlation of {score}; permuting "
        f"a band reduces it: {bands} ({trials}; 95 % intervals)."
    )


def draw(finding: BandImportanceFinding) -> go.Figure:
    """Draw the rank correlation of every quantile (top) and the importance of each band, significant ones coloured."""
    fig = make_subplots(rows=2, cols=1, shared_xaxes=True, vertical_spacing=0.1)
    fig.update_layout(theme.figure(560, legend=False).layout, showlegend=False)
    u, blue = finding.quantiles, theme.colour(0)
    fig.add_scatter(
        x=np.concatenate([u, u[::-1]]),
        y=np.concatenate([finding.rho.high, finding.rho.low[::-1]]),
        fill="toself",
        fillcolor="rgba(0, 114, 178, 0.18)",
        line={"width": 0},
        hoverinfo="skip",
        row=1,
        col=1,
    )
    hover = "quantile %{x:.2f}: ρ = %{y:.2f}<extra></extra>"
    fig.add_scatter(
        x=u, y=finding.rho.rho, mode="lines", line={"color": blue, "width": 2}, hovertemplate=hover, row=1, col=1
    )
    fig.add_bar(
        x=finding.edges.mean(1),
        y=finding.importance.mean,
        width=0.94 * (finding.edges[:, 1] - finding.edges[:, 0]),
        error_y=theme.error_bars(*finding.importance[:3]),
        marker={"color": [theme.colour(1) if s else theme.PALE for s in significant(finding)]},
        customdata=finding.q,
        hovertemplate="quantile %{x:.2f}: %{y:.3f}, q = %{customdata:.2g}<extra></extra>",
        row=2,
        col=1,
    )
    for row, title in ((1, f"ρ with {label(finding.column)}"), (2, "drop of the score if permuted")):
        fig.update_yaxes(title=theme.plain(title), row=row, col=1)
    fig.update_xaxes(showticklabels=True, row=1, col=1)
    fig.update_xaxes(title="quantile of the spectrum, largest exponent at the left", row=2, col=1)
    theme.frame(fig).update_yaxes(zeroline=True, zerolinecolor="#444")
    return fig
