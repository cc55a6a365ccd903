"""Hunts whose workers and drivers are killed in the middle: nothing is lost, and nothing is trained twice."""

import collections
import os
import signal

import pytest
from driving import last_records, start, wait_until_done, workers_of
from made_up_sweeps import TINY, states, written
from waiting import HANGS

from lyapsweep.results.record import Outcome
from lyapsweep.results.record_files import files_by_trial

TRIALS = 12
HUNT = f"""
from lyapsweep.sweep import Halving, Sweep


def space(trial):
    trial.suggest_float("training/lr", 1e-4, 1e-2, log=True)


SWEEP = Sweep(base="tiny.yaml", objective="loss", space=space, trials={TRIALS}, intent="hunt", pack=4,
              halving=Halving(grace=0.2, reduction=2))
"""


def hunt(folder, steps=1500):
    (folder / "tiny.yaml").write_text(TINY.replace("steps: 4, report_every: 2", f"steps: {steps}, report_every: 300"))
    return written(folder, HUNT)


def kept(folder):
    """When every record was written, but for the last of each trial: a resumed sweep writes that one again."""
    return {file: file.stat().st_mtime_ns for files in files_by_trial(folder).values() for file in files[:-1]}


def check_the_end(folder, output):
    assert "SUMMARY False" in output, output
    outcomes = collections.Counter(record.outcome for record in last_records(folder))
    assert sum(outcomes.values()) == TRIALS
    assert outcomes.keys() == {Outcome.FINISHED, Outcome.STOPPED}
    expected = {"COMPLETE": outcomes[Outcome.FINISHED], "PRUNED": outcomes[Outcome.STOPPED]}
    assert collections.Counter(states(folder, "question")) == expected
    rungs = {record.step for record in last_records(folder) if record.outcome is Outcome.STOPPED}
    assert rungs <= {300, 600, 1200}
    assert not (folder / "checkpoints").exists()


def resume_and_check(folder, sweep, jobs):
    """The hunt goes on to its end, and what was written before is not written again."""
    results = folder / "results" / "question"
    before = kept(results / "records")
    output, _ = start(folder, sweep, resume=True, jobs=jobs).communicate(timeout=HANGS)
    check_the_end(results, output)
    after = kept(results / "records")
    assert {file: after.get(file) for file in before} == before


@pytest.mark.cluster
def test_a_hunt_whose_worker_and_then_driver_is_killed_trains_nothing_twice(tmp_path):
    sweep = hunt(tmp_path)
    process = start(tmp_path, sweep, jobs=1)
    wait_until_done(process, 2)
    for worker in workers_of(process.pid):
        os.kill(worker, signal.SIGKILL)
    wait_until_done(process, 4)
    process.kill()
    process.wait()
    resume_and_check(tmp_path, sweep, jobs=1)


@pytest.mark.cluster
@pytest.mark.slow
@pytest.mark.parametrize("done", range(10))
def test_a_hunt_that_is_killed_at_any_moment_goes_on(tmp_path, done):
    sweep = hunt(tmp_path)
    process = start(tmp_path, sweep, jobs=2)
    wait_until_done(process, done)
    for worker in workers_of(process.pid):
        os.kill(worker, signal.SIGKILL)
    process.kill()
    process.wait()
    resume_and_check(tmp_path, sweep, jobs=2)
