"""The census of `lyapsweep fixed-points`: the number of points of each kind per network of a sweep."""

from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table

from lyapsweep.cli import printing, reporting
from lyapsweep.cli.errors import CommandError

if TYPE_CHECKING:
    from lyapsweep.analysis.networks.fixed_point_census import FixedPointCensusFinding
    from lyapsweep.dynamics import Search


def is_sweep(what: str, results: Path) -> bool:
    """Whether `what` names a folder of records."""
    return any(folder.is_dir() for folder in (Path(what), results / what))


def run(what: str, results: Path, measure: str | None, search: "Search", plot: Path | None) -> None:
    """Search every trained network, print one row per trial, and draw them if `plot` is given."""
    from lyapsweep.analysis.networks import fixed_point_census
    from lyapsweep.loading import load

    table = load(what, results=results)
    measure = measure or table.description.objective
    if not measure:
        raise CommandError(f"{what}: the objective is unknown. Name a measure with --measure.")
    column = f"measures/{str(measure).removeprefix('measures/')}"
    with printing.console(stderr=True).status(f"searching {what}") as status:

        def report(done: int, total: int) -> None:
            status.update(f"searching {what}: {done} of {total} networks")

        found = fixed_point_census.find(table, column, search, progress=report)
    show_census(what, found)
    reporting.report(found, plot)
    if plot is not None:
        fixed_point_census.save(found, plot)


def show_census(what: str, found: "FixedPointCensusFinding") -> None:
    from lyapsweep.analysis.networks.fixed_point_census import ranked
    from lyapsweep.analysis.networks.fixed_point_plot import KINDS
    from lyapsweep.analysis.shared.units import UnitCount

    out, n = printing.console(), len(found.trials)
    out.print(f"{what}: {n} network{'s' * (n != 1)}, best {found.column} first", style="bold")
    table = Table(box=None, pad_edge=False, header_style="bold")
    headings = ("trial", found.column.partition("/")[2], *KINDS, "longest time constant", "participation ratio")
    for heading in headings:
        table.add_column(heading, justify="left" if heading == "trial" else "right", no_wrap=True)
    for i in ranked(found):
        numbers = [found.values[i], found.time_constants[i], found.ratio[i]]
        value, constant, ratio = (printing.unless_nan(float(x), "-") for x in numbers)
        counts = [str(n) for n in found.counts[i]]
        table.add_row(found.trials[i], "lost" if found.lost[i] else value, *counts, constant, ratio)
    out.print(table)
    if found.relation is None:
        return
    out.print(f"\nSpearman's rho with {found.column}, 95 % interval", style="bold")
    rows = zip(*(getattr(found.relation, k) for k in ("statistics", "rho", "low", "high", "settings", "n")))
    lines = [(name, rho, low, high, UnitCount(g, n)) for name, rho, low, high, g, n in rows]
    printing.write(
        out, [(name, f"{rho:+.2f}  ({low:+.2f} to {high:+.2f}, n = {n})") for name, rho, low, high, n in lines]
    )
