"""Is what a spectrum says of one cell (or task) true of another? Fitted on one group of trials, tried on the others."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
import plotly.graph_objects as go

from lyapsweep.analysis.prediction.early_records import Seen, early, seen
from lyapsweep.analysis.prediction.incremental import Form, blocks_of
from lyapsweep.analysis.prediction.ridge import (
    Block,
    fitted,
    held_out,
    interval,
    ranks,
    ready,
    scored,
    split,
    weights,
)
from lyapsweep.analysis.shared import theme
from lyapsweep.analysis.shared.selection import label, named, require
from lyapsweep.analysis.spectra.correlation import refuse
from lyapsweep.analysis.spectra.partial_correlation import two
from lyapsweep.results.table import Table

NEED, FOLDS = 10, 10  # trials of a group below which it is left out; folds of the diagonal
PREDICTORS = {
    "spectrum": ("spectrum",),
    "known": ("settings", "early scores"),
    "all": ("settings", "early scores", "spectrum"),
}
Predictors = Literal["spectrum", "known", "all"]


class TransferFinding(NamedTuple):
    """`rho` (groups, groups): Spearman's rho of predictions with outcomes, fitted on the row's group, tried on the
    column's, with its 95 % interval [low, high]; on the diagonal trials are held out. `n` (groups,) counts trials.
    `small` are the groups with too few of them.
    """

    rows: Seen
    by: str
    predictors: str
    form: str
    groups: tuple[str, ...]
    rho: np.ndarray
    low: np.ndarray
    high: np.ndarray
    n: np.ndarray
    small: tuple[str, ...]


def find(
    table: Table,
    outcome: str,
    by: str = "cell/kind",
    fraction: float = 0.1,
    *,
    predictors: Predictors = "spectrum",
    form: Form = "quantiles",
    map: str | None = None,
    scores: Sequence[str] | None = None,
    repeats: int = 10,
    resamples: int = 1000,
    hunted: bool = False,
    seed: int = 0,
) -> TransferFinding:
    """Fit the outcome's rank within each group of `by` by ridge regression, and try every fit on every group.

    Predictors are the early spectrum (as `form` says: 20 quantiles, so that networks of any size compare, its summaries
    or its components), what is known without it ("known": settings, `by` aside, and early scores), or all. Scales and
    the penalty are those of the group fitted on. Off the diagonal the interval is that of one fit over the trials it is
    tried on (Bayesian bootstrap); on it that of ten-fold cross-validation, as in `incremental.find`.

    Raises `Hunted` for the trials of a hunt unless `hunted=True`, `TooFew` with less than two groups of ten trials,
    `UnknownName` and `ValueError` as `foresight.early` does.
    """
    refuse(table, hunted)
    if predictors not in PREDICTORS:
        raise ValueError(f"predictors: must be one of {', '.join(PREDICTORS)}, but is '{predictors}'.")
    rows = early(table, outcome, fraction, map, scores)
    of = named(rows.trials, by)
    names = sorted(set(of))
    groups = [g for g in names if (of == g).sum() >= NEED and len(set(rows.values[of == g])) > 1]
    require(len(groups), 2, f"values of {by} with {NEED} trials whose outcomes differ")
    every = blocks_of(rows, form, by)
    there = [np.flatnonzero(of == g) for g in groups]
    cells = matrix([every[name] for name in PREDICTORS[predictors]], rows.values, there, repeats, resamples, seed)
    return TransferFinding(
        rows=seen(rows),
        by=by,
        predictors=predictors,
        form=form,
        groups=tuple(groups),
        rho=cells[0],
        low=cells[1],
        high=cells[2],
        n=np.array([len(i) for i in there]),
        small=tuple(g for g in names if g not in groups),
    )


def matrix(
    blocks: list[Block], y: np.ndarray, there: list[np.ndarray], repeats: int, resamples: int, seed: int
) -> np.ndarray:
    """(rho, low, high) of every fit on every group (3, groups, groups); `there` are the rows of each."""
    generator = np.random.default_rng(seed)
    drawn = [np.vstack([np.ones(len(i)), weights(i, resamples, generator)]) for i in there]
    cells = np.empty((3, len(there), len(there)))
    for a, train in enumerate(there):
        for b, test in enumerate(there):
            made = predicted(blocks, y, train, test, (repeats, generator) if a == b else None)
            values = np.array([[scored(p, y[test], drawn[b], "rank correlation")] for p in made])
            cells[:, a, b] = np.clip(np.concatenate(interval(values, len(test), crossed=a == b)), -1, 1)
    return cells


def predicted(
    blocks: list[Block],
    y: np.ndarray,
    train: np.ndarray,
    test: np.ndarray,
    within: tuple[int, np.random.Generator] | None,
) -> np.ndarray:
    """Predictions (repeats, tested) of rows `test` by a fit on rows `train`; held out, where those are the same."""
    w = np.bincount(train, minlength=len(y)).astype(float)
    if within is None:
        parts = [ready(block, w) for block in blocks]
        return fitted(parts, ranks(y, w), w)[None, test]
    repeats, generator = within
    mine = [Block(b.numbers[train], b.names[train], b.squares, b.ranked, b.components) for b in blocks]
    named_blocks, one = {str(i): b for i, b in enumerate(mine)}, np.ones(len(train))
    cuts = [split(train, FOLDS, generator) for _ in range(repeats)]
    return np.array([held_out(named_blocks, [list(named_blocks)], y[train], cut, one)[0] for cut in cuts])


def sentence(finding: TransferFinding) -> str:
    """How well fits carry over, beside how well they do at home, and how many of them surely do."""
    off = ~np.eye(len(finding.groups), dtype=bool)
    home, away = float(np.median(np.diag(finding.rho))), float(np.median(finding.rho[off]))
    firm, wrong = int((finding.low[off] > 0).sum()), int((finding.high[off] < 0).sum())
    what = {"spectrum": "the spectrum", "known": "settings and early scores", "all": "all that is known"}
    said = (
        f"From {what[finding.predictors]} at {finding.rows.moment} a fit within one {finding.by} foretells the final "
        f"{label(finding.rows.outcome)} of its own held-out trials with a median ρ of {two(home)}, of another "
        f"{finding.by} with {two(away)} ({two(finding.rho[off].min())} to {two(finding.rho[off].max())}); "
        f"{firm} of {off.sum()} transfers have an interval above zero"
    )
    least, most = finding.n.min(), finding.n.max()
    sizes = f"{least}" if least == most else f"{least} to {most}"
    return f"{said}{f', {wrong} below it' if wrong else ''}, n = {sizes} a group."


def draw(finding: TransferFinding) -> go.Figure:
    """rho by colour, fitted on the row's group and tried on the column's; bold where the interval excludes 0."""
    text = np.full(finding.rho.shape, "", dtype=object)
    for i, j in np.ndindex(*finding.rho.shape):
        rho = two(finding.rho[i, j])
        firm = finding.low[i, j] > 0 or finding.high[i, j] < 0
        span = f"{two(finding.low[i, j])} to {two(finding.high[i, j])}"
        text[i, j] = f"{f'<b>{rho}</b>' if firm else rho}<br>{span}"
    rows = [theme.plain(g) for g in finding.groups]
    columns = [f"{g} (n = {n})" for g, n in zip(rows, finding.n, strict=True)]
    fig = theme.correlations(rows, columns, finding.rho, text, "fitted on %{y}, tried on %{x}", 230 + 52 * len(rows))
    for i in range(len(finding.groups)):
        box = {"x0": i - 0.49, "x1": i + 0.49, "y0": i - 0.49, "y1": i + 0.49}
        fig.add_shape(type="rect", **box, line={"color": "#222", "width": 2})
    fig.update_xaxes(title=f"tried on ({theme.plain(finding.by)})")
    fig.update_yaxes(title="fitted on")
    fig.update_layout(title=theme.headline(sentence(finding)), margin={"t": 90})
    return fig
