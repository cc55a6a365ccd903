"""Logging to MLflow from a background thread of the driver, with retries and coalesced records.

The driver is the only writer of a sweep: a fresh SQLite file has no race, workers need no MLflow.
"""

import logging
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING

from lyapsweep.config import Config
from lyapsweep.redaction import redact
from lyapsweep.results.record import Record
from lyapsweep.tracking.null_logger import NullLogger
from lyapsweep.tracking.queued_record import RecordFile

if TYPE_CHECKING:
    from lyapsweep.tracking.mlflow_logger import MLflowLogger

log = logging.getLogger("lyapsweep")
ATTEMPTS = 3  # per task while the server answers
GATHER = 5.0  # seconds that a trial's records wait for later ones: a request costs more than a record
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0  # seconds between attempts to reach a server that does not answer


class AsyncLogger:
    """Runs the calls of a logger in order in a background thread and retries them until the server answers.

    A server outage delays the queue and not the sweep: every record is on disk. A task that fails `ATTEMPTS` times
    while the server answers is dropped, and so are all remaining tasks if the server is down when the sweep ends;
    `MLflowLogger.sync` logs them later.

    Args:
        logger: The logger whose `start_run` and `log_records` are called.

    Attributes:
        error: The latest exception of a task; None while every task succeeded.
        outages: Number of times that the server stopped answering.
        dropped: Number of tasks that were given up.

    Example:
        >>> logger = AsyncLogger(NullLogger())
        >>> logger.log_record(Path("results/demo/records/4b1f-00000004.npz"))
        >>> logger.close()
        >>> logger.dropped, logger.pending
        (0, 0)
    """

    def __init__(self, logger: "MLflowLogger | NullLogger"):
        self.logger = logger
        self.error: Exception | None = None
        self.outages = self.dropped = 0
        self.queue: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self.batches: dict[str, dict[Path, RecordFile]] = {}  # queued records of each trial, by file
        self.lock = threading.Lock()
        self.closing = threading.Event()
        self.abandoned = False  # the server did not answer while the sweep ended
        self.thread = threading.Thread(target=self._run_queue, name="async-logger", daemon=True)
        self.thread.start()

    @property
    def pending(self) -> int:
        """Number of queued tasks."""
        return self.queue.qsize()

    def start_run(self, config: Config, trial: str = "") -> None:
        """Queue the start of a trial's run.

        Args:
            config: The trial's configuration.
            trial: The trial's id; by default `config.id`.
        """
        self.queue.put(partial(self.logger.start_run, config, trial))

    def log_record(self, file: Path, record: Record | None = None) -> None:
        """Queue a record; the queued records of one trial are coalesced into one request.

        Args:
            file: The record's file.
            record: The record, if the caller holds it; otherwise the file is read once, in the background.
        """
        queued = RecordFile(file, record)
        with self.lock:
            if queued.trial not in self.batches:
                self.batches[queued.trial] = {}
                due = time.monotonic() + GATHER
                self.queue.put(partial(self._log_batch, queued.trial, self.batches[queued.trial], due))
            self.batches[queued.trial][file] = queued

    def close(self, tick: Callable[[], None] = lambda: None) -> None:
        """Wait until every queued task is done or dropped.

        Args:
            tick: Called once per second while waiting.
        """
        self.closing.set()
        self.queue.put(None)
        while self.thread.is_alive():
            self.thread.join(1.0)
            tick()

    def _log_batch(self, trial: str, batch: dict[Path, RecordFile], due: float) -> None:
        self.closing.wait(max(due - time.monotonic(), 0.0))
        with self.lock:
            if self.batches.get(trial) is batch:  # later records start a new batch
                del self.batches[trial]
        self.logger.log_records([batch[file] for file in sorted(batch)])

    def _run_queue(self) -> None:
        while (task := self.queue.get()) is not None:
            if not self._attempt(task):
                self.dropped += 1

    def _attempt(self, task: Callable[[], None]) -> bool:
        """Run a task, however long the server is down; return False if it is dropped."""
        for attempt in range(ATTEMPTS):
            if self.abandoned or (attempt and not self._wait_for_server()):
                return False
            try:
                task()
                return True
            except Exception as error:
                if self.error is None:
                    log.warning(
                        "MLflow: logging failed (%s). Records are on disk and will be logged later.", redact(str(error))
                    )
                self.error = error
        return False

    def _wait_for_server(self) -> bool:
        """Wait until the server answers and its runs are listed; return False if the sweep ends first."""
        pause, began = FIRST_PAUSE, time.monotonic()
        while not self.closing.wait(pause):
            try:
                self.logger.refresh()  # a run may have been created although its response was lost
            except Exception:
                if pause == FIRST_PAUSE:
                    self.outages += 1
                pause = min(2 * pause, LONGEST_PAUSE)
                continue
            if pause > FIRST_PAUSE:
                log.warning(
                    "MLflow: answering again after %.0f s, %d tasks pending.", time.monotonic() - began, self.pending
                )
            return True
        self.abandoned = True
        return False
