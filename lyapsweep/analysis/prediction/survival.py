"""Which networks learn sooner? Shares that got there (Kaplan and Meier 1958), log-rank test, proportional hazards."""

import warnings
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from lifelines import CoxPHFitter, KaplanMeierFitter
from lifelines.exceptions import ConvergenceError, ConvergenceWarning
from lifelines.statistics import multivariate_logrank_test, proportional_hazard_test
from plotly.subplots import make_subplots
from scipy import stats

from lyapsweep.analysis.prediction.cross_validation import ranks
from lyapsweep.analysis.prediction.early_records import map_of
from lyapsweep.analysis.prediction.time_to_event import Crossing, crossings
from lyapsweep.analysis.shared import theme
from lyapsweep.analysis.shared.selection import digits, label, numbers, require
from lyapsweep.analysis.spectra.correlation import refuse
from lyapsweep.results.table import Table

NEED = 20  # trials, and
EVENTS = 5  # of them that got there, for each group and each covariate of a model
LEVEL = 0.05  # of p, below which hazards are said not to be proportional
STATISTICS = ("maximum", "mean", "kaplan_yorke")
MEASURED = ("spectra/", "measures/")


class SurvivalFinding(NamedTuple):
    """Shares that got there, by step, and hazard ratios: arrays (groups, steps), (groups,) and (covariates,).

    `share` = 1 - S at `steps` with the pointwise 95 % band `low` to `high` (log-log), NaN past a group's last trial;
    `median` is the step at which half got there, with its interval, inf where that is not reached. `p` is that of
    the log-rank test of all groups. `hazard` is the factor by which the rate of getting there grows with a standard
    deviation of a covariate's ranks, in a model of its own, with its 95 % interval and p; `joint` the same with all
    covariates in one model; NaN where covariates separate the trials that got there from all others. `proportional` is
    the chance of hazards as far from proportional (Schoenfeld residuals against the rank of time). Predictors are from
    the first records, at step `at` or before; `early` trials got there before and are left out, as are `without` which
    lack a value or a predictor.
    """

    aim: str
    by: str
    groups: tuple[str, ...]
    steps: np.ndarray
    share: np.ndarray
    low: np.ndarray
    high: np.ndarray
    median: np.ndarray
    median_low: np.ndarray
    median_high: np.ndarray
    n: np.ndarray
    reached: np.ndarray
    lost: np.ndarray
    p: float
    covariates: tuple[str, ...]
    hazard: np.ndarray
    hazard_low: np.ndarray
    hazard_high: np.ndarray
    hazard_p: np.ndarray
    joint: np.ndarray
    joint_low: np.ndarray
    joint_high: np.ndarray
    joint_p: np.ndarray
    proportional: np.ndarray
    at: int
    early: int
    without: int


def find(
    table: Table,
    column: str = "measures/loss",
    threshold: float | None = None,
    *,
    by: str | None = None,
    groups: int = 3,
    covariates: Sequence[str] | None = None,
    hunted: bool = False,
) -> SurvivalFinding:
    """Time until `column` is at `threshold` or better, by groups of `by` (lambda_1): of its quantiles, or
    its values where few.

    `covariates` are statistics of the spectrum where nothing else is said. What counts as a time, and what becomes of
    lost trials, says `crossing.crossings`.

    Raises `Hunted` for the trials of a hunt, whose scheduler stops what looks bad, unless `hunted=True`; `UnknownName`;
    `TooFew` below 20 trials, two groups, or five trials that got there.
    """
    refuse(table, hunted)
    by = by or f"spectra/{map_of(table, None)}/maximum"
    times = crossings(table, column, threshold)
    names = tuple(covariates) if covariates is not None else statistics(table, by)
    used = list(dict.fromkeys([by, *names]))
    first = table.take(times.first)
    at = int(first.frame["step"].max()) if any(name.startswith(MEASURED) for name in used) else 0
    known = np.array([first.column(name).notna() for name in used]).all(0)
    later = times.time > at
    kept = known & later
    require(int(kept.sum()), NEED, f"trials with {by} that got there after step {at} or not at all")
    require(int(times.reached[kept].sum()), EVENTS, f"trials that got to {times.aim}")
    chosen, times = first.take(kept), times.take(kept)
    index, labels = grouped(chosen, by, groups)
    require(len(labels), 2, f"groups of {by}")
    return SurvivalFinding(
        aim=times.aim,
        by=by,
        groups=labels,
        **curves(times, index, len(labels)),
        p=logrank(times, index),
        covariates=names,
        **hazards(times, np.array([standard(numbers(chosen, name)) for name in names]).reshape(len(names), -1)),
        at=at,
        early=int((known & ~later).sum()),
        without=int((~known).sum()) + times.without,
    )


def statistics(table: Table, by: str) -> tuple[str, ...]:
    """A few statistics of the spectrum that `by` is one of, or else of the first map there is."""
    columns = [str(c) for c in table.frame.columns]
    map = by.rpartition("/")[0] if by.startswith("spectra/") else f"spectra/{map_of(table, None)}"
    return tuple(name for s in STATISTICS if (name := f"{map}/{s}") in columns)


def standard(values: np.ndarray) -> np.ndarray:
    """Ranks of unit variance: exponents of -inf are the lowest."""
    return np.sqrt(3) * ranks(values, values)


def grouped(table: Table, by: str, groups: int) -> tuple[np.ndarray, tuple[str, ...]]:
    """(index of each trial's group, what the groups are called): values as they are, or `groups` quantile groups of
    numbers that take more values than that."""
    column = table.column(by)
    kinds = column.unique()
    if len(kinds) <= groups or not pd.api.types.is_numeric_dtype(column):
        named = column.astype(str).to_numpy()
        order = sorted(kinds) if pd.api.types.is_numeric_dtype(column) else sorted(set(named))
        return np.array([[str(k) for k in order].index(n) for n in named]), tuple(str(k) for k in order)
    values = numbers(table, by)
    index = np.minimum((groups * (stats.rankdata(values) - 0.5) / len(values)).astype(int), groups - 1)
    used = np.unique(index)
    labels = [f"{digits(values[index == g].min())} to {digits(values[index == g].max())}" for g in used]
    return np.searchsorted(used, index), tuple(labels)


def curves(times: Crossing, index: np.ndarray, groups: int) -> dict[str, np.ndarray]:
    """Shares, bands, medians and counts of every group, on the steps at which anything happened in any."""
    steps = np.unique(np.append(0.0, times.time))
    share, low, high = (np.full((groups, len(steps)), np.nan) for _ in range(3))
    for g in range(groups):
        mine = index == g
        fitter = KaplanMeierFitter().fit(times.time[mine], times.reached[mine], timeline=steps)
        seen = steps <= times.time[mine].max()
        band = fitter.confidence_interval_survival_function_.to_numpy()
        share[g, seen] = 1 - fitter.survival_function_.to_numpy()[seen, 0]
        low[g, seen], high[g, seen] = 1 - band[seen, 1], 1 - band[seen, 0]
    count = lambda which: np.array([(which & (index == g)).sum() for g in range(groups)])  # noqa: E731
    return {
        "steps": steps,
        "share": share,
        "low": low,
        "high": high,
        "median": half(share, steps),
        "median_low": half(high, steps),
        "median_high": half(low, steps),
        "n": count(np.full(len(index), True)),
        "reached": count(times.reached),
        "lost": count(times.lost & ~times.reached),
    }


def half(share: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """The first step (groups,) at which a share is a half, inf where it never is."""
    there = share >= 0.5
    return np.where(there.any(1), steps[there.argmax(1)], np.inf)


def logrank(times: Crossing, index: np.ndarray) -> float:
    """p of the hypothesis that all groups have one curve."""
    return float(multivariate_logrank_test(times.time, index, times.reached).p_value)


def hazards(times: Crossing, x: np.ndarray) -> dict[str, np.ndarray]:
    """Hazard ratios of covariates (covariates, trials), each in a model of its own and all that vary in one."""
    alone = np.array([cox(times, x[[i]], test=True)[0] for i in range(len(x))]).reshape(-1, 5).T
    varying, together = np.ptp(x, axis=1) > 0, np.full((5, len(x)), np.nan)
    together[:, varying] = np.array(cox(times, x[varying])).reshape(-1, 5).T
    found = {f"hazard{name}": row for name, row in zip(("", "_low", "_high", "_p"), alone, strict=False)}
    found |= {f"joint{name}": row for name, row in zip(("", "_low", "_high", "_p"), together, strict=False)}
    return found | {"proportional": alone[4]}


def cox(times: Crossing, x: np.ndarray, test: bool = False) -> list[tuple[float, ...]]:
    """(ratio, low, high, p, p of proportionality where it is tested) of each covariate; NaN where none can be had.

    Maximum partial likelihood with Efron's ties; it has no maximum where a covariate separates the trials that got
    there from all others, or is a combination of others.
    """
    unknown = [(np.nan,) * 5] * len(x)
    if not len(x) or times.reached.sum() < EVENTS * len(x) or (np.ptp(x, axis=1) == 0).any():
        return unknown
    frame = pd.DataFrame({f"x{i}": row for i, row in enumerate(x)} | {"time": times.time, "reached": times.reached})
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", ConvergenceWarning)
            model = CoxPHFitter().fit(frame, "time", "reached")
    except (ConvergenceError, ConvergenceWarning):
        return unknown
    found = model.summary[["exp(coef)", "exp(coef) lower 95%", "exp(coef) upper 95%", "p"]].to_numpy()
    chance = proportional_hazard_test(model, frame, time_transform="rank").p_value if test else np.nan
    return [(*row, *np.broadcast_to(chance, 1)) for row in found]


def sentence(finding: SurvivalFinding) -> str:
    """What was found, in words."""
    medians = "; ".join(
        f"{name}: {digits(finding.median[g])} [{digits(finding.median_low[g])}, {digits(finding.median_high[g])}]"
        for g, name in enumerate(finding.groups)
    )
    lost = f"; {finding.lost.sum()} were lost before, which never will" if finding.lost.sum() else ""
    when = f" at step {finding.at}" if finding.by.startswith(MEASURED) else ""
    said = (
        f"{finding.reached.sum()} of {finding.n.sum()} trials got to {finding.aim}{lost}. Median steps by "
        f"{label(finding.by)}{when}: {medians} (95 % intervals; log-rank p = {digits(finding.p)})."
    )
    known = np.flatnonzero(np.isfinite(finding.hazard))
    if not known.size:
        return said
    c = known[np.argmin(finding.hazard_p[known])]
    ratio, low, high = (digits(float(part[c])) for part in (finding.hazard, finding.hazard_low, finding.hazard_high))
    bent = "; the ratio changes with time" if finding.proportional[c] < LEVEL else ""
    return (
        f"{said} Of {len(finding.covariates)} covariates {label(finding.covariates[c])} says most: one standard "
        f"deviation of its ranks multiplies the rate of getting there by {ratio} [{low}, {high}]{bent}."
    )


def draw(finding: SurvivalFinding) -> go.Figure:
    """The share of each group that got there, in its band; beside it hazard ratios, filled alone, open jointly."""
    fig = make_subplots(rows=1, cols=2, column_widths=[0.64, 0.36], horizontal_spacing=0.2)
    fig.update_layout(theme.figure(460).layout)
    for g, name in enumerate(finding.groups):
        seen = np.isfinite(finding.share[g])
        step, line = finding.steps[seen], {"color": theme.colour(g), "width": 2, "shape": "hv"}
        bounds = {"mode": "lines", "line": {"width": 0, "shape": "hv"}, "showlegend": False, "hoverinfo": "skip"}
        fig.add_scatter(x=step, y=finding.low[g, seen], **bounds)
        tint = f"rgba{(*(int(theme.colour(g)[i : i + 2], 16) for i in (1, 3, 5)), 0.14)}"
        fig.add_scatter(x=step, y=finding.high[g, seen], fill="tonexty", fillcolor=tint, **bounds)
        named = f"{theme.plain(name)} ({finding.reached[g]} of {finding.n[g]})"
        hover = f"{named}<br>step %{{x}}: %{{y:.2f}}<extra></extra>"
        fig.add_scatter(x=step, y=finding.share[g, seen], mode="lines", line=line, name=named, hovertemplate=hover)
    draw_hazards(fig, finding)
    fig.update_xaxes(title="step", row=1, col=1)
    fig.update_yaxes(title=f"share with {theme.plain(finding.aim)}", range=[0, 1.02], row=1, col=1)
    fig.update_layout(legend_traceorder="normal")
    return theme.frame(fig)


def draw_hazards(fig: go.Figure, finding: SurvivalFinding) -> None:
    """A row a covariate, on a logarithmic axis about a ratio of 1."""
    rows = np.arange(len(finding.covariates))
    for kind, place, ratio, low, high in (
        ("alone", rows - 0.1, finding.hazard, finding.hazard_low, finding.hazard_high),
        ("jointly", rows + 0.1, finding.joint, finding.joint_low, finding.joint_high),
    ):
        fig.add_scatter(
            x=ratio,
            y=place,
            error_x={"array": high - ratio, "arrayminus": ratio - low, "color": theme.GREY, "thickness": 1.2},
            mode="markers",
            marker={"size": 10, "color": "black", "symbol": "circle" if kind == "alone" else "circle-open"},
            name=f"ratio {kind}",
            hovertemplate=f"{kind}: %{{x:.2f}}<extra></extra>",
            row=1,
            col=2,
        )
    dashed = {"color": theme.GREY, "width": 1.2, "dash": "dash"}
    fig.add_shape(type="line", x0=1, x1=1, y0=0, y1=1, xref="x2", yref="y2 domain", line=dashed)
    names = [theme.plain(label(name)) for name in finding.covariates]
    fig.update_yaxes(tickvals=rows, ticktext=names, range=[len(rows) - 0.5, -0.5], row=1, col=2)
    fig.update_xaxes(title="hazard ratio", type="log", row=1, col=2)
