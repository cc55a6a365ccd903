"""Printing of numbers, spectra, scores and paths."""

import contextlib
import math
import os
import shlex
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.table import Table

from lyapsweep.cli import reporting
from lyapsweep.redaction import redact
from lyapsweep.results.experiment import ExperimentPaths

if TYPE_CHECKING:
    from lyapsweep.dynamics import Spectrum
    from lyapsweep.results.record import Record

KINDS = {
    "system": "a known system, along its own orbit",
    "map": "a user-defined map, along its own orbit",
    "closed loop": "the network running freely",
    "zero input": "the network running freely, its inputs held at zero",
    "driven": "the network driven by the given inputs, on which its exponents are conditional",
    "forced": "the network under the forcing of training",
}
CHECKS = {
    "sum_rule": "|sum of exponents - mean log |det J||, nats per step",
    "resolution": "largest relative rounding error of one stretching factor",
    "halves": "largest difference between the two halves of the steps, nats per step",
    "orbits": "largest difference between two halves of the orbits, nats per step",
    "zero": "distance of the nearest exponent from zero, nats per step; one exponent of a flow is zero",
}
UNBOUNDED = "yes: no dimension, entropy rate or predictability time, and the exponents are growth rates"
WIDTH = 120  # columns, if the output has no width of its own
MOST_DECIMALS = 8

Lines = list[tuple[str, str]]
"""Names and texts, see `write`."""


def console(optional: bool = False, stderr: bool = False) -> Console:
    """A console that prints plain text: no markup, no highlighting; nothing with --json and --quiet.

    Args:
        optional: Whether the work goes on if the output cannot be written (`OptionalOutput`).
        stderr: Whether it writes to standard error, such as what is being computed.
    """
    quiet = reporting.mode() is not reporting.Mode.TEXT
    if stderr:
        return Console(stderr=True, quiet=quiet)
    columns = os.environ.get("COLUMNS", "")
    fixed = columns == "0" or (not sys.stdout.isatty() and not columns)  # 0: a terminal that knows no width
    file: Any = OptionalOutput(sys.stdout) if optional else None
    return Console(file=file, markup=False, highlight=False, emoji=False, width=WIDTH if fixed else None, quiet=quiet)


class OptionalOutput:
    """Standard output of work whose results are files: once a write fails, the rest is dropped and stderr says so.

    A write fails if the pipe's reader has ended, the terminal was closed, or the disk of a log file is full.
    """

    def __init__(self, file: IO[str]):
        self.file = file

    def write(self, text: str) -> int:
        self.attempt(lambda: self.file.write(text))
        return len(text)

    def flush(self) -> None:
        self.attempt(self.file.flush)

    def attempt(self, action: Callable[[], object]) -> None:
        try:
            action()
        except OSError as error:
            with contextlib.suppress(OSError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), self.file.fileno())  # what is buffered goes there, too
            self.file = open(os.devnull, "w")  # noqa: SIM115  # until the process ends
            with contextlib.suppress(OSError):
                click.echo(f"The output cannot be written ({error.strerror}). The work continues without it.", err=True)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)


def number(value: float) -> str:
    return f"{value:.4g}"


def with_error(value: float, error: float) -> tuple[str, str]:
    """A value and its standard error, rounded to two digits of the error."""
    if not (math.isfinite(value) and math.isfinite(error) and error > 0):
        return number(value), "" if math.isnan(error) else number(error)
    decimals = min(max(0, 1 - math.floor(math.log10(error))), MOST_DECIMALS)
    return f"{value:.{decimals}f}", f"{error:.{decimals}f}"


def together(value: float, error: float) -> str:
    """`0.0181 ± 0.0004`."""
    return " ± ".join(part for part in with_error(value, error) if part)


def duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def exponents(spectrum: "Spectrum", literature: Sequence[float] = (), most: int | None = None) -> Table:
    """One row per exponent: per step and, if the map has a time step, per unit time; at most `most` rows."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    timed = spectrum.dt is not None
    headings = ["i", "per step", "std. error", *(["per unit time", "std. error"] if timed else [])]
    for heading in headings + (["literature"] if literature else []):
        table.add_column(heading, justify="right", no_wrap=True)
    for i, values in enumerate(zip(spectrum.exponents, spectrum.stderr, spectrum.per_time, spectrum.stderr_per_time)):
        if most is not None and i == most < len(spectrum.exponents) - 1:
            table.add_row("...")
            last = with_error(spectrum.exponents[-1], spectrum.stderr[-1])
            over = with_error(spectrum.per_time[-1], spectrum.stderr_per_time[-1]) if timed else ()
            table.add_row(str(len(spectrum.exponents)), *last, *over)
            break
        cells = [*with_error(values[0], values[1]), *(with_error(values[2], values[3]) if timed else ())]
        known = [f"{literature[i]:.6g}"] if i < len(literature) else []
        table.add_row(str(i + 1), *cells, *known)
    return table


def unit(spectrum: "Spectrum") -> str:
    """The unit of the exponents: per step, or per unit time if the map has a time step."""
    return spectrum.settings.get("unit") or ("nats per unit time" if spectrum.dt else "nats per step")


def derived_lines(spectrum: "Spectrum", exact_sum: float | None = None) -> list[tuple[str, str]]:
    """Quantities derived from a spectrum."""
    per, unit_text = 1 / (spectrum.dt or 1.0), "per unit time" if spectrum.dt else "per step"
    kept = len(spectrum.exponents)
    leading = "" if spectrum.complete else f", of the leading {kept} of {spectrum.state}"
    exact = f" (exactly {number(exact_sum)})" if exact_sum else ""
    lines = [
        *map_lines(spectrum),
        ("largest", f"{together(spectrum.maximum * per, float(spectrum.stderr[0]) * per)} {unit_text}"),
        ("sum", f"{number(spectrum.sum * per)} {unit_text}{exact}{leading}"),
        ("mean", f"{number(spectrum.mean * per)} {unit_text}{leading}"),
        *(attractor_lines(spectrum, per, unit_text) if not spectrum.unbounded else [("unbounded", UNBOUNDED)]),
    ]
    if spectrum.rank_losses:
        lines.append(("rank losses", f"{spectrum.rank_losses} tangent vectors met a singular Jacobian: -inf"))
    return lines


def attractor_lines(spectrum: "Spectrum", per: float, unit_text: str) -> list[tuple[str, str]]:
    """What the exponents of a bounded orbit say; of a part of a spectrum, bounds where it decides no more."""
    kept, (low, high) = len(spectrum.exponents), spectrum.kaplan_yorke_interval
    of_part = f" (from {kept} of {spectrum.state} exponents)"
    dimension = number(spectrum.kaplan_yorke)
    if math.isnan(spectrum.kaplan_yorke):
        dimension = f">= {kept if math.isnan(low) else number(low)}{of_part}"
    elif not math.isnan(low):
        dimension += f" ({number(low)} to {number(high)} within the errors)"
    entropy = f"{number(spectrum.entropy_bound * per)} {unit_text}"
    more = spectrum.partial_sums_only
    return [
        ("positive", positive_text(spectrum)),
        ("Kaplan-Yorke dimension", dimension),
        ("entropy rate", f">= {entropy}{of_part}" if more else f"{entropy} (sum of the positive exponents)"),
        ("tau_pred", prediction_text(spectrum)),
    ]


def positive_text(spectrum: "Spectrum") -> str:
    """The number of positive exponents, and whether it takes errors into account."""
    count = f"{spectrum.positive} of {len(spectrum.exponents)}"
    if not spectrum.without_error:
        return f"{count}, whose 95 % intervals are above zero"
    missing = "none" if spectrum.without_error == len(spectrum.exponents) else "not all"
    return f"{count}, but {missing} of the standard errors are known"


def map_lines(spectrum: "Spectrum") -> list[tuple[str, str]]:
    """The map, and the orbits along which it was measured."""
    meaning = f" ({KINDS[spectrum.map]})" if spectrum.map in KINDS else ""
    time = f", dt = {spectrum.dt:g}" if spectrum.dt else ""
    return [
        ("map", f"{spectrum.map}{meaning}, {len(spectrum.exponents)} of {spectrum.state} exponents{time}"),
        (
            "orbits",
            f"{spectrum.orbits} of {spectrum.steps} steps, after {spectrum.settings.get('warmup', 0)} of warmup",
        ),
    ]


def check_lines(spectrum: "Spectrum") -> list[tuple[str, str]]:
    """The checks of a spectrum, each with its meaning."""
    absent = ("zero",) if spectrum.partial_sums_only else ()  # the zero exponent is among those not computed
    kept = ((name, value) for name, value in spectrum.checks.items() if name not in absent)
    return [(name, f"{number(value)}  ({CHECKS.get(name, name)})") for name, value in kept]


def unless_nan(value: float, otherwise: str = "unknown") -> str:
    return otherwise if math.isnan(value) else number(value)


def prediction_text(spectrum: "Spectrum") -> str:
    if spectrum.zeros[0]:
        return "none: the largest exponent counts as zero"
    if math.isnan(spectrum.stderr[0]):
        return "unknown: the largest exponent has no standard error"
    if not spectrum.chaotic:
        return "none: the largest exponent is not above zero with all of its 95 % interval"
    time = f" = {number(spectrum.predictability_time * spectrum.dt)} units of time" if spectrum.dt else ""
    return f"{number(spectrum.predictability_time)} steps{time} (ln 2 / lambda_1)"


def write(out: Console, lines: Iterable[tuple[str, str]]) -> None:
    """Print lines of `name  text`; long ones are not wrapped, so that paths and commands can be copied."""
    lines = list(lines)
    width = max((len(name) for name, _ in lines), default=0)
    for name, text in lines:
        out.print(f"{name:<{width}}  {text}", soft_wrap=True)


def scores(record: "Record") -> list[tuple[str, str]]:
    """The measures of a record, each beside its test score, floors (the truth's) and saturation (a dead network's)."""
    from lyapsweep.measures import chosen
    from lyapsweep.measures.bounds import Bounds

    lines, known = [], Bounds(record.floors, record.saturations, record.surrogates)
    for name, measure in chosen(record.config.measures).items():
        if name not in record.measures:
            continue
        bounds = {"floor": record.floors, "test floor": record.test_floors, "saturation": record.saturations}
        beside = [f"{word} {number(values[name])}" for word, values in bounds.items() if name in values]
        if beside and (alike := known.alike(name, measure.direction)):
            beside[-1] += f": blind, it cannot tell {' or '.join(alike)} from the attractor on these data"
        test = f"  test {number(record.test[name])}" if name in record.test else ""
        lines.append((name, number(record.measures[name]) + test + (f"  ({', '.join(beside)})" if beside else "")))
    return lines


def kept_lines(record: "Record") -> Lines:
    """Which network a record holds, where `training/keep` chose an earlier one than the last."""
    training, step = record.config.training, record.provenance.kept
    return [] if step is None else [("network", f"after {step} of {training.steps} updates, best by {training.keep}")]


def viewer(uri: str, folder: Path) -> str:
    """How to see an experiment in MLflow: the server's address, or the command that shows a store."""
    from lyapsweep.tracking import sqlite_file

    if uri == "none":
        return "nothing logged; `lyapsweep sync` logs the records"
    if uri.startswith(("http://", "https://")):
        return redact(uri)
    here = sqlite_file(uri) == ExperimentPaths(folder.resolve()).mlflow_database
    return shlex.join(["lyapsweep", "open", str(folder), *([] if here else ["--tracking-uri", redact(uri)])])
