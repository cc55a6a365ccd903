"""`lyapsweep plan`: what a sweep would train, and what its packs ask of a machine."""

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lyapsweep.cli import options, printing, reporting
from lyapsweep.cli.sweep_definition import COUNT, SweepRequest, definition
from lyapsweep.process import small_networks

if TYPE_CHECKING:
    from rich.console import Console

    from lyapsweep.config import Config
    from lyapsweep.sweep import Sweep
    from lyapsweep.sweep.plan.footprint import Footprint

SHOWN_CONFIGS, SHOWN_KINDS = 5, 12
RESERVE = 0.85  # share of a card's memory that packs may fill


@dataclass(frozen=True)
class Devices:
    """Where a sweep is to run.

    Args:
        jobs: Packs at a time on CPUs; None for one per CPU.
        gpus: Number of cards; 0 if unknown.
        share: GPUs per pack; 0 trains on CPUs.
        memory: Gigabytes of a card; None if unknown.
    """

    jobs: int | None
    gpus: float
    share: float
    memory: float | None

    @property
    def kind(self) -> str:
        return "cuda" if self.share else "cpu"

    @property
    def slots(self) -> int:
        """Packs at a time."""
        return max(1, int((self.gpus or 1) / self.share)) if self.share else self.jobs or os.cpu_count() or 1


@dataclass(frozen=True)
class PackKind:
    """Packs of equal shape, forcing and size, and what an update of one of them asks for."""

    packs: int
    configs: Sequence["Config"]
    footprint: "Footprint"

    @property
    def seconds(self) -> float:
        """Of the updates of all these packs on one card."""
        return self.packs * self.configs[0].training.steps * self.footprint.seconds(len(self.configs))

    @property
    def megabytes(self) -> float:
        return len(self.configs) * self.footprint.member_bytes / 1e6


@click.command(
    "plan",
    short_help="Show what a sweep would train, and what it asks of a machine.",
    epilog=options.example("lyapsweep plan border --gpus 4 --memory 80"),
)
@definition
@options.results
@click.option("--pack", type=COUNT, help="Maximum number of trials per batch, trained in one process.")
@click.option("--jobs", type=COUNT, help="Number of batches trained in parallel.  [default: the number of CPUs]")
@click.option("--gpus", type=COUNT, help="Number of GPUs.  [default: none]")
@click.option(
    "--gpus-per-pack", "share", type=options.FiniteRange(min=0, min_open=True), default=1.0, help="As of sweep."
)
@click.option("--memory", type=options.FiniteRange(min=0, min_open=True), metavar="GB", help="Memory of one GPU.")
@click.option("--seed", type=options.SAMPLER_SEED, default=0, show_default=True, help="Seed of the points of a space.")
@reporting.options
@options.debug
def command(
    results: Path,
    jobs: int | None,
    gpus: int | None,
    share: float,
    memory: float | None,
    **settings: Any,
) -> None:
    """Show packs, members, memory and launches of a sweep, and on GPUs the time that its updates take at least.

    SWEEP and the options that say what is varied are those of `lyapsweep sweep`. Trains nothing; counts one update of
    every kind of pack. GPU times are those of one H200.
    """
    small_networks()
    devices = Devices(jobs, float(gpus or 0), share if gpus else 0.0, memory)
    request = SweepRequest.from_arguments(settings, results)
    sweep = request.define()
    chosen = {"results": results, "trials": request.options.trials, "refine": None, "storage": None, "again": False}
    preview(sweep, request.options.changes, chosen | settings, devices, printing.console(optional=True))


def preview(
    sweep: "Sweep", changes: Mapping[str, Any], settings: Mapping[str, Any], devices: Devices, out: "Console"
) -> None:
    """Print the number of trials and packs, what packs ask for, and the varied settings of the first trials."""
    from lyapsweep.sweep.execute.planning import plan_sweep
    from lyapsweep.sweep.execute.results_folder import ResultsFolder
    from lyapsweep.sweep.plan.packing import pack_size, packs
    from lyapsweep.sweep.plan.points import varied_paths
    from lyapsweep.sweep.plan.sampling import draw

    given = {name: settings.get(name) for name in ("pack", "trials", "confirm", "candidates")}
    sweep = replace(sweep, **{name: value for name, value in given.items() if value is not None})
    folder, seed = ResultsFolder(settings["results"], sweep.name or "sweep"), settings["seed"]
    chosen: dict[str, Any] = {"changes": changes} | {name: settings[name] for name in ("refine", "storage", "again")}
    planned = plan_sweep(sweep, sweep.config(changes), folder, seed, resume=True, **chosen)
    points = planned.points or draw(planned.sweep, None, seed, planned.base)
    size = pack_size(planned.pack, sweep.intent, len(points), devices.slots, devices.kind)
    found = [[point.config for point in pack] for pack in packs(points, size, devices.kind)]
    ended = len(planned.ended.keys() & {point.key for point in points})
    plan = f"{len(points)} trials in {len(found)} packs of at most {size}"
    if sweep.intent == "hunt":
        plan = f"{len(points)} trials in {math.ceil(len(points) / size)} to {len(points)} packs of at most {size}"
        if halving := planned.sweep.halving_settings:
            rungs = ", ".join(map(str, halving.steps(planned.base.training)))
            plan += f"; the best 1/{halving.reduction:g} go on after {rungs} updates" if rungs else ""
    if planned.refinement:
        first = len(next(planned.refinement.rounds({})))
        plan = f"{first} of {len(points)} trials at first, then those along the border"
    plan += f", {ended} of them trained already" if ended else ""
    if confirmation := planned.confirmation:
        plan += f"; then the best {confirmation.candidates} settings from {confirmation.seeds} fresh seeds each"
    printing.write(
        out, [("sweep", sweep.name or ""), ("intent", sweep.intent), ("objective", ", ".join(sweep.objectives))]
    )
    printing.write(out, [("plan", plan), ("into", str(folder.path))])
    kinds, configs = kinds_of(found), [point.config for point in points]
    print_packs(kinds, devices, out)
    print_configs(configs, sweep.intent, out)
    totals = {"trials": len(points), "packs": len(found), "pack": size, "ended": ended}
    named = {"sweep": sweep.name, "intent": sweep.intent, "objective": sweep.objective, "folder": folder.path}
    varied = [{path: config.flat.get(path) for path in varied_paths(configs)} for config in configs]
    reporting.report(named | totals | {"kinds": [kind_content(kind) for kind in kinds], "points": varied})


def kind_content(kind: PackKind) -> dict[str, Any]:
    """What `--json` prints of packs of one kind."""
    first = kind.configs[0]
    shared = {"cell": first.cell["kind"], "forcing": forcing_of(kind.configs), "updates": first.training.steps}
    asked = {"launches": kind.footprint.launches, "megabytes": kind.megabytes, "h200_seconds": kind.seconds}
    return {"packs": kind.packs, "members": len(kind.configs), **shared, **asked}


def kinds_of(packs: Sequence[Sequence["Config"]]) -> list[PackKind]:
    """Packs of one kind counted once, in the order in which they are trained."""
    from lyapsweep.sweep.plan.footprint import footprint

    groups: dict[object, list[Sequence[Config]]] = {}
    for pack in packs:
        forcings = frozenset(tuple(config.forcing.items()) for config in pack)
        groups.setdefault((pack[0].shape, forcings, len(pack)), []).append(pack)
    return [PackKind(len(group), group[0], footprint(group[0])) for group in groups.values()]


def print_packs(kinds: Sequence[PackKind], devices: Devices, out: "Console") -> None:
    """A row per kind of pack, and on GPUs time and memory of all."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    on_card = devices.kind == "cuda"
    for name in (
        "packs",
        "members",
        "cell",
        "forcing",
        "updates",
        "launches",
        "MB",
        *(("ms", "limit") if on_card else ()),
    ):
        table.add_column(name, justify="left" if name in ("cell", "forcing", "limit") else "right")
    for kind in kinds[:SHOWN_KINDS]:
        first, asked = kind.configs[0], kind.footprint
        members, steps = len(kind.configs), first.training.steps
        row = [kind.packs, members, first.cell["kind"], forcing_of(kind.configs), steps, asked.launches]
        card = [f"{asked.seconds(members) * 1e3:.2f}", asked.limit(members)] if on_card else []
        table.add_row(*map(str, row), f"{kind.megabytes:.0f}", *card)
    out.print()
    out.print(table)
    if len(kinds) > SHOWN_KINDS:
        out.print(f"... and {len(kinds) - SHOWN_KINDS} more kinds of packs")
    if on_card:
        printing.write(out, card_lines(kinds, devices))


def forcing_of(configs: Sequence["Config"]) -> str:
    """The kinds and intervals of the forcings of a pack."""
    kinds = dict.fromkeys(str(c.forcing["kind"]) for c in configs)
    intervals = sorted({c.forcing["interval"] for c in configs if isinstance(c.forcing.get("interval"), int)})
    if not intervals:
        return ", ".join(kinds)
    return f"{', '.join(kinds)} {intervals[0]}" + (f"..{intervals[-1]}" if len(intervals) > 1 else "")


def card_lines(kinds: Sequence[PackKind], devices: Devices) -> printing.Lines:
    """Time of all updates on the cards, the largest pack against their memory, and what would use them better."""
    cards, at_once = devices.gpus or 1, max(1, int(1 / devices.share))
    total, largest = sum(kind.seconds for kind in kinds), max(kinds, key=lambda kind: kind.megabytes)
    lines = [("updates", f"at least {total / cards / 60:.1f} min on {cards:g} GPU{'s' * (cards > 1)} like an H200")]
    if devices.memory:
        room = devices.memory * 1e3 * RESERVE / at_once
        fitting = int(room / (largest.footprint.member_bytes / 1e6))
        fits = f"{largest.megabytes:,.0f} MB of {room:,.0f} MB per pack: up to {fitting} members"
        lines.append(("largest pack", fits if largest.megabytes <= room else f"{fits}. Set --pack {fitting} or below."))
    idle = sum(k.seconds for k in kinds if k.footprint.limit(len(k.configs)) == "launches") / max(total, 1e-9)
    if idle > 0.5:
        text = f"{idle:.0%} of the time waits for launches: a larger --pack, or a smaller --gpus-per-pack, costs little"
        lines.append(("advice", text))
    return lines


def print_configs(configs: Sequence["Config"], intent: str, out: "Console") -> None:
    """The varied settings of the first trials."""
    from rich.table import Table

    from lyapsweep.sweep.plan.points import varied_paths

    paths = varied_paths(configs)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for path in paths:
        table.add_column(path)
    for config in configs[:SHOWN_CONFIGS]:
        table.add_row(*(str(config.flat.get(path, "")) for path in paths))
    out.print()
    out.print(table)
    if len(configs) > SHOWN_CONFIGS:
        out.print(f"... and {len(configs) - SHOWN_CONFIGS} more" + (" (a hunt draws its own)" * (intent == "hunt")))
