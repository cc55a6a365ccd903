"""The verdict: the best setting with its ties, in the words of the terminal and MLflow, and what qualifies it."""

import math
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from lyapsweep.analysis.settings.setting_curve import SettingCurveFinding
from lyapsweep.analysis.shared.selection import TooFew, label, named, numbers
from lyapsweep.atlas.rendering import render
from lyapsweep.atlas.view import AtlasView
from lyapsweep.measures.bounds import indistinct
from lyapsweep.results.best import BestSetting, direction, rank_settings
from lyapsweep.results.floors import floor_intervals, floor_of
from lyapsweep.results.winner import score_sentence, setting_name, tie_sentence


@dataclass(frozen=True)
class Neighbours:
    """Where the best setting lies on an axis, all other settings being the same.

    Args:
        found: The curve along the axis.
        group: Its group.
        place: Its place.
        near: The places beside it.
        ends: The ends of the axis where these are others.
    """

    found: SettingCurveFinding
    group: int
    place: int
    near: list[int]
    ends: list[int]


def section(view: AtlasView) -> Markup:
    """The best setting first, then what qualifies it. Raises `TooFew` if no trial can be the best."""
    setting = view.setting
    if setting is None:
        raise TooFew("No trial finished with a finite objective.")
    floor = floor_of(floor_intervals(view.finals, view.objective)[list(setting.rows)])
    return render(
        "sections/verdict",
        label=label(view.objective),
        maximised=view.maximised,
        name=setting_name(view.table, setting.rows[0]),
        setting=setting,
        scores=score_sentence(setting),
        ties=tie_sentence(view.table, setting, view.objective),
        floor=floor,
        ratio=times_floor(view, setting),
        alike=alike_to_truth(view, floor),
        neighbours=neighbours(view),
        others=best_of_other_groups(view),
        unknown_time="forcing/interval" in view.axes and lacks_time(view),
        lost={name: n for name, n in view.outcomes.items() if name in ("diverged", "failed")},
        unbounded=view.outcomes.get("unbounded", 0),
        trials=len(view.finals),
        hunt=view.table.description.intent == "hunt",
    )


def times_floor(view: AtlasView, setting: BestSetting) -> float:
    """The score of a setting over the floor of its trials; NaN where one of them is unknown or not positive."""
    name = view.objective.replace("measures/", "floors/", 1)
    if name not in view.finals.frame:
        return math.nan
    floors = numbers(view.finals, name)[list(setting.rows)]
    floor = float(np.median(floors[np.isfinite(floors)])) if np.isfinite(floors).any() else math.nan
    return setting.median / floor if floor > 0 and setting.median > 0 else math.nan


def neighbours(view: AtlasView) -> list[Neighbours]:
    """The best setting's place on every numeric axis along which the sweep has trials that share its other settings."""
    found = []
    for axis in view.axes:
        if view.along(axis).pooled:
            continue
        curve = view.curve(axis, view.objective)
        if not curve.numeric or curve.binned:
            continue
        row = view.finals.frame.iloc[view.best]
        group = curve.groups.index(str(named(view.finals, view.groups)[view.best]))
        used = np.flatnonzero(curve.count[group] > 0).tolist()
        at = int(np.argmin([abs(curve.points[k] - float(row[axis])) for k in used]))
        near = [used[k] for k in (at - 1, at + 1) if 0 <= k < len(used)]
        ends = [k for k in dict.fromkeys((used[0], used[-1])) if k not in (*near, used[at])]
        if near:
            found.append(Neighbours(curve, group, used[at], near, ends))
    return found


def best_of_other_groups(view: AtlasView) -> list[tuple[str, float]]:
    """The best setting of every other group with its median; NaN for a group of which no trial can be the best."""
    of, found = named(view.finals, view.groups), []
    for group in dict.fromkeys(of):
        if group == of[view.best]:
            continue
        first = rank_settings(view.table, view.objective, of == group)[:1]
        found += [(setting_name(view.table, s.rows[0]), s.median) for s in first] or [(str(group), math.nan)]
    sign = -1 if view.maximised else 1
    return sorted(found, key=lambda pair: (math.isnan(pair[1]), sign * pair[1]))


def alike_to_truth(view: AtlasView, floor: tuple[float, float]) -> list[str]:
    """Return what the measure cannot tell from the truth on these data."""
    name, frame = view.objective.removeprefix("measures/"), view.finals.frame
    if f"saturations/{name}" not in frame or not math.isfinite(floor[0]):
        return []
    columns = [c for c in map(str, frame.columns) if c.startswith(f"surrogates/{name}/")]
    scores = {c.rpartition("/")[2]: float(np.nanmedian(numbers(view.finals, c))) for c in columns}
    saturation = float(np.nanmedian(numbers(view.finals, f"saturations/{name}")))
    middle = float(np.nanmedian(numbers(view.finals, f"floors/{name}")))
    return indistinct(direction(view.table, view.objective), middle, floor[1], saturation, scores)


def lacks_time(view: AtlasView) -> bool:
    """Return whether the largest exponent of the data was looked for and is unknown."""
    column = "data/lambda_max"
    return column in view.finals.frame and not np.isfinite(numbers(view.finals, column)).any()
