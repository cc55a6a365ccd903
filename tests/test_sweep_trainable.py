"""The worker: errors of one member, memory that runs out, what is saved and reported."""

import math
import weakref
from pathlib import Path

import pytest
import torch
from made_up_sweeps import TINY

from lyapsweep.config import Config
from lyapsweep.results.provenance import Provenance
from lyapsweep.results.record import Outcome, Record
from lyapsweep.sweep.execute import trainable
from lyapsweep.sweep.execute.pack import MemberReport, PackReport, PackSettings, PackSpec
from lyapsweep.sweep.execute.trainable import PackTrainable, PackTraining, train_pack
from lyapsweep.training.checkpoint import Checkpoints, UnwrittenCheckpoint


@pytest.fixture
def base(tmp_path):
    file = tmp_path / "tiny.yaml"
    file.write_text(TINY)
    return file


def test_an_error_ends_only_the_member_that_causes_it(base, monkeypatch):
    """A pack with one member that cannot be trained: its neighbours finish, and it says what was wrong."""
    configs = [Config.load(base, {"seed": s}) for s in range(5)]

    def sick(pack, device, checkpoints, keys, until, final_measures):
        for step in (0, 2, 4):
            if step == 2 and any(c.seed == 3 for c in pack):
                raise FloatingPointError("seed 3 is not well")
            yield [Record(c, step, Outcome.FINISHED if step == 4 else Outcome.RUNNING) for c in pack]

    monkeypatch.setattr(trainable, "run_trials", sick)
    finals = {r.config.seed: r for records in train_pack(configs) for r in records if r.outcome.final}
    assert {seed: r.outcome.value for seed, r in finals.items()} == {
        0: "finished", 1: "finished", 2: "finished", 3: "failed", 4: "finished"
    }  # fmt: skip
    assert finals[3].provenance.error.endswith("FloatingPointError: seed 3 is not well")
    assert "sick" in finals[3].provenance.traceback
    assert finals[3].step == 0


def test_training_that_just_ends_is_a_failure(base, monkeypatch):
    monkeypatch.setattr(trainable, "run_trials", lambda *_: iter(()))
    config = Config.load(base)
    ((record,),) = train_pack([config])
    assert record.outcome is Outcome.FAILED
    assert "without a final record" in record.provenance.error


def test_the_last_record_of_a_trial_that_fails_is_kept_with_its_error(base, monkeypatch):
    config = Config.load(base)
    last = Record(config, 2, Outcome.RUNNING, measures={"loss": 0.5}, provenance=Provenance(seed=0), trial="old")

    def broken(*_):
        raise FloatingPointError("no")
        yield

    monkeypatch.setattr(trainable, "run_trials", broken)
    ((record,),) = PackTraining(latest=lambda key: last).run([config], ["old"])
    assert (record.trial, record.step, record.outcome, record.measures) == ("old", 2, Outcome.FAILED, {"loss": 0.5})
    assert record.provenance.error.endswith("FloatingPointError: no")
    ((first,),) = PackTraining().run([config], ["old"])
    assert (first.trial, first.step, first.outcome) == ("old", 0, Outcome.FAILED)
    assert first.provenance.versions["torch"]
    assert first.provenance.seed == 0


def test_a_checkpoint_that_cannot_be_written_ends_the_pack(base, monkeypatch):
    def full(*_):
        raise UnwrittenCheckpoint("full")
        yield

    monkeypatch.setattr(trainable, "run_trials", full)
    with pytest.raises(UnwrittenCheckpoint):
        next(PackTraining().run([Config.load(base)], ["a"]))


def test_halves_resume_from_the_checkpoints_of_the_pack_without_members_that_ended(base, tmp_path, monkeypatch):
    configs, tried = [Config.load(base, {"seed": s}) for s in range(5)], []

    def broken(pack, device, checkpoints, names, until, final_measures):
        tried.append((list(names), checkpoints.cut_from))
        raise FloatingPointError("no")
        yield

    monkeypatch.setattr(trainable, "run_trials", broken)
    checkpoints = Checkpoints(tmp_path, known={"k0"})
    records = list(PackTraining(checkpoints=checkpoints).run(configs, [f"k{i}" for i in range(5)]))
    assert [names for names, _ in tried] == [
        ["k0", "k1", "k2", "k3", "k4"],
        ["k1", "k2"],
        ["k1"],
        ["k2"],
        ["k3", "k4"],
        ["k3"],
        ["k4"],
    ]
    assert [len(parents) for _, parents in tried] == [0, 1, 2, 2, 1, 2, 2]
    assert [r.trial for each in records for r in each] == ["k1", "k2", "k3", "k4"]


def short_of_memory(pack, device, checkpoints, keys, until, final_measures):
    """Training for which memory suffices up to three members."""
    hoard = torch.zeros(1)
    hoards.append(weakref.ref(hoard))
    if len(pack) > 3:
        raise torch.OutOfMemoryError("CUDA out of memory")
    hoard = None
    assert not any(kept() is not None for kept in hoards)  # what the failed packs had taken is free again
    yield [Record(c, 4, Outcome.FINISHED, provenance=Provenance(pack=len(pack))) for c in pack]


hoards = []


def test_a_pack_too_large_for_the_memory_is_halved_and_the_memory_of_the_first_try_is_free(base, monkeypatch):
    configs = [Config.load(base, {"seed": s}) for s in range(8)]
    hoards.clear()
    monkeypatch.setattr(trainable, "run_trials", short_of_memory)
    oversized = []
    records = [r for some in train_pack(configs, "cpu", oversized) for r in some]
    assert [r.config.seed for r in records] == list(range(8))
    assert {r.outcome for r in records} == {Outcome.FINISHED}
    assert oversized == [8, 4, 4]


def test_how_many_fit_is_reported_only_where_memory_ran_out():
    records = [Record(Config.of(TINY_TASK), 0, Outcome.RUNNING, provenance=Provenance(pack=n)) for n in (2, 3)]
    assert PackTraining().fitting(records) is None
    assert PackTraining(oversized=[8]).fitting(records) == 3
    assert PackTraining(oversized=[8]).fitting([]) == 1


TINY_TASK = {"dataset": {"kind": "adding", "length": 12}, "cell": {"kind": "gru", "units": 3}, "training": {"steps": 5}}


@pytest.mark.parametrize(
    ("error", "memory"),
    [
        (MemoryError(), True),
        (torch.OutOfMemoryError(), True),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), True),
        (RuntimeError("shape mismatch"), False),
    ],
)
def test_which_errors_are_of_memory(error, memory):
    assert trainable.out_of_memory(error) is memory


# What is reported


def pack_of(tmp_path, base, monkeypatch, stream, objective="loss", ended=()):
    """A worker whose pack yields `stream`."""
    configs = [Config.load(base, {"seed": s}) for s in range(3)]
    (tmp_path / "records").mkdir(exist_ok=True)
    settings = PackSettings(objective, "cpu", tmp_path / "records", tmp_path / "checkpoints")
    spec = PackSpec(4, configs, ["k0", "k1", "k2"], list(ended), [], settings)
    monkeypatch.setattr(trainable, "node", lambda: "here/1")
    monkeypatch.setattr(trainable, "small_networks", lambda: None)
    monkeypatch.setattr(trainable, "run_trials", lambda *_: iter(stream(configs)))
    worker = PackTrainable.__new__(PackTrainable)
    worker.setup(spec.to_dict())
    return worker


def record(config, key, step, outcome, value):
    return Record(config, step, outcome, measures={"loss": value, "accuracy": value}, trial=key)


def two_reports(configs):
    yield [record(c, f"k{i}", 0, Outcome.RUNNING, 3.0 - i) for i, c in enumerate(configs)]
    yield [
        record(configs[0], "k0", 4, Outcome.FINISHED, 0.5),
        record(configs[1], "k1", 2, Outcome.DIVERGED, math.nan),
        record(configs[2], "k2", 4, Outcome.FINISHED, 0.75),
    ]


def test_a_report_names_each_members_file_and_the_packs_best_value(tmp_path, base, monkeypatch):
    worker = pack_of(tmp_path, base, monkeypatch, two_reports)
    first, second = PackReport.from_dict(worker.step()), PackReport.from_dict(worker.step() | {"training_iteration": 2})
    assert (first.objective, first.step, first.done) == (1.0, 0, False)
    assert first.members[1] == MemberReport("k1", Outcome.RUNNING, 0, 2.0, "k1-00000000.npz")
    assert (second.objective, second.step, second.done) == (0.5, 4, True)
    assert [m.outcome for m in second.members] == [Outcome.FINISHED, Outcome.DIVERGED, Outcome.FINISHED]
    assert (first.resumed_from, first.checkpoint_note, first.fitting, first.error) == (None, "", None, "")
    saved = Record.load(tmp_path / "records" / "k2-00000004.npz")
    assert (saved.trial, saved.provenance.node) == ("k2", "here/1")


def test_the_best_of_a_pack_follows_the_objectives_direction_and_is_never_nan(tmp_path, base, monkeypatch):
    worker = pack_of(tmp_path, base, monkeypatch, two_reports, objective="accuracy")
    assert worker.report().objective == 3.0
    nothing = pack_of(
        tmp_path, base, monkeypatch, lambda configs: iter([[record(configs[0], "k0", 0, Outcome.RUNNING, math.nan)]])
    )
    assert nothing.report().objective == trainable.MEASURES["loss"].worst


def test_members_that_ended_before_are_not_saved_again(tmp_path, base, monkeypatch):
    worker = pack_of(tmp_path, base, monkeypatch, two_reports, ended=["k0"])
    assert [m.key for m in worker.report().members] == ["k1", "k2"]
    assert worker.report().done
    assert not list((tmp_path / "records").glob("k0-*"))


def test_the_first_report_says_whence_training_resumed(tmp_path, base, monkeypatch):
    worker = pack_of(tmp_path, base, monkeypatch, two_reports)
    worker.checkpoints.taken, worker.checkpoints.note = 2, "not used"
    first, second = worker.report(), worker.report()
    assert (first.resumed_from, first.checkpoint_note) == (2, "not used")
    assert (second.resumed_from, second.checkpoint_note) == (None, "")


def test_a_folder_that_cannot_be_written_ends_the_sweep_and_not_the_trials(tmp_path, base, monkeypatch):
    worker = pack_of(tmp_path, base, monkeypatch, two_reports)
    (tmp_path / "records").rmdir()
    report = worker.report()
    assert (report.done, report.members) == (True, ())
    assert report.error.startswith(f"here/1 cannot write to {tmp_path / 'records'} (no such folder on this node")


def test_a_checkpoint_that_cannot_be_written_is_reported(tmp_path, base, monkeypatch):
    def full(configs):
        raise UnwrittenCheckpoint("full")
        yield

    report = pack_of(tmp_path, base, monkeypatch, full).report()
    assert (report.error, report.done) == ("here/1: full", True)


def test_specs_and_reports_survive_the_way_to_a_worker_and_back(base):
    settings = PackSettings("loss", "cuda", Path("/a"), Path("/b"))
    spec = PackSpec(3, [Config.load(base)], ["k"], ["k"], ["parent"], settings)
    assert PackSpec.from_dict(spec.to_dict()) == spec
    report = PackReport(0.5, 4, [MemberReport("k", Outcome.FINISHED, 4, 0.5, "k.npz")], True, 2, "note", 3, "error")
    assert PackReport.from_dict(report.to_dict() | {"pid": 1}) == report


def test_a_pack_without_new_records_reports_no_step(tmp_path, base, monkeypatch):
    """The objective is the measure's worst value, and the pack is not done."""
    report = pack_of(tmp_path, base, monkeypatch, lambda configs: [[]]).report()
    assert (report.step, report.members, report.done) == (0, [], False)
