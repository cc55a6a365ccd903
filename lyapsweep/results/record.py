"""What is true of one trial at one step, and the file that holds it (schema: docs/record.md)."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from lyapsweep.config import Config
from lyapsweep.dynamics.spectrum import Spectrum, strict
from lyapsweep.results.experiment import RECORD_SUFFIX, atomic_write

SCHEMA = 1
ENDED = ("error", "traceback", "interrupted")  # what a record says that was ended from outside


class Outcome(StrEnum):
    """How a trial stands. Divergence is data here, not an exception."""

    RUNNING = "running"
    FINISHED = "finished"
    DIVERGED = "diverged"
    STOPPED = "stopped"
    FAILED = "failed"

    @property
    def sentence(self) -> str:
        return {
            "running": "Training goes on.",
            "finished": "Every step was trained.",
            "diverged": "Loss or gradient left the finite numbers; the network is the last finite one.",
            "stopped": "A scheduler or a person ended it early; what it had reached is recorded.",
            "failed": "An error ended it; the record says which.",
        }[self.value]

    @property
    def final(self) -> bool:
        return self is not Outcome.RUNNING


class BadRecord(ValueError):
    """A file that is not a record of a schema that this version reads."""


@dataclass(frozen=True)
class Record:
    """One trial at one step.

    `spectra` by map ("closed loop", "driven", "forced"); `measures` by name, with their `floors` (what an independent
    sample of the truth scores) and `saturations` (what a dead network scores); `traces` are arrays over training or
    lag; `weights` the network's own, in final records; `provenance` says seed, versions, seconds, device and, where it
    failed, the error.
    """

    config: Config
    step: int
    outcome: Outcome
    spectra: dict[str, Spectrum] = field(default_factory=dict)
    measures: dict[str, float] = field(default_factory=dict)
    floors: dict[str, float] = field(default_factory=dict)
    traces: dict[str, np.ndarray] = field(default_factory=dict)
    weights: dict[str, np.ndarray] = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)
    saturations: dict[str, float] = field(default_factory=dict)

    @property
    def trial(self) -> str:
        """The trial's key: its configuration's hash, the same on disk, in Ray, Optuna and MLflow."""
        return self.config.id

    @property
    def spectrum(self) -> Spectrum | None:
        """The one that says what the network is: in closed loop, or driven by inputs; None before any."""
        return self.spectra.get("closed loop") or self.spectra.get("driven")

    @property
    def filename(self) -> str:
        return f"{self.trial}-{self.step:08d}{RECORD_SUFFIX}"

    def save(self, folder: Path | str) -> Path:
        """Write `folder/<trial>-<step>.npz` whole or not at all; the same record written twice is one file."""
        header = {
            "schema": SCHEMA,
            "config": self.config.to_dict(),
            "step": self.step,
            "outcome": self.outcome.value,
            "spectra": {name: s.to_dict() for name, s in self.spectra.items()},
            "measures": self.measures,
            "floors": self.floors,
            "saturations": self.saturations,
            "provenance": self.provenance,
        }
        arrays: dict[str, Any] = {"header": np.array(json.dumps(strict(header), allow_nan=False))}
        arrays |= {f"traces/{k}": v for k, v in self.traces.items()}
        arrays |= {f"weights/{k}": v for k, v in self.weights.items()}
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / self.filename
        with atomic_write(path) as file:
            np.savez_compressed(file, **arrays)
        return path

    @classmethod
    def load(cls, path: Path | str, arrays: bool = True) -> "Record":
        """Read a record, or all of it but the arrays; `BadRecord` where the file is another thing or of a later schema.

        Without traces and weights it takes half the time, and next to no memory.
        """
        header, found = read_file(Path(path), arrays)
        part = lambda name: {k.removeprefix(name): v for k, v in found.items() if k.startswith(name)}  # noqa: E731
        return cls(
            config=configured(json.dumps(header["config"])),
            step=header["step"],
            outcome=Outcome(header["outcome"]),
            spectra={name: Spectrum.from_dict(d) for name, d in header["spectra"].items()},
            measures={k: number(v) for k, v in header["measures"].items()},
            floors={k: number(v) for k, v in header["floors"].items()},
            saturations={k: number(v) for k, v in header.get("saturations", {}).items()},
            traces=part("traces/"),
            weights=part("weights/"),
            provenance=header["provenance"],
        )


@dataclass(frozen=True)
class RecordHeader:
    """The part of a record that tells how its trial stands.

    Args:
        step: Step of training.
        outcome: How the trial stood at that step.
        provenance: Where and with what it was trained.
    """

    step: int
    outcome: Outcome
    provenance: dict[str, Any]

    @classmethod
    def load(cls, path: Path) -> "RecordHeader":
        """Read a record's file without its arrays and without its config.

        Raises:
            BadRecord: If the file is not a record or has a later schema.
        """
        header, _ = read_file(path, arrays=False)
        return cls(header["step"], Outcome(header["outcome"]), header["provenance"])


def read_file(path: Path, arrays: bool) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The JSON header of a record's file, and its arrays by name."""
    try:
        with np.load(path, allow_pickle=False) as file:
            header = json.loads(str(file["header"]))
            found = {k: file[k] for k in file.files if k != "header"} if arrays else {}
    except FileNotFoundError:
        raise
    except Exception as error:
        raise BadRecord(f"{path} is not a lyapsweep record ({error}).") from error
    if header.get("schema") != SCHEMA:
        raise BadRecord(f"{path} has record schema {header.get('schema')}; this version reads {SCHEMA}.")
    return header, found


@lru_cache(maxsize=8)
def configured(text: str) -> Config:
    """The config of a header; records of one trial, which are mostly read one after another, share theirs."""
    return Config.of(json.loads(text))


def number(value: float | str | None) -> float:
    """Undo `strict`: null is NaN, "inf" and "-inf" are themselves."""
    return float("nan") if value is None else float(value)


def trial_of(file: Path) -> str:
    """The trial that a record's file belongs to, by the file's name."""
    return file.name.partition("-")[0]


def files_by_trial(folder: Path, trial: str = "") -> dict[str, list[Path]]:
    """The record files in a folder by trial, those of a trial in order of step; of one trial if it is given."""
    files: dict[str, list[Path]] = {}
    for file in sorted(folder.glob(f"{f'{trial}-' if trial else ''}*{RECORD_SUFFIX}")):
        files.setdefault(trial_of(file), []).append(file)
    return files


def latest_files(folder: Path) -> dict[str, Path]:
    """The file of the last record of every trial in a folder."""
    return {trial: files[-1] for trial, files in files_by_trial(folder).items()}


def latest(folder: Path, trial: str) -> Record | None:
    """A trial's last record; None before its first."""
    files = files_by_trial(folder, trial)
    return Record.load(files[trial][-1]) if files else None


def reopened(record: Record) -> Record:
    """The record as it was before the trial was ended from outside: training goes on after it."""
    told = {k: v for k, v in record.provenance.items() if k not in ENDED}
    return replace(record, outcome=Outcome.RUNNING, provenance=told)


def load_folder(folder: Path | str) -> Iterable[Record]:
    """Every record below a folder, once: MLflow's artifacts may lie there too, and hold copies of the same name.

    A half-written or foreign file is an error that names it.
    """
    files = {path.name: path for path in sorted(Path(folder).rglob(f"*{RECORD_SUFFIX}"))}
    for path in files.values():
        yield Record.load(path)
