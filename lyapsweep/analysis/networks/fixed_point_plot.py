"""Where are the fixed points of one network? Points among its orbits, and the eigenvalues of the map there."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from lyapsweep.analysis.networks.network_fixed_points import NetworkFixedPoints, of_network
from lyapsweep.analysis.shared import theme
from lyapsweep.analysis.shared.selection import TooFew, digits, network_of
from lyapsweep.dynamics import Search
from lyapsweep.dynamics.newton import Progress
from lyapsweep.results.table import Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ORBITS = 12  # drawn
KINDS = ("stable", "marginal", "saddle", "repeller", "slow")
ANGLES = np.linspace(0, 2 * np.pi, 361)
CIRCLE = np.cos(ANGLES), np.sin(ANGLES)


class FixedPointPlotFinding(NamedTuple):
    """Points and orbits in the first two principal components of the orbits, with `shares` of the variance.

    `orbits` (orbits, steps, 2), NaN where not finite; `points` (points, 2), fixed ones first, with `kinds` ("slow" if
    not fixed), `speeds` (distance per step) and `eigenvalues` (points, state).
    """

    name: str
    orbits: np.ndarray
    points: np.ndarray
    kinds: tuple[str, ...]
    speeds: np.ndarray
    eigenvalues: np.ndarray
    shares: np.ndarray


def find(
    table: Table, trial: str, search: Search | None = None, progress: Progress | None = None
) -> FixedPointPlotFinding:
    """Search the fixed points of the network in the last record of `trial`.

    Raises `UnknownName` if there is no such trial, `TooFew` if its record holds no weights.
    """
    return of_points(trial, of_network(*network_of(table, trial), search, progress))


def of_points(name: str, points: NetworkFixedPoints) -> FixedPointPlotFinding:
    """Project the result of a search."""
    fixed, slow = points.found.fixed, points.found.slow
    orbits = np.where(np.isfinite(points.orbits), points.orbits, np.nan)
    centre, axes, shares = components(orbits.reshape(-1, orbits.shape[-1]))
    return FixedPointPlotFinding(
        name=name,
        orbits=(orbits[:ORBITS] - centre) @ axes.T,
        points=(np.concatenate((fixed.z, slow.z)) - centre) @ axes.T,
        kinds=fixed.kinds + ("slow",) * len(slow),
        speeds=np.concatenate((fixed.speed, slow.speed)),
        eigenvalues=np.concatenate((fixed.eigenvalues, slow.eigenvalues)),
        shares=shares,
    )


def components(states: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(mean, first two principal components in rows, their shares of the variance) of the finite states.

    A state of one dimension has a second component of zeros.
    """
    finite = states[np.isfinite(states).all(axis=1)]
    if not len(finite):
        raise TooFew("No visited state is finite: the network diverges from all initial states.")
    centre = finite.mean(axis=0)
    _, singular, axes = np.linalg.svd(finite - centre, full_matrices=False)
    variance = np.pad(singular**2, (0, 2))
    total = variance.sum()
    return centre, np.pad(axes, ((0, 2), (0, 0)))[:2], variance[:2] / (total if total > 0 else 1.0)


def groups(finding: FixedPointPlotFinding) -> Iterator[tuple[int, str, np.ndarray]]:
    """(index, kind, rows) of every kind that occurs."""
    for k, kind in enumerate(KINDS):
        rows = np.array([name == kind for name in finding.kinds], bool)
        if rows.any():
            yield k, kind, rows


def axis_titles(finding: FixedPointPlotFinding) -> list[str]:
    """The titles of the axes of the plane, with their shares of the variance."""
    return [f"component {i + 1} ({digits(100 * share)} %)" for i, share in enumerate(finding.shares)]


def draw(finding: FixedPointPlotFinding) -> go.Figure:
    """Draw the points among the orbits (left), and the eigenvalues with the unit circle (right)."""
    fig = make_subplots(rows=1, cols=2, horizontal_spacing=0.1)
    fig.update_layout(theme.figure(520).layout)
    fig.update_layout(title={"text": theme.plain(finding.name), "font": {"size": 15}}, margin_t=80)
    line = {"color": "#b8b8b8", "width": 0.8}
    for orbit in finding.orbits:
        fig.add_scatter(
            x=orbit[:, 0], y=orbit[:, 1], mode="lines", line=line, showlegend=False, hoverinfo="skip", row=1, col=1
        )
    line = {"color": "#444", "width": 1, "dash": "dot"}
    fig.add_scatter(
        x=CIRCLE[0], y=CIRCLE[1], mode="lines", line=line, name="unit circle", hoverinfo="skip", row=1, col=2
    )
    for k, kind, rows in groups(finding):
        draw_kind(fig, finding, k, kind, rows)
    for axis, title in zip(("x", "y"), axis_titles(finding)):
        fig.update_layout({f"{axis}axis_title": title})
    fig.update_layout(xaxis2_title="Re λ", yaxis2_title="Im λ")
    return theme.frame(fig).update_yaxes(scaleanchor="x2", row=1, col=2)


def draw_kind(fig: go.Figure, finding: FixedPointPlotFinding, k: int, kind: str, rows: np.ndarray) -> None:
    """The points of one kind, and their eigenvalues."""
    style = {"color": theme.colour(k), "symbol": theme.symbol(k)}
    eigenvalues = finding.eigenvalues[rows]
    fig.add_scatter(
        x=finding.points[rows, 0],
        y=finding.points[rows, 1],
        customdata=np.stack((np.abs(eigenvalues).max(axis=1), finding.speeds[rows]), axis=1),
        mode="markers",
        name=f"{kind} ({rows.sum()})",
        marker=style | {"size": 5 if kind == "slow" else 11},
        hovertemplate=f"{kind}<br>largest |λ| %{{customdata[0]:.4g}}"
        "<br>speed %{customdata[1]:.2g} per step<extra></extra>",
        row=1,
        col=1,
    )
    fig.add_scatter(
        x=np.real(eigenvalues).ravel(),
        y=np.imag(eigenvalues).ravel(),
        mode="markers",
        name=kind,
        showlegend=False,
        marker=style | {"size": 6, "opacity": 0.7},
        hovertemplate=f"{kind}<br>λ = %{{x:.4g}} + %{{y:.4g}} i<extra></extra>",
        row=1,
        col=2,
    )


def save(finding: FixedPointPlotFinding, path: Path) -> None:
    """Write both panels as .html, .png or .svg."""
    theme.save(path, lambda: draw(finding), lambda page: plot(finding, page), (11, 5.2))


def plot(finding: FixedPointPlotFinding, page: "Figure") -> None:
    """Plot the same two panels by matplotlib."""
    plane, values = page.subplots(1, 2)
    for orbit in finding.orbits:
        plane.plot(orbit[:, 0], orbit[:, 1], color="#b8b8b8", lw=0.6)
    values.plot(*CIRCLE, color="#444", lw=0.8, ls=":")
    for k, kind, rows in groups(finding):
        style = {"color": theme.colour(k), "ls": "none", "marker": "os^Dv"[k], "ms": 3 if kind == "slow" else 7}
        plane.plot(finding.points[rows, 0], finding.points[rows, 1], label=f"{kind} ({rows.sum()})", **style)
        eigenvalues = finding.eigenvalues[rows].ravel()
        values.plot(np.real(eigenvalues), np.imag(eigenvalues), alpha=0.7, **style | {"ms": 4})
    for axes, (x, y) in ((plane, axis_titles(finding)), (values, ("Re λ", "Im λ"))):
        axes.set(xlabel=x, ylabel=y)
        axes.spines[["top", "right"]].set_visible(False)
    values.set_aspect("equal", adjustable="datalim")
    if finding.kinds:
        plane.legend(frameon=False)
    page.suptitle(finding.name, fontsize=11)
