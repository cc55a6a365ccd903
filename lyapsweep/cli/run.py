"""`lyapsweep run`: train one network."""

import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lyapsweep.cli import options, printing, reporting
from lyapsweep.cli.completion import complete
from lyapsweep.cli.errors import CommandError, Exit
from lyapsweep.process import small_networks
from lyapsweep.results.experiment import ExperimentPaths

if TYPE_CHECKING:
    from rich.console import Console

    from lyapsweep.config import Config
    from lyapsweep.results.record import Record
    from lyapsweep.single_trial import SingleTrial

SHOWN_EXPONENTS = 10  # of a summary; `lyapsweep spectrum` shows all
MIN_COLUMNS = 5  # of the progress table: all but the measures, and the first of those


@click.command(
    "run",
    short_help="Train one network.",
    epilog=options.example("lyapsweep run lorenz63 --set training/steps=1000"),
)
@click.argument("config", type=click.Path(path_type=Path), shell_complete=complete("configs"))
@options.changes("Change a setting of the config, such as forcing/interval=8. Repeatable.")
@options.results
@options.name
@options.tracking_uri
@click.option("--no-tracking", is_flag=True, help="Write records only; log nothing to MLflow.")
@click.option("--device", default="cpu", show_default=True, help="Where to train: cpu, cuda, cuda:1.")
@options.engine
@click.option(
    "--from",
    "start",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="RECORD",
    help="Start from the weights of a record; the trial is another one than from the initialisation.",
)
@click.option("--again", is_flag=True, help="Train the trial again if it has been trained before.")
@click.option("--resume", is_flag=True, help="Resume an interrupted trial from its last report.")
@reporting.options
@options.debug
def command(
    config: Path,
    changes: Mapping[str, Any],
    results: Path,
    name: str | None,
    tracking_uri: str | None,
    no_tracking: bool,
    device: str,
    start: Path | None,
    again: bool,
    resume: bool,
) -> None:
    """Train one network and compute its Lyapunov spectrum at every report.

    CONFIG is a YAML file or the name of a packaged config (`lyapsweep list configs`). Exit status 1 if training
    diverges. Ctrl-C keeps the records, and --resume resumes from the last one.
    """
    from lyapsweep import single_trial, tracking
    from lyapsweep.config import Config
    from lyapsweep.problems import blind_measures, check_config

    small_networks()
    check_device(device)
    point = Config.load(config, changes)
    if not (name or config.stem.strip(".")):
        raise CommandError(f"{config}: its name gives no name of a folder for the results. Give one with --name.")
    folder, out = results / (name or config.stem), printing.console(optional=True)
    point = point if start is None else warm(point, start, folder)
    record, uri = None if again else trained_before(point, folder), None
    if record is None:
        check_config(point)  # bad data and settings are found before anything is written
        for measure, sentence in blind_measures(point).items():
            out.print(f"{measure} is {sentence}.", soft_wrap=True)
        uri = None if no_tracking else tracking_uri or tracking.default_uri(results)
        record = train(single_trial.SingleTrial(point, folder, uri, device, resume), out)
    else:
        out.print(f"Trial {point.id} has been trained before; --again trains it again.")
    file = ExperimentPaths(folder).records / record.filename
    summarise(record, file, folder, uri, out)
    reporting.report({"file": file, **record.to_dict()}, file)
    if record.outcome == "stopped":
        raise CommandError(
            f"Interrupted at step {record.step}, which is recorded. Use --resume to resume.", Exit.INTERRUPTED
        )
    if record.outcome == "diverged":
        raise CommandError(f"Training diverged at step {record.step}. {record.outcome.sentence}", Exit.FAILED)


def warm(point: "Config", start: Path, folder: Path) -> "Config":
    """The config that starts from the weights of a record, which are copied to the results folder."""
    from lyapsweep.data_files import weights_file
    from lyapsweep.problems.network import read_weights

    return point.changed({"training/weights": weights_file(read_weights(start), folder)})


def trained_before(point: "Config", folder: Path) -> "Record | None":
    """The final record of the trial in a folder; `CommandError` if its data changed since."""
    from lyapsweep import single_trial
    from lyapsweep.problems.changed_inputs import changed_inputs

    record = single_trial.completed(folder, point)
    if record is not None and (changed := changed_inputs([record])):
        raise CommandError(
            f"{changed[record.trial]} changed since trial {point.id} was trained. Use --again to replace the trial, "
            "--name to keep both, or restore the file."
        )
    return record


def train(trial: "SingleTrial", out: "Console") -> "Record":
    """Train, printing one line per report."""
    show, started = progress_table(trial.config, out), False

    def report(record: "Record") -> None:
        nonlocal started
        if not started and trial.resumed_from is not None:
            out.print(f"Resumed from step {trial.resumed_from}.")
        started = True
        show(record)

    with out.status(f"trial {trial.config.id}"):
        return trial.train(report)


def check_device(name: str) -> None:
    import torch

    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError) as error:
        raise CommandError(
            f"--device {name} cannot be used here ({str(error).splitlines()[0]}). Choose another."
        ) from error


def progress_table(config: "Config", out: "Console") -> Callable[["Record"], None]:
    """Print one row per report: step, largest exponent, predictability time, and as many measures as fit."""
    from lyapsweep.measures import chosen

    columns = [("step", 8), ("seconds", 8), ("lambda_max/step", 19), ("tau_pred", 9)]
    names = list(chosen(config.measures))
    columns += [(name, max(len(name), 10)) for name in names]
    while sum(width + 2 for _, width in columns) > out.width and len(columns) > MIN_COLUMNS:
        columns.pop()
    headings = "  ".join(f"{heading:>{width}}" for heading, width in columns)
    out.print(f"{config.cell['kind']}, trial {config.id}, {config.training.steps} steps\n\n{headings}", soft_wrap=True)

    def show(record: "Record") -> None:
        spectrum = record.spectrum
        assert spectrum is not None, "a record of a trial that trains has a spectrum"
        tau_pred = printing.number(spectrum.predictability_time) if spectrum.chaotic else "-"
        tau_pred = "unbounded" if spectrum.unbounded else tau_pred
        exponent = printing.together(spectrum.maximum, float(spectrum.stderr[0]))
        cells = [str(record.step), f"{record.provenance.seconds:.1f}", exponent, tau_pred]
        cells += [printing.number(record.measures[name]) for name in names]
        out.print("  ".join(f"{cell:>{width}}" for cell, (_, width) in zip(cells, columns)), soft_wrap=True)

    return show


def summarise(record: "Record", file: Path, folder: Path, uri: str | None, out: "Console") -> None:
    """Print the spectra, the scores and the paths of the results."""
    data = record.provenance.data
    for kind, spectrum in record.spectra.items():
        out.print(f"\nSpectrum, {kind}", style="bold")
        out.print(printing.exponents(spectrum, most=SHOWN_EXPONENTS))
        out.print()
        printing.write(out, printing.derived_lines(spectrum))
    if data and data.lambda_max is not None:
        text = f"lambda_max = {printing.number(data.lambda_max)} per step ({data.lambda_source})"
        printing.write(out, [("data", text)])
    if data and data.baseline is not None:
        text = f"the loss of an answer without memory is {printing.number(data.baseline)} ({data.baseline_is})"
        printing.write(out, [("data", text)])
    if data and data.parts:
        printing.write(out, [("data", data.parts)])
    out.print(f"\nMeasures{', validation part' if record.test else ''}", style="bold")
    printing.write(out, [*printing.scores(record), *printing.kept_lines(record)])
    out.print(f"\n{record.outcome.capitalize()}. {record.outcome.sentence}", style="bold")
    places = [("record", str(file)), ("all exponents", f"lyapsweep spectrum {shlex.quote(str(file))}")]
    printing.write(out, places + ([("MLflow", printing.viewer(uri, folder))] if uri else []))
