"""Sweeps on Ray: ends that were asked for, ends that were not, and what is left to resume."""

import collections
import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from driving import last_outcomes, run, runs_of, slow_sweep, start, wait_for, workers_of
from made_up_sweeps import TINY, lr_space, states
from waiting import HANGS, patience

from lyapsweep.results.record import Outcome, Record
from lyapsweep.sweep import Sweep, SweepError


def resumed(folder: Path, sweep: Path) -> set[str]:
    """Resume, see that every trial has finished once, and return the attempts that MLflow counts."""
    output, _ = start(folder, sweep, resume=True).communicate(timeout=HANGS)
    assert "SUMMARY False 3" in output, output
    results = folder / "results"
    assert last_outcomes(results / "question") == dict.fromkeys(range(3), "finished")
    runs = runs_of(results, "question")
    assert len(runs) == 3
    assert {r.info.status for r in runs} == {"FINISHED"}
    assert collections.Counter(states(results / "question", "question"))["COMPLETE"] == 3
    assert "RUNNING" not in states(results / "question", "question")
    assert (results / "question" / "atlas.html").exists()
    return {r.data.tags["attempt"] for r in runs}


@pytest.mark.cluster
def test_ctrl_c_ends_within_seconds_and_a_resume_finishes(tmp_path):
    sweep = slow_sweep(tmp_path)
    process = start(tmp_path, sweep)
    wait_for(process, "PROGRESS 1 1")
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=HANGS)
    assert time.monotonic() - began < patience(30)
    assert "SUMMARY True" in output, output
    assert "--resume" in output
    assert "Traceback" not in output
    results = tmp_path / "results"
    assert "running" not in last_outcomes(results / "question").values()
    assert "RUNNING" not in {r.info.status for r in runs_of(results, "question")}
    assert "KILLED" in {r.info.status for r in runs_of(results, "question")}
    assert "RUNNING" not in states(results / "question", "question")
    refused, _ = start(tmp_path, sweep).communicate(timeout=HANGS)
    assert "Continue with --resume" in refused
    assert resumed(tmp_path, sweep) == {"1", "2"}  # those that had ended were not begun again


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Eight trials: two packs of two that train, and two whose windows are longer than their data."""
    folder = tmp_path_factory.mktemp("sweep")
    (folder / "tiny.yaml").write_text(TINY)
    grid = {"windows/length": [20, 5000], "cell/units": [3, 4], "seed": [0, 1]}
    sweep = Sweep(base=folder / "tiny.yaml", objective="loss", grid=grid, name="eight", question="Does it run?")
    told = []
    summary = run(
        sweep, results=folder, jobs=2, pack=2, tracking_uri=f"sqlite:///{folder / 'mlflow.db'}", listen=told.append
    )
    return sweep, summary, told


@pytest.mark.cluster
def test_a_sweep_end_to_end(finished):
    from lyapsweep import tracking
    from lyapsweep.results.table import Table

    _, summary, told = finished
    assert (summary.progress.asked, summary.progress.finished, summary.progress.failed) == (8, 4, 4)
    assert not summary.interrupted
    assert summary.atlas == summary.folder / "atlas.html"
    assert "Does it run?" in summary.atlas.read_text()
    assert [p.done for p in told] == sorted(p.done for p in told)
    here, there = Table.read(summary.folder), tracking.read("eight", summary.tracking_uri)
    assert here.frame.equals(there.frame)
    assert here.description == there.description
    finals = here.frame[here.frame["final"]]
    assert len(finals) == 8
    trained = finals[finals["outcome"] == "finished"]
    assert set(trained["provenance/pack"]) == {2}  # they did train side by side
    best = trained.loc[trained["measures/loss"].idxmin()]
    assert (best["trial"], best["measures/loss"]) == (summary.best_trial, summary.progress.best[0])
    runs = runs_of(summary.folder.parent, "eight")
    assert collections.Counter(r.info.status for r in runs) == {"FINISHED": 4, "FAILED": 4}
    assert collections.Counter(states(summary.folder, "eight")) == {"COMPLETE": 4, "FAIL": 4}


@pytest.mark.cluster
def test_an_error_inside_a_trial_is_in_its_record_and_the_sweep_goes_on(finished):
    _, summary, _ = finished
    failed = [r for r in map(Record.load, summary.folder.glob("records/*.npz")) if r.outcome is Outcome.FAILED]
    assert len(failed) == 4
    assert all("windows/length" in (r.provenance.error or "") for r in failed)


@pytest.mark.cluster
def test_a_complete_sweep_run_again_trains_nothing_and_a_resume_tries_the_failed_again(finished):
    sweep, summary, _ = finished
    before = {f: f.stat().st_mtime for f in summary.folder.glob("records/*.npz")}
    with pytest.raises(SweepError, match="--resume"):  # four trials failed: that is not complete
        run(sweep, results=summary.folder.parent, tracking_uri=summary.tracking_uri)
    again = run(sweep, results=summary.folder.parent, jobs=2, resume=True, tracking_uri=summary.tracking_uri)
    assert (again.progress.finished, again.progress.failed) == (4, 4)
    after = {f: f.stat().st_mtime for f in summary.folder.glob("records/*.npz")}
    assert sum(after[f] != before[f] for f in before) == 4
    runs = runs_of(summary.folder.parent, "eight")
    assert collections.Counter(r.data.tags["attempt"] for r in runs) == {"1": 4, "2": 4}


@pytest.mark.cluster
def test_a_hunt_stops_what_is_worse_and_says_so(tmp_path):
    (tmp_path / "tiny.yaml").write_text(TINY.replace("steps: 4, report_every: 2", "steps: 90, report_every: 10"))
    sweep = Sweep(base=tmp_path / "tiny.yaml", objective="loss", space=lr_space, trials=8, intent="hunt", name="hunt")
    summary = run(sweep, results=tmp_path, jobs=2, tracking_uri=f"sqlite:///{tmp_path / 'mlflow.db'}")
    told = summary.progress
    assert told.finished + told.stopped == told.done == 8
    assert told.stopped >= 1
    counted = collections.Counter(states(summary.folder, "hunt"))
    assert counted == {"COMPLETE": told.finished, "PRUNED": told.stopped}
    stopped = [r for r in map(Record.load, summary.folder.glob("records/*.npz")) if r.outcome is Outcome.STOPPED]
    assert len(stopped) == told.stopped
    assert {r.provenance.stopped_by for r in stopped} == {"halving"}
    assert json.loads((summary.folder / "sweep.json").read_text())["intent"] == "hunt"


@pytest.mark.cluster
@pytest.mark.slow
@pytest.mark.parametrize("moment", ["PROGRESS 1 0", "PROGRESS 1 1"])
def test_a_worker_that_is_killed_costs_no_trial(tmp_path, moment):
    """Between two packs, where Ray itself would forget the next one, and inside a pack."""
    sweep = slow_sweep(tmp_path)
    process = start(tmp_path, sweep)
    assert process.stdout is not None
    seen = next(line for line in process.stdout if line.startswith(moment))
    workers = workers_of(process.pid)
    assert workers, seen
    for worker in workers:
        os.kill(worker, signal.SIGKILL)
    output, _ = process.communicate(timeout=HANGS)
    assert "SUMMARY False 3" in output, output
    assert last_outcomes(tmp_path / "results" / "question") == dict.fromkeys(range(3), "finished")
    assert {r.info.status for r in runs_of(tmp_path / "results", "question")} == {"FINISHED"}
    assert "RUNNING" not in states(tmp_path / "results" / "question", "question")


@pytest.mark.cluster
@pytest.mark.parametrize("process", ["raylet/raylet", "gcs/gcs_server"])
def test_a_ray_that_dies_ends_the_sweep_in_words(tmp_path, process):
    sweep = slow_sweep(tmp_path, steps=200_000)
    driver = start(tmp_path, sweep)
    wait_for(driver, "PROGRESS 0 1")
    children = subprocess.run(
        ["pgrep", "-P", str(driver.pid), "-f", process], capture_output=True, text=True, check=True
    )
    os.kill(int(children.stdout.split()[0]), signal.SIGKILL)
    output, _ = driver.communicate(timeout=HANGS)
    assert "Ray on this machine ended" in output, output
    assert "--resume" in output
    assert "finished" not in last_outcomes(tmp_path / "results" / "question").values()
