"""Where in the plane of two settings does learning fail, and does the line lambda_max = 0 follow that border?

One panel per group; over the colours of an outcome two lines, lambda_max = 0 before and after training.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from lyapsweep.analysis.shared import theme
from lyapsweep.analysis.shared.axis import places, wide
from lyapsweep.analysis.shared.rates import PER_STEP, in_unit, unit
from lyapsweep.analysis.shared.selection import (
    Direction,
    EndedTrials,
    TooFew,
    digits,
    direction,
    ended_trials,
    label,
    named,
)
from lyapsweep.analysis.shared.units import UnitCount, Units
from lyapsweep.results.table import Table

COLUMNS = 3  # panels per row
MOST = 16  # places per axis; more values are binned
PLACE = ("place/y", "place/x")  # columns of the places of each row
WHEN = ("before training", "after training")


class PhasePlaneFinding(NamedTuple):
    """Arrays (panels, y, x): the `median` outcome, NaN where half of the trials or more were lost, of `count` trials
    of so many `settings` that ended, `lost` ones included; `before` and `after` the median largest exponent in `unit`
    at step 0 and at the end."""

    x: str
    y: str
    column: str
    direction: Direction
    panels: tuple[str, ...]
    x_labels: tuple[str, ...]
    y_labels: tuple[str, ...]
    median: np.ndarray
    count: np.ndarray
    settings: np.ndarray
    lost: np.ndarray
    before: np.ndarray
    after: np.ndarray
    log_value: bool
    unit: str = PER_STEP


def find(table: Table, x: str, y: str, column: str, group: str = "cell/kind", map: str = "driven") -> PhasePlaneFinding:
    """Compute the medians of an outcome and of the largest exponent in the plane of two settings, for each group.

    Args:
        table: The trials of a sweep.
        x: A setting, numbers or names; more than 16 numbers are binned.
        y: Likewise.
        column: The outcome, such as `measures/loss`. A lost trial counts as the worst.
        group: One panel per value of this column.
        map: The map of the exponents.

    Returns:
        A `PhasePlaneFinding`. Groups with fewer than two places on an axis or without a finite outcome are left out.

    Raises:
        TooFew: If no group is left.
        UnknownName: If a column does not exist.

    Example:
        >>> import itertools, pandas as pd
        >>> frame = pd.DataFrame(itertools.product([1, 2], [3, 4]), columns=["gain", "lr"]).assign(step=5, final=True)
        >>> frame = frame.assign(trial=[*"abcd"], outcome="finished", cell="gru")
        >>> table = Table(frame.assign(**{"measures/loss": frame["gain"] * frame["lr"]}))
        >>> find(table, "gain", "lr", "measures/loss", "cell").median
        array([[[3., 6.],
                [4., 8.]]])
    """
    axes = tuple(places(table.column(axis), MOST) for axis in (y, x))
    table = replace(table, frame=table.frame.assign(**{PLACE[0]: axes[0].index, PLACE[1]: axes[1].index}))
    trials, shape = ended_trials(table, column), (len(axes[0].labels), len(axes[1].labels))
    firsts = table.take((table.column("step") == 0).to_numpy(bool))
    panels, planes = [], []
    for name in dict.fromkeys(named(table.finals, group)):
        plane = outcome_plane(trials.take(named(trials.table, group) == name), shape)
        tried = plane[1] > 0
        if min(tried.any(0).sum(), tried.any(1).sum()) < 2 or np.isnan(plane[0]).all():
            continue
        rows = (t.take(named(t, group) == name) for t in (firsts, table.finals))
        panels.append(name)
        planes.append(np.stack([*plane, *(exponent_plane(t, f"spectra/{map}/maximum", shape) for t in rows)]))
    if not planes:
        raise TooFew(f"No {group} has two values of {x} and of {y} with a finite {column}.")
    median, count, settings, lost, before, after = np.stack(planes, axis=1)
    return PhasePlaneFinding(
        x=x,
        y=y,
        column=column,
        direction=direction(table, column),
        panels=tuple(panels),
        x_labels=axes[1].labels,
        y_labels=axes[0].labels,
        median=median,
        count=count,
        settings=settings,
        lost=lost,
        before=before,
        after=after,
        log_value=wide(median),
        unit=unit(table.finals),
    )


def rows_by_cell(table: Table, shape: tuple[int, int]) -> Iterator[tuple[tuple[int, ...], np.ndarray]]:
    """Each cell (y, x) of the plane with a mask of its rows."""
    y, x = (table.frame[name].to_numpy(int) for name in PLACE)
    for cell in np.ndindex(shape):
        yield cell, (y == cell[0]) & (x == cell[1])


def outcome_plane(trials: EndedTrials, shape: tuple[int, int]) -> np.ndarray:
    """(median outcome, ended trials, their settings, lost trials) of every cell (4, y, x)."""
    plane, setting = np.zeros((4, *shape)), Units.of(trials.table).setting
    for cell, rows in rows_by_cell(trials.table, shape):
        values = trials.values[rows]
        values = values[~np.isnan(values)]
        median = np.median(values) if values.size else np.nan
        counts = rows.sum(), len(np.unique(setting[rows])), trials.lost[rows].sum()
        plane[(slice(None), *cell)] = median if np.isfinite(median) else np.nan, *counts
    return plane


def exponent_plane(table: Table, exponent: str, shape: tuple[int, int]) -> np.ndarray:
    """The median largest exponent of every cell (y, x), NaN if there is none."""
    plane = np.full(shape, np.nan)
    if exponent in table.frame and len(table):
        values = in_unit(table, exponent)
        for cell, rows in rows_by_cell(table, shape):
            if np.isfinite(values[rows]).any():
                plane[cell] = np.nanmedian(values[rows])
    return plane


def sentence(finding: PhasePlaneFinding, panel: int) -> str:
    """State the best cell of a panel, and the medians on either side of lambda_max = 0 before training."""
    median, before, after = finding.median[panel], finding.before[panel], finding.after[panel]
    best = np.unravel_index((np.nanargmax if finding.direction == "maximise" else np.nanargmin)(median), median.shape)
    sample = UnitCount(int(finding.settings[panel][best]), int(finding.count[panel][best]))
    words = (
        f"{finding.panels[panel]}: the best median is {digits(median[best])}, at {finding.x} "
        f"{finding.x_labels[best[1]]} and {finding.y} {finding.y_labels[best[0]]} (n = "
        f"{sample}), where λ_max is {digits(before[best])} before training and "
        f"{digits(after[best])} after ({finding.unit})."
    )
    sides = [median[np.isfinite(median) & side] for side in (before < 0, before >= 0)]
    if all(side.size for side in sides):
        below, above = (f"{digits(np.median(side))} ({side.size} cells)" for side in sides)
        words += f" The median cell with λ_max < 0 before training has {below}, with λ_max ≥ 0 {above}."
    return words


def draw(finding: PhasePlaneFinding) -> go.Figure:
    """Draw the medians as colours (dark is worse, grey if half of the trials were lost), and lines lambda_max = 0."""
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
        draw_panel(fig, finding, p, {"row": p // columns + 1, "col": p % columns + 1})
    across, along = (np.arange(len(labels)) for labels in (finding.x_labels, finding.y_labels))
    fig.update_xaxes(tickvals=across, ticktext=[theme.plain(t) for t in finding.x_labels], showgrid=False)
    fig.update_yaxes(tickvals=along, ticktext=[theme.plain(t) for t in finding.y_labels], showgrid=False)
    fig.update_xaxes(title=theme.plain(finding.x), row=rows)
    fig.update_yaxes(title=theme.plain(finding.y), col=1)
    bar = theme.colour_bar(label(finding.column))
    scale = {"colorscale": theme.SCALE, "reversescale": finding.direction == "minimise"}
    fig.update_layout(coloraxis=scale | {"colorbar": bar | theme.log_ticks(finding.median, finding.log_value)})
    return fig.update_layout(margin={"t": 70}, legend={"y": 1.0, "yref": "container", "yanchor": "top"})


def draw_panel(fig: go.Figure, finding: PhasePlaneFinding, p: int, where: dict[str, int]) -> None:
    """The colours and the two lines of one panel."""
    median, x, y = finding.median[p], np.arange(len(finding.x_labels)), np.arange(len(finding.y_labels))
    fig.add_heatmap(x=x, y=y, **theme.grey(np.isnan(median) & (finding.lost[p] > 0)), **where)
    fig.add_heatmap(
        x=x,
        y=y,
        z=np.log10(median) if finding.log_value else median,
        customdata=np.stack(
            [median, *(v[p] for v in (finding.count, finding.lost, finding.before, finding.after, finding.settings))],
            -1,
        ),
        hovertemplate="median %{customdata[0]:.3g}<br>settings %{customdata[5]:.0f}, runs %{customdata[1]:.0f}, "
        "lost %{customdata[2]:.0f}<br>"
        f"λ_max %{{customdata[3]:.3g}} before, %{{customdata[4]:.3g}} after ({finding.unit})<extra></extra>",
        coloraxis="coloraxis",
        xgap=1,
        ygap=1,
        **where,
    )
    for values, when, dash in zip((finding.before[p], finding.after[p]), WHEN, ("dash", "solid"), strict=True):
        for width, colour in ((4.5, "white"), (2, "black")):  # visible on light and dark colours
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
