"""`lyapsweep prune`: free disk space of an experiment."""

from pathlib import Path

import click

from lyapsweep.cli import options
from lyapsweep.cli.errors import CommandError
from lyapsweep.cli.experiments import size_text
from lyapsweep.cli.status import find_folder


@click.command(
    "prune",
    short_help="Free disk space of an experiment.",
    epilog=options.example("lyapsweep prune forcing_interval", "lyapsweep prune forcing_interval --best-trials"),
)
@click.argument("experiment")
@options.results
@click.option(
    "--best-trials",
    is_flag=True,
    help="Keep weights and orbits of the best trials alone: those of the best setting, of the settings tied with it, "
    "and the best of each cell.",
)
@options.debug
def command(experiment: str, results: Path, best_trials: bool) -> None:
    """Remove weights from all records of an experiment but the best and the last report of each trial.

    Scores, spectra, training curves and settings of every record are kept, and records stay readable. Copies of records
    among MLflow's artifacts in the folder become links, so that each record is stored once.
    """
    from lyapsweep.results.pruning import prune
    from lyapsweep.sweep.observe.heartbeat import read_heartbeat

    folder = find_folder(experiment, results)
    heartbeat = read_heartbeat(folder)
    if heartbeat is not None and heartbeat.alive:
        raise CommandError(f"{folder}: its sweep runs on {heartbeat.host} (process {heartbeat.pid}). Wait for its end.")
    done = prune(folder, trials_to_keep(folder) if best_trials else None)
    linked = f", {done.linked} copies of MLflow's became links" if done.linked else ""
    click.echo(f"Freed {size_text(done.freed)}: {done.records} records lost weights{linked}.")


def trials_to_keep(folder: Path) -> set[str]:
    """The trials of the best setting and of those tied with it, and the best of each group."""
    from lyapsweep.results.best import best_setting
    from lyapsweep.results.table import Table
    from lyapsweep.tracking.summary import best_trials

    table = Table.read(folder)
    setting = best_setting(table)
    if setting is None:
        raise CommandError(f"{folder}: no trial finished with a finite objective. Prune it without --best-trials.")
    trials = table.finals.frame["trial"].astype(str)
    rows = [*setting.rows, *(row for tie in setting.ties for row in tie)]
    return {*trials.iloc[rows], *(best.trial for best in best_trials(table))}
