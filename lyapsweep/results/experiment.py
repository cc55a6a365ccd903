"""File names of an experiment: what a sweep, a run or an import writes below `results/<name>`, and where."""

import contextlib
import os
import re
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

RECORDS = "records"
CHECKPOINTS = "checkpoints"
ARTIFACTS = "artifacts"
DESCRIPTION = "sweep.json"
BASE = "base.yaml"
ATLAS = "atlas.html"
OPTUNA_JOURNAL = "optuna.journal"
POINTS = "points.jsonl"
HEARTBEAT = "driver.json"
LOCK = ".lock"
IMPORTED_TABLE = "table.parquet"
MLFLOW_DATABASE = "mlflow.db"  # beside the experiments' folders: one store for all of them
RECORD_SUFFIX = ".npz"
PARTIAL_SUFFIX = ".part"  # of a file that is being written


def is_experiment_name(text: str) -> bool:
    """Whether a text can name an experiment and its folder: letters, digits, `_`, `-` and `.`, with no `.` first.

    Example:
        >>> [is_experiment_name(text) for text in ("lorenz-1.2", "..", "a/b", ".hidden")]
        [True, False, False, False]
    """
    return re.fullmatch(r"[\w-][\w.-]*", text) is not None


@dataclass(frozen=True)
class ExperimentPaths:
    """Paths below the folder of one experiment; none of them needs to exist.

    Args:
        folder: The experiment's folder, `results/<name>`.

    Example:
        >>> paths = ExperimentPaths(Path("results/forcing_interval"))
        >>> paths.records.as_posix(), paths.description.name, paths.mlflow_database.as_posix()
        ('results/forcing_interval/records', 'sweep.json', 'results/mlflow.db')
    """

    folder: Path

    @property
    def records(self) -> Path:
        """The folder with one file per trial and step."""
        return self.folder / RECORDS

    @property
    def checkpoints(self) -> Path:
        """The folder with one checkpoint per pack that is being trained."""
        return self.folder / CHECKPOINTS

    @property
    def artifacts(self) -> Path:
        """The folder of MLflow's artifacts, where the store is a local database."""
        return self.folder / ARTIFACTS

    @property
    def description(self) -> Path:
        """The JSON file of the `SweepDescription`."""
        return self.folder / DESCRIPTION

    @property
    def base(self) -> Path:
        """The base config of a sweep that named no file."""
        return self.folder / BASE

    @property
    def atlas(self) -> Path:
        """The HTML report."""
        return self.folder / ATLAS

    @property
    def optuna_journal(self) -> Path:
        """The journal file of the Optuna study."""
        return self.folder / OPTUNA_JOURNAL

    @property
    def points(self) -> Path:
        """The planned points of a map over a space, one JSON object per line."""
        return self.folder / POINTS

    @property
    def heartbeat(self) -> Path:
        """The file that a running driver rewrites every few seconds."""
        return self.folder / HEARTBEAT

    @property
    def lock(self) -> Path:
        """The file that a running driver holds locked."""
        return self.folder / LOCK

    @property
    def imported_table(self) -> Path:
        """The table of an imported experiment, which has no records."""
        return self.folder / IMPORTED_TABLE

    @property
    def mlflow_database(self) -> Path:
        """The default MLflow store, shared by all experiments of one results folder."""
        return self.folder.parent / MLFLOW_DATABASE

    def has_records(self) -> bool:
        """Whether a record lies anywhere below the folder."""
        return next(record_files(self.folder.rglob(f"*{RECORD_SUFFIX}")), None) is not None


def record_files(files: Iterable[Path]) -> Iterator[Path]:
    """Leave out hidden files: `._<name>.npz`, which macOS writes beside each file that it copies, is no record.

    Example:
        >>> [file.name for file in record_files([Path("a-00000001.npz"), Path("._a-00000001.npz")])]
        ['a-00000001.npz']
    """
    return (file for file in files if not file.name.startswith("."))


@contextlib.contextmanager
def atomic_write(path: Path) -> Iterator[IO[bytes]]:
    """Open a temporary file that replaces `path` when the block ends and is removed when the block raises."""
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(4)}{PARTIAL_SUFFIX}")
    try:
        with temporary.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())  # else a power cut may leave an empty file under the new name
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
