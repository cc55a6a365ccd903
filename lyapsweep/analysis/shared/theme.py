"""The look of all figures: colours for every colour vision, one layout, labelled lines, files."""

import html
import math
import re
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import plotly.graph_objects as go

from lyapsweep.analysis.shared.selection import digits

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Okabe and Ito (2008), Color Universal Design: distinct under every common colour vision deficiency.
GROUPS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "triangle-down", "pentagon")
DASHES = ("solid", "dash", "dot")
SCALE = "Viridis"  # perceptually uniform
DIVERGING = ((0.0, "#0072B2"), (0.5, "#F7F7F7"), (1.0, "#D55E00"))
GREY, RULE, PALE, LIGHT = "#6b6b6b", "#e6e6e6", "#d9d9d9", "#d0d0d0"
FONT = {"family": "system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif", "size": 13, "color": "#222"}


def colour(i: int) -> str:
    return GROUPS[i % len(GROUPS)]


def symbol(i: int) -> str:
    return SYMBOLS[i % len(SYMBOLS)]


def dash(i: int) -> str:
    """Solid for the first cycle of colours."""
    return DASHES[i // len(GROUPS) % len(DASHES)]


def plain(text: object) -> str:
    """Escape text for plotly, which reads tags in it; known symbols get their subscripts."""
    return subscripts(html.escape(str(text), quote=False))


def subscripts(escaped: str) -> str:
    """Set D_stsp, D_H, D_KY and λ_max with subscripts; other words are unchanged."""
    return re.sub(r"\b(D_stsp|D_H|D_KY|λ_max)\b", lambda m: m[0].replace("_", "<sub>") + "</sub>", escaped)


def figure(height: int = 420, legend: bool = True) -> go.Figure:
    """An empty figure: white, thin grid lines, as wide as the page, the legend above the plot."""
    fig = go.Figure()
    fig.update_layout(
        template="none",
        height=height,
        font=FONT,
        margin={"l": 64, "r": 16, "t": 48 if legend else 12, "b": 60},
        legend={"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "xanchor": "left"},
        hovermode="closest",
        paper_bgcolor="white",
        plot_bgcolor="white",
    )
    return frame(fig)


def frame(fig: go.Figure) -> go.Figure:
    """Apply the axis style to every panel."""
    axis = {
        "title": {"font": {"size": 13}},
        "showline": True,
        "linecolor": "#444",
        "ticks": "outside",
        "tickcolor": "#444",
        "ticklen": 4,
    }
    fig.update_xaxes(**axis, gridcolor=RULE, zeroline=False, automargin=True)
    fig.update_yaxes(**axis, gridcolor=RULE, zeroline=False, automargin=True)
    return fig


def colour_bar(title: str, ticks: np.ndarray | None = None) -> dict[str, Any]:
    """Plotly's colour bar; with `ticks`, values that label a scale from 0 to 1 at equal distances."""
    bar = {"title": {"text": plain(title), "side": "right"}, "thickness": 14}
    if ticks is None:
        return bar
    return bar | {"tickvals": np.linspace(0, 1, len(ticks)), "ticktext": [digits(t) for t in ticks]}


def grey(cells: np.ndarray) -> dict[str, Any]:
    """Plotly's arguments for a heatmap that is grey where `cells` is true."""
    scale = {"colorscale": [[0, LIGHT], [1, LIGHT]], "showscale": False, "hoverinfo": "skip"}
    return {"z": np.where(cells, 1.0, np.nan)} | scale


def error_bars(value: np.ndarray, low: np.ndarray, high: np.ndarray, **style: object) -> dict[str, Any]:
    """Plotly's error bars of values with the interval [low, high]."""
    bars = {"array": np.maximum(high - value, 0), "arrayminus": np.maximum(value - low, 0)}
    return bars | {"symmetric": False, "thickness": 1.2, "color": GREY} | style


def bold(text: str, significant: bool | np.ndarray) -> str:
    """Set a significant number in bold."""
    return f"<b>{text}</b>" if significant else text


def correlation_matrix(
    rows: Sequence[str], columns: Sequence[str], rho: np.ndarray, text: np.ndarray, hover: str, height: int
) -> go.Figure:
    """A matrix of correlations as a heatmap, the first row on top, with `text` (rows, columns) in its cells.

    `hover` is plotly's template that names a cell by its row %{y} and its column %{x}.
    """
    fig = figure(height, legend=False)
    fig.add_heatmap(
        x=list(columns),
        y=list(rows),
        z=rho,
        text=text,
        texttemplate="%{text}",
        textfont={"size": 11.5},
        colorscale=DIVERGING,
        zmin=-1,
        zmax=1,
        xgap=1,
        ygap=1,
        colorbar={"title": {"text": "ρ"}, "thickness": 14},
        hovertemplate=f"{hover}: ρ = %{{z:.2f}}<extra></extra>",
    )
    fig.update_xaxes(type="category", showgrid=False)
    fig.update_yaxes(type="category", showgrid=False, autorange="reversed")
    return fig


def index_ticks(index: np.ndarray, most: int = 12) -> dict[str, Any]:
    """Ticks of an axis of whole numbers: each of a few, else round ones."""
    return {"tickvals": index} if len(index) <= most else {"tickformat": "d"}


def vertical_line(fig: go.Figure, x: float, text: str, log: bool, left: bool = False) -> None:
    """A dashed vertical line with its label beside it (annotations on logarithmic axes are placed by log10)."""
    side = {"xanchor": "right", "xshift": -3} if left else {"xanchor": "left", "xshift": 3}
    fig.add_shape(
        type="line", x0=x, x1=x, y0=0, y1=1, yref="y domain", line={"color": GREY, "width": 1.2, "dash": "dash"}
    )
    note(fig, text, x=math.log10(x) if log else x, y=1, yref="y domain", yanchor="top", **side)


def horizontal_line(fig: go.Figure, y: float, text: str, log: bool, below: bool = False) -> None:
    """A dotted horizontal line with its label at its right end, above it or below."""
    fig.add_shape(
        type="line", x0=0, x1=1, y0=y, y1=y, xref="x domain", line={"color": GREY, "width": 1.2, "dash": "dot"}
    )
    note(
        fig,
        text,
        x=1,
        y=math.log10(y) if log else y,
        xref="x domain",
        xanchor="right",
        yanchor="top" if below else "bottom",
    )


def note(fig: go.Figure, text: str, **where: object) -> None:
    """Small grey text inside the plot, legible over lines."""
    font = {"size": 11.5, "color": GREY}
    fig.add_annotation(text=plain(text), showarrow=False, font=font, bgcolor="rgba(255,255,255,0.8)", **where)


def headline(text: str, width: int = 125) -> dict[str, object]:
    """A figure's title, left-aligned and wrapped at `width` characters."""
    lines = "<br>".join(textwrap.wrap(plain(text), width))
    return {"text": lines, "font": {"size": 13}, "x": 0.01, "xanchor": "left", "y": 0.98, "yanchor": "top"}


def log_ticks(values: np.ndarray, log: bool) -> dict[str, object]:
    """Ticks of a colour bar whose colours are the log10 of `values`, labelled with the values."""
    if not log:
        return {}
    logs = np.log10(values[np.isfinite(values)])
    ticks = np.linspace(logs.min(), logs.max(), 5)
    return {"tickvals": ticks, "ticktext": [digits(10**t) for t in ticks]}


def save(
    path: Path,
    draw: Callable[[], go.Figure],
    plot: Callable[["Figure"], None],
    size: tuple[float, float],
    dpi: int = 150,
) -> None:
    """Write a figure as one .html file by plotly, or as .png or .svg by matplotlib, which needs no browser."""
    if path.suffix.lower() == ".html":
        draw().write_html(path, include_plotlyjs=True)
        return
    from matplotlib.figure import Figure

    page = Figure(figsize=size, layout="constrained", dpi=dpi)
    plot(page)
    page.savefig(path)


def linear_limit(exponents: np.ndarray, truth: np.ndarray, most: float = 50.0) -> float:
    """The power of ten below the typical leading exponent if others exceed it more than `most` times, else inf."""
    leading = np.abs(truth[:1] if truth.size else exponents[:, 0])
    leading = leading[np.isfinite(leading) & (leading > 0)]
    sizes = np.abs(exponents[np.isfinite(exponents)])
    if not leading.size or not sizes.size or sizes.max() <= most * np.median(leading):
        return np.inf
    return float(10.0 ** np.floor(np.log10(np.median(leading))))


def symlog(values: np.ndarray, linear: float) -> np.ndarray:
    """sign(v) log10(1 + |v| / linear): linear near zero, logarithmic beyond; the identity if linear is inf."""
    values = np.where(np.isfinite(values), values, np.nan)
    return values if np.isinf(linear) else np.sign(values) * np.log10(1 + np.abs(values) / linear)


def symlog_ticks(values: np.ndarray, linear: float) -> dict[str, Any]:
    """Ticks of a `symlog` axis: zero, and powers of ten on either side up to the largest values."""
    if np.isinf(linear):
        return {}
    finite = values[np.isfinite(values)]
    powers = linear * 10.0 ** np.arange(8)
    below, above = powers[powers <= -finite.min()], powers[powers <= finite.max()]
    ticks = np.concatenate([-below[::-1], [0.0], above])
    return {"tickvals": symlog(ticks, linear), "ticktext": [digits(t) for t in ticks]}
