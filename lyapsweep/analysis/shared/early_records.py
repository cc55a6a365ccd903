"""What an early record knew of each trial, beside the final outcome: the rows of predictions and correlations.

The early record of a trial is its latest one with a spectrum at or below a fraction of training. No predictor uses
anything later. A trial that had ended by then is left out, since nothing remained to be predicted.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from numbers import Real
from typing import NamedTuple

import numpy as np
import pandas as pd

from lyapsweep.analysis.shared.selection import (
    Direction,
    EndedTrials,
    check_map,
    direction,
    ended_trials,
    numbers,
    require,
)
from lyapsweep.analysis.shared.spectrum_features import determined
from lyapsweep.analysis.shared.units import UnitCount, Units, varied_names
from lyapsweep.results.headline import headline_map
from lyapsweep.results.table import Table

TOLERANCE = 1e-9  # of a step: 4/14 of 14 steps is step 4
LOSS, LENGTH = "measures/loss", "training/steps"


class RowSummary(NamedTuple):
    """The rows of a finding: `steps` are the first and the last early step, `omitted` names the trials left out.

    `count` has the number of settings and of runs, `lost` is that of lost runs.
    """

    outcome: str
    map: str
    fraction: float
    steps: tuple[int, int]
    count: UnitCount
    lost: int
    omitted: str

    @property
    def moment(self) -> str:
        """When the spectra were measured, in words."""
        return f"{100 * self.fraction:g} % of training"


@dataclass(frozen=True)
class EarlyRecords:
    """One row per trial, in the order of the table.

    `values` (rows,) is the final outcome, the worst value where the trial was lost. `settings`, `scores` and
    `statistics` are frames of as many rows: the varied settings, the early scores, and the summaries of the early
    `spectra` (rows, k) with their standard errors `stderr`, None if unknown. `steps` (rows,) are the early steps. Left
    out are `without` trials without an early spectrum, `over` trials that had ended by then, and `undefined` trials
    without an outcome.
    """

    outcome: str
    direction: Direction
    map: str
    fraction: float
    trials: Table
    values: np.ndarray
    lost: np.ndarray
    settings: pd.DataFrame
    scores: pd.DataFrame
    statistics: pd.DataFrame
    spectra: np.ndarray
    stderr: np.ndarray | None
    steps: np.ndarray
    without: int
    over: int
    undefined: int

    @cached_property
    def units(self) -> Units:
        """The rows that are independent."""
        return Units.of(self.trials)

    @cached_property
    def target(self) -> np.ndarray:
        """The outcome (rows,), of several data sets its rank within each."""
        return self.units.comparable(self.values)

    @property
    def ranked(self) -> np.ndarray:
        """The target (rows,) with its sign such that less is better."""
        return -self.target if self.direction == "maximise" else self.target

    @property
    def summary(self) -> RowSummary:
        """The description that a finding keeps of its rows."""
        left = {
            "without an early spectrum": self.without,
            "that had ended by then": self.over,
            "without an outcome": self.undefined,
        }
        omitted = ", ".join(f"{n} {which}" for which, n in left.items() if n)
        steps = (int(self.steps.min()), int(self.steps.max()))
        count, lost = self.units.count, int(self.lost.sum())
        return RowSummary(self.outcome, self.map, self.fraction, steps, count, lost, omitted)


@dataclass(frozen=True)
class SpectrumRows:
    """The trials with a spectrum and an outcome; `without` more have an outcome alone.

    `trials` are their last records, `spectra` (trials, k) with NaN past a spectrum's end, `stderr` (trials, k) their
    standard errors, None if unknown, `values` (trials,) the worst
    value (infinite) where a trial was lost. `description` says in words which spectra they are.
    """

    trials: Table
    spectra: np.ndarray
    stderr: np.ndarray | None
    values: np.ndarray
    lost: np.ndarray
    without: int
    map: str
    description: str

    @cached_property
    def units(self) -> Units:
        """The rows that are independent."""
        return Units.of(self.trials)

    @cached_property
    def target(self) -> np.ndarray:
        """The outcome (trials,), of several data sets its rank within each."""
        return self.units.comparable(self.values)


def early_records(
    table: Table, outcome: str, fraction: float = 0.1, map: str | None = None, scores: Sequence[str] | None = None
) -> EarlyRecords:
    """Pair each ended trial's outcome with its latest spectrum at or below `fraction` of training.

    The length of training is `training/steps`, or that of the longest trial. Early scores are those of `scores`, by
    default the outcome and the loss, as far as early records hold them and they vary.

    Raises `UnknownName` for a map or column that does not exist, `TooFew` if no trial has an early record,
    `ValueError` if `fraction` is not in [0, 1).
    """
    if not 0 <= fraction < 1:
        raise ValueError(f"fraction: must be at least 0 and below 1, but is {fraction}.")
    map = chosen_map(table, map)
    ended = ended_trials(table, outcome)
    at, over = early_rows(table, ended.table, fraction, map)
    known = ~np.isnan(ended.values)
    kept = known & (at >= 0)
    require(int(kept.sum()), 1, f"trials with a spectrum ({map}) at or before {100 * fraction:g} % of training")
    first, last = table.take(at[kept]), ended.take(kept)
    spectra, stderr = first.spectra[map], first.spectra_stderr.get(map)
    return EarlyRecords(
        outcome=outcome,
        direction=direction(table, outcome),
        map=map,
        fraction=fraction,
        trials=last.table,
        values=last.values,
        lost=last.lost,
        settings=varied_settings(last.table),
        scores=early_scores(first, outcome, scores),
        statistics=determined(spectra, stderr=stderr),
        spectra=spectra,
        stderr=stderr,
        steps=first.frame["step"].to_numpy(int),
        without=int((known & (at < 0) & ~over).sum()),
        over=int((known & over).sum()),
        undefined=int((~known).sum()),
    )


def spectrum_rows(
    table: Table, column: str, map: str | None = None, fraction: float | None = None, need: int = 40
) -> SpectrumRows:
    """The ended trials with a spectrum of `map`, the last or that at a `fraction` of training, and a value of `column`.

    A trial without that spectrum is left out and counted. Raises `UnknownName` for a map or column that does not exist,
    `TooFew` below `need` trials (three tenths of fewer than 40 are too few to rank) or if all values are equal.
    """
    map = chosen_map(table, map)
    if fraction is None:
        ended = ended_trials(table, column)
        measured, known = ~np.isnan(ended.table.spectra[map]).all(1), ~np.isnan(ended.values)
        trials, description = ended.take(measured & known), f"final {map} spectrum"
        spectra, stderr = trials.table.spectra[map], trials.table.spectra_stderr.get(map)
        without = int((known & ~measured).sum())
    else:
        rows = early_records(table, column, fraction, map)
        trials = EndedTrials(rows.trials, rows.values, rows.lost)
        spectra, stderr, without = rows.spectra, rows.stderr, rows.without + rows.over
        description = f"{map} spectrum at {100 * fraction:.3g} % of training"
    require(len(spectra), need, f"trials with a spectrum and a value of {column}")
    require(len(np.unique(trials.values)), 2, f"values of {column}")
    return SpectrumRows(trials.table, spectra, stderr, trials.values, trials.lost, without, map, description)


def chosen_map(table: Table, map: str | None) -> str:
    """The given map; by default the closed loop, or the first map with spectra."""
    if map is None:
        map = headline_map(table.spectra) or ""
    check_map(table, map)
    return map


def early_rows(table: Table, ended: Table, fraction: float, map: str) -> tuple[np.ndarray, np.ndarray]:
    """(row of each trial's early record (trials,), -1 for none; whether the trial had ended by then (trials,))."""
    frame = table.frame
    longest = float(frame["step"].max())
    length = planned_steps(ended)
    moment = fraction * np.where(np.isfinite(length), length, longest) + TOLERANCE
    measured = ~np.isnan(table.spectra[map]).all(1) & ~frame["final"].to_numpy(bool)
    of = {str(k): rows for k, rows in frame.groupby(frame["trial"].astype(str)).indices.items()}
    step, at = frame["step"].to_numpy(int), np.full(len(ended), -1)
    over = ended.frame["step"].to_numpy() <= moment
    for i, trial in enumerate(ended.frame["trial"].astype(str)):
        rows = of[trial]
        rows = rows[measured[rows] & (step[rows] <= moment[i])]
        if len(rows) and not over[i]:
            at[i] = rows[np.argmax(step[rows])]
    return at, over


def planned_steps(table: Table) -> np.ndarray:
    """The length of training of each row (rows,); NaN where the table does not say it as a number."""
    cells = table.frame[LENGTH] if LENGTH in table.frame else [None] * len(table)
    return np.array([float(cell) if isinstance(cell, Real) else np.nan for cell in cells])


def varied_settings(trials: Table) -> pd.DataFrame:
    """The settings that take several values, without seeds, which are drawn and not chosen."""
    return pd.DataFrame({name: trials.frame[name].to_numpy() for name in varied_names(trials)}, range(len(trials)))


def early_scores(first: Table, outcome: str, scores: Sequence[str] | None) -> pd.DataFrame:
    """The early scores that vary; a score given by name must exist."""
    names = list(dict.fromkeys(scores if scores is not None else [c for c in (outcome, LOSS) if c in first.frame]))
    values = {name: numbers(first, name) for name in names}
    return pd.DataFrame({n: v for n, v in values.items() if np.unique(v[~np.isnan(v)]).size > 1}, range(len(first)))
