"""Where in the plane of two swept settings is a number good? The median over everything else, lost places crossed."""

from typing import NamedTuple

import numpy as np
import plotly.graph_objects as go

from lyapsweep.analysis.settings.axis import places, wide
from lyapsweep.analysis.shared import theme
from lyapsweep.analysis.shared.selection import Direction, TooFew, digits, direction, judged, label, require
from lyapsweep.results.table import Table

MOST = 16


class HeatmapFinding(NamedTuple):
    """Arrays (y, x): `median` counts lost trials as the worst; NaN where there was no trial or half of them were lost.

    `count` are the trials that ended, the `lost` among them.
    """

    x: str
    y: str
    column: str
    direction: Direction
    x_labels: tuple[str, ...]
    y_labels: tuple[str, ...]
    median: np.ndarray
    count: np.ndarray
    lost: np.ndarray
    log_value: bool


def find(table: Table, x: str, y: str, column: str) -> HeatmapFinding:
    """Summarise `column` over the plane of settings `x` and `y`, numbers or names.

    Raises `UnknownName` for a column that is not there, `TooFew` where an axis has less than two places or no trial
    of the plane has a value.
    """
    trials = judged(table, column)
    across, along = (places(trials.table.column(axis), MOST) for axis in (x, y))
    for axis, where in ((x, across), (y, along)):
        require(len(where.centres), 2, f"values of {axis}")
    shape = len(along.centres), len(across.centres)
    median, count, lost = np.full(shape, np.nan), np.zeros(shape), np.zeros(shape)
    for i, j in np.ndindex(shape):
        rows = (along.index == i) & (across.index == j)
        values = trials.values[rows]
        values = values[~np.isnan(values)]
        count[i, j], lost[i, j] = rows.sum(), trials.lost[rows].sum()
        middle = np.median(values) if values.size else np.nan
        median[i, j] = middle if np.isfinite(middle) else np.nan
    if np.isnan(median).all():
        raise TooFew(f"No place of {x} and {y} has a finite {column}.")
    return HeatmapFinding(
        x=x,
        y=y,
        column=column,
        direction=direction(table, column),
        x_labels=across.labels,
        y_labels=along.labels,
        median=median,
        count=count,
        lost=lost,
        log_value=wide(median),
    )


def draw(finding: HeatmapFinding) -> go.Figure:
    """Colour is the median (dark is worse); white has no trial; grey with a cross lost half of its trials or more."""
    fig = theme.figure(max(320, 120 + 34 * len(finding.y_labels)), legend=False)
    x, y = np.arange(len(finding.x_labels)), np.arange(len(finding.y_labels))  # places, evenly spaced
    dead = np.isnan(finding.median) & (finding.lost > 0)
    grey = [[0, "#d0d0d0"], [1, "#d0d0d0"]]
    fig.add_heatmap(
        x=x, y=y, z=np.where(dead, 1.0, np.nan), colorscale=grey, showscale=False, hoverinfo="skip", xgap=1, ygap=1
    )
    z = np.log10(finding.median) if finding.log_value else finding.median
    fig.add_heatmap(
        x=x,
        y=y,
        z=z,
        customdata=np.stack([finding.median, finding.count, finding.lost], -1),
        hovertemplate="median %{customdata[0]:.3g}<br>"
        "n = %{customdata[1]:.0f}, lost %{customdata[2]:.0f}<extra></extra>",
        colorscale=theme.SCALE,
        reversescale=finding.direction == "minimise",
        colorbar={
            "title": {"text": theme.plain(label(finding.column)), "side": "right"},
            "thickness": 14,
            **decades(finding.median, finding.log_value),
        },
        xgap=1,
        ygap=1,
    )
    for a, b in zip(*np.nonzero(finding.lost), strict=True):
        text = f"× {finding.lost[a, b]:.0f}/{finding.count[a, b]:.0f}"
        theme.note(fig, text, x=int(b), y=int(a))
    names = [[theme.plain(t) for t in labels] for labels in (finding.x_labels, finding.y_labels)]
    fig.update_xaxes(title=theme.plain(finding.x), tickvals=x, ticktext=names[0], showgrid=False)
    fig.update_yaxes(title=theme.plain(finding.y), tickvals=y, ticktext=names[1], showgrid=False)
    return fig


def decades(median: np.ndarray, log: bool) -> dict[str, object]:
    """Colour bar ticks in the measure's own numbers where the colour is a logarithm."""
    if not log:
        return {}
    logs = np.log10(median[np.isfinite(median)])
    ticks = np.linspace(logs.min(), logs.max(), 5)
    return {"tickvals": ticks, "ticktext": [digits(10**t) for t in ticks]}
