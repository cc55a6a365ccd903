"""How far a sweep is: counts, the best so far, and an estimate of the time left."""

import math
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from lyapsweep.config import Config
from lyapsweep.results.best import Direction, can_win, ranking_key
from lyapsweep.results.record import Outcome, Record


@dataclass(frozen=True)
class SweepProgress:
    """What a listener is told at every event. `left` is in seconds, None while nothing can be said.

    `done` counts every trial that has ended, however it ended; `finished` those that were trained to the end.
    `best` is (objective value, what tells that trial from the others).
    """

    asked: int
    done: int
    finished: int
    failed: int
    diverged: int
    stopped: int
    running: int
    best: tuple[float, str] | None
    seconds: float
    left: float | None
    message: str = ""


@dataclass
class ProgressCounter:
    """The driver's own count. `direction` says which value is best."""

    asked: int
    direction: Direction
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    counts: Counter[Outcome] = field(default_factory=Counter)  # of `outcomes`, kept: every event asks for them
    parts: dict[str, float] = field(default_factory=dict)  # done of each trial that trains, 0 ... 1
    best: tuple[float, Config] | None = None
    began: float = field(default_factory=time.monotonic)
    before: float = 0  # trials, or parts of them, that were trained before this driver began
    first: float | None = None  # when its first trial started

    def known(self, ended: dict[str, Record], objective: str) -> None:
        """Trials that an earlier driver brought to their end."""
        for record in ended.values():
            self.note(record.config, record.outcome, record.measures.get(objective, math.nan), 1.0)
        self.before, self.first = len(ended), None

    def note(self, config: Config, outcome: Outcome, value: float, part: float) -> None:
        self.first = self.first or time.monotonic()
        if before := self.outcomes.get(config.id):
            self.counts[before] -= 1
        self.outcomes[config.id] = outcome
        self.counts[outcome] += 1
        self.parts.pop(config.id, None)
        if not outcome.final:
            self.parts[config.id] = part
        if can_win(outcome, value):
            entries = [(value, config), *([self.best] if self.best else [])]
            self.best = min(entries, key=lambda entry: ranking_key(entry[0], entry[1].id, self.direction))

    def ended(self, trial: str) -> bool:
        """Whether the trial's end is known."""
        return self.outcomes.get(trial, Outcome.RUNNING).final

    @property
    def done(self) -> int:
        return sum(n for outcome, n in self.counts.items() if outcome.final)

    def left(self) -> float | None:
        """Seconds, if the rest goes at the pace of what this driver has trained."""
        here, want = self.done + sum(self.parts.values()) - self.before, self.asked - self.before
        if self.first is None or here <= 0:
            return None
        return (time.monotonic() - self.first) * max(want - here, 0) / here

    def progress(self, name_of: Callable[[Config], str], message: str = "") -> SweepProgress:
        counts = self.counts
        return SweepProgress(
            asked=self.asked,
            done=self.done,
            finished=counts[Outcome.FINISHED],
            failed=counts[Outcome.FAILED],
            diverged=counts[Outcome.DIVERGED],
            stopped=counts[Outcome.STOPPED],
            running=counts[Outcome.RUNNING],
            best=(self.best[0], name_of(self.best[1])) if self.best else None,
            seconds=time.monotonic() - self.began,
            left=self.left(),
            message=message,
        )
