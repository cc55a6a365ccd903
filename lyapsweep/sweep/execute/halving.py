"""Who of a hunt trains on: successive halving of the members of packs, decided as packs reach a rung."""

import math
from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

from lyapsweep.config.sections import Training
from lyapsweep.results.best import Direction
from lyapsweep.results.record import Record
from lyapsweep.sweep.execute.planning import SweepPlan
from lyapsweep.sweep.plan.confirmation import without_confirmation
from lyapsweep.sweep.plan.halving import Halving


def halving_of(planned: SweepPlan, records: Path) -> "SuccessiveHalving | None":
    """Which members of a sweep's packs train on, with what the records in a folder say of them; None if all do."""
    sweep = planned.sweep
    if sweep.halving_settings is None:
        return None
    halving = SuccessiveHalving(sweep.halving_settings, sweep.direction)
    search = without_confirmation(planned.records, planned.confirmation)  # the others are trained whole
    halving.restore(search.values(), records, sweep.objective)
    return halving


class SuccessiveHalving:
    """The values of all trials at the rungs that they reached.

    Args:
        halving: Rungs, reduction and brackets.
        direction: "minimise" or "maximise": which objective is best.
    """

    def __init__(self, halving: Halving, direction: Direction):
        self.halving, self.sign = halving, 1 if direction == "minimise" else -1
        self.reached: dict[tuple[int, int], list[tuple[float, str]]] = defaultdict(
            list
        )  # by rung and bracket, best first
        self.known: set[tuple[int, str]] = set()
        self.unimproved: dict[
            str, tuple[int, float, int]
        ] = {}  # step and best value of a trial, reports without a better

    def next_rung(self, training: Training, step: int) -> int | None:
        """The number of updates at which a pack that has made `step` of them ends; None for the end of training."""
        return next((stop for stop in self.halving.stops(training) if stop > step), None)

    def expected(self, training: Training, step: int) -> float:
        """The updates that a trial makes after `step`, on average."""
        ends = [step, *(stop for stop in self.halving.steps(training) if stop > step), training.steps]
        return sum((b - a) / self.halving.reduction**k for k, (a, b) in enumerate(pairwise(ends)))

    def observe(self, key: str, step: int, value: float) -> None:
        """Note the objective of a trial at a report."""
        before, best, reports = self.unimproved.get(key, (-1, math.inf, 0))
        if step > before:
            cost = self.rank_key(key, value)[0]
            self.unimproved[key] = (step, min(best, cost), 0 if cost < best else reports + 1)

    def add(self, training: Training, step: int, values: Mapping[str, float]) -> None:
        """Note the objectives of trials at a rung, by their keys; each counts once."""
        rung = self.halving.steps(training).index(step)
        for key, value in values.items():
            if (rung, key) not in self.known:
                self.known.add((rung, key))
                insort(self.reached[rung, self.halving.bracket(key)], self.rank_key(key, value))

    def going_on(self, training: Training, step: int, values: Mapping[str, float]) -> set[str]:
        """Note the objectives of trials where a pack ended; return the keys of those that train on."""
        patience, rungs = self.halving.patience, self.halving.steps(training)
        patient = {key for key in values if patience is None or self.unimproved.get(key, (0, 0, 0))[2] < patience}
        if step not in rungs:
            return patient
        self.add(training, step, values)
        rung = rungs.index(step)
        return {key for key in patient if self.goes_on(rung, key, values[key])}

    def goes_on(self, rung: int, key: str, value: float) -> bool:
        """Whether a trial is among the best at a rung; those of brackets above the rung are not compared there."""
        bracket = self.halving.bracket(key)
        if bracket > rung:
            return True
        reached = self.reached[rung, bracket]
        rank = bisect_left(reached, self.rank_key(key, value))
        return math.isfinite(value) and rank < math.ceil(len(reached) / self.halving.reduction)

    def rank_key(self, key: str, value: float) -> tuple[float, str]:
        """What trials are sorted by, best first; a lost network is last."""
        return (self.sign * value if math.isfinite(value) else math.inf, key)

    def restore(self, records: Iterable[Record], folder: Path, objective: str) -> None:
        """Read what earlier runs of the sweep saw from the records in `folder`.

        Args:
            records: One record of each trial.
            folder: The records.
            objective: Name of the measure.
        """
        for record in records:
            training = record.config.training
            rungs, reports = self.halving.steps(training), sorted(training.reports)
            for step in rungs if self.halving.patience is None or record.outcome.final else reports:
                file = folder / replace(record, step=step).filename
                if file.exists():
                    value = Record.load(file, arrays=False).measures.get(objective, math.nan)
                    self.observe(record.trial, step, value)
                    if step in rungs:
                        self.add(training, step, {record.trial: value})
