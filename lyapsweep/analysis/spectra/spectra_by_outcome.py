"""What do whole spectra look like in good and in bad trials? Exponent against index, one line a trial."""

from typing import Any, NamedTuple

import numpy as np
import plotly.graph_objects as go
from plotly.colors import sample_colorscale

from lyapsweep.analysis.settings.axis import wide
from lyapsweep.analysis.settings.setting_curve import distinct
from lyapsweep.analysis.shared import theme
from lyapsweep.analysis.shared.selection import Direction, digits, direction, judged, label, require
from lyapsweep.registry import unknown
from lyapsweep.results.table import Table

TRUTH = "system"
MOST_LINES = 400  # in a figure: more trials than that are drawn by a sample, even in the order of their scores


class SpectraByOutcomeFinding(NamedTuple):
    """`exponents` (trials, k) with NaN past a spectrum's end and -inf for annihilated directions; `values` (trials,).

    `unit` is "nats per unit time" where the data say how long a step is, else "nats per step". `truth` are the
    exponents of the data's own dynamics in the same unit, as many as are known. `shade` (trials,) in [0, 1] is where a
    value lies between the worst (0) and the best (1) finite one, NaN where the trial was lost. `linear` is the size of
    exponents below which the axis is linear and beyond which it is logarithmic, inf where it is linear throughout:
    strongly contracting directions would otherwise flatten everything near zero.
    """

    map: str
    column: str
    direction: Direction
    trials: tuple[str, ...]
    exponents: np.ndarray
    values: np.ndarray
    shade: np.ndarray
    truth: np.ndarray
    unit: str
    log_value: bool
    linear: float


def find(table: Table, column: str, map: str = "closed loop") -> SpectraByOutcomeFinding:
    """Spectra of the trials that ended, with the measure `column` as their colour.

    Raises `UnknownName` for a map or column that is not there, `TooFew` where no trial has both.
    """
    if map not in table.spectra:
        raise unknown("map with a spectrum", map, list(table.spectra), "table")
    trials = judged(table, column)
    spectra = trials.table.spectra[map]
    rows = ~np.isnan(spectra).all(1) & ~np.isnan(trials.values)
    require(int(rows.sum()), 1, f"trials with a spectrum and a value of {column}")
    step = times(trials.table)
    timed = bool(np.isfinite(step[rows]).all())
    step = np.where(np.isfinite(step), step, 1.0) if timed else np.ones(len(step))
    values, exponents, truth = trials.values[rows], spectra[rows] / step[rows, None], truth_of(table, timed)
    log_value = wide(values)
    return SpectraByOutcomeFinding(
        map=map,
        column=column,
        direction=direction(table, column),
        trials=tuple(trials.table.frame["trial"].astype(str)[rows]),
        exponents=exponents,
        values=values,
        shade=shades(values, direction(table, column), log_value),
        truth=truth,
        unit="nats per unit time" if timed else "nats per step",
        log_value=log_value,
        linear=linear_below(exponents, truth),
    )


def linear_below(exponents: np.ndarray, truth: np.ndarray, most: float = 50.0) -> float:
    """The power of ten at the typical leading exponent where the others reach more than `most` times that far."""
    leading = np.abs(truth[:1] if truth.size else exponents[:, 0])
    leading = leading[np.isfinite(leading) & (leading > 0)]
    far = np.abs(exponents[np.isfinite(exponents)])
    if not leading.size or not far.size or far.max() <= most * np.median(leading):
        return np.inf
    return float(10.0 ** np.floor(np.log10(np.median(leading))))


def bent(values: np.ndarray, linear: float) -> np.ndarray:
    """sign(v) log10(1 + |v| / linear): linear near zero, logarithmic far from it; the identity where linear is inf."""
    values = np.where(np.isfinite(values), values, np.nan)
    return values if np.isinf(linear) else np.sign(values) * np.log10(1 + np.abs(values) / linear)


def times(table: Table) -> np.ndarray:
    """The time that one step takes, a row each; NaN where the data have no time."""
    if "data/dt" not in table.frame:
        return np.full(len(table), np.nan)
    return table.frame["data/dt"].astype(float).to_numpy()


def truth_of(table: Table, timed: bool) -> np.ndarray:
    """A spectrum of the system itself where a record holds one, else the data's largest exponent, else nothing.

    A table of several data sets has no one truth.
    """
    steps = distinct(table, "data/dt", most=1) if timed else [1.0]
    if len(steps) != 1 or len(distinct(table, "data/lambda_max")) > 1:
        return np.empty(0)
    if TRUTH in table.spectra:
        known = table.spectra[TRUTH]
        known = known[~np.isnan(known).all(1)]
        if len(known):
            return known[-1][~np.isnan(known[-1])] / steps[0]
    return np.array(distinct(table, "data/lambda_max", most=1)) / steps[0]


def shades(values: np.ndarray, better: Direction, log: bool) -> np.ndarray:
    finite = np.isfinite(values)
    scaled = np.log(np.where(finite, values, 1.0)) if log else np.where(finite, values, 0.0)
    low, high = (scaled[finite].min(), scaled[finite].max()) if finite.any() else (0.0, 1.0)
    share = (scaled - low) / (high - low) if high > low else np.full(len(values), 0.5)
    return np.where(finite, 1 - share if better == "minimise" else share, np.nan)


def draw(finding: SpectraByOutcomeFinding) -> go.Figure:
    """One line a trial, the better the lighter and the later painted; lost trials grey, the truth black."""
    fig = theme.figure(440)
    index = np.arange(1, finding.exponents.shape[1] + 1)
    for i in drawn(finding):
        lost = np.isnan(finding.shade[i])
        score = "lost" if lost else digits(float(finding.values[i]))
        tint = "#c8c8c8" if lost else sample_colorscale(theme.SCALE, [0.92 * float(finding.shade[i])])[0]
        fig.add_scatter(
            x=index,
            y=bent(finding.exponents[i], finding.linear),
            customdata=finding.exponents[i],
            mode="lines+markers",
            line={"width": 1.2, "color": tint},
            marker={"size": 3.5, "color": tint},
            showlegend=False,
            hovertemplate=f"trial {theme.plain(finding.trials[i])}, {score}"
            "<br>exponent %{x}: %{customdata:.3g}<extra></extra>",
        )
    if finding.truth.size:
        fig.add_scatter(
            x=np.arange(1, len(finding.truth) + 1),
            y=bent(finding.truth, finding.linear),
            mode="lines+markers",
            name="the data's own dynamics",
            line={"color": "black", "width": 2, "dash": "dot"},
            marker={"symbol": "star-diamond", "size": 11, "color": "black", "line": {"color": "white", "width": 1}},
        )
    draw_scale(fig, finding)
    fig.add_hline(y=0, line={"color": "#444", "width": 1})
    fig.update_xaxes(title="index of the exponent", tickformat="d", range=[0.4, longest(finding) + 0.6])
    fig.update_yaxes(title=f"λᵢ, {theme.plain(finding.map)} ({finding.unit})", **decades(finding))
    return fig


def drawn(finding: SpectraByOutcomeFinding) -> np.ndarray:
    """The trials that get a line, the lost first and the best last."""
    order = np.argsort(np.nan_to_num(finding.shade, nan=-1.0), kind="stable")
    return order[np.linspace(0, len(order) - 1, min(len(order), MOST_LINES)).round().astype(int)]


def decades(finding: SpectraByOutcomeFinding) -> dict[str, Any]:
    return decades_of(np.append(finding.exponents, finding.truth), finding.linear)


def decades_of(drawn: np.ndarray, linear: float) -> dict[str, Any]:
    """Ticks of a bent axis: zero and powers of ten on either side as far as the exponents reach."""
    if np.isinf(linear):
        return {}
    finite = drawn[np.isfinite(drawn)]
    powers = linear * 10.0 ** np.arange(8)
    below, above = powers[powers <= -finite.min()], powers[powers <= finite.max()]
    ticks = np.concatenate([-below[::-1], [0.0], above])
    return {"tickvals": bent(ticks, linear), "ticktext": [digits(t) for t in ticks]}


def longest(finding: SpectraByOutcomeFinding) -> int:
    return max(finding.exponents.shape[1], len(finding.truth))


def draw_scale(fig: go.Figure, finding: SpectraByOutcomeFinding) -> None:
    """The colour bar: an invisible point that carries the scale in the measure's own numbers."""
    finite = finding.values[np.isfinite(finding.values)]
    if not finite.size or finite.min() == finite.max():
        return
    shown = np.linspace(0, 1, 5)
    low, high = finite.min(), finite.max()
    ticks = low * (high / low) ** shown if finding.log_value else low + (high - low) * shown
    good_low = finding.direction == "minimise"
    fig.add_scatter(
        x=[None],
        y=[None],
        mode="markers",
        showlegend=False,
        hoverinfo="skip",
        marker={
            "color": [0.0],
            "cmin": 0,
            "cmax": 1,
            "colorscale": theme.SCALE,
            "reversescale": good_low,
            "showscale": True,
            "colorbar": {
                "title": {"text": theme.plain(label(finding.column)), "side": "right"},
                "tickvals": shown,
                "ticktext": [digits(t) for t in ticks],
                "thickness": 14,
            },
        },
    )
