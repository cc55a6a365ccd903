"""The report of a fit in words and numbers: what the terminal prints and the page shows."""

import math
import shlex
from dataclasses import dataclass

import numpy as np

from lyapsweep.fitting.forecasts import ForecastScore
from lyapsweep.fitting.result import FitResult
from lyapsweep.measures import chosen

SHOWN = ("state_space", "power_spectrum", "prediction_error")  # scores of the report, and the objective

Row = tuple[str, ...]


@dataclass(frozen=True)
class ReportTable:
    """A table of the report.

    Args:
        title: Its title.
        heads: Headings of the columns.
        rows: Cells as text, one row each.
        note: A sentence below it; "" for none.
    """

    title: str
    heads: Row
    rows: tuple[Row, ...]
    note: str = ""


def tables(found: FitResult) -> tuple[ReportTable, ...]:
    """All tables: scores, forecasts, exponents, settings."""
    return score_table(found), forecast_table(found), exponent_table(found), setting_table(found)


def text(value: float) -> str:
    """A number with four digits; a dash for one that is unknown."""
    return "-" if math.isnan(value) else f"{value:.4g}"


def spread(values: "list[float]") -> str:
    """Median, least and most of several numbers."""
    known = [v for v in values if not math.isnan(v)]
    if not known:
        return "-"
    return (
        f"{text(float(np.median(known)))} ({text(min(known))} to {text(max(known))})"
        if len(known) > 1
        else text(known[0])
    )


def score_table(found: FitResult) -> ReportTable:
    """The scores of the best setting beside floor and saturation."""
    first, names = found.records[0], dict.fromkeys((found.criterion.objective, *SHOWN))
    measures, rows = chosen(first.config.measures), []
    for name in names:
        scores = [r.measures.get(name, math.nan) for r in found.records]
        tested = [r.test.get(name, math.nan) for r in found.records]
        bounds = (first.floors, first.test_floors, first.saturations)
        floor, test_floor, saturation = (text(each.get(name, math.nan)) for each in bounds)
        rows.append((measures[name].title, spread(scores), floor, spread(tested), test_floor, saturation))
    heads = ("score", "validation", "floor", "test", "test floor", "network at rest")
    note = f"Median and range of {len(found.records)} fresh seeds. The floor is what another piece of the data scores."
    return ReportTable("Scores", heads, tuple(rows), note)


def forecast_table(found: FitResult) -> ReportTable:
    """Valid prediction time and error of the networks and the baselines."""
    per = 1.0 if found.analysis.lambda_max is None else found.analysis.lambda_max * found.analysis.dt
    known = found.analysis.lambda_max is not None

    def row(each: ForecastScore) -> Row:
        times = spread([each.low, each.valid_steps, each.high]) if each.high > each.low else text(each.valid_steps)
        return each.name, times, *((text(each.valid_steps * per),) if known else ()), text(each.error)

    heads = ("forecast", "valid samples", *(("Lyapunov times",) if known else ()), "PE(20)")
    rows = tuple(row(each) for each in (found.forecasts.network, *found.forecasts.baselines))
    coverage = found.forecasts.coverage
    note = (
        f"Valid until the error exceeds 0.4 standard deviations; {found.forecasts.targets.shape[0]} forecasts of the "
        f"test part, at most {len(coverage)} samples. The 90 % interval over the seeds held the truth in "
        f"{coverage.mean():.0%} of cases."
    )
    return ReportTable("Forecasts", heads, rows, note)


def exponent_table(found: FitResult) -> ReportTable:
    """Leading exponents of the networks beside the data's estimate."""
    dt, spectra = found.analysis.dt, [r.spectrum for r in found.records if r.spectrum is not None]
    shown = min([4, *(len(s.exponents) for s in spectra)])
    low, high = found.analysis.lambda_interval
    data = (
        "-" if found.analysis.lambda_max is None else f"{text(found.analysis.lambda_max)} ({text(low)} to {text(high)})"
    )
    rows = tuple(
        (f"lambda_{i + 1}", spread([float(s.exponents[i]) / dt for s in spectra]), data if i == 0 else "-")
        for i in range(shown)
    )
    dimension = spread([s.kaplan_yorke for s in spectra])
    return ReportTable(
        "Lyapunov exponents",
        ("per unit time", "networks", "estimate from the series"),
        (*rows, ("Kaplan-Yorke dimension", dimension, "-")),
    )


def setting_table(found: FitResult) -> ReportTable:
    """The confirmed settings."""
    rows = []
    for setting in found.settings:
        config = setting.records[0].config
        cell = " ".join(f"{k}={v}" if k != "kind" else str(v) for k, v in config.cell.items() if v is not False)
        forcing = " ".join(f"{k}={v}" if k != "kind" else str(v) for k, v in config.forcing.items())
        scores = spread([found.criterion.score(r) for r in setting.records])
        rate = f"{config.training.lr:.2g}"
        rows.append(
            (
                str(setting.rank),
                cell,
                config.init["kind"],
                forcing,
                rate,
                text(found.criterion.score(setting.favourite)),
                scores,
            )
        )
    heads = ("rank in the search", "cell", "init", "forcing", "rate", "in the search", "fresh seeds")
    return ReportTable("Confirmed settings, best first", heads, tuple(rows))


def headline(found: FitResult) -> str:
    """The verdict in one line."""
    answer = {"yes": "Yes", "no": "No", "with reservations": "With reservations"}[found.reliability.verdict]
    return f"Is this network to be trusted? {answer}."


def next_commands(found: FitResult) -> tuple[tuple[str, str], ...]:
    """How to go on, as (what, command)."""
    folder, name = found.place.folder, found.place.name
    return (
        ("search further", shlex.join(["lyapsweep", "sweep", str(folder / f"{name}.py"), "--name", f"{name}-more"])),
        ("all searched networks", shlex.join(["lyapsweep", "atlas", str(folder)])),
        ("all exponents", shlex.join(["lyapsweep", "spectrum", str(found.model_file)])),
    )
