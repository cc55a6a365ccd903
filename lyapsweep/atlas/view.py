"""What the page shows of a table: its objective, axes, groups and best trial."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from lyapsweep.analysis.settings import setting_curve, slices
from lyapsweep.analysis.shared.selection import TooFew, named
from lyapsweep.analysis.shared.units import SOURCES, Units
from lyapsweep.atlas.errors import SectionErrors
from lyapsweep.results.best import BestSetting, best_setting, direction
from lyapsweep.results.headline import headline_map
from lyapsweep.results.table import Table, moves

MAIN_AXES, MAIN_GROUP = ("forcing/interval", "init/gain", "training/lr"), "cell/kind"
NOTHING_VARIES = "No setting takes more than one value, so there is nothing to compare."
MIN_TRIALS = 100  # of a sweep whose early spectra are asked to predict outcomes
MAX_TRIALS = 1000  # of more, so many are drawn evenly, setting by setting, by their keys, which are hashes


@dataclass(frozen=True)
class AtlasView:
    """A table as the page shows it; everything else is derived from these.

    Args:
        table: The records of a sweep.
        folder: The results folder, as commands name it; "" where it is unknown.
        trials: Trials whose orbits are on the page whatever their size.
        fixed_points: What a search of single networks found, by trial.
        errors: Collects sections that cannot be drawn, also of the views that are derived from this one.
        cache: The findings that were computed, by name (`atlas.analyses`).
    """

    table: Table
    folder: str = ""
    trials: tuple[str, ...] = ()
    fixed_points: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    errors: SectionErrors = field(default_factory=SectionErrors)
    cache: dict[str, object] = field(default_factory=dict, repr=False, compare=False)

    @cached_property
    def finals(self) -> Table:
        return self.table.finals

    @cached_property
    def measures(self) -> list[str]:
        """Columns of measures, without their details such as measures/gradients/slope."""
        columns = [c for c in map(str, self.table.frame.columns) if c.startswith("measures/")]
        return [c for c in columns if c.rpartition("/")[0] not in columns]  # the name of one in a file has slashes too

    @cached_property
    def objective(self) -> str:
        """Column of the sweep's objective, else the first measure."""
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
        """Settings that take several values, without seeds and without those that the cell or the data determine."""
        column = self.finals.column
        columns = [c for c in self.table.varied if moves(column(c)) and c.rpartition("/")[2] != "seed"]
        names = [c for c in (MAIN_GROUP, *SOURCES) if c in columns]
        return [c for c in columns if c in names or not any(determines(column(n), column(c)) for n in names)]

    @cached_property
    def axes(self) -> list[str]:
        """Numeric settings, the usual ones first; without any, the first setting that takes several values."""
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
        """Settings that separate what must not be averaged: data and cell, where they vary."""
        return tuple(c for c in (*SOURCES, MAIN_GROUP) if c in self.moving) or (self.group,)

    @cached_property
    def sources(self) -> "dict[str, AtlasView]":
        """A view per data set, by its name; this view where there is one data set."""
        columns = [c for c in SOURCES if c in self.moving]
        if not columns:
            return {"": self}
        names = named(self.table, columns)
        return {name: AtlasView(self.table.take(names == name), errors=self.errors) for name in dict.fromkeys(names)}

    @cached_property
    def sample(self) -> "AtlasView":
        """This view, or of more than `MAX_TRIALS` trials a sample of them, setting by setting."""
        keys = self.finals.frame["trial"].astype(str)
        if len(keys) <= MAX_TRIALS:
            return self
        first = keys.groupby(Units.of(self.finals).index).transform("min")
        kept = keys.iloc[np.lexsort((keys, first))[:MAX_TRIALS]]
        chosen = self.table.frame["trial"].astype(str).isin(kept).to_numpy(bool)
        return AtlasView(self.table.take(chosen), errors=self.errors)

    @cached_property
    def map(self) -> str | None:
        """The map whose spectrum is shown."""
        return headline_map(self.table.spectra)

    @cached_property
    def main(self) -> setting_curve.SettingCurveFinding:
        """The objective against the main axis. Raises `TooFew` without an axis."""
        if not self.axes:
            raise TooFew(NOTHING_VARIES)
        return self.curve(self.axes[0], self.objective)

    def along(self, axis: str) -> slices.Slice:
        """The trials along one axis, with every other setting as in the best one of each group."""
        return slices.through_best(self.table, axis, self.objective, self.groups, self.moving)

    def curve(self, axis: str, column: str) -> setting_curve.SettingCurveFinding:
        """A column along one axis."""
        return setting_curve.find(self.along(axis).table, axis, column, self.groups)

    @cached_property
    def best(self) -> int | None:
        """Row, among the finals, of the best trial of the best setting; None where no trial has a value."""
        return self.setting.rows[0] if self.setting else None

    @cached_property
    def setting(self) -> BestSetting | None:
        """The best setting; None where no trial has a value."""
        return best_setting(self.table, self.objective)

    @cached_property
    def best_trial(self) -> str | None:
        """Key of the best trial."""
        return None if self.best is None else str(self.finals.frame["trial"].iloc[self.best])

    @property
    def outcomes(self) -> dict[str, int]:
        """Number of trials per outcome."""
        return {str(k): int(n) for k, n in self.finals.frame["outcome"].value_counts().items()}

    @property
    def has_early_spectra(self) -> bool:
        """Whether enough trials of a map have a spectrum from between their start and their end."""
        if self.map is None or self.table.description.intent == "hunt" or len(self.finals) < MIN_TRIALS:
            return False
        frame = self.table.frame
        during = ~frame["final"].astype(bool) & (frame["step"] > 0)  # at step 0 a spectrum follows from settings
        return len(set(frame["trial"][during])) >= MIN_TRIALS


def determines(name: pd.Series, setting: pd.Series) -> bool:
    """Return whether a setting has one value for each value of `name`."""
    names, values = name.astype(str), setting.astype(str)
    return len(set(zip(names, values))) == len(set(names))


def is_numeric(values: pd.Series) -> bool:
    return pd.api.types.is_numeric_dtype(values.dtype) and not pd.api.types.is_bool_dtype(values.dtype)
