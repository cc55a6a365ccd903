"""`lyapsweep simulate`: a series of a known system as a file."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lyapsweep.cli import options, printing, reporting
from lyapsweep.cli.completion import complete
from lyapsweep.cli.errors import CommandError

if TYPE_CHECKING:
    from lyapsweep.datasets.series import Series

SUFFIXES = (".csv", ".npy")


@dataclass(frozen=True)
class Simulated:
    """A file with a series, and the largest exponent of its system in nats per sample, None if unknown."""

    file: Path
    samples: int
    columns: tuple[str, ...]
    dt: float
    lambda_max: float | None
    lambda_source: str

    @property
    def lines(self) -> printing.Lines:
        lines = [("series", f"{self.file}: {self.samples} rows of {', '.join(self.columns)}, dt = {self.dt:g}")]
        if self.lambda_max is not None:
            exponent = printing.number(self.lambda_max / self.dt)
            lines.append(("lambda_max", f"{exponent} per unit time ({self.lambda_source})"))
        return [*lines, ("next", f"lyapsweep suggest {self.file} --dt {self.dt:g}")]


@click.command(
    "simulate",
    short_help="Write a series of a known system to a file.",
    epilog=options.example("lyapsweep simulate lorenz63 my.csv --samples 7000 --dt 0.03 --noise 0.05"),
)
@click.argument("system", shell_complete=complete("systems", files=False))
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@options.changes("Change a parameter of the system, such as rho=38. Repeatable.")
@click.option("--samples", type=click.IntRange(min=2), default=20000, show_default=True, help="Number of rows.")
@click.option("--dt", type=float, callback=options.time_step, help="Time between rows.  [default: the system's own]")
@click.option(
    "--noise",
    type=options.FiniteRange(min=0),
    default=0.0,
    show_default=True,
    help="Gaussian observation noise, in standard deviations of each column.",
)
@click.option("--seed", type=options.SEED, default=0, show_default=True, help="Seed of the first state and the noise.")
@reporting.options
@options.debug
def command(
    system: str, file: Path, changes: Mapping[str, Any], samples: int, dt: float | None, noise: float, seed: int
) -> None:
    """Simulate a SYSTEM (`lyapsweep list systems`) on its attractor and write one row per time step to FILE.

    FILE ends in .csv or .npy and is not overwritten. It is a recording like any other: a network that learns it is
    compared with an exponent that is known.
    """
    from lyapsweep.datasets.simulated import simulated

    options.writable_file(file, "FILE", SUFFIXES)
    if file.exists():
        raise CommandError(f"FILE {file}: already there. Choose another name.")
    settings = {"parameters": dict(changes), "noise": noise, "noise_on": "both", "seed": seed}
    series = simulated(system=system, length=samples, dt=dt, standardise="none", **settings)
    write(series, file)
    made = Simulated(file, samples, series.names, series.dt, series.lambda_max, series.lambda_source)
    printing.write(printing.console(), made.lines)
    reporting.report(made, file)


def write(series: "Series", file: Path) -> None:
    """Write the rows of the training part; a CSV file has a header."""
    import numpy as np

    if file.suffix.lower() == ".npy":
        np.save(file, series.train)
    else:
        np.savetxt(file, series.train, delimiter=",", header=",".join(series.names), comments="", fmt="%.10g")
