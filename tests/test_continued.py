"""Packs that are cut short in real sweeps train again, at most, what came after their last report."""

import collections
import signal
import time
from pathlib import Path

import pytest
import torch
from driving import in_order, last_records, run, start, wait_for
from made_up_sweeps import TINY, written
from same import same_to_the_bit
from waiting import HANGS, patience

from lyapsweep.config import Config
from lyapsweep.results.record import Outcome, Record
from lyapsweep.results.table import Table
from lyapsweep.sweep import Sweep
from lyapsweep.sweep.execute.trainable import PackTraining
from lyapsweep.training.checkpoint import Checkpoints
from lyapsweep.trial import run_trials


@pytest.fixture(autouse=True)
def slow_enough(monkeypatch):
    """Trained by torch: compiled, these trials would end before a fault can strike."""
    monkeypatch.setenv("LYAPSWEEP_ENGINE", "torch")


BROKEN = Path(__file__).parent / "broken.py"
STEPS, INTERVAL = 200, 50
SHORT = TINY.replace("steps: 4, report_every: 2", f"steps: {STEPS}, report_every: {INTERVAL}")


def updates(log: Path) -> list[list[int]]:
    """The updates that each process made, in their order."""
    made = collections.defaultdict(list)
    for line in log.read_text().splitlines():
        process, step = line.split()
        made[process].append(int(step))
    return list(made.values())


def assert_continued(log: Path, steps: int = STEPS, interval: int = INTERVAL) -> None:
    """Every update was made, the first attempt's last ones twice: no more of them than lie between two reports."""
    first, *later = updates(log)
    assert later, "nobody resumed"
    assert first[0] == 0
    for before, after in zip([first, *later], later):
        assert after[0] % interval == 0
        assert 0 < after[0] <= before[-1] + 1
        assert len(before) == len(set(before))
        assert before[-1] + 1 - after[0] <= interval
    assert later[-1][-1] == steps - 1


def assert_undisturbed(records: list[Record], configs: list[Config]) -> None:
    """Every record is that of the same pack trained here, in one go."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)  # as outside of tests
    try:
        whole = {(r.trial, r.step): r for some in run_trials(configs) for r in some}
    finally:
        torch.set_default_dtype(before)
    mine = {(r.trial, r.step): r for r in records if r.trial in {c.id for c in configs}}
    assert mine.keys() == whole.keys()
    for key, record in whole.items():
        same_to_the_bit(record, mine[key])


def all_records(folder: Path) -> list[Record]:
    return [Record.load(file) for file in sorted(folder.glob("records/*.npz"))]


@pytest.mark.cluster
def test_workers_that_are_killed_lose_at_most_what_came_after_the_last_report(tmp_path):
    """Between two reports, while a checkpoint is written, and when records are saved of which no checkpoint is."""
    (tmp_path / "tiny.yaml").write_text(SHORT)
    ways = ["dies_between_reports", "dies_in_checkpoint", "dies_before_checkpoint"]
    marks = {way: {"marker": str(tmp_path / way), "log": str(tmp_path / f"{way}.log")} for way in ways}
    inits = [{"kind": f"{BROKEN}:{way}"} | marks[way] for way in ways]
    sweep = Sweep(base=tmp_path / "tiny.yaml", objective="loss", grid={"init": inits, "seed": [0, 1]}, name="killed")
    # a pack's members share all but seed and init: one way to die would do for all
    summary = run(sweep, results=tmp_path, jobs=1, pack=2, tracking_uri="none")
    assert summary.progress.finished == 6
    assert "3 packs came back unfinished because its worker was lost. 3 packs resumed" in summary.notes
    assert not (summary.folder / "checkpoints").exists()
    for way, from_step in zip(ways, (100, 50, 50)):
        assert_continued(tmp_path / f"{way}.log")
        members = [r for r in last_records(summary.folder) if r.config.init["kind"].endswith(way)]
        assert [r.provenance.continued for r in members] == [(from_step,)] * 2
        configs = sorted((r.config for r in members), key=lambda c: c.seed)
        assert_undisturbed(all_records(summary.folder), configs)


@pytest.mark.cluster
def test_a_pack_that_takes_too_long_goes_on_in_halves(tmp_path):
    (tmp_path / "tiny.yaml").write_text(SHORT)
    init = {"kind": f"{BROKEN}:hangs_in_company", "log": str(tmp_path / "log")}
    grid = {"init": [init], "seed": [0, 1]}
    sweep = Sweep(base=tmp_path / "tiny.yaml", objective="loss", grid=grid, name="slow")
    summary = run(sweep, results=tmp_path, jobs=1, pack=2, time_limit=patience(20), tracking_uri="none")
    assert summary.progress.finished == 2
    assert "1 pack came back unfinished because it ran longer" in summary.notes
    assert [r.provenance.continued for r in last_records(summary.folder)] == [(100,), (100,)]
    first, second = updates(tmp_path / "log")  # both halves in one worker
    assert (first, second) == ([*range(130)], [*range(100, STEPS)] * 2)


def test_a_member_that_raises_costs_its_neighbours_what_came_after_the_last_report(tmp_path):
    """Halved until it is alone, in one process; its own record holds what it had measured."""
    (tmp_path / "tiny.yaml").write_text(SHORT)
    init = {"init": {"kind": f"{BROKEN}:raises_late", "log": str(tmp_path / "log")}}
    configs = [Config.load(tmp_path / "tiny.yaml", {"seed": s}).changed(init) for s in range(4)]
    kept = {}
    latest = lambda trial: max((r for t, r in kept.items() if t[0] == trial), key=lambda r: r.step)  # noqa: E731
    training = PackTraining(latest=latest, checkpoints=Checkpoints(tmp_path / "checkpoints"))
    for records in training.run(configs, [c.id for c in configs]):
        kept |= {(r.trial, r.step): r for r in records}
    finals = {r.config.seed: r for r in kept.values() if r.outcome.final}
    assert {seed: (r.outcome, r.step) for seed, r in finals.items()} == {
        s: (Outcome.FAILED, 100) if s == 2 else (Outcome.FINISHED, STEPS) for s in range(4)
    }
    assert finals[2].measures
    assert [finals[s].provenance.continued for s in (0, 1, 3)] == [(100,)] * 3
    (made,) = updates(tmp_path / "log")
    assert made == [*range(130), *range(100, STEPS), *range(100, 130), *range(100, 130), *range(100, STEPS)]


def slow_pack(folder: Path) -> Path:
    """Three members side by side, 300 updates between two reports."""
    text = SHORT.replace(f"steps: {STEPS}, report_every: {INTERVAL}", "steps: 2100, report_every: 300")
    (folder / "tiny.yaml").write_text(text)
    grid = {"init": [{"kind": f"{BROKEN}:counted", "log": str(folder / "log")}], "seed": [0, 1, 2]}
    text = f"SWEEP = Sweep(base='tiny.yaml', objective='loss', grid={grid}, pack=3)"
    return written(folder, f"from lyapsweep.sweep import Sweep\n{text}\n")


@pytest.mark.cluster
@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])  # SIGINT: tests/test_sweep_cluster.py
def test_a_driver_that_ends_loses_at_most_what_came_after_the_last_report(tmp_path, end):
    from lyapsweep import tracking

    sweep, folder = slow_pack(tmp_path), tmp_path / "results/question"
    process = start(tmp_path, sweep)
    wait_for(process, "PROGRESS 0 3")
    while len(list(folder.glob("records/*-00000600.npz"))) < 3:
        time.sleep(0.05)
    process.send_signal(end)
    output, _ = process.communicate(timeout=HANGS)
    if end is signal.SIGTERM:
        assert process.returncode == 0, output
        assert "SUMMARY True" in output
        assert "--resume" in output
        assert {r.outcome for r in last_records(folder)} == {Outcome.STOPPED}
    assert list(folder.glob("checkpoints/*.checkpoint"))
    output, _ = start(tmp_path, sweep, resume=True).communicate(timeout=HANGS)
    assert "SUMMARY False 3" in output, output
    assert "1 pack resumed from the last report." in output
    in_order(tmp_path / "results", "question", trials=3)
    assert_continued(tmp_path / "log", 2100, 300)
    records = all_records(folder)
    assert all(r.provenance.continued[0] >= 300 for r in records if r.outcome.final)
    assert not (folder / "checkpoints").exists()
    assert_undisturbed(records, sorted({r.config for r in records}, key=lambda c: c.seed))
    here, there = Table.read(folder), tracking.read("question", f"sqlite:///{tmp_path / 'results/mlflow.db'}")
    assert here.frame.equals(there.frame)
