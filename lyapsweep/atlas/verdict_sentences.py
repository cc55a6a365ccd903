"""The verdict in sentences, the same on the page, in MLflow's summary run and in the JSON of the findings."""

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from lyapsweep.analysis.shared.selection import digits

if TYPE_CHECKING:
    from lyapsweep.atlas.verdict import Neighbours, Place, Verdict

HUNT = (
    "This sweep is a hunt: it finds a good network, not a good region, because its trials are concentrated where "
    "earlier trials did well."
)


def headline(verdict: "Verdict") -> str:
    """The best setting with its scores."""
    kind = "highest" if verdict.direction == "maximise" else "lowest"
    kind = "best confirmed" if verdict.confirmed else kind
    known = math.isfinite(verdict.times_floor) and verdict.direction != "maximise"
    times = f" ({digits(verdict.times_floor)} times the floor)" if known else ""
    return f"The {kind} {verdict.label} is that of {verdict.name}: {verdict.scores}{times}."


def remarks(verdict: "Verdict") -> Iterator[str]:
    """What qualifies the headline."""
    if verdict.alike:
        low, high = map(digits, verdict.floor)
        yield (
            f"{verdict.label} is blind on these data: it cannot tell {' or '.join(verdict.alike)} from another part of "
            f"them, which scores {low} to {high}. Use another measure, or a longer recording."
        )
    if verdict.tied:
        yield verdict.tied
    yield from verdict.confirmed
    for neighbours in verdict.neighbours:
        yield beside(neighbours, verdict.median)
    if verdict.unknown_time:
        yield ("The data's λ_max is unknown, so no predictability time is drawn: lyapsweep suggest estimates it.")
    if verdict.others:
        lost = "half of its trials or more were lost"
        others = (f"{s.name} ({digits(s.median) if math.isfinite(s.median) else lost})" for s in verdict.others)
        yield f"The best of the others: {', '.join(others)}."
    yield from lost_trials(verdict)
    if verdict.hunt:
        yield HUNT


def beside(neighbours: "Neighbours", best: float) -> str:
    """What lies beside the best setting on an axis and at its ends."""
    text = (
        f"Along {neighbours.axis}, with the other settings as they are, beside {neighbours.place.label}: "
        f"{medians(neighbours.near, best)}"
    )
    text += f"; at the ends {medians(neighbours.ends, best)}." if neighbours.ends else "."
    if len(neighbours.near) == 1:
        text += " The best value is an end of the axis: the optimum may lie beyond it."
    if math.isfinite(neighbours.ratio):
        text += (
            f" The interval is {digits(neighbours.ratio)} times the predictability time of the data, ln 2 / λ_max = "
            f"{digits(neighbours.predictability_time)} steps."
        )
    return text


def medians(places: Sequence["Place"], best: float) -> str:
    """Medians at some places, with their ratio to the best where both are positive."""
    parts = []
    for place in places:
        if not math.isfinite(place.median):
            parts.append(f"none at {place.label} ({place.lost} of {place.count} trials lost)")
            continue
        ratio = f" ({digits(place.median / best)} times)" if place.median > 0 and best > 0 else ""
        parts.append(f"{digits(place.median)} at {place.label}{ratio}")
    return " and ".join(parts)


def lost_trials(verdict: "Verdict") -> Iterator[str]:
    """How many trials were lost or are unbounded."""
    outcomes, trials = verdict.outcomes, sum(verdict.outcomes.values())
    lost = {name: outcomes[name] for name in ("diverged", "failed") if outcomes.get(name)}
    if lost:
        kinds = ", ".join(f"{n} {name}" for name, n in sorted(lost.items(), key=lambda pair: -pair[1]))
        yield (f"{sum(lost.values())} of {trials} trials were lost ({kinds}); in medians they count as the worst.")
    if unbounded := outcomes.get("unbounded"):
        yield (
            f"{unbounded} of {trials} networks are unbounded: their own orbits escape to infinity. They keep their "
            "scores, have no exponents, and none is the best."
        )
