"""What `lyapsweep status` and `lyapsweep sync` say and do, and what --extend adds."""

import json
import os
import socket
import time

import pytest
from click.testing import CliRunner
from driving import run, runs_of
from made_up_sweeps import TINY, states
from mlflow import MlflowClient

from lyapsweep.cli import main
from lyapsweep.config import Config
from lyapsweep.results.experiment import HEARTBEAT
from lyapsweep.results.provenance import Provenance
from lyapsweep.results.record import Outcome, Record
from lyapsweep.results.table import Table
from lyapsweep.sweep import Sweep, spaces
from lyapsweep.sweep.observe.heartbeat import TIMEOUT, HeartbeatWriter, read_heartbeat
from lyapsweep.sweep.observe.status import read_status

ENDS = [
    (Outcome.FINISHED, {"node": "a/1"}),
    (Outcome.FINISHED, {"node": "a/1"}),
    (Outcome.DIVERGED, {"node": "b/2"}),
    (Outcome.FAILED, {"node": "b/2", "error": "no"}),
    (Outcome.STOPPED, {"interrupted": True}),
    (Outcome.RUNNING, {}),
]


@pytest.fixture
def folder(tmp_path):
    """Six of ten trials: four that ended a minute apart, one interrupted, one half-way."""
    base = tmp_path / "tiny.yaml"
    base.write_text(TINY)
    made = tmp_path / "results" / "asked"
    now = time.time()
    for seed, (outcome, told) in enumerate(ENDS):
        config = Config.load(base, {"seed": seed})
        Record(config, 0, Outcome.RUNNING, measures={"loss": 2.0}).save(made / "records")
        file = Record(config, 2, outcome, measures={"loss": 1.0}, provenance=Provenance(**told)).save(made / "records")
        os.utime(file, (now, now - 60 * (5 - seed)))
    about = {"name": "asked", "trials": 10, "question": "Why?", "intent": "map", "varied": ["seed"], "outcomes": {}}
    (made / "sweep.json").write_text(json.dumps(about))
    return made


def lyapsweep(*words):
    ran = CliRunner().invoke(main, [str(w) for w in words], catch_exceptions=False)
    return ran.exit_code, ran.output


def test_the_state_is_read_off_the_folder_alone(folder):
    found = read_status(folder)
    assert (found.asked, found.done) == (10, 4)
    assert found.outcomes == {"finished": 2, "diverged": 1, "failed": 1, "running": 2}
    assert found.nodes == {"a/1": 2, "b/2": 2}
    assert found.pace == pytest.approx(1, rel=0.02)  # trials a minute
    assert not found.runs
    assert found.left is None  # nobody works on it


def test_a_driver_is_heard_until_it_falls_silent_or_says_that_it_is_over(folder):
    heartbeat = HeartbeatWriter(folder)
    heartbeat.write(running=2, behind=7)
    alive = read_status(folder)
    assert alive.runs
    assert alive.driver is not None
    assert (alive.driver.host, alive.driver.pid) == (socket.gethostname(), os.getpid())
    assert alive.left is not None
    assert 60 * 6 <= alive.left <= 60 * 12  # six are missing, and none has ended for two minutes
    told = json.loads((folder / HEARTBEAT).read_text())
    (folder / HEARTBEAT).write_text(json.dumps(told | {"time": told["time"] - TIMEOUT}))
    assert not read_status(folder).runs
    heartbeat.write(over=True)
    assert (read_heartbeat(folder).over, read_status(folder).runs) == (True, False)


def test_a_beat_comes_seldom_and_never_stops_a_sweep(folder, tmp_path):
    heartbeat = HeartbeatWriter(folder)
    heartbeat.write(running=1)
    heartbeat.write(running=2)
    assert read_heartbeat(folder).running == 1
    HeartbeatWriter(tmp_path / "not there").write()


def test_status_in_words_and_in_json(folder):
    code, said = lyapsweep("status", "asked", "--results", folder.parent)
    assert code == 0
    assert "4/10 (1 diverged, 1 failed, 2 finished, 2 interrupted)" in said
    assert "no heartbeat found" in said
    assert "a/1: 2 trials" in said
    HeartbeatWriter(folder).write(running=2, behind=7)
    _, said = lyapsweep("status", folder)
    assert "2 running" in said
    assert f"runs on {socket.gethostname()}" in said
    assert "7 requests pending" in said
    code, told = lyapsweep("status", "sweeps/asked.py", "--results", folder.parent, "--json")
    assert json.loads(told)["outcomes"] == {"finished": 2, "diverged": 1, "failed": 1, "running": 2}
    assert json.loads(told)["runs"] is True


def test_status_of_nothing_says_where_it_looked(tmp_path):
    ran = CliRunner().invoke(main, ["status", "nothing", "--results", str(tmp_path)])
    assert ran.exit_code == 2
    assert f"{tmp_path}/nothing" in ran.output


def test_sync_logs_a_folder_to_any_store_and_twice_is_once(folder, tmp_path):
    uri = f"sqlite:///{tmp_path / 'other.db'}"
    code, said = lyapsweep("sync", folder, "--tracking-uri", uri)
    assert code == 0
    assert "12 records" in said
    runs = runs_of(tmp_path, "asked", uri)
    assert sorted(r.info.status for r in runs) == ["FAILED", "FINISHED", "FINISHED", "FINISHED", "KILLED", "KILLED"]
    assert {r.info.run_name for r in runs} == {f"seed={s}" for s in range(6)}
    before = [(r.info.run_id, r.data.metrics, r.data.tags) for r in runs]
    assert "0 records" in lyapsweep("sync", folder, "--tracking-uri", uri)[1]
    assert [(r.info.run_id, r.data.metrics, r.data.tags) for r in runs_of(tmp_path, "asked", uri)] == before
    client = MlflowClient(tracking_uri=uri)
    experiment = client.get_experiment_by_name("asked")
    (summary,) = client.search_runs([experiment.experiment_id], "tags.summary = 'yes'")
    assert summary.data.tags["mlflow.note.content"].startswith("Why?")


def test_sync_leaves_alone_what_a_living_driver_trains(folder, tmp_path):
    HeartbeatWriter(folder).write(running=1)
    uri = f"sqlite:///{tmp_path / 'other.db'}"
    lyapsweep("sync", folder, "--tracking-uri", uri)
    assert sorted(r.info.status for r in runs_of(tmp_path, "asked", uri)).count("RUNNING") == 1


def lr_and_seed(trial):
    spaces.log_float(trial, "training/lr", 1e-4, 1e-2)


@pytest.mark.cluster
def test_extending_trains_the_new_points_only_and_a_resume_knows_of_them(tmp_path):
    (tmp_path / "tiny.yaml").write_text(TINY)
    sweep = Sweep(base=tmp_path / "tiny.yaml", objective="loss", space=lr_and_seed, trials=3, name="more")
    there = {"results": tmp_path, "jobs": 1, "tracking_uri": f"sqlite:///{tmp_path / 'mlflow.db'}"}
    run(sweep, **there)
    before = {f: f.stat().st_mtime_ns for f in (tmp_path / "more/records").glob("*.npz")}
    extended = run(sweep, extend=2, **there)
    assert (extended.progress.asked, extended.progress.finished) == (5, 5)
    after = {f: f.stat().st_mtime_ns for f in (tmp_path / "more/records").glob("*.npz")}
    assert before.items() <= after.items()
    assert set(Table.read(tmp_path / "more").finals.frame["provenance/pack"]) == {3, 2}
    again = run(sweep, resume=True, **there)  # nothing is left to do: no Ray is started
    assert (again.progress.asked, again.progress.finished) == (5, 5)
    assert states(tmp_path / "more", "more") == ["COMPLETE"] * 5
