"""The best trials: which trials can be the best, which way is better, and who wins, of a sweep and of each group."""

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd

from lyapsweep.measures import MEASURES
from lyapsweep.registry import readable
from lyapsweep.results.record import Outcome
from lyapsweep.results.table import Table

Direction = Literal["minimise", "maximise"]


def direction(table: Table, column: str) -> Direction:
    """Which way a column is better: as the sweep says of its objective, as the measure says of itself, else down."""
    name = column.removeprefix("measures/")
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


def rank_trials(table: Table, column: str = "", among: np.ndarray | None = None) -> list[int]:
    """Rank the trials that finished with a finite value, best first.

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
    if not column and table.description.objective_column not in table.frame:
        return []
    column = column or table.description.objective_column
    frame, way = table.finals.frame, direction(table, column)
    values = table.finals.column(column).astype(float).tolist()
    trials, outcomes = frame["trial"].astype(str).tolist(), frame["outcome"].tolist()
    rows = np.arange(len(frame)) if among is None else np.flatnonzero(among)
    winners = [int(i) for i in rows if can_win(outcomes[i], values[i])]
    return sorted(winners, key=lambda i: ranking_key(values[i], trials[i], way))


def best_of_groups(table: Table, groups: Sequence[str], column: str = "", among: np.ndarray | None = None) -> list[int]:
    """Find the best trial of each group.

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
        >>> frame = frame.assign(step=9, final=True, **{"measures/loss": [0.2, 0.1, 0.3]})
        >>> best_of_groups(Table(frame), ["cell/kind"], "measures/loss")
        [1, 2]
    """
    ranked = rank_trials(table, column, among)
    if not ranked or not groups:
        return ranked[:1]
    members = pd.concat([table.finals.column(name) for name in groups], axis=1).iloc[ranked]
    return [i for i, seen in zip(ranked, members.duplicated(), strict=True) if not seen]
