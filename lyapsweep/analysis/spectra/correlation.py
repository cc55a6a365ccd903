"""Which statistic of the spectrum goes with which measure? Rank correlations with their intervals."""

from typing import NamedTuple

import numpy as np
import plotly.graph_objects as go
from scipy import stats

from lyapsweep.analysis.shared import theme
from lyapsweep.analysis.shared.selection import JudgedTrials, digits, judged, label, numbers, require
from lyapsweep.results.table import Table

NEED = 8  # trials below which a rank correlation's interval says nothing


class HuntTableError(ValueError):
    """A correlation was asked of trials that a hunt chose."""


class CorrelationFinding(NamedTuple):
    """One row a pair of statistic and measure, strongest first: rho, its 95 % interval [low, high], p, and q = p
    adjusted for all pairs (Benjamini and Hochberg 1995), from `n` trials of which `lost` were lost."""

    statistics: tuple[str, ...]
    measures: tuple[str, ...]
    rho: np.ndarray
    low: np.ndarray
    high: np.ndarray
    p: np.ndarray
    q: np.ndarray
    n: np.ndarray
    lost: np.ndarray
    resamples: int
    hunted: bool


def find(
    table: Table, measures: list[str] | None = None, *, hunted: bool = False, resamples: int = 1000, seed: int = 0
) -> CorrelationFinding:
    """Spearman's rank correlation of every spectrum statistic with every measure over the trials that ended.

    rho = corr(rank(statistic), rank(measure)), ties at their mean rank. A lost trial (diverged, failed) that has a
    spectrum takes the worst rank of the measure and stays in: leaving it out would flatter what makes networks
    diverge. An exponent of -inf takes the lowest rank. The interval is the bootstrap's 2.5 and 97.5 percentiles over
    `resamples` resamples of trials, seeded; p is that of rho under independence, two-sided.

    Raises `Hunted` for the trials of a hunt unless `hunted=True`, `TooFew` where no pair has eight trials with both
    and more than one value of each, `UnknownName` for a column that is not there.
    """
    refuse(table, hunted)
    columns = [str(c) for c in table.frame.columns]
    statistics = [c for c in columns if c.startswith("spectra/")]
    measures = measures or [c for c in columns if c.startswith("measures/")]
    pairs = []
    for m in measures:
        trials = judged(table, m)
        pairs += [pair(s, numbers(trials.table, s), m, trials, resamples, seed) for s in statistics]
    require(max((p.trials for p in pairs), default=0), NEED, "trials with a spectrum and a measure")
    rows = [p.row for p in pairs if p.row is not None]
    require(len(rows), 1, "pairs of a statistic and a measure that both vary")
    return arranged(rows, resamples, hunted)


def refuse(table: Table, hunted: bool) -> None:
    """Raise `Hunted` for the trials of a hunt, unless the caller says that it knows."""
    if table.description.intent == "hunt" and not hunted:
        raise HuntTableError(
            "These trials come from a hunt: the sampler went where it found success and the scheduler cut short what "
            "looked bad, so the sample is biased toward success and correlations in it say little about the region. "
            'Run the sweep with intent="map", or pass hunted=True and say so where you report the numbers.'
        )


class Pair(NamedTuple):
    """How many trials have both, and the row of the finding where they are enough and both vary."""

    trials: int
    row: tuple | None


def pair(statistic: str, x: np.ndarray, measure: str, trials: JudgedTrials, resamples: int, seed: int) -> Pair:
    """One statistic (trials,) against the measure that `trials` were judged by."""
    y = trials.values
    both = ~np.isnan(x) & ~np.isnan(y)
    count = int(both.sum())
    if count < NEED or np.unique(x[both]).size < 2 or np.unique(y[both]).size < 2:
        return Pair(count, None)
    rho, low, high, p = spearman(x[both], y[both], resamples, seed)
    return Pair(count, (statistic, measure, rho, low, high, p, count, int(trials.lost[both].sum())))


def arranged(rows: list[tuple], resamples: int, hunted: bool) -> CorrelationFinding:
    rows.sort(key=lambda row: -abs(row[2]))
    names_s, names_m, rho, low, high, p, n, lost = zip(*rows, strict=True)
    return CorrelationFinding(
        statistics=names_s,
        measures=names_m,
        rho=np.array(rho),
        low=np.array(low),
        high=np.array(high),
        p=np.array(p),
        q=stats.false_discovery_control(p),
        n=np.array(n),
        lost=np.array(lost),
        resamples=resamples,
        hunted=hunted,
    )


def spearman(x: np.ndarray, y: np.ndarray, resamples: int, seed: int) -> tuple[float, float, float, float]:
    """(rho, low, high, p); resamples in which a variable is constant have no rank correlation and are left out."""
    rx, ry = stats.rankdata(x), stats.rankdata(y)
    rho, p = np.asarray(stats.pearsonr(rx, ry), float)
    rows = np.random.default_rng(seed).integers(len(x), size=(resamples, len(x)))
    bx, by = (stats.rankdata(r[rows], axis=1) for r in (rx, ry))
    bx, by = bx - bx.mean(1, keepdims=True), by - by.mean(1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        boot = (bx * by).sum(1) / np.sqrt((bx**2).sum(1) * (by**2).sum(1))
    low, high = np.nanpercentile(boot, (2.5, 97.5))
    return float(rho), float(low), float(high), float(p)


def draw(finding: CorrelationFinding) -> go.Figure:
    """rho by colour, statistics down and measures across; bold where the interval excludes 0."""
    statistics, measures = list(dict.fromkeys(finding.statistics)), list(dict.fromkeys(finding.measures))
    at = [(statistics.index(s), measures.index(m)) for s, m in zip(finding.statistics, finding.measures, strict=True)]
    rho = np.full((len(statistics), len(measures)), np.nan)
    text = np.full(rho.shape, "", dtype=object)
    for k, where in enumerate(at):
        rho[where] = finding.rho[k]
        firm = finding.low[k] > 0 or finding.high[k] < 0
        text[where] = f"<b>{digits(finding.rho[k])}</b>" if firm else digits(finding.rho[k])
    rows, columns = [theme.plain(label(s)) for s in statistics], [theme.plain(label(m)) for m in measures]
    fig = theme.correlations(rows, columns, rho, text, "%{y} with %{x}", height=230 + 30 * len(statistics))
    fig.update_xaxes(tickangle=-35)
    return fig
