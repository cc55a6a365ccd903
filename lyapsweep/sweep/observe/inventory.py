"""The experiments in a results folder, from file names, sweep.json and heartbeats alone: no record is opened."""

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

from lyapsweep.results.description import SweepDescription
from lyapsweep.results.experiment import ExperimentPaths
from lyapsweep.results.record_files import latest_files
from lyapsweep.sweep.observe.heartbeat import read_heartbeat


@dataclass(frozen=True)
class Experiment:
    """An experiment in a results folder.

    Args:
        name: Name of its folder.
        folder: Its folder.
        state: "running", "ended", "interrupted", or "imported" of a table of another tool.
        question: First line of what it was run for; "" if unknown.
        trials: Number of trials with a record.
        asked: Number of trials requested; None if unknown.
        objective: The measure that trials are judged by; "" if unknown.
        best: The best setting with its score, in words; "" if no sweep has ended and no atlas was drawn.
        bytes: Size of the folder on disk; a file with several names counts once.
        changed: Time of the newest record, in seconds since 1970.
    """

    name: str
    folder: Path
    state: str
    question: str
    trials: int
    asked: int | None
    objective: str
    best: str
    bytes: int
    changed: float


def list_experiments(results: Path | str = "results") -> list[Experiment]:
    """List the experiments in a results folder, the latest first.

    Args:
        results: The folder of the folders of all experiments.

    Returns:
        The experiments; none where there is no such folder.

    Example:
        >>> list_experiments("no such folder")
        []
    """
    results = Path(results)
    folders = [folder for folder in results.iterdir() if folder.is_dir()] if results.is_dir() else []
    found = [experiment(folder) for folder in folders if is_experiment(folder)]
    return sorted(found, key=lambda each: (-each.changed, each.name))


def is_experiment(folder: Path) -> bool:
    """Whether a folder is that of an experiment: it has records, a sweep.json or an imported table."""
    paths = ExperimentPaths(folder)
    return any(place.exists() for place in (paths.records, paths.description, paths.imported_table))


def experiment(folder: Path) -> Experiment:
    """Describe the experiment in a folder."""
    paths = ExperimentPaths(folder)
    description, files = SweepDescription.load(paths.description), files_below(folder)
    trials, heartbeat = len(latest_files(paths.records)), read_heartbeat(folder)
    question = description.question.strip().partition("\n")[0]
    asked = description.trials
    if paths.imported_table.is_file():
        state, trials = "imported", asked or 0
    elif heartbeat is not None and heartbeat.alive:
        state = "running"
    else:
        ended = description.outcomes and sum(description.outcomes.values()) >= (asked or 0)
        state = "ended" if ended or not paths.description.exists() else "interrupted"
    return Experiment(
        name=folder.name,
        folder=folder,
        state=state,
        question=question,
        trials=trials,
        asked=asked,
        objective=description.objective,
        best=description.best,
        bytes=sum({(each.st_dev, each.st_ino): each.st_size for each in files.values()}.values()),
        changed=last_change(paths, files),
    )


def files_below(folder: Path) -> dict[str, os.stat_result]:
    """The files below a folder by their paths; those that vanish meanwhile are left out."""
    found = {}
    for place, _, names in os.walk(folder):
        for path in (os.path.join(place, name) for name in names):
            with contextlib.suppress(FileNotFoundError):
                found[path] = os.stat(path, follow_symlinks=False)
    return found


def last_change(paths: ExperimentPaths, files: dict[str, os.stat_result]) -> float:
    """The time of the newest record, else of the newest file, else of the folder."""
    records = [each.st_mtime for path, each in files.items() if Path(path).parent == paths.records]
    return max(records or [each.st_mtime for each in files.values()] or [paths.folder.stat().st_mtime])
