"""How do the networks of a sweep come to rest, and does it go with how well they do? A census of fixed points."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import plotly.graph_objects as go

from lyapsweep.analysis.networks.fixed_point_plot import KINDS
from lyapsweep.analysis.networks.network_fixed_points import SEARCH, Rest, of_network
from lyapsweep.analysis.shared import theme
from lyapsweep.analysis.shared.selection import JudgedTrials, direction, judged, label, require
from lyapsweep.analysis.spectra import correlation
from lyapsweep.dynamics import Search
from lyapsweep.results.table import Table

Progress = Callable[[int, int], None]
"""Called with the number of networks searched and of all."""


class FixedPointCensusFinding(NamedTuple):
    """One row a trial, in the order of the table: `counts` (trials, 5) of points by `KINDS`, slow ones last.

    `unstable` (trials,) is the largest number of unstable modes of a fixed point, `time_constants` (trials,) the
    longest 1 / |ln |lambda|| of a fixed point, steps, and `in_time` the same in units of time; `rate` is ln |lambda|
    of that mode. `ratio` and `share` are participation ratio and first principal component of fixed and slow points.
    All NaN where there is no point to ask. `values` (trials,) is the measure `column`, the worst there is for a lost
    trial; `relation` its rank correlations with the rest, None where there are too few trials to say.
    """

    column: str
    direction: str
    trials: tuple[str, ...]
    values: np.ndarray
    lost: np.ndarray
    counts: np.ndarray
    unstable: np.ndarray
    time_constants: np.ndarray
    in_time: np.ndarray
    rate: np.ndarray
    ratio: np.ndarray
    share: np.ndarray
    search: dict[str, float]
    relation: correlation.CorrelationFinding | None


def find(
    table: Table,
    column: str,
    search: Search | None = None,
    *,
    hunted: bool = False,
    resamples: int = 1000,
    seed: int = 0,
    progress: Progress | None = None,
) -> FixedPointCensusFinding:
    """Search the network of every trial that ended and holds one, lost trials (their last finite weights) included.

    A network of 64 units takes 3 to 6 seconds of one core; nothing is trained. The correlations are those of
    `correlation.find`, with the same rules for lost trials. Raises `Hunted` for the trials of a hunt unless
    `hunted=True`, `TooFew` where no trial holds weights, `UnknownName` for a column that is not there.
    """
    correlation.refuse(table, hunted)
    search = search or SEARCH
    trials = judged(table, column)
    rows = np.array([bool(weights) for _, weights in trials.table.networks], bool)
    require(int(rows.sum()), 1, "trials with weights")
    trials = JudgedTrials(trials.table.take(rows), trials.values[rows], trials.lost[rows])
    entries = []
    for i, (config, weights) in enumerate(trials.table.networks):
        entries.append(entry(of_network(config, weights, search)))
        if progress:
            progress(i + 1, len(rows[rows]))
    counts, *scalars = (np.array(column) for column in zip(*entries))
    named = dict(zip(("unstable", "time_constants", "in_time", "rate", "ratio", "share"), scalars))
    return FixedPointCensusFinding(
        column=column,
        direction=direction(table, column),
        trials=tuple(trials.table.frame["trial"].astype(str)),
        values=trials.values,
        lost=trials.lost,
        counts=counts,
        **named,
        search=vars(search),
        relation=related(counts, named, column, trials, resamples, seed, hunted),
    )


def entry(rest: Rest) -> tuple[np.ndarray, float, float, float, float, float, float]:
    """One trial's row: counts by kind, then the scalars in the order of `Finding`."""
    fixed, line = rest.found.fixed, rest.line
    kinds = [*fixed.kinds, *("slow",) * len(rest.found.slow)]
    counts = np.array([kinds.count(kind) for kind in KINDS])
    if not len(fixed):
        return counts, np.nan, np.nan, np.nan, np.nan, line.participation_ratio, line.first_share
    at = np.unravel_index(np.argmax(fixed.time_constants), fixed.time_constants.shape)
    slowest = fixed.time_constants[at], fixed.time_constants_in_time[at], fixed.rates[at]
    return counts, float(fixed.unstable.max()), *slowest, line.participation_ratio, line.first_share


def related(
    counts: np.ndarray, named: dict, column: str, trials: JudgedTrials, resamples: int, seed: int, hunted: bool
) -> correlation.CorrelationFinding | None:
    """Rank correlations of what was counted with the measure, where enough trials have both and both vary."""
    quantities = {
        "fixed points": counts[:, :-1].sum(axis=1),
        "stable points": counts[:, KINDS.index("stable")],
        "slow points": counts[:, KINDS.index("slow")],
        "largest number of unstable modes": named["unstable"],
        "longest time constant": named["time_constants"],
        "participation ratio": named["ratio"],
    }
    pairs = [
        correlation.pair(name, np.asarray(x, float), column, trials, resamples, seed) for name, x in quantities.items()
    ]
    rows = [p.row for p in pairs if p.row is not None]
    return correlation.arranged(rows, resamples, hunted) if rows else None


def ranked(finding: FixedPointCensusFinding) -> np.ndarray:
    """Positions of the trials from the best to the worst; undefined values count as the worst."""
    upward = finding.values if finding.direction == "minimise" else -finding.values
    return np.argsort(np.where(np.isnan(upward), np.inf, upward), kind="stable")


def draw(finding: FixedPointCensusFinding) -> go.Figure:
    """Points of each kind, one bar a trial, from the best trial to the worst; lost trials stand at the right."""
    order = ranked(finding)
    fig = theme.figure(420)
    for k, kind in enumerate(KINDS[:-1]):
        if not finding.counts[:, k].any():
            continue
        fig.add_bar(
            x=np.arange(1, len(order) + 1),
            y=finding.counts[order, k],
            name=kind,
            marker={"color": theme.colour(k)},
            customdata=[f"{finding.trials[i]}, {finding.values[i]:.4g}" for i in order],
            hovertemplate=f"trial %{{customdata}}<br>{kind}: %{{y}}<extra></extra>",
        )
    fig.update_layout(barmode="stack", bargap=0.1)
    fig.update_xaxes(title=f"trials, best {theme.plain(label(finding.column))} first", tickformat="d")
    fig.update_yaxes(title="fixed points", tickformat="d")
    return fig


def save(finding: FixedPointCensusFinding, path: Path) -> None:
    """Write the picture: .html (plotly, whole in one file), .png or .svg (matplotlib, which needs no browser)."""
    if path.suffix.lower() == ".html":
        draw(finding).write_html(path, include_plotlyjs=True)
        return
    from matplotlib.figure import Figure

    page = Figure(figsize=(8, 4.2), layout="constrained", dpi=150)
    axes = page.subplots()
    below = np.zeros(len(finding.trials))
    for k, kind in enumerate(KINDS[:-1]):
        heights = finding.counts[ranked(finding), k]
        if heights.any():
            axes.bar(np.arange(1, len(heights) + 1), heights, bottom=below, label=kind, color=theme.colour(k))
        below = below + heights
    axes.set(xlabel=f"trials, best {label(finding.column)} first", ylabel="fixed points")
    axes.spines[["top", "right"]].set_visible(False)
    axes.locator_params(integer=True)
    if below.any():
        axes.legend(frameon=False)
    page.savefig(path)
