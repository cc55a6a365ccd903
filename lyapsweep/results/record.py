"""What is true of one trial at one step, and the file that holds it (schema: docs/record.md)."""

import contextlib
import json
import os
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import IO, Any

import numpy as np

from lyapsweep.config import Config
from lyapsweep.dynamics.spectrum import Spectrum, strict
from lyapsweep.results.provenance import Provenance

SCHEMA = 1


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
    provenance: Provenance = field(default_factory=Provenance)
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
        return f"{self.trial}-{self.step:08d}.npz"

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
            "provenance": self.provenance.to_json(),
        }
        arrays: dict[str, Any] = {"header": np.array(json.dumps(strict(header), allow_nan=False))}
        arrays |= {f"traces/{k}": v for k, v in self.traces.items()}
        arrays |= {f"weights/{k}": v for k, v in self.weights.items()}
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / self.filename
        with written_whole(path) as file:
            np.savez_compressed(file, **arrays)
        return path

    @classmethod
    def load(cls, path: Path | str, arrays: bool = True) -> "Record":
        """Read a record, or all of it but the arrays; `BadRecord` where the file is another thing or of a later schema.

        Without traces and weights it takes half the time, and next to no memory.
        """
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
            provenance=Provenance.from_json(header["provenance"]),
        )


@lru_cache(maxsize=8)
def configured(text: str) -> Config:
    """The config of a header; records of one trial, which are mostly read one after another, share theirs."""
    return Config.of(json.loads(text))


@contextlib.contextmanager
def written_whole(path: Path) -> Iterator[IO[bytes]]:
    """A file to write to that takes the place of `path` when all of it is written, and is gone where it is not."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def number(value: float | str | None) -> float:
    """Undo `strict`: null is NaN, "inf" and "-inf" are themselves."""
    return float("nan") if value is None else float(value)


def latest(folder: Path, trial: str) -> Record | None:
    """A trial's last record; None before its first."""
    file = max(folder.glob(f"{trial}-*.npz"), default=None)
    return Record.load(file) if file else None


def reopened(record: Record) -> Record:
    """The record as it was before the trial was ended from outside: training goes on after it."""
    provenance = replace(record.provenance, error=None, traceback=None, interrupted=False)
    return replace(record, outcome=Outcome.RUNNING, provenance=provenance)


def load_folder(folder: Path | str) -> Iterable[Record]:
    """Every record below a folder, once: MLflow's artifacts may lie there too, and hold copies of the same name.

    A half-written or foreign file is an error that names it.
    """
    files = {path.name: path for path in sorted(Path(folder).rglob("*.npz"))}
    for path in files.values():
        yield Record.load(path)
