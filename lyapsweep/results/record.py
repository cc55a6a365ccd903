"""`Record`: the state of one trial at one step, and the file that stores it (schema: docs/record.md)."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from lyapsweep.config import Config, ConfigError, migrate
from lyapsweep.config.migrations import current_version
from lyapsweep.content_files import relocated
from lyapsweep.display import html_table, number
from lyapsweep.dynamics.spectrum import Spectrum, strict
from lyapsweep.results.experiment import RECORD_SUFFIX, atomic_write, record_files
from lyapsweep.results.header import (
    SCHEMA,
    SCORES,
    naming,
    numbers,
    provenance_of,
    read_file,
    without_prefix,
)
from lyapsweep.results.headline import headline_map
from lyapsweep.results.json_types import check_types
from lyapsweep.results.outcome import Outcome
from lyapsweep.results.provenance import Provenance
from lyapsweep.results.record_files import files_by_trial
from lyapsweep.trust import named_by_record

SHOWN = 3  # scores of one line
NAME = re.compile(r"(?P<trial>.+)-\d{8}")


@dataclass(frozen=True, repr=False)
class Record:
    """One trial at one step.

    Args:
        config: The trial's settings.
        step: Number of updates made; in a diverged record, the update that failed.
        outcome: State of the trial.
        spectra: Lyapunov spectra by map: "closed loop", "driven", "forced".
        measures: Scores by name, on the part of the data by which networks are judged.
        floors: Score of an independent sample of the true system, by measure, with its interval (`<measure>/low`, ...).
        traces: Arrays over updates or lags, by name.
        weights: The network's weights by name, in final records.
        provenance: Seed, versions, seconds, device and, of a failed trial, the error.
        saturations: Score of a network that rests at a fixed point, by measure.
        surrogates: Scores of the mean, a sine, white noise and a random walk, by `<measure>/<surrogate>`.
        test: Scores on the test part, of a network that was trained to its end; no choice is made by them.
        test_floors: Floors on the test part.
        trial: The trial's id; by default `config.id`. A record that is read from a file keeps the id under which it
            was written, whatever version wrote it.

    Example:
        >>> from lyapsweep.config import Config
        >>> config = Config.of({"dataset": {"kind": "simulated", "system": "henon"}, "cell": {"kind": "lstm"}})
        >>> Record(config, step=100, outcome=Outcome.RUNNING).trial == config.id
        True
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
    surrogates: dict[str, float] = field(default_factory=dict)
    test: dict[str, float] = field(default_factory=dict)
    test_floors: dict[str, float] = field(default_factory=dict)
    trial: str = ""

    def __post_init__(self) -> None:
        if not self.trial:
            object.__setattr__(self, "trial", self.config.id)

    def __repr__(self) -> str:
        shown = [name for name in self.measures if "/" not in name][:SHOWN]  # no details
        scores = "".join(f", {name} {number(self.measures[name])}" for name in shown)
        found = f", lambda_max {self.spectrum.maximum:.4g} per step" if self.spectrum else ""
        return f"Record({self.trial}, step {self.step}, {self.outcome}{found}{scores})"

    def _repr_html_(self) -> str:
        rows = [(name, number(value), number(self.floors.get(name, ""))) for name, value in self.measures.items()]
        title = f"Trial {self.trial}, {self.config.cell['kind']}, step {self.step}, {self.outcome}"
        shown = self.spectrum._repr_html_() if self.spectrum else ""
        return html_table(title, rows, ("measure", "score", "floor")) + shown

    @property
    def spectrum(self) -> Spectrum | None:
        """The headline spectrum (`headline_map`); None if none was measured."""
        return self.spectra.get(headline_map(self.spectra) or "")

    @property
    def interrupted(self) -> bool:
        """Whether a person or a driver that died stopped the trial; a resumed sweep trains it further."""
        return self.outcome is Outcome.STOPPED and self.provenance.interrupted

    @property
    def filename(self) -> str:
        """Name of the record's file, `<trial>-<step>.npz`."""
        return f"{self.trial}-{self.step:08d}{RECORD_SUFFIX}"

    def to_dict(self) -> dict[str, Any]:
        """Everything but the arrays, as the file's header holds it and `--json` prints it."""
        return {
            "schema": SCHEMA,
            "id": self.trial,
            "settings": current_version(),
            "config": self.config.to_dict(),
            "step": self.step,
            "outcome": self.outcome.value,
            "spectra": {name: s.to_dict() for name, s in self.spectra.items()},
            **{name: getattr(self, name) for name in SCORES},
            "provenance": self.provenance.to_json(),
        }

    def save(self, folder: Path | str) -> Path:
        """Write the record to a folder, atomically; writing it again replaces the file.

        Args:
            folder: Created where it does not exist.

        Returns:
            The path of the file.
        """
        arrays: dict[str, Any] = {"header": np.array(json.dumps(strict(self.to_dict()), allow_nan=False))}
        arrays |= {f"traces/{k}": v for k, v in self.traces.items()}
        arrays |= {f"weights/{k}": v for k, v in self.weights.items()}
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / self.filename
        with atomic_write(path) as file:
            np.savez_compressed(file, **arrays)
        return path

    @classmethod
    def load(cls, path: Path | str, arrays: bool = True, trust: bool = False) -> "Record":
        """Read a record. Code that its config names is not executed unless it is trusted (`lyapsweep.trust`).

        Args:
            path: The file.
            arrays: Whether traces and weights are read; without them reading takes half the time.
            trust: Whether Python files that the config names may be executed whoever wrote them.

        Returns:
            The record, with the id that is stored in the file (in its name, where version 0.1 wrote it).

        Raises:
            BadRecord: If the file is not a record, or of a later schema.
            FileNotFoundError: If there is no such file.
        """
        path = Path(path)
        header, found = read_file(path, arrays)
        try:
            content = json.dumps(relocated(header["config"], path.parent.parent))
            config = config_of(content, header.get("settings", 1), trust)
        except ConfigError as error:
            raise ConfigError(f"{path}: {error}") from error
        with naming(path):
            return cls(
                config=config,
                step=header["step"],
                outcome=Outcome(header["outcome"]),
                spectra=spectra_of(header["spectra"]),
                **{name: numbers(header.get(name, {})) for name in SCORES},
                traces=without_prefix(found, "traces/"),
                weights=without_prefix(found, "weights/"),
                provenance=provenance_of(header["provenance"]),
                trial=header.get("id") or legacy_id(path, config),
            )


def spectra_of(content: Mapping[str, Any]) -> dict[str, Spectrum]:
    """Return the spectra of a header; `ValueError` for one without exponents, or with other errors than exponents."""
    found = {name: Spectrum.from_dict(each) for name, each in content.items()}
    for name, spectrum in found.items():
        check_types(spectrum, f"spectra/{name}")
        for part in (spectrum, *spectrum.attractors):
            sizes = {len(v) for v in (part.exponents, part.stderr, part.dof) if v is not None}
            if len(sizes) != 1 or sizes == {0}:
                raise ValueError(
                    f"spectra/{name} has {len(part.exponents)} exponents and {len(part.stderr)} standard errors"
                )
    return found


@lru_cache(maxsize=8)
def config_of(text: str, version: int, trust: bool) -> Config:
    """Return the config of a header; the records of one trial, which are mostly read in a row, share theirs."""
    content = json.loads(text)
    if not trust:
        named_by_record(content)  # before `migrate` looks members up
    return Config.of(migrate(content, version), trust=trust)


def legacy_id(path: Path, config: Config) -> str:
    """Return the id of a record of schema 1 from its file's name, or as 0.1 computed it if the file was renamed."""
    name = NAME.fullmatch(path.stem)
    return name["trial"] if name else next(iter(config.legacy_ids), config.id)


def latest(folder: Path, trial: str) -> Record | None:
    """A trial's last record; None before its first."""
    files = files_by_trial(folder, trial)
    return Record.load(files[trial][-1]) if files else None


def remove_records(folder: Path, trials: Iterable[str]) -> None:
    """Remove all records of trials that are trained anew: a later step of the old training would count as their end."""
    for trial in trials:
        for file in files_by_trial(folder, trial).get(trial, ()):
            file.unlink(missing_ok=True)


def reopened(record: Record) -> Record:
    """The record as it was before the trial was ended from outside: training goes on after it."""
    provenance = replace(record.provenance, error=None, traceback=None, interrupted=False)
    return replace(record, outcome=Outcome.RUNNING, provenance=provenance)


def load_folder(folder: Path | str, trust: bool = False) -> Iterable[Record]:
    """Every record below a folder, once: MLflow's artifacts may lie there too, and hold copies of the same name.

    A half-written or foreign file is an error that names it.
    """
    files = {path.name: path for path in sorted(record_files(Path(folder).rglob(f"*{RECORD_SUFFIX}")))}
    for path in files.values():
        yield Record.load(path, trust=trust)
