"""Are the exponents of one network those of its data? Both spectra, with errors and Kaplan-Yorke dimensions."""

import json
import math
from typing import NamedTuple

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from lyapsweep.analysis.shared import theme
from lyapsweep.analysis.shared.selection import check_map, digits, final_row, require
from lyapsweep.dynamics.dimension import kaplan_yorke
from lyapsweep.results.table import Table

BEYOND = 2  # further exponents of the network than the data have that are drawn
SURE = 2.0  # standard errors beyond which two exponents differ
NEAR = 0.02  # of the exponent's size, below which a difference is not worth naming
SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")


class SpectrumBesideDataFinding(NamedTuple):
    """Exponents of a network and of its data in `unit`, largest first.

    `exponents` and `stderr` (k,) are the network's; `truth` (m,) are all that are known of the data's, with the
    standard error `truth_stderr` of the largest one. `differs` (min(k, m),) marks exponents that are further apart than
    `SURE` standard errors and `NEAR` of their size. `dimensions` are the Kaplan-Yorke dimensions of the network and of
    the data, NaN where too few exponents are known; `allowed` are those that the errors of the network's exponents
    allow, NaN where these are unknown.
    """

    trial: str
    map: str
    unit: str
    exponents: np.ndarray
    stderr: np.ndarray
    truth: np.ndarray
    truth_stderr: float
    differs: np.ndarray
    dimensions: tuple[float, float]
    allowed: tuple[float, float] = (math.nan, math.nan)


def find(table: Table, trial: str, map: str) -> SpectrumBesideDataFinding:
    """Take both spectra from the last record of a trial.

    Args:
        table: The trials of a sweep.
        trial: The id of the trial.
        map: The map of the network's spectrum.

    Returns:
        A `SpectrumBesideDataFinding`; `truth` is empty if nothing is known of the data's exponents.

    Raises:
        TooFew: If the trial has no finite spectrum of this map.
        UnknownName: If there is no such trial or map.

    Example:
        >>> import pandas as pd
        >>> data = {"data/dt": 0.5, "data/exponents": "[0.1, 0.0, -1.0]"}
        >>> frame = pd.DataFrame([{"trial": "a", "step": 9, "outcome": "finished", "final": True} | data])
        >>> spectra, errors = {"free": np.array([[0.11, 0.0, -2.0]])}, {"free": np.full((1, 3), 0.01)}
        >>> found = find(Table(frame, spectra, errors), "a", "free")
        >>> found.truth.tolist(), found.differs.tolist()
        ([0.2, 0.0, -2.0], [False, False, True])
    """
    check_map(table, map)
    row, finals = final_row(table, trial), table.finals
    cells = finals.frame.iloc[row]
    dt = as_number(cells.get("data/dt"))
    per = dt if dt > 0 else 1.0
    exponents, stderr = finals.spectra[map][row], finals.spectra_stderr[map][row]
    kept = ~np.isnan(exponents)
    require(int(kept.sum()), 1, f"exponents of trial {trial}")
    exponents, stderr, truth = exponents[kept] / per, stderr[kept] / per, known_exponents(cells) / per
    known = min(len(exponents), len(truth))
    truth_stderr = as_number(cells.get("data/lambda_stderr")) / per
    errors = np.hypot(stderr[:known], np.where(np.arange(known) == 0, np.nan_to_num(truth_stderr), 0.0))
    gaps = np.abs(exponents[:known] - truth[:known])
    name = f"spectra/{map}/kaplan_yorke"
    return SpectrumBesideDataFinding(
        trial=trial,
        map=map,
        unit="nats per unit time" if dt > 0 else "nats per step",
        exponents=exponents,
        stderr=stderr,
        truth=truth,
        truth_stderr=truth_stderr,
        differs=(gaps > SURE * np.nan_to_num(errors)) & (gaps > NEAR * np.abs(truth[:known])) & np.isfinite(errors),
        dimensions=(as_number(cells.get(name)), kaplan_yorke(truth, math.nan)),
        allowed=(as_number(cells.get(f"{name}/low")), as_number(cells.get(f"{name}/high"))),
    )


def as_number(cell: float | None) -> float:
    """A cell of a table; NaN where it is empty, as of data without a time step."""
    return math.nan if cell is None else float(cell)


def known_exponents(cells: pd.Series) -> np.ndarray:
    """All exponents of the data that a record knows, nats per sample."""
    whole, largest = cells.get("data/exponents"), cells.get("data/lambda_max")
    if isinstance(whole, str):
        return np.array(json.loads(whole), float)
    return np.empty(0) if largest is None or largest != largest else np.array([float(largest)])


def sentence(finding: SpectrumBesideDataFinding) -> str:
    """Which exponents agree with the data's, and both dimensions."""
    if not finding.truth.size:
        return "Nothing is known of the exponents of the data."
    pairs = list(zip(finding.exponents, finding.stderr, finding.truth, finding.differs))
    said = {True: "differs", False: "agrees within its error"}
    parts = [
        f"{name(i)} {digits(own)} ± {digits(error)}, of the data {digits(truth)}: {said[bool(differs)]}"
        for i, (own, error, truth, differs) in enumerate(pairs, start=1)
    ]
    text = f"In {finding.unit}: {'; '.join(parts)}."
    own, data = finding.dimensions
    if math.isfinite(own):
        of_data = f", of the data {digits(data)}" if math.isfinite(data) else ""
        text += f" Kaplan-Yorke dimension {dimension_text(finding)}{of_data}."
    return text


def dimension_text(finding: SpectrumBesideDataFinding) -> str:
    """The Kaplan-Yorke dimension of the network, with those that its errors allow."""
    low, high = finding.allowed
    within = f" ({digits(low)} to {digits(high)} within the errors)" if math.isfinite(low) else ""
    return digits(finding.dimensions[0]) + within


def name(index: int) -> str:
    return "λ" + str(index).translate(SUBSCRIPTS)


def draw(finding: SpectrumBesideDataFinding) -> go.Figure:
    """Draw the network's exponents with their 95 % intervals beside those of the data."""
    shown = slice(0, max(len(finding.truth), 1) + BEYOND)
    exponents, stderr = finding.exponents[shown], np.nan_to_num(finding.stderr[shown])
    finite = np.isfinite(exponents)
    limit = theme.linear_limit(np.append(exponents[finite], finding.truth)[None], finding.truth)
    fig = theme.figure(380)
    index = np.arange(1, len(exponents) + 1)
    middle, low, high = (theme.symlog(exponents + sign * 2 * stderr, limit) for sign in (0, -1, 1))
    if finding.truth.size:
        fig.add_scatter(
            x=np.arange(1, len(finding.truth) + 1) - 0.08,
            y=theme.symlog(finding.truth, limit),
            customdata=finding.truth,
            mode="markers",
            name="data",
            marker={"symbol": "star-diamond", "size": 11, "color": "black"},
            hovertemplate="data, exponent %{x:.0f}: %{customdata:.4g}<extra></extra>",
        )
    fig.add_scatter(
        x=index + 0.08,
        y=middle,
        customdata=np.stack([exponents, stderr], axis=1),
        error_y={"type": "data", "symmetric": False, "array": high - middle, "arrayminus": middle - low, "width": 4},
        mode="markers",
        name="network",
        marker={"size": 8, "color": theme.colour(0)},
        hovertemplate="network, exponent %{x:.0f}: %{customdata[0]:.4g} ± %{customdata[1]:.2g}<extra></extra>",
    )
    fig.add_hline(y=0, line={"color": "#444", "width": 1})
    fig.update_xaxes(title="index of the exponent", tickvals=index, ticktext=[name(i) for i in index.tolist()])
    fig.update_yaxes(
        title=f"{theme.plain(finding.map)} ({finding.unit})",
        **theme.symlog_ticks(np.append(exponents[finite], finding.truth), limit),
    )
    return fig
