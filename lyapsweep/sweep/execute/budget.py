"""The budget of a running sweep: what was used, what the trials in training still need, and what else fits."""

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from lyapsweep.config import Config
from lyapsweep.config.sections import Training
from lyapsweep.sweep.execute.halving import SuccessiveHalving
from lyapsweep.sweep.plan.budget import Budget
from lyapsweep.sweep.plan.points import Point

GRACE = 1.05  # of a budget, after which trials in training are interrupted


def all_updates(training: Training, step: int) -> float:
    """The updates that a trial still makes which nobody stops."""
    return training.steps - step


@dataclass
class Pace:
    """Seconds of workers, and updates of single networks that they made in that time."""

    seconds: float = 0.0
    updates: float = 0.0


@dataclass
class BudgetMeter:
    """Counts updates and time, and says how many fresh members may start.

    Args:
        budget: The limit; None for none.
        started: When the sweep started, by `time.monotonic`.
        slots: Number of packs that can train at a time.
        expected: Updates that a trial with these settings makes after so many, on average.
        whole: Whether a pack starts whole or not at all.
    """

    budget: Budget | None
    started: float = field(default_factory=time.monotonic)
    slots: Callable[[], int] = lambda: 1
    expected: Callable[[Training, int], float] = all_updates
    whole: bool = False
    updates: float = 0.0
    steps: dict[str, int] = field(default_factory=dict)
    open: dict[str, Config] = field(default_factory=dict)  # of trials that train or wait for a further pack
    laps: dict[int, float] = field(default_factory=dict)
    paces: dict[str, Pace] = field(default_factory=lambda: defaultdict(Pace))  # by shape
    reached: bool = False  # whether a trial did not start for want of budget

    def set_plan(self, slots: Callable[[], int], intent: str, halving: SuccessiveHalving | None) -> None:
        """Set how many packs train at a time, and what is known of the cost of trials."""
        self.slots, self.whole = slots, intent == "map"
        self.expected = halving.expected if halving else all_updates

    def start(self, number: int, points: Sequence[Point], step: int) -> None:
        """A pack starts after `step` updates."""
        self.laps[number] = time.monotonic()
        for point in points:
            self.open[point.key] = point.config
            self.steps[point.key] = max(step, self.steps.get(point.key, 0))

    def advance(self, number: int, steps: dict[str, int]) -> None:
        """Members of a pack made so many updates."""
        made = 0
        for key, step in steps.items():
            made += max(step - self.steps.get(key, 0), 0)
            self.steps[key] = max(step, self.steps.get(key, 0))
        now = time.monotonic()
        config = next((self.open[key] for key in steps if key in self.open), None)
        if config is not None and made:
            pace = self.paces[config.shape]
            pace.seconds, pace.updates = pace.seconds + now - self.laps.get(number, now), pace.updates + made
            self.laps[number] = now
        self.updates += made

    def end(self, key: str) -> None:
        """A trial makes no further updates."""
        self.open.pop(key, None)

    @property
    def used(self) -> float:
        """Seconds or updates."""
        return time.monotonic() - self.started if self.budget and self.budget.of_time else self.updates

    @property
    def exceeded(self) -> bool:
        """Whether trials in training must be interrupted."""
        return self.budget is not None and self.used > GRACE * self.budget.amount

    def admit(self, points: Sequence[Point]) -> int:
        """How many of these fresh points may start."""
        if self.budget is None or not points:
            return len(points)
        fitting = max(0, int(min(self.room(points[0].config), len(points))))
        admitted = 0 if self.whole and fitting < len(points) else fitting
        self.reached = self.reached or admitted < len(points)
        return admitted

    def sentence(self, done: int, asked: int) -> str:
        """What was used, and what remains; empty without a budget, or where it sufficed."""
        if self.budget is None or not self.reached or done >= asked:
            return ""
        used = f"{self.used / 60:.1f} min" if self.budget.of_time else f"{self.updates:,.0f} updates"
        return f"{used} of {self.budget.text} used; {done} of {asked} trials; --resume goes on"

    def room(self, config: Config) -> float:
        """How many trials like this one fit into what remains of the budget."""
        assert self.budget is not None
        remaining, cost = self.budget.amount - self.used, self.expected(config.training, 0)
        if not self.budget.of_time:
            return (remaining - sum(self.needed(key) for key in self.open)) / cost
        if not (seconds := self.seconds_per_update(config.shape)):
            return float("inf") if remaining > 0 else 0.0  # nothing is known yet
        if config.training.steps * seconds > remaining:
            return 0.0
        needed = sum(self.needed(key) * self.seconds_per_update(c.shape) for key, c in self.open.items())
        return min(remaining * self.slots() - needed, remaining) / (cost * seconds)

    def needed(self, key: str) -> float:
        """Updates that an open trial still makes, on average."""
        return self.expected(self.open[key].training, self.steps[key])

    def seconds_per_update(self, shape: str) -> float:
        """Seconds of a worker per update of one network of a shape; of all shapes where it is not known; 0 at first."""
        known = [self.paces[shape]] if shape in self.paces else list(self.paces.values())
        updates = sum(pace.updates for pace in known)
        return sum(pace.seconds for pace in known) / updates if updates else 0.0
