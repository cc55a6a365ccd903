"""What a measure is: one number read off the evidence, with its direction, its worst value, floor and saturation."""

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import numpy as np

from lyapsweep.measures.evidence import Evidence


class Undefined(ValueError):
    """The score has no value for this evidence through no fault of the network; it is recorded as NaN."""


RESTS = 10  # observations where dead networks rest; one more rests at the mean
NEAR = 0.9  # of the saturation: a floor beyond leaves no room for scores


@dataclass(frozen=True)
class Measure:
    """A score of a trained network, safe to optimise.

    `function` maps `Evidence` to a float in `unit`, and its further arguments, positive numbers, are settings; `title`
    is what an axis says. `worst` is finite and no score is worse than it. `further` gives other numbers worth a column,
    which are never objectives. A measure that does not look at the generated series or at the forecasts has neither
    floor nor saturation (`has_floor` false). `needs` names the evidence that is gathered for it alone, `data` the kinds
    of data set that give it evidence at all.
    """

    name: str
    function: Callable[[Evidence], float]
    direction: Literal["minimise", "maximise"]
    worst: float
    unit: str
    title: str
    further: Callable[[Evidence], dict[str, float]] | None = None
    has_floor: bool = True
    needs: tuple[str, ...] = ()
    data: tuple[str, ...] = ("series",)

    def __post_init__(self) -> None:
        if self.direction not in ("minimise", "maximise") or not math.isfinite(self.worst):
            raise ValueError(
                f"measure '{self.name}': direction minimise or maximise and a finite worst must hold, but got "
                f"direction={self.direction!r}, worst={self.worst}."
            )
        object.__setattr__(self, "__doc__", self.function.__doc__)
        object.__setattr__(self, "__wrapped__", self.function)  # whose signature says what can be set

    def with_settings(self, **settings: Any) -> "Measure":
        """The same measure with some settings changed: positive numbers of their defaults' types, else ValueError."""
        known = inspect.signature(self.function).parameters
        for name, value in settings.items():
            kind = type(known[name].default)
            if isinstance(value, bool) or not isinstance(value, kind if kind is int else (int, float)) or not value > 0:
                raise ValueError(f"measures: {self.name}/{name} must be a positive {kind.__name__}, but got {value!r}.")
        told = inspect.signature(self.further).parameters if self.further else {}
        further = partial(self.further, **{k: v for k, v in settings.items() if k in told}) if self.further else None
        return replace(self, function=partial(self.function, **settings), further=further) if settings else self

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
        truth = {"generated": evidence.reference, "orbit": evidence.reference, "forecasts": evidence.targets}
        return self.bound(replace(evidence, errors=np.zeros_like(evidence.errors), **truth))

    def saturation(self, evidence: Evidence) -> float | None:
        """What a dead network scores: the best of ten that rest at held-out observations and one that does at the mean.

        A score this bad says that nothing was learnt, and how far beyond it lies says nothing more. A measure whose
        saturation is its best value does not see that a network is dead. None where there is no floor.
        """
        if not self.has_floor:
            return None
        truth = evidence.truth.astype(float)
        spread = np.linspace(0, len(truth) - 1, RESTS).astype(int)
        scores = [self.bound(at_rest(evidence, point)) for point in (*truth[spread], truth.mean(axis=0))]
        known = [score for score in scores if score is not None]
        return (min if self.direction == "minimise" else max)(known) if known else None

    def bound(self, evidence: Evidence) -> float | None:
        """The score, None where it is undefined."""
        score = self(evidence)
        return None if math.isnan(score) else score

    def details(self, evidence: Evidence) -> dict[str, float]:
        """Further numbers by the names of their columns ({"gradients/slope": ...}); NaN and infinities are kept."""
        with np.errstate(all="ignore"):
            further = self.further(evidence) if self.further else {}
        return {f"{self.name}/{name}": float(value) for name, value in further.items()}


def blind(direction: str, floor: float, saturation: float) -> bool:
    """Whether the truth scores about as badly as a dead network does: then no score on such data says anything."""
    return direction == "minimise" and floor > NEAR * saturation


def at_rest(evidence: Evidence, point: np.ndarray) -> Evidence:
    """The evidence of a network that stays at this point (features,)."""
    stay = lambda values: np.broadcast_to(point, (*values.shape[:-1], point.size))  # noqa: E731
    return replace(
        evidence,
        generated=stay(evidence.generated),
        orbit=stay(evidence.orbit),
        forecasts=stay(evidence.targets),
        errors=np.full(evidence.errors.shape, np.square(evidence.truth - point).mean()),
    )
