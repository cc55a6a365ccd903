"""`lyapsweep sweep`: train the trials of a sweep."""

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lyapsweep.cli import options, printing, reporting
from lyapsweep.cli.errors import CommandError, Exit
from lyapsweep.cli.sweep_definition import COUNT, SweepRequest, definition
from lyapsweep.process import small_networks

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from lyapsweep.results.record import Record
    from lyapsweep.sweep import Sweep
    from lyapsweep.sweep.observe.progress import SweepProgress
    from lyapsweep.sweep.observe.summary import SweepSummary

LINE_INTERVAL = 5.0  # seconds between lines if the output is no terminal


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
    --grid or --space. Ctrl-C stops within seconds; --resume resumes, with the options that the sweep was started with
    where they are not given again. Exit status 1 if trials failed; divergence is a result, not a failure.
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


@contextlib.contextmanager
def display(objective: str, out: "Console") -> Iterator[Callable[["SweepProgress"], None]]:
    """A progress listener: a live bar on a terminal, a line every few seconds elsewhere."""
    if not out.is_terminal:
        yield PlainProgress(objective, out)
        return
    from rich.live import Live

    screen = LiveProgress(objective)
    with Live(screen, console=out, refresh_per_second=4):
        yield screen


class PlainProgress:
    """Prints lines at most every LINE_INTERVAL seconds; the last state is always printed."""

    def __init__(self, objective: str, out: "Console"):
        self.objective, self.out = objective, out
        self.printed, self.text = -LINE_INTERVAL, ""

    def __call__(self, progress: "SweepProgress") -> None:
        text, now = counts(progress), time.monotonic()
        complete = progress.done == progress.asked and progress.done > 0
        if text != self.text and (complete or now - self.printed >= LINE_INTERVAL):
            self.printed, self.text = now, text
            line = f"{text}; {best_text(progress, self.objective)}; {time_text(progress, 0.0)}"
            self.out.print(line, soft_wrap=True)


class LiveProgress:
    """Draws the latest progress; elapsed and remaining time advance between events."""

    def __init__(self, objective: str):
        self.objective, self.latest, self.received = objective, None, 0.0

    def __call__(self, progress: "SweepProgress") -> None:
        self.latest, self.received = progress, time.monotonic()

    def __rich__(self) -> "RenderableType":
        from rich.progress_bar import ProgressBar
        from rich.table import Table

        if self.latest is None:
            return "planning ..."
        bar = ProgressBar(total=max(self.latest.asked, 1), completed=self.latest.done, width=60)
        since = time.monotonic() - self.received
        grid = Table.grid()
        for row in (counts(self.latest), bar, best_text(self.latest, self.objective), time_text(self.latest, since)):
            grid.add_row(row)
        return grid


def counts(progress: "SweepProgress") -> str:
    kinds = ("finished", "unbounded", "diverged", "failed", "stopped", "running")
    parts = [f"{n} {kind}" for kind in kinds if (n := getattr(progress, kind))]
    return f"{progress.done}/{progress.asked} trials" + (f" ({', '.join(parts)})" if parts else "")


def best_text(progress: "SweepProgress", objective: str) -> str:
    if progress.best is None:
        return f"no {objective} yet"
    value, trial = progress.best
    return f"best {objective} {printing.number(value)} ({trial})"


def time_text(progress: "SweepProgress", since: float) -> str:
    elapsed = f"{printing.duration(progress.seconds + since)} elapsed"
    if progress.left is None or progress.done == progress.asked:
        return elapsed
    return f"{elapsed}, about {printing.duration(max(progress.left - since, 0))} remaining"


def conclude(summary: "SweepSummary", sweep: "Sweep", out: "Console") -> None:
    """Print the best trial and the paths of the results; raise if the sweep is incomplete."""
    if summary.best_trial:
        print_best(summary, sweep, out)
    best = next(last_records(summary.folder, summary.best_trial), None) if summary.best_trial else None
    reporting.report({"summary": summary, "best": best}, summary.folder)
    places = [("records", str(summary.folder)), ("MLflow", printing.viewer(summary.tracking_uri, summary.folder))]
    out.print()
    notes = [(name, text) for name, text in (("recovered", summary.notes), ("budget", summary.budget)) if text]
    printing.write(out, ([("atlas", str(summary.atlas))] if summary.atlas else []) + places + notes)
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


def print_best(summary: "SweepSummary", sweep: "Sweep", out: "Console") -> None:
    """Print the best setting: its scores and ties; of its best trial score, exponent, settings, and its command."""
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
    if record.provenance.data and record.provenance.data.parts:
        lines.append(("data", record.provenance.data.parts))
    if spectrum := record.spectrum:
        lines.append(("lambda_max/step", printing.together(spectrum.maximum, float(spectrum.stderr[0]))))
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
