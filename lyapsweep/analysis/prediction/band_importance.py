"""Which part of the spectrum foretells the outcome? Bands of neighbouring quantiles, permuted in held-out trials."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Literal, NamedTuple

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots
from scipy import stats
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from lyapsweep.analysis.prediction import cross_validation
from lyapsweep.analysis.shared import theme
from lyapsweep.analysis.shared.selection import digits, label
from lyapsweep.analysis.spectra.correlation import refuse, spearman
from lyapsweep.results.table import Table

Model = Literal["ridge", "trees"]
PENALTIES = np.logspace(-2, 4, 13)
LEVEL = 0.05  # of the false discovery rate, below which a band is said to matter


class BandImportanceFinding(NamedTuple):
    """Importance of bands (bands,) beside each quantile's own rank correlation (points,).

    `importance` is what the held-out rank correlation loses when a band's values are dealt out anew among the held-out
    trials, mean over splits with its 95 % interval; q is p adjusted for all bands (Benjamini and Hochberg 1995).
    `edges` (bands, 2) and `quantiles` (points,) lie in [0, 1], 0 the largest exponent. `score` is the model's with all
    bands in place. Of `n` trials `lost` were lost; `without` more had no spectrum.
    """

    which: str
    column: str
    model: Model
    quantiles: np.ndarray
    rho: np.ndarray
    rho_low: np.ndarray
    rho_high: np.ndarray
    edges: np.ndarray
    importance: np.ndarray
    low: np.ndarray
    high: np.ndarray
    q: np.ndarray
    score: float
    score_low: float
    score_high: float
    n: int
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
    resamples: int = 500,
    hunted: bool = False,
    seed: int = 0,
) -> BandImportanceFinding:
    """Learn the rank of `column` from spectra on `points` quantiles; permute bands of them in held-out trials.

    Spectra are the last ones, or those at a `fraction` of training. Neighbouring quantiles say much the same, so that
    the model misses none of them alone: they are permuted together, a band at a time. What another band says as well
    is still not missed; the rank correlations are beside for that.

    Raises `Hunted` for the trials of a hunt unless `hunted=True`, `UnknownName` for a map or column that is not there,
    `TooFew` below 40 trials with both, `ValueError` where there are more bands than points.
    """
    refuse(table, hunted)
    if not 1 <= bands <= points:
        raise ValueError(f"bands: must lie between 1 and points = {points}, but is {bands}.")
    rows = cross_validation.rows(table, column, map, fraction)
    split = cross_validation.parts(rows.trials, splits, seed, group)
    cuts = np.linspace(0, points, bands + 1).round().astype(int)
    return BandImportanceFinding(
        which=rows.which,
        column=column,
        model=model,
        quantiles=(np.arange(points) + 0.5) / points,
        **correlated(rows, points, resamples, seed),
        edges=np.stack([cuts[:-1], cuts[1:]], axis=1) / points,
        **permuted(rows, points, split, cuts, model, permutations, seed),
        n=len(rows.values),
        lost=int(rows.lost.sum()),
        without=rows.without,
        splits=splits,
    )


def correlated(rows: cross_validation.Rows, points: int, resamples: int, seed: int) -> dict[str, np.ndarray]:
    """The rank correlation of each quantile with the outcome, and its interval."""
    x = cross_validation.axis(rows.spectra, points, np.full(len(rows.values), True))
    rho, low, high, _ = np.array([spearman(u, rows.values, resamples, seed) for u in x.T]).T
    return {"rho": rho, "rho_low": low, "rho_high": high}


def permuted(
    rows: cross_validation.Rows,
    points: int,
    split: np.ndarray,
    cuts: np.ndarray,
    model: Model,
    permutations: int,
    seed: int,
) -> dict[str, Any]:
    """The model's score over all splits, and what it loses as each band is permuted."""
    generator = np.random.default_rng(seed)
    found = [missed(rows, points, part, cuts, regressor(model, seed), permutations, generator) for part in split]
    full, drops = zip(*found, strict=True)
    score, loss = (
        cross_validation.over_splits(np.array(full), split, 1.0),
        cross_validation.over_splits(np.array(drops).T, split),
    )
    return {
        "importance": loss.mean,
        "low": loss.low,
        "high": loss.high,
        "q": stats.false_discovery_control(loss.p),
        "score": float(score.mean),
        "score_low": float(score.low),
        "score_high": float(score.high),
    }


def regressor(model: Model, seed: int) -> Pipeline:
    """Ridge regression, its penalty by leave-one-out of the trials it learns from, or a forest of random trees."""
    if model == "trees":
        return make_pipeline(ExtraTreesRegressor(200, min_samples_leaf=3, random_state=seed))
    return make_pipeline(StandardScaler(), RidgeCV(PENALTIES))


def missed(
    rows: cross_validation.Rows,
    points: int,
    part: np.ndarray,
    cuts: np.ndarray,
    model: Pipeline,
    permutations: int,
    generator: np.random.Generator,
) -> tuple[float, list[float]]:
    """(rank correlation in the held-out part, what it loses as each band is permuted there) of one split."""
    learned = part != cross_validation.TEST
    x = cross_validation.axis(rows.spectra, points, learned)
    model.fit(x[learned], cross_validation.ranks(rows.values[learned], rows.values[learned]))
    held, values = x[~learned], rows.values[~learned]
    full, drops = float(cross_validation.agreement(model.predict(held), values)), []
    for start, stop in pairwise(cuts):
        order = np.argsort(generator.random((permutations, len(held))), axis=1)
        dealt = np.repeat(held[None], permutations, axis=0)
        dealt[:, :, start:stop] = held[order, start:stop]
        predicted = model.predict(dealt.reshape(-1, points)).reshape(permutations, -1)
        drops.append(full - float(cross_validation.agreement(predicted, values).mean()))
    return full, drops


def matters(finding: BandImportanceFinding) -> np.ndarray:
    """Which bands (bands,) the model misses, by more than chance over all of them."""
    return (finding.q < LEVEL) & (finding.importance > 0)


def sentence(finding: BandImportanceFinding) -> str:
    """What was found, in words."""
    found = np.flatnonzero(matters(finding))
    who = f"{finding.n} trials, {finding.lost} of them lost" + (
        f"; {finding.without} without a spectrum left out" if finding.without else ""
    )
    score = f"{digits(finding.score)} [{digits(finding.score_low)}, {digits(finding.score_high)}]"
    if not found.size:
        best = int(np.argmax(finding.importance))
        return (
            f"No band of the {finding.which} is shown to matter for {label(finding.column)}: held-out rank "
            f"correlation {score}, and the most that permuting a band takes from it is {span(finding, best)} ({who})."
        )
    order = found[np.argsort(-finding.importance[found])]
    bands = "; ".join(f"quantiles {between(finding, b)}, without which it loses {span(finding, b)}" for b in order)
    return (
        f"The {finding.which} foretells {label(finding.column)} with a held-out rank correlation of {score}, "
        f"mostly by {bands} ({who}; 95 % intervals)."
    )


def between(finding: BandImportanceFinding, band: int) -> str:
    return " to ".join(digits(edge) for edge in finding.edges[band])


def span(finding: BandImportanceFinding, band: int) -> str:
    return f"{digits(finding.importance[band])} [{digits(finding.low[band])}, {digits(finding.high[band])}]"


def draw(finding: BandImportanceFinding) -> go.Figure:
    """Above, the rank correlation of every quantile; below, what each band is worth to the model, sure ones filled."""
    fig = make_subplots(rows=2, cols=1, shared_xaxes=True, vertical_spacing=0.1)
    fig.update_layout(theme.figure(560, legend=False).layout, showlegend=False)
    u, blue = finding.quantiles, theme.colour(0)
    fig.add_scatter(
        x=np.concatenate([u, u[::-1]]),
        y=np.concatenate([finding.rho_high, finding.rho_low[::-1]]),
        fill="toself",
        fillcolor="rgba(0, 114, 178, 0.18)",
        line={"width": 0},
        hoverinfo="skip",
        row=1,
        col=1,
    )
    hover = "quantile %{x:.2f}: ρ = %{y:.2f}<extra></extra>"
    fig.add_scatter(
        x=u, y=finding.rho, mode="lines", line={"color": blue, "width": 2}, hovertemplate=hover, row=1, col=1
    )
    sure = matters(finding)
    fig.add_bar(
        x=finding.edges.mean(1),
        y=finding.importance,
        width=0.94 * (finding.edges[:, 1] - finding.edges[:, 0]),
        error_y={
            "array": finding.high - finding.importance,
            "arrayminus": finding.importance - finding.low,
            "color": theme.GREY,
            "thickness": 1.2,
        },
        marker={"color": [theme.colour(1) if s else "#d9d9d9" for s in sure]},
        customdata=finding.q,
        hovertemplate="quantile %{x:.2f}: %{y:.3f}, q = %{customdata:.2g}<extra></extra>",
        row=2,
        col=1,
    )
    for row, title in ((1, f"ρ with {label(finding.column)}"), (2, "lost when permuted")):
        fig.update_yaxes(title=theme.plain(title), row=row, col=1)
    fig.update_xaxes(showticklabels=True, row=1, col=1)
    fig.update_xaxes(title="quantile of the spectrum, largest exponent at the left", row=2, col=1)
    theme.frame(fig).update_yaxes(zeroline=True, zerolinecolor="#444")
    return fig
