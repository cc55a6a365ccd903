"""How did the best networks learn? Training loss and gradient norm over updates, one line per trial."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from lyapsweep.analysis.shared import theme
from lyapsweep.analysis.shared.selection import digits, named, require
from lyapsweep.results.best import rank_settings
from lyapsweep.results.table import Table

CURVES = {"loss": "training loss", "gradient_norm": "gradient norm before clipping"}
MOST_GROUPS, MOST_SEEDS = 7, 5
MOST_POINTS = 150  # of a line
SMOOTH = 0.02  # share of a curve over which a running median is taken


class TrainingCurvesFinding(NamedTuple):
    """Curves of the trials of the best setting of each group. Lists have one entry per trial.

    `updates` (points,), `loss` and `gradient_norm` (points,) are running medians, thinned; `group` is the position of
    the trial's group among `groups`, `final` its last training loss.
    """

    groups: tuple[str, ...]
    trials: tuple[str, ...]
    group: tuple[int, ...]
    updates: tuple[np.ndarray, ...]
    loss: tuple[np.ndarray, ...]
    gradient_norm: tuple[np.ndarray, ...]
    final: np.ndarray


def find(table: Table, column: str, groups: Sequence[str]) -> TrainingCurvesFinding:
    """Collect the curves of the best setting of each group.

    Args:
        table: The trials of a sweep, whose records hold the traces `updates`, `loss` and `gradient_norm`.
        column: The score by which settings are ranked.
        groups: Columns whose values, taken together, make a group.

    Returns:
        A `TrainingCurvesFinding`.

    Raises:
        TooFew: If no record of a best setting holds curves.
        UnknownName: If a column does not exist.

    Example:
        >>> import pandas as pd
        >>> frame = pd.DataFrame({"trial": ["a", "b"], "step": 9, "outcome": "finished", "final": True, "cell": "gru"})
        >>> curve = {"updates": np.arange(9), "loss": np.geomspace(1, 0.1, 9), "gradient_norm": np.ones(9)}
        >>> table = Table(frame.assign(**{"measures/loss": [0.1, 0.2]}), traces=[curve, {}])
        >>> found = find(table, "measures/loss", ["cell"])
        >>> found.trials, found.final.round(1)
        (('a',), array([0.1]))
    """
    finals = table.finals
    of, rows = named(finals, list(groups)), []
    for group in dict.fromkeys(of):
        best = rank_settings(table, column, of == group)[:1]
        rows += [(group, setting.rows[:MOST_SEEDS]) for setting in best]
    traces = finals.traces or [{}] * len(finals)
    known = [(group, i) for group, members in rows[:MOST_GROUPS] for i in members if len(traces[i].get("updates", ()))]
    require(len(known), 1, "records of the best settings with training curves")
    names = tuple(sorted({str(group) for group, _ in known}))  # in the order, and so the colours, of other figures
    curves = [{key: smoothed(traces[i], key) for key in CURVES} for _, i in known]
    return TrainingCurvesFinding(
        groups=names,
        trials=tuple(str(finals.frame["trial"].iloc[i]) for _, i in known),
        group=tuple(names.index(str(group)) for group, _ in known),
        updates=tuple(thinned(np.asarray(traces[i]["updates"])) for _, i in known),
        loss=tuple(each["loss"] for each in curves),
        gradient_norm=tuple(each["gradient_norm"] for each in curves),
        final=np.array([float(traces[i]["loss"][-1]) for _, i in known]),
    )


def smoothed(traces: dict[str, np.ndarray], name: str) -> np.ndarray:
    """A running median of a curve, thinned; NaN where the record does not hold it."""
    updates, values = traces["updates"], np.asarray(traces.get(name, ()), float)
    if len(values) != len(updates):
        return np.full(len(thinned(updates)), np.nan)
    half = int(SMOOTH * len(values) / 2)
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(values, half, mode="edge"), 2 * half + 1)
    return thinned(np.median(windows, axis=1))


def thinned(values: np.ndarray) -> np.ndarray:
    """Evenly picked values, first and last included."""
    return values[np.unique(np.linspace(0, len(values) - 1, min(len(values), MOST_POINTS)).astype(int))]


def sentence(finding: TrainingCurvesFinding) -> str:
    """The last training losses of each group."""
    parts = []
    for g, name in enumerate(finding.groups):
        final = finding.final[np.array(finding.group) == g]
        spread = f" ({digits(final.min())} to {digits(final.max())})" if len(final) > 1 else ""
        parts.append(f"{name} {digits(np.median(final))}{spread}")
    return f"Training loss at the last update, of the best setting of each group: {', '.join(parts)}."


def draw(finding: TrainingCurvesFinding) -> go.Figure:
    """Draw losses (left) and gradient norms (right) over updates, logarithmic, one colour per group."""
    fig = make_subplots(rows=1, cols=2, horizontal_spacing=0.12)
    fig.update_layout(theme.figure(400).layout)
    for col, (name, title) in enumerate(CURVES.items(), start=1):
        for k, trial in enumerate(finding.trials):
            g, group = finding.group[k], theme.plain(finding.groups[finding.group[k]])
            fig.add_scatter(
                x=finding.updates[k],
                y=getattr(finding, name)[k],
                mode="lines",
                name=group,
                legendgroup=group,
                showlegend=col == 1 and g not in finding.group[:k],
                line={"color": theme.colour(g), "width": 1.3, "dash": theme.dash(g)},
                opacity=0.8,
                hovertemplate=f"{group}, trial {theme.plain(trial)}<br>update %{{x}}: %{{y:.3g}}<extra></extra>",
                row=1,
                col=col,
            )
        fig.update_xaxes(title="update", row=1, col=col)
        fig.update_yaxes(title=title, type="log", exponentformat="none", row=1, col=col)
    return theme.frame(fig)
