"""`lyapsweep import`: somebody else's sweep, kept where the atlas and the analyses find it."""

from pathlib import Path

import click

from lyapsweep.cli import options
from lyapsweep.cli.errors import CommandError


@click.command(
    "import",
    short_help="Keep somebody else's sweep as an experiment.",
    epilog=options.example(
        "lyapsweep import theirs.csv --settings lr --outcome val_loss --exponents 'le_*' --trial run --step epoch"
    ),
)
@click.argument("table", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--settings", multiple=True, required=True, metavar="COLUMN", help="What was chosen (or a pattern: hp_*)."
)
@click.option("--outcome", "outcomes", multiple=True, required=True, metavar="COLUMN", help="What came of it.")
@click.option("--exponents", multiple=True, metavar="COLUMN", help="Exponents, in any order (or a pattern: le_*).")
@click.option("--trial", metavar="COLUMN", help="What tells trials apart.  [default: each row is a trial]")
@click.option("--step", metavar="COLUMN", help="The step of training of each row.")
@click.option("--ended", metavar="COLUMN", help="How each trial ended: finished, diverged, failed, stopped or running.")
@click.option("--map", "which", default="driven", show_default=True, help="The map that the exponents are of.")
@click.option(
    "--unit", type=click.Choice(["nats", "bits"]), default="nats", show_default=True, help="Of exponents a step."
)
@click.option("--partial", is_flag=True, help="The exponents are only the leading ones.")
@click.option("--maximise", is_flag=True, help="More of the first outcome is better.")
@click.option("--hunt", is_flag=True, help="A sampler chose the trials, or some were stopped early: no correlations.")
@options.changes("A setting that all rows share, such as cell/kind=lstm. May be repeated.")
@options.name
@options.results
@options.debug
def command(
    table: Path,
    which: str,
    maximise: bool,
    hunt: bool,
    changes: dict[str, object],
    name: str | None,
    results: Path,
    **columns: object,
) -> None:
    """Check a CSV or Parquet TABLE of a row a trial and step, and keep it as an experiment of --results.

    The first --outcome is what trials are judged by. `lyapsweep atlas NAME` draws it.
    """
    from lyapsweep.results import imported
    from lyapsweep.results.description import SweepDescription
    from lyapsweep.results.experiment import ExperimentPaths

    name = name or table.stem
    folder = results / name
    if ExperimentPaths(folder).has_records():
        raise CommandError(f"{folder} holds records of a sweep of ours. Give the table another name with --name.")
    description = SweepDescription(
        name=name, intent="hunt" if hunt else "map", direction="maximise" if maximise else "minimise"
    )
    made = imported.save(table, folder, description, map=which, same=changes, **columns)
    counts = made.finals.frame["outcome"].value_counts()
    told = ", ".join(f"{n} {outcome}" for outcome, n in counts.items())
    click.echo(f"{folder}: {len(made.finals)} trials ({told}), {len(made)} rows")
