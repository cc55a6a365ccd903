"""Callbacks: what they are told of trials and their records, and what their errors cost."""

import logging

from small_series import SMALL, X, alone  # noqa: F401

import lyapsweep
from lyapsweep.results.experiment import ExperimentPaths
from lyapsweep.results.record import Outcome
from lyapsweep.sweep.observe.callbacks import CallbackList, CallbackLogger


class Recorder(lyapsweep.Callback):
    def __init__(self):
        self.told = []

    def on_trial_start(self, config):
        self.told.append(("start", config.id))

    def on_report(self, record):
        self.told.append(("report", record.step))

    def on_trial_end(self, record):
        self.told.append(("end", record.step))


def test_callbacks_get_records():
    recorder = Recorder()
    result = lyapsweep.train(SMALL, data=X, callbacks=[recorder])
    assert recorder.told == [("start", result.config.id), ("report", 0), ("report", 3), ("end", 3)]


def test_a_callback_that_fails_is_logged_once_with_its_place_and_loses_no_trial(caplog):
    class Broken(lyapsweep.Callback):
        def on_report(self, record):
            raise ZeroDivisionError("by zero")

    recorder = Recorder()
    with caplog.at_level(logging.WARNING):
        result = lyapsweep.train(SMALL, data=X, callbacks=[Broken(), recorder])
    assert result.record.outcome is Outcome.FINISHED
    assert ("end", 3) in recorder.told
    (message,) = [m for m in caplog.messages if "Broken" in m]
    assert "Broken.on_report failed" in message
    assert "test_callbacks.py, line" in message


def test_a_logger_reads_no_record_unless_somebody_asks():
    trained = lyapsweep.train(SMALL, data=X)

    class Logger:
        def __init__(self):
            self.logged = []

        def start_run(self, config, trial=""):
            self.logged.append(config.id)

        def log_record(self, file, record=None):
            self.logged.append(record)

    file = sorted(ExperimentPaths(trained.folder).records.glob(f"{trained.record.trial}-*.npz"))[-1]
    for callbacks in ((), (Recorder(),)):
        logger = Logger()
        made = CallbackLogger(logger, CallbackList(callbacks))
        made.start_run(trained.config)
        made.log_record(file)
        assert (logger.logged[1] is None) == (not callbacks)
        assert all(callback.told[-1] == ("end", 3) for callback in callbacks)
        made.log_record(file.with_name("gone.npz"))
        assert len(logger.logged) == 3
