"""`lyapsweep run`: one trial."""

import contextlib
import shlex
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lyapsweep.cli import options, printing
from lyapsweep.cli.errors import CommandError, Exit
from lyapsweep.process import small_networks

if TYPE_CHECKING:
    from rich.console import Console

    from lyapsweep.config import Config
    from lyapsweep.results.record import Record
    from lyapsweep.training.checkpoint import Checkpoints

RECORDS, CHECKPOINTS, ARTIFACTS = "records", "checkpoints", "artifacts"  # where a sweep of that name has them too
MOST_EXPONENTS = 10  # of a summary; `lyapsweep spectrum` shows all


@click.command(
    "run",
    short_help="Train one network.",
    epilog=options.example("lyapsweep run configs/lorenz63.yaml --set training/steps=1000"),
)
@click.argument("config", type=click.Path(path_type=Path))
@options.changes("A setting other than the config's, such as forcing/interval=8; may be repeated.")
@options.results
@options.name
@options.tracking_uri
@click.option("--no-tracking", is_flag=True, help="Write records only, nothing to MLflow.")
@click.option("--device", default="cpu", show_default=True, help="Where to train: cpu, cuda, cuda:1.")
@click.option("--again", is_flag=True, help="Train anew where the trial has been trained before.")
@click.option("--resume", is_flag=True, help="Go on from the last report of a trial that was cut short.")
@options.debug
def command(
    config: Path,
    changes: dict[str, Any],
    results: Path,
    name: str | None,
    tracking_uri: str | None,
    no_tracking: bool,
    device: str,
    again: bool,
    resume: bool,
) -> None:
    """Train one network, with its Lyapunov spectrum at every report: try a config before it is swept.

    Exit status 1 where training diverges. Ctrl-C keeps what was reached, and --resume goes on from there.
    """
    from lyapsweep.config import Config
    from lyapsweep.problems import check_config
    from lyapsweep.training.checkpoint import Checkpoints

    small_networks()
    check_device(device)
    point = Config.load(config, changes)
    folder, out = results / (name or config.stem), printing.console()
    record, uri = None if again else trained(folder, point), None
    if record is None:
        check_config(point)  # data are made once a process: what is bad is found before anything is written
        logbook = None if no_tracking else RunReporter(folder, tracking_uri)
        checkpoints = Checkpoints(folder / CHECKPOINTS)
        if not resume:
            checkpoints.remove([point.id])
        record, uri = train(point, device, folder, checkpoints, logbook, out), logbook and logbook.uri
    else:
        out.print(f"Trial {point.id} has been trained before; --again trains it anew.")
    summarise(record, folder, uri, out)
    if record.outcome == "stopped":
        raise CommandError(f"Interrupted; what it had reached by step {record.step} is recorded.", Exit.INTERRUPTED)
    if record.outcome == "diverged":
        raise CommandError(f"Training diverged at step {record.step}. {record.outcome.sentence}", Exit.FAILED)


def check_device(name: str) -> None:
    import torch

    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError) as error:
        raise CommandError(f"--device {name} cannot be used here: {str(error).splitlines()[0]}") from error


def trained(folder: Path, config: "Config") -> "Record | None":
    """The trial's last record, where an earlier run brought it to an end of its own."""
    from lyapsweep.results.record import Outcome, Record

    for file in sorted((folder / RECORDS).glob(f"{config.id}-*.npz"), reverse=True):
        record = Record.load(file)
        if record.outcome in (Outcome.FINISHED, Outcome.DIVERGED):
            return record
    return None


class RunReporter:
    """The trial in MLflow, written in the background; the records on disk are complete without it."""

    def __init__(self, folder: Path, uri: str | None):
        from lyapsweep import tracking
        from lyapsweep.tracking.async_logger import AsyncLogger

        self.folder, self.uri = folder, uri or tracking.store(folder.parent)
        folder.mkdir(parents=True, exist_ok=True)
        self.ledger = tracking.prepare(folder.name, self.uri, folder / ARTIFACTS)
        self.scribe = AsyncLogger(self.ledger)

    def close(self) -> None:
        """Wait for the last entry; what an ailing server missed is logged again."""
        self.scribe.close()
        if self.scribe.trouble:
            try:
                self.ledger.sync(self.folder)
            except Exception as error:
                raise CommandError(
                    f"MLflow at {self.uri} lacks results of this trial ({error}).", Exit.FAILED
                ) from error


def train(
    config: "Config", device: str, folder: Path, checkpoints: "Checkpoints", logbook: RunReporter | None, out: "Console"
) -> "Record":
    """The trial's final record. Every record is saved, logged and printed as it comes.

    An error or an interruption after the first record ends the trial with a record that says so.
    """
    from lyapsweep.results.record import Outcome
    from lyapsweep.trial import run_trial

    last, tell = None, reporter(config, out)

    def keep(record: "Record") -> "Record":
        file = record.save(folder / RECORDS)
        if logbook:
            logbook.scribe.write(file)
        return record

    try:
        with terminable(), out.status(f"trial {config.id}"):
            for record in run_trial(config, device, checkpoints):
                if last is None and logbook:
                    logbook.scribe.begin(config)
                if last is None and checkpoints.taken is not None:
                    out.print(f"It goes on from step {checkpoints.taken}.")
                    reopen(config, folder, keep)
                last = keep(record)
                tell(record)
    except KeyboardInterrupt:
        if last is None or last.outcome.final:
            raise
        last = keep(ended(last, Outcome.STOPPED, interrupted=True))
    except Exception as error:
        if last is not None:
            keep(ended(last, Outcome.FAILED, error=f"{type(error).__name__}: {error}"))
        raise
    finally:
        if logbook:
            logbook.close()
    assert last is not None, "a trial has at least one record"
    if last.outcome is not Outcome.STOPPED:
        checkpoints.remove([config.id])
    return last


def reopen(config: "Config", folder: Path, keep: Callable[["Record"], Any]) -> None:
    """The record that said that the trial was cut short is one on its way again."""
    from lyapsweep.results.record import latest, reopened

    before = latest(folder / RECORDS, config.id)
    if before is not None and before.outcome.final:
        keep(reopened(before))


def ended(last: "Record", outcome: Any, **told: Any) -> "Record":
    return replace(last, outcome=outcome, provenance=replace(last.provenance, **told))


@contextlib.contextmanager
def terminable() -> Iterator[None]:
    """SIGTERM (a batch system, `docker stop`) ends a trial as Ctrl-C does."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def reporter(config: "Config", out: "Console") -> Callable[["Record"], None]:
    """Prints one line a report: step, largest exponent, predictability time, and as many measures as fit."""
    from lyapsweep.measures import chosen

    columns = [("step", 8), ("seconds", 8), ("lambda_max/step", 19), ("tau_pred", 9)]
    names = list(chosen(config.measures))
    columns += [(name, max(len(name), 10)) for name in names]
    while sum(width + 2 for _, width in columns) > out.width and len(columns) > 5:
        columns.pop()
    headings = "  ".join(f"{heading:>{width}}" for heading, width in columns)
    out.print(f"{config.cell['kind']}, trial {config.id}, {config.training.steps} steps\n\n{headings}", soft_wrap=True)

    def tell(record: "Record") -> None:
        spectrum = record.spectrum
        assert spectrum is not None, "a record of a trial that trains has a spectrum"
        ahead = printing.number(spectrum.predictability_time) if printing.chaotic(spectrum) else "-"
        exponent = printing.together(spectrum.maximum, float(spectrum.stderr[0]))
        cells = [str(record.step), f"{record.provenance.seconds:.1f}", exponent, ahead]
        cells += [printing.number(record.measures[name]) for name in names]
        out.print("  ".join(f"{cell:>{width}}" for cell, (_, width) in zip(cells, columns)), soft_wrap=True)

    return tell


def summarise(record: "Record", folder: Path, uri: str | None, out: "Console") -> None:
    """The spectra, the scores and where everything lies."""
    file = folder / RECORDS / record.filename
    data = record.provenance.data
    for kind, spectrum in record.spectra.items():
        out.print(f"\nSpectrum, {kind}", style="bold")
        out.print(printing.exponents(spectrum, most=MOST_EXPONENTS))
        out.print()
        printing.write(out, printing.readings(spectrum))
    if data and data.lambda_max is not None:
        text = f"lambda_max = {printing.number(data.lambda_max)} per step ({data.lambda_source})"
        printing.write(out, [("data", text)])
    if data and data.baseline is not None:
        text = f"an answer without memory loses {printing.number(data.baseline)} ({data.baseline_is})"
        printing.write(out, [("data", text)])
    out.print("\nMeasures", style="bold")
    printing.write(out, printing.scores(record))
    out.print(f"\n{record.outcome.capitalize()}. {record.outcome.sentence}", style="bold")
    places = [("record", str(file)), ("all exponents", f"lyapsweep spectrum {shlex.quote(str(file))}")]
    printing.write(out, places + ([("MLflow", printing.viewer(uri, folder))] if uri else []))
