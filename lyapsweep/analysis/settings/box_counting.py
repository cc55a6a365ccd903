"""How rough is the border between two outcomes on a grid of two settings? Its box-counting dimension.

A square of four neighbouring cells without a common outcome contains a piece of the border. Over all positions of boxes
of side s, N(s) = (boxes with a piece) / s^2 is the mean number of boxes that cover the border, and N(s) ~ s^-D
(Falconer 2014, section 2.1). A smooth line has D = 1; D = 2 if both outcomes occur everywhere. The share of boxes with
a piece grows as s^(2 - D): it is the share of settings whose outcome is uncertain to a resolution of s (McDonald et
al. 1985).
"""

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots
from scipy.ndimage import distance_transform_edt

from lyapsweep.analysis.shared import theme
from lyapsweep.analysis.shared.axis import log_spaced, wide
from lyapsweep.analysis.shared.boxes import FEWEST, Boxes, box_counting
from lyapsweep.analysis.shared.rates import PER_STEP, in_unit, step_times, unit
from lyapsweep.analysis.shared.selection import (
    Direction,
    digits,
    direction,
    ended_trials,
    label,
    numbers,
    require,
)
from lyapsweep.results.table import Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TITLE = "λ_max after training"


class BoxCountingFinding(NamedTuple):
    """Arrays (y, x) over the values `xs` and `ys` of two settings; cells not `trained` have their nearest neighbour's.

    `value` is the outcome, NaN if `lost`; `inside` says that it is better than `threshold` or, without one, not lost;
    `before` and `after` are the largest exponent (in `unit`) at step 0 and at the end, NaN if there is none; `scale` is
    one nat per step in that unit.
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
    unit: str = PER_STEP
    scale: float = 1.0

    @property
    def maximised(self) -> bool:
        """Whether larger outcomes are better."""
        return self.direction == "maximise"


class Grid(NamedTuple):
    """The plane of two settings: their names and sorted values."""

    x: str
    y: str
    xs: np.ndarray
    ys: np.ndarray

    def plane(self, table: Table, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(`values` (rows,) as an array (y, x), NaN where there is no row; where there is one)."""
        cell = np.searchsorted(self.ys, numbers(table, self.y)), np.searchsorted(self.xs, numbers(table, self.x))
        count = np.zeros((len(self.ys), len(self.xs)), int)
        np.add.at(count, cell, 1)
        if count.max(initial=0) > 1:
            raise ValueError(
                f"table: {count.max()} trials have the same {self.x} and {self.y}. Take one seed and one group."
            )
        plane = np.full(count.shape, np.nan)
        plane[cell] = values
        return plane, count > 0

    def exponents(self, table: Table, column: str) -> np.ndarray:
        """A column of exponents as an array (y, x), NaN where there is none."""
        known = np.isin(numbers(table, self.x), self.xs) & np.isin(numbers(table, self.y), self.ys)
        if column not in table.frame or not known.any():
            return np.full((len(self.ys), len(self.xs)), np.nan)
        rows = table.take(known)
        return self.plane(rows, in_unit(rows, column))[0]


def find(
    table: Table, x: str, y: str, column: str, threshold: float | None = None, map: str = "driven"
) -> BoxCountingFinding:
    """Compute the box-counting dimension of the border between two outcomes in the plane of two settings.

    Args:
        table: The trials of a sweep, one per cell of the grid. Untrained cells of a refined grid take the outcome of
            their nearest neighbour.
        x: A setting with 16 or more numbers.
        y: Likewise.
        column: The outcome, such as `measures/loss`.
        threshold: The border lies between trials better than this and all others; by default between trials that were
            lost (diverged or failed) and all others.
        map: The map of the exponents.

    Returns:
        A `BoxCountingFinding`.

    Raises:
        TooFew: If an axis has fewer than 16 values, or the plane has no border.
        UnknownName: If a column does not exist.
        ValueError: If several trials have the same place.

    Example:
        >>> import itertools, pandas as pd
        >>> frame = pd.DataFrame(itertools.product(range(32), range(32)), columns=["a", "b"]).assign(step=5, final=True)
        >>> frame["trial"], frame["outcome"], frame["measures/loss"] = frame.index, "finished", frame["a"] + frame["b"]
        >>> round(find(Table(frame), "a", "b", "measures/loss", threshold=31.5).boxes.dimension, 1)
        1.0
    """
    trials = ended_trials(table, column)
    grid = Grid(x, y, axis_values(trials.table, x), axis_values(trials.table, y))
    for axis, values in ((x, grid.xs), (y, grid.ys)):
        require(len(values), FEWEST, f"values of {axis}")
    value, trained = grid.plane(trials.table, trials.values)
    lost, _ = grid.plane(trials.table, trials.lost.astype(float))
    value, lost = nearest(value, trained), nearest(lost == 1, trained)
    better = direction(table, column)
    good = ~lost if threshold is None else (value > threshold if better == "maximise" else value < threshold)
    exponent, firsts = f"spectra/{map}/maximum", table.take((table.column("step") == 0).to_numpy(bool))
    return BoxCountingFinding(
        x=x,
        y=y,
        column=column,
        direction=better,
        threshold=threshold,
        xs=grid.xs,
        ys=grid.ys,
        x_log=log_spaced(grid.xs),
        y_log=log_spaced(grid.ys),
        value=np.where(lost, np.nan, value),
        lost=lost,
        inside=good & ~lost,
        trained=trained,
        before=nearest(grid.exponents(firsts, exponent), trained),
        after=np.where(lost, np.nan, nearest(grid.exponents(trials.table, exponent), trained)),
        boxes=box_counting(good & ~lost),
        unit=unit(trials.table),
        scale=float(1 / np.median(step_times(trials.table))),
    )


def nearest(values: np.ndarray, trained: np.ndarray) -> np.ndarray:
    """`values` (y, x), in untrained cells those of the nearest trained one."""
    return values[tuple(np.asarray(distance_transform_edt(~trained, return_distances=False, return_indices=True)))]


def axis_values(table: Table, axis: str) -> np.ndarray:
    """The values of an axis, those of the sweep's grid if it was refined, since not every cell was trained."""
    refined = table.description.refined
    return np.unique(np.append(numbers(table, axis), refined.axes.get(axis, []) if refined else []))


def sentence(finding: BoxCountingFinding) -> str:
    """State the dimension with its standard error and fit range, and the outcomes on either side of lambda_max = 0."""
    boxes, inside, name = finding.boxes, finding.inside, label(finding.column)
    kind = (
        "are not lost"
        if finding.threshold is None
        else f"have {name} {'>' if finding.maximised else '<'} {digits(finding.threshold)}"
    )
    words = (
        f"{inside.mean():.0%} of {inside.size} cells {kind}, {finding.lost.mean():.0%} were lost. Their border has "
        f"box-counting dimension {boxes.dimension:.2f} ± {boxes.stderr:.2f} (one standard error), from boxes of "
        f"{boxes.sides[0]} to {boxes.sides[-1]} cells of {inside.shape[1]} × {inside.shape[0]}."
    )
    if not finding.trained.all():
        words += f" {finding.trained.mean():.0%} of the cells were trained, the others take the nearest outcome."
    known = np.isfinite(finding.before) & finding.trained
    sides = [inside[known & side] for side in (finding.before < 0, finding.before >= 0)]
    if all(side.size for side in sides):
        below, above = (f"{side.mean():.0%} of {side.size}" for side in sides)
        words += f" With λ_max < 0 before training {below} are, with λ_max ≥ 0 {above}."
    return words


def draw(finding: BoxCountingFinding) -> go.Figure:
    """Draw the outcome (lost cells grey), the exponent after training, with lambda_max = 0 before it, and N(s)."""
    titles = [
        theme.plain(t) for t in (label(finding.column), f"{TITLE} ({finding.unit})", "Boxes that cover the border")
    ]
    fig = go.Figure(make_subplots(cols=3, subplot_titles=titles, horizontal_spacing=0.09))
    fig.update_layout(theme.figure(420, legend=False).layout, margin={"t": 40})
    value = np.log10(finding.value) if wide(finding.value) else finding.value
    hover = "%{x:.4g}, %{y:.4g}<br>%{customdata:.3g}<extra></extra>"
    for col, (z, shown) in enumerate(((value, finding.value), (finding.after, finding.after)), start=1):
        fig.add_heatmap(x=finding.xs, y=finding.ys, **theme.grey(finding.lost), row=1, col=col)
        cells = {"z": z, "customdata": shown, "hovertemplate": hover, "coloraxis": f"coloraxis{col}"}
        fig.add_heatmap(x=finding.xs, y=finding.ys, **cells, row=1, col=col)
        fig.update_layout({f"coloraxis{col}": colour_axis(finding, col)})
    line = {"start": 0, "end": 0, "size": 1, "coloring": "none"}
    fig.add_contour(
        x=finding.xs, y=finding.ys, z=finding.before, contours=line, line={"color": "black", "width": 1.5},
        showscale=False, hoverinfo="skip", row=1, col=2,
    )  # fmt: skip
    boxes = finding.boxes
    fig.add_scatter(x=boxes.sides, y=boxes.counts, mode="markers", marker={"color": theme.colour(0)}, row=1, col=3)
    fig.add_scatter(
        x=boxes.sides, y=boxes.fitted, mode="lines", line={"color": theme.colour(0), "width": 1}, row=1, col=3
    )
    for col in (1, 2):
        fig.update_xaxes(title=theme.plain(finding.x), type="log" if finding.x_log else "linear", row=1, col=col)
        fig.update_yaxes(title=theme.plain(finding.y), type="log" if finding.y_log else "linear", row=1, col=col)
    fig.update_xaxes(title="side s (cells)", type="log", row=1, col=3)
    fig.update_yaxes(title=f"N(s) ~ s^−{boxes.dimension:.2f}", type="log", row=1, col=3)
    return fig


def colour_axis(finding: BoxCountingFinding, col: int) -> dict[str, object]:
    """The colours of the outcome (column 1) or of the exponent (column 2)."""
    bar = {"thickness": 10, "len": 0.9, "x": (0.275, 0.64)[col - 1]}
    if col == 1:
        log, ends = wide(finding.value), np.array(limits(finding.value))
        low, high = np.log10(ends) if log else ends
        shown = {"cmin": float(low), "cmax": float(high), "colorbar": bar | theme.log_ticks(ends, log)}
        return {"colorscale": theme.SCALE, "reversescale": not finding.maximised} | shown
    return {"colorscale": theme.DIVERGING, "cmid": 0, "cmin": -finding.scale, "cmax": finding.scale, "colorbar": bar}


def save(finding: BoxCountingFinding, path: Path) -> None:
    """Write the figure as .html, .png or .svg."""
    theme.save(path, lambda: draw(finding), lambda page: plot(finding, page), (11, 3.4), dpi=110)


def plot(finding: BoxCountingFinding, page: "Figure") -> None:
    """Plot the same three panels by matplotlib."""
    outcome, exponent, counts = page.subplots(1, 3, width_ratios=(1, 1, 0.7))
    norm, cmap = "log" if wide(finding.value) else "linear", "viridis" if finding.maximised else "viridis_r"
    for axes, plane, title, colours in (
        (outcome, finding.value, label(finding.column), {"cmap": cmap, "norm": norm, "clim": limits(finding.value)}),
        (
            exponent,
            finding.after,
            f"{TITLE} ({finding.unit})",
            {"cmap": "RdBu_r", "clim": (-finding.scale, finding.scale)},
        ),
    ):
        page.colorbar(axes.pcolormesh(finding.xs, finding.ys, plane, **colours), ax=axes, pad=0.01, extend="both")
        axes.set(xlabel=finding.x, ylabel=finding.y, facecolor=theme.LIGHT)
        axes.set(xscale="log" if finding.x_log else "linear", yscale="log" if finding.y_log else "linear")
        axes.set_title(title, fontsize=10)
    outcome.contour(finding.xs, finding.ys, finding.inside, [0.5], colors="black", linewidths=0.6)
    if np.nanmin(finding.before) < 0 < np.nanmax(finding.before):
        exponent.contour(finding.xs, finding.ys, finding.before, [0], colors="black", linewidths=1)
    boxes = finding.boxes
    counts.plot(np.log2(boxes.sides), np.log2(boxes.counts), "o", color=theme.colour(0))
    counts.plot(np.log2(boxes.sides), np.log2(boxes.fitted), color=theme.colour(0), lw=1)
    counts.set(xlabel="log₂ s, side in cells", ylabel="log₂ N(s)")
    counts.set_title(f"D = {boxes.dimension:.2f} ± {boxes.stderr:.2f}", fontsize=10)


def limits(values: np.ndarray) -> tuple[float, float]:
    """The range of the colours of an outcome, without the few networks about to diverge."""
    low, high = np.nanpercentile(values, (1, 95))
    return float(low), float(high)
