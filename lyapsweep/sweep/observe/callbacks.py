"""Callbacks: what a user's code is told while trials train."""

import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol

from lyapsweep.config import Config
from lyapsweep.results.record import Record
from lyapsweep.sweep.observe.progress import SweepProgress
from lyapsweep.sweep.observe.summary import SweepSummary
from lyapsweep.user_code import described

log = logging.getLogger("lyapsweep")


class Callback:
    """Base class of callbacks: override what is of interest. All are called in the process that started the sweep.

    An exception in a callback is logged with its place, once per method, and ends no trial.

    Example:
        >>> import lyapsweep
        >>> class Print(Callback):
        ...     def on_trial_end(self, record):
        ...         print(record.trial, record.outcome.value, record.measures)
        >>> lyapsweep.run_sweep("lorenz63", grid=grid, callbacks=[Print()])  # doctest: +SKIP
    """

    def on_sweep_start(self, progress: SweepProgress) -> None:
        """Called before the first trial; `progress.asked` is the number of trials, `progress.done` of those that ended.

        Not called by `train`, which trains a single trial.
        """

    def on_trial_start(self, config: Config) -> None:
        """Called when a trial starts or resumes, as a trial of a hunt does after every rung that it passes."""

    def on_report(self, record: Record) -> None:
        """Called with every record of a trial, the first and the last included."""

    def on_trial_end(self, record: Record) -> None:
        """Called with the last record of a trial, whatever its outcome."""

    def on_sweep_end(self, summary: SweepSummary) -> None:
        """Called when the atlas is written, or the sweep was interrupted. Not called by `train`."""


class CallbackList:
    """Calls every callback; logs the first exception of each method and goes on.

    Args:
        callbacks: The user's callbacks.
    """

    def __init__(self, callbacks: Iterable[Callback] = ()):
        self.callbacks = list(callbacks)
        self.failed: set[tuple[int, str]] = set()

    def call(self, event: str, *arguments: Any) -> None:
        for i, callback in enumerate(self.callbacks):
            try:
                getattr(callback, event)(*arguments)
            except Exception as error:
                if (i, event) not in self.failed:
                    self.failed.add((i, event))
                    name = f"{type(callback).__name__}.{event}"
                    log.warning("%s failed: %s. Training continues.", name, described(error).rstrip("."))

    def report(self, record: Record) -> None:
        """Tell of a record, and of the end of its trial where it is the last one."""
        self.call("on_report", record)
        if record.outcome.final:
            self.call("on_trial_end", record)


class RecordLogger(Protocol):
    """What logs the runs of trials: `AsyncLogger`."""

    def start_run(self, config: Config, trial: str = "") -> None: ...

    def log_record(self, file: Path, record: Record | None = None) -> None: ...


class CallbackLogger:
    """A logger that tells callbacks what it logs; records are read for them only where there are any.

    Args:
        logger: Logs in the background, and reads records there.
        callbacks: The user's.
    """

    def __init__(self, logger: RecordLogger, callbacks: CallbackList):
        self.logger, self.callbacks = logger, callbacks

    def start_run(self, config: Config, trial: str = "") -> None:
        self.logger.start_run(config, trial)
        self.callbacks.call("on_trial_start", config)

    def log_record(self, file: Path, record: Record | None = None) -> None:
        if self.callbacks.callbacks and record is None:
            try:
                record = Record.load(file)
            except (OSError, ValueError) as error:  # such as a shared folder that lags behind
                log.warning("Callbacks are not told of a record: %s", error)
        self.logger.log_record(file, record)
        if record is not None:
            self.callbacks.report(record)
