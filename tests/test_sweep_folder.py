"""The results folder: what it holds, who may write to it, and what is resumed."""

import json

import pytest
from made_up_sweeps import TINY, a_sweep

from lyapsweep.config import Config
from lyapsweep.results.description import BadTable, SweepDescription
from lyapsweep.results.provenance import Provenance
from lyapsweep.results.record import Outcome, Record
from lyapsweep.sweep import SweepError
from lyapsweep.sweep.execute.optuna_study import OptunaStudy
from lyapsweep.sweep.execute.results_folder import ResultsFolder
from lyapsweep.sweep.observe.heartbeat import read_heartbeat
from lyapsweep.sweep.plan.resume import StoredPoint


@pytest.fixture
def base(tmp_path):
    file = tmp_path / "tiny.yaml"
    file.write_text(TINY)
    return file


def saved(folder, config, step, outcome, **provenance):
    record = Record(config, step, outcome, measures={"loss": 1.0}, provenance=Provenance(**provenance))
    return record.save(folder.records)


def test_what_needs_no_more_work(base, tmp_path):
    folder, configs = ResultsFolder(tmp_path, "a"), [Config.load(base, {"seed": s}) for s in range(6)]
    ends = [
        ("finished", {}),
        ("diverged", {}),
        ("failed", {}),
        ("running", {}),
        ("stopped", {}),
        ("stopped", {"interrupted": True}),
    ]
    for config, (outcome, told) in zip(configs, ends):
        saved(folder, config, 0, Outcome.RUNNING)
        saved(folder, config, 2, Outcome(outcome), **told)
    assert {r.config.seed for r in folder.ended().values()} == {0, 1, 4}


def test_a_used_folder_is_gone_on_with_only_when_that_is_meant(base, tmp_path):
    folder = ResultsFolder(tmp_path, "a")
    folder.acquire()
    folder.check([], ["a"], resume=False)
    config = Config.load(base)
    saved(folder, config, 4, Outcome.FINISHED)
    with pytest.raises(SweepError, match="--resume"):
        folder.check([config.id], [config.id, "another"], resume=False)
    folder.check([config.id], [config.id, "another"], resume=True)
    folder.check([config.id], [config.id], resume=False)  # complete: nothing will be written
    with pytest.raises(SweepError, match="not points of this sweep"):
        folder.check([config.id], ["another"], resume=True)
    with pytest.raises(SweepError, match="another process"):
        ResultsFolder(tmp_path, "a").acquire()
    folder.release()
    ResultsFolder(tmp_path, "a").acquire()


def test_the_first_start_is_kept_in_sweep_json(tmp_path):
    folder = ResultsFolder(tmp_path, "a")
    folder.acquire()
    folder.describe(command="first", trials=2)
    assert folder.describe(command="second", trials=3) == SweepDescription(command="first", trials=3)
    assert json.loads(folder.paths.description.read_text()) == {"schema": 1, "command": "first", "trials": 3}


def test_the_planned_points_are_stored_as_they_are(tmp_path):
    folder = ResultsFolder(tmp_path, "a")
    folder.acquire()
    assert folder.stored_points() == []
    points = [StoredPoint("k", {"training/lr": 0.1, "cell/kind": "lstm"}), StoredPoint("l", {}, 1)]
    folder.store_points(points)
    assert folder.stored_points() == points
    assert not list(folder.path.glob("*.part"))


def test_halves_of_files_and_checkpoints_are_removed_and_nothing_else(tmp_path):
    folder = ResultsFolder(tmp_path, "a")
    folder.acquire()
    folder.checkpoints.mkdir()
    for name in ("a.part", "a.checkpoint", "b.checkpoint"):
        (folder.checkpoints / name).touch()
    (folder.records / "r.part").touch(), (folder.records / "r.npz").touch()
    folder.remove_partial_files()
    assert [f.name for f in folder.records.iterdir()] == ["r.npz"]
    assert sorted(f.name for f in folder.checkpoints.iterdir()) == ["a.checkpoint", "b.checkpoint"]
    folder.remove_checkpoint("a.checkpoint")
    folder.remove_checkpoint("a.checkpoint")
    assert [f.name for f in folder.checkpoints.iterdir()] == ["b.checkpoint"]
    folder.remove_checkpoints()
    assert not folder.checkpoints.exists()


def test_a_record_that_is_none_is_named_with_what_to_do(tmp_path):
    folder = ResultsFolder(tmp_path, "a")
    folder.acquire()
    (folder.records / "k-00000000.npz").write_bytes(b"no")
    with pytest.raises(SweepError, match=r"k-00000000.npz.*Remove it and resume"):
        folder.last_records()


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"3", b'{"key": "a"}', b'{"key": "a", "params": {}}\n\n'])
def test_stored_points_that_cannot_be_read_are_refused_with_the_remedy(tmp_path, content):
    folder = ResultsFolder(tmp_path, "a")
    folder.path.mkdir()
    folder.paths.points.write_bytes(content)
    if not content:
        assert folder.stored_points() == []
        return
    with pytest.raises(SweepError, match=r"points.jsonl, line \d: no stored point .*Remove the file and resume"):
        folder.stored_points()


FOREIGN = [
    b"",
    b"{",
    b"\xff\xfe",
    b"[1]",
    b'{"name": 3}',
    b'{"trials": "many"}',
    b'{"outcomes": [1]}',
    b'{"base": [1]}',
]
FOREIGN += [b'{"varied": 3}', b'{"refined": {"grid": 1, "more": 2}}', b'{"schema": 9}']


@pytest.mark.parametrize("content", FOREIGN)
def test_a_description_that_cannot_be_read_is_refused_with_the_remedy(tmp_path, content):
    (tmp_path / "sweep.json").write_bytes(content)
    with pytest.raises(BadTable, match=r"sweep.json .*(Remove it; a sweep that is resumed|Update|must hold an object)"):
        SweepDescription.load(tmp_path / "sweep.json")


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[]", b"3", b'{"time": "now"}', b'{"time": 1, "over": 0}'])
def test_a_heartbeat_that_cannot_be_read_is_none(tmp_path, content):
    (tmp_path / "driver.json").write_bytes(content)
    assert read_heartbeat(tmp_path) is None


@pytest.mark.parametrize("damage", [lambda data: b"", lambda data: data[:200], lambda data: b"x" * 50])
def test_an_early_record_that_cannot_be_read_is_found_before_training(base, tmp_path, damage):
    folder, config = ResultsFolder(tmp_path, "a"), Config.load(base)
    early = saved(folder, config, 0, Outcome.RUNNING)
    saved(folder, config, 4, Outcome.FINISHED)
    assert len(folder.last_records()) == 1
    early.write_bytes(damage(early.read_bytes()))
    with pytest.raises(SweepError, match=f"{early.name} is not a lyapsweep record. Remove it and resume"):
        folder.last_records()


@pytest.mark.parametrize("line", ["{", "[1]", '{"op_code": 99}', "\x00\x00"])
def test_a_journal_that_is_broken_in_the_middle_is_refused_with_the_remedy(tmp_path, line):
    journal = tmp_path / "optuna.journal"
    OptunaStudy(journal, "a", a_sweep(), 0)
    lines = journal.read_text().splitlines()
    journal.write_text("\n".join([line, *lines]) + "\n")
    with pytest.raises(SweepError, match=r"journal of the Optuna study is broken .*Remove it and resume"):
        OptunaStudy(journal, "a", a_sweep(), 0)


def test_an_empty_journal_is_begun(tmp_path):
    (tmp_path / "optuna.journal").touch()
    assert OptunaStudy(tmp_path / "optuna.journal", "a", a_sweep(), 0).study.study_name == "a"
