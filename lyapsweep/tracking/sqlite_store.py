"""The SQLite file of an MLflow store: made beside its place, under a lock, and renamed; moved with its folder.

MLflow creates its tables one by one, which takes seconds. Two processes that do so at once, or one that is killed
meanwhile, would leave a file that no process can use.
"""

import contextlib
import fcntl
import os
import secrets
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from lyapsweep.results.experiment import PARTIAL_SUFFIX
from lyapsweep.tracking.addresses import address
from lyapsweep.tracking.errors import TrackingError

if TYPE_CHECKING:
    from mlflow.entities import Experiment

LOCK_SUFFIX = ".lock"
TIMEOUT = 60  # seconds to wait for another process that writes


def ensure(file: Path) -> None:
    """Create the store if there is none, once, whatever other processes do at the same time.

    Args:
        file: The SQLite file. Its folder must exist.

    Raises:
        TrackingError: If the file is not an MLflow store, and holds something.
    """
    if state_of(file) == "store":
        return
    with locked(file):
        state = state_of(file)
        if state == "store":
            return
        if state == "other":
            raise TrackingError(
                f"sqlite:///{file}: the file is no MLflow store that can be used. Move it away; the records hold all "
                "results, and `lyapsweep sync` logs them into a new store."
            )
        for old in file.parent.glob(f"{file.name}.*{PARTIAL_SUFFIX}*"):  # of killed processes
            old.unlink(missing_ok=True)
        create(file)


def state_of(file: Path) -> str:
    """Return "store" if it can be used, "none" if it may be made (again), "other" if it holds something else.

    A store whose creation did not end holds no run and lacks tables, or has none at all.
    """
    if not file.exists() or not file.stat().st_size:
        return "none"
    try:
        with contextlib.closing(
            sqlite3.connect(f"{file.resolve().as_uri()}?mode=rw", uri=True, timeout=TIMEOUT)
        ) as store:
            tables = {name for (name,) in store.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            if "runs" in tables and store.execute("SELECT 1 FROM runs LIMIT 1").fetchone():
                return "store"
            if "experiments" in tables and store.execute("SELECT count(*) FROM experiments").fetchone()[0] > 1:
                return "store"
            if complete(store, tables):
                return "store"
            return "none" if "experiments" in tables or not tables else "other"
    except sqlite3.OperationalError:  # locked, or not writable: MLflow says what it cannot do
        return "store"
    except sqlite3.DatabaseError:
        return "other"


def complete(store: sqlite3.Connection, tables: set[str]) -> bool:
    """Whether MLflow's migrations ended: a version is noted, and no table is missing."""
    from mlflow.store.tracking.dbmodels.models import Base

    version = store.execute("SELECT version_num FROM alembic_version").fetchall() if "alembic_version" in tables else []
    return len(version) == 1 and set(Base.metadata.tables) <= tables


def create(file: Path) -> None:
    """Let MLflow make a store under another name, and rename it."""
    from mlflow import MlflowClient

    part = file.with_name(f"{file.name}.{secrets.token_hex(4)}{PARTIAL_SUFFIX}")
    copy = part.with_name(f"{part.name}2")
    try:
        MlflowClient(tracking_uri=address(part)).search_experiments(max_results=1)
        with (
            contextlib.closing(sqlite3.connect(part)) as made,
            contextlib.closing(sqlite3.connect(copy)) as whole,  # MLflow keeps `part` open
        ):
            made.backup(whole)
        with copy.open("rb") as written:
            os.fsync(written.fileno())
        copy.replace(file)
    finally:
        for name in (part, copy, *part.parent.glob(f"{part.name}-*")):
            name.unlink(missing_ok=True)


@contextlib.contextmanager
def locked(file: Path) -> Iterator[None]:
    """Hold the lock of a store; without effect where the file system has no locks."""
    with file.with_name(f".{file.name}{LOCK_SUFFIX}").open("w") as lock:
        with contextlib.suppress(OSError):
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def relocate(file: Path, experiment: "Experiment", artifacts: Path) -> bool:
    """Follow a results folder that was moved or copied with its store; return whether anything was changed.

    MLflow stores absolute paths. Where the store lies beside the experiment's folder, as lyapsweep places it, its
    artifacts are those of that folder.

    Args:
        file: The SQLite file.
        experiment: The experiment as the store knows it.
        artifacts: The folder of its artifacts, beside the store.
    """
    old, new = experiment.artifact_location.rstrip("/"), artifacts.resolve().as_uri()
    if old == new or not artifacts.is_dir() or not old.endswith(f"/{artifacts.parent.name}/{artifacts.name}"):
        return False
    with contextlib.closing(sqlite3.connect(file, timeout=TIMEOUT)) as store, store:
        store.execute(
            "UPDATE experiments SET artifact_location = ? WHERE experiment_id = ?", (new, experiment.experiment_id)
        )
        for table, column in (("runs", "artifact_uri"), ("logged_models", "artifact_location")):
            store.execute(
                f"UPDATE {table} SET {column} = ? || substr({column}, ?) WHERE experiment_id = ? AND {column} LIKE ?",
                (new, len(old) + 1, experiment.experiment_id, f"{old}/%"),
            )
    return True
