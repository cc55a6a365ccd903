"""Which runs are independent: the unit that analyses resample, permute and leave out is the setting with all its seeds.

Runs of one setting share whatever it does to spectra and to scores, so that many seeds of few settings are little
evidence about settings. Scores on different data sets do not compare: where a table has several, ranks are taken
within each, and a setting's runs on all of them are one unit.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd

from lyapsweep.analysis.shared.ranks import rank_share
from lyapsweep.results.table import Table, moves

SOURCES = ("dataset/kind", "dataset/system")  # settings that tell data sets apart
FEWEST = 8  # settings from which something can be said about settings


class UnitCount(NamedTuple):
    """How many settings, runs and data sets there are; as text "21 settings, 63 runs"."""

    settings: int
    runs: int
    sources: int = 1

    def __str__(self) -> str:
        names = zip(self, ("setting", "run", "data set"), strict=True)
        parts = [f"{n} {name}{'' if n == 1 else 's'}" for n, name in names]
        return ", ".join(parts if self.sources > 1 else parts[:2])


class Units(NamedTuple):
    """Arrays (runs,) of whole numbers from 0: the unit, the setting and the data set of each run.

    A unit is a setting (all settings that vary, except seeds and the data set) with all its runs. Of fewer than eight
    settings nothing can be said about settings: then each run is a unit, and runs are compared within their setting
    (`stratum`) only, as they are if nothing but the seed varies.

    Args:
        index: The unit of each run, shape (runs,).
        stratum: The runs among which each run is compared, shape (runs,).
        setting: The setting of each run, shape (runs,).
        source: The data set of each run, shape (runs,).

    Example:
        >>> same = np.zeros(4, int)
        >>> str(Units(np.array([0, 0, 1, 1]), same, np.array([0, 0, 1, 1]), same).count)
        '2 settings, 4 runs'
    """

    index: np.ndarray
    stratum: np.ndarray
    setting: np.ndarray
    source: np.ndarray

    @classmethod
    def of(cls, trials: Table) -> "Units":
        """Find the units of the rows of a table, one row per trial.

        Example:
            >>> frame = pd.DataFrame({"trial": [*"abcdefghijklmnop"], "lr": np.arange(16) // 2, "seed": [0, 1] * 8})
            >>> units = Units.of(Table(frame))
            >>> units.index.tolist(), str(units.count)
            ([0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7], '8 settings, 16 runs')
        """
        names = varied_names(trials)
        source = codes(trials.frame, [c for c in SOURCES if c in names])
        free = [c for c in names if trials.frame[c].groupby(source).nunique(dropna=False).max() > 1]
        setting = codes(trials.frame, free)
        if setting.max(initial=0) + 1 >= FEWEST:
            return cls(setting, source, setting, source)
        stratum = np.unique(np.stack([setting, source]), axis=1, return_inverse=True)[1].ravel()
        return cls(np.arange(len(trials)), stratum, setting, source)

    def take(self, rows: np.ndarray) -> "Units":
        """The units of some runs, given by a mask or by positions, numbered anew."""
        return Units(*(np.unique(v[rows], return_inverse=True)[1] for v in self))

    @property
    def count(self) -> UnitCount:
        """The number of settings, runs and data sets."""
        return UnitCount(len(np.unique(self.setting)), len(self.index), len(np.unique(self.source)))

    @property
    def number(self) -> int:
        """The number of units."""
        return int(self.index.max(initial=-1)) + 1

    @property
    def clustered(self) -> bool:
        """Whether some unit has several runs."""
        return self.number < len(self.index)

    def comparable(self, values: np.ndarray) -> np.ndarray:
        """The values (runs,) themselves, or, of several strata, the share of its stratum below each."""
        return ranked_within(values, self.stratum)

    def permuted(self, generator: np.random.Generator) -> np.ndarray:
        """Draw positions (runs,) such that `values[positions]` has the values of another unit in each unit.

        Units trade places with all their runs, in an order drawn anew; a unit with more runs than the other one
        repeats that one's. Runs that are units trade places within their stratum.
        """
        order = np.lexsort((generator.random(len(self.index)), self.stratum, self.index))
        if not self.clustered:
            shuffled = np.lexsort((generator.random(len(order)), self.stratum))
            positions = np.empty(len(order), int)
            positions[np.argsort(self.stratum, kind="stable")] = shuffled
            return positions
        count = np.bincount(self.index)
        start, other = np.cumsum(count) - count, generator.permutation(len(count))
        place = np.arange(len(order)) - np.repeat(start, count)
        unit = np.repeat(other, count)
        positions = np.empty(len(order), int)
        positions[order] = order[start[unit] + place % count[unit]]
        return positions

    def resampled(self, generator: np.random.Generator) -> np.ndarray:
        """Draw as many units as there are, with replacement, and return the positions of all their runs."""
        order, count = np.argsort(self.index, kind="stable"), np.bincount(self.index)
        start, drawn = np.cumsum(count) - count, generator.integers(self.number, size=self.number)
        return np.concatenate([order[start[u] : start[u] + count[u]] for u in drawn])

    def blocks(self, most: int, seed: int) -> np.ndarray:
        """A block (runs,) of each run: its unit, or one of `most` random blocks of units if there are more units."""
        if self.number <= most:
            return self.index
        return (np.random.default_rng(seed).permutation(self.number) % most)[self.index]


def varied_names(trials: Table) -> list[str]:
    """The settings that take several values, without seeds, which are drawn and not chosen."""
    return [c for c in trials.varied if c.rpartition("/")[2] != "seed" and moves(trials.frame[c])]


def codes(frame: pd.DataFrame, names: list[str]) -> np.ndarray:
    """A number (rows,) from 0 for each combination of values; 0 without columns."""
    if not names:
        return np.zeros(len(frame), int)
    return frame.groupby(names, dropna=False, sort=False).ngroup().to_numpy(int)


def ranked_within(values: np.ndarray, stratum: np.ndarray) -> np.ndarray:
    """The values (runs,), or, of several strata, the share of its stratum below each; NaN where a value is NaN."""
    if stratum.max(initial=0) == 0:
        return values
    ranked = np.full(len(values), np.nan)
    for s in np.unique(stratum):
        own = (stratum == s) & ~np.isnan(values)
        ranked[own] = rank_share(values[own], values[own])
    return ranked


def enough_permutations(permutations: int, level: float) -> None:
    """Raise `ValueError` if the smallest p of a permutation test, 1 / (permutations + 1), exceeds its level."""
    if 1 / (permutations + 1) > level * (1 + 1e-9):
        raise ValueError(
            f"permutations: must be at least {round(1 / level) - 1} for a test at level {level:g}, but is "
            f"{permutations}: no p value can be below {1 / (permutations + 1):.2g}. Ask for more."
        )
