"""A record on disk, read at most once on its way to MLflow."""

from dataclasses import dataclass
from pathlib import Path

from lyapsweep.results.record import Record
from lyapsweep.results.record_files import trial_of


@dataclass
class RecordFile:
    """The file of a record, with the record itself where the caller already holds it."""

    path: Path
    record: Record | None = None

    @property
    def trial(self) -> str:
        """The id of the trial, from the file's name."""
        return trial_of(self.path)

    def load(self) -> Record:
        """Return the record; the file is read on the first call only."""
        if self.record is None:
            self.record = Record.load(self.path)
        return self.record
