"""Which networks learn sooner? Kaplan-Meier curves, log-rank test, proportional hazards of the time to a threshold."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots
from scipy import stats

from lyapsweep.analysis.prediction.cross_validation import scaled_ranks
from lyapsweep.analysis.prediction.hazard import EVENTS, HazardRatios, hazard_alone, hazard_joint
from lyapsweep.analysis.prediction.incidence import curves, log_rank
from lyapsweep.analysis.prediction.time_to_event import event_times
from lyapsweep.analysis.shared import theme
from lyapsweep.analysis.shared.axis import is_numeric
from lyapsweep.analysis.shared.early_records import chosen_map
from lyapsweep.analysis.shared.rates import in_unit, is_rate, statistic, unit
from lyapsweep.analysis.shared.selection import digits, interval, label, refuse_hunt, require
from lyapsweep.analysis.shared.units import UnitCount, Units
from lyapsweep.results.table import Table

NEED = 20  # fewest trials
LEVEL = 0.05  # p below which hazards are not proportional
STATISTICS = ("maximum", "mean", "kaplan_yorke")
MEASURED = ("spectra/", "measures/")


class SurvivalFinding(NamedTuple):
    """Shares that reached the threshold, by step, and hazard ratios: arrays (groups, steps) and (groups,).

    `share` = 1 - S at `steps` with the pointwise 95 % band `low` to `high` (log-log), NaN after a group's last trial;
    `median` is the step at which half of a group reached the threshold, with its interval, inf if it did not. `p` is
    that of the log-rank test of all groups, whose labels are permuted between the settings of `count`. `hazard` is the
    factor of the rate of reaching the threshold per standard deviation of a covariate's ranks, each covariate in a
    model of its own; `joint` that of all covariates in one model. Predictors are from the first records, at step `at`
    or before; `early` trials had reached the threshold by then and are left out, as are `without` trials that lack a
    value or a predictor.
    """

    event: str
    by: str
    groups: tuple[str, ...]
    steps: np.ndarray
    share: np.ndarray
    low: np.ndarray
    high: np.ndarray
    median: np.ndarray
    median_low: np.ndarray
    median_high: np.ndarray
    n: np.ndarray
    reached: np.ndarray
    lost: np.ndarray
    p: float
    count: UnitCount
    covariates: tuple[str, ...]
    hazard: HazardRatios
    joint: HazardRatios
    at: int
    early: int
    without: int
    unit: str = ""  # of `by` where that is a rate


def find(
    table: Table,
    column: str = "measures/loss",
    threshold: float | None = None,
    *,
    by: str | None = None,
    groups: int = 3,
    covariates: Sequence[str] | None = None,
    hunted: bool = False,
) -> SurvivalFinding:
    """Analyse the time until `column` is at `threshold` or better, by groups and by covariates.

    Trials are censored as in `time_to_event.event_times`. Bands, p values and intervals take settings with all their
    seeds as independent; of fewer than eight settings, spectra are compared within each.

    Args:
        table: The trials of a sweep, with a record at every report.
        column: A measure, such as `measures/loss`, or `measures/time_to_threshold`.
        threshold: None for the median of the final values.
        by: The column of the groups; the largest exponent by default.
        groups: Quantile groups, if the column is numeric with more values than this.
        covariates: Columns of the proportional hazards models; statistics of the spectrum by default.
        hunted: Accept the trials of a hunt, whose scheduler stops bad trials.

    Returns:
        A `SurvivalFinding`.

    Raises:
        HuntTableError: If the trials are those of a hunt and `hunted` is false.
        TooFew: With fewer than 20 trials, two groups, or five trials that reached the threshold.
        UnknownName: If a map or column does not exist.

    Example:
        >>> frame = pd.DataFrame({"trial": np.repeat(np.arange(24), 3), "step": [0, 5, 9] * 24, "outcome": "finished"})
        >>> frame["final"], frame["gain"] = frame["step"] == 9, frame["trial"] % 2
        >>> frame["measures/loss"] = 1 - 0.1 * frame["step"] * (0.5 + frame["gain"])
        >>> found = find(Table(frame), threshold=0.5, by="gain", covariates=[])
        >>> found.groups, found.median
        (('0', '1'), array([inf,  5.]))
    """
    refuse_hunt(table, hunted)
    by = by or f"spectra/{chosen_map(table, None)}/maximum"
    times = event_times(table, column, threshold)
    names = tuple(covariates) if covariates is not None else spectrum_statistics(table, by)
    used = list(dict.fromkeys([by, *names]))
    first = table.take(times.first)
    at = int(first.frame["step"].max()) if any(name.startswith(MEASURED) for name in used) else 0
    known = np.array([first.column(name).notna() for name in used]).all(0)
    later = times.time > at
    kept, without = known & later, int((~known).sum()) + times.without
    require(int(kept.sum()), NEED, f"trials with {by} that reached the threshold after step {at} or not at all")
    require(int(times.reached[kept].sum()), EVENTS, f"trials that reached {times.event}")
    chosen, times = first.take(kept), times.take(kept)
    index, labels = grouped(chosen, by, groups)
    require(len(labels), 2, f"groups of {by}")
    units = Units.of(chosen)
    x = np.array([unit_ranks(statistic(chosen, name)) for name in names]).reshape(len(names), len(chosen))
    return SurvivalFinding(
        event=times.event,
        by=by,
        groups=labels,
        **curves(times, index, len(labels), units),
        p=log_rank(times, index, compared(units, [by])),
        count=units.count,
        covariates=names,
        hazard=hazard_alone(times, x, compared(units, names)),
        joint=hazard_joint(times, x, compared(units, names)),
        at=at,
        early=int((known & ~later).sum()),
        without=without,
        unit=unit(chosen) if is_rate(by) else "",
    )


def compared(units: Units, names: Sequence[str]) -> Units:
    """The units between which these columns are compared: settings are so across all settings of a data set."""
    measured = all(name.startswith(MEASURED) for name in names)
    return units if measured else units._replace(stratum=units.source)


def spectrum_statistics(table: Table, by: str) -> tuple[str, ...]:
    """A few statistics of the spectrum of `by`, or of the default map."""
    map = by.rpartition("/")[0] if by.startswith("spectra/") else f"spectra/{chosen_map(table, None)}"
    return tuple(name for s in STATISTICS if (name := f"{map}/{s}") in table.frame)


def unit_ranks(values: np.ndarray) -> np.ndarray:
    """Ranks of unit variance; exponents of -inf are the lowest."""
    return np.sqrt(3) * scaled_ranks(values, values)


def grouped(table: Table, by: str, groups: int) -> tuple[np.ndarray, tuple[str, ...]]:
    """(index of each trial's group, labels): the values of a column, or `groups` quantile groups of more numbers."""
    column = table.column(by)
    if not is_numeric(column) or column.nunique() <= groups:
        index, values = pd.factorize(column if is_numeric(column) else column.astype(str), sort=True)
        return index, tuple(map(str, values))
    values = in_unit(table, by)
    index = np.minimum((groups * (stats.rankdata(values) - 0.5) / len(values)).astype(int), groups - 1)
    used = np.unique(index)
    labels = [f"{digits(values[index == g].min())} to {digits(values[index == g].max())}" for g in used]
    return np.searchsorted(used, index), tuple(labels)


def sentence(finding: SurvivalFinding) -> str:
    """State the medians of the groups, the log-rank test, and the strongest covariate."""
    rows = zip(finding.groups, finding.median, finding.median_low, finding.median_high, strict=True)
    medians = "; ".join(f"{name}: {interval(*row)}" for name, *row in rows)
    lost = f"; {finding.lost.sum()} were lost before and never will" if finding.lost.sum() else ""
    when = f" at step {finding.at}" if finding.by.startswith(MEASURED) else ""
    words = (
        f"Of {finding.count}, {finding.reached.sum()} runs reached {finding.event}{lost}. Median steps by "
        f"{grouping(finding)}{when}: {medians} (95 % intervals; log-rank p = {digits(finding.p)})."
    )
    hazard = finding.hazard
    known = np.flatnonzero(np.isfinite(hazard.ratio))
    if not known.size:
        return words
    c = known[np.argmin(hazard.p[known])]
    varies = "; the ratio changes with time" if hazard.proportional[c] < LEVEL else ""
    return (
        f"{words} Of {len(finding.covariates)} covariates {label(finding.covariates[c])} is the most significant: one "
        f"standard deviation of its ranks multiplies the rate of reaching the threshold by "
        f"{interval(hazard.ratio[c], hazard.low[c], hazard.high[c])}{varies}."
    )


def grouping(finding: SurvivalFinding) -> str:
    """The name of the column that makes the groups, that of a rate with its unit."""
    return label(finding.by) + (f" ({finding.unit})" if finding.unit else "")


def draw(finding: SurvivalFinding) -> go.Figure:
    """Draw the share of each group with its band (left), and hazard ratios, filled alone, open joint (right)."""
    fig = make_subplots(rows=1, cols=2, column_widths=[0.64, 0.36], horizontal_spacing=0.2)
    fig.update_layout(theme.figure(460).layout)
    for g, name in enumerate(finding.groups):
        seen = np.isfinite(finding.share[g])
        step, line = finding.steps[seen], {"color": theme.colour(g), "width": 2, "shape": "hv"}
        bounds = {"mode": "lines", "line": {"width": 0, "shape": "hv"}, "showlegend": False, "hoverinfo": "skip"}
        fig.add_scatter(x=step, y=finding.low[g, seen], **bounds)
        tint = f"rgba{(*(int(theme.colour(g)[i : i + 2], 16) for i in (1, 3, 5)), 0.14)}"
        fig.add_scatter(x=step, y=finding.high[g, seen], fill="tonexty", fillcolor=tint, **bounds)
        named = f"{theme.plain(name)} ({finding.reached[g]} of {finding.n[g]})"
        hover = f"{named}<br>step %{{x}}: %{{y:.2f}}<extra></extra>"
        fig.add_scatter(x=step, y=finding.share[g, seen], mode="lines", line=line, name=named, hovertemplate=hover)
    draw_hazards(fig, finding)
    fig.update_xaxes(title="step", row=1, col=1)
    fig.update_yaxes(title=f"share with {theme.plain(finding.event)}", range=[0, 1.02], row=1, col=1)
    fig.update_layout(legend_traceorder="normal")
    return theme.frame(fig)


def draw_hazards(fig: go.Figure, finding: SurvivalFinding) -> None:
    """One row per covariate, on a logarithmic axis around a ratio of 1."""
    rows = np.arange(len(finding.covariates))
    for kind, y, hazard in (("alone", rows - 0.1, finding.hazard), ("jointly", rows + 0.1, finding.joint)):
        fig.add_scatter(
            x=hazard.ratio,
            y=y,
            error_x=theme.error_bars(hazard.ratio, hazard.low, hazard.high),
            mode="markers",
            marker={"size": 10, "color": "black", "symbol": "circle" if kind == "alone" else "circle-open"},
            name=f"ratio {kind}",
            hovertemplate=f"{kind}: %{{x:.2f}}<extra></extra>",
            row=1,
            col=2,
        )
    dashed = {"color": theme.GREY, "width": 1.2, "dash": "dash"}
    fig.add_shape(type="line", x0=1, x1=1, y0=0, y1=1, xref="x2", yref="y2 domain", line=dashed)
    names = [theme.plain(label(name)) for name in finding.covariates]
    fig.update_yaxes(tickvals=rows, ticktext=names, range=[len(rows) - 0.5, -0.5], row=1, col=2)
    fig.update_xaxes(title="hazard ratio", type="log", row=1, col=2)
