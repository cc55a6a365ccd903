"""How findings are painted: colours that everybody can tell apart, one layout, lines with their names on them."""

import html
import math
import re
import textwrap
from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

# Okabe and Ito (2008), Color Universal Design: distinct under every common colour vision deficiency.
GROUPS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "triangle-down", "pentagon")
DASHES = ("solid", "dash", "dot")
SCALE = "Viridis"  # perceptually uniform
DIVERGING = ((0.0, "#0072B2"), (0.5, "#F7F7F7"), (1.0, "#D55E00"))
GREY, RULE = "#6b6b6b", "#e6e6e6"
FONT = {"family": "system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif", "size": 13, "color": "#222"}


def colour(i: int) -> str:
    return GROUPS[i % len(GROUPS)]


def symbol(i: int) -> str:
    return SYMBOLS[i % len(SYMBOLS)]


def dash(i: int) -> str:
    """Solid until the colours are used up."""
    return DASHES[i // len(GROUPS) % len(DASHES)]


def plain(text: object) -> str:
    """Text that a figure shows as it is: plotly would read tags in it. Our own symbols get their subscripts."""
    return subscripts(html.escape(str(text), quote=False))


def subscripts(escaped: str) -> str:
    """D_stsp, D_H, D_KY and λ_max as they are printed in papers; no other word is touched."""
    return re.sub(r"\b(D_stsp|D_H|D_KY|λ_max)\b", lambda m: m[0].replace("_", "<sub>") + "</sub>", escaped)


def figure(height: int = 420, legend: bool = True) -> go.Figure:
    """An empty figure in the house layout: white, thin rules, as wide as the page.

    The legend stands above the plot so that a narrow page keeps its width.
    """
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
    """The house's axes, on every panel."""
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


def correlations(
    rows: Sequence[str], columns: Sequence[str], rho: np.ndarray, text: np.ndarray, hover: str, height: int
) -> go.Figure:
    """A matrix of correlations by colour, the first row on top, `text` (rows, columns) in its cells.

    `hover` is plotly's template of what a cell is: %{y} its row, %{x} its column.
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


def mark_x(fig: go.Figure, x: float, text: str, log: bool, left: bool = False) -> None:
    """A dashed vertical line with its name beside it (annotations on logarithmic axes count in decades)."""
    side = {"xanchor": "right", "xshift": -3} if left else {"xanchor": "left", "xshift": 3}
    fig.add_shape(
        type="line", x0=x, x1=x, y0=0, y1=1, yref="y domain", line={"color": GREY, "width": 1.2, "dash": "dash"}
    )
    note(fig, text, x=math.log10(x) if log else x, y=1, yref="y domain", yanchor="top", **side)


def mark_y(fig: go.Figure, y: float, text: str, log: bool) -> None:
    """A dotted horizontal line with its name at its right end."""
    fig.add_shape(
        type="line", x0=0, x1=1, y0=y, y1=y, xref="x domain", line={"color": GREY, "width": 1.2, "dash": "dot"}
    )
    note(fig, text, x=1, y=math.log10(y) if log else y, xref="x domain", xanchor="right", yanchor="bottom")


def note(fig: go.Figure, text: str, **where: object) -> None:
    """Small grey words inside the plot, legible over lines."""
    font = {"size": 11.5, "color": GREY}
    fig.add_annotation(text=plain(text), showarrow=False, font=font, bgcolor="rgba(255,255,255,0.8)", **where)


def headline(text: str, width: int = 125) -> dict[str, object]:
    """A figure's title: words in lines of at most `width` letters, from the left."""
    lines = "<br>".join(textwrap.wrap(plain(text), width))
    return {"text": lines, "font": {"size": 13}, "x": 0.01, "xanchor": "left", "y": 0.98, "yanchor": "top"}
