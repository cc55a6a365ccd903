"""The verdict: the best place on the main axis, and what qualifies it."""

import numpy as np
from markupsafe import Markup

from lyapsweep.analysis.settings import setting_curve
from lyapsweep.analysis.settings.setting_curve import SettingCurveFinding
from lyapsweep.analysis.shared.selection import TooFew, label, numbers
from lyapsweep.atlas.rendering import render
from lyapsweep.atlas.view import AtlasView
from lyapsweep.measures.bounds import indistinct
from lyapsweep.results.floors import reaches_floor


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
        test=on_test_part(view, found),
        unvalidated="dataset/validation" in view.finals.frame,
        beside=beside(found, g, best[g]),
        overlaps=overlaps(found, g, best[g]),
        at_floor=places_at_floor(found, g, best[g]),
        alike=alike_to_truth(view, found),
        unknown_time=found.axis == "forcing/interval" and lacks_time(view),
        lost={name: n for name, n in view.outcomes.items() if name in ("diverged", "failed")},
        unbounded=view.outcomes.get("unbounded", 0),
        trials=len(view.finals),
        hunt=view.table.description.intent == "hunt",
    )


def on_test_part(view: AtlasView, found: SettingCurveFinding) -> SettingCurveFinding | None:
    """The same curve of the scores on the test part; None where trials have none."""
    column = found.column.replace("measures/", "test/", 1)
    if column not in view.finals.frame or not np.isfinite(numbers(view.finals, column)).any():
        return None
    return setting_curve.find(view.table, found.axis, column, view.groups)


def beside(found: SettingCurveFinding, g: int, i: int) -> tuple[list[int], list[int]]:
    """Return the places beside the best one, and the ends of the axis where these are others."""
    used = np.flatnonzero(found.count[g] > 0).tolist()
    at = used.index(i)
    near = [used[k] for k in (at - 1, at + 1) if 0 <= k < len(used)]
    return near, [k for k in dict.fromkeys((used[0], used[-1])) if k not in (*near, i)]


def overlaps(found: SettingCurveFinding, g: int, i: int) -> list[str]:
    """Name the places whose quartiles overlap those of the best: the optimum is then not resolved."""
    overlap = (found.low[g] <= found.high[g, i]) & (found.low[g, i] <= found.high[g])
    return [found.labels[k] for k in np.flatnonzero(overlap) if k != i]


def places_at_floor(found: SettingCurveFinding, g: int, i: int) -> list[tuple[int, int]]:
    """All groups and places at the floor, the best one first; none if that is not at the floor."""
    at = [(k, j) for k, j in np.ndindex(*found.median.shape) if at_floor(found, k, j)]
    return [(g, i), *(place for place in at if place != (g, i))] if (g, i) in at else []


def at_floor(found: SettingCurveFinding, g: int, i: int) -> bool:
    seeds = float(found.low[g, i]), float(found.high[g, i])
    return reaches_floor(found.direction, seeds, found.floor_interval, float(found.median[g, i]))


def alike_to_truth(view: AtlasView, found: SettingCurveFinding) -> list[str]:
    """Return what the measure cannot tell from the truth on these data."""
    name, frame = found.column.removeprefix("measures/"), view.finals.frame
    if f"saturations/{name}" not in frame or not np.isfinite(found.floor):
        return []
    columns = [c for c in map(str, frame.columns) if c.startswith(f"surrogates/{name}/")]
    scores = {c.rpartition("/")[2]: float(np.nanmedian(numbers(view.finals, c))) for c in columns}
    saturation = float(np.nanmedian(numbers(view.finals, f"saturations/{name}")))
    return indistinct(found.direction, found.floor, found.floor_interval[1], saturation, scores)


def lacks_time(view: AtlasView) -> bool:
    """Return whether the largest exponent of the data was looked for and is unknown."""
    column = "data/lambda_max"
    return column in view.finals.frame and not np.isfinite(numbers(view.finals, column)).any()
