"""How does a value depend on one swept setting? One curve per group, all seeds, and the lost trials above."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import plotly.graph_objects as go

from lyapsweep.analysis.shared import theme
from lyapsweep.analysis.shared.axis import places, wide
from lyapsweep.analysis.shared.rates import is_rate, step_times, timed, unit
from lyapsweep.analysis.shared.selection import (
    Direction,
    EndedTrials,
    digits,
    direction,
    distinct,
    ended_trials,
    is_measure,
    label,
    named,
    numbers,
    require,
)
from lyapsweep.analysis.shared.units import UnitCount, Units
from lyapsweep.results.floors import floor_intervals, floor_of, seed_interval
from lyapsweep.results.table import Table

DODGE, DODGE_NAMES = 0.012, 0.12  # distance of neighbouring groups: of the axis, of the distance of two names


class SettingCurveFinding(NamedTuple):
    """A value against a setting. Arrays (groups, points) unless stated otherwise; NaN where a group has no trial.

    `median` counts lost trials as the worst, and is infinite if half of them were lost; `mean`, `low` and `high`
    (quartiles) are over the finished trials.
    """

    axis: str
    column: str
    direction: Direction
    groups: tuple[str, ...]
    points: np.ndarray  # (points,)
    labels: tuple[str, ...]
    median: np.ndarray
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray
    count: np.ndarray  # trials that ended, lost ones included
    settings: np.ndarray  # different ones among these trials
    lost: np.ndarray
    seed_group: np.ndarray  # (finished trials,)
    seed_point: np.ndarray
    seed_value: np.ndarray
    floor: float  # median floor of the measure, NaN without one
    floor_interval: tuple[float, float]  # within which independent samples of the truth score, NaN without a floor
    verticals: tuple[tuple[str, float], ...]  # known values on the axis, such as the predictability time
    horizontals: tuple[tuple[str, float], ...]
    numeric: bool
    binned: bool
    log_axis: bool
    log_value: bool
    unit: str = ""  # of rates

    def sample(self, group: int, point: int) -> UnitCount:
        """The number of settings and runs of a group at a place."""
        return UnitCount(int(self.settings[group, point]), int(self.count[group, point]))


def find(table: Table, axis: str, column: str, group: str | Sequence[str] = "cell/kind") -> SettingCurveFinding:
    """Summarise a column at every value of a setting, for each group.

    Args:
        table: The trials of a sweep.
        axis: A setting, numbers or names; more than 24 numbers are binned.
        column: A measure or an exponent. A lost trial has the worst value of a measure.
        group: One curve per value of this column, or per combination of values of several.

    Returns:
        A `SettingCurveFinding`.

    Raises:
        TooFew: With fewer than two values on the axis, or without a finite value.
        UnknownName: If a column does not exist.

    Example:
        >>> import pandas as pd
        >>> frame = pd.DataFrame({"trial": [*"abcd"], "step": 9, "outcome": "finished", "final": True, "cell": "gru"})
        >>> table = Table(frame.assign(**{"lr": [1, 1, 2, 2], "measures/loss": [0.1, 0.3, 0.4, 0.6]}))
        >>> find(table, "lr", "measures/loss", "cell").median
        array([[0.2, 0.5]])
    """
    trials = ended_trials(table, column)
    if is_rate(column):
        trials = trials._replace(values=trials.values / step_times(trials.table))
    where = places(trials.table.column(axis))
    require(len(where.centres), 2, f"values of {axis}")
    of = named(trials.table, group)
    groups = tuple(sorted(set(of)))
    setting = Units.of(trials.table).setting
    cells = [
        [summarise(trials, setting, (of == g) & (where.index == i)) for i in range(len(where.centres))] for g in groups
    ]
    median, mean, low, high, count, settings, lost = np.moveaxis(np.array(cells, float), -1, 0)
    shown = np.isfinite(trials.values) & (where.index >= 0)
    require(int(shown.sum()), 1, f"trials with a finite {column}")
    floor = median_floor(table, column)
    return SettingCurveFinding(
        axis=axis,
        column=column,
        direction=direction(table, column),
        groups=groups,
        points=where.centres,
        labels=where.labels,
        median=median,
        mean=mean,
        low=low,
        high=high,
        count=count,
        settings=settings,
        lost=lost,
        seed_group=np.array([groups.index(g) for g in of[shown]], int),
        seed_point=(numbers(trials.table, axis) if where.numeric else where.centres[where.index])[shown],
        seed_value=trials.values[shown],
        floor=floor,
        floor_interval=floor_of(floor_intervals(trials.table, column)) if np.isfinite(floor) else (np.nan, np.nan),
        verticals=axis_references(table, axis),
        horizontals=value_references(table, column),
        numeric=where.numeric,
        binned=where.binned,
        log_axis=where.log,
        log_value=wide(trials.values) and not column.startswith("spectra/"),
        unit=unit(trials.table) if is_rate(column) else "",
    )


def summarise(trials: EndedTrials, setting: np.ndarray, rows: np.ndarray) -> tuple[float, ...]:
    """(median, mean, lower and upper quartile, count, settings, lost) of trials."""
    values = trials.values[rows]
    values = values[~np.isnan(values)]
    finite = values[np.isfinite(values)]
    with np.errstate(invalid="ignore"):
        median = float(np.median(values)) if values.size else np.nan
    counts = int(rows.sum()), len(np.unique(setting[rows])), int(trials.lost[rows].sum())
    if not finite.size:
        return median, np.nan, np.nan, np.nan, *counts
    return median, finite.mean(), *seed_interval(finite), *counts


def median_floor(table: Table, column: str) -> float:
    """Median floor of a measure, the score of an independent sample of the truth; NaN if data sets differ in it."""
    floors = column.replace("measures/", "floors/", 1)
    if not is_measure(column) or floors not in table.frame:
        return np.nan
    values = numbers(table.finals, floors)
    values = values[np.isfinite(values)]
    return float(np.median(values)) if values.size and np.ptp(values) <= 0.2 * np.median(values) else np.nan


def axis_references(table: Table, axis: str) -> tuple[tuple[str, float], ...]:
    """The predictability time ln 2 / lambda_max of the data if the axis is a forcing interval (in steps)."""
    if axis != "forcing/interval":
        return ()
    return tuple((f"ln 2 / λ_max = {digits(v)} steps", v) for v in distinct(table, "data/predictability_time"))


def value_references(table: Table, column: str) -> tuple[tuple[str, float], ...]:
    """The largest exponent of the data if the column is a network's."""
    if not (column.startswith("spectra/") and column.endswith("/maximum")):
        return ()
    per = distinct(table, "data/dt") if timed(table) else [1.0]
    values = distinct(table, "data/lambda_max") if len(per) == 1 else []
    return tuple((f"λ_max of the data = {digits(v / per[0])}", v / per[0]) for v in values)


def draw(finding: SettingCurveFinding) -> go.Figure:
    """Draw medians with their spread, every seed as a dot, and lost trials as crosses in a strip above."""
    fig = theme.figure(460)
    for g, name in enumerate(finding.groups):
        draw_group(fig, finding, g, theme.plain(name))
    for text, x in finding.verticals:
        theme.vertical_line(fig, x, text, finding.log_axis, left=position(finding, x) > 0.5)
    for text, y in finding.horizontals:
        theme.horizontal_line(fig, y, text, finding.log_value, below=True)
    if np.isfinite(finding.floor) and not (finding.log_value and finding.floor <= 0):
        theme.horizontal_line(fig, finding.floor, f"floor {digits(finding.floor)}", finding.log_value)
    labelled = not finding.numeric or (len(finding.points) <= 12 and not finding.binned)
    ticks = {"tickvals": finding.points, "ticktext": [theme.plain(t) for t in finding.labels]} if labelled else {}
    scale = {True: "log", False: "linear"}
    fig.update_xaxes(title=theme.plain(finding.axis), type=scale[finding.log_axis], autotickangles=[0, 90], **ticks)
    domain = [0, 0.88 if finding.lost.any() else 1]
    title = label(finding.column) + (f" ({finding.unit})" if finding.unit else "")
    fig.update_yaxes(title=theme.plain(title), type=scale[finding.log_value], domain=domain)
    if finding.log_value:
        fig.update_yaxes(exponentformat="none", dtick=1, minor={"ticks": "outside", "ticklen": 2})
    if finding.lost.any():
        draw_lost(fig, finding)
    return fig


def position(finding: SettingCurveFinding, x: float) -> float:
    """The position of a value on the axis: 0 at the first point, 1 at the last."""
    scale = np.log if finding.log_axis else np.asarray
    first, last = scale(finding.points[0]), scale(finding.points[-1])
    return float((scale(x) - first) / (last - first))


def draw_group(fig: go.Figure, finding: SettingCurveFinding, g: int, name: str) -> None:
    """The median, its spread and the seeds of one group."""
    colour, seeds = theme.colour(g), finding.seed_group == g
    beside = dodged(finding, g)
    median, shown = finding.median[g], np.isfinite(finding.median[g])
    fig.add_scatter(
        x=beside(finding.seed_point[seeds]),
        customdata=finding.seed_point[seeds],
        y=finding.seed_value[seeds],
        mode="markers",
        marker={"color": colour, "size": 5, "opacity": 0.45, "symbol": theme.symbol(g)},
        legendgroup=name,
        showlegend=False,
        hovertemplate=f"{name}, one trial<br>%{{customdata}}: %{{y:.3g}}<extra></extra>",
    )
    fig.add_scatter(
        x=beside(finding.points[shown]),
        y=median[shown],
        error_y=theme.error_bars(median[shown], finding.low[g][shown], finding.high[g][shown], color=colour, width=3),
        mode="lines+markers" if finding.numeric else "markers",
        name=name,
        legendgroup=name,
        line={"color": colour, "width": 2, "dash": theme.dash(g)},
        marker={"color": colour, "size": 8, "symbol": theme.symbol(g)},
        customdata=np.stack(
            [finding.count[g], finding.low[g], finding.high[g], finding.lost[g], finding.settings[g], finding.points], 1
        )[shown],
        hovertemplate=f"{name}<br>%{{customdata[5]}}: median %{{y:.3g}}<br>%{{customdata[1]:.3g}} to "
        "%{customdata[2]:.3g}, "
        "settings %{customdata[4]:.0f}, runs %{customdata[0]:.0f}, lost %{customdata[3]:.0f}<extra></extra>",
    )


def dodged(finding: SettingCurveFinding, g: int) -> Callable[[np.ndarray], np.ndarray]:
    """Places of one group on the axis, beside those of the other groups, so that their bars do not overprint."""
    shift, points = g - (len(finding.groups) - 1) / 2, finding.points
    if not finding.numeric:
        return lambda x: x + DODGE_NAMES * shift
    if finding.log_axis:
        factor = float(points[-1] / points[0]) ** (DODGE * shift)
        return lambda x: x * factor
    return lambda x: x + DODGE * shift * float(points[-1] - points[0])


def draw_lost(fig: go.Figure, finding: SettingCurveFinding) -> None:
    """A strip above the plot with one row per group: a cross where trials were lost, and their number."""
    g, i = np.nonzero(finding.lost)
    fig.add_scatter(
        x=finding.points[i],
        y=g,
        yaxis="y2",
        mode="markers+text",
        marker={"symbol": "x-thin", "size": 8, "line": {"width": 2, "color": [theme.colour(int(k)) for k in g]}},
        text=[f"{digits(finding.lost[a, b])}/{digits(finding.count[a, b])}" for a, b in zip(g, i, strict=True)],
        textposition="middle right",
        textfont={"size": 10.5},
        cliponaxis=False,
        showlegend=False,
        hovertemplate="%{text} lost<extra></extra>",
    )
    rows = len(finding.groups)
    fig.update_layout(
        yaxis2={
            "domain": [0.91, 1],
            "range": [rows - 0.5, -0.5],
            "tickvals": [(rows - 1) / 2],
            "ticktext": ["lost"],
            "showgrid": False,
            "zeroline": False,
            "showline": False,
        }
    )
