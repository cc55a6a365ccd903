"""The verdict: the best setting with its ties, in the words of the terminal and MLflow, and what qualifies it."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup

from lyapsweep.analysis.settings.setting_curve import SettingCurveFinding
from lyapsweep.analysis.shared.selection import TooFew, label, named, numbers
from lyapsweep.atlas.rendering import render
from lyapsweep.atlas.verdict_sentences import headline, remarks
from lyapsweep.atlas.view import AtlasView
from lyapsweep.measures.bounds import indistinct
from lyapsweep.results.best import BestSetting, Ranked, direction, rank_settings
from lyapsweep.results.confirmed import confirmation_sentences
from lyapsweep.results.floors import Direction, floor_intervals, floor_of
from lyapsweep.results.winner import score_sentence, setting_name, tie_sentence


@dataclass(frozen=True)
class Place:
    """The trials at one value of an axis: the value, their median score and how many there are and were lost."""

    label: str
    median: float
    count: int
    lost: int


@dataclass(frozen=True)
class Neighbours:
    """Where the best setting lies on an axis, all other settings being the same.

    Args:
        axis: The axis.
        place: The best setting's place on it.
        near: The places beside it; one alone where it lies at an end.
        ends: The ends of the axis where these are others.
        predictability_time: ln 2 / lambda_max of the data in steps; NaN if unknown or if the axis is no interval.
        ratio: The best interval over the predictability time; NaN likewise.
    """

    axis: str
    place: Place
    near: tuple[Place, ...]
    ends: tuple[Place, ...]
    predictability_time: float = math.nan
    ratio: float = math.nan


@dataclass(frozen=True)
class ScoredSetting:
    """A setting, the ids of its trials, and the median of its seeds' scores; NaN if half of them or more were lost."""

    name: str
    trials: tuple[str, ...]
    median: float


@dataclass(frozen=True)
class Verdict:
    """The best setting of a sweep on one data set.

    Args:
        column: The objective.
        label: The objective in words.
        direction: "minimise" or "maximise".
        name: The best setting, in words.
        settings: The varied settings with their values.
        trials: Ids of its trials that can win, the best first.
        median: Its median score on the validation part; lost trials count as the worst.
        low: Lower quartile of its seeds.
        high: Upper quartile.
        test: Median score on the test part, NaN without one.
        test_low: Lower quartile on the test part.
        test_high: Upper quartile.
        scores: These scores as a sentence.
        at_floor: Whether it is as good as the measure can tell.
        floor: Interval of the floor, NaN if unknown.
        times_floor: Its score over the floor; NaN if the floor is unknown or not positive.
        ties: Settings that these trials do not tell from it.
        tied: Floor and ties as a sentence.
        confirmed: What the confirmation from fresh seeds showed, in sentences; none without.
        others: The best setting of every other group, the best first.
        neighbours: What lies beside it along each axis.
        alike: What the measure cannot tell from the truth on these data.
        unknown_time: Whether intervals are compared and the predictability time of the data is unknown.
        outcomes: Number of trials per outcome.
        hunt: Whether the sweep is a hunt.
    """

    column: str
    label: str
    direction: Direction
    name: str
    settings: dict[str, str | float | bool | None]
    trials: tuple[str, ...]
    median: float
    low: float
    high: float
    test: float
    test_low: float
    test_high: float
    scores: str
    at_floor: bool
    floor: tuple[float, float]
    times_floor: float
    ties: tuple[ScoredSetting, ...]
    tied: str
    confirmed: tuple[str, ...]
    others: tuple[ScoredSetting, ...]
    neighbours: tuple[Neighbours, ...]
    alike: tuple[str, ...]
    unknown_time: bool
    outcomes: dict[str, int]
    hunt: bool

    @property
    def sentences(self) -> tuple[str, ...]:
        """The verdict in words: the best setting with its scores, then what qualifies it."""
        return headline(self), *remarks(self)


def section(view: AtlasView) -> Markup:
    """The best setting first, then what qualifies it. Raises `TooFew` if no trial can be the best."""
    first, *more = find(view).sentences
    return render("sections/verdict", headline=first, remarks=more)


def find(view: AtlasView) -> Verdict:
    """Collect the verdict of one data set. Raises `TooFew` if no trial can be the best."""
    setting = view.setting
    if setting is None:
        raise TooFew("No trial finished with a finite objective.")
    row, floor = setting.rows[0], floor_of(floor_intervals(view.finals, view.objective)[list(setting.rows)])
    varied = [c for c in view.table.varied if c.rpartition("/")[2] != "seed"]
    return Verdict(
        column=view.objective,
        label=label(view.objective),
        direction=direction(view.table, view.objective),
        name=setting_name(view.table, row),
        settings={c: as_python(view.finals.frame[c].iloc[row]) for c in varied},
        trials=trial_ids(view, setting.rows),
        median=setting.median,
        low=setting.low,
        high=setting.high,
        test=setting.test,
        test_low=setting.test_low,
        test_high=setting.test_high,
        scores=score_sentence(setting),
        at_floor=setting.at_floor,
        confirmed=confirmation_sentences(view.table, setting),
        floor=floor,
        times_floor=times_floor(view, setting),
        ties=tuple(scored(view, ranked) for ranked in tied_settings(view, setting)),
        tied=tie_sentence(view.table, setting, view.objective),
        others=best_of_other_groups(view),
        neighbours=neighbours(view),
        alike=tuple(alike_to_truth(view, floor)),
        unknown_time="forcing/interval" in view.axes and lacks_time(view),
        outcomes=view.outcomes,
        hunt=view.table.description.intent == "hunt",
    )


def as_python(value: Any) -> Any:
    """A value of a frame as JSON has it."""
    value = value.item() if isinstance(value, np.generic) else value
    return None if value is None or value != value else value


def trial_ids(view: AtlasView, rows: tuple[int, ...]) -> tuple[str, ...]:
    return tuple(view.finals.frame["trial"].astype(str).iloc[list(rows)])


def scored(view: AtlasView, setting: Ranked) -> ScoredSetting:
    median = setting.median if math.isfinite(setting.median) else math.nan
    return ScoredSetting(setting_name(view.table, setting.rows[0]), trial_ids(view, setting.rows), median)


def tied_settings(view: AtlasView, setting: BestSetting) -> list[Ranked]:
    """The settings tied with the best one, with their scores."""
    ties = {rows[0] for rows in setting.ties}
    return [ranked for ranked in rank_settings(view.table, view.objective) if ranked.rows[0] in ties] if ties else []


def times_floor(view: AtlasView, setting: BestSetting) -> float:
    """The score of a setting over the floor of its trials; NaN where one of them is unknown or not positive."""
    name = view.objective.replace("measures/", "floors/", 1)
    if name not in view.finals.frame:
        return math.nan
    floors = numbers(view.finals, name)[list(setting.rows)]
    floor = float(np.median(floors[np.isfinite(floors)])) if np.isfinite(floors).any() else math.nan
    return setting.median / floor if floor > 0 and setting.median > 0 else math.nan


def neighbours(view: AtlasView) -> tuple[Neighbours, ...]:
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
            beside, last = (tuple(place(curve, group, k) for k in ks) for ks in (near, ends))
            time, ratio = interval_ratio(curve, used[at])
            found.append(Neighbours(axis, place(curve, group, used[at]), beside, last, time, ratio))
    return tuple(found)


def place(curve: SettingCurveFinding, group: int, k: int) -> Place:
    count, lost = int(curve.count[group, k]), int(curve.lost[group, k])
    return Place(curve.labels[k], float(curve.median[group, k]), count, lost)


def interval_ratio(curve: SettingCurveFinding, k: int) -> tuple[float, float]:
    """The predictability time, if there is one, and the value of a place divided by it."""
    if len(curve.verticals) != 1 or not curve.verticals[0][1] > 0:
        return math.nan, math.nan
    time = float(curve.verticals[0][1])
    return time, float(curve.points[k]) / time


def best_of_other_groups(view: AtlasView) -> tuple[ScoredSetting, ...]:
    """The best setting of every other group; without trials for a group of which no trial can be the best."""
    of, found = named(view.finals, view.groups), []
    for group in dict.fromkeys(of):
        if group == of[view.best]:
            continue
        first = rank_settings(view.table, view.objective, of == group)[:1]
        found += [scored(view, s) for s in first] or [ScoredSetting(str(group), (), math.nan)]
    sign = -1 if view.maximised else 1
    return tuple(sorted(found, key=lambda s: (math.isnan(s.median), sign * s.median)))


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
