"""`lyapsweep status`: how a sweep stands."""

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lyapsweep.cli import options, printing
from lyapsweep.cli.errors import CommandError
from lyapsweep.results.experiment import ExperimentPaths

if TYPE_CHECKING:
    from lyapsweep.sweep.observe.status import SweepStatus


@click.command(
    "status",
    short_help="Say how a sweep stands.",
    epilog=options.example("lyapsweep status forcing_interval"),
)
@click.argument("sweep")
@options.results
@options.as_json
@options.debug
def command(sweep: str, results: Path, as_json: bool) -> None:
    """Say how many trials of a sweep have ended, how fast it goes and how long it takes yet.

    SWEEP is a results folder, a name below --results, or a sweep file. Only the folder is read, so that
    any machine that sees it can ask.
    """
    from lyapsweep.sweep.observe.status import state

    found = state(folder_of(sweep, results))
    if as_json:
        click.echo(json.dumps(plain(found)))
        return
    printing.write(printing.console(), lines(found))


def folder_of(sweep: str, results: Path) -> Path:
    """The results folder that is meant."""
    name = Path(sweep).stem if sweep.endswith(".py") else sweep
    for folder in (Path(name), results / name):
        if ExperimentPaths(folder).records.is_dir():
            return folder
    raise CommandError(
        f"No results in {name} or {results / name}. `lyapsweep sweep` writes them; --results says where."
    )


def lines(state: "SweepStatus") -> list[tuple[str, str]]:
    kinds = ", ".join(f"{n} {outcome}" for outcome, n in sorted(state.outcomes.items()) if outcome != "running")
    begun = state.outcomes.get("running", 0)
    kinds += f", {begun} {'running' if state.runs else 'cut short'}" if begun else ""
    told = [
        ("sweep", state.name),
        ("trials", f"{state.done}/{state.asked or '?'} ({kinds.removeprefix(', ') or 'none yet'})"),
    ]
    told.append(("driver", driver(state)))
    if not math.isnan(state.pace):
        told.append(("pace", f"{state.pace:.3g} trials a minute"))
    if state.left is not None:
        told.append(("left", f"about {printing.duration(state.left)}"))
    told += [("node", f"{node}: {n} trials") for node, n in state.nodes.items()]
    behind = state.driver.told.get("behind", 0) if state.driver else 0
    return told + ([("MLflow", f"{behind} entries behind")] if behind and state.runs else [])


def driver(state: "SweepStatus") -> str:
    if state.driver is None:
        return "none was ever heard of"
    where = f"{state.driver.host} (process {state.driver.pid}), {printing.duration(max(state.driver.age, 0))} ago"
    if state.runs:
        return f"runs on {where}"
    rest = state.asked is None or state.done < state.asked
    return f"ended on {where}" if not rest else f"gone, last heard on {where}; go on with --resume"


def plain(state: "SweepStatus") -> dict[str, Any]:
    """As JSON says it: null where nothing is known."""
    told = asdict(state) | {"done": state.done, "runs": state.runs}
    return told | {"pace": None if math.isnan(state.pace) else state.pace}
