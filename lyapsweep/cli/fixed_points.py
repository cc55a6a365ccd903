"""`lyapsweep fixed-points`: where a system or a network rests, and how it leaves or returns."""

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.table import Table

from lyapsweep.cli import fixed_point_census, options, printing, weights
from lyapsweep.cli.errors import CommandError
from lyapsweep.cli.spectrum import picture
from lyapsweep.cli.spectrum_targets import SYSTEM, TRANSIENT, WEIGHTS, check_parameters, subject
from lyapsweep.process import small_networks

if TYPE_CHECKING:
    from lyapsweep.analysis.networks.network_fixed_points import NetworkFixedPoints
    from lyapsweep.dynamics import Search

STARTS = 32  # orbits of a system
ROWS = 20  # points printed
SETTINGS = ("candidates", "noise", "slow", "tolerance", "seed")


@click.command(
    "fixed-points",
    short_help="Where a system or a network rests.",
    epilog=options.example(
        "lyapsweep fixed-points lorenz63 --plot points.html",
        "lyapsweep fixed-points weights.pt --input series.npy --rest mean",
        "lyapsweep fixed-points results/forcing_interval --measure state_space",
    ),
)
@click.argument("what")
@options.changes("A parameter of a system (rho=38), or a path of a config (cell/units=30); may be repeated.")
@click.option("--candidates", type=int, help="States from which points are sought.  [default: 256]")
@click.option("--noise", type=float, help="Their displacement, in spreads of the visited states.  [default: 0.5]")
@click.option("--tolerance", type=float, help="q = |f(z) - z|^2 / 2 of a fixed point, at most.  [default: 1e-20]")
@click.option("--slow", type=float, help="q of a slow point, at most.  [default: 1e-8]")
@click.option("--seed", type=int, help="Of the choice of candidates.  [default: 0]")
@click.option("--input", type=click.Path(path_type=Path), help="Series that drives weights: .npy, .npz or .csv.")
@click.option("--rest", type=click.Choice(["mean", "zero"]), help="Input held meanwhile: the mean of --input, or zero.")
@click.option("--measure", help="Of a sweep: what the counts are compared with.  [default: its objective]")
@options.results
@click.option("--plot", type=click.Path(path_type=Path), callback=picture, help="Draw it: .html, .png or .svg.")
@options.as_json
@options.debug
def command(what: str, changes: dict[str, Any], results: Path, as_json: bool, plot: Path | None, **given: Any) -> None:
    """Fixed and slow points, the eigenvalues of the map there, and how much like a line attractor they are.

    WHAT is a system, a YAML config (its network as initialised), a record file (its network as trained), or the
    weights of a torch.nn.RNN, LSTM or GRU, which --input drives. Where inputs drive a network they are held at their
    mean. The results folder of a sweep, or its name below
    --results, gives a census: how many points of which kind each trained network has.
    """
    small_networks()
    from lyapsweep.analysis.networks.network_fixed_points import SEARCH

    search = dataclasses.replace(SEARCH, **{k: given[k] for k in SETTINGS if given[k] is not None})
    driven = {k: given[k] for k in ("input", "rest") if given[k] is not None}
    refuse(what, results, changes, given["measure"], driven)
    if fixed_point_census.is_sweep(what, results):
        fixed_point_census.run(what, results, given["measure"], search, plot, as_json)
        return
    with Console(stderr=True).status(f"searching {what}") as status:
        tell = lambda stage, done, most: status.update(f"searching {what}: {stage} {done} / {most}")  # noqa: E731
        rest = sought(what, changes, driven, search, tell)
    show_json(what, rest) if as_json else show_points(what, rest)
    if plot is not None:
        from lyapsweep.analysis.networks import fixed_point_plot

        fixed_point_plot.save(fixed_point_plot.of_points(what, rest), plot)


def refuse(what: str, results: Path, changes: dict, measure: str | None, driven: dict) -> None:
    """Flags that say nothing about this subject, before any work."""
    sweep = fixed_point_census.is_sweep(what, results)
    if measure is not None and not sweep:
        raise CommandError(f"--measure is for the results of a sweep, but {what} is none.")
    weighted = not sweep and subject(what) == WEIGHTS
    for flag in driven:
        if not weighted:
            raise CommandError(f"--{flag} is for weights; {what} runs by itself.")
    if changes and (sweep or weighted):
        raise CommandError(f"--set is for systems, configs and records; {what} is {'a sweep' if sweep else WEIGHTS}.")
    if weighted and "input" not in driven:
        raise CommandError(f"{what} is driven by a series: {weights.DRIVING}.")


def sought(
    what: str, changes: dict[str, Any], driven: dict[str, Any], search: "Search", tell: Any
) -> "NetworkFixedPoints":
    """The search that this subject needs."""
    from lyapsweep.analysis.networks import network_fixed_points

    path = Path(what)
    if subject(what) == WEIGHTS:
        return of_weights(path, driven, search, tell)
    if subject(what) == SYSTEM:
        return of_system(what, changes, search, tell)
    from lyapsweep.config import Config
    from lyapsweep.results.record import Record

    if path.suffix.lower() != ".npz":
        return network_fixed_points.of_network(Config.load(path, changes), None, search, tell)
    record = Record.load(path)
    if not record.weights:
        raise CommandError(
            f"{path} ({record.outcome}, step {record.step}) holds no weights to search; final records do."
        )
    return network_fixed_points.of_network(record.config.changed(changes), record.weights, search, tell)


def of_system(name: str, parameters: dict[str, Any], search: "Search", tell: Any) -> "NetworkFixedPoints":
    """From states near the attractor; a transient leads there."""
    import torch

    from lyapsweep import systems
    from lyapsweep.analysis.networks.network_fixed_points import of_map

    check_parameters(name, parameters)
    system = systems.build(name, None, **parameters)
    z = system.start(STARTS, torch.Generator().manual_seed(search.seed))
    with torch.inference_mode():
        for _ in range(TRANSIENT):
            z = system.step(z)
    return of_map(system, z.clone(), search, tell)


def of_weights(path: Path, driven: dict[str, Any], search: "Search", tell: Any) -> "NetworkFixedPoints":
    import torch

    from lyapsweep.analysis.networks.network_fixed_points import of_driven
    from lyapsweep.exponents import BadInputs, driven_by, prepared

    map = prepared(weights.network(path, None, None, None), None, torch.float64)
    try:
        inputs = driven_by(map, weights.series(driven["input"]), torch.float64)
    except BadInputs as error:
        raise CommandError(f"--input {driven['input']}: {error}") from error
    return of_driven(map, inputs, driven.get("rest", "mean"), search, tell)


def show_json(what: str, rest: "NetworkFixedPoints") -> None:
    from lyapsweep.dynamics.spectrum import strict

    found, line = rest.found, rest.line
    told = {
        "what": what,
        "fixed": listed(found.fixed, found.fixed.kinds),
        "slow": listed(found.slow, ("slow",) * len(found.slow)),
        **{name: getattr(found, name) for name in ("far", "lost", "started")},
        "line": {name: value for name, value in line._asdict().items() if name != "axis"},
        "search": vars(found.search),
    }
    click.echo(json.dumps(strict(told), indent=1, allow_nan=False))


def listed(points: Any, kinds: tuple[str, ...]) -> list[dict[str, Any]]:
    return [
        {
            "kind": kind,
            "z": points.z[i].tolist(),
            "q": float(points.q[i]),
            "unstable": int(points.unstable[i]),
            "eigenvalues": [[value.real, value.imag] for value in points.eigenvalues[i].tolist()],
            "time_constants": points.time_constants[i].tolist(),
            "frequencies": points.frequencies[i].tolist(),
        }
        for i, kind in enumerate(kinds)
    ]


def show_points(what: str, rest: "NetworkFixedPoints") -> None:
    """One row a fixed point, its slowest mode in words of time, then what the points are together."""
    out, found = printing.console(), rest.found
    fixed, slow, dt = found.fixed, found.slow, found.fixed.dt
    unit = "units of time" if dt else "steps"
    out.print(
        f"{what}: {counted(len(fixed), 'fixed point')}, {counted(len(slow), 'slow point')}, time in {unit}",
        style="bold",
    )
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("kind", "unstable modes", "largest |λ|", "longest time constant", "its frequency", "speed"):
        table.add_column(heading, justify="left" if heading == "kind" else "right", no_wrap=True)
    for i in range(min(len(fixed), ROWS)):
        a, values = fixed.slowest[i], abs(fixed.eigenvalues[i])
        scaled = fixed.time_constants[i, a] * (dt or 1), fixed.frequencies[i, a] / (dt or 1), fixed.speed[i]
        numbers = [printing.number(float(value)) for value in (values[0], *scaled)]
        table.add_row(fixed.kinds[i], str(fixed.unstable[i]), *numbers)
    if len(fixed):
        out.print(table)
    out.print()
    printing.write(out, summary(rest))


def counted(n: int, what: str) -> str:
    return f"{n} {what}" + "s" * (n != 1)


def summary(rest: "NetworkFixedPoints") -> list[tuple[str, str]]:
    found, line = rest.found, rest.line
    left = max(0, len(found.fixed) - ROWS)
    lines = [("not shown", f"{left} more fixed points: --json lists them all")] if left else []
    lines.append(("candidates", f"{found.started}, of which {found.lost} left the finite numbers"))
    if found.far:
        lines.append(("far", f"{found.far} fixed points far from every visited state are left out"))
    if line.points > 2:
        ratio, share = printing.unless_nan(line.participation_ratio), printing.unless_nan(line.first_share)
        lines.append(("shape", f"participation ratio {ratio} (1 on a line), first component {share} of the variance"))
        slow = printing.unless_nan(line.along_slow)
        seen = printing.unless_nan(line.along_readout, "unknown: there is no read-out")
        lines.append(("alignment", f"|cos| of the first component with the slow mode {slow}, with the read-out {seen}"))
    return lines
