"""How do neighbouring orbits of a recorded series diverge, and where exponentially? Two curves and their fits."""

import math
from pathlib import Path
from typing import NamedTuple

import numpy as np
import plotly.graph_objects as go

from lyapsweep.analysis.shared import theme
from lyapsweep.analysis.shared.selection import digits
from lyapsweep.timeseries import Estimate


class DivergenceCurvesFinding(NamedTuple):
    """Curves S(k) against time. `lines` are (first time, last time, S there, S there, name) of the linear ranges.

    `slope` is lambda_max of the tangent maps per unit time, drawn through the middle of the first line.
    """

    title: str
    times: np.ndarray
    curves: tuple[tuple[str, np.ndarray], ...]
    lines: tuple[tuple[float, float, float, float, str] | None, ...]
    slope: float
    ceiling: float
    predictability_time: float  # in units of time, NaN without evidence of chaos


def find(estimate: Estimate, what: str, dt: float) -> DivergenceCurvesFinding:
    """Collect the curves of one estimate; `what` names the series, `dt` is the time between samples."""
    curves, lines = tuple((c.name, c.mean) for c in estimate.curves), []
    for curve, line in zip(estimate.curves, estimate.lines):
        if line is None:
            lines.append(None)
            continue
        ends = [line.level + line.slope * k for k in (line.first, line.last)]
        name = f"{curve.name}: {digits(line.slope / dt)} in [{digits(line.low / dt)}, {digits(line.high / dt)}]"
        lines.append((line.first * dt, line.last * dt, *ends, name))
    text = f"λ_max = {digits(estimate.exponent / dt)} in [{digits(estimate.low / dt)}, {digits(estimate.high / dt)}]"
    return DivergenceCurvesFinding(
        title=f"{what}: {text if estimate.chaotic else estimate.verdict}",
        times=np.arange(len(curves[0][1])) * dt,
        curves=curves,
        lines=tuple(lines),
        slope=estimate.exponent / dt,
        ceiling=estimate.curves[0].ceiling,
        predictability_time=estimate.predictability_time * dt,
    )


def draw(finding: DivergenceCurvesFinding) -> go.Figure:
    """Draw both curves, their linear ranges, the distance of unrelated states, and the slope of lambda_max."""
    fig = theme.figure(520)
    hover = "%{x:.4g}: %{y:.4g}<extra></extra>"
    for i, ((name, values), line) in enumerate(zip(finding.curves, finding.lines)):
        thin = {"color": theme.colour(i), "width": 1.6}
        fig.add_scatter(x=finding.times, y=values, name=name, mode="lines", line=thin, hovertemplate=hover)
        if line is not None:
            thick = {"color": theme.colour(i), "width": 5}
            fig.add_scatter(
                x=line[:2], y=line[2:4], name=f"linear range, {line[4]}", mode="lines", line=thick, opacity=0.5
            )
    found = next((line for line in finding.lines if line is not None), None)
    if found is not None:
        x, middle = np.array(found[:2]), (found[2] + found[3]) / 2
        y = middle + finding.slope * (x - x.mean())
        dashed = {"color": theme.GREY, "width": 1.4, "dash": "dash"}
        fig.add_scatter(x=x, y=y, name="slope of λ_max from tangent maps", mode="lines", line=dashed)
    theme.horizontal_line(fig, finding.ceiling, "unrelated states", log=False)
    if not math.isnan(finding.predictability_time):
        theme.vertical_line(
            fig, finding.predictability_time, f"tau_pred = {digits(finding.predictability_time)}", log=False
        )
    fig.update_layout(title={"text": theme.plain(finding.title), "font": {"size": 15}}, margin_t=120)
    fig.update_xaxes(title="time", range=[0, finding.times[-1]])
    fig.update_yaxes(title="S: mean log distance of neighbours, standard deviations")
    return fig


def save(finding: DivergenceCurvesFinding, path: Path) -> None:
    """Write one self-contained HTML file."""
    draw(finding).write_html(path, include_plotlyjs=True)
