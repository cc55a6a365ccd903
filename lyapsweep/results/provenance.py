"""How a record came about: seed, versions, hardware, data, and how the trial ended."""

import dataclasses
import importlib.metadata
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from lyapsweep import trust

OF_SERIES = ("lambda_max", "predictability_time")  # written for a series even where unknown


@dataclass(frozen=True)
class InputDescription:
    """The columns that drive a series: their names, and the moments by which they are standardised."""

    names: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def to_json(self) -> dict[str, Any]:
        return {"names": list(self.names), "mean": list(self.mean), "std": list(self.std)}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "InputDescription":
        return cls(*(tuple(content[name]) for name in ("names", "mean", "std")))


@dataclass(frozen=True)
class DataDescription:
    """What a record says about the data that its network learns.

    Args:
        source: Where the data come from, in words.
        digest: Hash of the numbers.
        parts: Which part of the data networks are judged on, in words; "" in records of version 0.1, which judged them
            on the test part.
        dt: Time between samples; None if steps are the only time.
        lambda_max: Largest Lyapunov exponent of the true dynamics, nats per sample; None if unknown or of a task.
        predictability_time: ln 2 / lambda_max in samples; None if unknown.
        lambda_source: Source of `lambda_max`.
        exponents: All known exponents of the true dynamics, largest first, nats per sample; empty if none is known.
        names: Names of the features of a series; empty for a task.
        mean: Mean of each feature of the training part, in the units of the data.
        std: Standard deviation of each feature of the training part.
        inputs: Columns that drive a series; None without any.
        baseline: Loss of an answer without memory; None for a series.
        baseline_is: What that answer is.
        remarks: How a file was understood, where that is not obvious.
        notes: Further numbers, and keys of records of another version.

    Example:
        >>> DataDescription.from_json({"dt": 0.5, "source": "file", "memory": 99.5}).notes
        {'memory': 99.5}
    """

    source: str = ""
    digest: str = ""
    parts: str = ""
    dt: float | None = None
    lambda_max: float | None = None
    predictability_time: float | None = None
    lambda_source: str = ""
    exponents: tuple[float, ...] = ()
    names: tuple[str, ...] = ()
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    inputs: InputDescription | None = None
    baseline: float | None = None
    baseline_is: str = ""
    remarks: tuple[str, ...] = ()
    notes: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object: unknown values are left out, those of `notes` lie beside the others."""
        content = {name: value for name, value in present(self, "notes").items() if value != ""}
        content["dt"] = self.dt
        if self.baseline is None:
            content |= {name: getattr(self, name) for name in OF_SERIES}
        if self.inputs:
            content["inputs"] = self.inputs.to_json()
        return content | dict(self.notes)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "DataDescription":
        known, notes = split(cls, content, "notes")
        if "inputs" in known:
            known["inputs"] = InputDescription.from_json(known["inputs"])
        return cls(**known, notes=notes)


@dataclass(frozen=True)
class ForcingInterval:
    """The forcing interval that `forcing/interval: auto` stands for, and the exponent it was computed from.

    interval = max(1, round(ln 2 / lambda_max)) samples (Mikhaeil et al. 2022).

    Args:
        interval: Samples between two forced steps.
        lambda_max: Largest Lyapunov exponent, nats per sample.
        lambda_low: Lower end of its confidence interval.
        lambda_high: Upper end of its confidence interval.
        source: Where `lambda_max` comes from.

    Example:
        >>> ForcingInterval(2, 0.42, 0.41, 0.43, "literature").interval
        2
    """

    interval: int
    lambda_max: float
    lambda_low: float
    lambda_high: float
    source: str


@dataclass(frozen=True)
class Provenance:
    """How a record came about.

    Args:
        seed: Seed of the network's weights, windows and random forcing.
        device: Device of training, such as "cpu".
        dtype: Floating-point type of training, where it is not "float32".
        engine: What made the updates, "torch" or "compiled".
        pack: Number of networks that trained in the same population.
        seconds: Time since the trial began, over all attempts.
        data: Description of the data.
        continued: Steps from which training was resumed.
        kept: Number of updates of the network in the record, where `training/keep` chose an earlier one than the last.
        forcing: Forcing interval where the config leaves it to the data.
        versions: Package versions.
        commit: Commit of a git checkout; "" elsewhere.
        node: Machine, where a sweep trained the network.
        error: The error that ended the trial; None if none did.
        traceback: Its traceback.
        interrupted: Whether a person or a dying process ended the trial: a resumed sweep continues it.
        stopped_by: Who else stopped it early, such as "scheduler".
        code: Digests of the Python files that the config names, by path; empty in records of version 0.1.
        extra: Keys of records of another version.

    Example:
        >>> Provenance.from_json({"seed": 3, "error": "MemoryError: full"}).to_json()
        {'seed': 3, 'error': 'MemoryError: full'}
    """

    seed: int | None = None
    device: str | None = None
    dtype: str | None = None
    engine: str | None = None
    pack: int | None = None
    seconds: float | None = None
    data: DataDescription | None = None
    continued: tuple[int, ...] = ()
    kept: int | None = None
    forcing: ForcingInterval | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    commit: str | None = None
    node: str | None = None
    error: str | None = None
    traceback: str | None = None
    interrupted: bool = False
    stopped_by: str | None = None
    code: Mapping[str, str] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object without what is unknown; the keys of `extra` lie beside the others."""
        content = present(self, "extra")
        if self.data:
            content["data"] = self.data.to_json()
        if self.forcing:
            content["forcing"] = dataclasses.asdict(self.forcing)
        return content | dict(self.extra)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Provenance":
        """Read what `to_json` wrote, in this version or an earlier one."""
        known, extra = split(cls, content, "extra")
        if "data" in known:
            known["data"] = DataDescription.from_json(known["data"])
        if "forcing" in known:
            known["forcing"] = ForcingInterval(**known["forcing"])
        return cls(**known, extra=extra)


def present(described: Any, rest: str) -> dict[str, Any]:
    """The fields that say something, `rest` aside; tuples as lists."""
    values = {f.name: getattr(described, f.name) for f in dataclasses.fields(described) if f.name != rest}
    found = {name: list(v) if isinstance(v, tuple) else v for name, v in values.items() if v not in (None, (), {})}
    return {name: v for name, v in found.items() if v is not False}


def split(cls: type, content: Mapping[str, Any], rest: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The fields of a dataclass in a JSON object (lists as tuples, null as the default), and its other keys."""
    names = {f.name for f in dataclasses.fields(cls)} - {rest}
    known = {k: tuple(v) if isinstance(v, list) else v for k, v in content.items() if k in names and v is not None}
    return known, {k: v for k, v in content.items() if k not in names}


def code_digests(settings: Mapping[str, Any]) -> dict[str, str]:
    """Digests of the Python files that settings name as `path/to/file.py:Name`, by path; "" for a missing file."""
    return {path: trust.digest_of(path)[:16] for path in trust.code_named(settings)}


@cache
def package_versions() -> dict[str, str]:
    """Versions of the packages on which numbers depend."""
    return {package: importlib.metadata.version(package) for package in ("torch", "numpy")}


@cache
def commit() -> str:
    """The commit of the git checkout that this package is imported from; "" without one."""
    head = Path(__file__).parents[2] / ".git" / "HEAD"
    if not head.exists():
        return ""
    reference = head.read_text().strip().removeprefix("ref: ")
    target = head.parent / reference
    return target.read_text().strip() if target.exists() else reference
