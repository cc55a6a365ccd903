"""Logging to MLflow in the background of the driver.

One writer for the whole sweep: no race for a fresh SQLite file, no lock to wait for, and no worker that loads MLflow.
"""

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue

from lyapsweep.config import Config
from lyapsweep.record import Record
from lyapsweep.tracking import Ledger

log = logging.getLogger("lyapsweep")


class Scribe:
    """Does what it is told, in order, in a thread of its own.

    After the first error (a server that went down) it warns once and leaves the rest to `Ledger.sync`: every record
    is on disk.
    """

    def __init__(self, ledger: Ledger):
        self.ledger = ledger
        self.trouble: Exception | None = None
        self.tasks: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self.thread = threading.Thread(target=self.work, name="scribe", daemon=True)
        self.thread.start()

    def begin(self, config: Config) -> None:
        self.tasks.put(lambda: self.ledger.begin(config))

    def write(self, file: Path) -> None:
        self.tasks.put(lambda: self.ledger.write(Record.load(file), file))

    def work(self) -> None:
        while (task := self.tasks.get()) is not None:
            if self.trouble is None:
                try:
                    task()
                except Exception as error:
                    self.trouble = error
                    log.warning("Tracking fails (%s). The records are on disk and are logged again at the end.", error)

    def close(self) -> None:
        """Wait until all that was asked is done."""
        self.tasks.put(None)
        self.thread.join()
