"""`lyapsweep sweep`: train the trials of a sweep."""

import math
import os
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lyapsweep.cli import options, printing, reporting
from lyapsweep.cli.errors import CommandError, Exit
from lyapsweep.cli.sweep_definition import COUNT, SweepRequest, definition
from lyapsweep.cli.sweep_display import display
from lyapsweep.process import small_networks

if TYPE_CHECKING:
    from rich.console import Console

    from lyapsweep.results.record import Record
    from lyapsweep.sweep import Sweep
    from lyapsweep.sweep.observe.summary import SweepSummary

MOST_EXPONENTS = 4  # that are printed of the best trial


@click.command(
    "sweep",
    short_help="Train the trials of a sweep.",
    epilog=options.example(
        "lyapsweep sweep forcing_interval --dry-run",
        "lyapsweep sweep forcing_interval --grid cell/kind=plrnn,gru --resume",
        "lyapsweep sweep --base lorenz63 --objective D_stsp --grid forcing/interval=4,8,16 --seeds 3",
    ),
)
@definition
@click.option(
    "--budget",
    metavar="TIME|UPDATES",
    help="Start no trials that would exceed it: 90s, 30m, 1.5h, or 2000000u for updates of single networks.",
)
@click.option(
    "--sampler",
    type=click.Choice(["tpe", "gp", "cmaes", "nsga2", "qmc", "random"]),
    help="What chooses the points of a hunt.  [default: the sweep's own, else tpe]",
)
@options.results
@click.option("--extend", type=COUNT, default=None, metavar="N", help="Train N further trials.")
@click.option(
    "--refine/--no-refine",
    default=None,
    help="Train coarse points of a grid first, then finer ones along the border.  [default: as the sweep was started]",
)
@click.option(
    "--zoom",
    multiple=True,
    metavar="PATH=LOW..HIGH",
    callback=options.read_ranges,
    help="Resample a part of the grid with as many points, under a new name: init/gain=1.2..1.6. Repeatable.",
)
@click.option("--resume", is_flag=True, help="Resume a sweep that was interrupted.")
@click.option("--again", is_flag=True, help="Train trials again whose data or code changed since.")
@options.confirm
@options.candidates
@click.option("--pack", type=COUNT, help="Maximum number of trials per batch, trained in one process.")
@click.option("--jobs", type=COUNT, help="Number of batches trained in parallel.  [default: the number of CPUs]")
@click.option(
    "--gpus-per-pack",
    "--gpus",
    "gpus",
    type=options.FiniteRange(min=0),
    default=0.0,
    help="GPUs per batch; a fraction shares one.",
)
@options.engine
@click.option(
    "--time-limit",
    type=options.POSITIVE_NUMBER,
    metavar="SECONDS",
    help="Time limit per batch; beyond it the batch is split in two, and a single trial fails.  [default: none]",
)
@click.option(
    "--seed", type=options.SAMPLER_SEED, default=0, show_default=True, help="Seed of the points drawn from a space."
)
@click.option(
    "--address",
    callback=options.warn_of_password("RAY_ADDRESS"),
    help="Address of a Ray cluster.  [default: RAY_ADDRESS, else this machine]",
)
@click.option(
    "--node-timeout",
    type=options.FiniteRange(min=0),
    metavar="SECONDS",
    help="Time that a cluster may be without a node before the sweep ends.  [default: 900]",
)
@options.tracking_uri
@click.option(
    "--storage",
    callback=options.warn_of_password("OPTUNA_STORAGE"),
    help="Where the Optuna study is: URL of a database, redis://host, grpc://host:port, or a journal file.  "
    "[default: OPTUNA_STORAGE, else a file in the folder]",
)
@options.models
@click.option("--dry-run", is_flag=True, help="Show the plan and train nothing.")
@reporting.options
@options.debug
def command(
    results: Path, dry_run: bool, zoom: dict[str, tuple[float, float]], extend: int | None, **settings: Any
) -> None:
    """Train every trial of a sweep, compute its Lyapunov spectra, and draw the atlas of the results.

    SWEEP is a Python file or the name of a packaged sweep (`lyapsweep list sweeps`); without it, --base is varied along
    --grid or --space. Ctrl-C stops within seconds; --resume resumes, with the --base, --set, --grid, --space, --where,
    --objective, --intent and --seeds that the sweep was started with where they are not given again. Exit status 1 if
    trials failed; divergence is a result, not a failure.
    """
    small_networks()
    out = printing.console(optional=True)
    continued = settings["resume"] or settings["again"] or bool(extend)
    request = SweepRequest.from_arguments(settings, results, zoom=zoom, resumed=continued)
    region = request.define(lambda sentence: out.print(sentence, soft_wrap=True))
    changes, trials = region.options.changes if region.options else {}, request.options.trials
    if dry_run:
        from lyapsweep.cli.plan import Devices, preview

        devices = Devices(settings["jobs"], 0.0, settings["gpus"], None)
        preview(region, changes, settings | {"results": results, "trials": trials}, devices, out)
        return
    from lyapsweep.sweep.execute import runner

    with display(region.objective, out) as listen:
        summary = runner.run(
            region, results=results, trials=trials, changes=changes, listen=listen, extend=extend or 0, **settings
        )
    conclude(summary, region, out)


def conclude(summary: "SweepSummary", sweep: "Sweep", out: "Console") -> None:
    """Print the best trial and the paths of the results; raise if the sweep is incomplete."""
    if summary.best_trial:
        print_best(summary, sweep, out)
    best = next(last_records(summary.folder, summary.best_trial), None) if summary.best_trial else None
    reporting.report({"summary": summary, "best": best}, summary.folder)
    out.print()
    mlflow = [("MLflow", printing.viewer(summary.tracking_uri, summary.folder))]
    places = [("atlas", str(summary.atlas))] if summary.atlas else []
    places += [("records", str(summary.folder))]
    places += [(name, text) for name, text in (("recovered", summary.notes), ("budget", summary.budget)) if text]
    printing.write(out, places + (mlflow if summary.interrupted else []))
    if not summary.interrupted:
        out.print("\nNext", style="bold")
        printing.write(out, [*mlflow, *next_commands(summary)])
    if summary.interrupted:
        raise CommandError(summary.message, Exit.FAILED if summary.cause else Exit.INTERRUPTED)
    if summary.progress.failed:
        failed = (r for r in last_records(summary.folder) if r.outcome == "failed")
        first = next(failed, None)
        error = first.provenance.error if first else None
        why = f", the first with {error.rstrip('.')}" if error else ""
        failed = f"{summary.progress.failed} of {summary.progress.asked} trials failed{why}."
        raise CommandError(f"{failed} --resume trains them again. {summary.message}", Exit.FAILED)
    if summary.message:
        raise CommandError(summary.message, Exit.FAILED)


def next_commands(summary: "SweepSummary") -> list[tuple[str, str]]:
    """Commands that continue from a sweep that ended."""
    from lyapsweep.config.command import run_command
    from lyapsweep.results.description import SweepDescription
    from lyapsweep.results.experiment import ExperimentPaths

    commands = [("numbers", f"lyapsweep atlas {shlex.quote(os.path.relpath(summary.folder))} --json findings.json")]
    base = SweepDescription.load(ExperimentPaths(summary.folder).description).base
    if summary.best_trial and base:
        best = next(last_records(summary.folder, summary.best_trial)).config
        longer = best.changed({"training/steps": 2 * best.training.steps})
        commands.append(("longer", run_command(longer, base.path, base.config)))
    return commands


def spectrum_lines(record: "Record") -> list[tuple[str, str]]:
    """The leading exponents of a record beside those of its data, and both Kaplan-Yorke dimensions."""
    import numpy as np

    from lyapsweep.dynamics.dimension import kaplan_yorke

    own, data = record.spectrum, record.provenance.data
    if own is None or own.unbounded:
        return []
    per, known = 1 / (own.dt or 1.0), list(data.exponents) if data else []
    known = known or ([data.lambda_max] if data and data.lambda_max is not None else [])
    shown = min(max(len(known), 1), len(own.exponents), MOST_EXPONENTS)
    unit = "per unit time" if own.dt else "per step"
    values = [printing.together(own.exponents[i] * per, float(own.stderr[i]) * per) for i in range(shown)]
    lines = [("exponents", f"{', '.join(values)} {unit} ({own.map})")]
    if known:
        lines.append(("of the data", f"{', '.join(printing.number(value * per) for value in known[:shown])} {unit}"))
    attractor = dict(printing.attractor_lines(own, per, unit))["Kaplan-Yorke dimension"]
    of_data = kaplan_yorke(np.array(known, float), math.nan) if len(known) > 1 else math.nan
    beside = f"; of the data {printing.number(of_data)}" if not math.isnan(of_data) else ""
    return [*lines, ("dimension", f"{attractor}{beside} (Kaplan-Yorke)")]


def print_best(summary: "SweepSummary", sweep: "Sweep", out: "Console") -> None:
    """Print the best setting: its scores and ties; of its best trial score, exponents, settings, and its command."""
    from lyapsweep.config.command import format_value, run_command
    from lyapsweep.results.description import SweepDescription
    from lyapsweep.results.experiment import ExperimentPaths

    record = next(last_records(summary.folder, summary.best_trial or ""))
    description = SweepDescription.load(ExperimentPaths(summary.folder).description)
    apart = [
        (path, format_value(record.config.flat[path])) for path in description.varied if path in record.config.flat
    ]
    lines = [*summary.best_lines]
    lines += [(name, text) for name, text in printing.scores(record) if name == sweep.objective]
    lines += printing.kept_lines(record)
    if record.provenance.data and record.provenance.data.parts:
        lines.append(("data", record.provenance.data.parts))
    lines += spectrum_lines(record)
    if base := description.base:
        apart.append(("command", run_command(record.config, base.path, base.config)))
    out.print("\nBest", style="bold")
    printing.write(out, [*lines, *apart])


def last_records(folder: Path, trial: str = "") -> Iterator["Record"]:
    """The last record of every trial, or of one trial."""
    from lyapsweep.results.experiment import ExperimentPaths
    from lyapsweep.results.record import Record
    from lyapsweep.results.record_files import latest_files

    for file in latest_files(ExperimentPaths(folder).records, trial).values():
        yield Record.load(file)
