"""Which of several settings is best on a series: the floor first, then the largest exponent, then forecasts."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lyapsweep.measures import MEASURES
from lyapsweep.results.floors import reaches_floor, seed_interval
from lyapsweep.results.record import Outcome, Record

NEAR = 0.1  # of the data's exponent: a difference of a network's that does not count against it


@dataclass(frozen=True)
class Criterion:
    """How settings are compared.

    Args:
        objective: Name of the measure.
        lambda_max: The data's largest exponent in nats per step; NaN if unknown.
        half_width: Half of its 95 % interval.

    Example:
        >>> Criterion("state_space", lambda_max=0.03, half_width=0.001).tolerance
        0.003
    """

    objective: str
    lambda_max: float = math.nan
    half_width: float = 0.0

    @property
    def tolerance(self) -> float:
        """Largest difference from the data's exponent that does not count: 10 %, or half of its interval if wider."""
        return max(NEAR * abs(self.lambda_max), self.half_width)

    def score(self, record: Record) -> float:
        """The objective; infinite, the worst, of a network that did not finish bounded."""
        worst = -math.inf if MEASURES[self.objective].direction == "maximise" else math.inf
        value = record.measures.get(self.objective, math.nan)
        return value if record.outcome is Outcome.FINISHED and math.isfinite(value) else worst

    def floor(self, record: Record) -> tuple[float, float]:
        """The interval of the objective's floor; NaN without a floor."""
        floor = record.floors.get(self.objective, math.nan)
        low, high = (record.floors.get(f"{self.objective}/{end}", floor) for end in ("low", "high"))
        return low, high

    def at_floor(self, records: Sequence[Record]) -> bool:
        """Whether a setting is as good as the measure can tell, by the quartiles of its seeds."""
        scores = np.array([self.score(record) for record in records])
        interval, median = seed_interval(scores), float(np.median(scores))
        return reaches_floor(MEASURES[self.objective].direction, interval, self.floor(records[0]), median)

    def misfits(self, records: Sequence[Record]) -> int:
        """Number of networks whose largest exponent is not the data's within the tolerance; lost ones count.

        0 where the data's exponent is unknown.
        """
        if math.isnan(self.lambda_max):
            return 0
        found = [r.spectrum.maximum if r.spectrum and r.outcome is Outcome.FINISHED else math.nan for r in records]
        return sum(not abs(exponent - self.lambda_max) <= self.tolerance for exponent in found)

    def key(self, records: Sequence[Record]) -> tuple[bool, int, float, str]:
        """Sorts settings, best first, each given by the records of its seeds.

        At the floor the measure tells networks no more apart: there the exponent and the valid prediction time decide.
        """
        scores = [self.score(record) for record in records]
        median = float(np.median(scores))
        if MEASURES[self.objective].direction == "maximise":
            median = -median
        at_floor, times = self.at_floor(records), [r.measures.get("prediction_time/samples", 0.0) for r in records]
        value = -float(np.median(np.nan_to_num(times))) if at_floor else median
        return not at_floor, self.misfits(records), value, records[0].trial
