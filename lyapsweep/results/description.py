"""The description of a sweep, kept as sweep.json: what was asked, with which command and versions."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from lyapsweep.results.experiment import atomic_write
from lyapsweep.results.json_types import check_types

REMEDY = "Remove it; a sweep that is resumed writes it again."
SCHEMA = 1  # of the file; version 0.1 wrote the same keys without saying so


class BadTable(ValueError):
    """A folder, a file or a description that no table can be made of."""


@dataclass(frozen=True)
class BaseConfig:
    """The configuration file that every trial of a sweep starts from.

    Args:
        path: The file, as the sweep named it.
        config: Its sections, as `Config.to_dict` returns them. Version 0.1 wrote them with the sweep's own changes.
    """

    path: str
    config: dict[str, Any]


@dataclass(frozen=True)
class RefinedGrid:
    """The grid of a sweep that trains coarse points first and finer ones where neighbours disagree.

    Args:
        grid: Number of points of the whole grid.
        asked: Number of points requested so far.
        threshold: Objective that separates good trials from bad ones; None if only losses count.
        axes: Values of each refined setting.
    """

    grid: int = 0
    asked: int = 0
    threshold: float | None = None
    axes: dict[str, list[Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class SweepOptions:
    """What the command line said of what a sweep varies, beside its file or without one.

    Args:
        base: `--base`, a config.
        objective: `--objective`, a measure.
        intent: `--intent`, "map" or "hunt".
        seeds: `--seeds`.
        trials: `--trials`.
        changes: `--set`, {path: value}.
        where: `--where`, {path: value}.
        grid: `--grid path=...`, {path: values}.
        added: `--grid path+=...`, {path: values}.
        space: `--space`, {path: text such as log(1e-4,1e-1)}.
    """

    base: str = ""
    objective: str = ""
    intent: str = ""
    seeds: int | None = None
    trials: int | None = None
    changes: dict[str, Any] = field(default_factory=dict)
    where: dict[str, Any] = field(default_factory=dict)
    grid: dict[str, list[Any]] = field(default_factory=dict)
    added: dict[str, list[Any]] = field(default_factory=dict)
    space: dict[str, str] = field(default_factory=dict)

    @property
    def given(self) -> tuple[tuple[str, Any], ...]:
        """Name and value of each option that was given."""
        return tuple((f.name, value) for f in fields(self) if (value := getattr(self, f.name)))


@dataclass(frozen=True)
class Confirmation:
    """The confirmation of a sweep's best settings, each trained again, whole, from seeds that the search did not use.

    Args:
        seeds: Number of fresh seeds per setting.
        candidates: Number of settings that are confirmed.
        criteria: Bounds on scores; settings of which a network violates one rank behind those without.
        trials: Trials from fresh seeds by the best trial that the search had of their setting, the search's favourite
            first; empty until the search has ended.
    """

    seeds: int = 3
    candidates: int = 5
    criteria: list[str] = field(default_factory=list)
    trials: dict[str, list[str]] = field(default_factory=dict)

    @property
    def fresh(self) -> list[str]:
        """All trials from fresh seeds."""
        return [trial for trials in self.trials.values() for trial in trials]


KINDS = {"base": BaseConfig, "refined": RefinedGrid, "options": SweepOptions, "confirmation": Confirmation}


@dataclass(frozen=True)
class SweepDescription:
    """What is known of a sweep beside its records; every field may be missing.

    Args:
        name: Name of the experiment.
        question: What the sweep was run for, as text; the first paragraph is the question.
        intent: "map" if the trials cover a region, "hunt" if they gather where success was.
        objective: The measure that trials are judged by, without the prefix `measures/`.
        direction: "minimise" or "maximise".
        further: Further objectives of a hunt.
        constraints: Bounds on scores that the best trial of a hunt keeps, such as "D_stsp <= 0.5".
        drawn: Trials of a hunt in the order in which its sampler drew them.
        varied: Paths of the settings that differ between trials.
        base: The base configuration and its file.
        trials: Number of trials requested, extensions included.
        extended: Number of trials requested by each extension.
        seed: Seed of the sampler.
        pack: Largest number of trials trained together.
        refined: The refined grid; None if every point is trained.
        options: What the command line said of the points; None of a sweep that Python started.
        confirmation: How the best settings are confirmed; None if they are not.
        command: The command line that started the sweep first.
        started: When that was, as local time with its offset.
        versions: Versions of Python and of the packages that ran.
        outcomes: Number of trials per outcome when the sweep ended.
        best: The best setting with its score, in words, when the sweep ended or its atlas was drawn last.
        mark: Random identifier of the folder, by which a shared Optuna storage tells studies apart.
        other: Keys of the file that this version does not know; they are kept when it is written.

    Example:
        >>> description = SweepDescription.from_dict({"objective": "measures/loss", "varied": ["seed"], "new": 1})
        >>> description.objective, description.varied, description.direction
        ('loss', ('seed',), None)
        >>> description.to_dict()
        {'schema': 1, 'objective': 'loss', 'varied': ['seed'], 'new': 1}
    """

    name: str = ""
    question: str = ""
    intent: Literal["map", "hunt"] | None = None
    objective: str = ""
    direction: Literal["minimise", "maximise"] | None = None
    further: tuple[str, ...] = ()
    constraints: tuple[str, ...] = ()
    drawn: tuple[str, ...] = ()
    varied: tuple[str, ...] = ()
    base: BaseConfig | None = None
    trials: int | None = None
    extended: tuple[int, ...] = ()
    seed: int | None = None
    pack: int | None = None
    refined: RefinedGrid | None = None
    options: SweepOptions | None = None
    confirmation: Confirmation | None = None
    command: str = ""
    started: str = ""
    versions: dict[str, str | None] = field(default_factory=dict)
    outcomes: dict[str, int] = field(default_factory=dict)
    best: str = ""
    mark: str = ""
    other: dict[str, Any] = field(default_factory=dict)

    @property
    def objective_column(self) -> str:
        """The column of the objective in `Table.frame`; "" if the objective is unknown."""
        return f"measures/{self.objective}" if self.objective else ""

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "SweepDescription":
        """Build a description from the content of sweep.json; null is the same as a missing key."""
        values = {key: value for key, value in data.items() if value is not None and key != "schema"}
        known = {f.name for f in fields(cls)} - {"other"}
        other = {key: values.pop(key) for key in list(values) if key not in known}
        for key in ("varied", "extended", "further", "constraints", "drawn"):
            if key in values:
                values[key] = tuple(values[key])
        for key, kind in KINDS.items():
            if key in values:
                values[key] = kind(**values[key])
        if "objective" in values:
            values["objective"] = str(values["objective"]).removeprefix("measures/")
        return cls(**values, other=other)

    def to_dict(self) -> dict[str, Any]:
        """Return the content of sweep.json: `schema`, the fields that are set, and the unknown keys."""
        unset = SweepDescription()
        known = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "other"}
        content = {key: as_json(value) for key, value in known.items() if value != getattr(unset, key)}
        return {"schema": SCHEMA} | content | self.other

    @classmethod
    def load(cls, path: Path) -> "SweepDescription":
        """Read a description; an empty one where there is no file.

        Raises:
            BadTable: If the file is not a JSON object or was written by a later version.
        """
        if not path.exists():
            return cls()
        try:
            data = json.loads(path.read_text())
        except (ValueError, RecursionError) as error:  # of JSON or of UTF-8
            raise BadTable(f"{path} is not JSON: {error}. {REMEDY}") from error
        if not isinstance(data, dict):
            raise BadTable(f'{path} must hold an object such as {{"name": ...}}, but holds {type(data).__name__}.')
        if data.get("schema", SCHEMA) != SCHEMA:
            raise BadTable(f"{path} has schema {data['schema']}, but this version reads {SCHEMA}. Update lyapsweep.")
        try:
            description = cls.from_dict(data)
            check_types(description, "sweep")
        except (TypeError, ValueError) as error:
            raise BadTable(f"{path} does not describe a sweep: {error}. {REMEDY}") from error
        return description

    def save(self, path: Path) -> None:
        """Write the description to `path`, whole or not at all."""
        with atomic_write(path) as file:
            file.write(json.dumps(self.to_dict(), indent=1, default=str).encode())


def as_json(value: Any) -> Any:
    """A field's value as JSON has it."""
    if isinstance(value, tuple):
        return list(value)
    if isinstance(value, SweepOptions):
        return dict(value.given)
    return vars(value) if isinstance(value, tuple(KINDS.values())) else value
