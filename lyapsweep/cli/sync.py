"""`lyapsweep sync`: tell an MLflow server what a results folder holds."""

from pathlib import Path

import click

from lyapsweep.cli import options, printing
from lyapsweep.cli.status import folder_of


@click.command(
    "sync",
    short_help="Log a results folder to MLflow.",
    epilog=options.example("lyapsweep sync results/forcing_interval --tracking-uri http://mlflow:5000"),
)
@click.argument("results_folder")
@options.results
@options.name
@options.tracking_uri
@options.models
@options.debug
def command(results_folder: str, results: Path, name: str | None, tracking_uri: str | None, models: bool) -> None:
    """Log every record of a results folder that an MLflow server or store lacks. Doing it again changes nothing.

    RESULTS_FOLDER is a folder of `lyapsweep sweep` or `lyapsweep run`, or its name below --results. While a driver
    runs the sweep, its trials that train are left as they are.
    """
    from lyapsweep import tracking
    from lyapsweep.results.description import SweepDescription
    from lyapsweep.results.experiment import ExperimentPaths
    from lyapsweep.results.table import Table
    from lyapsweep.sweep.observe.heartbeat import heard

    folder = folder_of(results_folder, results)
    paths = ExperimentPaths(folder)
    description = SweepDescription.load(paths.description)
    uri = tracking_uri or tracking.store(folder.resolve().parent)
    ledger = tracking.prepare(name or description.name or folder.resolve().name, uri, paths.artifacts)
    ledger.varied = description.varied
    labels = {"intent": description.intent, "objective": description.objective}
    ledger.labels = {key: value for key, value in labels.items() if value}
    written = ledger.sync(folder)
    driver = heard(folder)
    if driver is None or not driver.alive:
        ledger.reconcile()
    if paths.description.exists():
        told = {f"trials/{outcome}": float(n) for outcome, n in description.outcomes.items()}
        files = [file for file in (paths.description, paths.atlas) if file.exists()]
        ledger.summary(Table.read(folder), files, told, models)
    told = [("logged", f"{written} records that were not there"), ("MLflow", printing.viewer(uri, folder))]
    printing.write(printing.console(), told)
