"""Which statistics of the spectrum correlate with which measures? Rank correlations with their intervals."""

import numpy as np
import plotly.graph_objects as go

from lyapsweep.analysis.shared import theme
from lyapsweep.analysis.shared.rank_correlation import MOST, CorrelationFinding, correlate
from lyapsweep.analysis.shared.rates import statistic
from lyapsweep.analysis.shared.selection import digits, ended_trials, label, refuse_hunt, require
from lyapsweep.results.table import ENDS, Table

BOUNDS = tuple(f"/{end}" for end in ENDS)


def find(
    table: Table, measures: list[str] | None = None, *, hunted: bool = False, resamples: int = MOST, seed: int = 0
) -> CorrelationFinding:
    """Compute Spearman's rank correlation of every spectrum statistic with every measure.

    rho = corr(rank(statistic), rank(measure)), ties at their mean rank, over the trials that ended. A lost trial
    (diverged or failed) with a spectrum takes the worst rank of the measure. An exponent of -inf takes the lowest rank.
    Of a Kaplan-Yorke dimension the middle of what the errors of the exponents allow is taken.
    Intervals and p leave out whole settings with all their seeds; of several data sets, or of fewer than eight
    settings, ranks are those within each (`units.Units`).

    Args:
        table: The trials of a sweep, with columns `spectra/<map>/<statistic>`.
        measures: Columns `measures/<name>`; all of them by default.
        hunted: Accept the trials of a hunt, which are biased toward success.
        resamples: Settings are left out one by one, or in so many blocks if there are more.
        seed: Of the blocks.

    Returns:
        A `CorrelationFinding` with one row per pair, strongest first.

    Raises:
        HuntTableError: If the trials are those of a hunt and `hunted` is false.
        TooFew: If no pair has eight trials with both, or none of these varies in both.
        UnknownName: If a column does not exist.

    Example:
        >>> import numpy as np, pandas as pd
        >>> from lyapsweep.results.table import Table
        >>> x = np.linspace(-1, 1, 9)
        >>> frame = pd.DataFrame({"trial": [*"abcdefghi"], "step": 10, "outcome": "finished", "final": True})
        >>> table = Table(frame.assign(**{"spectra/driven/maximum": x, "measures/loss": x**3}))
        >>> found = find(table)
        >>> found.statistics, found.measures, found.rho.round(3)
        (('spectra/driven/maximum',), ('measures/loss',), array([1.]))
    """
    refuse_hunt(table, hunted)
    columns = [str(c) for c in table.frame.columns]
    measures = measures or [c for c in columns if c.startswith("measures/")]
    judged = {m: ended_trials(table, m) for m in measures}
    require(len(judged), 1, "columns measures/<name>")
    rows = next(iter(judged.values())).table  # the same trials for every measure
    statistics = {c: statistic(rows, c) for c in columns if c.startswith("spectra/") and not c.endswith(BOUNDS)}
    return correlate(statistics, judged, resamples, seed, hunted)


def draw(finding: CorrelationFinding) -> go.Figure:
    """Draw rho as a heatmap of statistics by measures, in bold where the interval excludes 0."""
    statistics, measures = list(dict.fromkeys(finding.statistics)), list(dict.fromkeys(finding.measures))
    rho = np.full((len(statistics), len(measures)), np.nan)
    text = np.full(rho.shape, "", dtype=object)
    for k, (name, measure) in enumerate(zip(finding.statistics, finding.measures, strict=True)):
        cell = statistics.index(name), measures.index(measure)
        rho[cell] = finding.rho[k]
        text[cell] = theme.bold(digits(finding.rho[k]), finding.low[k] > 0 or finding.high[k] < 0)
    rows, columns = [theme.plain(label(s)) for s in statistics], [theme.plain(label(m)) for m in measures]
    fig = theme.correlation_matrix(rows, columns, rho, text, "%{y} with %{x}", height=230 + 30 * len(statistics))
    fig.update_xaxes(tickangle=-35)
    return fig
