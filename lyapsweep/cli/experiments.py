"""`lyapsweep experiments`: list the experiments in a results folder."""

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lyapsweep.cli import options, printing, reporting
from lyapsweep.cli.errors import CommandError

if TYPE_CHECKING:
    from lyapsweep.sweep.observe.inventory import Experiment

RIGHT = (False, False, False, True, True)  # whether a column is aligned at its right
MAX_BEST, MIN_QUESTION = 60, 20  # characters
UNITS = ("B", "kB", "MB", "GB", "TB")


@click.command(
    "experiments",
    short_help="List the experiments in a results folder.",
    epilog=options.example("lyapsweep experiments", "lyapsweep experiments --results /shared/results --json"),
)
@options.results
@reporting.options
@options.debug
def command(results: Path) -> None:
    """List the experiments in a results folder, the latest first: trials, best setting, size, age and question.

    No record is opened. The best setting is that of the sweep's end, or of the last `lyapsweep atlas`.
    """
    from lyapsweep.sweep.observe.inventory import list_experiments

    found = list_experiments(results)
    if not found and reporting.mode() is not reporting.Mode.JSON:
        raise CommandError(
            f"{results}: it holds no experiments. Run `lyapsweep sweep`, or name another with --results."
        )
    out = printing.console()
    rows = [("name", "trials", "best", "size", "age", "question"), *map(cells, found)]
    widths = [max(len(row[i]) for row in rows) for i in range(5)]
    rest = max(out.width - sum(widths) - 2 * len(widths), MIN_QUESTION)
    for i, row in enumerate(rows):
        padded = [f"{text:>{w}}" if right else f"{text:<{w}}" for text, w, right in zip(row, widths, RIGHT)]
        line = "  ".join([*padded, cut_to(row[5], rest)]).rstrip()
        out.print(line, soft_wrap=True, style="bold" if i == 0 else "")
    reporting.report(found, *(each.folder for each in found))


def cells(each: "Experiment") -> tuple[str, ...]:
    """The row of an experiment."""
    counts = f"{each.trials}/{each.asked}" if each.asked and each.trials != each.asked else str(each.trials)
    trials = counts if each.state == "ended" else f"{counts} {each.state}"
    best = cut_to(f"{each.objective} {each.best}" if each.best else "–", MAX_BEST)
    return each.name, trials, best, size_text(each.bytes), age_text(time.time() - each.changed), each.question


def cut_to(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1].rstrip() + "…"


def size_text(size: float) -> str:
    """A number of bytes to three digits.

    Example:
        >>> size_text(950), size_text(8_300_000)
        ('950 B', '8.3 MB')
    """
    unit = UNITS[0]
    for unit in UNITS:
        if size < 999.5 or unit == UNITS[-1]:
            break
        size /= 1000
    return f"{size:.3g} {unit}"


def age_text(seconds: float) -> str:
    """A time in its largest unit.

    Example:
        >>> age_text(40), age_text(7300), age_text(3e6)
        ('40 s', '2 h', '34 days')
    """
    for unit, name in ((86400, "day"), (3600, "h"), (60, "min")):
        if seconds >= unit:
            n = int(seconds // unit)
            return f"{n} {name}{'s' if name == 'day' and n > 1 else ''}"
    return f"{max(int(seconds), 0)} s"
