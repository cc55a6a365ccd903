"""What `lyapsweep spectrum` can measure: systems, networks of ours, and weights that somebody trained elsewhere."""

import typing
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lyapsweep.cli import printing, weights
from lyapsweep.cli.errors import CommandError

if TYPE_CHECKING:
    from lyapsweep.config import Config
    from lyapsweep.dynamics import Spectrum

TRANSIENT = 1000  # steps of a system's state alone, to reach the attractor
STEPS, WARMUP, ORBITS, SEED = 2000, 500, 128, 0  # of a system; a network's are in its config
SYSTEM, NETWORK, WEIGHTS = "a system", "a network of ours", "weights"
ONLY = {"input": [WEIGHTS], "cell": [WEIGHTS], "layers": [WEIGHTS], "prefix": [WEIGHTS]}  # flags not for all subjects
ONLY |= {"dt": [SYSTEM, WEIGHTS], "compat": [SYSTEM, WEIGHTS], "changes": [SYSTEM, NETWORK]}


@dataclass(frozen=True)
class SpectrumRequest:
    """What was asked for: the flags as they were given, None where not."""

    what: str
    changes: dict[str, Any]
    steps: int | None
    warmup: int | None
    orbits: int | None
    exponents: int | None
    seed: int | None
    dt: float | None
    input: Path | None
    cell: str | None
    layers: int | None
    prefix: str | None
    compat: str | None

    @property
    def path(self) -> Path:
        return Path(self.what)

    @property
    def plan(self) -> dict[str, int]:
        """How long and how much, where it was said."""
        given = {k: getattr(self, k) for k in ("steps", "warmup", "orbits", "exponents")}
        return {k: v for k, v in given.items() if v is not None}

    @property
    def subject(self) -> str:
        return subject(self.what)


def subject(what: str) -> str:
    """What a name is of, by its ending."""
    suffix = Path(what).suffix.lower()
    if suffix in weights.SUFFIXES:
        return WEIGHTS
    return NETWORK if suffix in (".npz", ".yaml", ".yml") else SYSTEM


@dataclass(frozen=True)
class SpectrumTarget:
    """A spectrum and what else is known of its subject: `literature` in the unit of the last columns."""

    spectrum: "Spectrum"
    literature: tuple[float, ...] = ()
    exact_sum: float | None = None
    notes: list[tuple[str, str]] = field(default_factory=list)


def refuse(request: SpectrumRequest) -> None:
    """Flags that say nothing about this subject, before any work."""
    if request.subject == NETWORK and request.dt is not None:
        own = f"--set dataset/dt={request.dt:g}"
        raise CommandError(f"--dt is for systems and weights; the time step of {request.what} is its data's: {own}.")
    for flag, subjects in ONLY.items():
        if getattr(request, flag) and request.subject not in subjects:
            name = "set" if flag == "changes" else flag
            raise CommandError(f"--{name} is for {' and '.join(subjects)}; {request.what} is {request.subject}.")


def measure(request: SpectrumRequest) -> SpectrumTarget:
    if request.subject == WEIGHTS:
        return of_weights(request)
    if request.subject == SYSTEM:
        return of_system(request.what, request.changes, request.plan, request.seed, request.dt, request.compat)
    of_network = of_record if request.path.suffix.lower() == ".npz" else of_config
    return of_network(request.path, request.changes, request.plan, request.seed)


def of_weights(request: SpectrumRequest) -> SpectrumTarget:
    """A network that somebody trained elsewhere, driven by a series, or with zero input for --steps steps."""
    from lyapsweep.exponents import BadInputs, lyapunov_spectrum

    path, steps = request.path, request.steps
    network = weights.network(path, request.cell, request.layers, request.prefix)
    if request.input is None and steps is None:
        raise CommandError(
            f"{path} is driven by a series: {weights.DRIVING}. With --steps alone it runs on zero input."
        )
    inputs = None if request.input is None else weights.series(request.input)
    settings = {"warmup": request.warmup, "k": request.exponents, "orbits": request.orbits, "dt": request.dt}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of the convention: the table says it
            spectrum = lyapunov_spectrum(
                network, inputs, steps=steps, seed=request.seed or SEED, compat=request.compat, **settings
            )
    except BadInputs as error:
        raise CommandError(f"--input {request.input}: {error}" if request.input else str(error)) from error
    notes = [("network", weights.described(network))]
    return SpectrumTarget(spectrum, notes=[*notes, ("input", str(request.input))] if request.input else notes)


def of_system(
    name: str,
    parameters: Mapping[str, Any],
    plan: Mapping[str, int],
    seed: int | None,
    dt: float | None,
    compat: str | None,
) -> SpectrumTarget:
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
    if compat is not None:
        return SpectrumTarget(published(system, z, compat, counted))
    spectrum = lyapunov_spectra(system, z, seed=seed, **counted)[0]
    spectrum = replace(spectrum, settings={"transient": TRANSIENT} | spectrum.settings)
    exact = system.total if spectrum.complete else None
    if system.known is None:
        return SpectrumTarget(spectrum, exact_sum=exact)
    return SpectrumTarget(spectrum, system.known.exponents, exact, [("literature", system.known.citation)])


def published(system: Any, z: Any, compat: str, counted: Mapping[str, Any]) -> "Spectrum":
    from lyapsweep.dynamics.vogt2022 import vogt_spectra
    from lyapsweep.registry import unknown

    if compat != "vogt":
        raise unknown("convention", compat, ["vogt"], "--compat")
    return vogt_spectra(system, z, **counted)[0]


def check_parameters(name: str, parameters: Mapping[str, Any]) -> None:
    """Values that cannot be what the system's annotations say; names are checked where it is built."""
    from lyapsweep.config.validation import check_type
    from lyapsweep.systems import SYSTEMS

    hints = typing.get_type_hints(SYSTEMS[name].__init__) if name in SYSTEMS else {}
    for key, value in parameters.items():
        check_type(f"{name}: {key}", value, hints.get(key, Any if key in hints else float | int | list))


def of_config(path: Path, changes: Mapping[str, Any], plan: Mapping[str, int], seed: int | None) -> SpectrumTarget:
    """The network as the config draws it, before any training."""
    from lyapsweep.config import Config
    from lyapsweep.trial import network_spectrum

    config = Config.load(path, {**changes, **measured(plan), **({} if seed is None else {"seed": seed})})
    return SpectrumTarget(network_spectrum(config), notes=[described(config, "as initialised"), of_data(config)])


def of_record(path: Path, changes: Mapping[str, Any], plan: Mapping[str, int], seed: int | None) -> SpectrumTarget:
    """The network that a final record holds, measured anew; of a record without weights, what it says itself."""
    from lyapsweep.results.record import Record
    from lyapsweep.trial import network_spectrum

    if seed is not None:
        raise CommandError(f"--seed draws weights, but {path} holds trained ones. Leave it out.")
    record = Record.load(path)
    config = record.config.changed({**changes, **measured(plan)})
    told = described(config, f"{record.outcome} at step {record.step}")
    if record.weights:
        return SpectrumTarget(network_spectrum(config, record.weights), notes=[told, of_data(config)])
    if changes or plan or record.spectrum is None:
        raise CommandError(
            f"{path} ({record.outcome}, step {record.step}) holds no weights to measure; final records do."
        )
    return SpectrumTarget(record.spectrum, notes=[told, ("weights", "none here: the spectrum is as recorded")])


def measured(plan: Mapping[str, int]) -> dict[str, int]:
    return {f"lyapunov/{k}": v for k, v in plan.items()}


def described(config: "Config", state: str) -> tuple[str, str]:
    sizes = ", ".join(f"{k} = {v}" for k, v in config.settings("cell").items())
    return "network", f"{config.cell['kind']} ({sizes}), {config.init['kind']} init, seed {config.seed}, {state}"


def of_data(config: "Config") -> tuple[str, str]:
    """What is known of the network's data: the exponent that a faithful network has, or what a task asks for."""
    from lyapsweep.problems import problem_of

    data = problem_of(config).description
    if data.baseline is not None:
        return "data", f"{data.source}, baseline {printing.number(data.baseline)} ({data.baseline_is})"
    if data.lambda_max is None:
        return "data", f"{data.source}, exponents unknown"
    return "data", f"{data.source}, lambda_max = {printing.number(data.lambda_max)} per step ({data.lambda_source})"
