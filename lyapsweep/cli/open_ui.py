"""`lyapsweep open`: an experiment in MLflow's pages."""

import contextlib
import threading
import webbrowser
from pathlib import Path

import click

from lyapsweep.cli import options
from lyapsweep.cli.errors import CommandError
from lyapsweep.cli.run import terminable


@click.command(
    "open",
    short_help="Show an experiment in MLflow.",
    epilog=options.example("lyapsweep open forcing_interval --no-browser"),
)
@click.argument("experiment")
@options.results
@options.tracking_uri
@click.option("--port", type=click.IntRange(1, 65535), help="Of the server.  [default: a free one]")
@click.option("--no-browser", is_flag=True, help="Print the address only.")
@options.debug
def command(experiment: str, results: Path, tracking_uri: str | None, port: int | None, no_browser: bool) -> None:
    """Show an experiment in MLflow: its trials, the best first, their spectra and training curves beside the data's.

    EXPERIMENT is a name, or a folder of results. Where the store is a file, MLflow's server is started on this machine
    and runs until Ctrl-C; where it is a server, its page is opened.
    """
    from lyapsweep import tracking
    from lyapsweep.results.experiment import ExperimentPaths
    from lyapsweep.tracking import server

    folder = Path(experiment)
    if ExperimentPaths(folder).records.is_dir():
        experiment, results = folder.resolve().name, folder.resolve().parent
    uri = tracking_uri or tracking.store(results)
    if (file := tracking.file_of(uri)) and not file.is_file():
        raise CommandError(
            f"There is no MLflow store at {file}; `lyapsweep sync {experiment} --results {results}` makes one."
        )
    if uri.startswith(("http://", "https://")):
        show(server.page(experiment, uri, uri), no_browser)
        return
    tracking.find(experiment, uri)  # what is misspelt is told before a server starts
    with contextlib.suppress(KeyboardInterrupt), terminable(), server.serving(uri, port) as address:
        show(server.page(experiment, uri, address), no_browser)
        click.echo("Ctrl-C ends the server.")
        threading.Event().wait()


def show(address: str, no_browser: bool) -> None:
    click.echo(address)
    if not no_browser:
        webbrowser.open(address)
