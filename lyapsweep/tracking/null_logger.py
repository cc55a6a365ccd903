"""No tracking: `--tracking-uri none`. Records, journal and atlas are written as ever; `lyapsweep sync` logs later."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from lyapsweep.config import Config
from lyapsweep.results.record import Record
from lyapsweep.results.table import Table

NONE = "none"


class NullLogger:
    """What `Ledger` is to a sweep that is logged, for one that is not."""

    def __init__(self) -> None:
        self.varied: Sequence[str] = ()
        self.labels: dict[str, str] = {}

    def refresh(self) -> None:
        pass

    def reconcile(self) -> int:
        return 0

    def begin(self, config: Config) -> None:
        pass

    def write_together(self, pairs: Sequence[tuple[Record, Path]]) -> None:
        pass

    def linked(self, table: Table) -> Table:
        return table

    def sync(self, folder: Path) -> int:
        return 0

    def summary(self, table: Table, files: Sequence[Path], numbers: Mapping[str, float], models: bool = True) -> None:
        pass
