"""`lyapsweep atlas`: an experiment as one page."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lyapsweep.cli import options
from lyapsweep.cli.errors import CommandError
from lyapsweep.process import small_networks
from lyapsweep.results.experiment import ExperimentPaths

if TYPE_CHECKING:
    from lyapsweep.results.table import Table


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
@click.option(
    "--trial",
    "trials",
    multiple=True,
    help="Its orbit and fixed points are on the page whatever it weighs; repeatable.",
)
@click.option("--png", is_flag=True, help="Also write every figure as PNG, into a folder beside the page.")
@click.option("--svg", is_flag=True, help="Likewise as SVG.")
@click.option("--pdf", is_flag=True, help="Likewise as PDF.")
@options.debug
def command(
    experiment: str,
    results: Path,
    tracking_uri: str | None,
    output: Path | None,
    trials: tuple[str, ...],
    png: bool,
    svg: bool,
    pdf: bool,
) -> None:
    """Draw an experiment as one page of HTML that any browser shows: what it found, and every number behind it.

    EXPERIMENT is a results folder, a name below --results (an imported table is one), or an MLflow experiment (first
    of all where --tracking-uri is given).
    """
    from lyapsweep.loading import located

    table, folder = located(experiment, results, tracking_uri)
    if not len(table):
        raise CommandError(f"{experiment} holds no records yet; `lyapsweep sweep` and `lyapsweep run` write them.")
    from lyapsweep.atlas import figure_files, report

    small_networks()
    table = linked(table, folder.resolve(), tracking_uri)
    page = report.write(table, output or ExperimentPaths(folder).atlas, folder, trials)
    click.echo(page)
    formats = [kind for kind, wanted in zip(figure_files.FORMATS, (png, svg, pdf), strict=True) if wanted]
    try:
        for file in figure_files.write(page, formats):
            click.echo(file)
    except figure_files.NoPictures as error:
        raise CommandError(str(error)) from error


def linked(table: "Table", folder: Path, uri: str | None) -> "Table":
    """The table with the addresses of its runs, where a store may know them: MLflow takes seconds to load."""
    if not (uri or os.environ.get("MLFLOW_TRACKING_URI") or ExperimentPaths(folder).mlflow_database.is_file()):
        return table
    from lyapsweep import tracking
    from lyapsweep.tracking import links

    return links.linked(table, folder.name, uri or tracking.store(folder.parent))
