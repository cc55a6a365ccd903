"""The outcome of a sweep in sentences."""

from collections.abc import Iterator

import numpy as np

from lyapsweep.analysis.settings.setting_curve import SettingCurveFinding
from lyapsweep.analysis.shared.selection import TooFew, digits, label, numbers
from lyapsweep.atlas.view import AtlasView
from lyapsweep.measures.measure import blind

HUNT = (
    "This sweep is a hunt: it finds a good network, not a good region, because its trials are concentrated where "
    "earlier trials did well."
)


def sentences(view: AtlasView) -> list[str]:
    """Return the best place first, then what qualifies it, as plain text. Raises `TooFew` if no median is finite."""
    found = view.main
    if not np.isfinite(found.median).any():
        raise TooFew("At every place of the axis at least half of the trials were lost: no median is finite.")
    g, i = np.unravel_index(np.argmax(ranked(found)), found.median.shape)
    said = [best_place(found, int(g), int(i)), *qualifications(view, found, int(g), int(i))]
    return [sentence for sentence in said if sentence]


def qualifications(view: AtlasView, found: SettingCurveFinding, g: int, i: int) -> Iterator[str]:
    """Everything after the first sentence; "" where a sentence does not apply."""
    yield insensitive_measure(view, found)
    if found.numeric:
        yield predictability_time(view, found, i)
        yield neighbours(found, g, i)
        yield overlaps(found, g, i)
    yield other_groups(found, g)
    yield losses(view)
    yield HUNT if view.table.description.intent == "hunt" else ""


def ranked(found: SettingCurveFinding) -> np.ndarray:
    """Return medians (groups, places) so that the highest is the best, and -inf where there is none."""
    sign = 1 if found.direction == "maximise" else -1
    return np.where(np.isfinite(found.median), sign * found.median, -np.inf)


def place(found: SettingCurveFinding, g: int, i: int, axis: str = "") -> str:
    """Name a group and a place, once where the axis is the group."""
    at = f"{axis} {found.labels[i]}".strip()
    return at if found.groups[g] == found.labels[i] else f"{found.groups[g]} at {at}"


def best_place(found: SettingCurveFinding, g: int, i: int) -> str:
    count, spread = found.count[g, i], f"{digits(found.low[g, i])} to {digits(found.high[g, i])}"
    kind = "quartiles" if found.spread == "quartiles" and count >= 8 else "range"
    trials = "a single trial" if count == 1 else f"{kind} {spread} over {digits(count)} trials"
    if np.isfinite(found.floor) and found.floor > 0 and found.direction == "minimise":
        trials += f"; {digits(found.median[g, i] / found.floor)} times the floor of {digits(found.floor)}"
    most = "highest" if found.direction == "maximise" else "lowest"
    where, median = place(found, g, i, found.axis), digits(found.median[g, i])
    return f"The {most} {label(found.column)} is that of {where}: median {median} ({trials})."


def insensitive_measure(view: AtlasView, found: SettingCurveFinding) -> str:
    """Warn of a measure that scores the truth and a dead network alike."""
    column = found.column.replace("measures/", "saturations/", 1)
    if column not in view.finals.frame or not np.isfinite(found.floor):
        return ""
    saturation = float(np.nanmedian(numbers(view.finals, column)))
    if not blind(found.direction, found.floor, saturation):
        return ""
    return (
        f"{label(found.column)} says nothing on these data: another part of them scores {digits(found.floor)} and a "
        f"dead network {digits(saturation)}. Use another measure, or a longer recording."
    )


def predictability_time(view: AtlasView, found: SettingCurveFinding, i: int) -> str:
    """Compare the best interval with the predictability time of the data, or say that it is unknown."""
    if len(found.verticals) == 1 and found.verticals[0][1] > 0:
        time = found.verticals[0][1]
        return (
            f"That interval is {digits(found.points[i] / time)} times the predictability time of the data, "
            f"ln 2 / λ_max = {digits(time)} steps."
        )
    column = "data/lambda_max"
    known = column not in view.finals.frame or np.isfinite(numbers(view.finals, column)).any()
    if known or found.axis != "forcing/interval":
        return ""
    return "The data's λ_max is unknown, so no predictability time is drawn: lyapsweep suggest estimates it."


def neighbours(found: SettingCurveFinding, g: int, i: int) -> str:
    """Compare the medians beside the best place and at the ends of the axis, for the same group."""
    used = np.flatnonzero(found.count[g] > 0).tolist()
    at, ends = used.index(i), (used[0], used[-1])
    beside = [used[k] for k in (at - 1, at + 1) if 0 <= k < len(used)]
    others = [k for k in ends if k not in (*beside, i)]
    parts = [f"next to it {compared(found, g, i, beside)}"] if beside else []
    parts += [f"at the ends {compared(found, g, i, others)}"] if others else []
    edge = " The best place is an end of the axis: the optimum may lie beyond it." if i in ends else ""
    return f"Medians of {found.groups[g]}: {'; '.join(parts)}.{edge}" if parts else ""


def compared(found: SettingCurveFinding, g: int, i: int, places: list[int]) -> str:
    """List medians, with their ratio to the best where both are positive."""
    parts, best = [], found.median[g, i]
    for k in places:
        value, where = found.median[g, k], f"at {found.labels[k]}"
        ratio = f" ({digits(value / best)} times)" if value > 0 and best > 0 else ""
        lost = f"none {where} ({digits(found.lost[g, k])} of {digits(found.count[g, k])} trials lost)"
        parts.append(f"{digits(value)} {where}{ratio}" if np.isfinite(value) else lost)
    return " and ".join(parts)


def overlaps(found: SettingCurveFinding, g: int, i: int) -> str:
    """Name the places whose spread overlaps that of the best: the optimum is then not resolved."""
    overlap = (found.low[g] <= found.high[g, i]) & (found.low[g, i] <= found.high[g])
    close = [found.labels[k] for k in np.flatnonzero(overlap) if k != i]
    return f"Its spread overlaps that at {' and '.join(close)}: these trials do not tell them apart." if close else ""


def other_groups(found: SettingCurveFinding, g: int) -> str:
    """Name the best place of every other group."""
    parts = []
    for k, name in enumerate(found.groups):
        i = int(ranked(found)[k].argmax())
        if k != g and np.isfinite(found.median[k, i]):
            parts.append(f"{place(found, k, i)} ({digits(found.median[k, i])})")
        elif k != g:
            parts.append(f"{name} nowhere (half of its trials or more lost everywhere)")
    return f"The best of the others: {', '.join(parts)}." if parts else ""


def losses(view: AtlasView) -> str:
    lost = {name: view.outcomes[name] for name in ("diverged", "failed") if name in view.outcomes}
    if not lost:
        return ""
    split = ", ".join(f"{n} {name}" for name, n in lost.items())
    return f"{sum(lost.values())} of {len(view.finals)} trials were lost ({split}); in medians they count as the worst."
