"""What the page shows of a table: the objective, the axes, the groups, the best trial."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from lyapsweep.analysis.settings import setting_curve
from lyapsweep.analysis.shared.selection import TooFew, direction, named, numbers
from lyapsweep.results.table import Table, moves

MAIN_AXES, MAIN_GROUP, MAIN_MAP = ("forcing/interval", "init/gain", "training/lr"), "cell/kind", "closed loop"
SOURCES = ("dataset/kind", "dataset/system")  # of data: scores on one say nothing of scores on another


@dataclass(frozen=True)
class AtlasView:
    """A table as the page sees it. Everything is derived; nothing is chosen by hand."""

    table: Table

    @cached_property
    def finals(self) -> Table:
        return self.table.finals

    @cached_property
    def measures(self) -> list[str]:
        """Columns of measures proper: their details (measures/gradients/slope) are left to the table."""
        return [c for c in map(str, self.table.frame.columns) if c.startswith("measures/") and c.count("/") == 1]

    @cached_property
    def objective(self) -> str:
        """The column that the sweep is judged by: its objective, else the first measure."""
        if self.table.description.objective_column in self.table.frame:
            return self.table.description.objective_column
        if not self.measures:
            raise TooFew("No trial has a measure yet.")
        return self.measures[0]

    @property
    def maximised(self) -> bool:
        return direction(self.table, self.objective) == "maximise"

    @cached_property
    def moving(self) -> list[str]:
        """What was varied and takes more than one value, without seeds and without what a group alone decides."""
        frame = self.finals.frame
        columns = [c for c in self.table.varied if moves(frame[c]) and c.rpartition("/")[2] != "seed"]
        names = [c for c in (MAIN_GROUP, *SOURCES) if c in columns]
        tied = lambda c: any(frame[c].astype(str).groupby(frame[n].astype(str)).nunique().max() <= 1 for n in names)  # noqa: E731
        return [c for c in columns if c in names or not tied(c)]

    @cached_property
    def axes(self) -> list[str]:
        """Numeric settings, the usual ones first; where there are none, the first setting that moves."""
        numeric = [c for c in self.moving if is_numeric(self.finals.column(c))]
        numeric.sort(key=lambda c: MAIN_AXES.index(c) if c in MAIN_AXES else len(MAIN_AXES))
        return numeric or self.moving[:1]

    @cached_property
    def group(self) -> str:
        """The setting whose values are the curves of a figure."""
        names = [c for c in self.moving if not is_numeric(self.finals.column(c)) and c not in self.axes]
        return MAIN_GROUP if MAIN_GROUP in names or not names else names[0]

    @cached_property
    def groups(self) -> tuple[str, ...]:
        """The settings that tell apart what is not to be averaged over: the system and the cell, where they vary."""
        return tuple(c for c in (*SOURCES, MAIN_GROUP) if c in self.moving) or (self.group,)

    @cached_property
    def sources(self) -> "dict[str, AtlasView]":
        """The same of each set of data alone, by its name; of one set this view."""
        columns = [c for c in SOURCES if c in self.moving]
        if not columns:
            return {"": self}
        names = named(self.table, columns)
        return {name: AtlasView(self.table.take(names == name)) for name in dict.fromkeys(names)}

    @cached_property
    def map(self) -> str | None:
        """The map whose spectrum is shown: the free-running network where it was measured."""
        return MAIN_MAP if MAIN_MAP in self.table.spectra else next(iter(self.table.spectra), None)

    @cached_property
    def main(self) -> setting_curve.SettingCurveFinding:
        """The objective against the main axis; `TooFew` where the sweep has none."""
        if not self.axes:
            raise TooFew("No setting takes more than one value, so there is nothing to compare.")
        return setting_curve.find(self.table, self.axes[0], self.objective, self.groups)

    @cached_property
    def best(self) -> int | None:
        """The row, among the finals, of the finished trial with the best objective; None where none has a value."""
        values = numbers(self.finals, self.objective)
        good = (self.finals.frame["outcome"] == "finished").to_numpy(bool) & np.isfinite(values)
        if not good.any():
            return None
        ranked = np.where(good, values, -np.inf if self.maximised else np.inf)
        return int(ranked.argmax() if self.maximised else ranked.argmin())

    def counts(self) -> dict[str, int]:
        """Trials by outcome."""
        return {str(k): int(n) for k, n in self.finals.frame["outcome"].value_counts().items()}


def is_numeric(values: pd.Series) -> bool:
    return pd.api.types.is_numeric_dtype(values.dtype) and not pd.api.types.is_bool_dtype(values.dtype)
