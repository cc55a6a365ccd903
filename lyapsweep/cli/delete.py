"""`lyapsweep delete`: delete an experiment."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lyapsweep.cli import options
from lyapsweep.cli.completion import EXPERIMENTS, complete
from lyapsweep.cli.experiments import size_text
from lyapsweep.redaction import redact

if TYPE_CHECKING:
    from lyapsweep.sweep.execute.deletion import Deletion


@click.command(
    "delete",
    short_help="Delete an experiment.",
    epilog=options.example("lyapsweep delete forcing_interval", "lyapsweep delete forcing_interval --yes"),
)
@click.argument("experiment", shell_complete=complete(EXPERIMENTS))
@options.results
@options.tracking_uri
@click.option(
    "--storage",
    callback=options.warn_of_password("OPTUNA_STORAGE"),
    help="Database of the Optuna study.  [default: OPTUNA_STORAGE, else a file in the folder]",
)
@click.option("--yes", is_flag=True, help="Delete without asking.")
@options.debug
def command(experiment: str, results: Path, tracking_uri: str | None, storage: str | None, yes: bool) -> None:
    """Delete an experiment: its results folder, its Optuna study and its MLflow experiment together.

    EXPERIMENT is a results folder, or its name below --results. A sweep that is running is not deleted. With
    --tracking-uri none MLflow is left alone.
    """
    from lyapsweep.sweep.execute.deletion import delete, plan_deletion
    from lyapsweep.sweep.observe.inventory import is_experiment

    folder = Path(experiment) if is_experiment(Path(experiment)) else results / experiment
    found = plan_deletion(folder, tracking_uri, storage or os.environ.get("OPTUNA_STORAGE"))
    for line in lines(found):
        click.echo(line)
    if not yes:
        click.confirm("Delete all of this?", abort=True)
    delete(found)
    click.echo(f"Deleted {found.experiment.name}; {size_text(found.experiment.bytes)} are free.")


def lines(found: "Deletion") -> list[str]:
    """What is deleted."""
    each = found.experiment
    said = [f"{each.folder}: {each.trials} trials, {size_text(each.bytes)}"]
    if found.stored:
        foreign = f", {found.foreign} of them of trials that the folder does not hold" if found.foreign else ""
        runs = f"{len(found.stored.trials)} runs{foreign}"
        said.append(f"MLflow experiment '{found.stored.name}' in {redact(found.stored.uri)}: {runs}")
    if found.study:
        said.append(f"Optuna study '{each.name}' in {redact(found.study)}")
    return said
