"""Checks of the settings of a search: sampler, constraints, further objectives, halving, confirmation."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from lyapsweep.measures import MEASURES, measure_name
from lyapsweep.registry import unknown
from lyapsweep.results.constraints import Constraint
from lyapsweep.sweep.plan.errors import SweepError
from lyapsweep.sweep.plan.halving import Halving

if TYPE_CHECKING:
    from lyapsweep.sweep.plan.definition import Sweep

SAMPLERS = ("tpe", "gp", "cmaes", "nsga2", "qmc", "random")
DYNAMICS = ("lambda_max_relative_error <= 0.1", "zero_exponent <= 0.05", "stable_fixed_points <= 0")


def check_hunt(sweep: "Sweep") -> None:
    """Raise `SweepError` for settings of a hunt that are none, or that a map has."""
    for what, given in (("objective", sweep.further), ("constraints", sweep.constraints)):
        if given and sweep.intent == "map":
            raise SweepError(f"{what}: a map covers its region, and no sampler uses {given!r}. Use intent='hunt'.")
    if sweep.intent == "map" and sweep.sampler != SAMPLERS[0]:
        raise SweepError(f"sampler: a map covers its region without one, but got {sweep.sampler!r}. Use intent='hunt'.")
    if isinstance(sweep.sampler, str) and sweep.sampler not in SAMPLERS:
        raise unknown("sampler", sweep.sampler, list(SAMPLERS), "sampler")
    if not isinstance(sweep.sampler, str) and not hasattr(sweep.sampler, "sample_relative"):
        raise SweepError(
            f"sampler: a name ({', '.join(SAMPLERS)}) or an Optuna sampler is needed; got {sweep.sampler!r}."
        )
    check_halving(sweep)


def check_halving(sweep: "Sweep") -> None:
    """Raise `SweepError` for halving that is none, that a map has, or that a scheduler or objectives exclude."""
    if not isinstance(sweep.halving, Halving | bool | None):
        raise SweepError(f"halving: Halving(...), True or False is needed, but got {sweep.halving!r}.")
    chosen = isinstance(sweep.halving, Halving)
    if sweep.intent == "map" and (chosen or sweep.scheduler is not None):
        raise SweepError("halving, scheduler: a map trains every trial to its end. Use intent='hunt'.")
    if chosen and sweep.scheduler is not None:
        raise SweepError("scheduler: either halving=Halving(...) or a scheduler of Ray is needed, and not both.")
    if chosen and sweep.further:
        raise SweepError(f"halving: it compares one objective, but got {sweep.objectives}. Use halving=None.")


def check_confirmation(sweep: "Sweep") -> None:
    """Raise `SweepError` for criteria that are none, and for what excludes a confirmation."""
    for constraint in parse_constraints(sweep.criteria, "criteria"):
        if constraint.score not in MEASURES:
            raise unknown("measure", constraint.score, list(MEASURES), "criteria")
    if not sweep.confirm:
        return
    if sweep.scheduler is not None or sweep.further:
        raise SweepError("confirm: a scheduler of Ray and several objectives exclude it. Leave one of the two out.")
    if any(path.partition("/")[0] == "dataset" for path in sweep.grid or ()):
        raise SweepError("confirm: scores on several data sets cannot be ranked. Sweep one data set at a time.")


def check_candidates(candidates: int | None, confirm: int) -> None:
    """Raise `SweepError` for a number of candidates that a run gives and nobody confirms."""
    if candidates is not None and not confirm:
        raise SweepError("candidates: no setting is confirmed. Pass confirm=3 (--confirm 3), too, or leave it out.")


def parse_constraints(texts: Sequence[str], what: str = "constraints") -> tuple[Constraint, ...]:
    """Read constraints. Raises `SweepError`, or `UnknownName` for a score that no measure records."""
    if isinstance(texts, str):
        raise SweepError(f"{what}: a list is needed, but got {texts!r}. Write [{texts!r}].")
    try:
        found = tuple(named(Constraint.parse(text)) for text in texts)
    except ValueError as error:
        raise SweepError(f"{what}: {error}") from error
    for constraint in found:
        if (name := measure_of(constraint.score)) not in MEASURES:
            raise unknown("measure", name, list(MEASURES), what)
    return found


def named(constraint: Constraint) -> Constraint:
    """The constraint with the name under which records hold its score, of a title such as D_stsp."""
    score = measure_name(constraint.score)
    return replace(constraint, score=score, text=score + constraint.text.removeprefix(constraint.score))


def measure_of(score: str) -> str:
    """The measure that records a score: itself, or the one before the slash of `prediction_time/samples`."""
    return score if score in MEASURES else score.partition("/")[0]
