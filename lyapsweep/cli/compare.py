"""`lyapsweep compare`: two experiments side by side."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from lyapsweep.cli import options, printing, reporting
from lyapsweep.cli.completion import EXPERIMENTS, complete
from lyapsweep.cli.errors import CommandError

if TYPE_CHECKING:
    from rich.table import Table as RichTable

    from lyapsweep.atlas.comparison import ComparedRow


@click.command(
    "compare",
    short_help="Show two experiments side by side.",
    epilog=options.example("lyapsweep compare forcing_interval segment_length"),
)
@click.argument("first", shell_complete=complete(EXPERIMENTS))
@click.argument("second", shell_complete=complete(EXPERIMENTS))
@options.results
@options.tracking_uri
@reporting.options
@options.debug
def command(first: str, second: str, results: Path, tracking_uri: str | None) -> None:
    """Show two experiments side by side: trials, best settings with their scores, verdicts, and settings that differ.

    FIRST and SECOND are results folders, names below --results, or MLflow experiments.
    """
    from lyapsweep.atlas.comparison import compare
    from lyapsweep.loading import load

    tables = [load(name, results=results, tracking_uri=tracking_uri) for name in (first, second)]
    for name, table in zip((first, second), tables):
        if not len(table):
            raise CommandError(f"{name} holds no records yet. Run `lyapsweep sweep` or `lyapsweep run` first.")
    found = compare(tables[0], tables[1], (Path(first).name, Path(second).name))
    out = printing.console()
    out.print(side_by_side("", found.names, found.rows))
    for name, sentences in zip(found.names, found.verdicts):
        out.print(f"\n{name}", style="bold")
        for sentence in sentences:
            out.print(sentence)
    out.print("\nSettings that differ", style="bold")
    if found.differences:
        out.print(side_by_side("setting", found.names, found.differences))
    else:
        out.print("none")
    out.print(f"\n{found.conclusion}")
    reporting.report(found)


def side_by_side(heading: str, names: tuple[str, str], rows: "tuple[ComparedRow, ...]") -> "RichTable":
    """A table with a column for each experiment."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in (heading, *names):
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(row.quantity, row.first, row.second)
    return table
