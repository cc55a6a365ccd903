"""`lyapsweep atlas`: an experiment as one page."""

from pathlib import Path

import click

from lyapsweep.cli import options
from lyapsweep.cli.errors import Problem

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
    from lyapsweep.loading import located

    table, folder = located(experiment, results, tracking_uri)
    if not len(table):
        raise Problem(f"{experiment} holds no records yet; `lyapsweep sweep` and `lyapsweep run` write them.")
    from lyapsweep.atlas import report

    click.echo(report.write(table, output or folder / PAGE))
