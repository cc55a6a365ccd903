"""Constraints on the scores of a hunt's trials, such as "D_stsp <= 0.5"."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from lyapsweep.results.record import Record

FORM = re.compile(r"\s*(?P<score>[\w/.:~-]+)\s*(?P<relation><=|>=)\s*(?P<bound>[-+.\deE]+)\s*")
LAMBDA_MAX = "lambda_max"
UNKNOWN = 1e12  # the violation by a network without this score; Optuna refuses NaN


@dataclass(frozen=True)
class Constraint:
    """A bound on a score.

    Args:
        text: The constraint as it was written.
        score: Name of a measure, of a number that a measure records with it, or "lambda_max" (headline spectrum).
        sign: 1 for an upper bound, -1 for a lower one.
        bound: The bound.

    Example:
        >>> constraint = Constraint.parse("lambda_max >= 0.01")
        >>> constraint.violation({"lambda_max": 0.25}), constraint.holds({"lambda_max": -0.1})
        (-0.24, False)
    """

    text: str
    score: str
    sign: int
    bound: float

    @classmethod
    def parse(cls, text: object) -> "Constraint":
        """Read a constraint. Raises ValueError."""
        found = FORM.fullmatch(text) if isinstance(text, str) else None
        try:
            bound = float(found["bound"]) if found else math.nan
        except ValueError:
            bound = math.nan
        if found is None or not math.isfinite(bound):
            raise ValueError(f"a bound such as 'D_stsp <= 0.5' or 'lambda_max >= 0' is needed, but got {text!r}.")
        return cls(found[0].strip(), found["score"], 1 if found["relation"] == "<=" else -1, bound)

    def violation(self, scores: Mapping[str, float]) -> float:
        """By how much the scores violate the constraint: at most 0 where it holds."""
        value = scores.get(self.score, math.nan)
        return self.sign * (value - self.bound) if math.isfinite(value) else UNKNOWN

    def holds(self, scores: Mapping[str, float]) -> bool:
        return self.violation(scores) <= 0


def score_of(record: Record, name: str) -> float:
    """A score of a record by its name; NaN where it has none."""
    if name == LAMBDA_MAX and name not in record.measures:
        return math.nan if record.spectrum is None else float(record.spectrum.maximum)
    return record.measures.get(name, math.nan)
