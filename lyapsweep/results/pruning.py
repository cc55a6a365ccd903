"""Pruning of an experiment: weights and orbits that nobody will ask for again leave its records."""

import json
import os
import zipfile
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lyapsweep.results.description import SweepDescription
from lyapsweep.results.experiment import RECORD_SUFFIX, ExperimentPaths, atomic_write, record_files
from lyapsweep.results.header import read_file
from lyapsweep.results.record_files import files_by_trial

WEIGHTS = "weights/"
ORBITS = ("traces/truth", "traces/generated", "traces/runs")


@dataclass(frozen=True)
class Pruned:
    """What pruning did.

    Args:
        records: Number of records that lost weights or orbits.
        linked: Number of MLflow's copies of records that became links to them.
        freed: Bytes freed.
    """

    records: int
    linked: int
    freed: int


def prune(folder: Path | str, best: Collection[str] | None = None) -> Pruned:
    """Remove weights from all records of an experiment but the best and the last report of each trial.

    The other content of a record stays as it is, byte for byte, and the record stays readable. Copies of records among
    MLflow's artifacts in the folder become links to the records, so that each is stored once.

    Args:
        folder: The results folder. No sweep may run in it.
        best: Trials that keep their weights and orbits; all others lose both. None keeps those of every trial.

    Returns:
        What was removed.

    Example:
        >>> import tempfile
        >>> from lyapsweep.config import Config
        >>> from lyapsweep.results.record import Outcome, Record
        >>> config = Config.of({"dataset": {"kind": "simulated", "system": "henon"}, "cell": {"kind": "lstm"}})
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = Record(config, 9, Outcome.FINISHED, weights={"w": np.zeros(9)}).save(f"{folder}/records")
        ...     prune(folder).records, prune(folder, best=[]).records
        (0, 1)
    """
    paths = ExperimentPaths(Path(folder))
    description, before, changed = SweepDescription.load(paths.description), size(paths.folder), 0
    for trial, files in files_by_trial(paths.records).items():
        whole = best is not None and trial not in best
        kept = [] if whole else kept_reports(files, description.objective, description.direction or "minimise")
        for file in files:
            if file not in kept:
                changed += rewrite(file, (WEIGHTS, *ORBITS) if whole else (WEIGHTS,))
    linked = sum(link(copy, paths.records / copy.name) for copy in copies(paths))
    return Pruned(changed, linked, before - size(paths.folder))


def kept_reports(files: list[Path], objective: str, direction: str) -> list[Path]:
    """The last report of a trial, and the best one by the objective among those that hold weights."""
    holding = [file for file in files if any(name.startswith(WEIGHTS) for name in names(file))]
    scores = {file: score for file in holding if (score := score_of(file, objective)) == score}
    best = (max if direction == "maximise" else min)(scores, key=lambda file: scores[file], default=None)
    return [files[-1], *([best] if best else [])]


def names(file: Path) -> list[str]:
    """The names of the arrays in a record's file."""
    with zipfile.ZipFile(file) as archive:
        return archive.namelist()


def score_of(file: Path, objective: str) -> float:
    """The objective of a record; NaN without one."""
    header, _ = read_file(file, arrays=False)
    value = header.get("measures", {}).get(objective)
    return float("nan") if value is None else float(value)


def rewrite(file: Path, without: tuple[str, ...]) -> bool:
    """Write a record again without the arrays whose names begin so; whether it had any. Its time is kept."""
    if not any(name.startswith(without) for name in names(file)):
        return False
    with np.load(file, allow_pickle=False) as content:
        arrays: dict[str, Any] = {name: content[name] for name in content.files if not name.startswith(without)}
    json.loads(str(arrays["header"]))
    times = file.stat()
    with atomic_write(file) as out:
        np.savez_compressed(out, **arrays)
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    return True


def copies(paths: ExperimentPaths) -> Iterator[Path]:
    """The copies of records among MLflow's artifacts."""
    return record_files(paths.artifacts.rglob(f"*{RECORD_SUFFIX}")) if paths.artifacts.is_dir() else iter(())


def link(copy: Path, record: Path) -> bool:
    """Replace a copy by a link to its record; whether it was one and the file system can."""
    if not record.is_file() or copy.samefile(record):
        return False
    temporary = copy.with_name(f".{copy.name}")
    try:
        os.link(record, temporary)
        temporary.replace(copy)
    except OSError:
        temporary.unlink(missing_ok=True)
        return False
    return True


def size(folder: Path) -> int:
    """Bytes of the files below a folder; a file with several names counts once."""
    found = (os.stat(os.path.join(place, name)) for place, _, files in os.walk(folder) for name in files)
    return sum({(each.st_dev, each.st_ino): each.st_size for each in found}.values())
