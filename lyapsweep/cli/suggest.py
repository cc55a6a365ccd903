"""`lyapsweep suggest`: forcing intervals for a recorded series or a system."""

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lyapsweep.cli import options, printing, reporting
from lyapsweep.cli.completion import complete
from lyapsweep.cli.errors import CommandError

if TYPE_CHECKING:
    from lyapsweep.datasets.recording import Reading
    from lyapsweep.problems.suggestion import SeriesSuggestion, Suggestion, SystemSuggestion
    from lyapsweep.timeseries import Estimate

SETTINGS = ("time", "resample", "missing", "decimal", "skip")  # of a file
Lines = list[tuple[str, str]]


def page_file(ctx: click.Context, param: click.Parameter, path: Path | None) -> Path | None:
    """Refuse a page that cannot be written, before any work."""
    return options.writable_file(path, "--plot", (".html",))


@click.command(
    "suggest",
    short_help="Suggest forcing intervals for a series.",
    epilog=options.example(
        "lyapsweep suggest series.csv --dt 0.01",
        "lyapsweep suggest series.npy --columns 0,2 --plot divergence.html",
        "lyapsweep suggest series.csv --delay 11 --dimension 4 --theiler 50 --smoothing 0",
        "lyapsweep suggest lorenz63 --json",
    ),
)
@click.argument("what", shell_complete=complete("systems"))
@click.option(
    "--dt",
    type=float,
    callback=options.time_step,
    help="Time between samples.  [default: a time column's, else 1; a system's own]",
)
@click.option("--columns", help="Columns of the file, by name or position from 0: x,z.  [default: all but clocks]")
@options.changes("Change a parameter of a system (rho=38), or how a file is read (time=null). Repeatable.")
@click.option("--seed", type=options.SAMPLER_SEED, default=0, show_default=True, help="Seed of surrogates and orbits.")
@click.option("--plot", type=click.Path(path_type=Path), callback=page_file, help="Draw the divergence curves: .html.")
@click.option("--delay", type=click.IntRange(1), help="Samples between the values of a state.  [default: found]")
@click.option("--dimension", type=click.IntRange(1), help="Values of each column in a state.  [default: found]")
@click.option("--theiler", type=click.IntRange(0), help="Samples that count as one orbit segment.  [default: found]")
@click.option(
    "--smoothing",
    type=click.IntRange(0),
    help="Samples of a cubic Savitzky-Golay filter; 0 leaves the data as they are.  [default: by their noise]",
)
@reporting.options
@options.debug
def command(
    what: str,
    dt: float | None,
    columns: str | None,
    changes: Mapping[str, Any],
    seed: int,
    plot: Path | None,
    **choices: int | None,
) -> None:
    """Estimate the largest Lyapunov exponent and the predictability time, and suggest forcing intervals to sweep.

    WHAT is a recorded series, one row per time step, evenly spaced, whose columns together make the state (.csv, .npy,
    .parquet, .xlsx, .mat, .h5 and others, also as .gz), or the name of a system, whose equations are used. A column of
    times sets the time step. Of a file, --set takes time, resample, missing, decimal and skip, as a config's dataset.
    """
    from lyapsweep.datasets.files import ENDINGS, is_file

    if is_file(what):
        report, lines = of_file(what, columns, changes, dt, seed, plot, choices)
    else:
        for option, given in {"columns": columns, "plot": plot, **choices}.items():
            if given is not None:
                raise CommandError(
                    f"--{option} is for files ({', '.join(ENDINGS)}), but {what} is a system. Leave it out."
                )
        report, lines = of_system(what, changes, dt, seed)
    printing.write(printing.console(), lines)
    reporting.report(report, plot)


def of_file(
    what: str,
    columns: str | None,
    changes: Mapping[str, Any],
    dt: float | None,
    seed: int,
    plot: Path | None,
    choices: Mapping[str, int | None],
) -> tuple[Any, Lines]:
    """The JSON report and the printed lines for a recorded series."""
    from lyapsweep.problems.suggestion import suggest_for_series
    from lyapsweep.timeseries import Choices

    skip, reading = read_settings(what, changes)
    with printing.console(stderr=True).status(what) as status:
        chosen = chosen_columns(what, columns, reading.decimal)
        tell = lambda stage: status.update(f"{what}: {stage}")  # noqa: E731
        found = suggest_for_series(what, chosen, dt, seed, tell, skip, reading, Choices(**choices))
    lines = [("what", what), *result_lines(found.suggestion), *estimate_lines(found), *note_lines(found.suggestion)]
    if plot is not None:
        from lyapsweep.analysis.spectra import divergence_curves

        divergence_curves.save(divergence_curves.find(found.estimate, Path(what).name, found.suggestion.dt), plot)
        lines.append(("plot", str(plot)))
    return series_report(what, found), lines


def read_settings(what: str, changes: Mapping[str, Any]) -> tuple[int, "Reading"]:
    """The rows to skip and how columns are understood, checked as in a config."""
    from lyapsweep.datasets import DATASETS
    from lyapsweep.datasets.recording import Reading
    from lyapsweep.registry import unknown
    from lyapsweep.setting_types import check_setting, type_of

    for key, value in changes.items():
        if key not in SETTINGS:
            raise unknown("setting of a file", key, list(SETTINGS), what)
        check_setting(f"{what}: {key}", value, type_of(DATASETS["recorded"], key))
    given = dict(changes)
    return given.pop("skip", 0), Reading(**given)


def chosen_columns(what: str, columns: str | None, decimal: str) -> list[str | int] | None:
    """Columns by name, or by position where none has such a name."""
    if not columns:
        return None
    from lyapsweep.datasets.files import read

    names = read(what, decimal).names
    return [int(c) if re.fullmatch("[0-9]{1,9}", c) and c not in names else c for c in columns.split(",")]


def of_system(what: str, changes: Mapping[str, Any], dt: float | None, seed: int) -> tuple[Any, Lines]:
    """The JSON report and the printed lines for a system."""
    from lyapsweep.cli.spectrum_targets import check_parameters
    from lyapsweep.problems.suggestion import suggest_for_system
    from lyapsweep.process import small_networks

    small_networks()
    check_parameters(what, changes)
    with printing.console(stderr=True).status(f"computing the spectrum of {what}"):
        found: SystemSuggestion = suggest_for_system(what, changes, dt, seed)
    origin = f"the equations: {found.spectrum.orbits} orbits of {found.spectrum.steps} steps"
    lines = [("what", what), *result_lines(found.suggestion), ("from", origin), *note_lines(found.suggestion)]
    return report(what, "equations", found.suggestion), lines


def report(what: str, source: str, found: "Suggestion") -> dict[str, Any]:
    """What `--json` prints of every suggestion."""
    return {
        "what": what,
        "source": source,
        "chaotic": found.chaotic,
        "verdict": found.verdict,
        "lambda_max": found.exponent / found.dt,
        "lambda_low": found.low / found.dt,
        "lambda_high": found.high / found.dt,
        "lambda_per_step": float(found.exponent),
        "dt": found.dt,
        "tau_pred": found.predictability_time if found.chaotic else None,
        "intervals": None if found.intervals is None else list(found.intervals),
        "against": list(found.against),
        "notes": list(found.notes),
    }


def series_report(what: str, found: "SeriesSuggestion") -> dict[str, Any]:
    """What `--json` prints of a suggestion from a series."""
    estimate, dt = found.estimate, found.suggestion.dt
    embedding, test = estimate.embedding, estimate.test
    kept = {k: getattr(embedding, k) for k in ("delay", "dimension", "theiler", "period", "flow", "false_neighbours")}
    curves = {
        curve.name.lower(): line
        and {"first": line.first, "last": line.last, **{k: getattr(line, k) / dt for k in ("slope", "low", "high")}}
        for curve, line in zip(estimate.curves, estimate.lines)
    }
    return report(what, "series", found.suggestion) | {
        "embedding": {"columns": list(found.columns), **kept},
        "curves": curves,
        "surrogates": {"error": test.error, "best": min(test.surrogates), "rank": test.rank, "p": test.p_value},
        "noise": estimate.noise,
        "noise_bias": estimate.bias / dt,
        "samples": estimate.samples,
        "from": "model" if estimate.model else "series",
        "along": dict(zip(("value", "low", "high"), (e / dt for e in estimate.along))),
        "models": model_reports(estimate, dt),
    }


def model_reports(estimate: "Estimate", dt: float) -> list[dict[str, Any]]:
    return [
        {
            "spacing": run.fitted.model.spacing,
            "values": run.fitted.model.values,
            "centres": len(run.fitted.model.centres),
            "error": run.fitted.error,
            "horizon": run.fitted.horizon,
            "free": run.free / dt if math.isfinite(run.free) else None,
            "along": run.along / dt,
            "refused": run.refused or None,
        }
        for run in estimate.models
    ]


def result_lines(found: "Suggestion") -> Lines:
    """The exponent, the predictability time and the intervals; of a series that is not called chaotic the reasons."""
    per_step = f"{interval_text(found.exponent, found.low, found.high)} per step"
    if found.intervals is None:
        verdict = f"{found.verdict}: {'; '.join(found.against)}"
        return [("verdict", verdict), ("estimate", f"{per_step}: not reliable")]
    shortest, longest = found.intervals
    return [
        ("verdict", found.verdict),
        ("lambda_max", per_time(found.exponent, found.low, found.high, found.dt)),
        ("", per_step),
        ("tau_pred", f"{found.predictability_time:.1f} samples = ln 2 / lambda_max"),
        ("forcing", f"sweep intervals {shortest} to {longest} (0.25 to 2 tau_pred)"),
    ]


def note_lines(found: "Suggestion") -> Lines:
    return [("note", text) for text in found.notes]


def estimate_lines(found: "SeriesSuggestion") -> Lines:
    """Embedding, fit, divergence curves and surrogates."""
    estimate, dt = found.estimate, found.suggestion.dt
    embedding, fit, test = estimate.embedding, estimate.fit, estimate.test
    order = {1: "first", 2: "second"}[fit.degree]
    lines = [
        ("series", f"{estimate.samples} samples of {', '.join(found.columns)}, dt = {dt:g}"),
        ("noise", noise_text(estimate, dt)),
        ("delay", f"{embedding.delay}: {embedding.delay_reason}"),
        ("dimension", f"{embedding.dimension} per column: {embedding.dimension_reason}"),
        ("Theiler window", f"{embedding.theiler} samples (mean period {embedding.period:.1f})"),
        *model_lines(estimate),
        ("along the series", f"{per_time(*estimate.along, dt)}: local maps of {order} order over {fit.ahead} samples"),
    ]
    for curve, line in zip(estimate.curves, estimate.lines):
        text = "no linear region"
        if line is not None:
            slope = per_time(line.slope, line.low, line.high, dt)
            text = f"slope {slope}, linear from {line.first} to {line.last} samples"
        lines.append((f"{curve.name}'s curve", text))
    best = f"{test.error:.3g}, best of {len(test.surrogates)} surrogates {min(test.surrogates):.3g}"
    return [*lines, ("surrogates", f"prediction error {best}: rank {test.rank}, p = {test.p_value:.2g}")]


def noise_text(estimate: "Estimate", dt: float) -> str:
    text = f"at most {estimate.noise:.2g} standard deviations"
    if not estimate.bias:
        return text
    return f"{text}; as much again changes lambda_max by {printing.number(estimate.bias / dt)}, part of its interval"


def model_lines(estimate: "Estimate") -> Lines:
    """Which estimate is reported, and why the smooth models were used or not."""
    if estimate.model is None:
        refused = [("smooth model", f"rejected: {run.refused}") for run in estimate.models]
        return [("from", "tangent vectors along the series"), *refused]
    fitted = estimate.model.fitted
    values = f"{fitted.model.values} values {fitted.model.spacing} samples apart"
    error = f"error {fitted.error:.1g} on held-out states {fitted.horizon} samples ahead"
    return [
        ("from", "a free run of a smooth model, beyond the states that the series visits"),
        ("smooth model", f"{len(fitted.model.centres)} kernels of {values}; {error}"),
    ]


def interval_text(value: float, low: float, high: float) -> str:
    return f"{printing.number(value)} [{printing.number(low)}, {printing.number(high)}]"


def per_time(value: float, low: float, high: float, dt: float) -> str:
    return f"{interval_text(value / dt, low / dt, high / dt)} per unit time"
