"""Does the free run of a network look like the data? Both orbits in the same frame."""

from typing import Literal, NamedTuple

import numpy as np
import plotly.graph_objects as go

from lyapsweep.analysis.shared import theme
from lyapsweep.analysis.shared.selection import TooFew, final_row, require
from lyapsweep.results.table import Table

POINTS = 2000
Series = Literal["truth", "generated"]
SERIES: tuple[Series, Series] = ("truth", "generated")


class OrbitFinding(NamedTuple):
    """The first points of `truth` and of one free run, `generated`, (points, 1 | 2 | 3), standardised.

    `low` and `high` (features,) are the truth's limits with a margin; `escaped` counts generated points outside of them
    or not finite. One feature is drawn against time, three in space, otherwise the first two.
    """

    trial: str
    truth: np.ndarray
    generated: np.ndarray
    low: np.ndarray
    high: np.ndarray
    escaped: int


def find(table: Table, trial: str) -> OrbitFinding:
    """Take the orbits from the last record of a trial.

    Args:
        table: The trials of a sweep.
        trial: The id of the trial.

    Returns:
        An `OrbitFinding`.

    Raises:
        TooFew: If the record holds no orbits.
        UnknownName: If there is no such trial.

    Example:
        >>> import pandas as pd
        >>> frame = pd.DataFrame({"trial": ["a"], "step": 9, "final": True})
        >>> traces = {"truth": np.array([[0.0], [1.0], [0.0]]), "generated": np.array([[0.1], [9.0], [np.nan]])}
        >>> find(Table(frame, traces=[traces]), "a").escaped
        2
    """
    traces = table.finals.traces[final_row(table, trial)]
    if "truth" not in traces or "generated" not in traces:
        raise TooFew(f"The record of trial {trial} holds no orbits (traces 'truth' and 'generated').")
    truth, generated = (np.asarray(traces[k], float)[: one_run(traces)] for k in ("truth", "generated"))
    require(min(len(truth), len(generated)), 2, "points of an orbit")
    kept = truth.shape[1] if truth.shape[1] in (1, 3) else 2
    truth, generated = truth[:, :kept], generated[:, :kept]
    margin = 0.15 * np.ptp(truth, axis=0)
    low, high = truth.min(0) - margin, truth.max(0) + margin
    inside = ((generated >= low) & (generated <= high)).all(1)
    return OrbitFinding(trial, truth, generated, low, high, int((~inside).sum()))


def one_run(traces: dict[str, np.ndarray]) -> int:
    """The rows of one free run in a record's orbits, at most POINTS."""
    starts = traces.get("runs", np.empty(0))
    return int(np.clip(starts[1], 2, POINTS)) if len(starts) > 1 else POINTS


def draw(finding: OrbitFinding, which: Series = "generated") -> go.Figure:
    """Draw one of the two orbits in the frame of the truth."""
    orbit, color = (finding.truth, "#000000") if which == "truth" else (finding.generated, theme.GROUPS[0])
    fig = theme.figure(380, legend=False)
    line = {"color": color, "width": 1.1}
    ranges = [[float(a), float(b)] for a, b in zip(finding.low, finding.high, strict=True)]
    common = {"mode": "lines", "showlegend": False, "hoverinfo": "skip"}
    if orbit.shape[1] == 3:
        small = {"tickfont": {"size": 10}, "nticks": 4}
        fig.add_scatter3d(x=orbit[:, 0], y=orbit[:, 1], z=orbit[:, 2], line=line | {"width": 2}, **common)
        axes = {
            f"{n}axis": {"range": r, "title": {"text": f"x{k}", "font": {"size": 12}}} | small
            for n, r, k in zip("xyz", ranges, "₁₂₃", strict=True)
        }
        eye = {"eye": {"x": 1.5, "y": -1.5, "z": 0.6}, "center": {"x": 0, "y": 0, "z": -0.12}}
        fig.update_layout(scene=axes | {"aspectmode": "cube", "camera": eye}, margin={"l": 0, "r": 0, "t": 4, "b": 4})
    elif orbit.shape[1] == 1:
        fig.add_scatter(x=np.arange(len(orbit)), y=orbit[:, 0], line=line, **common)
        fig.update_xaxes(title="step").update_yaxes(title="x₁", range=ranges[0])
    else:
        fig.add_scatter(x=orbit[:, 0], y=orbit[:, 1], line=line, **common)
        fig.update_xaxes(title="x₁", range=ranges[0]).update_yaxes(title="x₂", range=ranges[1])
    return fig
