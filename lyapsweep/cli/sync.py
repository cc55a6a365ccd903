"""`lyapsweep sync`: log a results folder to MLflow."""

from pathlib import Path

import click

from lyapsweep.cli import options, printing
from lyapsweep.cli.completion import EXPERIMENTS, complete
from lyapsweep.cli.status import find_folder


@click.command(
    "sync",
    short_help="Log a results folder to MLflow.",
    epilog=options.example("lyapsweep sync results/forcing_interval --tracking-uri http://mlflow:5000"),
)
@click.argument("results_folder", shell_complete=complete(EXPERIMENTS))
@options.results
@options.name
@options.tracking_uri
@options.models
@options.trust
@options.debug
def command(results_folder: str, results: Path, name: str | None, tracking_uri: str | None, models: bool) -> None:
    """Log the records of a results folder that an MLflow server or store lacks. Idempotent.

    RESULTS_FOLDER is a folder of `lyapsweep sweep` or `lyapsweep run`, or its name below --results. While a driver
    runs the sweep, the runs of trials in training stay open.
    """
    from lyapsweep import tracking
    from lyapsweep.results.description import SweepDescription
    from lyapsweep.results.experiment import ExperimentPaths
    from lyapsweep.results.table import Table
    from lyapsweep.sweep.observe.heartbeat import read_heartbeat

    folder = find_folder(results_folder, results)
    paths = ExperimentPaths(folder)
    description = SweepDescription.load(paths.description)
    uri = tracking_uri or tracking.default_uri(folder.resolve().parent)
    logger = tracking.prepare(name or description.name or folder.resolve().name, uri, paths.artifacts)
    logger.varied = description.varied
    labels = {"intent": description.intent, "objective": description.objective}
    logger.labels = {key: value for key, value in labels.items() if value}
    logged = logger.sync(folder)
    driver = read_heartbeat(folder)
    if driver is None or not driver.alive:
        logger.reconcile()
    if paths.description.exists():
        metrics = {f"trials/{outcome}": float(n) for outcome, n in description.outcomes.items()}
        files = [file for file in (paths.description, paths.atlas) if file.exists()]
        logger.log_summary(Table.read(folder), files, metrics, models)
    lines = [("logged", f"{logged} records that were missing"), ("MLflow", printing.viewer(uri, folder))]
    printing.write(printing.console(), lines)
