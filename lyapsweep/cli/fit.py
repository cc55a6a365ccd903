"""`lyapsweep fit`: from a series to a trained network and the evidence for it."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lyapsweep.cli import options, printing, reporting
from lyapsweep.cli.errors import CommandError, Exit
from lyapsweep.cli.suggest import chosen_columns
from lyapsweep.cli.sweep_display import display

if TYPE_CHECKING:
    from rich.console import Console

    from lyapsweep.fitting.result import FitResult


@click.command(
    "fit",
    short_help="Fit a series: search, confirm, judge.",
    epilog=options.example("lyapsweep fit my.csv --dt 0.03", "lyapsweep fit my.csv --minutes 20 --name long"),
)
@click.argument("series")
@click.option(
    "--dt", type=float, callback=options.time_step, help="Time between rows.  [default: a time column's, else 1]"
)
@click.option(
    "--columns", help="Columns to predict, by name or position from 0: x,z.  [default: all but inputs and clocks]"
)
@click.option("--inputs", help="Columns that drive the system and are given: rain,light.")
@click.option(
    "--minutes", type=options.POSITIVE_NUMBER, default=5.0, show_default=True, help="Time that the fit may take."
)
@click.option("--trials", type=click.IntRange(1), help="Networks of the search, instead of --minutes.")
@options.changes("Change a setting of the config, such as training/steps=3000 or dataset/missing=keep. Repeatable.")
@options.results
@options.name
@click.option(
    "--seed", type=options.SAMPLER_SEED, default=0, show_default=True, help="Seed of everything that is drawn."
)
@click.option("--jobs", type=click.IntRange(1), help="Networks trained in parallel.  [default: the number of CPUs]")
@options.engine
@options.tracking_uri
@click.option("--resume", is_flag=True, help="Resume a fit that was interrupted.")
@reporting.options
@options.debug
def command(
    series: str,
    dt: float | None,
    columns: str | None,
    inputs: str | None,
    minutes: float,
    trials: int | None,
    changes: Mapping[str, Any],
    results: Path,
    name: str | None,
    seed: int,
    jobs: int | None,
    tracking_uri: str | None,
    resume: bool,
) -> None:
    """Find and train a network that reconstructs a recorded series, and say whether to trust it.

    SERIES is a file with one row per time step, evenly spaced, and one column per variable (.csv, .npy, .parquet and
    others). Its largest exponent is estimated as by `lyapsweep suggest`; networks are searched at forcing intervals of
    0.25 to 1 predictability time; the best four settings are trained again from three fresh seeds each. The report
    compares them with the floor, the exponents of the series, and five baselines, and says what speaks against them.

    Results: a page, the network as a record and as TorchScript, two atlases, and the config and sweep file from which
    `lyapsweep sweep` continues. Ctrl-C stops within seconds; --resume resumes.
    """
    from lyapsweep.fitting.pipeline import Observer, run_fit
    from lyapsweep.fitting.plan import FitRequest
    from lyapsweep.fitting.result import PAGE
    from lyapsweep.fitting.search import Place

    out = printing.console(optional=True)
    decimal = str(changes.get("dataset/decimal", "auto"))
    request = FitRequest(
        series,
        dt,
        chosen_columns(series, columns, decimal),
        chosen_columns(series, inputs, decimal),
        minutes,
        trials,
        seed,
        tuple(changes.items()),
    )
    place = Place(results, name or request.name, tracking_uri, jobs)
    with display("score", out) as listen:
        tell = lambda text: out.print(text, soft_wrap=True)  # noqa: E731
        try:
            found = run_fit(request, place, resume, Observer(tell, listen=listen))
        except KeyboardInterrupt as error:
            raise CommandError("Interrupted; the same command with --resume resumes.", Exit.INTERRUPTED) from error
    summarise(found, out)
    reporting.report(content(found), found.place.folder / PAGE)


def content(found: "FitResult") -> dict[str, Any]:
    """What `--json` prints."""
    first, analysis = found.records[0], found.analysis
    low, high = analysis.lambda_interval
    forecasts = (found.forecasts.network, *found.forecasts.baselines)
    return {
        "verdict": found.reliability.verdict,
        "sentences": found.reliability.sentences,
        "objective": found.criterion.objective,
        "lambda_max": analysis.lambda_max,
        "lambda_low": low,
        "lambda_high": high,
        "tau_pred": analysis.predictability_time,
        "networks": [
            {
                "trial": record.trial,
                "seed": record.config.seed,
                "outcome": record.outcome,
                "lambda_max": None if record.spectrum is None else record.spectrum.maximum / analysis.dt,
                "measures": record.measures,
                "test": record.test,
            }
            for record in found.records
        ],
        "floors": first.floors,
        "saturations": first.saturations,
        "forecasts": [{k: getattr(f, k) for k in ("name", "valid_steps", "low", "high", "error")} for f in forecasts],
        "coverage": float(found.forecasts.coverage.mean()),
        "config": found.model.config.to_dict(),
        "searched": found.searched,
        "files": dict(found.files),
        "seconds": found.seconds,
    }


def summarise(found: "FitResult", out: "Console") -> None:
    """Print the tables, the verdict with its sentences, and the places of the files."""
    from lyapsweep.fitting import report

    for table in report.tables(found):
        out.print(f"\n{table.title}", style="bold")
        widths = [max(len(row[i]) for row in (table.heads, *table.rows)) for i in range(len(table.heads))]
        for row in (table.heads, *table.rows):
            out.print("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths)).rstrip(), soft_wrap=True)
        if table.note:
            out.print(table.note, soft_wrap=True)
    out.print(f"\n{report.headline(found)}", style="bold")
    for sentence in found.reliability.sentences:
        out.print(f"- {sentence}", soft_wrap=True)
    out.print()
    printing.write(out, [*found.files, *report.next_commands(found), ("time", printing.duration(found.seconds))])
