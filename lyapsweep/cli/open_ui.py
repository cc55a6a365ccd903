"""`lyapsweep open`: show an experiment in MLflow."""

import contextlib
import threading
import webbrowser
from pathlib import Path

import click

from lyapsweep.cli import options
from lyapsweep.cli.completion import EXPERIMENTS, complete
from lyapsweep.cli.errors import CommandError


@click.command(
    "open",
    short_help="Show an experiment in MLflow.",
    epilog=options.example("lyapsweep open forcing_interval --no-browser"),
)
@click.argument("experiment", shell_complete=complete(EXPERIMENTS))
@options.results
@options.tracking_uri
@click.option("--port", type=click.IntRange(1, 65535), help="Port of the server.  [default: a free one]")
@click.option("--no-browser", is_flag=True, help="Print the address only.")
@options.debug
def command(experiment: str, results: Path, tracking_uri: str | None, port: int | None, no_browser: bool) -> None:
    """Show an experiment in MLflow: trials ranked by score, Lyapunov spectra and training curves.

    EXPERIMENT is a name or a results folder. For an SQLite store MLflow's server is started on this machine and runs
    until Ctrl-C; for a server the page is opened.
    """
    from lyapsweep import tracking
    from lyapsweep.process import terminable
    from lyapsweep.results.experiment import ExperimentPaths
    from lyapsweep.tracking import server

    folder = Path(experiment)
    if ExperimentPaths(folder).records.is_dir():
        experiment, results = folder.resolve().name, folder.resolve().parent
    uri = tracking_uri or tracking.default_uri(results)
    if (file := tracking.sqlite_file(uri)) and not file.is_file():
        raise CommandError(
            f"There is no MLflow store at {file}. `lyapsweep sync {experiment} --results {results}` creates one."
        )
    if uri.startswith(("http://", "https://")):
        show(server.page(experiment, uri, tracking.without_credentials(uri)), no_browser)
        return
    tracking.find_experiment(experiment, uri)  # a misspelt name is found before a server starts
    with contextlib.suppress(KeyboardInterrupt), terminable(), server.serve(uri, port) as address:
        show(server.page(experiment, uri, address), no_browser)
        click.echo("Ctrl-C ends the server.")
        threading.Event().wait()


def show(address: str, no_browser: bool) -> None:
    click.echo(address)
    if not no_browser:
        webbrowser.open(address)
