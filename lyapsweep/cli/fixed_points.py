"""`lyapsweep fixed-points`: fixed and slow points of a system or a network, and their eigenvalues."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.table import Table

from lyapsweep.cli import fixed_point_census, options, printing, reporting
from lyapsweep.cli.completion import complete
from lyapsweep.cli.errors import CommandError
from lyapsweep.cli.spectrum_targets import INPUT_FORM, Kind, check_parameters, no_weights, weight_choice
from lyapsweep.process import small_networks

if TYPE_CHECKING:
    from lyapsweep.analysis.networks.network_fixed_points import NetworkFixedPoints
    from lyapsweep.dynamics import Search

ORBITS = 32  # of a system, from which points are sought
ROWS = 20  # points printed
POINT = ("z", "q", "unstable", "eigenvalues", "time_constants", "frequencies")  # what --json prints of each
SETTINGS = ("candidates", "noise", "slow", "tolerance", "seed")


@click.command(
    "fixed-points",
    short_help="Find fixed points of a system or a network.",
    epilog=options.example(
        "lyapsweep fixed-points lorenz63 --plot points.html",
        "lyapsweep fixed-points weights.pt --input series.npy --rest mean",
        "lyapsweep fixed-points results/forcing_interval --measure state_space",
    ),
)
@click.argument("what", shell_complete=complete("systems"))
@options.changes("Change a parameter of a system (rho=38) or a setting of a config (cell/units=30). Repeatable.")
@click.option("--candidates", type=int, help="Number of initial states of the search.  [default: 256]")
@click.option(
    "--noise",
    type=options.FiniteRange(min=0),
    help="Noise added to initial states, in standard deviations of the visited states.  [default: 0.5]",
)
@click.option(
    "--tolerance", type=options.POSITIVE_NUMBER, help="Largest q = |f(z) - z|^2 / 2 of a fixed point.  [default: 1e-20]"
)
@click.option("--slow", type=options.POSITIVE_NUMBER, help="Largest q of a slow point.  [default: 1e-8]")
@click.option("--seed", type=options.SEED, help="Seed of the initial states.  [default: 0]")
@options.weights
@click.option(
    "--rest",
    type=click.Choice(["mean", "zero"]),
    help="Constant input during the search: the mean of --input, or zero.",
)
@click.option("--measure", help="Measure that a sweep's counts are compared with.  [default: its objective]")
@options.results
@click.option(
    "--plot",
    type=click.Path(path_type=Path),
    callback=options.picture_file,
    help="Draw the points: .html, .png or .svg.",
)
@reporting.options
@options.trust
@options.debug
def command(what: str, changes: Mapping[str, Any], results: Path, plot: Path | None, **given: Any) -> None:
    """Find fixed and slow points, the eigenvalues of the map there, and how close they are to a line attractor.

    WHAT is a system, a YAML config (its network as initialised), a record file (its network as trained), or weights
    in a .pt, .safetensors or .npz file: of a torch.nn.RNN, LSTM or GRU, which --input drives, or of a piecewise-linear
    RNN (A, W, h). Driving inputs are held at their mean during the search. The results folder of a sweep, or its name
    below --results, gives a census: the number of points of each kind per trained network.
    """
    small_networks()
    from lyapsweep.analysis.networks.network_fixed_points import SEARCH

    search = dataclasses.replace(SEARCH, **{k: given[k] for k in SETTINGS if given[k] is not None})
    is_sweep = fixed_point_census.is_sweep(what, results)
    check_flags(what, is_sweep, given | {"changes": changes})
    if is_sweep:
        fixed_point_census.run(what, results, given["measure"], search, plot)
        return
    with printing.console(stderr=True).status(f"searching {what}") as status:

        def report(stage: str, done: int, total: int) -> None:
            status.update(f"searching {what}: {stage} {done} / {total}")

        rest, notes = search_target(what, given | {"changes": changes}, search, report)
    show_points(what, rest, notes)
    reporting.report(content(what, rest), plot)
    if plot is not None:
        from lyapsweep.analysis.networks import fixed_point_plot

        fixed_point_plot.save(fixed_point_plot.of_points(what, rest), plot)


def check_flags(what: str, is_sweep: bool, given: Mapping[str, Any]) -> None:
    """Refuse flags that do not apply to the target, before any work."""
    is_weights = not is_sweep and Kind.of(what) is Kind.WEIGHTS
    kind = "a sweep" if is_sweep else Kind.of(what)
    if given["measure"] is not None and not is_sweep:
        raise CommandError(f"--measure is for the results of a sweep, but {what} is {kind}. Leave it out.")
    for flag in ("input", "rest", "cell", "layers", "prefix", "nonlinearity"):
        if given[flag] is not None and not is_weights:
            raise CommandError(f"--{flag} is for weights, but {what} is {kind}. Leave it out.")
    if given["changes"] and is_sweep:
        raise CommandError(f"--set is for systems, configs and records, but {what} is {kind}. Leave it out.")


def search_target(
    what: str, given: Mapping[str, Any], search: "Search", progress: Any
) -> tuple["NetworkFixedPoints", printing.Lines]:
    """Run the search that fits the target; lines to print about it."""
    from lyapsweep.analysis.networks import network_fixed_points
    from lyapsweep.config import Config
    from lyapsweep.results.record import Record

    path, kind = Path(what), Kind.of(what)
    if kind is Kind.WEIGHTS:
        return search_weights(path, given, search, progress)
    if kind is Kind.SYSTEM:
        return search_system(what, given["changes"], search, progress), []
    if path.suffix.lower() != ".npz":
        return network_fixed_points.of_network(Config.load(path, given["changes"]), None, search, progress), []
    record = Record.load(path)
    if not record.weights:
        raise no_weights(path, record)
    config = record.config.changed(given["changes"])
    return network_fixed_points.of_network(config, record.weights, search, progress), []


def search_system(name: str, parameters: Mapping[str, Any], search: "Search", progress: Any) -> "NetworkFixedPoints":
    """Search from states near the attractor."""
    from lyapsweep import systems
    from lyapsweep.analysis.networks.network_fixed_points import of_map
    from lyapsweep.exponents import attractor_states

    check_parameters(name, parameters)
    system = systems.build(name, None, **parameters)
    return of_map(system, attractor_states(system, ORBITS, search.seed), search, progress)


def search_weights(
    path: Path, given: Mapping[str, Any], search: "Search", progress: Any
) -> tuple["NetworkFixedPoints", printing.Lines]:
    """Search from states that the network visits, driven or, if it takes no inputs, freely."""
    import torch

    from lyapsweep.analysis.networks.network_fixed_points import of_driven, of_map
    from lyapsweep.cells.torch_files import load_network
    from lyapsweep.datasets.driving import read_inputs
    from lyapsweep.exponents import BadInputs, driven_by, prepared, starts

    loaded, inputs = load_network(path, weight_choice(str(path), given)), given["input"]
    notes = [("network", loaded.description)]
    map = prepared(loaded.network, None, torch.float64)
    if inputs is None and loaded.network.inputs:
        raise CommandError(f"{path}: the network needs inputs. Give {INPUT_FORM}.")
    if inputs is None and given["rest"]:
        raise CommandError(f"--rest {given['rest']}: {path} takes no inputs. Leave it out.")
    if inputs is None:
        points = of_map(map, starts(map, None, None, ORBITS, torch.float64, search.seed), search, progress)
    else:
        try:
            series = read_inputs(inputs, loaded.network.inputs)
            driving = driven_by(map, series.values, torch.float64)
        except BadInputs as error:
            raise CommandError(f"--input {inputs}: {error}") from error
        notes += [("input", text) for text in series.remarks]
        points = of_driven(map, driving, given["rest"] or "mean", search, progress)
    if loaded.readout is not None:
        points = points._replace(readout=loaded.readout.double().numpy())
    return points, notes


def content(what: str, rest: "NetworkFixedPoints") -> dict[str, Any]:
    """What `--json` prints."""
    found, line = rest.found, rest.line
    return {
        "what": what,
        "fixed": listed(found.fixed, found.fixed.kinds),
        "slow": listed(found.slow, ("slow",) * len(found.slow)),
        **{name: getattr(found, name) for name in ("far", "lost", "started")},
        "line": {name: value for name, value in line._asdict().items() if name != "axis"},
        "search": vars(found.search),
    }


def listed(points: Any, kinds: tuple[str, ...]) -> list[dict[str, Any]]:
    return [
        {
            "kind": kind,
            **{name: getattr(points, name)[i] for name in POINT},
        }
        for i, kind in enumerate(kinds)
    ]


def show_points(what: str, rest: "NetworkFixedPoints", notes: printing.Lines) -> None:
    """Print one row per fixed point with its slowest mode, then statistics of all points."""
    out, found = printing.console(), rest.found
    fixed, slow, dt = found.fixed, found.slow, found.fixed.dt
    unit = "units of time" if dt else "steps"
    out.print(
        f"{what}: {plural(len(fixed), 'fixed point')}, {plural(len(slow), 'slow point')}, time in {unit}",
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
    printing.write(out, summary_lines(rest) + notes)


def plural(n: int, noun: str) -> str:
    return f"{n} {noun}" + "s" * (n != 1)


def summary_lines(rest: "NetworkFixedPoints") -> list[tuple[str, str]]:
    found, line = rest.found, rest.line
    hidden = max(0, len(found.fixed) - ROWS)
    lines = [("not shown", f"{hidden} more fixed points; --json lists all")] if hidden else []
    lines.append(("candidates", f"{found.started}, of which {found.lost} diverged"))
    if found.far:
        lines.append(("far", f"{found.far} fixed points far from all visited states are not listed"))
    if line.points > 2:
        ratio, share = printing.unless_nan(line.participation_ratio), printing.unless_nan(line.first_share)
        lines.append(("shape", f"participation ratio {ratio} (1 on a line), first component {share} of the variance"))
        slow = printing.unless_nan(line.along_slow)
        seen = printing.unless_nan(line.along_readout, "unknown: there is no readout")
        lines.append(("alignment", f"|cos| of the first component with the slow mode {slow}, with the readout {seen}"))
    return lines
