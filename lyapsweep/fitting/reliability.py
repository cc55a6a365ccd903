"""Whether a fitted network is to be trusted, and why not: sentences that follow from rules."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

TIMES = 1.5  # of the floor: a score within is called close to it
SPREAD = 2.0  # ratio of the worst to the best fresh seed, from which on the setting is called unstable
NEAR = 0.1  # of the data's exponent
WINDOWS = 20  # predictability times that the training part should hold at least
CALIBRATED = (0.75, 0.98)  # shares of the truth within the 90 % interval that are called fair
TRIVIAL = ("persistence", "climatology")  # a network that forecasts no longer has learned nothing for forecasts


@dataclass(frozen=True)
class Facts:
    """What the rules see of a fit. Exponents and intervals are per unit time.

    Args:
        scores: The objective of each fresh seed on the part that judges; infinite for networks that were lost.
        floor: The floor of the objective: its value, and the upper end of its interval.
        objective: Title of the objective.
        blind: What the objective cannot tell from the series; "" if it tells all.
        exponents: Largest exponent of each bounded network.
        lambda_max: The data's; None without evidence of chaos.
        lambda_low: Lower end of its 95 % interval.
        lambda_high: Upper end.
        verdict: `suggest`'s verdict on chaos; "" where there is no estimate.
        lost: Number of fresh seeds that diverged or whose orbit is unbounded.
        training_times: Predictability times in the training part; NaN if unknown.
        beaten_by: Baselines that forecast at least as long.
        coverage: Share of the truth within the 90 % interval.
        has_test: Whether a test part exists that decided nothing.
        favourite_lost: Whether the search's favourite was not the best from fresh seeds.
        shortage: Why the budget was too small; "" if it was enough.
        driven: Whether inputs drive the series.
    """

    scores: tuple[float, ...]
    floor: tuple[float, float]
    objective: str
    blind: str
    exponents: tuple[float, ...]
    lambda_max: float | None
    lambda_low: float
    lambda_high: float
    verdict: str
    lost: int
    training_times: float
    beaten_by: tuple[str, ...]
    coverage: float
    has_test: bool
    favourite_lost: bool
    shortage: str
    driven: bool = False


@dataclass(frozen=True)
class Reliability:
    """The answer.

    Args:
        verdict: "yes", "with reservations" or "no".
        reasons: What speaks for the network.
        serious: What speaks against it so much that the answer is no.
        reservations: What a user should know.

    Example:
        >>> Reliability("yes", ("At the floor.",), (), ()).sentences
        ('At the floor.',)
    """

    verdict: str
    reasons: tuple[str, ...]
    serious: tuple[str, ...]
    reservations: tuple[str, ...]

    @property
    def sentences(self) -> tuple[str, ...]:
        """All sentences, the most serious first."""
        return (*self.serious, *self.reservations, *self.reasons)


def judge(facts: Facts) -> Reliability:
    """Apply the rules.

    Args:
        facts: What is known of the fit.

    Returns:
        The verdict with its sentences: "no" if any is serious, "yes" if there are none and no reservations.
    """
    found = [*score_rules(facts), *exponent_rules(facts), *forecast_rules(facts), *search_rules(facts)]
    reasons, reservations, serious = (tuple(text for kind, text in found if kind == k) for k in (0, 1, 2))
    verdict = "no" if serious else "with reservations" if reservations else "yes"
    return Reliability(verdict, reasons, serious, reservations)


Rules = Iterator[tuple[int, str]]
"""Sentences with their weight: 0 speaks for the network, 1 is a reservation, 2 is serious."""


def score_rules(facts: Facts) -> Rules:
    """Geometry: the objective against its floor, and its spread over the seeds."""
    finite = [s for s in facts.scores if math.isfinite(s)]
    if not finite:
        yield 2, "No network that was trained again from a fresh seed ended bounded."
        return
    median, (floor, high) = float(np.median(facts.scores)), facts.floor
    text = f"{facts.objective} is {median:.3g}"
    if facts.blind:
        yield (
            1,
            (
                f"{facts.objective} cannot tell {facts.blind} from this series, so that its score says little: "
                "the held-out rows differ from the training rows as much as from a wrong network."
            ),
        )
    elif not math.isfinite(floor) or floor <= 0:
        yield 1, f"{text}; no floor is known for this measure, so that only the baselines tell how good it is."
    elif median <= high:
        yield 0, f"{text}, at the floor ({floor:.3g}, up to {high:.3g}): as good as the measure can tell."
    elif median <= TIMES * floor:
        yield 0, f"{text}, {median / floor:.2g} times its floor ({floor:.3g})."
    else:
        yield (
            2,
            (
                f"{text}, {median / floor:.2g} times its floor ({floor:.3g}): the network's attractor is not that of "
                "the data. Give the search more minutes or the recording more rows."
            ),
        )
    if len(finite) > 1 and min(finite) > 0 and max(finite) > SPREAD * min(finite) and max(finite) > high:
        yield (
            1,
            (
                f"The score depends on the seed: {min(finite):.3g} to {max(finite):.3g} over {len(finite)} seeds. "
                "Another training of this setting may be worse."
            ),
        )
    if facts.lost:
        yield 1, f"{facts.lost} of {len(facts.scores)} fresh seeds diverged or ended in an unbounded orbit."


def exponent_rules(facts: Facts) -> Rules:
    """Dynamics: the networks' largest exponent against the data's."""
    if facts.driven:
        yield 1, "Inputs drive the series: exponents are conditional on them, and forecasts need future inputs."
    if not facts.exponents:
        return
    own, data = float(np.median(facts.exponents)), facts.lambda_max
    if data is None:
        reason = f"the verdict on the series is '{facts.verdict}'" if facts.verdict else "the series allows no estimate"
        yield 1, f"The networks' largest exponent, {own:.3g} per unit time, cannot be compared: {reason}."
        return
    beside = f"{own:.3g} per unit time, of the data {data:.3g} ({facts.lambda_low:.3g} to {facts.lambda_high:.3g})"
    inside = facts.lambda_low <= own <= facts.lambda_high
    if inside or abs(own - data) <= NEAR * data:
        yield 0, f"The networks' largest exponent is {beside}: they agree."
    elif own <= 0:
        yield 2, f"The networks' largest exponent is {beside}: the networks are not chaotic, as the data are."
    else:
        yield (
            2 if abs(own - data) > 0.5 * data else 1,
            (f"The networks' largest exponent is {beside}: it is off by {abs(own / data - 1):.0%}."),
        )
    still = sum(e <= 0 for e in facts.exponents)
    if still and own > 0:
        yield 1, f"{still} of {len(facts.exponents)} fresh seeds ended without chaos."


def forecast_rules(facts: Facts) -> Rules:
    """Forecasts: baselines and the calibration of the interval."""
    if facts.beaten_by:
        yield (
            2 if any(name in TRIVIAL for name in facts.beaten_by) else 1,
            f"These baselines forecast at least as long: {', '.join(facts.beaten_by)}.",
        )
    else:
        yield 0, "Forecasts hold longer than those of all baselines."
    low, high = CALIBRATED
    if facts.coverage < low:
        yield (
            1,
            (
                f"The 90 % interval over the seeds held {facts.coverage:.0%} of the truth: it is too narrow, "
                "because it knows the spread over seeds and not what all seeds have in common."
            ),
        )
    elif facts.coverage > high:
        yield 1, f"The 90 % interval over the seeds held {facts.coverage:.0%} of the truth: it is too wide."


def search_rules(facts: Facts) -> Rules:
    """The search: length of the series, test part, budget."""
    if facts.training_times < WINDOWS:
        yield (
            1,
            (
                f"The training part holds {facts.training_times:.0f} predictability times, fewer than {WINDOWS}: "
                "the series is short for its dynamics."
            ),
        )
    if not facts.has_test:
        yield 1, "There is no test part beside the rows by which networks were chosen, so that scores are optimistic."
    if facts.favourite_lost:
        yield 0, "The search's favourite was not the best setting from fresh seeds; the best of those is reported."
    if facts.shortage:
        yield 1, f"The budget was too small: {facts.shortage}."
