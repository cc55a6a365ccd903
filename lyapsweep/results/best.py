"""The best settings and trials: who can win, which way is better, who wins and who is tied.

A setting is everything but the seed. Settings are compared by the median over their seeds, on the part of the data by
which networks are judged; scores on the test part decide nothing.

Where the best settings were trained again from fresh seeds (`Confirmation`), a confirmed setting is judged by these
trials alone and ranks before all that are not confirmed: the run by which the search chose it is a lucky one.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from lyapsweep.measures import MEASURES
from lyapsweep.registry import readable
from lyapsweep.results.constraints import LAMBDA_MAX, Constraint
from lyapsweep.results.criteria import fresh_rows, judge
from lyapsweep.results.floors import Direction, floor_intervals, floor_of, reaches_floor, seed_interval
from lyapsweep.results.headline import headline_map
from lyapsweep.results.record import Outcome
from lyapsweep.results.table import Table, moves

LOST = (Outcome.DIVERGED, Outcome.FAILED)


@dataclass(frozen=True)
class BestSetting:
    """The best setting of a sweep.

    Args:
        rows: Positions of its trials among the rows of `table.finals`, the best first.
        median: Median score over its seeds.
        low: Lower quartile of its seeds' scores.
        high: Upper quartile.
        test: Median score on the test part; NaN without one.
        test_low: Lower quartile on the test part.
        test_high: Upper quartile.
        at_floor: Whether it is as good as the measure can tell (`reaches_floor`).
        ties: For each further setting that these trials do not tell from it, the positions of its trials.
        scored: Positions of all its trials that have a score.
        confirmed: Whether its trials are those from fresh seeds.

    Example:
        >>> BestSetting((4, 2), median=0.2, low=0.1, high=0.3).seeds
        2
    """

    rows: tuple[int, ...]
    median: float
    low: float
    high: float
    test: float = math.nan
    test_low: float = math.nan
    test_high: float = math.nan
    at_floor: bool = False
    ties: tuple[tuple[int, ...], ...] = ()
    scored: tuple[int, ...] = ()
    confirmed: bool = False

    @property
    def seeds(self) -> int:
        return len(self.rows)


@dataclass(frozen=True)
class Ranked:
    """A setting: the positions of its trials that can win, best first, and of all that have scores, with interval.

    `confirmed` if the trials are those from fresh seeds; `violated` if one of them does not meet a criterion.
    """

    rows: tuple[int, ...]
    scored: tuple[int, ...]
    lost: int
    median: float
    low: float
    high: float
    floor: tuple[float, float]
    confirmed: bool = False
    violated: bool = False


def direction(table: Table, column: str) -> Direction:
    """Which way a column is better: as the sweep says of its objective, as the measure says of itself, else down."""
    name = column.removeprefix("measures/").removeprefix("test/")
    if name == table.description.objective and table.description.direction:
        return table.description.direction
    return MEASURES[name].direction if name in MEASURES and readable(name) else "minimise"


def can_win(outcome: str, value: float) -> bool:
    """Whether a trial can be the best: it finished, bounded, and its value is finite."""
    return outcome == Outcome.FINISHED and math.isfinite(value)


def ranking_key(value: float, trial: str, direction: Direction) -> tuple[float, str]:
    """The key that sorts trials, best first; trials of equal value are sorted by their names.

    Example:
        >>> sorted([(0.2, "b"), (0.5, "c"), (0.5, "a")], key=lambda pair: ranking_key(*pair, "maximise"))
        [(0.5, 'a'), (0.5, 'c'), (0.2, 'b')]
    """
    return -value if direction == "maximise" else value, trial


def tied(direction: Direction, one: Ranked, other: Ranked) -> bool:
    """Whether two settings' intervals overlap, or both are at the floor; none of which half was lost is tied."""
    if math.isfinite(other.median) and one.low <= other.high and other.low <= one.high:
        return True
    return all(reaches_floor(direction, (s.low, s.high), s.floor, s.median) for s in (one, other))


def comparable(one: Ranked, other: Ranked) -> bool:
    """Whether the medians of two settings decide which of them ranks first."""
    return (one.confirmed, one.violated) == (other.confirmed, other.violated)


def rank_settings(table: Table, column: str = "", among: np.ndarray | None = None) -> list[Ranked]:
    """Rank the settings with a trial that can win by the median over their seeds, best first.

    Trials that were lost count as the worst, unbounded ones have their scores but cannot win; settings of which half
    were lost come last, by their best trial. Confirmed settings come first, those among them that meet the criteria
    before those that do not.

    Args:
        table: Records of a sweep.
        column: See `rank_trials`.
        among: See `rank_trials`.

    Returns:
        The settings; empty if the objective is unknown or was not measured.
    """
    if not column and table.description.objective_column not in table.frame:
        return []
    column = column or table.description.objective_column
    finals, way = table.finals, direction(table, column)
    worst = -math.inf if way == "maximise" else math.inf
    frame, floors = finals.frame, floor_intervals(finals, column)
    values, lost = finals.column(column).to_numpy(float), frame["outcome"].isin([str(o) for o in LOST]).to_numpy(bool)
    wins = np.array([can_win(*pair) for pair in zip(frame["outcome"], values)], bool) & keeps_constraints(finals)
    ended = lost | wins | (np.isfinite(values) & (frame["outcome"] == Outcome.UNBOUNDED).to_numpy(bool))
    rows = np.flatnonzero(ended if among is None else ended & np.asarray(among, bool))
    names, fresh, found = frame["trial"].astype(str).to_numpy(), fresh_rows(finals, column), []
    for group in grouped(finals, rows):
        members = group[fresh[group]] if fresh[group].any() else group
        alive, scored = [int(i) for i in members if wins[i]], tuple(int(i) for i in members if not lost[i])
        if not alive:
            continue
        scores = np.where(lost[members], worst, values[members])
        alive.sort(key=lambda i: ranking_key(values[i], names[i], way))
        middle, interval = float(np.median(scores)), seed_interval(values[list(scored)])
        missing = len(members) - len(scored)
        confirmed = bool(fresh[members].any())
        violated = confirmed and any(result.violations for result in judge(finals, scored))
        floor = floor_of(floors[alive])
        found.append(Ranked(tuple(alive), scored, missing, middle, *interval, floor, confirmed, violated))

    def key(setting: Ranked) -> tuple[bool, bool, float, float, str]:
        first, median = setting.rows[0], ranking_key(setting.median, "", way)[0]
        return not setting.confirmed, setting.violated, median, *ranking_key(values[first], names[first], way)

    return sorted(found, key=key)


def keeps_constraints(finals: Table) -> np.ndarray:
    """Whether each trial keeps the constraints of its hunt."""
    kept = np.ones(len(finals.frame), bool)
    for constraint in map(Constraint.parse, finals.description.constraints):
        scores = score_column(finals, constraint.score)
        kept &= np.array([constraint.holds({constraint.score: value}) for value in scores], bool)
    return kept


def score_column(finals: Table, name: str) -> np.ndarray:
    """A score that a constraint names, of every trial; NaN where there is none."""
    if f"measures/{name}" in finals.frame:
        return finals.frame[f"measures/{name}"].to_numpy(float)
    map = headline_map(finals.spectra)
    return finals.spectra[map][:, 0] if name == LAMBDA_MAX and map else np.full(len(finals.frame), math.nan)


def grouped(finals: Table, rows: np.ndarray) -> list[np.ndarray]:
    """The rows of each setting: those that differ in nothing but the seed; each by itself in a table without seeds."""
    columns = [c for c in finals.settings if c != "seed" and moves(finals.frame[c])]
    if "seed" not in finals.frame:
        return list(rows[:, None])
    if not columns:
        return [rows] if rows.size else []
    of = finals.frame[columns].astype(str).iloc[rows].groupby(columns, sort=False).ngroup().to_numpy()
    order = np.argsort(of, kind="stable")
    return np.split(rows[order], np.flatnonzero(np.diff(of[order])) + 1)


def best_setting(table: Table, column: str = "", among: np.ndarray | None = None) -> BestSetting | None:
    """Find the best setting by the median over its seeds, and those that are tied with it.

    Args:
        table: Records of a sweep.
        column: See `rank_trials`.
        among: See `rank_trials`.

    Returns:
        The setting; None if no trial can win.

    Example:
        >>> frame = pd.DataFrame({"trial": [*"abcd"], "lr": [1, 1, 2, 2], "seed": [0, 1, 0, 1], "outcome": "finished"})
        >>> frame = frame.assign(step=9, final=True, **{"measures/loss": [0.1, 0.5, 0.2, 0.2]})
        >>> found = best_setting(Table(frame), "measures/loss")
        >>> found.rows, found.median, found.ties
        ((2, 3), 0.2, ((0, 1),))
    """
    ranked = rank_settings(table, column, among)
    if not ranked:
        return None
    column = column or table.description.objective_column
    first, way, finals = ranked[0], direction(table, column), table.finals
    test = column.replace("measures/", "test/", 1)
    scores = finals.frame[test].to_numpy(float)[list(first.scored)] if test in finals.frame else np.empty(0)
    scores = scores[np.isfinite(scores)]
    lost = np.full(first.lost, -math.inf if way == "maximise" else math.inf)
    return BestSetting(
        first.rows,
        first.median,
        first.low,
        first.high,
        float(np.median([*scores, *lost])) if scores.size else math.nan,
        *seed_interval(scores),
        at_floor=reaches_floor(way, (first.low, first.high), first.floor, first.median),
        ties=tuple(other.rows for other in ranked[1:] if comparable(first, other) and tied(way, first, other)),
        scored=first.scored,
        confirmed=first.confirmed,
    )


def rank_trials(table: Table, column: str = "", among: np.ndarray | None = None) -> list[int]:
    """Rank the trials that finished with a finite value: those of the best setting first, the best of them first.

    Args:
        table: Records of a sweep.
        column: The column to judge by, such as `measures/loss`; the sweep's objective if empty.
        among: Mask over the rows of `table.finals`; the trials that take part. All by default.

    Returns:
        Positions among the rows of `table.finals`; empty if the objective is unknown or was not measured.

    Raises:
        UnknownName: If `column` is given and the table has no such column.

    Example:
        >>> frame = pd.DataFrame({"trial": ["a", "b", "c"], "outcome": ["finished", "finished", "failed"]})
        >>> frame = frame.assign(step=9, final=True, **{"measures/loss": [0.2, 0.1, 0.0]})
        >>> rank_trials(Table(frame), "measures/loss")
        [1, 0]
    """
    return [row for setting in rank_settings(table, column, among) for row in setting.rows]


def best_of_groups(table: Table, groups: Sequence[str], column: str = "", among: np.ndarray | None = None) -> list[int]:
    """Find the best trial of the best setting of each group.

    Args:
        table: Records of a sweep.
        groups: Columns whose values, taken together, make a group; missing values are a group of their own.
            Without columns all trials are one group.
        column: See `rank_trials`.
        among: See `rank_trials`.

    Returns:
        Positions among the rows of `table.finals`, one per group that has a trial to rank, best first.

    Example:
        >>> frame = pd.DataFrame({"trial": ["a", "b", "c"], "cell/kind": ["gru", "gru", "lstm"], "outcome": "finished"})
        >>> frame = frame.assign(step=9, final=True, seed=[0, 1, 0], **{"measures/loss": [0.2, 0.1, 0.3]})
        >>> best_of_groups(Table(frame), ["cell/kind"], "measures/loss")
        [1, 2]
    """
    ranked = rank_trials(table, column, among)
    if not ranked or not groups:
        return ranked[:1]
    members = pd.concat([table.finals.column(name) for name in groups], axis=1).iloc[ranked]
    return [i for i, seen in zip(ranked, members.duplicated(), strict=True) if not seen]
