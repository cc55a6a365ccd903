"""How many networks a budget of time allows: one short training is measured, the rest is divided."""

import math
import time
from dataclasses import dataclass, replace

from lyapsweep.config import Config
from lyapsweep.trial import run_trial

PILOT = (20, 420)  # updates of the two trainings that are measured
OVERHEAD = 25.0  # seconds for starting Ray twice, for the atlas and the report, on an idle machine
SLOWER = 1.5  # a search over workers takes this much more than the pilot: data are read and models imported there
CONFIRMED = 4  # settings that are trained again, by default
ENOUGH, LEAST = 24, 8  # networks of a search that is worth its name, and the fewest before updates are given up
SHARES = (1.0, 0.67, 0.45, 0.3)  # of the updates, tried in this order


@dataclass(frozen=True)
class Cost:
    """Seconds that one network takes in one process.

    Args:
        update: Seconds per update.
        evaluation: Seconds for everything else: spectra, measures, records.
        load: Seconds of the clock per second of processor time: 1 on an idle machine.
    """

    update: float
    evaluation: float
    load: float = 1.0

    def of(self, steps: int) -> float:
        """Seconds of a training of so many updates."""
        return steps * self.update + self.evaluation


@dataclass(frozen=True)
class Budget:
    """What is trained in the time that there is.

    Args:
        trials: Networks of the search.
        steps: Updates of each.
        seconds: Expected duration of search and confirmation; None where networks were asked for.
        search_seconds: Time after which the search starts no further networks; None for no limit.
        shortage: Why the budget is too small; "" if it is enough.
    """

    trials: int
    steps: int
    seconds: float | None = None
    search_seconds: float | None = None
    shortage: str = ""

    def used(self, searched: int) -> "Budget":
        """The budget after the search: too small if the time ended before enough of the planned networks.

        Example:
            >>> Budget(30, 900).used(5).shortage
            'the time ended after 5 of 30 networks, where 24 are wanted'
        """
        if self.shortage or searched >= min(self.trials, ENOUGH):
            return self
        text = f"the time ended after {searched} of {self.trials} networks, where {ENOUGH} are wanted"
        return replace(self, shortage=text)


def measured_cost(config: Config) -> Cost:
    """Train a network twice for a few updates; the first time compiles what is compiled."""
    for _ in run_trial(config.changed({"training/steps": 1})):
        pass
    processor, began = time.process_time(), time.perf_counter()
    few, more = (seconds_of(config.changed({"training/steps": steps})) for steps in PILOT)
    load = (time.perf_counter() - began) / max(1e-9, time.process_time() - processor)
    update = max(0.0, more - few) / (PILOT[1] - PILOT[0])
    return Cost(update, max(0.0, few - PILOT[0] * update), max(1.0, load))


def seconds_of(config: Config) -> float:
    """Seconds of a whole training in this process."""
    began = time.perf_counter()
    for _ in run_trial(config):
        pass
    return time.perf_counter() - began


def divide(seconds: float, cost: Cost, steps: int, jobs: int, fresh: int) -> Budget:
    """Divide the remaining time between the search and the confirmation by fresh seeds.

    Args:
        seconds: Remaining time.
        cost: Cost of a network.
        steps: Updates that are wanted.
        jobs: Networks that train at a time.
        fresh: Trainings of the confirmation.

    Returns:
        The most updates with which at least `ENOUGH` networks can be searched, else the least.

    Example:
        >>> divide(300.0, Cost(2.5e-4, 0.5), 9000, jobs=2, fresh=9).trials
        124
        >>> divide(30.0, Cost(1e-3, 0.5), 9000, jobs=2, fresh=9).shortage[:28]
        'the time is enough for 0 net'
    """
    overhead = OVERHEAD * cost.load
    working = max(0.0, seconds - overhead) * jobs / SLOWER
    found = Budget(0, steps)
    for share in SHARES:
        few = round(share * steps)
        each = cost.of(few)
        trials = max(0, math.floor(working / each) - fresh)
        confirming = SLOWER * fresh * each / jobs + overhead / 2
        expected = overhead + SLOWER * (trials + fresh) * each / jobs
        found = Budget(trials, few, expected, max(0.0, seconds - confirming))
        if trials >= ENOUGH:
            break
    if found.trials >= ENOUGH and found.steps == steps:
        return found
    need = (overhead + SLOWER * (ENOUGH + fresh) * cost.of(steps) / jobs) / 60
    text = (
        f"the time is enough for {found.trials} networks of {found.steps} updates and {fresh} for confirmation, where "
        f"{ENOUGH} of {steps} are wanted: allow {need:.0f} minutes more than the analysis takes"
    )
    return replace(found, trials=max(found.trials, LEAST), shortage=text)
