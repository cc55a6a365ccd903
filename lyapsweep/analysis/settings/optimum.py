"""Where on an axis is a measure best, and how sure is that? Resampled seeds; in units of the predictability time."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import plotly.graph_objects as go

from lyapsweep.analysis.settings.axis import places
from lyapsweep.analysis.shared import theme
from lyapsweep.analysis.shared.selection import digits, direction, judged, label, named, numbers, require
from lyapsweep.results.table import Table

DRAWS = 2000
COVERAGE = 90  # per cent


class OptimumFinding(NamedTuple):
    """The best place of each group. Arrays (groups,) unless said otherwise.

    `place` is where the median over seeds is best; between `low` and `high` lie 90 % of the best places of tables whose
    trials were drawn anew, with replacement, at every place. `share` (groups, points) is how often each place was the
    best. `unit` is the predictability time of the group's data in steps, NaN where the axis is not an interval or
    nobody knows it. `edge` says that the best place is the first or the last one: the optimum may lie beyond.
    """

    axis: str
    column: str
    groups: tuple[str, ...]
    points: np.ndarray  # (points,)
    share: np.ndarray
    place: np.ndarray
    low: np.ndarray
    high: np.ndarray
    unit: np.ndarray
    edge: np.ndarray
    seeds: np.ndarray  # trials at each place, the fewest
    log_axis: bool


def find(
    table: Table, axis: str, column: str, group: str | Sequence[str] = "cell/kind", seed: int = 0
) -> OptimumFinding:
    """The optimum of `column` along the numbers of `axis`, for each value of `group`; lost trials are the worst.

    Of several groups, each combination of their values is one.

    Raises `UnknownName`, and `TooFew` with less than three places, or less than two trials at one of a group's places.
    """
    trials = judged(table, column)
    where = places(trials.table.column(axis))
    require(len(where.centres) if where.numeric else 0, 3, f"values of {axis} that are numbers")
    of = named(trials.table, group)
    sign = -1.0 if direction(table, column) == "maximise" else 1.0
    groups, generator = tuple(sorted(set(of))), np.random.default_rng(seed)
    rows = []
    for name in groups:
        there = [sign * trials.values[(of == name) & (where.index == i)] for i in range(len(where.centres))]
        rows.append((*located(there, where.centres, generator), unit(trials.table, of == name, axis)))
    share, best, low, high, fewest, units = (np.array(part) for part in zip(*rows, strict=True))
    return OptimumFinding(
        axis=axis,
        column=column,
        groups=groups,
        points=where.centres,
        share=share,
        place=where.centres[best],
        low=low,
        high=high,
        unit=units,
        edge=np.array([b in ends(s) for b, s in zip(best, share, strict=True)]),
        seeds=fewest,
        log_axis=where.log,
    )


def located(there: list[np.ndarray], points: np.ndarray, generator: np.random.Generator) -> tuple:
    """(share of each place, index of the best, low, high, fewest trials) of one group; less is better."""
    there = [v[~np.isnan(v)] for v in there]
    used = np.array([i for i, v in enumerate(there) if len(v)])
    require(len(used), 3, "places with trials in a group")
    fewest = min(len(there[i]) for i in used)
    require(fewest, 2, "trials at a place of a group: seeds")
    medians = np.full((DRAWS + 1, len(points)), np.inf)
    for i in used:
        medians[0, i] = np.median(there[i])
        medians[1:, i] = np.median(generator.choice(there[i], (DRAWS, len(there[i]))), axis=1)
    best = medians.argmin(axis=1)
    share = np.bincount(best[1:], minlength=len(points)) / DRAWS
    share[[i for i in range(len(points)) if i not in used]] = np.nan
    ends = np.percentile(points[best[1:]], [(100 - COVERAGE) / 2, (100 + COVERAGE) / 2], method="nearest")
    return share, int(best[0]), *ends, fewest


def ends(share: np.ndarray) -> tuple[int, int]:
    """The first and the last place that a group has trials at."""
    used = np.flatnonzero(~np.isnan(share))
    return int(used[0]), int(used[-1])


def unit(table: Table, rows: np.ndarray, axis: str) -> float:
    """The predictability time that all these rows share, NaN where they do not."""
    if axis != "forcing/interval" or "data/predictability_time" not in table.frame:
        return np.nan
    times = numbers(table, "data/predictability_time")[rows]
    known = np.unique(np.round(times[np.isfinite(times)], 6))
    return float(known[0]) if len(known) == 1 else np.nan


def sentence(finding: OptimumFinding, g: int) -> str:
    """One group's optimum in words."""
    found = f"{finding.groups[g]}: best at {digits(finding.place[g])}, {COVERAGE} % interval {span(finding, g, 1.0)}"
    if np.isfinite(finding.unit[g]):
        ratio, time = digits(finding.place[g] / finding.unit[g]), digits(finding.unit[g])
        found += f"; {ratio} ({span(finding, g, finding.unit[g])}) predictability times of {time} steps"
    return found + (" (an end of the axis: the optimum may lie beyond)" if finding.edge[g] else "") + "."


def span(finding: OptimumFinding, g: int, unit: float) -> str:
    return f"{digits(finding.low[g] / unit)} to {digits(finding.high[g] / unit)}"


def draw(finding: OptimumFinding) -> go.Figure:
    """A row a group: the best place, its interval, and how often each place was the best when seeds were redrawn."""
    fig = theme.figure(140 + 46 * len(finding.groups))
    for g, name in enumerate(finding.groups):
        shown = finding.share[g] > 0
        fig.add_scatter(
            x=[finding.low[g], finding.high[g]],
            y=[g, g],
            mode="lines",
            line={"color": theme.colour(g), "width": 2},
            hoverinfo="skip",
            showlegend=False,
        )
        fig.add_scatter(
            x=finding.points[shown],
            y=np.full(shown.sum(), g),
            mode="markers",
            marker={"color": theme.colour(g), "size": 6 + 22 * np.sqrt(finding.share[g][shown]), "opacity": 0.55},
            customdata=100 * finding.share[g][shown],
            hovertemplate=f"{theme.plain(name)}<br>%{{x}}: best in %{{customdata:.0f}} % of draws<extra></extra>",
            showlegend=False,
        )
        if np.isfinite(finding.unit[g]):
            fig.add_scatter(
                x=[finding.unit[g]],
                y=[g],
                mode="markers",
                marker={"symbol": "line-ns", "size": 20, "line": {"width": 2, "color": "black"}},
                hovertemplate="predictability time, %{x:.3g} steps<extra></extra>",
                showlegend=False,
            )
    bar = " (bar: predictability time)" if np.isfinite(finding.unit).any() else ""
    fig.update_xaxes(
        title=f"{theme.plain(finding.axis)} where {theme.plain(label(finding.column))} is best{bar}",
        type="log" if finding.log_axis else "linear",
        tickvals=finding.points if len(finding.points) <= 12 else None,
        ticktext=[digits(p) for p in finding.points] if len(finding.points) <= 12 else None,
    )
    fig.update_yaxes(
        tickvals=list(range(len(finding.groups))),
        ticktext=[theme.plain(name) for name in finding.groups],
        range=[len(finding.groups) - 0.5, -0.5],
        showgrid=False,
        zeroline=False,
    )
    return fig
