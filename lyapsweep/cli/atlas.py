"""`lyapsweep atlas`: an experiment as one page."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from lyapsweep.cli import options
from lyapsweep.cli.errors import Problem

if TYPE_CHECKING:
    from lyapsweep.table import Table

PAGE = "atlas.html"


@click.command(
    "atlas",
    short_help="Draw an experiment as one page.",
    epilog=options.example("lyapsweep atlas forcing_interval --output atlas.html"),
)
@click.argument("experiment")
@options.results
@options.tracking_uri
@click.option(
    "--output", type=click.Path(path_type=Path, dir_okay=False), help="The page.  [default: atlas.html of the results]"
)
@options.debug
def command(experiment: str, results: Path, tracking_uri: str | None, output: Path | None) -> None:
    """Draw an experiment as one page of HTML that any browser shows: what it found, and every number behind it.

    EXPERIMENT is a results folder, a name below --results (an imported table is one), or an MLflow experiment (first
    of all where --tracking-uri is given).
    """
    table, folder = find(experiment, results, tracking_uri)
    if not len(table):
        raise Problem(f"{experiment} holds no records yet; `lyapsweep sweep` and `lyapsweep run` write them.")
    from lyapsweep.atlas import report

    click.echo(report.write(table, output or folder / PAGE))


def find(experiment: str, results: Path, uri: str | None) -> tuple["Table", Path]:
    """The experiment's table, and the folder that its page belongs to."""
    from lyapsweep import foreign
    from lyapsweep.table import Table

    if uri is None:
        for folder in (Path(experiment), results / experiment):
            if folder.is_dir() and next(folder.rglob("*.npz"), None):
                return Table.read(folder), folder
            if (folder / foreign.FILE).is_file():
                return foreign.load(folder), folder
    from lyapsweep import tracking

    store = uri or tracking.store(results)
    file = Path(store.removeprefix("sqlite:///"))
    if store.startswith("sqlite:///") and not file.is_file():
        missing = f"and there is no MLflow store at {file}"
        raise Problem(f"No records in {experiment} or {results / experiment}, {missing}. Name a results folder.")
    return tracking.read(experiment, store), results / experiment
