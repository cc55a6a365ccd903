"""What goes wrong on clusters, done to real sweeps: afterwards every trial that was asked for is there once."""

import collections
import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
import weakref
from pathlib import Path

import pytest
import torch
from driving import in_order, last_records, run, runs_of, slow_sweep, start, wait_for
from made_up_sweeps import TINY, states

from lyapsweep.config import Config
from lyapsweep.record import Outcome, Record
from lyapsweep.sweep import Sweep, SweepError, spaces, trainable
from lyapsweep.sweep.journal import Journal
from lyapsweep.sweep.supply import RETRIES, Packs, planned
from lyapsweep.sweep.trouble import Loss

BROKEN = Path(__file__).parent / "broken.py"


# Packs that are lost


@pytest.fixture
def configs(tmp_path):
    file = tmp_path / "tiny.yaml"
    file.write_text(TINY)
    return [Config.load(file, {"seed": seed}) for seed in range(8)]


def lost_until_alone(configs, guilty, why):
    """Hand a pack out until every pack is over; packs with the guilty member are lost each time."""
    packs, given_up, trained, losses = Packs(iter([configs]), {}, lambda: 1), [], [], 0
    while isinstance(handed := packs.suggest(""), dict):
        pack = packs.handed_out[handed["pack"]]
        if guilty in pack:
            losses += 1
            given_up += packs.lose(handed["pack"], pack, why)
        else:
            trained += pack
            packs.close(handed["pack"])
    assert handed == Packs.FINISHED
    return given_up, trained, losses


@pytest.mark.parametrize(("why", "losses"), [(Loss.WORKER, RETRIES + 4), (Loss.MEMORY, 4), (Loss.TIME, 4)])
def test_a_member_that_costs_workers_is_found_and_its_neighbours_train(configs, why, losses):
    """Halved three times, 8 are 1. A lost worker is tried whole RETRIES times before."""
    given_up, trained, lost = lost_until_alone(configs, configs[5], why)
    assert given_up == [configs[5]]
    assert sorted(c.seed for c in trained) == [0, 1, 2, 3, 4, 6, 7]
    assert lost == losses


def short_of_memory(pack, device):
    """Training for which memory suffices up to three members."""
    hoard = torch.zeros(1)
    hoards.append(weakref.ref(hoard))
    if len(pack) > 3:
        raise torch.OutOfMemoryError("CUDA out of memory")
    hoard = None
    assert not any(kept() is not None for kept in hoards)  # what the failed packs had taken is free again
    yield [Record(c, 4, Outcome.FINISHED, provenance={"pack": len(pack)}) for c in pack]


hoards = []


def test_a_pack_too_large_for_the_memory_is_halved_and_the_memory_of_the_first_try_is_free(configs, monkeypatch):
    hoards.clear()
    monkeypatch.setattr(trainable, "run_trials", short_of_memory)
    starved = []
    records = [r for some in trainable.outlast(configs, "cpu", starved) for r in some]
    assert [r.config.seed for r in records] == list(range(8))
    assert {r.outcome for r in records} == {Outcome.FINISHED}
    assert starved == [8, 4, 4]


def test_a_pack_that_goes_out_again_is_the_same_pack_and_says_who_has_ended(configs):
    ended = {configs[2].id}
    packs = Packs(iter([configs]), {}, lambda: 1, ended.__contains__)
    first = packs.suggest("")
    assert packs.lose(first["pack"], [c for c in configs if c.id not in ended], Loss.WORKER) == []
    again = packs.suggest("")
    assert (again["pack"], again["configs"]) == (1, first["configs"])
    assert again["known"] == [configs[2].id]


def test_a_resumed_sweep_trains_the_packs_of_its_first_plan(tmp_path, configs):
    """Whole where a member was cut short; those that failed by themselves; extensions in packs of their own."""
    sweep = Sweep(base=tmp_path / "tiny.yaml", objective="loss", grid={"seed": list(range(12))})
    points = spaces.draw(sweep)
    keys = [p.config.id for p in points]
    journal = Journal(tmp_path / "optuna.journal", "a", "minimise", "map", 0)
    ended, failed = {*keys[:4], keys[6]}, {keys[7]}
    plan = planned([points[:8], points[8:]], 3, "cpu", journal, ended, failed)
    assert [[c.seed for c in pack] for pack in plan] == [[3, 4, 5], [7], [8, 9], [10, 11]]
    entered = [t.user_attrs["trial_key"] for t in journal.study.trials]
    assert entered == [keys[i] for i in (4, 5, 7, 8, 9, 10, 11)]


def test_later_packs_of_a_shape_are_cut_to_what_fits(configs):
    other = [c.changed({"cell/units": 5}) for c in configs]
    packs = Packs(iter([configs, configs[::-1], other]), {}, lambda: 9)
    packs.suggest("")
    packs.learn(0, 3)
    packs.learn(0, 1)  # of the member alone for which no memory suffices
    sizes = []
    while isinstance(handed := packs.suggest(""), dict):
        sizes.append(len(handed["configs"]))
        packs.close(handed["pack"])
    assert sorted(sizes) == [2, 3, 3, 8]


def test_there_are_never_more_packs_out_than_there_is_room(configs):
    room = iter([1, 1, 2, 0, 2])
    packs = Packs(iter([[c] for c in configs]), {}, lambda: next(room))
    assert [isinstance(packs.suggest(""), dict) for _ in range(4)] == [True, False, True, False]
    packs.close(0)
    assert isinstance(packs.suggest(""), dict)


def test_room_follows_the_nodes_and_waits_for_the_first(monkeypatch):
    from lyapsweep.sweep import cluster

    nodes, asked = iter([{}, {}, {"CPU": 3.0}, {"CPU": 8.0, "GPU": 1.0}]), []
    monkeypatch.setattr(cluster.ray, "cluster_resources", lambda: next(nodes))
    monkeypatch.setattr(cluster, "request_resources", lambda bundles: asked.append(bundles))
    monkeypatch.setattr(cluster.Room, "EVERY", 0.0)
    room = cluster.Room(None, 0.0)
    room.wait(5, 30.0, threading.Event())
    assert asked == [[{"CPU": 1.0}] * 5]
    assert (room.packs, room()) == (3, 8)


@pytest.mark.parametrize(("gpus", "packs"), [(1.0, 2), (0.25, 8), (0.3, 6), (2.0, 1)])
def test_packs_share_gpus(monkeypatch, gpus, packs):
    from lyapsweep.sweep import cluster

    monkeypatch.setattr(cluster.ray, "cluster_resources", lambda: {"CPU": 16.0, "GPU": 2.0})
    assert cluster.Room(None, gpus)() == packs
    assert cluster.Room(1, gpus)() == 1
    with pytest.raises(SweepError, match="has 16 CPUs and 2 GPUs"):
        cluster.Room(None, 3.0).wait(1, 0.0, threading.Event())


def test_a_journal_whose_last_line_was_cut_short_is_read_and_written_on(configs, tmp_path):
    file = tmp_path / "optuna.journal"
    Journal(file, "a", "minimise", "map", 0).study.ask()
    with file.open("ab") as journal:
        journal.write(b'{"op_code": 4, "wor')
    (tmp_path / "optuna.journal.lock").write_text("of a dead process")
    began = time.monotonic()
    again = Journal(file, "a", "minimise", "map", 0)
    again.reconcile({})
    again.study.tell(again.study.ask(), 1.0)
    assert time.monotonic() - began < 10  # the lock of a dead process is not waited for
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
    summary = run(sweep, results=tmp_path, jobs=2, time_limit=40, tracking_uri=f"sqlite:///{tmp_path / 'mlflow.db'}")
    finals = {r.config.init["kind"].rpartition(":")[2]: r for r in last_records(summary.folder)}
    fine = {"well", *once}
    assert {name for name, r in finals.items() if r.outcome is Outcome.FINISHED} == fine
    assert {name for name, r in finals.items() if r.outcome is Outcome.FAILED} == set(always) - fine
    errors = {name: finals[name].provenance["error"] for name in set(always) - fine}
    assert errors["raises"] == "FloatingPointError: this one is not well"
    assert "longer than the time limit of 40 s" in errors["hangs"]
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
    output, _ = start(tmp_path, sweep, resume=True).communicate(timeout=240)
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
        output, _ = start(tmp_path, sweep, results=disk, tracking_uri=store).communicate(timeout=120)
        assert "SUMMARY True" in output, output
        assert "No space left on device" in output
        assert "--resume" in output
        (disk / "ballast").unlink()
        output, _ = start(tmp_path, sweep, results=disk, tracking_uri=store, resume=True).communicate(timeout=120)
        assert "SUMMARY False 3" in output, output
        in_order(disk, "question", trials=3, uri=store)


# A tracking server that goes away


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@contextlib.contextmanager
def mlflow_server(folder: Path, port: int, backend: str | None = None):
    """`mlflow server`, up when this is entered and gone, with its workers, when it is left."""
    folder.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", backend or f"sqlite:///{folder / 'mlflow.db'}"]
    command += ["--artifacts-destination", str(folder / "artifacts")]
    settings = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    with (folder / "server.log").open("ab") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, env=settings, start_new_session=True)
    try:
        for _ in range(240):
            with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=1):
                break
            assert server.poll() is None, (folder / "server.log").read_text()
            time.sleep(0.5)
        yield server
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def sweep_without_server(tmp_path, trials: int, away: float) -> str:
    """A sweep whose server is killed when the first trial has ended, and is back `away` seconds after that was felt."""
    sweep, port = slow_sweep(tmp_path, trials), free_port()
    uri = f"http://127.0.0.1:{port}"
    with mlflow_server(tmp_path / "mlflow", port):
        process = start(tmp_path, sweep, tracking_uri=uri)
        wait_for(process, "PROGRESS 1 1")
    wait_for(process, "Tracking fails")
    time.sleep(away)
    with mlflow_server(tmp_path / "mlflow", port):
        output, _ = process.communicate(timeout=900)
        assert f"SUMMARY False {trials}" in output, output
        in_order(tmp_path / "results", "question", trials, uri)
    return output


@pytest.mark.cluster
def test_a_server_that_is_away_for_some_seconds_misses_nothing(tmp_path):
    assert "MLflow was away 1 time" in sweep_without_server(tmp_path, trials=8, away=2)


@pytest.mark.cluster
@pytest.mark.slow
def test_a_server_that_is_away_for_a_minute_misses_nothing(tmp_path):
    assert "MLflow was away 1 time" in sweep_without_server(tmp_path, trials=30, away=60)
