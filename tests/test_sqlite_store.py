"""The SQLite store of MLflow: made once, whole or not at all; half-made ones are made again, others are refused."""

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys

import pytest
from driving import alone

from lyapsweep.tracking import TrackingError, sqlite_store, stores


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    file = tmp_path_factory.mktemp("store") / "mlflow.db"
    stores.connect(f"sqlite:///{file}")
    return file


def tables(file) -> set[str]:
    with contextlib.closing(sqlite3.connect(file)) as store:
        return {name for (name,) in store.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def change(file, *statements):
    with contextlib.closing(sqlite3.connect(file)) as store:
        for statement in statements:
            store.execute(statement)
        store.commit()


def copied(made, tmp_path):
    file = tmp_path / "mlflow.db"
    file.write_bytes(made.read_bytes())
    return file


def test_a_new_store_is_complete_and_nothing_else_is_left(made):
    assert sqlite_store.state_of(made) == "store"
    assert {"experiments", "runs", "alembic_version"} <= tables(made)
    assert sorted(p.name for p in made.parent.iterdir()) == [".mlflow.db.lock", "mlflow.db"]


def test_a_store_is_made_once(made):
    before = made.stat()
    stores.connect(f"sqlite:///{made}")
    assert (made.stat().st_ino, made.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


HALF_MADE = {
    "no version": ["DELETE FROM alembic_version"],
    "no table of versions": ["DROP TABLE alembic_version"],
    "a table is missing": ["DROP TABLE registered_models"],
}


@pytest.mark.parametrize("statements", HALF_MADE.values(), ids=HALF_MADE)
def test_a_half_made_store_without_runs_is_made_again(made, tmp_path, monkeypatch, statements):
    file = copied(made, tmp_path)
    change(file, *statements)
    assert sqlite_store.state_of(file) == "none"
    monkeypatch.setattr(sqlite_store, "create", lambda f: f.write_bytes(made.read_bytes()))
    sqlite_store.ensure(file)
    assert sqlite_store.state_of(file) == "store"


@pytest.mark.parametrize("holds", ["INSERT INTO experiments (name, lifecycle_stage) VALUES ('mine', 'active')", "run"])
def test_what_holds_results_is_left_as_it_is(made, tmp_path, holds):
    file = copied(made, tmp_path)
    run = "INSERT INTO runs (run_uuid, experiment_id, lifecycle_stage) VALUES ('1', 0, 'active')"
    change(file, run if holds == "run" else holds, "DELETE FROM alembic_version")
    before = file.read_bytes()
    sqlite_store.ensure(file)
    assert file.read_bytes() == before


@pytest.mark.parametrize("content", [b"not a database at all" * 100, "other", "cut"])
def test_what_is_no_store_is_refused(made, tmp_path, content):
    file = tmp_path / "mlflow.db"
    if content == "other":
        change(file, "CREATE TABLE mine (x)")
    else:
        file.write_bytes(made.read_bytes()[:5000] if content == "cut" else content)
    before = file.read_bytes()
    with pytest.raises(TrackingError, match=r"no MLflow store that can be used. Move it away.*lyapsweep sync"):
        sqlite_store.ensure(file)
    assert file.read_bytes() == before


def test_an_empty_file_and_parts_of_killed_processes_are_replaced(made, tmp_path, monkeypatch):
    file = tmp_path / "mlflow.db"
    file.touch()
    (tmp_path / "mlflow.db.0000.part").touch()
    monkeypatch.setattr(sqlite_store, "create", lambda f: f.write_bytes(made.read_bytes()))
    sqlite_store.ensure(file)
    assert sqlite_store.state_of(file) == "store"
    assert sorted(p.name for p in tmp_path.iterdir()) == [".mlflow.db.lock", "mlflow.db"]


KILLED = """
import os, signal, sys
from sqlalchemy import event
from sqlalchemy.engine import Engine
from lyapsweep import tracking

@event.listens_for(Engine, "after_cursor_execute")
def die(connection, cursor, statement, *rest):
    if "CREATE TABLE spans" in statement:
        os.kill(os.getpid(), signal.SIGKILL)

tracking.prepare("x", sys.argv[1])
"""
LOG = """
import sys
from lyapsweep import tracking
logger = tracking.prepare(sys.argv[2], sys.argv[1])
print(logger.client.create_run(logger.experiment_id).info.run_id)
"""


def python(script, *arguments):
    return subprocess.Popen(
        [sys.executable, "-c", script, *arguments], env=alone(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


@pytest.mark.slow  # MLflow takes ten seconds to make a store, and as long to import on a busy machine
def test_a_kill_while_the_store_is_made_leaves_nothing_that_a_later_command_trips_over(tmp_path):
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    assert python(KILLED, uri).wait() == -signal.SIGKILL
    assert not (tmp_path / "mlflow.db").exists()
    process = python(LOG, uri, "x")
    assert process.communicate()[1] is not None
    assert process.returncode == 0


@pytest.mark.slow
def test_eight_commands_that_start_at_once_all_succeed(tmp_path):
    for attempt in range(int(os.environ.get("ATTEMPTS", "2"))):
        uri = f"sqlite:///{tmp_path / f'mlflow{attempt}.db'}"
        processes = [python(LOG, uri, "same" if i % 2 else f"own{i}") for i in range(8)]
        ends = [(process.communicate(), process.returncode) for process in processes]
        assert [code for _, code in ends] == [0] * 8, ends
        with contextlib.closing(sqlite3.connect(tmp_path / f"mlflow{attempt}.db")) as store:
            assert store.execute("SELECT count(*) FROM runs").fetchone() == (8,)
            assert store.execute("SELECT count(*) FROM experiments").fetchone() == (6,)  # Default, same, four own
