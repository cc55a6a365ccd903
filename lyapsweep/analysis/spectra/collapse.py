"""Do the curves of several groups become one where lengths are counted in the network's own time, 1 / |lambda_1|?"""

from typing import NamedTuple

import numpy as np
import plotly.graph_objects as go
from scipy import stats

from lyapsweep.analysis.shared import theme
from lyapsweep.analysis.shared.selection import TooFew, digits, judged, label, numbers, require
from lyapsweep.results.table import Table

TERMS = 3  # of a curve: ln y is quadratic in ln x
CHANCE = 0.05  # of a ratio as large, below which curves are said not to collapse
PLACES = 40  # at which curves are drawn


class CollapseFinding(NamedTuple):
    """Scores against scaled lengths x = length |lambda_1|, a trial each, and how well one curve serves all groups.

    `ratio` is the residual standard deviation about one curve over that about a curve of each group's own, degrees of
    freedom counted: 1 is a collapse. `p` is the chance of a ratio as large were there one curve (F test). Both again
    for the bare length. `lost` trials have no place in a fit and are only counted.
    """

    column: str
    length: str
    group: str
    groups: tuple[str, ...]
    of: np.ndarray  # (trials,) index of the group
    lengths: np.ndarray  # (trials,)
    x: np.ndarray  # (trials,)
    y: np.ndarray  # (trials,)
    ratio: float
    p: float
    bare_ratio: float
    bare_p: float
    grid: np.ndarray  # (places,) of x
    one: np.ndarray  # (places,) the common curve
    own: np.ndarray  # (groups, places), NaN outside of what the group has seen
    lost: np.ndarray  # (groups,)


def find(
    table: Table,
    column: str = "measures/loss",
    length: str = "windows/length",
    group: str = "windows/policy",
    map: str = "driven",
) -> CollapseFinding:
    """Fit ln y = a + b ln x + c (ln x)^2 to all trials and to each group's own; y must be positive.

    x = length |lambda_1|, lambda_1 each trial's own largest exponent of `map` in nats per step; trials in which it is 0
    or infinite are left out.

    Raises `UnknownName` for a column that is not there, `TooFew` with less than two groups, three lengths, or five
    trials in a group.
    """
    trials = judged(table, column)
    lengths, exponents = numbers(trials.table, length), numbers(trials.table, f"spectra/{map}/maximum")
    of = trials.table.column(group).astype(str).to_numpy()
    x = lengths * np.abs(exponents)
    kept = np.isfinite(x) & (x > 0) & np.isfinite(trials.values) & (trials.values > 0)
    groups = tuple(sorted(set(of[kept])))
    require(len(groups), 2, f"values of {group}")
    require(len(np.unique(lengths[kept])), TERMS, f"values of {length}")
    require(min(int((of[kept] == g).sum()) for g in groups), TERMS + 2, "trials in a group")
    index = np.array([groups.index(g) for g in of[kept]])
    x, y, bare = x[kept], trials.values[kept], lengths[kept]
    grid = np.geomspace(x.min(), x.max(), PLACES)
    own = np.full((len(groups), PLACES), np.nan)
    for g in range(len(groups)):
        mine = index == g
        inside = (grid >= x[mine].min()) & (grid <= x[mine].max())
        own[g, inside] = np.exp(terms(grid[inside]) @ fit(x[mine], y[mine]))
    (ratio, p), (bare_ratio, bare_p) = apart(x, y, index), apart(bare, y, index)
    return CollapseFinding(
        column=column,
        length=length,
        group=group,
        groups=groups,
        of=index,
        lengths=bare,
        x=x,
        y=y,
        ratio=ratio,
        p=p,
        bare_ratio=bare_ratio,
        bare_p=bare_p,
        grid=grid,
        one=np.exp(terms(grid) @ fit(x, y)),
        own=own,
        lost=np.array([(trials.lost & (of == g)).sum() for g in groups]),
    )


def terms(x: np.ndarray) -> np.ndarray:
    return np.log(x)[:, None] ** np.arange(TERMS)


def fit(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The coefficients of ln y (terms,)."""
    return np.linalg.lstsq(terms(x), np.log(y), rcond=None)[0]


def residual(x: np.ndarray, y: np.ndarray) -> float:
    """Sum of squares of ln y about its fit."""
    return float(np.square(np.log(y) - terms(x) @ fit(x, y)).sum())


def apart(x: np.ndarray, y: np.ndarray, index: np.ndarray) -> tuple[float, float]:
    """(ratio of residual standard deviations, p): one curve for all against one for each group.

    F = [(S_one - S_own) / (TERMS (g - 1))] / [S_own / (n - TERMS g)], S sums of squares of ln y, g groups, n trials.
    """
    groups = int(index.max()) + 1
    more, free = TERMS * (groups - 1), len(x) - TERMS * groups
    together, own = residual(x, y), sum(residual(x[index == g], y[index == g]) for g in range(groups))
    if own < 1e-20 * len(x):
        raise TooFew("Too few trials that differ: every group lies on its own curve, so nothing says how far is near.")
    excess = max(together - own, 0.0) / more / (own / free)
    return float(np.sqrt(together / (len(x) - TERMS) / (own / free))), float(stats.f.sf(excess, more, free))


def sentence(finding: CollapseFinding) -> str:
    """What was found, in words."""
    said = "collapse" if finding.p > CHANCE else "do not collapse"
    return (
        f"Against {finding.length} x |λ₁| the curves of {finding.group} {said}: residuals about one curve are "
        f"{digits(finding.ratio)} times those about each one's own (p = {digits(finding.p)}); against "
        f"{finding.length} alone {digits(finding.bare_ratio)} times (p = {digits(finding.bare_p)})."
    )


def draw(finding: CollapseFinding) -> go.Figure:
    """Every trial as a dot, each group's own curve, and the one that would serve all, dashed."""
    fig = theme.figure(460)
    for g, name in enumerate(map(theme.plain, finding.groups)):
        mine = finding.of == g
        fig.add_scatter(
            x=finding.x[mine],
            y=finding.y[mine],
            mode="markers",
            marker={"color": theme.colour(g), "size": 7, "opacity": 0.6, "symbol": theme.symbol(g)},
            name=name,
            legendgroup=name,
            customdata=finding.lengths[mine],
            hovertemplate=f"{name}, length %{{customdata}}<br>%{{x:.3g}}: %{{y:.3g}}<extra></extra>",
        )
        fig.add_scatter(
            x=finding.grid,
            y=finding.own[g],
            mode="lines",
            line={"color": theme.colour(g), "width": 2},
            legendgroup=name,
            showlegend=False,
            hoverinfo="skip",
        )
    fig.add_scatter(
        x=finding.grid,
        y=finding.one,
        mode="lines",
        line={"color": theme.GREY, "width": 2, "dash": "dash"},
        name="one curve",
        hoverinfo="skip",
    )
    fig.update_xaxes(title=f"{theme.plain(finding.length)} × |λ₁|", type="log")
    fig.update_yaxes(title=theme.plain(label(finding.column)), type="log")
    return fig
