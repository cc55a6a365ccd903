"""The status of a sweep, read from its results folder alone: by any machine, while it runs or later."""

import math
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from lyapsweep.results.description import SweepDescription
from lyapsweep.results.experiment import ExperimentPaths
from lyapsweep.results.header import RecordHeader
from lyapsweep.results.outcome import Outcome
from lyapsweep.results.record_files import latest_files
from lyapsweep.sweep.observe.heartbeat import Heartbeat, read_heartbeat
from lyapsweep.sweep.plan.errors import SweepError

RECENT = 0.2  # fraction of the ended trials, the latest, that the pace is estimated from
FEWEST = 5  # ended trials that the pace is estimated from, if there are as many


@dataclass(frozen=True)
class SweepStatus:
    """The status of a sweep.

    Attributes:
        name: The sweep's name.
        asked: Number of trials requested; None without a sweep.json.
        outcomes: Number of trials per outcome; "running" are those that have begun and not ended.
        nodes: Number of trials that ended on each node, of those whose records name one.
        pace: Trials per minute, over the latest ones; NaN with fewer than two.
        left: Estimated remaining seconds; None where nothing is known.
        driver: The latest heartbeat; None where there never was one.
    """

    name: str
    asked: int | None
    outcomes: dict[str, int]
    nodes: dict[str, int]
    pace: float
    left: float | None
    driver: Heartbeat | None

    @property
    def done(self) -> int:
        return sum(n for outcome, n in self.outcomes.items() if Outcome(outcome).final)

    @property
    def runs(self) -> bool:
        return self.driver is not None and self.driver.alive


def read_status(folder: Path) -> SweepStatus:
    """The status of the sweep in a results folder; `SweepError` if there is neither a sweep nor a record."""
    paths = ExperimentPaths(folder)
    files = latest_files(paths.records)
    if not files and not paths.description.exists():
        missing = f"neither {paths.records.name}/ nor {paths.description.name}"
        raise SweepError(f"{folder}: no results folder, it holds {missing}. Name another folder.")
    description = SweepDescription.load(paths.description)
    outcomes, nodes, ends = Counter(), Counter(), []
    for file in files.values():
        header = RecordHeader.load(file)
        outcome, provenance = header.outcome, header.provenance
        if provenance.interrupted:  # a resumed sweep trains it again
            outcome = Outcome.RUNNING
        outcomes[outcome.value] += 1
        if outcome.final:
            ends.append(file.stat().st_mtime)
            nodes[provenance.node or "unknown"] += 1
    driver, asked = read_heartbeat(folder), description.trials
    alive = driver is not None and driver.alive
    pace = trials_per_minute(sorted(ends), time.time() if alive else None)
    missing = None if asked is None else max(asked - len(ends), 0)
    left = 60 * missing / pace if alive and missing is not None and pace > 0 else None
    name = description.name or folder.name
    return SweepStatus(name, asked, dict(outcomes), dict(nodes.most_common()), pace, left, driver)


def trials_per_minute(ends: list[float], now: float | None) -> float:
    """The pace over the latest ends (in seconds), until `now` while the sweep runs; NaN with fewer than two."""
    recent = ends[-max(math.ceil(RECENT * len(ends)), FEWEST) :]
    if len(recent) < 2:
        return math.nan
    span = (now or recent[-1]) - recent[0]
    return 60 * (len(recent) - (0 if now else 1)) / span if span > 0 else math.nan
