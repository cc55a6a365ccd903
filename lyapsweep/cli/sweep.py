"""`lyapsweep sweep`: many trials."""

import contextlib
import os
import shlex
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lyapsweep.cli import options, printing
from lyapsweep.cli.errors import CommandError, Exit
from lyapsweep.process import small_networks

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from lyapsweep.config import Config
    from lyapsweep.results.record import Record
    from lyapsweep.sweep import Sweep
    from lyapsweep.sweep.observe.progress import SweepProgress
    from lyapsweep.sweep.observe.summary import SweepSummary

PLAIN_EVERY = 5.0  # seconds between lines where the output is no terminal
FIRST = 5  # configs that a dry run shows
COUNT = click.IntRange(min=1)


@click.command(
    "sweep",
    short_help="Train many networks.",
    epilog=options.example("lyapsweep sweep sweeps/forcing_interval.py --dry-run"),
)
@click.argument("sweep", type=click.Path(path_type=Path))
@options.changes("A setting other than the base config's, such as training/steps=100; may be repeated.")
@click.option(
    "--where",
    multiple=True,
    metavar="PATH=VALUE",
    callback=options.read_changes,
    help="Only this part of the grid, such as cell/kind=lstm or forcing/interval=[8, 16]; may be repeated.",
)
@click.option("--trials", type=COUNT, help="Points to train.  [default: the sweep's own number]")
@options.results
@options.name
@click.option("--extend", type=COUNT, default=None, metavar="N", help="Train N points more than were asked for so far.")
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
    help="A part of the grid in as many points, under a name of its own: init/gain=1.2..1.6; may be repeated.",
)
@click.option("--resume", is_flag=True, help="Go on where an earlier start ended.")
@click.option("--pack", type=COUNT, help="Members trained side by side in one process, at most.")
@click.option("--jobs", type=COUNT, help="Packs trained at a time.  [default: as many as there are CPUs]")
@click.option(
    "--gpus-per-pack",
    "--gpus",
    "gpus",
    type=click.FloatRange(min=0),
    default=0.0,
    help="GPUs a pack trains on; a fraction shares one.",
)
@click.option(
    "--time-limit",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="A pack that trains longer is killed, and trained again in halves; alone, a trial fails.  [default: none]",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of the draws from a space.")
@click.option("--address", help="A running Ray cluster.  [default: RAY_ADDRESS, else this machine]")
@options.tracking_uri
@click.option("--storage", help="Database for the Optuna study.  [default: OPTUNA_STORAGE, else a file in the folder]")
@options.models
@click.option("--dry-run", is_flag=True, help="Say what would be trained, and train nothing.")
@options.debug
def command(
    sweep: Path,
    name: str | None,
    dry_run: bool,
    changes: dict[str, Any],
    where: dict[str, Any],
    zoom: dict[str, tuple[float, float]],
    extend: int | None,
    **settings: Any,
) -> None:
    """Train every point of a sweep file, each with its Lyapunov spectrum, and draw the atlas of what was found.

    Ctrl-C ends it within seconds, ready for --resume. Exit status 1 where trials failed; divergence is a result.
    """
    from lyapsweep.sweep import load
    from lyapsweep.sweep.plan.zoom import zoomed

    small_networks()
    region, out = load(sweep), printing.console()
    region = replace(zoomed(region, zoom) if zoom else region, where={**region.where, **where})
    region = replace(region, name=name or region.name)
    if dry_run:
        preview(region, changes, settings, out)
        return
    from lyapsweep.sweep.execute import runner

    with display(region.objective, out) as listen:
        summary = runner.run(region, changes=changes, listen=listen, extend=extend or 0, **settings)
    conclude(summary, region, out)


def preview(sweep: "Sweep", changes: Mapping[str, Any], settings: Mapping[str, Any], out: "Console") -> None:
    """How many trials, in how many packs, and what tells the first of them apart."""
    from rich.table import Table

    from lyapsweep.sweep.execute.results_folder import ResultsFolder
    from lyapsweep.sweep.execute.runner import PACK
    from lyapsweep.sweep.plan.packing import packs
    from lyapsweep.sweep.plan.refinement import Refinement
    from lyapsweep.sweep.spaces import draw, readable, varied

    if settings["trials"]:
        sweep = replace(sweep, trials=settings["trials"])
    base = sweep.config(changes)
    points = readable(draw(sweep, None, settings["seed"], base))
    configs = [p.config for p in points]
    size = settings["pack"] or sweep.pack or PACK[sweep.intent]
    device, jobs = "cuda" if settings["gpus"] else "cpu", settings["jobs"] or os.cpu_count() or 1
    if device == "cpu" and sweep.intent == "map":  # as the driver does: no worker shall be idle
        size = min(size, -(-len(configs) // jobs))
    folder = ResultsFolder(settings["results"], sweep.name or "sweep")
    ended = len(folder.ended().keys() & {config.id for config in configs})
    plan = f"{len(configs)} trials in {len(packs(configs, size, device))} packs of at most {size}"
    refine = settings["refine"]
    if folder.description().refined if refine is None else refine:
        first = len(next(Refinement(sweep, points).rounds({})))
        plan = f"{first} of {len(configs)} trials at first, then those along the border"
    printing.write(out, [("sweep", sweep.name or ""), ("intent", sweep.intent), ("objective", sweep.objective)])
    printing.write(
        out, [("plan", plan + (f", {ended} of them trained already" if ended else "")), ("into", str(folder.path))]
    )
    paths = varied(configs)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for path in paths:
        table.add_column(path)
    for config in configs[:FIRST]:
        table.add_row(*(str(config.flat.get(path, "")) for path in paths))
    out.print()
    out.print(table)
    if len(configs) > FIRST:
        out.print(f"... and {len(configs) - FIRST} more" + (" (a hunt draws its own)" * (sweep.intent == "hunt")))


@contextlib.contextmanager
def display(objective: str, out: "Console") -> Iterator[Callable[["SweepProgress"], None]]:
    """A listener that draws a live bar on a terminal, and elsewhere prints a line every few seconds."""
    if not out.is_terminal:
        yield PlainProgress(objective, out)
        return
    from rich.live import Live

    screen = LiveProgress(objective)
    with Live(screen, console=out, refresh_per_second=4):
        yield screen


class PlainProgress:
    """Plain lines, never more often than every PLAIN_EVERY seconds; the last state is always printed."""

    def __init__(self, objective: str, out: "Console"):
        self.objective, self.out = objective, out
        self.printed, self.text = -PLAIN_EVERY, ""

    def __call__(self, progress: "SweepProgress") -> None:
        text, now = counts(progress), time.monotonic()
        complete = progress.done == progress.asked and progress.done > 0
        if text != self.text and (complete or now - self.printed >= PLAIN_EVERY):
            self.printed, self.text = now, text
            line = f"{text}; {best(progress, self.objective)}; {clock(progress, 0.0)}"
            self.out.print(line, soft_wrap=True)


class LiveProgress:
    """The latest progress as rich draws it, with a clock that runs between events."""

    def __init__(self, objective: str):
        self.objective, self.latest, self.told = objective, None, 0.0

    def __call__(self, progress: "SweepProgress") -> None:
        self.latest, self.told = progress, time.monotonic()

    def __rich__(self) -> "RenderableType":
        from rich.progress_bar import ProgressBar
        from rich.table import Table

        if self.latest is None:
            return "planning ..."
        bar = ProgressBar(total=max(self.latest.asked, 1), completed=self.latest.done, width=60)
        since = time.monotonic() - self.told
        grid = Table.grid()
        for row in (counts(self.latest), bar, best(self.latest, self.objective), clock(self.latest, since)):
            grid.add_row(row)
        return grid


def counts(progress: "SweepProgress") -> str:
    kinds = ("finished", "diverged", "failed", "stopped", "running")
    parts = [f"{n} {kind}" for kind in kinds if (n := getattr(progress, kind))]
    return f"{progress.done}/{progress.asked} trials" + (f" ({', '.join(parts)})" if parts else "")


def best(progress: "SweepProgress", objective: str) -> str:
    if progress.best is None:
        return f"no {objective} yet"
    value, trial = progress.best
    return f"best {objective} {printing.number(value)} ({trial})"


def clock(progress: "SweepProgress", since: float) -> str:
    left = (
        ""
        if progress.left is None or progress.done == progress.asked
        else f", about {printing.duration(max(progress.left - since, 0))} left"
    )
    return f"{printing.duration(progress.seconds + since)} gone{left}"


def conclude(summary: "SweepSummary", sweep: "Sweep", out: "Console") -> None:
    """What came of it and where it is; an exit status other than 0 where that is not all that was asked."""
    if summary.best_trial:
        print_best(summary, sweep, out)
    places = [("records", str(summary.folder)), ("MLflow", printing.viewer(summary.tracking_uri, summary.folder))]
    out.print()
    notes = [("on the way", summary.notes)] if summary.notes else []
    printing.write(out, ([("atlas", str(summary.atlas))] if summary.atlas else []) + places + notes)
    if summary.interrupted:
        raise CommandError(summary.message, Exit.INTERRUPTED)
    if summary.progress.failed:
        failed = (r for r in last_records(summary.folder) if r.outcome == "failed")
        first = next(failed, None)
        why = f", the first with {first.provenance.error}" if first else ""
        failed = f"{summary.progress.failed} of {summary.progress.asked} trials failed{why}."
        raise CommandError(f"{failed} --resume tries them again. {summary.message}", Exit.FAILED)
    if summary.message:
        raise CommandError(summary.message, Exit.FAILED)


def print_best(summary: "SweepSummary", sweep: "Sweep", out: "Console") -> None:
    """The best trial: its score, its exponent, what sets it apart, and the command that trains it alone."""
    from lyapsweep.results.description import SweepDescription
    from lyapsweep.results.experiment import ExperimentPaths

    record = next(last_records(summary.folder, f"{summary.best_trial}-"))
    varied = SweepDescription.load(ExperimentPaths(summary.folder).description).varied
    apart = [(path, printing.setting(record.config.flat[path])) for path in varied if path in record.config.flat]
    lines = [(name, text) for name, text in printing.scores(record) if name == sweep.objective]
    if spectrum := record.spectrum:
        lines.append(("lambda_max/step", printing.together(spectrum.maximum, float(spectrum.stderr[0]))))
    out.print("\nBest", style="bold")
    printing.write(out, [*lines, *apart, ("alone", command_for(record.config, sweep.base))])


def command_for(config: "Config", base: Path | str) -> str:
    """The command that trains this very config: its differences from the base as `--set`."""
    from lyapsweep.config import Config

    before = Config.load(base).flat
    changes = [
        f"{path}={printing.setting(v)}" for path, v in config.flat.items() if path not in before or before[path] != v
    ]
    words = ["lyapsweep", "run", str(base), *(word for change in changes for word in ("--set", change))]
    return shlex.join(words)


def last_records(folder: Path, prefix: str = "") -> Iterator["Record"]:
    """The last record of every trial, or of those whose files begin so."""
    from lyapsweep.results.record import Record

    found = sorted((folder / "records").glob(f"{prefix}*.npz"))
    files = {file.name.partition("-")[0]: file for file in found}
    for file in files.values():
        yield Record.load(file)
