"""The targets of `lyapsweep spectrum` and `fixed-points`: systems, networks of lyapsweep, weights of torch."""

import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lyapsweep.cli import printing
from lyapsweep.cli.errors import CommandError

if TYPE_CHECKING:
    from lyapsweep.cells.torch_files import WeightChoice
    from lyapsweep.config import Config
    from lyapsweep.dynamics import Spectrum
    from lyapsweep.results.record import Record

WEIGHT_SUFFIXES = (".pt", ".pth", ".bin", ".ckpt", ".pkl", ".tar", ".safetensors")
CONFIG_SUFFIXES = (".yaml", ".yml")
UNTYPED = float | int | list  # of a parameter without an annotation
INPUT_FORM = "--input series.npy, shape (time, features) or (batch, time, features)"


class Kind(StrEnum):
    """What kind of target a command's argument WHAT names."""

    SYSTEM = "a system"
    NETWORK = "a network of lyapsweep"
    WEIGHTS = "weights"

    @classmethod
    def of(cls, what: str) -> "Kind":
        """The kind by the suffix of the name; of an .npz file and one without a suffix also by what they hold."""
        path = Path(what)
        suffix = path.suffix.lower()
        if suffix in WEIGHT_SUFFIXES or (suffix == ".npz" and holds_weights(path)):
            return cls.WEIGHTS
        if suffix in (*CONFIG_SUFFIXES, ".npz"):
            return cls.NETWORK
        if not path.is_file() or is_system(what):
            return cls.SYSTEM
        if not suffix:
            return cls.WEIGHTS
        raise CommandError(
            f"{what} is a file, but weights end in {', '.join(WEIGHT_SUFFIXES)} or .npz, configs in .yaml, records in "
            ".npz. Save weights by torch.save, save_file or numpy.savez; a series is for `lyapsweep suggest`."
        )


def holds_weights(path: Path) -> bool:
    """Whether an .npz file holds weights by their names, and not a record."""
    from lyapsweep.cells.from_plrnn import is_plrnn
    from lyapsweep.cells.from_torch import RECURRENT
    from lyapsweep.cells.torch_files import DAMAGED_ZIP

    try:
        with zipfile.ZipFile(path) as archive:
            names = [name.removesuffix(".npy") for name in archive.namelist()]
    except (OSError, ValueError, *DAMAGED_ZIP):
        return False
    return "header" not in names and (is_plrnn(names) or any(map(RECURRENT.match, names)))


def is_system(name: str) -> bool:
    from lyapsweep.systems import SYSTEMS

    return name in SYSTEMS


FLAGS = {  # which kinds a flag is for, where not for all
    "input": (Kind.WEIGHTS,),
    "cell": (Kind.WEIGHTS,),
    "layers": (Kind.WEIGHTS,),
    "prefix": (Kind.WEIGHTS,),
    "nonlinearity": (Kind.WEIGHTS,),
    "dt": (Kind.SYSTEM, Kind.WEIGHTS),
    "compat": (Kind.SYSTEM, Kind.WEIGHTS),
}


@dataclass(frozen=True)
class SpectrumRequest:
    """The arguments of `lyapsweep spectrum`, None where not given."""

    what: str
    changes: Mapping[str, Any]
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
    nonlinearity: str | None
    compat: str | None

    @property
    def path(self) -> Path:
        return Path(self.what)

    @property
    def kind(self) -> Kind:
        return Kind.of(self.what)

    @property
    def network_changes(self) -> Mapping[str, Any]:
        """The changes to a config, the given sizes among them."""
        sizes = {name: getattr(self, name) for name in ("steps", "warmup", "orbits", "exponents")}
        return {**self.changes, **{f"lyapunov/{name}": n for name, n in sizes.items() if n is not None}}


@dataclass(frozen=True)
class SpectrumTarget:
    """A spectrum and what is known of its target: `literature` in the unit of the last columns, notes to print."""

    spectrum: "Spectrum"
    literature: tuple[float, ...] = ()
    exact_sum: float | None = None
    notes: tuple[tuple[str, str], ...] = ()


def check_flags(request: SpectrumRequest) -> None:
    """Refuse flags that do not apply to the target, before any work."""
    if request.kind is Kind.NETWORK and request.dt is not None:
        change = f"--set dataset/dt={request.dt:g}"
        raise CommandError(
            f"--dt is for systems and weights, but {request.what} takes the time step of its data. Use {change}."
        )
    for flag, kinds in FLAGS.items():
        if getattr(request, flag) and request.kind not in kinds:
            raise CommandError(
                f"--{flag} is for {' and '.join(kinds)}, but {request.what} is {request.kind}. Leave it out."
            )


def measure(request: SpectrumRequest) -> SpectrumTarget:
    """Compute the spectrum of the target."""
    if request.kind is Kind.WEIGHTS:
        return of_weights(request)
    if request.kind is Kind.SYSTEM:
        return of_system(request)
    return of_record(request) if request.path.suffix.lower() == ".npz" else of_config(request)


def weight_choice(what: str, given: Mapping[str, Any]) -> "WeightChoice":
    """Which network of a file of weights is meant, by flags and `--set`."""
    from lyapsweep.cells.torch_files import WeightChoice
    from lyapsweep.setting_types import check_setting

    changes = given["changes"]
    for name, value in changes.items():
        if name not in ("rectified", "clipped"):
            raise CommandError(
                "--set is for systems, configs and records (of weights only rectified and clipped, for PLRNNs), "
                f"but {what} is weights and got '{name}'. Leave it out."
            )
        check_setting(f"--set {name}", value, int if name == "rectified" else bool)
    flags = {name: given[name] for name in ("layers", "prefix", "nonlinearity")}
    return WeightChoice(kind=given["cell"], **flags, **changes)


def of_weights(request: SpectrumRequest) -> SpectrumTarget:
    """A network trained elsewhere, driven by a series, with zero input, or running freely."""
    from lyapsweep.cells.torch_files import load_network
    from lyapsweep.datasets.driving import read_inputs
    from lyapsweep.exponents import SYSTEM_STEPS, BadInputs, lyapunov_spectrum

    loaded = load_network(request.path, weight_choice(request.what, vars(request)))
    steps = request.steps
    if request.input is None and steps is None:
        if loaded.network.inputs:
            raise CommandError(
                f"{request.what}: the network needs inputs. Give {INPUT_FORM}, or --steps alone for zero input."
            )
        steps = SYSTEM_STEPS
    series = None if request.input is None else read_inputs(request.input, loaded.network.inputs, request.dt)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of the convention: it is printed below the table
            spectrum = lyapunov_spectrum(
                loaded.network,
                series and series.values,
                steps=steps,
                warmup=request.warmup,
                k=request.exponents,
                orbits=request.orbits,
                dt=series.dt if series else request.dt,
                seed=request.seed or 0,
                compat=request.compat,
            )
    except BadInputs as error:
        raise CommandError(f"--input {request.input}: {error}" if request.input else str(error)) from error
    source = [("input", text) for text in (str(request.input), *series.remarks)] if series else []
    return SpectrumTarget(spectrum, notes=(("network", loaded.description), *source))


def of_system(request: SpectrumRequest) -> SpectrumTarget:
    """A known system, along orbits on its attractor, beside its published exponents."""
    from lyapsweep import systems
    from lyapsweep.exponents import system_spectrum

    check_parameters(request.what, request.changes)
    system = systems.build(request.what, request.dt, **request.changes)
    sizes = {"steps": request.steps, "warmup": request.warmup, "orbits": request.orbits, "k": request.exponents}
    given = {name: n for name, n in sizes.items() if n is not None}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        spectrum = system_spectrum(system, seed=request.seed or 0, compat=request.compat, **given)
    if request.compat:
        return SpectrumTarget(spectrum)
    exact, notes = system.total if spectrum.complete else None, convergence_note(spectrum)
    if system.known is None:
        return SpectrumTarget(spectrum, exact_sum=exact, notes=notes)
    return SpectrumTarget(spectrum, system.known.exponents, exact, (*notes, ("literature", system.known.citation)))


def convergence_note(spectrum: "Spectrum") -> tuple[tuple[str, str], ...]:
    """Whether a spectrum that was prolonged converged, and the option that repeats it; none for given steps."""
    from lyapsweep.exponents import ABSOLUTE, RELATIVE

    if "converged" not in spectrum.settings:
        return ()
    unit = "per unit time" if spectrum.dt else "per step"
    bound = f"{100 * RELATIVE:g} % of lambda_1 or {ABSOLUTE:g} {unit}"
    verdict = (
        f"standard error of lambda_1 within {bound}"
        if spectrum.settings["converged"]
        else (f"not converged at the cap of steps: standard error of lambda_1 above {bound}, or no exponent of zero")
    )
    return (("convergence", f"{verdict}; --steps {spectrum.steps} repeats it"),)


def check_parameters(name: str, parameters: Mapping[str, Any]) -> None:
    """Refuse values that do not fit the annotations of the system; names are checked where it is built."""
    from lyapsweep.setting_types import check_setting, type_of
    from lyapsweep.systems import SYSTEMS

    for key, value in parameters.items():
        hint = type_of(SYSTEMS[name].__init__, key, UNTYPED) if name in SYSTEMS else UNTYPED
        check_setting(f"{name}: {key}", value, hint)


def of_config(request: SpectrumRequest) -> SpectrumTarget:
    """The network as the config initialises it."""
    from lyapsweep.config import Config
    from lyapsweep.trial import network_spectrum

    seed = {} if request.seed is None else {"seed": request.seed}
    config = Config.load(request.path, {**request.network_changes, **seed})
    return SpectrumTarget(network_spectrum(config), notes=(network_note(config, "as initialised"), data_note(config)))


def of_record(request: SpectrumRequest) -> SpectrumTarget:
    """The network of a final record, measured again; of a record without weights, the recorded spectrum."""
    from lyapsweep.results.record import Record
    from lyapsweep.trial import network_spectrum

    if request.seed is not None:
        raise CommandError(f"--seed initialises weights, but {request.what} holds trained ones. Leave it out.")
    record = Record.load(request.path)
    config = record.config.changed(request.network_changes)
    note = network_note(config, f"{record.outcome} at step {record.step}")
    if record.weights:
        return SpectrumTarget(network_spectrum(config, record.weights), notes=(note, data_note(config)))
    if request.network_changes or record.spectrum is None:
        raise no_weights(request.path, record)
    return SpectrumTarget(record.spectrum, notes=(note, ("weights", "none here: the spectrum is the recorded one")))


def no_weights(path: Path, record: "Record") -> CommandError:
    return CommandError(
        f"{path} ({record.outcome}, step {record.step}) holds no weights. Name a final record, which holds them."
    )


def network_note(config: "Config", state: str) -> tuple[str, str]:
    sizes = ", ".join(f"{k} = {v}" for k, v in config.settings("cell").items())
    return "network", f"{config.cell['kind']} ({sizes}), {config.init['kind']} init, seed {config.seed}, {state}"


def data_note(config: "Config") -> tuple[str, str]:
    """What is known of the network's data: its largest exponent, or the baseline of a task."""
    from lyapsweep.problems import problem_of

    data = problem_of(config).description
    if data.baseline is not None:
        return "data", f"{data.source}, baseline {printing.number(data.baseline)} ({data.baseline_is})"
    if data.lambda_max is None:
        return "data", f"{data.source}, exponents unknown"
    return "data", f"{data.source}, lambda_max = {printing.number(data.lambda_max)} per step ({data.lambda_source})"
