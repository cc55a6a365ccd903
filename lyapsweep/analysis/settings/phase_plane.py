"""Where in the plane of two settings does learning end, and does lambda_max = 0 draw that border?

Panels side by side, one a group; over the colour of an outcome lie two lines, lambda_max = 0 before training and after
it: on one side of a line tangents shrink, on the other they grow.
"""

from typing import NamedTuple

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from lyapsweep.analysis.settings import heatmap
from lyapsweep.analysis.settings.axis import places, wide
from lyapsweep.analysis.shared import theme
from lyapsweep.analysis.shared.selection import Direction, TooFew, digits, direction, label, named, numbers
from lyapsweep.results.table import Table

COLUMNS = 3  # panels in a row
WHEN = ("before training", "after training")


class PhasePlaneFinding(NamedTuple):
    """Arrays (panels, y, x): `median` of the outcome, NaN where half of the trials were lost, of `count` trials `lost`;
    `before` and `after` the median largest exponent (nats per step) at step 0 and at the end."""

    x: str
    y: str
    column: str
    direction: Direction
    panels: tuple[str, ...]
    x_labels: tuple[str, ...]
    y_labels: tuple[str, ...]
    median: np.ndarray
    count: np.ndarray
    lost: np.ndarray
    before: np.ndarray
    after: np.ndarray
    log_value: bool


def find(table: Table, x: str, y: str, column: str, group: str, map: str) -> PhasePlaneFinding:
    """The medians of `column` and of the largest exponent of `map`, for each value of `group`.

    Raises `UnknownName` for a column that is not there, `TooFew` where no group has a plane with a finite outcome.
    """
    exponent, finals, firsts = (
        f"spectra/{map}/maximum",
        table.finals,
        table.take((table.column("step") == 0).to_numpy()),
    )
    across, along = (places(finals.column(axis), heatmap.MOST).labels for axis in (x, y))
    found = {}
    for name in dict.fromkeys(named(finals, group)):
        mine = table.take(named(table, group) == name)
        try:
            found[name] = heatmap.find(mine, x, y, column)
        except TooFew:
            continue
    if not found:
        raise TooFew(f"No {group} has two values of {x} and of {y} with a finite {column}.")
    spread = lambda f, values: placed(values, (f.y_labels, f.x_labels), (along, across))  # noqa: E731
    median, count, lost = (
        np.stack([spread(f, getattr(f, name)) for f in found.values()]) for name in ("median", "count", "lost")
    )
    of = lambda rows, name: exponents(rows.take(named(rows, group) == name), x, y, exponent, (along, across))  # noqa: E731
    before, after = (np.stack([of(rows, name) for name in found]) for rows in (firsts, finals))
    return PhasePlaneFinding(
        x=x,
        y=y,
        column=column,
        direction=direction(table, column),
        panels=tuple(found),
        x_labels=across,
        y_labels=along,
        median=median,
        count=np.nan_to_num(count),
        lost=np.nan_to_num(lost),
        before=before,
        after=after,
        log_value=wide(median),
    )


def placed(values: np.ndarray, labels: tuple, wanted: tuple) -> np.ndarray:
    """`values` (y, x) under their `labels`, in the places of the `wanted` ones; NaN elsewhere."""
    whole = np.full([len(w) for w in wanted], np.nan)
    rows, columns = ([w.index(name) for name in names] for names, w in zip(labels, wanted, strict=True))
    whole[np.ix_(rows, columns)] = values
    return whole


def exponents(rows: Table, x: str, y: str, exponent: str, wanted: tuple) -> np.ndarray:
    """The median largest exponent at every place (y, x); NaN where there is none."""
    whole = np.full([len(w) for w in wanted], np.nan)
    if exponent not in rows.frame or not len(rows):
        return whole
    across, along = (places(rows.column(axis), heatmap.MOST) for axis in (x, y))
    values = numbers(rows, exponent)
    for i, j in np.ndindex(len(along.labels), len(across.labels)):
        here = values[(along.index == i) & (across.index == j)]
        if np.isfinite(here).any() and along.labels[i] in wanted[0] and across.labels[j] in wanted[1]:
            whole[wanted[0].index(along.labels[i]), wanted[1].index(across.labels[j])] = np.nanmedian(here)
    return whole


def sentence(finding: PhasePlaneFinding, panel: int) -> str:
    """Where the panel's best place lies, and the medians on either side of the line before training."""
    median, before, after = finding.median[panel], finding.before[panel], finding.after[panel]
    best = np.unravel_index((np.nanargmax if finding.direction == "maximise" else np.nanargmin)(median), median.shape)
    words = (
        f"{finding.panels[panel]}: the best median is {digits(median[best])}, at {finding.x} "
        f"{finding.x_labels[best[1]]} and {finding.y} {finding.y_labels[best[0]]} (n = "
        f"{digits(finding.count[panel][best])}), where λ_max is {digits(before[best])} before training and "
        f"{digits(after[best])} after."
    )
    sides = [median[np.isfinite(median) & side] for side in (before < 0, before >= 0)]
    if all(side.size for side in sides):
        below, above = (f"{digits(np.median(side))} ({side.size} places)" for side in sides)
        words += f" The median place with λ_max < 0 before training has {below}, with λ_max ≥ 0 {above}."
    return words


def draw(finding: PhasePlaneFinding) -> go.Figure:
    """Colour is the median (dark is worse), grey where half of the trials were lost; lines are lambda_max = 0."""
    n = len(finding.panels)
    columns, rows = min(n, COLUMNS), -(-n // COLUMNS)
    grid = make_subplots(
        rows=rows,
        cols=columns,
        subplot_titles=[theme.plain(p) for p in finding.panels],
        shared_xaxes=True,
        shared_yaxes=True,
        horizontal_spacing=0.03,
        vertical_spacing=0.16 / rows,
    )
    fig = go.Figure(grid).update_layout(theme.figure(110 + rows * max(220, 70 + 30 * len(finding.y_labels))).layout)
    theme.frame(fig)
    for p in range(n):
        panel(fig, finding, p, {"row": p // columns + 1, "col": p % columns + 1})
    across, along = (np.arange(len(labels)) for labels in (finding.x_labels, finding.y_labels))
    fig.update_xaxes(tickvals=across, ticktext=[theme.plain(t) for t in finding.x_labels], showgrid=False)
    fig.update_yaxes(tickvals=along, ticktext=[theme.plain(t) for t in finding.y_labels], showgrid=False)
    fig.update_xaxes(title=theme.plain(finding.x), row=rows)
    fig.update_yaxes(title=theme.plain(finding.y), col=1)
    bar = {"title": {"text": theme.plain(label(finding.column)), "side": "right"}, "thickness": 14}
    scale = {"colorscale": theme.SCALE, "reversescale": finding.direction == "minimise"}
    fig.update_layout(coloraxis=scale | {"colorbar": bar | heatmap.decades(finding.median, finding.log_value)})
    fig.update_layout(margin={"t": 70}, legend={"y": 1.0, "yref": "container", "yanchor": "top"})
    return fig


def panel(fig: go.Figure, finding: PhasePlaneFinding, p: int, where: dict[str, int]) -> None:
    median, x, y = finding.median[p], np.arange(len(finding.x_labels)), np.arange(len(finding.y_labels))
    dead = np.isnan(median) & (finding.lost[p] > 0)
    grey = [[0, "#d0d0d0"], [1, "#d0d0d0"]]
    fig.add_heatmap(
        x=x, y=y, z=np.where(dead, 1.0, np.nan), colorscale=grey, showscale=False, hoverinfo="skip", **where
    )
    fig.add_heatmap(
        x=x,
        y=y,
        z=np.log10(median) if finding.log_value else median,
        customdata=np.stack([median, finding.count[p], finding.lost[p], finding.before[p], finding.after[p]], -1),
        hovertemplate="median %{customdata[0]:.3g}<br>n = %{customdata[1]:.0f}, lost %{customdata[2]:.0f}<br>"
        "λ_max %{customdata[3]:.3g} before, %{customdata[4]:.3g} after<extra></extra>",
        coloraxis="coloraxis",
        xgap=1,
        ygap=1,
        **where,
    )
    for values, when, dash in zip((finding.before[p], finding.after[p]), WHEN, ("dash", "solid"), strict=True):
        for width, colour in ((4.5, "white"), (2, "black")):  # seen on light and dark alike
            fig.add_contour(
                x=x,
                y=y,
                z=values,
                contours={"start": 0, "end": 0, "size": 1, "coloring": "none"},
                line={"color": colour, "width": width, "dash": dash},
                name=theme.plain(f"λ_max = 0 {when}"),
                legendgroup=when,
                showlegend=p == 0 and colour == "black",
                showscale=False,
                hoverinfo="skip",
                **where,
            )
