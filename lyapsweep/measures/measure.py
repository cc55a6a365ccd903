"""What a measure is: one number read off the evidence, with its direction, its worst value and its floor."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from lyapsweep.measures.evidence import Evidence


class Undefined(ValueError):
    """The score has no value for this evidence through no fault of the network; it is recorded as NaN."""


@dataclass(frozen=True)
class Measure:
    """A score of a trained network, safe to optimise.

    `function` maps `Evidence` to a float in `unit`; `title` is what an axis says. `worst` is finite and no score is
    worse than it. `further` gives other numbers worth a column, which are never objectives. A measure that does not
    look at the generated series or at the forecasts has no floor (`has_floor` false).
    """

    name: str
    function: Callable[[Evidence], float]
    direction: Literal["minimise", "maximise"]
    worst: float
    unit: str
    title: str
    further: Callable[[Evidence], dict[str, float]] | None = None
    has_floor: bool = True

    def __post_init__(self) -> None:
        if self.direction not in ("minimise", "maximise") or not math.isfinite(self.worst):
            raise ValueError(
                f"measure '{self.name}': direction minimise or maximise and a finite worst must hold, but got "
                f"direction={self.direction!r}, worst={self.worst}."
            )
        object.__setattr__(self, "__doc__", self.function.__doc__)

    def __call__(self, evidence: Evidence) -> float:
        """The score: `worst` where the numbers were not finite, NaN only where the score is undefined (`Undefined`).

        Arithmetic that breaks down counts as not finite. Any other error is a defect of the evidence and is raised.
        """
        try:
            with np.errstate(all="ignore"):
                score = float(self.function(evidence))
        except Undefined:
            return math.nan
        except (ArithmeticError, np.linalg.LinAlgError):
            return self.worst
        if not math.isfinite(score):
            return self.worst
        return min(score, self.worst) if self.direction == "minimise" else max(score, self.worst)

    def floor(self, evidence: Evidence) -> float | None:
        """What the truth itself scores: `reference` for the generated series, `targets` for the forecasts.

        A series of finite length differs from another one of the same system, so the floor of a comparison of
        distributions is not zero, and scores near it are as good as scores get. A forecast is compared with what came,
        so there the floor is the score of a perfect one. None where a floor has no meaning.
        """
        if not self.has_floor:
            return None
        score = self(replace(evidence, generated=evidence.reference, forecasts=evidence.targets))
        return None if math.isnan(score) else score

    def details(self, evidence: Evidence) -> dict[str, float]:
        """Further numbers by the names of their columns ({"gradients/slope": ...}); NaN and infinities are kept."""
        with np.errstate(all="ignore"):
            further = self.further(evidence) if self.further else {}
        return {f"{self.name}/{name}": float(value) for name, value in further.items()}
