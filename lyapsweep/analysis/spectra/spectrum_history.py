"""How does the spectrum of a network change during training? One line per record of one trial."""

from typing import NamedTuple

import numpy as np
import plotly.graph_objects as go
from plotly.colors import sample_colorscale

from lyapsweep.analysis.shared import theme
from lyapsweep.analysis.shared.rates import PER_STEP, step_times, unit
from lyapsweep.analysis.shared.selection import check_map, digits, final_row, require
from lyapsweep.results.table import Table


class SpectrumHistoryFinding(NamedTuple):
    """`exponents` and `stderr` (records, k) in `unit` at the updates `steps` (records,); NaN past the end.

    The axis is linear for exponents below `linear` and logarithmic beyond, inf: linear throughout.
    """

    trial: str
    map: str
    steps: np.ndarray
    exponents: np.ndarray
    stderr: np.ndarray
    linear: float
    unit: str = PER_STEP


def find(table: Table, trial: str, map: str) -> SpectrumHistoryFinding:
    """Collect the spectra of all records of one trial.

    Args:
        table: The trials of a sweep with spectra.
        trial: The id of the trial.
        map: The map of the spectra.

    Returns:
        A `SpectrumHistoryFinding`, the first update first.

    Raises:
        TooFew: With fewer than two records with a spectrum.
        UnknownName: If there is no such trial or map.

    Example:
        >>> import pandas as pd
        >>> frame = pd.DataFrame({"trial": "a", "step": [0, 9], "final": [False, True]})
        >>> found = find(Table(frame, {"driven": np.array([[-0.5], [-0.1]])}), "a", "driven")
        >>> found.steps, halfway(found)
        (array([0, 9]), 9)
    """
    check_map(table, map)
    final_row(table, trial)
    trials = table.frame["trial"].astype(str)
    rows = np.flatnonzero((trials == trial).to_numpy() & ~np.isnan(table.spectra[map]).all(1))
    require(len(rows), 2, f"records of trial {trial} with a spectrum ({map})")
    per = step_times(table)[rows, None]
    exponents = table.spectra[map][rows] / per
    held = int((~np.isnan(exponents)).any(axis=0).sum())  # networks of other trials may have more
    exponents = exponents[:, :held]
    errors = table.spectra_stderr.get(map)
    return SpectrumHistoryFinding(
        trial=trial,
        map=map,
        steps=table.frame["step"].to_numpy(int)[rows],
        exponents=exponents,
        stderr=np.full(exponents.shape, np.nan) if errors is None else errors[rows, :held] / per,
        linear=theme.linear_limit(exponents, np.empty(0)),
        unit=unit(table),
    )


def sentence(finding: SpectrumHistoryFinding) -> str:
    """State the largest exponent in the first and the last record, and when half of the change was complete."""
    first, last = (f"{digits(finding.exponents[i, 0])} ± {digits(finding.stderr[i, 0])}" for i in (0, -1))
    return (
        f"λ₁ of trial {finding.trial} ({finding.map}) changed from {first} at update {finding.steps[0]} to {last} "
        f"{finding.unit} at update {finding.steps[-1]}; half of the change of the whole spectrum was complete by "
        f"update {halfway(finding)}."
    )


def halfway(finding: SpectrumHistoryFinding) -> int:
    """The first update at which the spectrum is nearer to its last than to its first one (mean absolute distance)."""
    spectra = theme.symlog(finding.exponents, finding.linear)
    to_first, to_last = (np.nanmean(np.abs(spectra - spectra[i]), axis=1) for i in (0, -1))
    return int(finding.steps[np.argmax(to_last <= to_first)])


def draw(finding: SpectrumHistoryFinding) -> go.Figure:
    """Draw exponents against their index, later records lighter."""
    fig = theme.figure(420)
    index = np.arange(1, finding.exponents.shape[1] + 1)
    for i, step in enumerate(finding.steps):
        color = sample_colorscale(theme.SCALE, [0.92 * i / (len(finding.steps) - 1)])[0]
        fig.add_scatter(
            x=index,
            y=theme.symlog(finding.exponents[i], finding.linear),
            customdata=finding.exponents[i],
            mode="lines+markers",
            name=f"update {step}",
            line={"width": 1.6, "color": color},
            marker={"size": 4, "color": color},
            hovertemplate=f"update {step}<br>exponent %{{x}}: %{{customdata:.3g}}<extra></extra>",
        )
    fig.add_hline(y=0, line={"color": "#444", "width": 1})
    fig.update_xaxes(title="index of the exponent", **theme.index_ticks(index))
    fig.update_yaxes(
        title=f"λᵢ, {theme.plain(finding.map)} ({finding.unit})",
        **theme.symlog_ticks(finding.exponents, finding.linear),
    )
    return fig
