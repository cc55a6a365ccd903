"""`lyapsweep atlas`: draw an experiment as one HTML page."""

import contextlib
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lyapsweep.cli import options
from lyapsweep.cli.completion import EXPERIMENTS, complete
from lyapsweep.cli.errors import CommandError, Exit
from lyapsweep.process import small_networks
from lyapsweep.results.experiment import ExperimentPaths

if TYPE_CHECKING:
    from lyapsweep.results.table import Table


@click.command(
    "atlas",
    short_help="Draw an experiment as one HTML page.",
    epilog=options.example("lyapsweep atlas forcing_interval --output atlas.html"),
)
@click.argument("experiment", shell_complete=complete(EXPERIMENTS))
@options.results
@options.tracking_uri
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Path of the page.  [default: atlas.html in the results folder]",
)
@click.option(
    "--json",
    "findings",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Also write the numbers of the page: verdict, ties, correlations, importances with intervals, p and n.",
)
@click.option(
    "--trial",
    "trials",
    multiple=True,
    help="Include the orbit and fixed points of this trial regardless of the page's size. Repeatable.",
)
@click.option("--png", is_flag=True, help="Also write every figure as PNG into a folder beside the page.")
@click.option("--svg", is_flag=True, help="Also write every figure as SVG.")
@click.option("--pdf", is_flag=True, help="Also write every figure as PDF.")
@options.trust
@options.debug
def command(
    experiment: str,
    results: Path,
    tracking_uri: str | None,
    output: Path | None,
    findings: Path | None,
    trials: tuple[str, ...],
    png: bool,
    svg: bool,
    pdf: bool,
) -> None:
    """Draw an experiment as one self-contained HTML page: figures, findings and the values behind them.

    EXPERIMENT is a results folder, a name below --results (also of an imported table), or an MLflow experiment, which
    comes first if --tracking-uri is given.
    """
    options.writable_file(findings, "--json", (".json",))
    from lyapsweep.loading import located

    table, folder = located(experiment, results, tracking_uri)
    if not len(table):
        raise CommandError(f"{experiment} holds no records yet. Run `lyapsweep sweep` or `lyapsweep run` first.")
    from lyapsweep.atlas import figure_files, report

    small_networks()
    table = with_links(table, folder.resolve(), tracking_uri)
    page = report.write(table, output or ExperimentPaths(folder).atlas, folder, trials, findings)
    note_best(table, folder)
    click.echo(page.path)
    if findings is not None:
        click.echo(findings)
    formats = [kind for kind, wanted in zip(figure_files.FORMATS, (png, svg, pdf), strict=True) if wanted]
    try:
        for file in figure_files.write(page.path, formats):
            click.echo(file)
    except figure_files.FigureExportError as error:
        raise CommandError(str(error)) from error
    if page.errors:
        raise CommandError(page.message, Exit.FAILED)


def note_best(table: "Table", folder: Path) -> None:
    """Keep the best setting in sweep.json, where `lyapsweep experiments` reads it; best-effort."""
    from lyapsweep.results.best import best_setting
    from lyapsweep.results.winner import best_sentence

    file = ExperimentPaths(folder).description
    best = best_sentence(table, best_setting(table))
    if best != table.description.best and file.exists():
        with contextlib.suppress(OSError):
            replace(table.description, best=best).save(file)


def with_links(table: "Table", folder: Path, uri: str | None) -> "Table":
    """Add the addresses of the runs if there may be a store; importing MLflow takes seconds."""
    if not (uri or os.environ.get("MLFLOW_TRACKING_URI") or ExperimentPaths(folder).mlflow_database.is_file()):
        return table
    from lyapsweep import tracking
    from lyapsweep.tracking import links

    return links.find_addresses(table, folder.name, uri or tracking.default_uri(folder.parent))
