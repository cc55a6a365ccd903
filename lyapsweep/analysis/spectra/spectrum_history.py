"""How does the spectrum of a network form while it is trained? One line a record of one trial."""

from typing import NamedTuple

import numpy as np
import plotly.graph_objects as go
from plotly.colors import sample_colorscale

from lyapsweep.analysis.shared import theme
from lyapsweep.analysis.shared.selection import digits, require
from lyapsweep.analysis.spectra.spectra_by_outcome import bent, decades_of, linear_below
from lyapsweep.registry import unknown
from lyapsweep.results.table import Table


class SpectrumHistoryFinding(NamedTuple):
    """`exponents` and `stderr` (records, k), nats per step, at the updates `steps` (records,); NaN past the end.

    `linear` is the size of exponents below which the axis is linear, as in `spectra`.
    """

    trial: str
    map: str
    steps: np.ndarray
    exponents: np.ndarray
    stderr: np.ndarray
    linear: float


def find(table: Table, trial: str, map: str) -> SpectrumHistoryFinding:
    """The spectra of every record of `trial`, the first update first.

    Raises `UnknownName` where there is no such trial or map, `TooFew` with less than two records with a spectrum.
    """
    if map not in table.spectra:
        raise unknown("map with a spectrum", map, list(table.spectra), "table")
    trials = table.frame["trial"].astype(str)
    if trial not in set(trials):
        raise unknown("trial", trial, sorted(set(trials)), "table")
    rows = np.flatnonzero((trials == trial).to_numpy() & ~np.isnan(table.spectra[map]).all(1))
    require(len(rows), 2, f"records of trial {trial} with a spectrum ({map})")
    exponents = table.spectra[map][rows]
    errors = table.spectra_stderr.get(map)
    return SpectrumHistoryFinding(
        trial=trial,
        map=map,
        steps=table.frame["step"].to_numpy(int)[rows],
        exponents=exponents,
        stderr=np.full(exponents.shape, np.nan) if errors is None else errors[rows],
        linear=linear_below(exponents, np.empty(0)),
    )


def sentence(finding: SpectrumHistoryFinding) -> str:
    """Where the largest exponent stood at the first and the last of these records, with standard errors."""
    first, last = (f"{digits(finding.exponents[i, 0])} ± {digits(finding.stderr[i, 0])}" for i in (0, -1))
    return (
        f"λ₁ of trial {finding.trial} ({finding.map}) went from {first} at update {finding.steps[0]} to {last} nats "
        f"per step at update {finding.steps[-1]}; half of the way of the whole spectrum was done by update "
        f"{halfway(finding)}."
    )


def halfway(finding: SpectrumHistoryFinding) -> int:
    """The first update by which the spectrum is nearer to its last than to its first form (mean absolute distance)."""
    bends = bent(finding.exponents, finding.linear)
    apart = lambda i: np.nanmean(np.abs(bends - bends[i]), axis=1)  # noqa: E731
    return int(finding.steps[np.argmax(apart(-1) <= apart(0))])


def draw(finding: SpectrumHistoryFinding) -> go.Figure:
    """Exponent against index, the later the lighter."""
    fig = theme.figure(420)
    index = np.arange(1, finding.exponents.shape[1] + 1)
    for i, step in enumerate(finding.steps):
        tint = sample_colorscale(theme.SCALE, [0.92 * i / (len(finding.steps) - 1)])[0]
        fig.add_scatter(
            x=index,
            y=bent(finding.exponents[i], finding.linear),
            customdata=finding.exponents[i],
            mode="lines+markers",
            name=f"update {step}",
            line={"width": 1.6, "color": tint},
            marker={"size": 4, "color": tint},
            hovertemplate=f"update {step}<br>exponent %{{x}}: %{{customdata:.3g}}<extra></extra>",
        )
    fig.add_hline(y=0, line={"color": "#444", "width": 1})
    fig.update_xaxes(title="index of the exponent", tickformat="d")
    fig.update_yaxes(
        title=f"λᵢ, {theme.plain(finding.map)} (nats per step)", **decades_of(finding.exponents, finding.linear)
    )
    return fig
