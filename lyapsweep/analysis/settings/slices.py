"""Trials along one setting, with every other setting as in the best one: medians then compare like with like."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lyapsweep.analysis.shared.selection import named
from lyapsweep.results.best import Ranked, rank_settings
from lyapsweep.results.table import Table

FEWEST_PLACES = 2  # of an axis, below which a slice shows nothing


@dataclass(frozen=True)
class Slice:
    """The trials along one setting.

    Args:
        table: Their records.
        fixed: Settings that each group holds at the values of its best setting.
        pooled: Settings that vary among the trials of one place, because the sweep has no trials along the axis that
            share them.
    """

    table: Table
    fixed: tuple[str, ...]
    pooled: tuple[str, ...]


def through_best(table: Table, axis: str, column: str, groups: Sequence[str], settings: Sequence[str]) -> Slice:
    """Select, in each group, the trials that differ from the group's best setting in nothing but `axis` and seed.

    Args:
        table: Records of a sweep.
        axis: The setting to look along.
        column: The score by which settings are ranked, by the median over their seeds.
        groups: Columns whose values, taken together, make a group.
        settings: Settings that take several values.

    Returns:
        The slice. A group without such trials at two places of the axis, as one of a random space, keeps all its own.

    Example:
        >>> import pandas as pd
        >>> frame = pd.DataFrame({"trial": [*"abcd"], "step": 9, "outcome": "finished", "final": True, "cell": "gru"})
        >>> frame = frame.assign(lr=[1, 1, 2, 2], units=[5, 9, 5, 9], **{"measures/loss": [0.3, 0.1, 0.4, 0.6]})
        >>> found = through_best(Table(frame), "lr", "measures/loss", ["cell"], ["lr", "units"])
        >>> found.table.frame["trial"].tolist(), found.fixed, found.pooled
        (['b', 'd'], ('units',), ())
    """
    finals = table.finals
    others = tuple(c for c in settings if c not in (axis, *groups))
    of, places = named(finals, list(groups)), finals.column(axis).astype(str).to_numpy()
    values = {c: finals.column(c).astype(str).to_numpy() for c in others}
    chosen, pooled = np.zeros(len(of), bool), set()
    for group in dict.fromkeys(of):
        rows = of == group
        along = rows & matching(values, rank_settings(table, column, rows)[:1], len(of))
        if len(set(places[along])) < FEWEST_PLACES:
            along = rows
            pooled |= {c for c in others if len(set(values[c][rows])) > 1}
        chosen |= along
    trials = finals.frame["trial"].astype(str).to_numpy()[chosen]
    part = table.take(np.isin(table.frame["trial"].astype(str).to_numpy(), trials))
    return Slice(part, tuple(c for c in others if c not in pooled), tuple(c for c in others if c in pooled))


def matching(values: dict[str, np.ndarray], best: Sequence[Ranked], n: int) -> np.ndarray:
    """Rows whose values are those of the best setting; all rows where there is none."""
    found = np.ones(n, bool)
    for setting in best:
        for column in values.values():
            found &= column == column[setting.rows[0]]
    return found
