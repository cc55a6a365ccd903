"""How do the exponents of one map decrease, and where does their sum cross zero?"""

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from lyapsweep.analysis.shared import theme
from lyapsweep.analysis.shared.selection import digits
from lyapsweep.dynamics.spectrum import Spectrum

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INDEX, BARS, SUMS = "index of the exponent", "λᵢ ± standard error", "λ₁ + ... + λᵢ"
CROSSING = "Kaplan-Yorke dimension"


class SpectrumFinding(NamedTuple):
    """`exponents`, `stderr` (k,) in `unit`; `sums` (k + 1,) from 0, which cross zero at `crossing` by interpolation.

    `crossing` is the Kaplan-Yorke dimension, NaN if it is unknown or the unit is not that of an exponent. `annihilated`
    counts the values of -inf, which are not drawn. The axes are linear for values below `linear` and logarithmic beyond
    (inf: linear throughout), so that strong contraction does not hide the leading exponents.
    """

    title: str
    unit: str
    exponents: np.ndarray
    stderr: np.ndarray
    sums: np.ndarray
    crossing: float
    annihilated: int
    linear: float = np.inf


def find(spectrum: Spectrum, what: str) -> SpectrumFinding:
    """Collect the numbers of one spectrum of `what`. Raises `ValueError` if they are not finite."""
    if not spectrum.finite:
        raise ValueError(f"{what}: the exponents are not finite because the orbit diverged. Nothing can be drawn.")
    own = spectrum.settings.get("unit")
    per = 1.0 if own else 1 / (spectrum.dt or 1.0)
    finite = np.isfinite(spectrum.exponents)
    exponents = spectrum.exponents[finite] * per
    unit = own or ("nats per unit time" if spectrum.dt else "nats per step")
    return SpectrumFinding(
        title=f"{what}: {spectrum.map}, {unit}",
        unit=unit,
        exponents=exponents,
        stderr=np.nan_to_num(spectrum.stderr[finite], posinf=0.0) * per,
        sums=np.concatenate([[0.0], np.cumsum(exponents)]),
        crossing=np.nan if own else spectrum.kaplan_yorke,
        annihilated=int((~finite).sum()),
        linear=theme.linear_limit(exponents[None], np.empty(0)),
    )


def draw(finding: SpectrumFinding) -> go.Figure:
    """Draw exponents with error bars (top) and their cumulative sum (bottom)."""
    fig = make_subplots(rows=2, cols=1, shared_xaxes=True, vertical_spacing=0.08)
    fig.update_layout(theme.figure(640, legend=False).layout)
    index, hover = np.arange(1, len(finding.exponents) + 1), "%{x}: %{customdata:.4g}<extra></extra>"
    marker = {"size": 6, "color": theme.colour(0)}
    middle, low, high = (theme.symlog(finding.exponents + s * finding.stderr, finding.linear) for s in (0, -1, 1))
    errors = theme.error_bars(middle, low, high, width=3)
    fig.add_scatter(
        x=index, y=middle, error_y=errors, mode="markers", marker=marker, customdata=finding.exponents,
        hovertemplate=hover,
    )  # fmt: skip
    line, (places, sums) = {"color": theme.colour(0), "width": 1.6}, sums_with_crossing(finding)
    fig.add_scatter(
        x=places, y=theme.symlog(sums, finding.linear), line=line, mode="lines", customdata=sums, hovertemplate=hover,
        row=2, col=1,
    )  # fmt: skip
    if 0 < finding.crossing <= len(finding.exponents):
        star = {"symbol": "star-diamond", "size": 12, "color": theme.colour(1)}
        fig.add_scatter(
            x=[finding.crossing], y=[0.0], mode="markers+text", marker=star, row=2, col=1, hoverinfo="skip",
            text=[f"{CROSSING} {digits(finding.crossing)}"], textposition="top right",
        )  # fmt: skip
    fig.update_layout(
        title={"text": theme.plain(heading(finding)), "font": {"size": 15}}, showlegend=False, margin_t=60
    )
    fig.update_xaxes(showline=True, ticks="outside", gridcolor=theme.RULE, zeroline=False, tickformat="d")
    fig.update_yaxes(showline=True, ticks="outside", gridcolor=theme.RULE, zerolinecolor="#444", automargin=True)
    fig.update_xaxes(title=INDEX, row=2, col=1)
    fig.update_yaxes(title=BARS, **theme.symlog_ticks(finding.exponents, finding.linear), row=1, col=1)
    fig.update_yaxes(title=SUMS, **theme.symlog_ticks(finding.sums, finding.linear), row=2, col=1)
    return fig


def sums_with_crossing(finding: SpectrumFinding) -> tuple[np.ndarray, np.ndarray]:
    """The numbers of exponents, and their sums; the point where these cross zero is one of them, on any axis."""
    places, sums = np.arange(len(finding.sums), dtype=float), finding.sums
    if not 0 < finding.crossing < len(finding.exponents):
        return places, sums
    at = int(np.ceil(finding.crossing))
    return np.insert(places, at, finding.crossing), np.insert(sums, at, 0.0)


def heading(finding: SpectrumFinding) -> str:
    """The title, with the number of exponents that are not drawn."""
    return finding.title + (f" ({finding.annihilated} at -∞ not drawn)" if finding.annihilated else "")


def save(finding: SpectrumFinding, path: Path) -> None:
    """Write the figure as .html, .png or .svg."""
    theme.save(path, lambda: draw(finding), lambda page: plot(finding, page), (7, 6.4))


def plot(finding: SpectrumFinding, page: "Figure") -> None:
    """Plot the same two panels by matplotlib."""
    above, below = page.subplots(2, 1, sharex=True)
    index = np.arange(1, len(finding.exponents) + 1)
    above.errorbar(
        index, finding.exponents, finding.stderr, fmt="o", ms=4, color=theme.colour(0), ecolor=theme.GREY, capsize=2
    )
    below.plot(*sums_with_crossing(finding), color=theme.colour(0))
    if 0 < finding.crossing <= len(finding.exponents):
        below.plot([finding.crossing], [0.0], "D", color=theme.colour(1))
        place = {"xytext": (6, 6), "textcoords": "offset points"}
        below.annotate(f"{CROSSING} {digits(finding.crossing)}", (finding.crossing, 0.0), **place)
    for axes, label in ((above, BARS), (below, SUMS)):
        axes.axhline(0, color="#444", lw=0.8)
        axes.set_ylabel(label)
        if np.isfinite(finding.linear):
            axes.set_yscale("symlog", linthresh=finding.linear)
        axes.grid(color=theme.RULE)
        axes.spines[["top", "right"]].set_visible(False)
    above.set_title(heading(finding), fontsize=11)
    below.set_xlabel(INDEX)
    below.locator_params(axis="x", integer=True)
