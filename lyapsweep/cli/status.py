"""`lyapsweep status`: the progress of a sweep."""

import math
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lyapsweep.cli import options, printing, reporting
from lyapsweep.cli.completion import EXPERIMENTS, complete
from lyapsweep.cli.errors import CommandError
from lyapsweep.results.experiment import ExperimentPaths

if TYPE_CHECKING:
    from lyapsweep.sweep.observe.status import SweepStatus


@click.command(
    "status",
    short_help="Show the progress of a sweep.",
    epilog=options.example("lyapsweep status forcing_interval"),
)
@click.argument("sweep", shell_complete=complete(EXPERIMENTS))
@options.results
@reporting.options
@options.debug
def command(sweep: str, results: Path) -> None:
    """Show how many trials of a sweep have ended, the pace and the remaining time.

    SWEEP is a results folder, a name below --results, or a sweep file. Only the folder is read, so the command works
    on every machine that can read it.
    """
    from lyapsweep.sweep.observe.status import read_status

    folder = find_folder(sweep, results)
    found = read_status(folder)
    printing.write(printing.console(), lines(found))
    reporting.report(reporting.plain(found) | {"done": found.done, "runs": found.runs}, folder)


def find_folder(sweep: str, results: Path) -> Path:
    """Find the results folder by path, name or sweep file."""

    name = Path(sweep).stem if sweep.endswith(".py") else sweep
    for folder in (Path(name), results / name):
        if ExperimentPaths(folder).records.is_dir():
            return folder
    raise CommandError(
        f"No results in {name} or {results / name}. Run `lyapsweep sweep` first, or name the folder with --results."
    )


def lines(state: "SweepStatus") -> list[tuple[str, str]]:
    counts = [f"{n} {outcome}" for outcome, n in sorted(state.outcomes.items()) if outcome != "running"]
    if unfinished := state.outcomes.get("running", 0):
        counts.append(f"{unfinished} {'running' if state.runs else 'interrupted'}")
    lines = [
        ("sweep", state.name),
        ("trials", f"{state.done}/{state.asked or '?'} ({', '.join(counts) or 'none yet'})"),
        ("driver", driver_text(state)),
    ]
    if not math.isnan(state.pace):
        lines.append(("pace", f"{state.pace:.3g} trials per minute"))
    if state.left is not None:
        lines.append(("remaining", f"about {printing.duration(state.left)}"))
    lines += [("node", f"{node}: {n} trials") for node, n in state.nodes.items()]
    pending = state.driver.behind if state.driver else 0
    return lines + ([("MLflow", f"{pending} requests pending")] if pending and state.runs else [])


def driver_text(state: "SweepStatus") -> str:
    if state.driver is None:
        return "no heartbeat found"
    where = f"{state.driver.host} (process {state.driver.pid}), {printing.duration(max(state.driver.age, 0))} ago"
    if state.runs:
        return f"runs on {where}"
    rest = state.asked is None or state.done < state.asked
    return f"no heartbeat, last one on {where}; continue with --resume" if rest else f"ended on {where}"
