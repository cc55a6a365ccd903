"""Does an early spectrum correlate with the outcome beyond settings and early scores? Rank-partial correlations."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from scipy import stats

from lyapsweep.analysis.shared import theme
from lyapsweep.analysis.shared.axis import is_numeric
from lyapsweep.analysis.shared.early_records import EarlyRecords, RowSummary, early_records
from lyapsweep.analysis.shared.rank_correlation import MOST, RankCorrelation, jackknifed
from lyapsweep.analysis.shared.selection import decimal_interval, decimals, label, refuse_hunt, require
from lyapsweep.analysis.shared.spectrum_features import sorted_spectra
from lyapsweep.analysis.shared.units import Units
from lyapsweep.results.table import Table

SPARE = 8  # fewest units beyond the number of controls for an interval
DIFFERENT = 5  # fewest trials that differ
LEADING = 5  # exponents taken one by one
GIVEN = ("nothing", "early scores", "settings", "both")
LEVEL = 0.05  # of q


class PartialCorrelationFinding(NamedTuple):
    """Rows are statistics of the early spectrum, columns the controls: arrays (statistics, 4) unless stated otherwise.

    `rho` is the rank-partial correlation with the final outcome, [low, high] its 95 % interval over settings, `p` the p
    value of a rho of 0, `q` that adjusted for all rows and columns (Benjamini and Hochberg 1995); NaN if the controls
    leave too few settings, or nothing of a statistic. `controls` (4,) is the number of control columns.
    """

    rows: RowSummary
    statistics: tuple[str, ...]
    given: tuple[str, ...]
    controls: np.ndarray
    rho: np.ndarray
    low: np.ndarray
    high: np.ndarray
    p: np.ndarray
    q: np.ndarray


def find(
    table: Table,
    outcome: str,
    fraction: float = 0.1,
    *,
    map: str | None = None,
    scores: Sequence[str] | None = None,
    hunted: bool = False,
    resamples: int = MOST,
    seed: int = 0,
) -> PartialCorrelationFinding:
    """Compute rank-partial correlations of statistics of the early spectrum with the final outcome.

    rho = corr(e_x, e_y), e the residuals of rank(statistic) and rank(outcome) after linear regression on the ranks of
    the controls: nothing, the early scores, the settings (names as indicators), or both. Intervals and p leave out
    whole settings with all their seeds, as in `correlation.find`.

    Args:
        table: The trials of a sweep, with spectra at early records.
        outcome: A column, such as `measures/loss`. A lost trial takes the worst rank.
        fraction: Of training; spectra are those of the latest record at or before it.
        map: The map of the spectra; the closed loop or the first one by default.
        scores: Columns of early scores; the outcome and the loss by default.
        hunted: Accept the trials of a hunt.
        resamples: Settings are left out one by one, or in so many blocks if there are more.
        seed: Of the blocks.

    Returns:
        A `PartialCorrelationFinding`.

    Raises:
        HuntTableError: If the trials are those of a hunt and `hunted` is false.
        TooFew: With fewer than eight trials, or if no statistic varies.
        UnknownName: If a map or column does not exist.
        ValueError: If `fraction` is not in [0, 1).

    Example:
        >>> from lyapsweep.results.imported import from_frame
        >>> rng = np.random.default_rng(0)
        >>> frame = pd.DataFrame({"run": np.repeat(np.arange(30), 2), "epoch": [0, 9] * 30, "lr": 0.1})
        >>> frame["loss"] = frame["l1"] = np.repeat(rng.uniform(size=30), 2)
        >>> names = {"settings": "lr", "outcomes": "loss", "exponents": "l1", "trial": "run", "step": "epoch"}
        >>> found = find(from_frame(frame, **names), "measures/loss")
        >>> found.statistics[0], found.rho[0, 0].round(2)
        ('maximum', np.float64(1.0))
    """
    refuse_hunt(table, hunted)
    rows = early_records(table, outcome, fraction, map, scores)
    require(len(rows.values), SPARE, "trials with an early spectrum and an outcome")
    columns = statistics(rows)
    names = [name for name, values in columns.items() if varies(values)]
    require(len(names), 1, "statistics of the spectrum that vary")
    units, controls = rows.units, control_columns(rows)
    x, y = np.column_stack([columns[name] for name in names]), rows.values
    parts = [with_intervals(x, y, c, units, resamples, seed) for c in controls]
    rho, low, high, p = (np.column_stack(part) for part in zip(*parts, strict=True))
    known = ~np.isnan(p)
    q = np.full(p.shape, np.nan)
    q[known] = stats.false_discovery_control(p[known])
    return PartialCorrelationFinding(
        rows=rows.summary,
        statistics=tuple(names),
        given=GIVEN,
        controls=np.array([c.shape[1] for c in controls]),
        rho=rho,
        low=low,
        high=high,
        p=p,
        q=q,
    )


def statistics(rows: EarlyRecords) -> dict[str, np.ndarray]:
    """Each statistic (n,): the summaries, and the leading exponents after the first one."""
    ordered, _ = sorted_spectra(rows.spectra)
    leading = {f"exponent {i + 1}": ordered[:, i] for i in range(1, min(LEADING, ordered.shape[1]))}
    return {str(name): rows.statistics[name].to_numpy(float) for name in rows.statistics} | leading


def varies(values: np.ndarray) -> bool:
    """Whether a statistic is defined for every trial and differs from its most frequent value in five or more."""
    frequent = np.unique(values, return_counts=True)[1].max()
    return not np.isnan(values).any() and len(values) - frequent >= DIFFERENT


def control_columns(rows: EarlyRecords) -> list[np.ndarray]:
    """The controls (n, c) of each column of the finding."""
    scores, settings = as_numbers(rows.scores), as_numbers(rows.settings)
    return [np.empty((len(rows.values), 0)), scores, settings, np.column_stack([scores, settings])]


def as_numbers(frame: pd.DataFrame) -> np.ndarray:
    """Columns (n, c) to be ranked: numbers, the median for a missing one, and indicators of all names but one."""
    columns = [np.empty((len(frame), 0))]
    for name in frame:
        values = frame[name]
        if is_numeric(values):
            columns.append(values.fillna(values.median()).to_numpy(float)[:, None])
        else:
            columns.append(pd.get_dummies(values.astype(str), drop_first=True).to_numpy(float))
    return np.column_stack(columns)


def with_intervals(
    x: np.ndarray, y: np.ndarray, controls: np.ndarray, units: Units, resamples: int, seed: int
) -> RankCorrelation:
    """Correlations (statistics,) of every column of x (n, statistics) given `controls` (n, c), with interval and p."""
    c = controls.shape[1]
    if units.number < SPARE + c:
        return RankCorrelation(*(np.full(x.shape[1], np.nan),) * 4)
    x, controls = (np.array([units.comparable(column) for column in v.T]).reshape(v.T.shape).T for v in (x, controls))
    y, block = units.comparable(y), units.blocks(resamples, seed)
    rho = partial_correlations(x, y, controls)
    without = [block != b for b in range(block.max() + 1)]
    left = np.array([partial_correlations(x[kept], y[kept], controls[kept]) for kept in without])
    return jackknifed(rho, left, np.bincount(block), controls=c)


def partial_correlations(x: np.ndarray, y: np.ndarray, controls: np.ndarray) -> np.ndarray:
    """Rank-partial correlations (statistics,); NaN if the controls determine a rank completely."""
    ranks = stats.rankdata(np.column_stack([x, y, controls]), axis=0)
    ranks -= ranks.mean(0)
    k = x.shape[1] + 1
    whole, control = ranks[:, :k], ranks[:, k:]
    basis, size, _ = np.linalg.svd(control, full_matrices=False)
    basis = basis[:, size > 1e-9 * max(1.0, size.max(initial=0.0))]
    left = whole - basis @ (basis.T @ whole)
    norm = np.linalg.norm(left, axis=0)
    nothing = norm <= 1e-9 * np.maximum(1.0, np.linalg.norm(whole, axis=0))
    left = np.divide(left, norm, out=np.full_like(left, np.nan), where=~nothing)
    return left[:, :-1].T @ left[:, -1]


def sentence(finding: PartialCorrelationFinding) -> str:
    """State how many statistics are significant, alone and given all controls, and the strongest one."""
    rows, last = finding.rows, len(finding.given) - 1
    count = (finding.q < LEVEL).sum(0)
    alone = (
        f"{count[0]} of {len(finding.statistics)} statistics of the spectrum at {rows.moment} correlate with the final "
        f"{label(rows.outcome)} (q < {LEVEL})"
    )
    if np.isnan(finding.rho[:, last]).all():
        return f"{alone}; there are too few trials (n = {rows.count}) to control for settings and early scores."
    i = int(np.nanargmax(np.abs(finding.rho[:, last])))
    strongest = f"{finding.statistics[i]}, ρ = {decimals(finding.rho[i, last])} ({span(finding, i, last)})"
    n = f"n = {rows.count}"
    return f"{alone}; given settings and early scores, {count[last]} do. The strongest then: {strongest}; {n}."


def span(finding: PartialCorrelationFinding, i: int, j: int) -> str:
    """The interval of one correlation."""
    return decimal_interval(finding.low[i, j], finding.high[i, j])


def draw(finding: PartialCorrelationFinding) -> go.Figure:
    """Draw rho as a heatmap of statistics by controls, each with its interval, in bold if q < 0.05."""
    text = np.full(finding.rho.shape, "", dtype=object)
    for i, j in np.argwhere(~np.isnan(finding.rho)):
        rho = theme.bold(decimals(finding.rho[i, j]), finding.q[i, j] < LEVEL)
        text[i, j] = f"{rho}  ({span(finding, i, j)})"
    rows, columns = [theme.plain(s) for s in finding.statistics], [f"given {g}" for g in finding.given]
    fig = theme.correlation_matrix(rows, columns, finding.rho, text, "%{y}, %{x}", height=190 + 28 * len(rows))
    fig.update_xaxes(side="top")
    fig.update_layout(title=theme.headline(sentence(finding)), margin={"t": 110})
    return fig
