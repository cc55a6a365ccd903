"""The logger of `--tracking-uri none`: records are written to disk as usual, MLflow is not used."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from lyapsweep.config import Config
from lyapsweep.results.table import Table
from lyapsweep.tracking.queued_record import RecordFile

NONE = "none"


class NullLogger:
    """Has the interface of `MLflowLogger` and does nothing; `lyapsweep sync` can log the records later.

    Example:
        >>> NullLogger().reconcile()
        0
    """

    def __init__(self) -> None:
        self.varied: Sequence[str] = ()
        self.labels: Mapping[str, str] = {}

    def refresh(self) -> None:
        """Do nothing: there are no runs to list."""

    def reconcile(self) -> int:
        """Return 0: no run can be left open."""
        return 0

    def start_run(self, config: Config, trial: str = "") -> None:
        """Do nothing."""

    def log_records(self, files: Sequence[RecordFile]) -> None:
        """Do nothing; the files are not read."""

    def link_runs(self, table: Table) -> Table:
        """Return the table unchanged."""
        return table

    def sync(self, folder: Path) -> int:
        """Return 0: nothing is logged."""
        return 0

    def log_summary(
        self, table: Table, files: Sequence[Path], metrics: Mapping[str, float], models: bool = True
    ) -> None:
        """Do nothing."""
