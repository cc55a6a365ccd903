"""Logging to MLflow in the background of the driver.

One writer for the whole sweep: no race for a fresh SQLite file, no lock to wait for, and no worker that loads MLflow.
"""

import logging
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from queue import SimpleQueue

from lyapsweep.config import Config
from lyapsweep.results.record import Record, trial_of
from lyapsweep.tracking import MLflowLogger
from lyapsweep.tracking.null_logger import NullLogger

log = logging.getLogger("lyapsweep")
TRIES = 3  # of one task while the server answers
SOON, SELDOM = 1.0, 30.0  # seconds between tries while it does not


class AsyncLogger:
    """Does what it is told, in order, in a thread of its own, and tries again until the server is back.

    A server that is down holds the queue up, not the sweep: every record is on disk. What the server refuses while it
    answers is left out after TRIES, and so is all that is left when the sweep ends: `Ledger.sync` logs it. `trouble`
    is the latest error, `outages` how often the server went away.
    """

    def __init__(self, ledger: MLflowLogger | NullLogger):
        self.ledger = ledger
        self.trouble: Exception | None = None
        self.outages = self.left_out = 0
        self.given_up = False  # the server is away while the sweep ends
        self.tasks: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self.waiting: dict[str, list[Path]] = {}  # records of each trial that no task has begun to log
        self.lock = threading.Lock()
        self.closing = threading.Event()
        self.thread = threading.Thread(target=self.work, name="scribe", daemon=True)
        self.thread.start()

    def begin(self, config: Config) -> None:
        self.tasks.put(lambda: self.ledger.begin(config))

    def write(self, file: Path) -> None:
        """Log a record; together with those of its trial that wait already, so that who is behind has less to do."""
        if isinstance(self.ledger, NullLogger):  # nobody asks for what would be read
            return
        trial = trial_of(file)
        with self.lock:
            if trial not in self.waiting:
                self.waiting[trial] = []
                self.tasks.put(partial(self.log, trial, self.waiting[trial]))
            self.waiting[trial].append(file)

    def log(self, trial: str, files: list[Path]) -> None:
        with self.lock:
            if self.waiting.get(trial) is files:  # what comes from now on waits anew
                del self.waiting[trial]
        files = sorted(set(files))
        self.ledger.write_together([(Record.load(file), file) for file in files])

    @property
    def behind(self) -> int:
        """How many tasks wait."""
        return self.tasks.qsize()

    def work(self) -> None:
        while (task := self.tasks.get()) is not None:
            if not self.done(task):
                self.left_out += 1

    def done(self, task: Callable[[], None]) -> bool:
        """Do a task, however long the server is away; False where it cannot be done."""
        for attempt in range(TRIES):
            if self.given_up or (attempt and not self.wait_for_server()):
                return False
            try:
                task()
                return True
            except Exception as error:
                if self.trouble is None:
                    log.warning("Tracking fails (%s). The records are on disk, and are logged when it is back.", error)
                self.trouble = error
        return False

    def wait_for_server(self) -> bool:
        """Wait until the server answers and it is known which runs it holds; False where the sweep ends before."""
        pause, began = SOON, time.monotonic()
        while not self.closing.wait(pause):
            try:
                self.ledger.refresh()  # a run may have been made whose answer was lost
            except Exception:
                if pause == SOON:
                    self.outages += 1
                pause = min(2 * pause, SELDOM)
                continue
            if pause > SOON:
                log.warning("Tracking is back after %.0f s; %d tasks wait.", time.monotonic() - began, self.behind)
            return True
        self.given_up = True
        return False

    def close(self, tick: Callable[[], None] = lambda: None) -> None:
        """Wait, calling `tick` every second, until all that was asked is done, or cannot be done now."""
        self.closing.set()
        self.tasks.put(None)
        while self.thread.is_alive():
            self.thread.join(1.0)
            tick()
