"""What came out, in words with numbers."""

import numpy as np

from lyapsweep.analysis.settings.setting_curve import SettingCurveFinding
from lyapsweep.analysis.shared.selection import TooFew, digits, label, numbers
from lyapsweep.atlas.view import AtlasView
from lyapsweep.measures.measure import blind


def sentences(view: AtlasView) -> list[str]:
    """The verdict first, then what qualifies it. Plain text. `TooFew` where no median is finite."""
    found = view.main
    if not np.isfinite(found.median).any():
        raise TooFew("Everywhere on the axis at least half of the trials were lost: no place has a finite median.")
    g, i = best_point(found)
    said = [headline(found, g, i), blindness(view, found)]
    if found.numeric:
        said += [predictability(found, g, i), unpredicted(view, found), neighbours(found, g, i)]
    said += [seeds(found, g, i), others(found, g), losses(view), hunted(view)]
    return [s for s in said if s]


def best_point(found: SettingCurveFinding) -> tuple[int, int]:
    """(group, point) of the best median."""
    worst = -np.inf if found.direction == "maximise" else np.inf
    ranked = np.where(np.isfinite(found.median), found.median, worst)
    flat = ranked.argmax() if found.direction == "maximise" else ranked.argmin()
    g, i = np.unravel_index(flat, ranked.shape)
    return int(g), int(i)


def headline(found: SettingCurveFinding, g: int, i: int) -> str:
    most = "highest" if found.direction == "maximise" else "lowest"
    spread = f"{digits(found.low[g, i])} to {digits(found.high[g, i])}"
    what = "quartiles" if found.spread == "quartiles" and found.count[g, i] >= 8 else "range"
    trials = "a single trial" if found.count[g, i] == 1 else f"{what} {spread} over {digits(found.count[g, i])} trials"
    if np.isfinite(found.floor) and found.floor > 0 and found.direction == "minimise":
        trials += f"; {digits(found.median[g, i] / found.floor)} times the floor of {digits(found.floor)}"
    alone = found.groups[g] == found.labels[i]  # the axis is the group
    where = f"{found.axis} {found.labels[i]}" if alone else f"{found.groups[g]} at {found.axis} {found.labels[i]}"
    return f"The {most} {label(found.column)} is that of {where}: median {digits(found.median[g, i])} ({trials})."


def predictability(found: SettingCurveFinding, g: int, i: int) -> str:
    if len(found.verticals) != 1 or not found.verticals[0][1] > 0:
        return ""
    time = found.verticals[0][1]
    return (
        f"That interval is {digits(found.points[i] / time)} times the predictability time of the data, "
        f"ln 2 / λ_max = {digits(time)} steps."
    )


def unpredicted(view: AtlasView, found: SettingCurveFinding) -> str:
    column = "data/lambda_max"
    known = column not in view.finals.frame or np.isfinite(numbers(view.finals, column)).any()
    if known or found.axis != "forcing/interval":
        return ""
    return "Nobody said the data's λ_max, so that no predictability time is drawn: lyapsweep suggest estimates it."


def blindness(view: AtlasView, found: SettingCurveFinding) -> str:
    """What a measure cannot say of data on which the truth and a dead network score alike."""
    column = found.column.replace("measures/", "saturations/", 1)
    if column not in view.finals.frame or not np.isfinite(found.floor):
        return ""
    saturation = float(np.nanmedian(numbers(view.finals, column)))
    if not blind(found.direction, found.floor, saturation):
        return ""
    return (
        f"{label(found.column)} says nothing on these data, of which another piece scores {digits(found.floor)} and a "
        f"dead network {digits(saturation)}: judge by another measure, or record longer."
    )


def neighbours(found: SettingCurveFinding, g: int, i: int) -> str:
    """How much worse the places beside the best one and the ends of the axis are, for the same group."""
    there = np.flatnonzero(found.count[g] > 0)
    at = int(np.flatnonzero(there == i)[0])
    beside = [int(there[k]) for k in (at - 1, at + 1) if 0 <= k < len(there)]
    ends = [int(k) for k in (there[0], there[-1]) if k not in (*beside, i)]
    parts = [f"next to it {listed(found, g, i, beside)}"] if beside else []
    parts += [f"at the ends {listed(found, g, i, ends)}"] if ends else []
    edge = " The best place is an end of the axis: the optimum may lie beyond it." if i in (there[0], there[-1]) else ""
    return f"Medians of {found.groups[g]}: {'; '.join(parts)}.{edge}" if parts else ""


def listed(found: SettingCurveFinding, g: int, i: int, places: list[int]) -> str:
    return " and ".join(compared(found, g, i, k) for k in places)


def compared(found: SettingCurveFinding, g: int, i: int, k: int) -> str:
    """One median beside the best: as a ratio where both are positive, as itself otherwise."""
    value, best, where = found.median[g, k], found.median[g, i], f"at {found.labels[k]}"
    if not np.isfinite(value):
        return f"none {where} ({digits(found.lost[g, k])} of {digits(found.count[g, k])} trials lost)"
    return f"{digits(value)} {where}" + (f" ({digits(value / best)} times)" if value > 0 and best > 0 else "")


def seeds(found: SettingCurveFinding, g: int, i: int) -> str:
    """Whether the spread at the best place overlaps that of a neighbour: the optimum is then not resolved."""
    if not found.numeric:
        return ""
    over = lambda k: found.low[g, k] <= found.high[g, i] and found.low[g, i] <= found.high[g, k]  # noqa: E731
    close = [found.labels[k] for k in range(len(found.points)) if k != i and over(k)]
    if not close:
        return ""
    return f"Its spread overlaps that at {' and '.join(close)}: these trials do not tell them apart."


def others(found: SettingCurveFinding, g: int) -> str:
    """The best place of every other group."""
    parts, up = [], found.direction == "maximise"
    for k, name in enumerate(found.groups):
        finite = np.isfinite(found.median[k])
        if k == g:
            continue
        if not finite.any():
            parts.append(f"{name} nowhere (half of its trials or more lost everywhere)")
            continue
        ranked = np.where(finite, found.median[k], -np.inf if up else np.inf)
        i = int(ranked.argmax() if up else ranked.argmin())
        where = name if name == found.labels[i] else f"{name} at {found.labels[i]}"
        parts.append(f"{where} ({digits(found.median[k, i])})")
    return f"The best of the others: {', '.join(parts)}." if parts else ""


def losses(view: AtlasView) -> str:
    counts = view.counts()
    lost = {k: counts[k] for k in ("diverged", "failed") if k in counts}
    if not lost:
        return ""
    split = ", ".join(f"{n} {name}" for name, n in lost.items())
    return f"{sum(lost.values())} of {len(view.finals)} trials were lost ({split}); in medians they count as the worst."


def hunted(view: AtlasView) -> str:
    if view.table.description.intent != "hunt":
        return ""
    return "This was a hunt: it names a good network, not a region, for its trials gathered where success was."
