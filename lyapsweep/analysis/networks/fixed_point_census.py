"""Which fixed points do the networks of a sweep have, and do they correlate with the outcome?"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import plotly.graph_objects as go

from lyapsweep.analysis.networks.fixed_point_plot import KINDS
from lyapsweep.analysis.networks.network_fixed_points import SEARCH, NetworkFixedPoints, of_network
from lyapsweep.analysis.shared import theme
from lyapsweep.analysis.shared.rank_correlation import MOST, CorrelationFinding, correlate
from lyapsweep.analysis.shared.selection import (
    EndedTrials,
    TooFew,
    direction,
    ended_trials,
    label,
    refuse_hunt,
    require,
)
from lyapsweep.dynamics import Search
from lyapsweep.results.table import Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Progress = Callable[[int, int], None]
"""Called with the number of networks searched and of all."""


class FixedPointCensusFinding(NamedTuple):
    """One row per trial, in the order of the table: `counts` (trials, 5) of points by `KINDS`, slow ones last.

    `unstable` (trials,) is the largest number of unstable modes of a fixed point, `time_constants` (trials,) the
    longest 1 / |ln |lambda|| of a fixed point in steps, `in_time` the same in units of time, `rate` ln |lambda| of that
    mode. `ratio` and `share` are participation ratio and first principal component of fixed and slow points. All are
    NaN without points. `values` (trials,) is the measure `column`, the worst value for a lost trial; `relation` its
    rank correlations with the counts, None with too few trials.
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
    relation: CorrelationFinding | None


def find(
    table: Table,
    column: str,
    search: Search | None = None,
    *,
    hunted: bool = False,
    resamples: int = MOST,
    seed: int = 0,
    progress: Progress | None = None,
) -> FixedPointCensusFinding:
    """Search the network of every ended trial that holds weights, and correlate the counts with a measure.

    A network of 64 units takes 3 to 6 seconds of one core. Of lost trials the last finite weights are searched. Lost
    trials have the worst rank in correlations, as in `correlation.find`.

    Args:
        table: The trials of a sweep.
        column: The measure, such as `measures/loss`.
        search: Settings of the search.
        hunted: Accept the trials of a hunt, which are biased toward success.
        resamples: Settings are left out one by one for the intervals, or in so many blocks if there are more.
        seed: Of the blocks.
        progress: Called with the numbers of networks searched and of all.

    Returns:
        A `FixedPointCensusFinding`.

    Raises:
        HuntTableError: If the trials are those of a hunt and `hunted` is false.
        TooFew: If no trial holds weights.
        UnknownName: If the column does not exist.
    """
    refuse_hunt(table, hunted)
    search = search or SEARCH
    trials = ended_trials(table, column)
    rows = np.array([bool(weights) for _, weights in trials.table.networks], bool)
    require(int(rows.sum()), 1, "trials with weights")
    trials = trials.take(rows)
    entries = []
    for i, (config, weights) in enumerate(trials.table.networks):
        entries.append(entry(of_network(config, weights, search)))
        if progress:
            progress(i + 1, len(trials.values))
    counts, *scalars = (np.array(column) for column in zip(*entries))
    quantities: dict[str, np.ndarray] = dict(
        zip(("unstable", "time_constants", "in_time", "rate", "ratio", "share"), scalars)
    )
    return FixedPointCensusFinding(
        column=column,
        direction=direction(table, column),
        trials=tuple(trials.table.frame["trial"].astype(str)),
        values=trials.values,
        lost=trials.lost,
        counts=counts,
        **quantities,
        search=vars(search),
        relation=related(counts, quantities, column, trials, resamples, seed, hunted),
    )


def entry(points: NetworkFixedPoints) -> tuple[np.ndarray, float, float, float, float, float, float]:
    """One trial: counts by kind, then the scalars in the order of the finding."""
    fixed, line = points.found.fixed, points.line
    kinds = [*fixed.kinds, *("slow",) * len(points.found.slow)]
    counts = np.array([kinds.count(kind) for kind in KINDS])
    if not len(fixed):
        return counts, np.nan, np.nan, np.nan, np.nan, line.participation_ratio, line.first_share
    at = np.unravel_index(np.argmax(fixed.time_constants), fixed.time_constants.shape)
    slowest = fixed.time_constants[at], fixed.time_constants_in_time[at], fixed.rates[at]
    return counts, float(fixed.unstable.max()), *slowest, line.participation_ratio, line.first_share


def related(
    counts: np.ndarray,
    quantities: dict[str, np.ndarray],
    column: str,
    trials: EndedTrials,
    resamples: int,
    seed: int,
    hunted: bool,
) -> CorrelationFinding | None:
    """Rank correlations of the counts with the measure, None if too few trials have both."""
    columns = {
        "fixed points": counts[:, :-1].sum(axis=1),
        "stable points": counts[:, KINDS.index("stable")],
        "slow points": counts[:, KINDS.index("slow")],
        "largest number of unstable modes": quantities["unstable"],
        "longest time constant": quantities["time_constants"],
        "participation ratio": quantities["ratio"],
    }
    columns = {name: np.asarray(x, float) for name, x in columns.items()}
    try:
        return correlate(columns, {column: trials}, resamples, seed, hunted)
    except TooFew:
        return None


def ranked(finding: FixedPointCensusFinding) -> np.ndarray:
    """The rows of the trials from the best to the worst; undefined values count as the worst."""
    upward = finding.values if finding.direction == "minimise" else -finding.values
    return np.argsort(np.where(np.isnan(upward), np.inf, upward), kind="stable")


def draw(finding: FixedPointCensusFinding) -> go.Figure:
    """Draw the points of each kind as one bar per trial, from the best trial to the worst, lost ones at the right."""
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
    """Write the figure as .html, .png or .svg."""
    theme.save(path, lambda: draw(finding), lambda page: plot(finding, page), (8, 4.2))


def plot(finding: FixedPointCensusFinding, page: "Figure") -> None:
    """Plot the same bars by matplotlib."""
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
