"""How did a hunt get to its best trial? Its trials in the order of the search, their rungs, and the Pareto front."""

from typing import NamedTuple

import numpy as np
import plotly.graph_objects as go

from lyapsweep.analysis.shared import theme
from lyapsweep.analysis.shared.selection import digits, label, require
from lyapsweep.results.best import can_win, direction
from lyapsweep.results.record import Outcome
from lyapsweep.results.table import Table

LOG_RANGE = 30.0  # largest over smallest value from which an axis is logarithmic


class SearchHistoryFinding(NamedTuple):
    """The trials (n,) of a hunt in the order in which the sampler drew them.

    `best` is the best objective of the trials that finished so far, NaN before the first. `curves` holds updates and
    objective at the records of each trial. `rungs` are numbers of updates at which trials were stopped, and
    `reached` how many trials got to each. `second` is the second objective ("" and no values without one), `front`
    whether a trial is on the Pareto front of the two.
    """

    objective: str
    trials: tuple[str, ...]
    outcomes: tuple[str, ...]
    steps: np.ndarray
    values: np.ndarray
    best: np.ndarray
    curves: tuple[tuple[np.ndarray, np.ndarray], ...]
    rungs: tuple[int, ...]
    reached: tuple[int, ...]
    second: str
    second_values: np.ndarray
    front: np.ndarray


def find(table: Table, column: str | None = None) -> SearchHistoryFinding:
    """Collect the trials of a hunt.

    Args:
        table: The records of a hunt, whose description names its objectives.
        column: The first objective's column, by default that of the description.

    Returns:
        A `SearchHistoryFinding`.

    Raises:
        TooFew: With fewer than two trials.

    Example:
        >>> import pandas as pd
        >>> from lyapsweep.results.description import SweepDescription
        >>> outcomes = ["finished", "stopped", "finished"]
        >>> frame = pd.DataFrame({"trial": [*"abc"], "step": [9, 3, 9], "final": True, "outcome": outcomes})
        >>> frame["measures/loss"] = [0.5, 0.9, 0.2]
        >>> found = find(Table(frame, description=SweepDescription(objective="loss", drawn=("c", "b", "a"))))
        >>> found.trials, found.best, found.rungs
        (('c', 'b', 'a'), array([0.2, 0.2, 0.2]), (3,))
    """
    description, finals = table.description, table.finals
    column = column or description.objective_column
    places = {key: i for i, key in enumerate(description.drawn)}
    names = finals.frame["trial"].astype(str).to_numpy()
    order = sorted(range(len(names)), key=lambda i: places.get(names[i], len(places)))
    require(len(order), 2, "trials of a hunt")
    names, outcomes = names[order], finals.frame["outcome"].astype(str).to_numpy()[order]
    values, steps = finals.frame[column].to_numpy(float)[order], finals.frame["step"].to_numpy(int)[order]
    keep = np.fmax if direction(table, column) == "maximise" else np.fmin
    won = np.where([can_win(*pair) for pair in zip(outcomes, values)], values, np.nan)
    records = dict(iter(table.frame.assign(trial=table.frame["trial"].astype(str)).groupby("trial")))
    stopped = outcomes == str(Outcome.STOPPED)
    rungs = sorted(set(steps[stopped].tolist()))
    second = f"measures/{description.further[0]}" if description.further else ""
    seconds = finals.frame[second].to_numpy(float)[order] if second in finals.frame else np.empty(0)
    return SearchHistoryFinding(
        objective=column,
        trials=tuple(names.tolist()),
        outcomes=tuple(outcomes.tolist()),
        steps=steps,
        values=values,
        best=keep.accumulate(won),
        curves=tuple((records[n]["step"].to_numpy(int), records[n][column].to_numpy(float)) for n in names),
        rungs=tuple(rungs),
        reached=tuple(int((steps >= rung).sum()) for rung in rungs),
        second=second if seconds.size else "",
        second_values=seconds,
        front=pareto_front(table, (column, second), won, seconds) if seconds.size else np.zeros(len(names), bool),
    )


def pareto_front(table: Table, columns: tuple[str, str], first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Whether no other trial is better in one objective and at least as good in the other."""
    signs = [-1 if direction(table, column) == "maximise" else 1 for column in columns]
    costs = np.column_stack([signs[0] * first, signs[1] * second])
    finite = np.logical_and(*np.isfinite(costs).T)
    better = (costs[:, None] <= costs[None]).all(2) & (costs[:, None] < costs[None]).any(2)  # [i, j]: i beats j
    beaten: np.ndarray = np.any(better & finite[:, None], axis=0)
    return np.logical_and(finite, ~beaten)


def sentence(finding: SearchHistoryFinding) -> str:
    """State how many trials were stopped at which rung, when the best was found, and the front."""
    n, at = len(finding.trials), ""
    stopped = [finding.outcomes.count(str(Outcome.STOPPED)), len(finding.rungs)]
    if stopped[0]:
        gone = [f"{r} of {n} trials reached update {s}" for s, r in zip(finding.rungs, finding.reached)]
        at = f" {stopped[0]} were stopped early: {'; '.join(gone[:4])}."
    if np.isnan(finding.best).all():
        return f"No trial of {n} finished.{at}"
    last = finding.best[-1]
    first = int(np.flatnonzero(finding.best == last)[0]) + 1
    front = f" {int(finding.front.sum())} trials are on the Pareto front." if finding.second else ""
    return f"The best {label(finding.objective)}, {digits(last)}, is that of trial {first} of {n}.{at}{front}"


def axis_type(values: np.ndarray) -> str:
    """Logarithmic where positive values span more than LOG_RANGE."""
    found = values[np.isfinite(values)]
    return "log" if found.size and found.min() > 0 and found.max() > LOG_RANGE * found.min() else "linear"


def draw(finding: SearchHistoryFinding) -> go.Figure:
    """Draw the objective of every trial in the order of the search, and the best so far."""
    fig, outcomes = theme.figure(), np.array(finding.outcomes)
    for i, outcome in enumerate(dict.fromkeys(finding.outcomes)):
        rows = np.flatnonzero((outcomes == outcome) & np.isfinite(finding.values))
        fig.add_scatter(
            x=rows + 1,
            y=finding.values[rows],
            mode="markers",
            name=outcome,
            text=[f"{finding.trials[row]}, update {finding.steps[row]}" for row in rows],
            marker={"size": 6, "color": theme.colour(i), "symbol": theme.symbol(i), "opacity": 0.75},
            hovertemplate="trial %{x} (%{text}): %{y:.4g}<extra></extra>",
        )
    x = np.arange(1, len(finding.best) + 1)
    fig.add_scatter(x=x, y=finding.best, mode="lines", name="best so far", line={"shape": "hv", "color": "#222"})
    fig.update_xaxes(title="trial, in the order of the search")
    fig.update_yaxes(title=theme.plain(label(finding.objective)), type=axis_type(finding.values))
    return fig


def draw_rungs(finding: SearchHistoryFinding) -> go.Figure:
    """Draw the objective of every trial over its updates; trials that were stopped are grey."""
    fig = theme.figure(legend=False)
    for (steps, values), outcome in sorted(
        zip(finding.curves, finding.outcomes), key=lambda pair: pair[1] != "stopped"
    ):
        color = theme.LIGHT if outcome == Outcome.STOPPED else theme.colour(0)
        fig.add_scatter(
            x=steps, y=values, mode="lines", line={"color": color, "width": 1.2}, opacity=0.7, hoverinfo="skip"
        )
    for rung, reached in zip(finding.rungs, finding.reached):
        theme.vertical_line(fig, rung, f"{reached} trials", log=False)
    drawn = np.concatenate([values for _, values in finding.curves])
    fig.update_xaxes(title="updates")
    fig.update_yaxes(title=theme.plain(label(finding.objective)), type=axis_type(drawn))
    return fig


def draw_front(finding: SearchHistoryFinding) -> go.Figure:
    """Draw the second objective against the first; the Pareto front stands out."""
    fig = theme.figure()
    for name, rows, i in (("other trials", ~finding.front, 5), ("Pareto front", finding.front, 1)):
        fig.add_scatter(
            x=finding.values[rows],
            y=finding.second_values[rows],
            mode="markers",
            name=name,
            text=np.array(finding.trials)[rows],
            marker={"size": 7, "color": theme.colour(i)},
            hovertemplate="%{text}: %{x:.4g}, %{y:.4g}<extra></extra>",
        )
    fig.update_xaxes(title=theme.plain(label(finding.objective)), type=axis_type(finding.values))
    fig.update_yaxes(title=theme.plain(label(finding.second)), type=axis_type(finding.second_values))
    return fig
