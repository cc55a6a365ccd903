"""Does an early spectrum go with the final outcome beyond what is known anyway? Rank-partial correlations."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from scipy import stats

from lyapsweep.analysis.prediction.early_records import Early, Seen, early, seen
from lyapsweep.analysis.shared import theme
from lyapsweep.analysis.shared.selection import label, require
from lyapsweep.analysis.shared.spectrum_features import held
from lyapsweep.analysis.spectra.correlation import refuse
from lyapsweep.results.table import Table

SPARE = 8  # trials beyond the number of controls below which an interval says nothing
APART = 5  # trials that differ, below which resamples hold too few of them
LEADING = 5  # exponents that are asked one by one
GIVEN = ("nothing", "early scores", "settings", "both")


class PartialCorrelationFinding(NamedTuple):
    """Rows are statistics of the early spectrum, columns what is given: arrays (statistics, 4) unless said otherwise.

    `rho` is the rank-partial correlation with the final outcome (positive: the greater the statistic, the greater the
    outcome), [low, high] its 95 % bootstrap interval over trials, `p` that of rho under independence, `q` p adjusted
    for all rows and columns (Benjamini and Hochberg 1995); NaN where the controls leave too few trials, or nothing of a
    statistic. `controls` (4,) counts the numbers given.
    """

    rows: Seen
    statistics: tuple[str, ...]
    given: tuple[str, ...]
    controls: np.ndarray
    rho: np.ndarray
    low: np.ndarray
    high: np.ndarray
    p: np.ndarray
    q: np.ndarray
    resamples: int


def find(
    table: Table,
    outcome: str,
    fraction: float = 0.1,
    *,
    map: str | None = None,
    scores: Sequence[str] | None = None,
    hunted: bool = False,
    resamples: int = 1000,
    seed: int = 0,
) -> PartialCorrelationFinding:
    """Rank-partial correlations of each statistic of the early spectrum with the final outcome.

    rho = corr(e_x, e_y), e the residuals of rank(statistic) and rank(outcome) after linear regression on the ranks of
    what is given: nothing, the early scores, the settings (names as indicators), or both. A trial lost later takes the
    worst rank. In each resample of trials ranks and residuals are taken anew. p is from t = rho sqrt(d / (1 - rho^2))
    with d = n - 2 - controls degrees of freedom.

    Raises `Hunted` for the trials of a hunt unless `hunted=True`, `TooFew` with less than eight trials or where no
    statistic varies, `UnknownName` and `ValueError` as `foresight.early` does.
    """
    refuse(table, hunted)
    rows = early(table, outcome, fraction, map, scores)
    require(len(rows.values), SPARE, "trials with an early spectrum and an outcome")
    made = statistics(rows)
    names = [name for name, values in made.items() if varies(values)]
    require(len(names), 1, "statistics of the spectrum that vary")
    x, y = np.column_stack([made[name] for name in names]), rows.values
    blocks = given(rows)
    parts = [table_of(x, y, controls, resamples, seed) for controls in blocks]
    rho, low, high, p = (np.column_stack(part) for part in zip(*parts, strict=True))
    known = ~np.isnan(p)
    q = np.full(p.shape, np.nan)
    q[known] = stats.false_discovery_control(p[known])
    return PartialCorrelationFinding(
        rows=seen(rows),
        statistics=tuple(names),
        given=GIVEN,
        controls=np.array([c.shape[1] for c in blocks]),
        rho=rho,
        low=low,
        high=high,
        p=p,
        q=q,
        resamples=resamples,
    )


def statistics(rows: Early) -> dict[str, np.ndarray]:
    """Each statistic (n,): the summaries, and the leading exponents after the first."""
    ordered, _ = held(rows.spectra)
    leading = {f"exponent {i + 1}": ordered[:, i] for i in range(1, min(LEADING, ordered.shape[1]))}
    return {str(name): rows.statistics[name].to_numpy(float) for name in rows.statistics} | leading


def varies(values: np.ndarray) -> bool:
    """Whether a statistic is defined for every trial and differs from its commonest value in five or more."""
    commonest = np.unique(values, return_counts=True)[1].max()
    return not np.isnan(values).any() and len(values) - commonest >= APART


def given(rows: Early) -> list[np.ndarray]:
    """The controls (n, c) of each column of the finding."""
    scores, settings = numeric(rows.scores), numeric(rows.settings)
    return [np.empty((len(rows.values), 0)), scores, settings, np.column_stack([scores, settings])]


def numeric(frame: pd.DataFrame) -> np.ndarray:
    """Columns (n, c) to be ranked: numbers as they are, the median where one is missing; a name as an indicator each,
    but one."""
    columns = []
    for name in frame:
        values = frame[name]
        if pd.api.types.is_numeric_dtype(values.dtype) and not pd.api.types.is_bool_dtype(values.dtype):
            columns.append(values.fillna(values.median()).to_numpy(float)[:, None])
        else:
            columns.append(pd.get_dummies(values.astype(str), drop_first=True).to_numpy(float))
    return np.column_stack(columns) if columns else np.empty((len(frame), 0))


def table_of(x: np.ndarray, y: np.ndarray, controls: np.ndarray, resamples: int, seed: int) -> tuple:
    """(rho, low, high, p), each (statistics,), of every column of x (n, statistics) given `controls` (n, c)."""
    n, c = controls.shape
    if n < SPARE + c:
        return (np.full(x.shape[1], np.nan),) * 4
    rho = partial(x, y, controls)
    generator = np.random.default_rng(seed)
    drawn = np.array([partial(x[i], y[i], controls[i]) for i in generator.integers(n, size=(resamples, n))])
    low, high = np.full((2, x.shape[1]), np.nan)
    some = ~np.isnan(rho) & ~np.isnan(drawn).all(0)
    low[some], high[some] = np.nanpercentile(drawn[:, some], (2.5, 97.5), axis=0)
    spare = n - 2 - c
    with np.errstate(divide="ignore"):
        p = 2 * stats.t.sf(np.abs(rho) * np.sqrt(spare / np.maximum(1 - rho**2, 0)), spare)
    return rho, low, high, p


def partial(x: np.ndarray, y: np.ndarray, controls: np.ndarray) -> np.ndarray:
    """Rank-partial correlations (statistics,); NaN where the controls leave nothing of a rank."""
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
    """How many statistics go with the outcome by themselves, how many beyond what is known, and the strongest."""
    rows = finding.rows
    firm = [int((finding.q[:, j] < 0.05).sum()) for j in range(len(finding.given))]
    of = len(finding.statistics)
    outcome = label(rows.outcome)
    alone = f"{firm[0]} of {of} statistics of the spectrum at {rows.moment} go with the final {outcome} (q < 0.05)"
    j = len(finding.given) - 1
    if np.isnan(finding.rho[:, j]).all():
        return f"{alone}; there are too few trials (n = {rows.n}) to ask what they add to settings and early scores."
    i = int(np.nanargmax(np.abs(finding.rho[:, j])))
    strongest = f"{finding.statistics[i]}, ρ = {two(finding.rho[i, j])} ({span(finding, i, j)})"
    return f"{alone}; given settings and early scores, {firm[j]} do. The strongest then: {strongest}; n = {rows.n}."


def span(finding: PartialCorrelationFinding, i: int, j: int) -> str:
    return f"{two(finding.low[i, j])} to {two(finding.high[i, j])}"


def two(value: float | np.ndarray) -> str:
    """A correlation to two decimals."""
    return f"{float(value):.2f}".replace("-", "−")


def draw(finding: PartialCorrelationFinding) -> go.Figure:
    """rho by colour, statistics down and what is given across, each with its interval; bold where q < 0.05."""
    text = np.full(finding.rho.shape, "", dtype=object)
    for i, j in np.argwhere(~np.isnan(finding.rho)):
        rho = two(finding.rho[i, j])
        rho = f"<b>{rho}</b>" if finding.q[i, j] < 0.05 else rho
        text[i, j] = f"{rho}  ({span(finding, i, j)})"
    rows, columns = [theme.plain(s) for s in finding.statistics], [f"given {g}" for g in finding.given]
    fig = theme.correlations(rows, columns, finding.rho, text, "%{y}, %{x}", height=190 + 28 * len(rows))
    fig.update_xaxes(side="top")
    fig.update_layout(title=theme.headline(sentence(finding)), margin={"t": 110})
    return fig
