"""How rough is the border between two outcomes on a grid? Its box-counting dimension.

A square of four neighbouring cells that do not all have one outcome holds a piece of the border. Of all boxes of side s
that could be laid over the plane, N(s) = (those that hold a piece) / s^2 is the number of boxes that cover the border,
averaged over where the boxes begin, and N(s) ~ s^-D (Falconer 2014, section 2.1). A smooth line has D = 1; D = 2 where
either outcome comes everywhere. The share of boxes that hold a piece grows as s^(2 - D): it is that of settings
whose outcome an uncertainty of s leaves open (McDonald et al. 1985).
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots
from scipy.ndimage import distance_transform_edt, maximum_filter

from lyapsweep.analysis.settings import heatmap
from lyapsweep.analysis.settings.axis import log_spaced, wide
from lyapsweep.analysis.shared import theme
from lyapsweep.analysis.shared.selection import Direction, TooFew, digits, direction, judged, label, numbers, require
from lyapsweep.results.table import Table

FEWEST = 16  # values of an axis
FIRST, SIDES = 2, 8  # cells along the smallest box of the fit; of the largest there are so many along the plane
LOST = "#d0d0d0"
TILES = 4  # along each axis: what is left out, one at a time, for the standard error


class Boxes(NamedTuple):
    """`counts` N(s) of boxes of `sides` s, in cells; `dimension` D with its standard error, fitted over all of them."""

    sides: np.ndarray
    counts: np.ndarray
    dimension: float
    stderr: float


class BoxCountingFinding(NamedTuple):
    """Arrays (y, x) over the values `xs` and `ys` of two settings; what was not `trained` has the nearest answer.

    `value` of the outcome, NaN where `lost`; `inside`: on the good side of `threshold`, or, without one, not lost;
    `before` and `after` the largest exponent (nats per step) at step 0 and at the end, NaN where there is none.
    """

    x: str
    y: str
    column: str
    direction: Direction
    threshold: float | None
    xs: np.ndarray
    ys: np.ndarray
    x_log: bool
    y_log: bool
    value: np.ndarray
    lost: np.ndarray
    inside: np.ndarray
    trained: np.ndarray
    before: np.ndarray
    after: np.ndarray
    boxes: Boxes


def find(
    table: Table, x: str, y: str, column: str, threshold: float | None = None, map: str = "driven"
) -> BoxCountingFinding:
    """The border in the plane of settings `x` and `y` between trials on the good side of `threshold` and all others.

    Without a threshold the border is that between trials that were lost and all others. Exponents are those of `map`.
    Raises `UnknownName` for a column that is not there, `ValueError` where several trials have one place (take one
    seed), `TooFew` where an axis has fewer than 16 values or no border runs through the plane.
    """
    trials = judged(table, column)
    xs, ys = (places(trials.table, axis) for axis in (x, y))
    for axis, values in ((x, xs), (y, ys)):
        require(len(values), FEWEST, f"values of {axis}")
    value, trained = raster(trials.table, x, y, xs, ys, trials.values)
    lost, _ = raster(trials.table, x, y, xs, ys, trials.lost.astype(float))
    value, lost = nearest(value, trained), nearest(lost == 1, trained)
    way = direction(table, column)
    inside = ~lost if threshold is None else ~lost & ((value > threshold) if way == "maximise" else (value < threshold))
    exponent, firsts = f"spectra/{map}/maximum", table.take((table.column("step") == 0).to_numpy(bool))
    before, after = (exponents(part, x, y, xs, ys, exponent) for part in (firsts, trials.table))
    return BoxCountingFinding(
        x=x,
        y=y,
        column=column,
        direction=way,
        threshold=threshold,
        xs=xs,
        ys=ys,
        x_log=log_spaced(xs),
        y_log=log_spaced(ys),
        value=np.where(lost, np.nan, value),
        lost=lost,
        inside=inside,
        trained=trained,
        before=nearest(before, trained),
        after=np.where(lost, np.nan, nearest(after, trained)),
        boxes=box_counting(inside),
    )


def nearest(values: np.ndarray, trained: np.ndarray) -> np.ndarray:
    """`values` (y, x), at places that were not trained those of the nearest one that was."""
    return values[tuple(np.asarray(distance_transform_edt(~trained, return_distances=False, return_indices=True)))]


def places(table: Table, axis: str) -> np.ndarray:
    """The values of an axis: those of the sweep's grid where it was refined, for not every one was trained."""
    refined = table.description.refined
    return np.unique(np.append(numbers(table, axis), refined.axes.get(axis, []) if refined else []))


def raster(
    table: Table, x: str, y: str, xs: np.ndarray, ys: np.ndarray, values: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """`values` (rows,) as an array (y, x), NaN where there are none, and where there is a row."""
    place = np.searchsorted(ys, numbers(table, y)), np.searchsorted(xs, numbers(table, x))
    count = np.zeros((len(ys), len(xs)), int)
    np.add.at(count, place, 1)
    if count.max(initial=0) > 1:
        raise ValueError(f"table: {count.max()} trials have one {x} and {y}. Take those of one seed, and of one group.")
    plane = np.full(count.shape, np.nan)
    plane[place] = values
    return plane, count > 0


def exponents(table: Table, x: str, y: str, xs: np.ndarray, ys: np.ndarray, exponent: str) -> np.ndarray:
    known = np.isin(numbers(table, x), xs) & np.isin(numbers(table, y), ys)
    if exponent not in table.frame or not known.any():
        return np.full((len(ys), len(xs)), np.nan)
    rows = table.take(known)
    return raster(rows, x, y, xs, ys, numbers(rows, exponent))[0]


def box_counting(inside: np.ndarray) -> Boxes:
    """The dimension of the border of a mask (y, x): minus the slope of log N over log s, by least squares.

    Sides run from two cells to an eighth of the shorter axis, or to four, about half an octave apart: one cell is
    as fine as the grid knows the border, and a handful of boxes sees its outline. The standard error is that of a
    jackknife over 4 x 4 tiles of the plane and of the scatter about the line, in quadrature; it says nothing of the
    resolution, by which a Koch curve (1.262) reads 0.06 low on 64 x 64 cells and 0.03 on 512 x 512. Raises `TooFew`
    where the mask has no border or is smaller than 16 x 16.
    """
    require(min(inside.shape), FEWEST, "cells along an axis")
    corners = np.stack([inside[:-1, :-1], inside[1:, :-1], inside[:-1, 1:], inside[1:, 1:]])
    pieces = corners.any(0) & ~corners.all(0)
    if not pieces.any():
        raise TooFew("No border: every cell of the plane has the same outcome.")
    octaves = np.log2(max(2 * FIRST, min(pieces.shape) // SIDES) / FIRST)
    sides = np.unique(np.round(FIRST * 2 ** np.linspace(0, octaves, int(2 * octaves) + 1)).astype(int))
    hits = np.stack([maximum_filter(pieces, size=s, mode="constant", cval=False) for s in sides])
    tiles = [tile for band in np.array_split(hits, TILES, 1) for tile in np.array_split(band, TILES, 2)]
    by_tile = np.stack([tile.sum((1, 2)) for tile in tiles])
    counts = by_tile.sum(0) / sides**2
    dimension, scatter = slope(sides, counts)
    without = [(by_tile.sum(0) - tile) / sides**2 for tile in by_tile]
    left_out = np.array([slope(sides, c)[0] for c in without if c.all()])
    jackknife = (len(left_out) - 1) * left_out.var() if len(left_out) > 1 else np.nan
    return Boxes(sides, counts, dimension, float(np.sqrt(jackknife + scatter**2)))


def slope(sides: np.ndarray, counts: np.ndarray) -> tuple[float, float]:
    """-d log N / d log s and its standard error from the scatter about the line (0 where two points fix it)."""
    u, v = np.log(sides) - np.log(sides).mean(), np.log(counts)
    found = (u @ v) / (u @ u)
    rest = v - v.mean() - found * u
    return -float(found), float(np.sqrt(rest @ rest / max(1, len(u) - 2) / (u @ u)))


def sentence(finding: BoxCountingFinding) -> str:
    """The dimension with its standard error and fit range, and what lies on either side of the border."""
    boxes, inside, what = finding.boxes, finding.inside, label(finding.column)
    kind = (
        "are not lost"
        if finding.threshold is None
        else f"have {what} {'>' if rising(finding) else '<'} {digits(finding.threshold)}"
    )
    words = (
        f"{inside.mean():.0%} of {inside.size} places {kind}, {finding.lost.mean():.0%} were lost. Their border has "
        f"box-counting dimension {boxes.dimension:.2f} ± {boxes.stderr:.2f} (one standard error), from boxes of "
        f"{boxes.sides[0]} to {boxes.sides[-1]} cells of {inside.shape[1]} × {inside.shape[0]}."
    )
    if not finding.trained.all():
        words += f" {finding.trained.mean():.0%} of the places were trained, the others have the nearest answer."
    known = np.isfinite(finding.before) & finding.trained
    sides = [inside[known & side] for side in (finding.before < 0, finding.before >= 0)]
    if all(side.size for side in sides):
        below, above = (f"{side.mean():.0%} of {side.size}" for side in sides)
        words += f" Where λ_max < 0 before training {below} are, where λ_max ≥ 0 {above}."
    return words


def rising(finding: BoxCountingFinding) -> bool:
    return finding.direction == "maximise"


def draw(finding: BoxCountingFinding) -> go.Figure:
    """The outcome, lost places grey; the largest exponent after training, with lambda_max = 0 before it; N(s)."""
    titles = [theme.plain(t) for t in (label(finding.column), "λ_max after training", "Boxes that cover the border")]
    fig = go.Figure(make_subplots(cols=3, subplot_titles=titles, horizontal_spacing=0.09))
    fig.update_layout(theme.figure(420, legend=False).layout, margin={"t": 40})
    for col, shade in enumerate(colours(finding), start=1):
        lost = np.where(finding.lost, 1.0, np.nan)
        grey = {"colorscale": [[0, LOST], [1, LOST]], "showscale": False, "hoverinfo": "skip"}
        fig.add_heatmap(x=finding.xs, y=finding.ys, z=lost, **grey, row=1, col=col)
        fig.add_heatmap(x=finding.xs, y=finding.ys, coloraxis=f"coloraxis{col}", **shade, row=1, col=col)
        fig.update_layout({f"coloraxis{col}": scale(finding, col)})
    line = {"start": 0, "end": 0, "size": 1, "coloring": "none"}
    fig.add_contour(
        x=finding.xs, y=finding.ys, z=finding.before, contours=line, line={"color": "black", "width": 1.5},
        showscale=False, hoverinfo="skip", row=1, col=2,
    )  # fmt: skip
    boxes = finding.boxes
    fig.add_scatter(x=boxes.sides, y=boxes.counts, mode="markers", marker={"color": theme.colour(0)}, row=1, col=3)
    fig.add_scatter(
        x=boxes.sides, y=fitted(boxes), mode="lines", line={"color": theme.colour(0), "width": 1}, row=1, col=3
    )
    for col in (1, 2):
        fig.update_xaxes(title=theme.plain(finding.x), type="log" if finding.x_log else "linear", row=1, col=col)
        fig.update_yaxes(title=theme.plain(finding.y), type="log" if finding.y_log else "linear", row=1, col=col)
    fig.update_xaxes(title="side s (cells)", type="log", row=1, col=3)
    fig.update_yaxes(title=f"N(s) ~ s^−{boxes.dimension:.2f}", type="log", row=1, col=3)
    return fig


def fitted(boxes: Boxes) -> np.ndarray:
    """N(s) on the fitted line."""
    logs = np.log(boxes.sides)
    return np.exp(np.log(boxes.counts).mean() - boxes.dimension * (logs - logs.mean()))


def colours(finding: BoxCountingFinding) -> list[dict[str, object]]:
    """What the two maps show: numbers, logarithms where they span decades, and their own digits on hover."""
    value = np.log10(finding.value) if wide(finding.value) else finding.value
    hover = "%{x:.4g}, %{y:.4g}<br>%{customdata:.3g}<extra></extra>"
    both = zip((value, finding.after), (finding.value, finding.after))
    return [{"z": z, "customdata": shown, "hovertemplate": hover} for z, shown in both]


def scale(finding: BoxCountingFinding, col: int) -> dict[str, object]:
    bar = {"thickness": 10, "len": 0.9, "x": (0.275, 0.64)[col - 1]}
    if col == 1:
        log, ends = wide(finding.value), np.array(limits(finding.value))
        low, high = np.log10(ends) if log else ends
        shown = {"cmin": float(low), "cmax": float(high), "colorbar": bar | heatmap.decades(ends, log)}
        return {"colorscale": theme.SCALE, "reversescale": not rising(finding)} | shown
    return {"colorscale": theme.DIVERGING, "cmid": 0, "cmin": -1, "cmax": 1, "colorbar": bar}


def save(finding: BoxCountingFinding, path: Path) -> None:
    """Write the picture: .html (plotly, whole in one file), .png or .svg (matplotlib, which needs no browser)."""
    if path.suffix.lower() == ".html":
        draw(finding).write_html(path, include_plotlyjs=True)
        return
    from matplotlib.figure import Figure

    page = Figure(figsize=(11, 3.4), layout="constrained", dpi=110)
    outcome, exponent, counts = page.subplots(1, 3, width_ratios=(1, 1, 0.7))
    low, high = limits(finding.value)
    shades = {"cmap": "viridis" if rising(finding) else "viridis_r", "norm": "log" if wide(finding.value) else "linear"}
    shades |= {"clim": (low, high)}
    for axes, plane, said, how in (
        (outcome, finding.value, label(finding.column), shades),
        (exponent, finding.after, "λ_max after training", {"cmap": "RdBu_r", "clim": (-1, 1)}),
    ):
        page.colorbar(axes.pcolormesh(finding.xs, finding.ys, plane, **how), ax=axes, pad=0.01, extend="both")
        axes.set(xlabel=finding.x, ylabel=finding.y, facecolor=LOST)
        axes.set(xscale="log" if finding.x_log else "linear", yscale="log" if finding.y_log else "linear")
        axes.set_title(said, fontsize=10)
    outcome.contour(finding.xs, finding.ys, finding.inside, [0.5], colors="black", linewidths=0.6)
    if np.nanmin(finding.before) < 0 < np.nanmax(finding.before):
        exponent.contour(finding.xs, finding.ys, finding.before, [0], colors="black", linewidths=1)
    counts.plot(np.log2(finding.boxes.sides), np.log2(finding.boxes.counts), "o", color=theme.colour(0))
    counts.plot(np.log2(finding.boxes.sides), np.log2(fitted(finding.boxes)), color=theme.colour(0), lw=1)
    counts.set(xlabel="log₂ s, side in cells", ylabel="log₂ N(s)")
    counts.set_title(f"D = {finding.boxes.dimension:.2f} ± {finding.boxes.stderr:.2f}", fontsize=10)
    page.savefig(path)


def limits(values: np.ndarray) -> tuple[float, float]:
    """Where the colours of an outcome end: a few networks on the way to being lost would take all of them."""
    low, high = np.nanpercentile(values, (1, 95))
    return float(low), float(high)
