"""The verdict: the best place on the main axis, and what qualifies it."""

import numpy as np
from markupsafe import Markup

from lyapsweep.analysis.settings.setting_curve import SettingCurveFinding
from lyapsweep.analysis.shared.selection import TooFew, label, numbers
from lyapsweep.atlas.rendering import render
from lyapsweep.atlas.view import AtlasView
from lyapsweep.measures.measure import blind


def section(view: AtlasView) -> Markup:
    """The best place first, then what qualifies it. Raises `TooFew` if no median is finite."""
    found = view.main
    if not np.isfinite(found.median).any():
        raise TooFew("At every place of the axis at least half of the trials were lost: no median is finite.")
    sign = 1 if found.direction == "maximise" else -1
    ranked = np.where(np.isfinite(found.median), sign * found.median, -np.inf)
    best = ranked.argmax(axis=1).tolist()  # place of each group
    g = int(ranked.max(axis=1).argmax())
    return render(
        "sections/verdict",
        found=found,
        label=label(found.column),
        best=best,
        g=g,
        i=best[g],
        beside=beside(found, g, best[g]),
        overlaps=overlaps(found, g, best[g]),
        dead_score=dead_score(view, found),
        unknown_time=found.axis == "forcing/interval" and lacks_time(view),
        lost={name: n for name, n in view.outcomes.items() if name in ("diverged", "failed")},
        unbounded=view.outcomes.get("unbounded", 0),
        trials=len(view.finals),
        hunt=view.table.description.intent == "hunt",
    )


def beside(found: SettingCurveFinding, g: int, i: int) -> tuple[list[int], list[int]]:
    """Return the places beside the best one, and the ends of the axis where these are others."""
    used = np.flatnonzero(found.count[g] > 0).tolist()
    at = used.index(i)
    near = [used[k] for k in (at - 1, at + 1) if 0 <= k < len(used)]
    return near, [k for k in dict.fromkeys((used[0], used[-1])) if k not in (*near, i)]


def overlaps(found: SettingCurveFinding, g: int, i: int) -> list[str]:
    """Name the places whose spread overlaps that of the best: the optimum is then not resolved."""
    overlap = (found.low[g] <= found.high[g, i]) & (found.low[g, i] <= found.high[g])
    return [found.labels[k] for k in np.flatnonzero(overlap) if k != i]


def dead_score(view: AtlasView, found: SettingCurveFinding) -> float | None:
    """Return the score of a dead network if the measure does not tell it from the truth, else None."""
    column = found.column.replace("measures/", "saturations/", 1)
    if column not in view.finals.frame or not np.isfinite(found.floor):
        return None
    saturation = float(np.nanmedian(numbers(view.finals, column)))
    return saturation if blind(found.direction, found.floor, saturation) else None


def lacks_time(view: AtlasView) -> bool:
    """Return whether the largest exponent of the data was looked for and is unknown."""
    column = "data/lambda_max"
    return column in view.finals.frame and not np.isfinite(numbers(view.finals, column)).any()
