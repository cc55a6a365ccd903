"""At which value of a setting is a measure best, and how certain is that? A bootstrap over settings and seeds."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import plotly.graph_objects as go

from lyapsweep.analysis.shared import theme
from lyapsweep.analysis.shared.axis import places
from lyapsweep.analysis.shared.selection import digits, direction, ended_trials, named, numbers, require
from lyapsweep.analysis.shared.units import UnitCount, Units
from lyapsweep.results.table import Table

DRAWS = 2000
COVERAGE = 90  # percent


class OptimumFinding(NamedTuple):
    """The best value of a setting in each group. Arrays (groups,) unless stated otherwise.

    `place` has the best median over its trials; [low, high] holds 90 % of the best places in bootstrap resamples, at
    every place, of its settings with all their seeds, or of its seeds where it has one setting. `share` (groups,
    points) is how often each place was the best. `unit` is the predictability time of the group's data in steps, NaN if
    the axis is not an interval or it is unknown. `edge` says that the best place is the first or the last one, so that
    the optimum can lie beyond. `counts` has the settings and runs of each group.
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
    seeds: np.ndarray  # fewest trials at a place
    counts: tuple[UnitCount, ...]
    log_axis: bool


def find(
    table: Table, axis: str, column: str, group: str | Sequence[str] = "cell/kind", seed: int = 0
) -> OptimumFinding:
    """Find the best value of a numeric setting for each group, with a bootstrap interval over settings and seeds.

    Args:
        table: The trials of a sweep, two or more at every value.
        axis: A numeric setting; more than 24 values are binned.
        column: The measure. A lost trial has its worst value.
        group: One optimum per value of this column, or per combination of values of several.
        seed: Of the bootstrap.

    Returns:
        An `OptimumFinding`.

    Raises:
        TooFew: With fewer than three values, or fewer than two trials at one value of a group.
        UnknownName: If a column does not exist.

    Example:
        >>> import pandas as pd
        >>> frame = pd.DataFrame({"trial": [*"abcdef"], "step": 9, "outcome": "finished", "final": True, "cell": "gru"})
        >>> table = Table(frame.assign(**{"lr": [1, 1, 2, 2, 3, 3], "measures/loss": [0.5, 0.6, 0.1, 0.2, 0.7, 0.8]}))
        >>> found = find(table, "lr", "measures/loss", "cell")
        >>> found.place, found.low, found.high
        (array([2.]), array([2.]), array([2.]))
    """
    trials = ended_trials(table, column)
    where = places(trials.table.column(axis))
    require(len(where.centres) if where.numeric else 0, 3, f"values of {axis} that are numbers")
    of, units = named(trials.table, group), Units.of(trials.table)
    sign = -1.0 if direction(table, column) == "maximise" else 1.0
    groups, generator = tuple(sorted(set(of))), np.random.default_rng(seed)
    rows = []
    for name in groups:
        places_of = [np.flatnonzero((of == name) & (where.index == i)) for i in range(len(where.centres))]
        values = [(sign * trials.values[rows], units.setting[rows]) for rows in places_of]
        rows.append(
            (*best_place(values, where.centres, generator), predictability_time(trials.table, of == name, axis))
        )
    share, best, low, high, fewest, times = (np.array(part) for part in zip(*rows, strict=True))
    return OptimumFinding(
        axis=axis,
        column=column,
        groups=groups,
        points=where.centres,
        share=share,
        place=where.centres[best],
        low=low,
        high=high,
        unit=times,
        edge=np.array([b in ends(s) for b, s in zip(best, share, strict=True)]),
        seeds=fewest,
        counts=tuple(units.take(of == name).count for name in groups),
        log_axis=where.log,
    )


def best_place(
    values: list[tuple[np.ndarray, np.ndarray]], points: np.ndarray, generator: np.random.Generator
) -> tuple:
    """(share of each place, index of the best, low, high, fewest trials) of one group; less is better.

    Each place has its trials' values and settings.
    """
    values = [(v[~np.isnan(v)], setting[~np.isnan(v)]) for v, setting in values]
    used = np.array([i for i, (v, _) in enumerate(values) if len(v)])
    require(len(used), 3, "places with trials in a group")
    fewest = min(len(values[i][0]) for i in used)
    require(fewest, 2, "trials at a place of a group: seeds")
    medians = np.full((DRAWS + 1, len(points)), np.inf)
    for i in used:
        medians[0, i] = np.median(values[i][0])
        medians[1:, i] = resampled_medians(values[i][0], values[i][1], generator)
    best = medians.argmin(axis=1)
    share = np.bincount(best[1:], minlength=len(points)) / DRAWS
    share[np.setdiff1d(np.arange(len(points)), used)] = np.nan
    return share, int(best[0]), *points[middle_ends(best)], fewest


def middle_ends(best: np.ndarray) -> np.ndarray:
    """The first and the last place (2,) of the interval, which holds the best place.

    The share of resamples below a place plus half of those at it (mid-p, Lancaster 1961) is within `COVERAGE`: with
    whole shares the interval of few places is too long.
    """
    own = np.bincount(best[1:]) / DRAWS
    middle = own.cumsum() - own / 2
    inside = np.flatnonzero((own > 0) & (np.abs(middle - 0.5) <= COVERAGE / 200))
    return np.array([min(best[0], inside.min(initial=best[0])), max(best[0], inside.max(initial=best[0]))])


def resampled_medians(values: np.ndarray, setting: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Medians (DRAWS,) of values whose settings are resampled with all their trials; the trials if there is one."""
    _, unit = np.unique(setting, return_inverse=True)
    unit = unit if unit.max() else np.arange(len(values))
    order, units = np.argsort(values, kind="stable"), int(unit.max()) + 1
    drawn = generator.multinomial(units, np.full(units, 1 / units), DRAWS)[:, unit[order]].cumsum(axis=1)
    total = drawn[:, -1:]
    below, above = (values[order][(drawn > k).argmax(axis=1)] for k in ((total - 1) // 2, total // 2))
    return (below + above) / 2


def ends(share: np.ndarray) -> tuple[int, int]:
    """The first and the last place with trials of a group."""
    used = np.flatnonzero(~np.isnan(share))
    return int(used[0]), int(used[-1])


def predictability_time(table: Table, rows: np.ndarray, axis: str) -> float:
    """The common predictability time of these rows, NaN if there is none."""
    if axis != "forcing/interval" or "data/predictability_time" not in table.frame:
        return np.nan
    times = numbers(table, "data/predictability_time")[rows]
    known = np.unique(np.round(times[np.isfinite(times)], 6))
    return float(known[0]) if len(known) == 1 else np.nan


def sentence(finding: OptimumFinding, g: int) -> str:
    """State the optimum of one group."""
    words = f"{finding.groups[g]}: best at {digits(finding.place[g])}, {COVERAGE} % interval {span(finding, g, 1.0)}"
    if np.isfinite(finding.unit[g]):
        ratio, time = digits(finding.place[g] / finding.unit[g]), digits(finding.unit[g])
        words += f"; {ratio} ({span(finding, g, finding.unit[g])}) predictability times of {time} steps"
    words += f", n = {finding.counts[g]}"
    return words + (" (an end of the axis: the optimum can lie beyond)" if finding.edge[g] else "") + "."


def span(finding: OptimumFinding, g: int, unit: float) -> str:
    """The interval of one group in some unit."""
    return f"{digits(finding.low[g] / unit)} to {digits(finding.high[g] / unit)}"


def timed(finding: OptimumFinding) -> bool:
    """Whether the predictability time of the data is drawn."""
    return bool(np.isfinite(finding.unit).any())


def draw(finding: OptimumFinding) -> go.Figure:
    """Draw one row per group: the interval of the best place, and how often each place was the best."""
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
            hovertemplate=f"{theme.plain(name)}<br>%{{x}}: best in %{{customdata:.0f}} % of resamples<extra></extra>",
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
    ticks = {"tickvals": finding.points, "ticktext": [digits(p) for p in finding.points]}
    scale = "log" if finding.log_axis else "linear"
    fig.update_xaxes(title=theme.plain(finding.axis), type=scale, **(ticks if len(finding.points) <= 12 else {}))
    names = [theme.plain(name) for name in finding.groups]
    fig.update_yaxes(tickvals=np.arange(len(names)), ticktext=names, range=[len(names) - 0.5, -0.5], showgrid=False)
    return fig
