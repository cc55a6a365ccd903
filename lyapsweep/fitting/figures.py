"""Figures of a fit: forecasts with their interval, errors beside the baselines', exponents, attractors."""

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from lyapsweep.analysis.shared import theme
from lyapsweep.fitting.result import FitResult

PANELS = 3  # columns that are drawn


def forecast(found: FitResult) -> go.Figure:
    """One forecast of the test part: the truth, the mean over the seeds, and the 90 % interval."""
    each = found.forecasts
    shown = min(PANELS, len(each.names))
    start = int(
        np.argsort(np.square(each.networks.mean(axis=0) - each.targets).mean(axis=(1, 2)))[len(each.targets) // 2]
    )
    fig = theme.frame(
        make_subplots(shown, 1, shared_xaxes=True, vertical_spacing=0.04).update_layout(
            theme.figure(160 + 150 * shown).layout
        )
    )
    steps = np.arange(1, each.targets.shape[1] + 1) * found.analysis.dt
    blue = theme.colour(0)
    for j in range(shown):
        scaled = lambda values, j=j: values * each.std[j] + each.mean[j]  # noqa: E731
        low, high = scaled(each.low[start, :, j]), scaled(each.high[start, :, j])
        common = {"showlegend": j == 0, "mode": "lines", "hoverinfo": "skip"}
        line = {"width": 0, "color": blue}
        fig.add_scatter(x=steps, y=high, row=j + 1, col=1, line=line, **(common | {"showlegend": False}))
        fill = {"fill": "tonexty", "fillcolor": "rgba(0,114,178,0.2)", "name": "90 % interval over the seeds"}
        fig.add_scatter(x=steps, y=low, row=j + 1, col=1, line=line, **fill, **common)
        mean = scaled(each.networks[:, start, :, j].mean(axis=0))
        fig.add_scatter(
            x=steps, y=mean, row=j + 1, col=1, line={"color": blue, "width": 1.6}, name="networks", **common
        )
        truth = scaled(each.targets[start, :, j])
        fig.add_scatter(
            x=steps, y=truth, row=j + 1, col=1, line={"color": "black", "width": 1.2}, name="data", **common
        )
        lowest, highest = np.ptp(truth) * 0.3 * np.array([-1, 1]) + (truth.min(), truth.max())
        fig.update_yaxes(title=theme.plain(each.names[j]), range=[lowest, highest], row=j + 1, col=1)
    fig.update_xaxes(title="time ahead", row=shown, col=1)
    return fig


def errors(found: FitResult) -> go.Figure:
    """The error of the networks and of every baseline by the time ahead, with the limit of a valid forecast."""
    fig = theme.figure(380)
    for i, each in enumerate((found.forecasts.network, *found.forecasts.baselines)):
        steps = np.arange(1, len(each.curve) + 1) * found.analysis.dt
        line = {"color": theme.colour(i), "width": 2.2 if i == 0 else 1.3, "dash": "solid" if i == 0 else "dash"}
        fig.add_scatter(x=steps, y=np.minimum(each.curve, 10), mode="lines", line=line, name=each.name)
    theme.horizontal_line(fig, 0.4, "0.4: a forecast ends", log=True)
    fig.update_yaxes(type="log", title="error in standard deviations")
    fig.update_xaxes(title="time ahead")
    return fig


def exponents(found: FitResult) -> go.Figure:
    """Exponents of the networks of the best setting, and the interval of the data's largest."""
    fig, dt = theme.figure(360), found.analysis.dt
    low, high = found.analysis.lambda_interval
    if np.isfinite(low):
        fig.add_hrect(y0=low, y1=high, fillcolor=theme.GROUPS[4], opacity=0.5, line_width=0, layer="below")
        theme.note(
            fig,
            "largest exponent of the data, 95 % interval",
            x=1,
            xref="x domain",
            xanchor="right",
            y=high,
            yanchor="bottom",
        )
    for i, record in enumerate(found.records):
        if record.spectrum is None:
            continue
        shown = record.spectrum.exponents[:6] / dt
        error = {"type": "data", "array": 2 * np.nan_to_num(record.spectrum.stderr[:6]) / dt}
        x, marker = np.arange(1, len(shown) + 1) + 0.08 * (i - 1), {"color": theme.colour(i), "size": 8}
        fig.add_scatter(x=x, y=shown, mode="markers", marker=marker, error_y=error, name=f"seed {record.config.seed}")
    fig.add_hline(y=0, line={"color": "#444", "width": 1})
    fig.update_xaxes(title="index of the exponent", dtick=1)
    fig.update_yaxes(title="nats per unit time")
    return fig
