"""A config is a point: every number that one run needs, checked before anything starts."""

import dataclasses
import difflib
import json
import math
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import yaml

from lyapsweep.cells import CELLS
from lyapsweep.config.parsing import ConfigError, Loader, digest, flatten
from lyapsweep.config.validation import agree
from lyapsweep.datasets import DATASETS, is_task
from lyapsweep.flossing import Flossing
from lyapsweep.forcing import FORCINGS
from lyapsweep.inits import INITS
from lyapsweep.measures import listed
from lyapsweep.readouts import READOUTS
from lyapsweep.registry import Registry, unknown
from lyapsweep.regularisation import Regularisation
from lyapsweep.windows import Windows


@dataclass(frozen=True)
class Training:
    """How the weights move. `lr` decays geometrically to `lr_end` over `steps` updates (constant where null)."""

    steps: int = 5000
    lr: float = 1e-3
    lr_end: float | None = None
    optimizer: str = "adam"  # adam | radam | sgd
    clip: float | None = None  # largest norm of a member's gradient
    clip_value: float | None = None  # largest size of each of its entries
    report_every: int | None = None  # updates between records; null: none but the first, those of report_at, the last
    report_at: list[float] = field(default_factory=list)  # shares of all updates after which there is a record

    def __post_init__(self) -> None:
        need(self.steps >= 0, "training/steps >= 0", self.steps)
        need(0 < self.lr < math.inf, "0 < training/lr < inf", self.lr)
        need(self.lr_end is None or 0 < self.lr_end < math.inf, "0 < training/lr_end < inf", self.lr_end)
        need(self.clip is None or self.clip > 0, "training/clip > 0", self.clip)
        need(self.clip_value is None or self.clip_value > 0, "training/clip_value > 0", self.clip_value)
        need(self.report_every is None or self.report_every > 0, "training/report_every > 0", self.report_every)
        shares = all(isinstance(f, int | float) and 0 < f < 1 for f in self.report_at)
        need(shares, "0 < share < 1 for each of training/report_at", self.report_at)
        if self.optimizer not in (known := ["adam", "radam", "sgd"]):
            raise unknown("optimizer", self.optimizer, known, "training/optimizer")

    @cached_property
    def reports(self) -> frozenset[int]:
        """The updates before which there is a record: 0, as often as `report_every` and `report_at` say, the last."""
        every = range(self.report_every, self.steps, self.report_every) if self.report_every else ()
        return frozenset({0, self.steps, *every, *(max(1, round(f * self.steps)) for f in self.report_at)})


@dataclass(frozen=True)
class Lyapunov:
    """How exponents are measured: `orbits` runs of `steps` counted steps after `warmup` steps of state and frame."""

    steps: int = 2000
    warmup: int = 200
    orbits: int = 4
    exponents: int | None = None  # the leading k; null: the whole state
    segments: int = 1  # of each run, measured side by side, each after a warmup of its own: as many times fewer steps
    forced: bool = False  # also the spectrum under the forcing of training
    early: int | None = None  # counted steps where training still goes on; null: as many as at its end

    def __post_init__(self) -> None:
        need(self.steps >= 1, "lyapunov/steps >= 1", self.steps)
        need(self.warmup >= 0, "lyapunov/warmup >= 0", self.warmup)
        need(self.orbits >= 1, "lyapunov/orbits >= 1", self.orbits)
        need(1 <= self.segments <= self.steps, "1 <= lyapunov/segments <= lyapunov/steps", self.segments)
        need(self.exponents is None or self.exponents >= 1, "lyapunov/exponents >= 1", self.exponents)
        need(self.early is None or self.early >= self.segments, "lyapunov/early >= lyapunov/segments", self.early)

    def during(self) -> "Lyapunov":
        """The plan for a spectrum while training goes on, of which there are many: fewer steps, never more."""
        early = self.early or self.steps
        return dataclasses.replace(self, steps=min(self.steps, early), warmup=min(self.warmup, early))


def need(holds: bool, what: str, value: object) -> None:
    if not holds:
        raise ConfigError(f"{what} must hold, but got {value}.")


hints_of = lru_cache(maxsize=256)(typing.get_type_hints)  # every config of every record asks for them

FAMILIES: dict[str, Registry] = {
    "dataset": DATASETS,
    "cell": CELLS,
    "readout": READOUTS,
    "init": INITS,
    "forcing": FORCINGS,
}
SECTIONS = (Flossing, Windows, Training, Regularisation, Lyapunov)
PLAIN: dict[str, Any] = {section.__name__.lower(): section for section in SECTIONS}
DEFAULTS: dict[str, Any] = {
    "readout": {"kind": "linear"},
    "init": {"kind": "uniform"},
    "forcing": {"kind": "none"},
    "measures": ["loss", "state_space"],
    "seed": 0,
}
OF_TASKS: dict[str, Any] = {"readout": {"kind": "affine"}, "measures": ["loss", "solved"]}
# A task is learned from sequences that are told whole, and its networks' spectra are followed from the first update on.
PLAIN_OF_TASKS: dict[Any, dict[str, Any]] = {
    Windows: {"length": None},
    Training: {"report_at": [0.01, 0.05, 0.1, 0.3]},
    Lyapunov: {"steps": 1000, "early": 64},
}
# What members of one pack may differ in; everything else sets a tensor's shape or the length of the work.
PER_MEMBER = ("seed", "init/", "forcing/", "regularisation/", "training/lr", "training/lr_end", "training/clip")
PER_MEMBER += ("flossing/target", "flossing/lr", "flossing/clip")


@dataclass(frozen=True, eq=False)
class Config:
    """A point, complete with every default. Make one with `Config.load` (YAML) or `Config.of` (a mapping).

    Sections are mappings (`config.cell["units"]`) or, where no family stands behind them, dataclasses
    (`config.training.lr`). Two configs are equal where their `id`s are.
    """

    sections: Mapping[str, Any]

    @classmethod
    def load(cls, path: Path | str, changes: Mapping[str, Any] | None = None) -> "Config":
        """Read YAML and apply `changes` ({"forcing/interval": 8}). Raises `ConfigError` naming file and path."""
        path = Path(path)
        if not path.exists():
            raise ConfigError(f"There is no config at {path}.")
        try:
            content = yaml.load(path.read_text(), Loader=Loader)
        except yaml.YAMLError as error:
            raise ConfigError(f"{path} is not YAML: {error}") from error
        if not isinstance(content, dict):
            raise ConfigError(f"{path} must hold sections such as `cell:`, but holds {type(content).__name__}.")
        return cls.of(content, place=str(path)).changed(changes or {})

    @classmethod
    def of(cls, content: Mapping[str, Any], place: str = "") -> "Config":
        """Check and complete a nested mapping. Raises `ConfigError`, with `place` before the message."""
        try:
            return cls(complete(content))
        except (ValueError, TypeError) as error:
            text = str(error)
            raise ConfigError(text if not place or text.startswith(place) else f"{place}: {text}") from error

    def changed(self, changes: Mapping[str, Any]) -> "Config":
        """This point with some values moved. A new `kind` keeps the settings that the new member also knows."""
        content = json.loads(json.dumps(self.to_dict()))
        for path, value in sorted(changes.items(), key=lambda item: not item[0].endswith("/kind")):
            section, _, key = path.partition("/")
            if key == "kind" and section in FAMILIES and value != content[section].get("kind"):
                knobs = FAMILIES[section].knobs(value)
                content[section] = {k: v for k, v in content[section].items() if k in knobs}
            put(content, path, value)
        return Config.of(content)

    def __getattr__(self, name: str) -> Any:
        if name == "sections" or name not in self.sections:
            raise AttributeError(name)
        return self.sections[name]

    def settings(self, section: str) -> dict[str, Any]:
        """A family section without its `kind`: the member's keyword arguments."""
        return {k: v for k, v in self.sections[section].items() if k != "kind"}

    def to_dict(self) -> dict[str, Any]:
        return {k: dataclasses.asdict(v) if dataclasses.is_dataclass(v) else v for k, v in self.sections.items()}  # type: ignore[arg-type]

    @cached_property
    def flat(self) -> dict[str, Any]:
        """{"forcing/interval": 16, ...}: the one spelling used in YAML paths, Optuna, MLflow and tables."""
        return flatten(self.to_dict())

    @cached_property
    def id(self) -> str:
        """Stable hash of every setting, 12 hexadecimal digits: the trial's key wherever it is known."""
        return digest(self.flat)

    @cached_property
    def shape(self) -> str:
        """Stable hash of what the members of a pack must share."""
        return digest({k: v for k, v in self.flat.items() if not k.startswith(PER_MEMBER)})

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Config) and self.id == other.id

    def __hash__(self) -> int:
        return hash(self.id)


def complete(content: Mapping[str, Any]) -> dict[str, Any]:
    """Every section checked against its family or dataclass and filled with defaults."""
    known = [*FAMILIES, *PLAIN, "measures", "seed"]
    for section in content:
        if section not in known:
            raise missing(section, known)
    sections: dict[str, Any] = {}
    task = driven(content.get("dataset"))
    defaults = DEFAULTS | (OF_TASKS if task else {})
    for section, family in FAMILIES.items():
        given = content.get(section, defaults.get(section))
        if not isinstance(given, Mapping) or "kind" not in given:
            raise ConfigError(f"{section} needs a kind; known: {', '.join(family)}.")
        sections[section] = member(section, family, given)
    for section, plain in PLAIN.items():
        given = content.get(section) or {}
        if not isinstance(given, Mapping):
            raise ConfigError(f"{section} must be a section of settings, but got {given!r}.")
        hints, names = hints_of(plain), [f.name for f in dataclasses.fields(plain)]
        for key, value in given.items():
            if key not in names:
                raise missing(f"{section}/{key}", [f"{section}/{n}" for n in names])
            typed(f"{section}/{key}", value, hints[key])
        sections[section] = plain(**{**(PLAIN_OF_TASKS.get(plain, {}) if task else {}), **given})
    sections["measures"] = listed(content.get("measures", defaults["measures"]))
    sections["seed"] = content.get("seed", defaults["seed"])
    typed("seed", sections["seed"], int)
    agree(sections)
    return sections


def driven(dataset: Any) -> bool:
    """Whether such a section names a task; what is wrong with it is found out later."""
    kind = dataset.get("kind") if isinstance(dataset, Mapping) else None
    return isinstance(kind, str) and kind in DATASETS and is_task(kind)


def member(section: str, family: Registry, given: Mapping[str, Any]) -> dict[str, Any]:
    """One family section: its kind, and that member's keyword arguments with defaults."""
    kind = given["kind"]
    if kind not in family:
        raise unknown(section, kind, list(family), f"{section}/kind")
    knobs = family.knobs(kind)
    hints = hints_of(family[kind].__init__ if isinstance(family[kind], type) else family[kind])
    for key, value in given.items():
        if key == "kind":
            continue
        if key not in knobs:
            raise missing(f"{section}/{key}", [f"{section}/{k}" for k in knobs], f" for {section} '{kind}'")
        typed(f"{section}/{key}", value, hints.get(key, Any))
    for key, knob in knobs.items():
        if knob.default is knob.empty and key not in given:
            raise ConfigError(f"{section}/{key} is needed by {section} '{kind}'.")
    return {"kind": kind} | {k: given.get(k, p.default) for k, p in knobs.items()}


def missing(path: str, known: list[str], context: str = "") -> ConfigError:
    near = difflib.get_close_matches(path, known, n=1, cutoff=0.5)
    hint = f" Did you mean {near[0]}?" if near else ""
    return ConfigError(f"{path} is not known{context}.{hint} Known: {', '.join(known) or 'no settings'}.")


def typed(path: str, value: Any, hint: Any) -> None:
    """Raise where a value cannot be what the member's annotation says (an int serves as a float, a bool as neither)."""
    options = typing.get_args(hint) if typing.get_origin(hint) in (types.UnionType, typing.Union) else (hint,)
    for option in options:
        plain = typing.get_origin(option) or option
        if plain is Any or (plain is float and isinstance(value, int | float) and not isinstance(value, bool)):
            return
        if isinstance(plain, type) and isinstance(value, plain) and (plain is bool or not isinstance(value, bool)):
            return
    wanted = " or ".join("null" if o is type(None) else getattr(o, "__name__", str(o)) for o in options)
    raise ConfigError(f"{path} must be {wanted}, but got {value!r}.")


def put(nested: dict[str, Any], path: str, value: Any) -> None:
    *parents, leaf = path.split("/")
    for parent in parents:
        nested = nested.setdefault(parent, {})
        if not isinstance(nested, dict):
            raise ConfigError(f"{path} is not known: {parent} is a value, not a section.")
    nested[leaf] = value
