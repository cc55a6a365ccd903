"""Who of a hunt trains on: successive halving of the members of packs, decided as packs reach a rung."""

import math
from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from lyapsweep.config.sections import Training
from lyapsweep.results.best import Direction
from lyapsweep.results.record import Record
from lyapsweep.sweep.plan.halving import Halving


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

    def next_rung(self, training: Training, step: int) -> int | None:
        """The number of updates at which a pack that has made `step` of them is compared; None if it never is."""
        return next((rung for rung in self.halving.steps(training) if rung > step), None)

    def add(self, training: Training, step: int, values: Mapping[str, float]) -> None:
        """Note the objectives of trials at a rung, by their keys; each counts once."""
        rung = self.halving.steps(training).index(step)
        for key, value in values.items():
            if (rung, key) not in self.known:
                self.known.add((rung, key))
                insort(self.reached[rung, self.halving.bracket(key)], self.rank_key(key, value))

    def going_on(self, training: Training, step: int, values: Mapping[str, float]) -> set[str]:
        """Note the objectives of trials at a rung; return the keys of those that train on."""
        self.add(training, step, values)
        rung = self.halving.steps(training).index(step)
        return {key for key, value in values.items() if self.goes_on(rung, key, value)}

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
        """Read what earlier runs of the sweep saw at the rungs from the records in `folder`.

        Args:
            records: One record of each trial.
            folder: The records.
            objective: Name of the measure.
        """
        for record in records:
            training = record.config.training
            for step in self.halving.steps(training):
                file = folder / replace(record, step=step).filename
                if file.exists():
                    measures = Record.load(file, arrays=False).measures
                    self.add(training, step, {record.trial: measures.get(objective, math.nan)})
