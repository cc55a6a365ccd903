"""Ray Tune's callbacks without Ray: what counter, study, logger and folder are told of packs."""

import dataclasses
import math
import threading
from types import SimpleNamespace

import made_up
import numpy as np
import pytest
from made_up_sweeps import TINY

from lyapsweep.config import Config
from lyapsweep.results.provenance import Provenance
from lyapsweep.results.record import Outcome, Record
from lyapsweep.sweep.execute import tune_callback
from lyapsweep.sweep.execute.failures import Interrupted, PackFailure
from lyapsweep.sweep.execute.pack import MemberReport, PackReport, PackSettings
from lyapsweep.sweep.execute.results_folder import ResultsFolder
from lyapsweep.sweep.execute.searcher import PackSearcher, checkpoint_name
from lyapsweep.sweep.execute.tune_callback import TuneCallback
from lyapsweep.sweep.observe.progress import ProgressCounter
from lyapsweep.sweep.plan.points import Point


class Calls(list):
    """Remembers the calls of any method."""

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda *args: self.append((name, *args))


class Sweeping:
    """A callback over one pack of three points with keys k0, k1, k2, of which the Ray trial has started."""

    def __init__(self, folder, **settings):
        (folder / "tiny.yaml").write_text(TINY)
        self.points = [Point(Config.load(folder / "tiny.yaml", {"seed": s}), {}, {}, f"k{s}") for s in range(3)]
        self.folder = ResultsFolder(folder, "a")
        self.folder.acquire()
        self.folder.checkpoints.mkdir()
        self.counter, self.stop = ProgressCounter(3, "minimise"), threading.Event()
        self.study, self.logger, self.events = Calls(), Calls(), []
        places = PackSettings("loss", "cpu", self.folder.records, self.folder.checkpoints)
        self.searcher = PackSearcher(iter([self.points]), places, lambda: 1, self.counter.ended)
        settings |= {"on_event": lambda: self.events.append("event"), "on_step": lambda: self.events.append("step")}
        self.callback = TuneCallback(
            self.searcher, self.counter, self.study, self.logger, self.folder, self.stop, "loss", **settings
        )
        worker = SimpleNamespace(ray_actor="worker")
        self.trial = SimpleNamespace(config=self.searcher.suggest(""), error_file=None, temporary_state=worker)
        self.callback.on_trial_start(0, [], self.trial)

    def save(self, i, step, outcome, **provenance):
        record = Record(self.points[i].config, step, outcome, measures={"loss": float(i)}, trial=f"k{i}")
        return dataclasses.replace(record, provenance=Provenance(**provenance)).save(self.folder.records)

    def report(self, step, *members, **entries):
        reports = [MemberReport(f"k{i}", outcome, step, value, f"k{i}-{step:08d}.npz") for i, outcome, value in members]
        for i, outcome, _ in members:
            self.save(i, step, outcome)
        self.callback.on_trial_result(0, [], self.trial, PackReport(0.0, step, reports, **entries).to_dict())

    def fail(self, text=""):
        file = self.folder.path / "error.txt"
        file.write_text(text)
        self.trial.error_file = str(file)
        self.callback.on_trial_error(0, [], self.trial)

    def outcomes(self):
        last = self.folder.last_records()
        return {key: (record.outcome.value, record.step) for key, record in last.items()}


@pytest.fixture
def sweeping(tmp_path):
    return Sweeping(tmp_path, report_values=True)


RUNNING, FINISHED, DIVERGED = Outcome.RUNNING, Outcome.FINISHED, Outcome.DIVERGED


def test_members_that_start_get_runs_under_their_keys(sweeping):
    assert sweeping.logger == [("start_run", p.config, p.key) for p in sweeping.points]
    assert sweeping.counter.progress(str).running == 3
    assert sweeping.callback.running.keys() == {"k0", "k1", "k2"}
    assert sweeping.events == ["event"]


def test_a_report_is_passed_on_member_by_member_and_no_record_is_read(sweeping, monkeypatch):
    sweeping.logger.clear()
    monkeypatch.setattr(Record, "load", None)
    sweeping.report(2, (0, RUNNING, 0.5), (1, DIVERGED, math.nan), (2, FINISHED, 0.25))
    assert sweeping.logger == [("log_record", sweeping.folder.records / f"k{i}-00000002.npz") for i in range(3)]
    assert [call[:3] for call in sweeping.study] == [
        ("report", "k0", 2),
        ("finish", "k1", DIVERGED),
        ("finish", "k2", FINISHED),
    ]
    assert sweeping.callback.running.keys() == {"k0"}
    assert sweeping.counter.best == (0.25, sweeping.points[2].config)
    assert sweeping.counter.fractions == {"k0": 0.5}  # two of four steps
    sweeping.report(2, (1, DIVERGED, math.nan))  # from a restarted worker
    assert len(sweeping.study) == 3


def test_maps_report_no_values_on_the_way(tmp_path):
    sweeping = Sweeping(tmp_path)
    sweeping.report(2, (0, RUNNING, 0.5))
    assert sweeping.study == []


def test_a_scheduler_stops_what_has_not_ended(sweeping):
    (sweeping.folder.checkpoints / checkpoint_name(sweeping.points)).touch()
    sweeping.report(2, (0, FINISHED, 0.5), (1, RUNNING, 0.5))
    sweeping.callback.on_trial_complete(0, [], sweeping.trial)
    assert sweeping.outcomes() == {"k0": ("finished", 2), "k1": ("stopped", 2), "k2": ("stopped", 0)}
    last = sweeping.folder.last_records()
    assert (last["k1"].provenance.stopped_by, last["k1"].measures) == ("scheduler", {"loss": 1.0})
    assert not list(sweeping.folder.checkpoints.iterdir())
    assert sweeping.searcher.training == set()
    name, file, record = sweeping.logger[-1]
    assert (name, file.name, record.trial, record.outcome) == ("log_record", "k2-00000000.npz", "k2", Outcome.STOPPED)


def test_a_lost_worker_is_resubmitted_and_what_it_had_saved_is_collected(sweeping):
    sweeping.report(0, *((i, RUNNING, 1.0) for i in range(3)))
    sweeping.save(0, 4, FINISHED)  # and died before it reported
    sweeping.fail("The actor died")
    assert sweeping.callback.failures == {PackFailure.WORKER: 1}
    assert sweeping.searcher.waiting == [1]
    assert ("finish", "k0", FINISHED, 0.0, {}) in sweeping.study
    assert sweeping.callback.running.keys() == {"k1", "k2"}
    assert sweeping.callback.started == {}
    name, _, record = sweeping.logger[-1]
    assert (name, record.trial) == ("log_record", "k0")


def test_a_pack_whose_members_had_all_ended_is_not_resubmitted(sweeping):
    sweeping.report(4, *((i, FINISHED, 1.0) for i in range(3)))
    sweeping.fail("The actor died")
    assert (sweeping.searcher.waiting, sweeping.searcher.training, sweeping.callback.failures) == ([], set(), {})


def test_a_member_that_is_given_up_fails_with_the_cause(tmp_path, monkeypatch):
    killed, now = [], [0.0]
    monkeypatch.setattr(tune_callback.ray, "kill", killed.append)
    monkeypatch.setattr(tune_callback.time, "monotonic", lambda: now[0])
    sweeping = Sweeping(tmp_path, time_limit=40.0)
    sweeping.report(4, (0, FINISHED, 1.0), (1, FINISHED, 1.0))
    for now[0] in (40.0, 41.0, 42.0):
        sweeping.callback.on_step_begin(0, [])
        assert killed == ["worker"] * (now[0] > 40)
    sweeping.fail("x" * 5000)
    error = sweeping.folder.last_records()["k2"].provenance.error
    assert error == "it ran longer than the time limit of 40 s."
    assert sweeping.callback.failures == {PackFailure.TIME: 1}
    assert sweeping.study[-1][:3] == ("finish", "k2", Outcome.FAILED)


def test_no_worker_is_killed_without_a_time_limit(sweeping, monkeypatch):
    monkeypatch.setattr(tune_callback.ray, "kill", None)
    monkeypatch.setattr(tune_callback.time, "monotonic", lambda: 1e9)
    sweeping.callback.on_step_begin(0, [])
    assert sweeping.events[-1] == "step"


def test_a_signal_ends_ray_at_its_next_step(sweeping):
    sweeping.stop.set()
    with pytest.raises(Interrupted):
        sweeping.callback.on_step_begin(0, [])


def test_a_folder_that_cannot_be_written_ends_the_sweep(sweeping):
    with pytest.raises(Interrupted, match="full"):
        sweeping.report(0, error="full")


def test_what_fits_and_how_far_a_pack_is_reach_the_searcher(sweeping):
    sweeping.report(2, (0, RUNNING, 1.0), fitting=2)
    assert sweeping.searcher.limits == {sweeping.points[0].config.shape: 2}
    assert sweeping.searcher.steps[0] == 2


def test_packs_that_resume_are_counted_and_do_not_speed_up_the_estimate(sweeping, caplog):
    sweeping.report(2, (0, RUNNING, 1.0), resumed_from=2)
    assert (sweeping.callback.resumed, sweeping.callback.restarted) == (1, 0)
    assert sweeping.counter.excluded == 1.5  # half of each of three
    sweeping.report(3, (0, RUNNING, 1.0), checkpoint_note="of another version")
    assert (sweeping.callback.resumed, sweeping.callback.restarted) == (1, 1)
    assert "of another version" in caplog.text


def test_an_interruption_leaves_trials_that_can_be_resumed(sweeping):
    sweeping.report(2, (0, FINISHED, 1.0), (1, RUNNING, 1.0))
    assert sweeping.callback.interrupt() == 2
    last = sweeping.folder.last_records()
    assert last.keys() == {"k0", "k1"}  # k2 had no record and leaves no trace
    assert (last["k1"].outcome, last["k1"].provenance.interrupted) == (Outcome.STOPPED, True)
    assert sweeping.counter.progress(str).running == 0
    postponed = [call[1] for call in sweeping.study if call[0] == "postpone"]
    assert postponed == ["k1", "k2"]  # before they are told
    assert [call[:3] for call in sweeping.study[-2:]] == [("postpone", "k2"), ("finish", "k2", Outcome.STOPPED)]


def test_a_record_that_is_reopened_keeps_its_arrays(tmp_path):
    """The driver knows it without them: `last_records` leaves them out."""
    folder, provenance = ResultsFolder(tmp_path, "a"), Provenance(interrupted=True)
    record = dataclasses.replace(
        made_up.record("lstm", 5, 0), outcome=Outcome.STOPPED, weights={"W": np.ones((3, 3))}, provenance=provenance
    )
    file, logger = record.save(folder.records), Calls()
    callback = TuneCallback(None, None, None, logger, folder, None, "loss")
    callback.ended_before = folder.last_records()
    callback.reopen(record.trial)
    ((name, written, logged),) = logger
    assert (name, written, logged.outcome) == ("log_record", file, Outcome.RUNNING)
    again = Record.load(file)
    assert again.outcome is Outcome.RUNNING
    assert again.weights.keys() == {"W"}
    callback.reopen(record.trial)
    assert len(logger) == 1
