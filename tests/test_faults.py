"""What goes wrong on clusters, done to real sweeps: afterwards every trial that was asked for is there once."""

import collections
import contextlib
import subprocess
import time
from pathlib import Path

import pytest
from driving import (
    free_port,
    in_order,
    last_records,
    mlflow_server,
    run,
    runs_of,
    slow_sweep,
    start,
    wait_for,
)
from made_up_sweeps import TINY, a_sweep, states
from waiting import HANGS, patience

from lyapsweep.results.record import Outcome
from lyapsweep.sweep import Sweep
from lyapsweep.sweep.execute.optuna_study import OptunaStudy

BROKEN = Path(__file__).parent / "broken.py"


# Journals and workers


def test_a_journal_whose_last_line_was_cut_short_is_read_and_written_on(tmp_path):
    file = tmp_path / "optuna.journal"
    OptunaStudy(file, "a", a_sweep(), 0).study.ask()
    with file.open("ab") as journal:
        journal.write(b'{"op_code": 4, "wor')
    (tmp_path / "optuna.journal.lock").write_text("of a dead process")
    began = time.monotonic()
    again = OptunaStudy(file, "a", a_sweep(), 0)
    again.reconcile({})
    again.study.tell(again.study.ask(), 1.0)
    assert time.monotonic() - began < patience(10)  # the lock of a dead process is not waited for
    assert states(tmp_path) == ["FAIL", "COMPLETE"]


@pytest.mark.cluster
def test_every_way_in_which_a_trial_can_break(tmp_path):
    """One sweep: what can be trained is trained, whatever befalls its worker; what cannot says why in its record."""
    (tmp_path / "tiny.yaml").write_text(TINY.replace("steps: 4, report_every: 2", "steps: 200, report_every: 100"))
    always = ["well", "raises", "hangs", "wants_memory", "takes_memory", "dies"]
    once = ["dies_in_training", "dies_in_save", "dies_after_save"]
    inits = [{"kind": f"{BROKEN}:{name}"} for name in always]
    inits += [{"kind": f"{BROKEN}:{name}", "marker": str(tmp_path / name)} for name in once]
    sweep = Sweep(base=tmp_path / "tiny.yaml", objective="loss", grid={"init": inits}, name="broken", pack=1)
    limit = round(patience(40))
    summary = run(sweep, results=tmp_path, jobs=2, time_limit=limit, tracking_uri=f"sqlite:///{tmp_path / 'mlflow.db'}")
    finals = {r.config.init["kind"].rpartition(":")[2]: r for r in last_records(summary.folder)}
    fine = {"well", *once}
    assert {name for name, r in finals.items() if r.outcome is Outcome.FINISHED} == fine
    assert {name for name, r in finals.items() if r.outcome is Outcome.FAILED} == set(always) - fine
    errors = {name: finals[name].provenance.error for name in set(always) - fine}
    assert errors["raises"].endswith("FloatingPointError: this one is not well")
    assert f"longer than the time limit of {limit:g} s" in errors["hangs"]
    assert "memory" in errors["wants_memory"]
    assert "memory" in errors["takes_memory"]
    assert "worker was lost" in errors["dies"]
    assert all((tmp_path / name).exists() for name in once)  # they did die
    assert not list(summary.folder.rglob("*.part"))
    assert (summary.progress.asked, summary.progress.finished, summary.progress.failed) == (9, 4, 5)
    assert "5 packs came back unfinished because its worker was lost" in summary.notes
    # three of the one that always dies; not that of the one whose record was there when its worker died
    assert "1 pack came back unfinished because it ran longer" in summary.notes
    runs = runs_of(tmp_path, "broken")
    assert collections.Counter(r.info.status for r in runs) == {"FINISHED": 4, "FAILED": 5}
    assert collections.Counter(states(summary.folder, "broken")) == {"COMPLETE": 4, "FAIL": 5}


@pytest.mark.cluster
@pytest.mark.slow
def test_a_member_that_kills_its_worker_costs_its_pack_no_trial(tmp_path):
    (tmp_path / "tiny.yaml").write_text(TINY)
    inits = [{"kind": f"{BROKEN}:{name}"} for name in ("well", "dies")]
    grid = {"init": inits, "seed": [0, 1, 2]}
    (tmp_path / "tiny.yaml").write_text(TINY)
    sweep = Sweep(base=tmp_path / "tiny.yaml", objective="loss", grid=grid, name="killer", pack=6)
    summary = run(sweep, results=tmp_path, jobs=2, tracking_uri=f"sqlite:///{tmp_path / 'mlflow.db'}")
    assert (summary.progress.finished, summary.progress.failed) == (3, 3)
    outcomes = {(r.config.init["kind"].rpartition(":")[2], r.outcome.value) for r in last_records(summary.folder)}
    assert outcomes == {("well", "finished"), ("dies", "failed")}


# Drivers that are killed


@pytest.mark.cluster
def test_a_driver_that_is_killed_twice_loses_nothing(tmp_path):
    """Before there is a record, and when one trial has ended; the last one is killed between MLflow and the end."""
    sweep = slow_sweep(tmp_path)
    for moment, resume in (("PROGRESS 0 1", False), ("PROGRESS 1 1", True)):
        process = start(tmp_path, sweep, resume=resume)
        wait_for(process, moment)
        process.kill()
        process.wait()
        assert "RUNNING" in states(tmp_path / "results/question", "question")
    output, _ = start(tmp_path, sweep, resume=True).communicate(timeout=HANGS)
    assert "SUMMARY False 3" in output, output
    in_order(tmp_path / "results", "question", trials=3)


# A full disk


@contextlib.contextmanager
def small_disk(place: Path, size: str):
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)], capture_output=True)
    if mounted.returncode:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.decode().strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.mark.cluster
def test_a_full_disk_ends_the_sweep_in_words_and_a_resume_finishes(tmp_path):
    sweep = slow_sweep(tmp_path, steps=300)
    store = f"sqlite:///{tmp_path / 'mlflow.db'}"
    with small_disk(tmp_path / "disk", "1m") as disk:
        (disk / "ballast").write_bytes(bytes(2**20 - 40 * 1024))
        output, _ = start(tmp_path, sweep, results=disk, tracking_uri=store).communicate(timeout=HANGS)
        assert "SUMMARY True" in output, output
        assert "No space left on device" in output
        assert "--resume" in output
        (disk / "ballast").unlink()
        output, _ = start(tmp_path, sweep, results=disk, tracking_uri=store, resume=True).communicate(timeout=HANGS)
        assert "SUMMARY False 3" in output, output
        in_order(disk, "question", trials=3, uri=store)


# A tracking server that goes away


def sweep_without_server(tmp_path, trials: int, away: float) -> str:
    """A sweep whose server is killed when the first trial has ended, and is back `away` seconds after that was felt.

    The trials must last until then: a sweep that ends first says that MLflow lacks results.
    """
    sweep, port = slow_sweep(tmp_path, trials, steps=6000), free_port()
    uri = f"http://127.0.0.1:{port}"
    with mlflow_server(tmp_path / "mlflow", port):
        process = start(tmp_path, sweep, tracking_uri=uri)
        wait_for(process, "PROGRESS 1 1")
    wait_for(process, "MLflow: logging failed")
    time.sleep(away)
    with mlflow_server(tmp_path / "mlflow", port):
        output, _ = process.communicate(timeout=HANGS)
        assert f"SUMMARY False {trials}" in output, output
        in_order(tmp_path / "results", "question", trials, uri)
    return output


@pytest.mark.cluster
def test_a_server_that_is_away_for_some_seconds_misses_nothing(tmp_path):
    assert "MLflow did not answer 1 time" in sweep_without_server(tmp_path, trials=30, away=2)


@pytest.mark.cluster
@pytest.mark.slow
def test_a_server_that_is_away_for_a_minute_misses_nothing(tmp_path):
    assert "MLflow did not answer 1 time" in sweep_without_server(tmp_path, trials=120, away=60)
