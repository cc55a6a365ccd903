"""Progress of a sweep: counts of outcomes, the best trial so far, and the estimated remaining time."""

import heapq
import math
import statistics
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from lyapsweep.config import Config
from lyapsweep.results.best import LOST, Direction, can_win, ranking_key
from lyapsweep.results.constraints import Constraint, score_of
from lyapsweep.results.record import Outcome, Record
from lyapsweep.sweep.plan.points import Point

SHOWN = 5  # of the best settings so far


@dataclass(frozen=True)
class SweepProgress:
    """What a listener gets at every event.

    Attributes:
        asked: Number of trials requested.
        done: Trials that have ended, with any outcome.
        finished: Trials that were trained to their end; `unbounded`, `failed`, `diverged`, `stopped`, `running`
            likewise.
        best: The best objective so far, and a name of its trial.
        seconds: Elapsed time.
        left: Estimated remaining seconds; None while nothing is known.
        message: A note for the user, empty but at the end.
        phase: What is done after training, such as "writing the atlas"; empty during it.
        pace: Updates of all trials per second since this driver's first trial started; None before that.
        losses: The running training loss of each pack by its number, the median over its members.
        leading: The best settings so far, best first.
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
    unbounded: int = 0
    phase: str = ""
    pace: float | None = None
    losses: tuple[tuple[int, float], ...] = ()
    leading: tuple["LeadingSetting", ...] = ()


@dataclass(frozen=True)
class LeadingSetting:
    """One of the best settings so far: its name, the median over its seeds so far, their scores and their number."""

    name: str
    median: float
    low: float
    high: float
    seeds: int


@dataclass
class ProgressCounter:
    """Counts the outcomes of a sweep's trials.

    Attributes:
        asked: Number of trials requested.
        direction: "minimise" or "maximise": which value of the objective is best.
        bounds: Constraints that the best trial must keep.
        outcomes: The latest outcome of every trial.
        counts: Number of trials per outcome, updated and not recounted: every event needs it.
        fractions: How much of each running trial is done, from 0 to 1.
        best: The best objective and its config.
        best_key: That trial's key.
        excluded: Trials, or fractions of trials, that were trained before this driver started.
        updates: Updates that this driver's trials have made, by trial.
        losses: The running training loss of each pack by its number.
        scores: The scores of trials that ended, by setting; those of lost trials are the worst.
    """

    asked: int
    direction: Direction
    bounds: Sequence[Constraint] = ()
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    counts: Counter[Outcome] = field(default_factory=Counter)
    fractions: dict[str, float] = field(default_factory=dict)
    best: tuple[float, Config] | None = None
    best_key: str | None = None
    excluded: float = 0
    started: float = field(default_factory=time.monotonic)
    first_trial: float | None = None  # when this driver's first trial started
    updates: dict[str, int] = field(default_factory=dict)
    losses: dict[int, float] = field(default_factory=dict)
    scores: dict[str, list[float]] = field(default_factory=dict)
    named: dict[str, Config] = field(default_factory=dict)  # a config of each setting
    leading: tuple[LeadingSetting, ...] | None = None  # None where a trial ended since they were found

    def add_recorded(self, ended: Mapping[str, Record], objective: str) -> None:
        """Count trials that an earlier driver trained to their end; they do not enter the time estimate."""
        for key, record in ended.items():
            point = Point(record.config, {}, {}, recorded_as=key)
            scores = {bound.score: score_of(record, bound.score) for bound in self.bounds}
            self.update(point, record.outcome, record.measures.get(objective, math.nan), 1.0, scores)
        self.excluded, self.first_trial = len(ended), None
        self.updates.clear()

    def update(
        self, point: Point, outcome: Outcome, value: float, fraction: float, scores: Mapping[str, float] | None = None
    ) -> None:
        """Set a trial's outcome, its objective, how much of it is done, and the scores that constraints need."""
        self.first_trial = self.first_trial or time.monotonic()
        if before := self.outcomes.get(point.key):
            self.counts[before] -= 1
        self.outcomes[point.key] = outcome
        self.counts[outcome] += 1
        self.fractions.pop(point.key, None)
        self.updates[point.key] = round(fraction * point.config.training.steps)
        if not outcome.final:
            self.fractions[point.key] = fraction
        feasible = all(bound.holds(scores or {}) for bound in self.bounds)
        if outcome.final and feasible and not (before and before.final):
            self.add_score(point.config, outcome, value)
        if feasible and can_win(outcome, value) and self.improves(value, point.key):
            self.best, self.best_key = (value, point.config), point.key

    def add_score(self, config: Config, outcome: Outcome, value: float) -> None:
        """Add the score of a trial that ended to those of its setting, which is everything but the seed."""
        if not (outcome in LOST or can_win(outcome, value)):
            return
        worst = -math.inf if self.direction == "maximise" else math.inf
        name = str([pair for pair in config.flat.items() if pair[0] != "seed"])
        self.scores.setdefault(name, []).append(worst if outcome in LOST else value)
        self.named.setdefault(name, config)
        self.leading = None

    def leading_settings(self, name_of: Callable[[Config], str]) -> tuple[LeadingSetting, ...]:
        """The best settings so far by the median over their seeds."""
        if self.leading is None:
            medians = {name: statistics.median(scores) for name, scores in self.scores.items()}
            finite = (name for name, median in medians.items() if math.isfinite(median))
            best = heapq.nsmallest(SHOWN, finite, key=lambda name: ranking_key(medians[name], name, self.direction))
            kept = [(name, [v for v in self.scores[name] if math.isfinite(v)]) for name in best]
            self.leading = tuple(
                LeadingSetting(name_of(self.named[name]), medians[name], min(v), max(v), len(v)) for name, v in kept
            )
        return self.leading

    def note_loss(self, pack: int, loss: float | None) -> None:
        """Set the running training loss of a pack; None once it has ended."""
        self.losses.pop(pack, None)
        if loss is not None and not math.isnan(loss):
            self.losses[pack] = loss

    @property
    def pace(self) -> float | None:
        """Updates of all trials per second since this driver's first trial started."""
        elapsed = time.monotonic() - self.first_trial if self.first_trial else 0.0
        return sum(self.updates.values()) / elapsed if elapsed > 0 and self.updates else None

    def improves(self, value: float, key: str) -> bool:
        if self.best is None or self.best_key is None:
            return True
        return ranking_key(value, key, self.direction) < ranking_key(self.best[0], self.best_key, self.direction)

    def exclude(self, fraction: float) -> None:
        """Leave a fraction of a trial that this driver did not train out of the time estimate."""
        self.excluded += max(fraction, 0)

    def ended(self, key: str) -> bool:
        """Whether the trial has ended."""
        return self.outcomes.get(key, Outcome.RUNNING).final

    @property
    def done(self) -> int:
        return sum(n for outcome, n in self.counts.items() if outcome.final)

    def remaining_seconds(self) -> float | None:
        """Estimated from the pace of what this driver has trained; None before that."""
        trained = self.done + sum(self.fractions.values()) - self.excluded
        if self.first_trial is None or trained <= 0:
            return None
        remaining = max(self.asked - self.excluded - trained, 0)
        return (time.monotonic() - self.first_trial) * remaining / trained

    def progress(
        self,
        name_of: Callable[[Config], str],
        setting_of: Callable[[Config], str] | None = None,
        message: str = "",
        phase: str = "",
    ) -> SweepProgress:
        """The current progress; `name_of` names the best trial, `setting_of` a setting."""
        return SweepProgress(
            asked=self.asked,
            done=self.done,
            finished=self.counts[Outcome.FINISHED],
            failed=self.counts[Outcome.FAILED],
            diverged=self.counts[Outcome.DIVERGED],
            stopped=self.counts[Outcome.STOPPED],
            running=self.counts[Outcome.RUNNING],
            best=(self.best[0], name_of(self.best[1])) if self.best else None,
            seconds=time.monotonic() - self.started,
            left=self.remaining_seconds(),
            message=message,
            unbounded=self.counts[Outcome.UNBOUNDED],
            phase=phase,
            pace=self.pace,
            losses=tuple(sorted(self.losses.items())),
            leading=self.leading_settings(setting_of or name_of),
        )
