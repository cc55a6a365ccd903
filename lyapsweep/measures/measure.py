"""The interface of a measure: one number from the evidence, with its direction, worst value, floor and saturation."""

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import Any, Literal

import numpy as np

from lyapsweep.measures.evidence import Evidence


class Undefined(ValueError):
    """The score has no value for this evidence, through no fault of the network; it is recorded as NaN."""


ON_DEMAND = ("orbit", "errors")  # evidence that is computed only for measures that need it
WORST_VALUE = 1e12  # of a plain function
RESTS = 10  # observations where dead networks rest; one more rests at the mean


@dataclass(frozen=True)
class Measure:
    """A score of a trained network that is safe to optimise.

    Args:
        name: Name of the measure.
        function: Maps `Evidence` to a number; its further arguments, positive numbers, are settings.
        direction: "minimise" or "maximise".
        worst: A finite value that no score is worse than.
        unit: Unit of the score.
        title: Label of an axis.
        further: Returns further numbers by name, which are recorded but never objectives; None by default.
        has_floor: False for measures that use neither the generated series nor forecasts: they have neither floor nor
            saturation. True by default.
        needs: Names of evidence that is computed only for measures that need it; none by default.
        data: Kinds of data that the measure applies to, ("series",) by default.

    Raises:
        ValueError: If `direction` is unknown or `worst` is not finite.

    Example:
        >>> size = Measure("size", lambda evidence: evidence.truth.size, "minimise", worst=1e6, unit="1", title="Size")
        >>> size(Evidence(truth=np.zeros((4, 2))))
        8.0
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
        """Return the measure with changed settings: positive numbers of their defaults' types, else ValueError."""
        known = inspect.signature(self.function).parameters
        for name, value in settings.items():
            kind = type(known[name].default)
            if (
                isinstance(value, bool)
                or not isinstance(value, kind if kind is int else (int, float))
                or not 0 < value < math.inf
            ):
                raise ValueError(
                    f"measures: {self.name}/{name} must be a positive, finite {kind.__name__}, but got {value!r}."
                )
        told = inspect.signature(self.further).parameters if self.further else {}
        further = partial(self.further, **{k: v for k, v in settings.items() if k in told}) if self.further else None
        return replace(self, function=partial(self.function, **settings), further=further) if settings else self

    def __call__(self, evidence: Evidence) -> float:
        """Return the score: `worst` if numbers were not finite, NaN only if the score is undefined (`Undefined`).

        Arithmetic errors count as not finite. Any other error is a defect of the evidence and is raised.
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
        """Return the score of the truth: `reference` as the generated series, `targets` as the forecasts.

        Two finite series of one system differ, so the floor of a comparison of distributions is not zero, and scores
        near it are as good as possible. For forecasts the floor is the score of a perfect one. None if a floor has no
        meaning.
        """
        if not self.has_floor:
            return None
        truth = {"generated": evidence.reference, "orbit": evidence.reference, "forecasts": evidence.targets}
        return self.bound(replace(evidence, errors=np.zeros_like(evidence.errors), **truth))

    def saturation(self, evidence: Evidence) -> float | None:
        """Return the score of a dead network: the best of ten fixed at held-out observations and one at the mean.

        A score this bad means that nothing was learnt, and worse scores mean no more. A measure whose saturation is its
        best value cannot detect dead networks. None if there is no floor.
        """
        if not self.has_floor:
            return None
        truth = evidence.truth.astype(float)
        spread = np.linspace(0, len(truth) - 1, RESTS).astype(int)
        scores = [self.bound(at_rest(evidence, point)) for point in (*truth[spread], truth.mean(axis=0))]
        known = [score for score in scores if score is not None]
        return (min if self.direction == "minimise" else max)(known) if known else None

    def bound(self, evidence: Evidence) -> float | None:
        """Return the score, None if it is undefined."""
        score = self(evidence)
        return None if math.isnan(score) else score

    def details(self, evidence: Evidence) -> dict[str, float]:
        """Return further numbers by column ({"gradients/slope": ...}), NaN and infinities included."""
        with np.errstate(all="ignore"):
            further = self.further(evidence) if self.further else {}
        return {f"{self.name}/{name}": float(value) for name, value in further.items()}


@lru_cache(maxsize=64)
def of_function(name: str, function: Callable[..., float]) -> Measure:
    """Return a measure of a plain function of `Evidence`: the less, the better, for series and tasks alike.

    Args:
        name: Name of the measure.
        function: Its first argument is the evidence; further ones with positive defaults are settings.

    Returns:
        The measure; values above WORST_VALUE count as it. What the function reads of the evidence is computed for it.

    Example:
        >>> of_function("spread", lambda e, power=2: e.truth.std() ** power).direction
        'minimise'
    """
    _, *others = inspect.signature(function).parameters.values()

    def score(evidence: Evidence, **settings: Any) -> float:
        return function(evidence, **settings)

    parameter = inspect.Parameter("evidence", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    score.__signature__ = inspect.Signature([parameter, *others])  # type: ignore[attr-defined]
    score.__doc__ = function.__doc__
    read = getattr(getattr(function, "__code__", None), "co_names", ())
    needs = tuple(field for field in ON_DEMAND if field in read)
    title, kinds = name.partition(":")[0], ("series", "task")
    return Measure(name, score, "minimise", WORST_VALUE, "1", title, has_floor=False, needs=needs, data=kinds)


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
