"""How a sweep stands, read off its results folder alone: by any machine that sees it, while it runs or later."""

import math
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from lyapsweep.results.description import SweepDescription
from lyapsweep.results.experiment import ExperimentPaths
from lyapsweep.results.record import Outcome, RecordHeader, latest_files
from lyapsweep.sweep.observe.heartbeat import Heartbeat, heard
from lyapsweep.sweep.plan.definition import SweepError

RECENT = 0.2  # of the trials that ended, the latest ones by which the pace is judged
FEWEST = 5


@dataclass(frozen=True)
class SweepStatus:
    """Counts by outcome (`running`: begun and not ended), and what follows from them.

    asked     trials; None where no sweep.json says
    nodes     trials ended on each node, of those whose records name one
    pace      trials a minute, by the latest ones; NaN with fewer than two
    left      seconds until all have ended at that pace; None where nothing can be said
    driver    the latest sign of life of a driver; None where there never was one
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


def state(folder: Path) -> SweepStatus:
    """Raises `SweepError` where the folder holds no sweep and no records."""
    paths = ExperimentPaths(folder)
    files = latest_files(paths.records)
    if not files and not paths.description.exists():
        raise SweepError(
            f"{folder} is no results folder: it holds neither {paths.records.name}/ nor {paths.description.name}."
        )
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
    driver, asked = heard(folder), description.trials
    alive = driver is not None and driver.alive
    pace = speed(sorted(ends), time.time() if alive else None)
    missing = None if asked is None else max(asked - len(ends), 0)
    left = 60 * missing / pace if alive and missing is not None and pace > 0 else None
    name = description.name or folder.name
    return SweepStatus(name, asked, dict(outcomes), dict(nodes.most_common()), pace, left, driver)


def speed(ends: list[float], now: float | None) -> float:
    """Trials a minute over the latest ends (seconds), until `now` where the sweep still runs."""
    recent = ends[-max(math.ceil(RECENT * len(ends)), FEWEST) :]
    if len(recent) < 2:
        return math.nan
    span = (now or recent[-1]) - recent[0]
    return 60 * (len(recent) - (0 if now else 1)) / span if span > 0 else math.nan
