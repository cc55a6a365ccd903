"""`lyapsweep import`: keep a table of trials from another tool as an experiment."""

from pathlib import Path

import click

from lyapsweep.cli import options, printing, reporting
from lyapsweep.cli.errors import CommandError


@click.command(
    "import",
    short_help="Import a table of trials as an experiment.",
    epilog=options.example(
        "lyapsweep import theirs.csv --settings lr --outcome val_loss --exponents 'le_*' --trial run --step epoch"
    ),
)
@click.argument("table", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--settings",
    multiple=True,
    required=True,
    metavar="COLUMN",
    help="Settings: a column or a pattern (hp_*). Repeatable.",
)
@click.option(
    "--outcome",
    "outcomes",
    multiple=True,
    required=True,
    metavar="COLUMN",
    help="Outcomes: a column or a pattern. Repeatable; the first is the objective.",
)
@click.option(
    "--exponents",
    multiple=True,
    metavar="COLUMN",
    help="Exponents in any order: a column or a pattern (le_*). Repeatable.",
)
@click.option("--trial", metavar="COLUMN", help="The id of the trial.  [default: each row is a trial]")
@click.option("--step", metavar="COLUMN", help="The training step of each row.")
@click.option(
    "--ended",
    metavar="COLUMN",
    help="How the trial ended, in the words of lyapsweep, Optuna, W&B or MLflow (COMPLETE, PRUNED, crashed, ...).  "
    "[default: a column called state or status]",
)
@click.option("--map", "which", default="driven", show_default=True, help="The map that the exponents belong to.")
@click.option(
    "--unit",
    type=click.Choice(["nats", "bits"]),
    default="nats",
    show_default=True,
    help="Unit of the exponents, per step.",
)
@click.option("--partial", is_flag=True, help="The table holds only the leading exponents.")
@click.option("--maximise", is_flag=True, help="Maximise the first outcome.")
@click.option(
    "--hunt",
    is_flag=True,
    help="A sampler chose the trials, or some were stopped early; correlations are then not computed.",
)
@options.changes("A setting that all rows share, such as cell/kind=lstm. Repeatable.")
@options.name
@options.results
@reporting.options
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
    """Check a CSV or Parquet TABLE with one row per trial and step, and keep it as an experiment below --results.

    The first --outcome is the objective. `lyapsweep atlas NAME` draws the experiment.
    """
    from lyapsweep.results import imported
    from lyapsweep.results.description import SweepDescription
    from lyapsweep.results.experiment import ExperimentPaths

    name = name or table.stem
    folder = results / name
    if ExperimentPaths(folder).has_records():
        raise CommandError(f"{folder} holds records of a sweep. Give the table another name with --name.")
    description = SweepDescription(
        name=name, intent="hunt" if hunt else "map", direction="maximise" if maximise else "minimise"
    )
    made = imported.save(table, folder, description, map=which, same=changes, **columns)
    counts = made.finals.frame["outcome"].value_counts()
    told = ", ".join(f"{n} {outcome}" for outcome, n in counts.items())
    printing.console().print(f"{folder}: {len(made.finals)} trials ({told}), {len(made)} rows", soft_wrap=True)
    numbers = {"trials": len(made.finals), "rows": len(made), "outcomes": counts.to_dict()}
    reporting.report({"name": name, "folder": folder, **numbers}, folder)
