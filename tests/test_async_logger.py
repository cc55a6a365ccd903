"""Logging in the background: order, retries, outages, coalescing, and that a record is read once."""

import logging
import threading

import pytest

from lyapsweep.config import Config
from lyapsweep.results.record import Outcome, Record
from lyapsweep.tracking import AsyncLogger, NullLogger, async_logger
from lyapsweep.tracking.queued_record import RecordFile


class FakeLogger:
    """Records its calls; each of `failures` is raised once, `refreshes` likewise."""

    def __init__(self, failures=(), refreshes=(), gate=None):
        self.calls, self.failures, self.refreshes, self.gate = [], list(failures), list(refreshes), gate
        self.refreshed = 0

    def call(self, entry):
        if self.gate:
            self.gate.wait(10)
        self.calls.append(entry)
        if self.failures and (error := self.failures.pop(0)):
            raise error

    def start_run(self, config, trial=""):
        self.call(("start", trial or config.id))

    def log_records(self, files):
        self.call([(file.trial, file.load().step) for file in files])

    def refresh(self):
        self.refreshed += 1
        if self.refreshes and (error := self.refreshes.pop(0)):
            raise error


@pytest.fixture(autouse=True)
def fast(monkeypatch):
    monkeypatch.setattr(async_logger, "GATHER", 0.0)
    monkeypatch.setattr(async_logger, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(async_logger, "LONGEST_PAUSE", 0.03)


def config(seed=0):
    data = {"kind": "simulated", "system": "henon", "length": 100}
    return Config.of({"dataset": data, "cell": {"kind": "vanilla", "units": 2}, "seed": seed})


def record(step, seed=0):
    return Record(config(seed), step, Outcome.RUNNING)


def wait_for(condition):
    clock = threading.Event()
    for _ in range(1000):
        if condition():
            return
        clock.wait(0.005)
    raise AssertionError("the condition was never met")


def test_the_defaults_wait_a_second_at_first_and_half_a_minute_at_most(monkeypatch):
    monkeypatch.undo()
    assert (async_logger.ATTEMPTS, async_logger.FIRST_PAUSE, async_logger.LONGEST_PAUSE) == (3, 1.0, 30.0)
    assert async_logger.GATHER == 5.0


def test_tasks_are_done_in_order_in_a_thread_that_ends_with_the_process(tmp_path):
    logger = FakeLogger()
    background = AsyncLogger(logger)
    assert background.thread.daemon
    assert background.thread.name == "async-logger"
    background.start_run(config())
    background.log_record(record(0).save(tmp_path))
    background.start_run(config(1), "old id")
    background.close()
    assert logger.calls == [("start", config().id), [(config().id, 0)], ("start", "old id")]
    assert (background.error, background.outages, background.dropped, background.pending) == (None, 0, 0, 0)
    assert logger.refreshed == 0
    assert not background.thread.is_alive()


def test_queued_records_of_a_trial_are_one_request_in_the_order_of_steps(tmp_path):
    logger = FakeLogger(gate=threading.Event())
    background = AsyncLogger(logger)
    background.start_run(config())
    wait_for(lambda: background.pending == 0)  # the first task is held at the gate
    for step, seed in ((4, 0), (0, 1), (2, 0), (4, 0)):
        background.log_record(record(step, seed).save(tmp_path))
    assert background.pending == 2
    logger.gate.set()
    wait_for(lambda: len(logger.calls) == 3)
    background.log_record(record(6).save(tmp_path))  # a new batch: the first one has begun
    background.close()
    mine, other = config().id, config(1).id
    assert logger.calls[1:] == [[(mine, 2), (mine, 4)], [(other, 0)], [(mine, 6)]]


def test_a_record_waits_for_later_ones_of_its_trial_and_never_when_the_sweep_ends(tmp_path, monkeypatch):
    monkeypatch.setattr(async_logger, "GATHER", 3600.0)
    logger = FakeLogger()
    background = AsyncLogger(logger)
    background.start_run(config())
    for step in (0, 2, 4):
        wait_for(lambda: len(logger.calls) == 1 and background.pending == 0)  # the first record's task has begun
        background.log_record(record(step).save(tmp_path))
    background.close()
    assert logger.calls == [("start", config().id), [(config().id, step) for step in (0, 2, 4)]]


def test_a_record_is_read_once_and_not_at_all_where_it_was_given(tmp_path, monkeypatch):
    read, load = [], Record.load
    monkeypatch.setattr(Record, "load", lambda path: read.append(path) or load(path))
    logger = FakeLogger(failures=[ConnectionError("once")])
    background = AsyncLogger(logger)
    from_disk, given = record(0).save(tmp_path), record(2)
    background.log_record(from_disk)
    wait_for(lambda: len(logger.calls) == 2)  # the first attempt failed
    background.log_record(given.save(tmp_path), given)
    background.close()
    assert read == [from_disk]
    assert RecordFile(from_disk).trial == given.trial
    assert RecordFile(tmp_path / "none.npz", given).load() is given


def test_nobody_reads_records_for_a_logger_that_logs_nothing(tmp_path):
    background = AsyncLogger(NullLogger())
    background.start_run(config())
    background.log_record(tmp_path / "not-there.npz")
    background.close()
    assert (background.error, background.dropped) == (None, 0)


def test_a_task_that_fails_is_tried_again_after_the_runs_are_listed(tmp_path, caplog):
    first, second = ConnectionError("first"), ConnectionError("second")
    logger = FakeLogger(failures=[first, second])
    with caplog.at_level(logging.WARNING, "lyapsweep"):
        background = AsyncLogger(logger)
        background.start_run(config())
        wait_for(lambda: len(logger.calls) == 3)
        background.close()
    assert (logger.refreshed, background.outages, background.dropped) == (2, 0, 0)
    assert background.error is second
    assert [r.message for r in caplog.records if "logging failed" in r.message] == [
        "MLflow: logging failed (first). Records are on disk and will be logged later."
    ]
    assert "answering again" not in caplog.text  # it was never away


def test_what_fails_three_times_is_dropped_and_the_next_task_done():
    logger = FakeLogger(failures=[ValueError("no")] * 3)
    background = AsyncLogger(logger)
    background.start_run(config())
    background.start_run(config(1))
    wait_for(lambda: len(logger.calls) == 4)
    background.close()
    assert logger.calls == [("start", config().id)] * 3 + [("start", config(1).id)]
    assert background.dropped == 1


def test_an_outage_delays_the_queue_and_is_counted_once(caplog):
    away = [ConnectionError("away")] * 4
    logger = FakeLogger(failures=[ConnectionError("away")], refreshes=away)
    with caplog.at_level(logging.WARNING, "lyapsweep"):
        background = AsyncLogger(logger)
        background.start_run(config())
        background.start_run(config(1))
        wait_for(lambda: len(logger.calls) == 3)
        background.close()
    assert (background.outages, background.dropped, logger.refreshed) == (1, 0, 5)
    assert "MLflow: answering again after 0 s, 1 tasks pending." in caplog.text


def test_pauses_double_up_to_the_longest(monkeypatch):
    pauses = []
    logger = FakeLogger(failures=[ConnectionError("away")], refreshes=[ConnectionError("away")] * 4)
    background = AsyncLogger(logger)
    wait = background.closing.wait
    monkeypatch.setattr(background.closing, "wait", lambda pause: pauses.append(pause) or wait(pause))
    background.start_run(config())
    wait_for(lambda: len(logger.calls) == 2)
    background.close()
    assert pauses == [0.01, 0.02, 0.03, 0.03, 0.03]


def test_a_server_that_is_away_when_the_sweep_ends_drops_what_is_left():
    logger = FakeLogger(failures=[ConnectionError("away")], refreshes=[ConnectionError("away")] * 1000)
    background = AsyncLogger(logger)
    background.start_run(config())
    wait_for(lambda: background.outages == 1)
    for seed in (1, 2):
        background.start_run(config(seed))
    background.close()
    assert logger.calls == [("start", config().id)]
    assert (background.dropped, background.outages, background.pending) == (3, 1, 0)
    assert background.abandoned


def test_closing_ticks_while_it_waits(monkeypatch):
    logger, ticks = FakeLogger(gate=threading.Event()), []
    background = AsyncLogger(logger)
    background.start_run(config())
    joined = []
    monkeypatch.setattr(background.thread, "join", lambda seconds: joined.append(seconds) or logger.gate.wait(0.05))
    background.close(lambda: (ticks.append(1), len(ticks) == 2 and logger.gate.set()))
    assert len(ticks) == len(joined) >= 2
    assert set(joined) == {1.0}
