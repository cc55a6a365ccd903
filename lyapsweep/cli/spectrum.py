"""`lyapsweep spectrum`: the exponents of anything that moves."""

import json
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console

from lyapsweep.cli import options, show
from lyapsweep.cli.errors import Exit, Problem
from lyapsweep.process import small_networks

if TYPE_CHECKING:
    from lyapsweep.config import Config
    from lyapsweep.dynamics import Spectrum

TRANSIENT = 1000  # steps of a system's state alone, to reach the attractor
STEPS, WARMUP, ORBITS, SEED = 2000, 500, 128, 0  # of a system; a network's are in its config
POSITIVE = click.IntRange(min=1)


@dataclass(frozen=True)
class Subject:
    """A spectrum and what else is known of its subject: `literature` in the unit of the last columns."""

    spectrum: "Spectrum"
    literature: tuple[float, ...] = ()
    exact_sum: float | None = None
    notes: list[tuple[str, str]] = field(default_factory=list)


@click.command(
    "spectrum",
    short_help="Exponents of a system or a network.",
    epilog=options.example("lyapsweep spectrum lorenz63 --set rho=38", "lyapsweep spectrum henon --json"),
)
@click.argument("what")
@options.changes("A parameter of a system (rho=38), or a path of a config (cell/units=30); may be repeated.")
@click.option("--steps", type=POSITIVE, help=f"Counted steps of each orbit.  [default: {STEPS}, or the config's]")
@click.option("--warmup", type=click.IntRange(min=0), help=f"Steps before.  [default: {WARMUP}, or the config's]")
@click.option("--orbits", type=POSITIVE, help=f"Orbits side by side.  [default: {ORBITS}, or the config's]")
@click.option("--exponents", type=POSITIVE, metavar="K", help="Only the leading K.  [default: all, or the config's]")
@click.option(
    "--seed", type=int, help="Of a system's starts and a fresh network's weights.  [default: 0, the config's]"
)
@click.option("--dt", type=float, help="Time of one step of a flow.  [default: the system's own]")
@options.as_json
@options.debug
def command(
    what: str,
    changes: dict[str, Any],
    steps: int | None,
    warmup: int | None,
    orbits: int | None,
    exponents: int | None,
    seed: int | None,
    dt: float | None,
    as_json: bool,
) -> None:
    """Lyapunov exponents with standard errors: is it chaotic, and how far ahead can it be predicted?

    WHAT is a system (`lyapsweep list systems`), a YAML config (its network as initialised) or a record file (its
    network as trained).
    """
    small_networks()
    plan = {"steps": steps, "warmup": warmup, "orbits": orbits, "exponents": exponents}
    plan = {k: v for k, v in plan.items() if v is not None}
    suffix = Path(what).suffix.lower()
    if suffix in (".npz", ".yaml", ".yml") and dt is not None:
        raise Problem(f"--dt is for systems; the time step of {what} is its data's: --set dataset/dt={dt:g}.")
    with Console(stderr=True).status(f"measuring {what}"):
        if suffix == ".npz":
            subject = of_record(Path(what), changes, plan, seed)
        elif suffix in (".yaml", ".yml"):
            subject = of_config(Path(what), changes, plan, seed)
        else:
            subject = of_system(what, changes, plan, seed, dt)
    show_json(what, subject.spectrum) if as_json else show_table(what, subject)
    if not subject.spectrum.finite:
        raise Problem(f"{what}: the orbit left the finite numbers, so it has no exponents.", Exit.FAILED)


def of_system(
    name: str, parameters: Mapping[str, Any], plan: Mapping[str, int], seed: int | None, dt: float | None
) -> Subject:
    """Orbits from the system's own starts, a transient, then the exponents."""
    import torch

    from lyapsweep import systems
    from lyapsweep.dynamics import lyapunov_spectra

    check_parameters(name, parameters)
    system = systems.build(name, dt, **parameters)
    seed = SEED if seed is None else seed
    z = system.start(plan.get("orbits", ORBITS), torch.Generator().manual_seed(seed))
    with torch.inference_mode():
        for _ in range(TRANSIENT):
            z = system.step(z)
    counted = {"steps": plan.get("steps", STEPS), "warmup": plan.get("warmup", WARMUP), "k": plan.get("exponents")}
    spectrum = lyapunov_spectra(system, z, seed=seed, **counted)[0]
    spectrum = replace(spectrum, settings={"transient": TRANSIENT} | spectrum.settings)
    exact = system.total if spectrum.complete else None
    if system.known is None:
        return Subject(spectrum, exact_sum=exact)
    return Subject(spectrum, system.known.exponents, exact, [("literature", system.known.citation)])


def check_parameters(name: str, parameters: Mapping[str, Any]) -> None:
    """Values that cannot be what the system's annotations say; names are checked where it is built."""
    from lyapsweep.config import typed
    from lyapsweep.systems import SYSTEMS

    hints = typing.get_type_hints(SYSTEMS[name].__init__) if name in SYSTEMS else {}
    for key, value in parameters.items():
        typed(f"{name}: {key}", value, hints.get(key, Any if key in hints else float | int | list))


def of_config(path: Path, changes: Mapping[str, Any], plan: Mapping[str, int], seed: int | None) -> Subject:
    """The network as the config draws it, before any training."""
    from lyapsweep.config import Config
    from lyapsweep.trial import network_spectrum

    config = Config.load(path, {**changes, **measured(plan), **({} if seed is None else {"seed": seed})})
    return Subject(network_spectrum(config), notes=[described(config, "as initialised"), of_data(config)])


def of_record(path: Path, changes: Mapping[str, Any], plan: Mapping[str, int], seed: int | None) -> Subject:
    """The network that a final record holds, measured anew; of a record without weights, what it says itself."""
    from lyapsweep.record import Record
    from lyapsweep.trial import network_spectrum

    if seed is not None:
        raise Problem(f"--seed draws weights, but {path} holds trained ones. Leave it out.")
    record = Record.load(path)
    config = record.config.changed({**changes, **measured(plan)})
    told = described(config, f"{record.outcome} at step {record.step}")
    if record.weights:
        return Subject(network_spectrum(config, record.weights), notes=[told, of_data(config)])
    if changes or plan or "closed loop" not in record.spectra:
        raise Problem(f"{path} ({record.outcome}, step {record.step}) holds no weights to measure; final records do.")
    return Subject(record.spectra["closed loop"], notes=[told, ("weights", "none here: the spectrum is as recorded")])


def measured(plan: Mapping[str, int]) -> dict[str, int]:
    return {f"lyapunov/{k}": v for k, v in plan.items()}


def described(config: "Config", state: str) -> tuple[str, str]:
    sizes = ", ".join(f"{k} = {v}" for k, v in config.settings("cell").items())
    return "network", f"{config.cell['kind']} ({sizes}), {config.init['kind']} init, seed {config.seed}, {state}"


def of_data(config: "Config") -> tuple[str, str]:
    """What the network's data are known to do: the exponent that a faithful network has."""
    from lyapsweep import datasets

    series = datasets.build(**config.dataset)
    if series.lambda_max is None:
        return "data", f"{series.source}, exponents unknown"
    text = f"{series.source}, lambda_max = {show.number(series.lambda_max)} per step ({series.lambda_source})"
    return "data", text


def show_json(what: str, spectrum: "Spectrum") -> None:
    click.echo(json.dumps({"what": what} | json.loads(spectrum.to_json()), indent=1, allow_nan=False))


def show_table(what: str, subject: Subject) -> None:
    out = show.console()
    out.print(what, style="bold")
    out.print(show.exponents(subject.spectrum, subject.literature))
    out.print()
    show.write(out, show.readings(subject.spectrum, subject.exact_sum) + subject.notes)
