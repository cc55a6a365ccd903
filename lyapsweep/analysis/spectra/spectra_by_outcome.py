"""What do the spectra of good and bad trials look like? Exponent against index, one line per trial."""

from typing import NamedTuple

import numpy as np
import plotly.graph_objects as go
from plotly.colors import sample_colorscale

from lyapsweep.analysis.shared import theme
from lyapsweep.analysis.shared.axis import wide
from lyapsweep.analysis.shared.rates import step_times, timed, unit
from lyapsweep.analysis.shared.selection import (
    Direction,
    check_map,
    digits,
    direction,
    distinct,
    ended_trials,
    label,
    require,
)
from lyapsweep.results.table import Table

TRUTH = "system"
MOST_LINES = 400  # in a figure; of more trials a sample is drawn, evenly spaced in the order of their scores


class SpectraByOutcomeFinding(NamedTuple):
    """`exponents` (trials, k), NaN past a spectrum's end, -inf for annihilated directions; `values` (trials,).

    `unit` is "nats per unit time" if the time of a step is known, else "nats per step". `truth` are the exponents of
    the data's own dynamics in that unit, as many as are known. `quality` (trials,) in [0, 1] is the position of a value
    between the worst (0) and the best (1) finite one, NaN if the trial was lost. The axis is linear for exponents below
    `linear` and logarithmic beyond (inf: linear throughout), so that strong contraction does not hide values near zero.
    """

    map: str
    column: str
    direction: Direction
    trials: tuple[str, ...]
    exponents: np.ndarray
    values: np.ndarray
    quality: np.ndarray
    truth: np.ndarray
    unit: str
    log_value: bool
    linear: float


def find(table: Table, column: str, map: str = "closed loop") -> SpectraByOutcomeFinding:
    """Collect the spectra of the trials that ended, with a measure.

    Args:
        table: The trials of a sweep with spectra.
        column: The measure, such as `measures/loss`.
        map: The map of the spectra.

    Returns:
        A `SpectraByOutcomeFinding`.

    Raises:
        TooFew: If no trial has both.
        UnknownName: If a map or column does not exist.

    Example:
        >>> import pandas as pd
        >>> frame = pd.DataFrame({"trial": ["a", "b"], "step": 9, "outcome": "finished", "final": True})
        >>> spectra = {"driven": np.array([[0.0, -1.0], [-0.5, -2.0]])}
        >>> find(Table(frame.assign(**{"measures/loss": [0.2, 0.8]}), spectra), "measures/loss", "driven").quality
        array([1., 0.])
    """
    check_map(table, map)
    trials = ended_trials(table, column)
    spectra = trials.table.spectra[map]
    rows = ~np.isnan(spectra).all(1) & ~np.isnan(trials.values)
    require(int(rows.sum()), 1, f"trials with a spectrum and a value of {column}")
    exponents = spectra[rows] / step_times(trials.table)[rows, None]
    values, truth = trials.values[rows], known_exponents(table, timed(trials.table))
    log_value = wide(values)
    return SpectraByOutcomeFinding(
        map=map,
        column=column,
        direction=direction(table, column),
        trials=tuple(trials.table.frame["trial"].astype(str)[rows]),
        exponents=exponents,
        values=values,
        quality=qualities(values, direction(table, column), log_value),
        truth=truth,
        unit=unit(trials.table),
        log_value=log_value,
        linear=theme.linear_limit(exponents, truth),
    )


def known_exponents(table: Table, per_time: bool) -> np.ndarray:
    """The system's spectrum from a record, or the data's largest exponent; empty if unknown or data sets differ."""
    steps = distinct(table, "data/dt", most=1) if per_time else [1.0]
    if len(steps) != 1 or len(distinct(table, "data/lambda_max")) > 1:
        return np.empty(0)
    if TRUTH in table.spectra:
        known = table.spectra[TRUTH]
        known = known[~np.isnan(known).all(1)]
        if len(known):
            return known[-1][~np.isnan(known[-1])] / steps[0]
    return np.array(distinct(table, "data/lambda_max", most=1)) / steps[0]


def qualities(values: np.ndarray, better: Direction, log: bool) -> np.ndarray:
    """The position of each value between the worst (0) and the best (1) finite one."""
    finite = np.isfinite(values)
    scaled = np.log(np.where(finite, values, 1.0)) if log else np.where(finite, values, 0.0)
    low, high = (scaled[finite].min(), scaled[finite].max()) if finite.any() else (0.0, 1.0)
    share = (scaled - low) / (high - low) if high > low else np.full(len(values), 0.5)
    return np.where(finite, 1 - share if better == "minimise" else share, np.nan)


def draw(finding: SpectraByOutcomeFinding) -> go.Figure:
    """Draw one line per trial, better ones lighter and on top, lost ones grey, the data's own exponents black."""
    fig = theme.figure(440)
    index = np.arange(1, finding.exponents.shape[1] + 1)
    for i in drawn_trials(finding):
        lost = np.isnan(finding.quality[i])
        score = "lost" if lost else digits(float(finding.values[i]))
        color = "#c8c8c8" if lost else sample_colorscale(theme.SCALE, [0.92 * float(finding.quality[i])])[0]
        fig.add_scatter(
            x=index,
            y=theme.symlog(finding.exponents[i], finding.linear),
            customdata=finding.exponents[i],
            mode="lines+markers",
            line={"width": 1.2, "color": color},
            marker={"size": 3.5, "color": color},
            showlegend=False,
            hovertemplate=f"trial {theme.plain(finding.trials[i])}, {score}"
            "<br>exponent %{x}: %{customdata:.3g}<extra></extra>",
        )
    if finding.truth.size:
        fig.add_scatter(
            x=np.arange(1, len(finding.truth) + 1),
            y=theme.symlog(finding.truth, finding.linear),
            mode="lines+markers",
            name="the data's own dynamics",
            line={"color": "black", "width": 2, "dash": "dot"},
            marker={"symbol": "star-diamond", "size": 11, "color": "black", "line": {"color": "white", "width": 1}},
        )
    draw_scale(fig, finding)
    fig.add_hline(y=0, line={"color": "#444", "width": 1})
    fig.update_xaxes(
        title="index of the exponent",
        **theme.index_ticks(index),
        range=[0.4, max(len(index), len(finding.truth)) + 0.6],
    )
    fig.update_yaxes(
        title=f"λᵢ, {theme.plain(finding.map)} ({finding.unit})",
        **theme.symlog_ticks(np.append(finding.exponents, finding.truth), finding.linear),
    )
    return fig


def drawn_trials(finding: SpectraByOutcomeFinding) -> np.ndarray:
    """The trials drawn as lines, lost ones first and the best last."""
    order = np.argsort(np.nan_to_num(finding.quality, nan=-1.0), kind="stable")
    return order[np.linspace(0, len(order) - 1, min(len(order), MOST_LINES)).round().astype(int)]


def draw_scale(fig: go.Figure, finding: SpectraByOutcomeFinding) -> None:
    """The colour bar in values of the measure, attached to an invisible point."""
    finite = finding.values[np.isfinite(finding.values)]
    if not finite.size or finite.min() == finite.max():
        return
    ticks = (np.geomspace if finding.log_value else np.linspace)(finite.min(), finite.max(), 5)
    marker = {
        "color": [0.0],
        "cmin": 0,
        "cmax": 1,
        "colorscale": theme.SCALE,
        "reversescale": finding.direction == "minimise",
        "showscale": True,
        "colorbar": theme.colour_bar(label(finding.column), ticks),
    }
    fig.add_scatter(x=[None], y=[None], mode="markers", showlegend=False, hoverinfo="skip", marker=marker)
