"""`lyapsweep suggest`: the forcing interval that a recorded series, or a system, asks for."""

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console

from lyapsweep.cli import options, printing
from lyapsweep.cli.errors import CommandError

if TYPE_CHECKING:
    from lyapsweep.timeseries import Estimate

FILES = (".csv", ".txt", ".tsv", ".npy", ".parquet")
STEPS = 8000  # of each orbit of a system: flows move little in one
RANGE = (0.25, 2.0)  # times tau_pred, worth sweeping


def page(ctx: click.Context, param: click.Parameter, path: Path | None) -> Path | None:
    """Refused before the work is done that would be lost."""
    if path is not None and path.suffix.lower() != ".html":
        raise CommandError(f"--plot {path}: the picture is a page that ends in .html.")
    if path is not None and not path.parent.is_dir():
        raise CommandError(f"--plot {path}: there is no folder {path.parent}.")
    return path


@click.command(
    "suggest",
    short_help="The forcing interval that a series asks for.",
    epilog=options.example(
        "lyapsweep suggest series.csv --dt 0.01",
        "lyapsweep suggest series.npy --columns 0,2 --plot divergence.html",
        "lyapsweep suggest lorenz63 --json",
    ),
)
@click.argument("what")
@click.option("--dt", type=float, help="Time between samples.  [default: a time column's, else 1; a system's own]")
@click.option("--columns", help="Of the file, by name or position from 0: x,z.  [default: all]")
@options.changes("A parameter of a system (rho=38); may be repeated.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of surrogates, bootstraps and orbits.")
@click.option("--plot", type=click.Path(path_type=Path), callback=page, help="Draw the divergence curves: .html.")
@options.as_json
@options.debug
def command(
    what: str, dt: float | None, columns: str | None, changes: dict, seed: int, plot: Path | None, as_json: bool
) -> None:
    """Largest Lyapunov exponent, how far ahead can be predicted, and which forcing intervals are worth a sweep.

    WHAT is a recorded series (.csv, .txt, .tsv, .npy or .parquet, a row a sample), whose columns together make the
    state, or a system by its name, whose equations are used.
    """
    if Path(what).suffix.lower() not in FILES:
        if columns or plot:
            raise CommandError(f"--columns and --plot are for files ({', '.join(FILES)}); {what} is a system.")
        report, lines = of_system(what, changes, seed, dt)
    elif changes:
        raise CommandError(f"--set is for systems; {what} is a file.")
    else:
        found, names, dt = of_file(what, columns, dt, seed)
        report, lines = told(what, found, names, dt)
        if plot is not None:
            from lyapsweep.analysis.spectra import divergence_curves

            divergence_curves.save(divergence_curves.find(found, Path(what).name, dt), plot)
            lines.append(("plot", str(plot)))
    if as_json:
        click.echo(json.dumps(report, indent=1, allow_nan=False))
        return
    printing.write(printing.console(), lines)


def of_file(what: str, columns: str | None, dt: float | None, seed: int) -> tuple["Estimate", tuple[str, ...], float]:
    from lyapsweep.datasets.recorded import tables
    from lyapsweep.timeseries import NoExponent, estimate
    from lyapsweep.timeseries.coordinates import without_clock

    wanted = [int(c) if c.isdigit() else c for c in columns.split(",")] if columns else None
    names, (values,) = tables([what], wanted, 0)
    try:
        names, values, dt = without_clock(names, values, dt)
        with Console(stderr=True).status(what) as status:
            found = estimate(values, seed, lambda stage: status.update(f"{what}: {stage}"), names)
    except NoExponent as error:
        raise CommandError(f"{what}: {error}") from error
    return found, names, dt


def of_system(name: str, changes: dict, seed: int, dt: float | None) -> tuple[dict, list[tuple[str, str]]]:
    """From the equations: 128 orbits and their tangent vectors."""
    from lyapsweep.cli import spectrum_targets
    from lyapsweep.process import small_networks

    small_networks()
    with Console(stderr=True).status(f"measuring {name}"):
        spectrum = spectrum_targets.of_system(name, changes, {"exponents": 1, "steps": STEPS}, seed, dt, None).spectrum
    if not spectrum.finite:
        raise CommandError(f"{name}: the orbit left the finite numbers, so it has no exponents.")
    step, error = spectrum.maximum, 2 * float(spectrum.stderr[0])
    against = () if printing.chaotic(spectrum) else ("the largest exponent is not above zero by two standard errors",)
    return suggestion(
        name, "equations", (step, step - error, step + error), spectrum.dt or 1.0, against,
        (), [("from", f"the equations: {spectrum.orbits} orbits of {spectrum.steps} steps")],
    )  # fmt: skip


def told(what: str, found: "Estimate", names: tuple[str, ...], dt: float) -> tuple[dict, list[tuple[str, str]]]:
    """What a series says, and what that rests on."""
    exponents = (found.exponent, found.low, found.high)
    report, lines = suggestion(what, "series", exponents, dt, found.against, found.notes, basis(found, names, dt))
    embedding = found.embedding
    kept = {k: getattr(embedding, k) for k in ("delay", "dimension", "theiler", "period", "flow", "false_neighbours")}
    report["embedding"] = {"columns": list(names), **kept}
    report["curves"] = {
        c.name.lower(): None if line is None else {"first": line.first, "last": line.last, **slopes(line, dt)}
        for c, line in zip(found.curves, found.lines)
    }
    test = found.test
    report["surrogates"] = {"error": test.error, "best": min(test.surrogates), "rank": test.rank, "p": test.p_value}
    report |= {"noise": found.noise, "samples": found.samples, **grounds(found, dt)}
    return report, lines


def grounds(found: "Estimate", dt: float) -> dict[str, Any]:
    """Which estimate is reported, and the others, per unit time."""
    models = [
        {
            "spacing": m.fitted.model.spacing,
            "values": m.fitted.model.values,
            "centres": len(m.fitted.model.centres),
            "error": m.fitted.error,
            "horizon": m.fitted.horizon,
            "free": m.free / dt if math.isfinite(m.free) else None,
            "along": m.along / dt,
            "refused": m.refused or None,
        }
        for m in found.models
    ]
    along = dict(zip(("value", "low", "high"), (e / dt for e in found.along)))
    return {"from": "model" if found.model else "series", "along": along, "models": models}


def slopes(line: Any, dt: float) -> dict[str, float]:
    return {k: getattr(line, k) / dt for k in ("slope", "low", "high")}


def suggestion(
    what: str,
    source: str,
    exponents: tuple[float, float, float],
    dt: float,
    against: tuple[str, ...],
    notes: tuple[str, ...],
    basis: list[tuple[str, str]],
) -> tuple[dict, list[tuple[str, str]]]:
    """(JSON, lines to print); `exponents` are the largest one's value and interval in nats per sample."""
    value, low, high = (float(e) / dt for e in exponents)
    tau = None if against else math.log(2) / exponents[0]
    sweep = None if tau is None else [max(1, round(r * tau)) for r in RANGE]
    report = {"what": what, "source": source, "chaotic": not against, "lambda_max": value, "lambda_low": low}
    report |= {"lambda_high": high, "lambda_per_step": float(exponents[0]), "dt": dt, "tau_pred": tau}
    report |= {"intervals": sweep, "against": list(against), "notes": list(notes)}
    per = f"{printing.number(value)} per unit time, in [{printing.number(low)}, {printing.number(high)}]"
    step = f"{printing.number(exponents[0])} per step, in [{printing.number(exponents[1])}, {printing.number(exponents[2])}]"
    if tau is None or sweep is None:
        lines = [("verdict", f"no evidence of chaos: {'; '.join(against)}"), ("estimate", f"{step}: not to be used")]
    else:
        lines = [("lambda_max", per), ("", step), ("tau_pred", f"{tau:.1f} samples = ln 2 / lambda_max")]
        lines += [("forcing", f"sweep intervals {sweep[0]} to {sweep[1]} (0.25 to 2 tau_pred)")]
    return report, [("what", what), *lines, *basis, *(("note", text) for text in notes)]


def basis(found: "Estimate", names: tuple[str, ...], dt: float) -> list[tuple[str, str]]:
    """Embedding, fit, curves and surrogates in words."""
    e, fit, test = found.embedding, found.fit, found.test
    order = {1: "first", 2: "second"}[fit.degree]
    lines = [
        ("series", f"{found.samples} samples of {', '.join(names)}, dt = {dt:g}"),
        ("noise", f"about {found.noise:.1%} of a standard deviation lies off the local plane"),
        ("delay", f"{e.delay}: {e.delay_reason}"),
        ("dimension", f"{e.dimension} a column: {e.dimension_reason}"),
        ("Theiler window", f"{e.theiler} samples (mean period {e.period:.1f})"),
        *origin(found, dt),
        ("along the series", f"{per_time(*found.along, dt)}: local maps of {order} order over {fit.ahead} samples"),
    ]
    for curve, line in zip(found.curves, found.lines):
        text = "no straight stretch"
        if line is not None:
            slope = per_time(line.slope, line.low, line.high, dt)
            text = f"slope {slope}, straight from {line.first} to {line.last} samples"
        lines.append((f"{curve.name}'s curve", text))
    best = f"{test.error:.3g}, best of {len(test.surrogates)} surrogates {min(test.surrogates):.3g}"
    return [*lines, ("surrogates", f"prediction error {best}: rank {test.rank}, p = {test.p_value:.2g}")]


def origin(found: "Estimate", dt: float) -> list[tuple[str, str]]:
    """The estimate that is reported, and why this one."""
    if found.model is None:
        why = [("smooth model", f"not believed: {m.refused}") for m in found.models]
        return [("from", "tangent vectors along the series"), *why]
    fitted = found.model.fitted
    m, steps = fitted.model, f"{fitted.model.values} values {fitted.model.spacing} samples apart"
    text = (
        f"{len(m.centres)} kernels of {steps}; {fitted.error:.1g} off on held-out states {fitted.horizon} samples ahead"
    )
    return [("from", "a smooth model running freely, beyond what the series visited"), ("smooth model", text)]


def per_time(value: float, low: float, high: float, dt: float) -> str:
    told = [printing.number(e / dt) for e in (value, low, high)]
    return f"{told[0]} per unit time, in [{told[1]}, {told[2]}]"
