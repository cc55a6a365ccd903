"""Does a prediction from spectra carry over to another cell or task? Fitted to one group, tested on the others."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
import plotly.graph_objects as go

from lyapsweep.analysis.prediction.held_out import (
    Block,
    Form,
    held_out,
    predictor_blocks,
    prepared,
    random_folds,
    ridge,
)
from lyapsweep.analysis.shared import theme
from lyapsweep.analysis.shared.early_records import RowSummary, early_records
from lyapsweep.analysis.shared.rank_correlation import rank_correlation
from lyapsweep.analysis.shared.ranks import rank_share, spearman
from lyapsweep.analysis.shared.selection import decimal_interval, decimals, label, named, refuse_hunt, require
from lyapsweep.analysis.shared.units import UnitCount, Units, enough_permutations
from lyapsweep.results.table import Table

NEED, UNITS, FOLDS = 10, 5, 10  # fewest trials and units of a group; folds of the diagonal
TAILS = (0.975, 0.025)  # of scores of permuted outcomes
PREDICTORS = {
    "spectrum": ("spectrum",),
    "known": ("settings", "early scores"),
    "all": ("settings", "early scores", "spectrum"),
}
Predictors = Literal["spectrum", "known", "all"]


class TransferFinding(NamedTuple):
    """`rho` (groups, groups): Spearman's rho of predictions with outcomes, fitted to the row's group, tested on the
    column's, with its 95 % interval [low, high]; cross-validated on the diagonal. `counts` has the
    settings and runs of each group. `small` are the groups with too few trials.
    """

    rows: RowSummary
    by: str
    predictors: str
    form: str
    groups: tuple[str, ...]
    rho: np.ndarray
    low: np.ndarray
    high: np.ndarray
    counts: tuple[UnitCount, ...]
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
    permutations: int = 199,
    hunted: bool = False,
    seed: int = 0,
) -> TransferFinding:
    """Fit the outcome's rank within each group by ridge regression, and test every fit on every group.

    Scales and the penalty are those of the fitted group. Off the diagonal the interval is that of one fit over the
    tested settings, which are left out one by one. On it, rho is that of ten-fold cross-validation and the interval is
    z - z', z = artanh(rho), with z' the 97.5 % and 2.5 % quantiles of the scores of outcomes that are permuted between
    settings: without a relation these lie below zero, by how much depends on the number of settings.

    Args:
        table: The trials of a sweep, with spectra at early records.
        outcome: The predicted column, such as `measures/loss`.
        by: The column of the groups; it is no predictor.
        fraction: Of training; spectra are those of the latest record at or before it.
        predictors: The early "spectrum", what is "known" without it (settings and early scores), or "all".
        form: The spectrum as its "summaries", 20 "quantiles" (for networks of any size), or ten "components".
        map: The map of the spectra; the closed loop or the first one by default.
        scores: Columns of early scores; the outcome and the loss by default.
        repeats: Random splits into folds, on the diagonal.
        permutations: Of the outcomes between settings, for the intervals on the diagonal; 39 or more.
        hunted: Accept the trials of a hunt.
        seed: Of folds and permutations.

    Returns:
        A `TransferFinding`.

    Raises:
        HuntTableError: If the trials are those of a hunt and `hunted` is false.
        TooFew: With fewer than two groups of ten trials.
        UnknownName: If a map or column does not exist.
        ValueError: If `fraction` is not in [0, 1), `predictors` or `form` is unknown, or `permutations` is too small.

    Example:
        >>> import pandas as pd
        >>> from lyapsweep.results.imported import from_frame
        >>> rng = np.random.default_rng(0)
        >>> frame = pd.DataFrame({"run": np.repeat(np.arange(24), 2), "epoch": [0, 9] * 24})
        >>> frame["cell"] = np.repeat(["gru", "lstm"], 24)
        >>> frame["loss"] = frame["l1"] = np.repeat(rng.uniform(size=24), 2)
        >>> names = {"settings": "cell", "outcomes": "loss", "exponents": "l1", "trial": "run", "step": "epoch"}
        >>> found = find(from_frame(frame, **names), "measures/loss", "cell", repeats=1, permutations=39)
        >>> str(found.counts[0]), found.rho.round(2)[0, 1]
        ('1 setting, 12 runs', np.float64(1.0))
    """
    refuse_hunt(table, hunted)
    if predictors not in PREDICTORS:
        raise ValueError(f"predictors: must be one of {', '.join(PREDICTORS)}, but is '{predictors}'.")
    enough_permutations(permutations, min(TAILS))
    rows = early_records(table, outcome, fraction, map, scores)
    of = named(rows.trials, by)
    names = sorted(set(of))
    own = rows.units
    units = {g: own.take(of == g) for g in names}
    enough = {g for g, u in units.items() if len(u.index) >= NEED and u.number >= UNITS}
    groups = [g for g in names if g in enough and len(set(rows.values[of == g])) > 1]
    require(len(groups), 2, f"values of {by} with {NEED} trials of {UNITS} settings whose outcomes differ")
    blocks = predictor_blocks(rows, form, by)
    members = [np.flatnonzero(of == g) for g in groups]
    cells = matrix(
        [blocks[name] for name in PREDICTORS[predictors]], rows.target, members, own, repeats, permutations, seed
    )
    return TransferFinding(
        rows=rows.summary,
        by=by,
        predictors=predictors,
        form=form,
        groups=tuple(str(g) for g in groups),
        rho=cells[0],
        low=cells[1],
        high=cells[2],
        counts=tuple(units[g].count for g in groups),
        small=tuple(g for g in names if g not in groups),
    )


def matrix(
    blocks: list[Block],
    y: np.ndarray,
    members: list[np.ndarray],
    units: Units,
    repeats: int,
    permutations: int,
    seed: int,
) -> np.ndarray:
    """(rho, low, high) of every fit on every group (3, groups, groups); `members` are the rows of each group."""
    generator = np.random.default_rng(seed)
    cells = np.empty((3, len(members), len(members)))
    for a, train in enumerate(members):
        predicted = fitted(blocks, y, train)
        for b, test in enumerate(members):
            if a != b:
                cells[:, a, b] = np.nan_to_num(rank_correlation(predicted[test], y[test], units.take(test))[:3])
        own = [block.take(train) for block in blocks]
        cells[:, a, a] = cross_validated(own, y[train], units.take(train), repeats, permutations, generator)
    return cells


def fitted(blocks: list[Block], y: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Predictions of all trials by a fit to some rows."""
    train = np.isin(np.arange(len(y)), rows)
    return ridge([prepared(b, train) for b in blocks], rank_share(y, y[train]), train)


def cross_validated(
    blocks: list[Block], y: np.ndarray, units: Units, repeats: int, permutations: int, generator: np.random.Generator
) -> tuple[float, float, float]:
    """(rho, low, high) of held-out predictions within one group, the interval from permuted outcomes."""
    orders = [np.arange(len(y)), *(units.permuted(generator) for _ in range(permutations))]
    outcomes, named = y[np.array(orders)].T, {str(i): b for i, b in enumerate(blocks)}
    folds, rho = min(FOLDS, units.number), np.zeros(len(orders))
    for _ in range(repeats):
        predicted = held_out(named, [list(named)], outcomes, random_folds(units.index, folds, generator))[0]
        rho += np.nan_to_num(spearman(predicted.T, outcomes.T)) / repeats
    z = np.arctanh(np.clip(rho, -1 + 1e-9, 1 - 1e-9))
    low, high = np.tanh(z[0] - np.quantile(z[1:], TAILS, method="weibull"))
    return float(rho[0]), float(low), float(high)


def sentence(finding: TransferFinding) -> str:
    """Compare the predictions for other groups with those within groups."""
    off = ~np.eye(len(finding.groups), dtype=bool)
    within, across = float(np.median(np.diag(finding.rho))), finding.rho[off]
    above, below = int((finding.low[off] > 0).sum()), int((finding.high[off] < 0).sum())
    source = {"spectrum": "the spectrum", "known": "settings and early scores", "all": "all predictors"}
    words = (
        f"From {source[finding.predictors]} at {finding.rows.moment} a fit within one {finding.by} predicts the final "
        f"{label(finding.rows.outcome)} of its own held-out trials with a median ρ of {decimals(within)}, of another "
        f"{finding.by} with {decimals(np.median(across))} ({decimal_interval(across.min(), across.max())}); "
        f"{above} of {off.sum()} transfers have an interval above zero"
    )
    least, most = min(finding.counts), max(finding.counts)
    sizes = f"{least}" if least == most else f"{least} to {most}"
    return f"{words}{f', {below} below it' if below else ''}, n = {sizes} per group."


def draw(finding: TransferFinding) -> go.Figure:
    """Draw rho as a heatmap, fitted to the row's group and tested on the column's; bold if the interval excludes 0."""
    text = np.full(finding.rho.shape, "", dtype=object)
    for i, j in np.ndindex(*finding.rho.shape):
        low, high = finding.low[i, j], finding.high[i, j]
        text[i, j] = f"{theme.bold(decimals(finding.rho[i, j]), low > 0 or high < 0)}<br>{decimal_interval(low, high)}"
    rows = [theme.plain(g) for g in finding.groups]
    columns = [f"{g} ({n})" for g, n in zip(rows, finding.counts, strict=True)]
    hover, height = "fitted to %{y}, tested on %{x}", 230 + 52 * len(rows)
    fig = theme.correlation_matrix(rows, columns, finding.rho, text, hover, height)
    for i in range(len(finding.groups)):
        box = {"x0": i - 0.49, "x1": i + 0.49, "y0": i - 0.49, "y1": i + 0.49}
        fig.add_shape(type="rect", **box, line={"color": "#222", "width": 2})
    fig.update_xaxes(title=f"tested on ({theme.plain(finding.by)})")
    fig.update_yaxes(title="fitted to")
    fig.update_layout(title=theme.headline(sentence(finding)), margin={"t": 90})
    return fig
