"""Which networks learn sooner? Kaplan-Meier curves, log-rank test, proportional hazards of the time to a threshold."""

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

from lyapsweep.analysis.prediction.cross_validation import scaled_ranks
from lyapsweep.analysis.prediction.time_to_event import EventTimes, event_times
from lyapsweep.analysis.shared import theme
from lyapsweep.analysis.shared.axis import is_numeric
from lyapsweep.analysis.shared.early_records import chosen_map
from lyapsweep.analysis.shared.selection import digits, interval, label, numbers, refuse_hunt, require
from lyapsweep.results.table import Table

NEED = 20  # fewest trials
EVENTS = 5  # fewest events for each group and for each covariate of a model
LEVEL = 0.05  # p below which hazards are not proportional
STATISTICS = ("maximum", "mean", "kaplan_yorke")
MEASURED = ("spectra/", "measures/")


class HazardRatios(NamedTuple):
    """Hazard ratios of covariates (covariates,) with 95 % interval and p; NaN if there is no estimate.

    `proportional` is the p value of proportional hazards (Schoenfeld residuals against the rank of time).
    """

    ratio: np.ndarray
    low: np.ndarray
    high: np.ndarray
    p: np.ndarray
    proportional: np.ndarray


class SurvivalFinding(NamedTuple):
    """Shares that reached the threshold, by step, and hazard ratios: arrays (groups, steps) and (groups,).

    `share` = 1 - S at `steps` with the pointwise 95 % band `low` to `high` (log-log), NaN after a group's last trial;
    `median` is the step at which half of a group reached the threshold, with its interval, inf if it did not. `p` is
    that of the log-rank test of all groups. `hazard` is the factor of the rate of reaching the threshold per standard
    deviation of a covariate's ranks, each covariate in a model of its own; `joint` that of all covariates in one model.
    Predictors are from the first records, at step `at` or before; `early` trials had reached the threshold by then and
    are left out, as are `without` trials that lack a value or a predictor.
    """

    event: str
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
    hazard: HazardRatios
    joint: HazardRatios
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
    """Analyse the time until `column` is at `threshold` or better, by groups and by covariates.

    Trials are censored as in `time_to_event.event_times`.

    Args:
        table: The trials of a sweep, with a record at every report.
        column: A measure, such as `measures/loss`, or `measures/time_to_threshold`.
        threshold: None for the median of the final values.
        by: The column of the groups; the largest exponent by default.
        groups: Quantile groups, if the column is numeric with more values than this.
        covariates: Columns of the proportional hazards models; statistics of the spectrum by default.
        hunted: Accept the trials of a hunt, whose scheduler stops bad trials.

    Returns:
        A `SurvivalFinding`.

    Raises:
        HuntTableError: If the trials are those of a hunt and `hunted` is false.
        TooFew: With fewer than 20 trials, two groups, or five trials that reached the threshold.
        UnknownName: If a map or column does not exist.

    Example:
        >>> frame = pd.DataFrame({"trial": np.repeat(np.arange(24), 3), "step": [0, 5, 9] * 24, "outcome": "finished"})
        >>> frame["final"], frame["gain"] = frame["step"] == 9, frame["trial"] % 2
        >>> frame["measures/loss"] = 1 - 0.1 * frame["step"] * (0.5 + frame["gain"])
        >>> found = find(Table(frame), threshold=0.5, by="gain", covariates=[])
        >>> found.groups, found.median
        (('0', '1'), array([inf,  5.]))
    """
    refuse_hunt(table, hunted)
    by = by or f"spectra/{chosen_map(table, None)}/maximum"
    times = event_times(table, column, threshold)
    names = tuple(covariates) if covariates is not None else spectrum_statistics(table, by)
    used = list(dict.fromkeys([by, *names]))
    first = table.take(times.first)
    at = int(first.frame["step"].max()) if any(name.startswith(MEASURED) for name in used) else 0
    known = np.array([first.column(name).notna() for name in used]).all(0)
    later = times.time > at
    kept, without = known & later, int((~known).sum()) + times.without
    require(int(kept.sum()), NEED, f"trials with {by} that reached the threshold after step {at} or not at all")
    require(int(times.reached[kept].sum()), EVENTS, f"trials that reached {times.event}")
    chosen, times = first.take(kept), times.take(kept)
    index, labels = grouped(chosen, by, groups)
    require(len(labels), 2, f"groups of {by}")
    x = np.array([unit_ranks(numbers(chosen, name)) for name in names]).reshape(len(names), len(chosen))
    return SurvivalFinding(
        event=times.event,
        by=by,
        groups=labels,
        **curves(times, index, len(labels)),
        p=float(multivariate_logrank_test(times.time, index, times.reached).p_value),
        covariates=names,
        hazard=hazard_alone(times, x),
        joint=hazard_joint(times, x),
        at=at,
        early=int((known & ~later).sum()),
        without=without,
    )


def spectrum_statistics(table: Table, by: str) -> tuple[str, ...]:
    """A few statistics of the spectrum of `by`, or of the default map."""
    map = by.rpartition("/")[0] if by.startswith("spectra/") else f"spectra/{chosen_map(table, None)}"
    return tuple(name for s in STATISTICS if (name := f"{map}/{s}") in table.frame)


def unit_ranks(values: np.ndarray) -> np.ndarray:
    """Ranks of unit variance; exponents of -inf are the lowest."""
    return np.sqrt(3) * scaled_ranks(values, values)


def grouped(table: Table, by: str, groups: int) -> tuple[np.ndarray, tuple[str, ...]]:
    """(index of each trial's group, labels): the values of a column, or `groups` quantile groups of more numbers."""
    column = table.column(by)
    if not is_numeric(column) or column.nunique() <= groups:
        index, values = pd.factorize(column if is_numeric(column) else column.astype(str), sort=True)
        return index, tuple(map(str, values))
    values = numbers(table, by)
    index = np.minimum((groups * (stats.rankdata(values) - 0.5) / len(values)).astype(int), groups - 1)
    used = np.unique(index)
    labels = [f"{digits(values[index == g].min())} to {digits(values[index == g].max())}" for g in used]
    return np.searchsorted(used, index), tuple(labels)


def curves(times: EventTimes, index: np.ndarray, groups: int) -> dict[str, np.ndarray]:
    """Fields of the finding: shares, bands, medians and counts of every group, at the steps of all events."""
    steps = np.unique(np.append(0.0, times.time))
    share, low, high = (np.full((groups, len(steps)), np.nan) for _ in range(3))
    n, reached, lost = (np.zeros(groups, int) for _ in range(3))
    for g in range(groups):
        own = times.take(index == g)
        fitter = KaplanMeierFitter().fit(own.time, own.reached, timeline=steps)
        seen = steps <= own.time.max()
        band = fitter.confidence_interval_survival_function_.to_numpy()
        share[g, seen] = 1 - fitter.survival_function_.to_numpy()[seen, 0]
        low[g, seen], high[g, seen] = 1 - band[seen, 1], 1 - band[seen, 0]
        n[g], reached[g], lost[g] = len(own.time), own.reached.sum(), (own.lost & ~own.reached).sum()
    middle = {"median": share, "median_low": high, "median_high": low}
    return {
        "steps": steps,
        "share": share,
        "low": low,
        "high": high,
        **{name: half_time(curve, steps) for name, curve in middle.items()},
        "n": n,
        "reached": reached,
        "lost": lost,
    }


def half_time(share: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """The first step (groups,) at which a share is one half, inf if it never is."""
    above = share >= 0.5
    return np.where(above.any(1), steps[above.argmax(1)], np.inf)


def hazard_alone(times: EventTimes, x: np.ndarray) -> HazardRatios:
    """Hazard ratios of covariates (covariates, trials), each in a model of its own."""
    return HazardRatios(*np.array([cox(times, row[None], test=True)[0] for row in x]).reshape(-1, 5).T)


def hazard_joint(times: EventTimes, x: np.ndarray) -> HazardRatios:
    """Hazard ratios in one model of all covariates that vary."""
    varying, rows = np.ptp(x, axis=1) > 0, np.full((5, len(x)), np.nan)
    rows[:, varying] = np.array(cox(times, x[varying])).reshape(-1, 5).T
    return HazardRatios(*rows)


def cox(times: EventTimes, x: np.ndarray, test: bool = False) -> list[tuple[float, ...]]:
    """(ratio, low, high, p, p of proportionality if it is tested) of each covariate, NaN if there is no estimate.

    Maximum partial likelihood with Efron's ties. It has no maximum if a covariate separates the trials with an event
    from all others, or is a linear combination of others.
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
    p = proportional_hazard_test(model, frame, time_transform="rank").p_value if test else np.nan
    return [(*row, *np.broadcast_to(p, 1)) for row in found]


def sentence(finding: SurvivalFinding) -> str:
    """State the medians of the groups, the log-rank test, and the strongest covariate."""
    rows = zip(finding.groups, finding.median, finding.median_low, finding.median_high, strict=True)
    medians = "; ".join(f"{name}: {interval(*row)}" for name, *row in rows)
    lost = f"; {finding.lost.sum()} were lost before and never will" if finding.lost.sum() else ""
    when = f" at step {finding.at}" if finding.by.startswith(MEASURED) else ""
    words = (
        f"{finding.reached.sum()} of {finding.n.sum()} trials reached {finding.event}{lost}. Median steps by "
        f"{label(finding.by)}{when}: {medians} (95 % intervals; log-rank p = {digits(finding.p)})."
    )
    hazard = finding.hazard
    known = np.flatnonzero(np.isfinite(hazard.ratio))
    if not known.size:
        return words
    c = known[np.argmin(hazard.p[known])]
    varies = "; the ratio changes with time" if hazard.proportional[c] < LEVEL else ""
    return (
        f"{words} Of {len(finding.covariates)} covariates {label(finding.covariates[c])} is the most significant: one "
        f"standard deviation of its ranks multiplies the rate of reaching the threshold by "
        f"{interval(hazard.ratio[c], hazard.low[c], hazard.high[c])}{varies}."
    )


def draw(finding: SurvivalFinding) -> go.Figure:
    """Draw the share of each group with its band (left), and hazard ratios, filled alone, open joint (right)."""
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
    fig.update_yaxes(title=f"share with {theme.plain(finding.event)}", range=[0, 1.02], row=1, col=1)
    fig.update_layout(legend_traceorder="normal")
    return theme.frame(fig)


def draw_hazards(fig: go.Figure, finding: SurvivalFinding) -> None:
    """One row per covariate, on a logarithmic axis around a ratio of 1."""
    rows = np.arange(len(finding.covariates))
    for kind, y, hazard in (("alone", rows - 0.1, finding.hazard), ("jointly", rows + 0.1, finding.joint)):
        fig.add_scatter(
            x=hazard.ratio,
            y=y,
            error_x=theme.error_bars(hazard.ratio, hazard.low, hazard.high),
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
