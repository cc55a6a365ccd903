"""What was known of each trial early, beside what became of it: the rows that predictions are made of.

"Early" is the latest record at or below a fraction of training that holds a spectrum. Nothing later enters a predictor,
and a trial that had ended by then is left out: there was nothing left to foresee.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from lyapsweep.analysis.shared.selection import Direction, direction, judged, numbers, require
from lyapsweep.analysis.shared.spectrum_features import summaries
from lyapsweep.registry import unknown
from lyapsweep.results.headline import headline_map
from lyapsweep.results.table import Table, moves

SLACK = 1e-9  # of a step: 4/14 of 14 steps is step 4
LOSS, LENGTH = "measures/loss", "training/steps"


class Early(NamedTuple):
    """One row a trial, early and final side by side, in the order of the table.

    `values` (rows,) is the final outcome, the worst there is where the trial was lost (finding.judged); `settings`,
    `scores` and `statistics` are frames of that many rows: what was chosen, the early scores, and
    `features.summaries` of the early `spectra` (rows, k). `steps` (rows,) are the early steps. `without` trials have
    no early record with a spectrum, `over` had ended by then, and `undefined` have no outcome; all are left out.
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
    steps: np.ndarray
    without: int
    over: int
    undefined: int

    @property
    def ranked(self) -> np.ndarray:
        """The outcome (rows,) so that less is better: what is ranked."""
        return -self.values if self.direction == "maximise" else self.values


def early(
    table: Table, outcome: str, fraction: float = 0.1, map: str | None = None, scores: Sequence[str] | None = None
) -> Early:
    """The trials that ended, each with its latest record at or below `fraction` of training that holds a spectrum.

    Training is as long as `training/steps` says, else as the longest trial was. `map` is the closed loop, or else the
    first map with spectra. Early scores are those of `scores`, which are the outcome itself and the loss unless said
    otherwise, as far as early records hold them.

    Raises `UnknownName` for a map or column that is not there, `TooFew` where no trial has an early record,
    `ValueError` where `fraction` is not in [0, 1).
    """
    if not 0 <= fraction < 1:
        raise ValueError(f"fraction: must be at least 0 and below 1, but is {fraction}.")
    map = map_of(table, map)
    ended = judged(table, outcome)
    at = places(table, ended.table, fraction, map)
    known = ~np.isnan(ended.values)
    kept = known & (at >= 0)
    require(int(kept.sum()), 1, f"trials with a spectrum ({map}) at or before {100 * fraction:g} % of training")
    first, last = table.take(at[kept]), ended.table.take(kept)
    spectra = first.spectra[map]
    return Early(
        outcome=outcome,
        direction=direction(table, outcome),
        map=map,
        fraction=fraction,
        trials=last,
        values=ended.values[kept],
        lost=ended.lost[kept],
        settings=chosen(last),
        scores=scores_of(first, outcome, scores),
        statistics=pd.DataFrame(summaries(spectra)),
        spectra=spectra,
        steps=first.frame["step"].to_numpy(int),
        without=int((at[known] == -1).sum()),
        over=int((at[known] == -2).sum()),
        undefined=int((~known).sum()),
    )


def map_of(table: Table, map: str | None) -> str:
    """The map asked for, or the one that says what the network is."""
    if map is None:
        map = headline_map(table.spectra) or ""
    if map not in table.spectra:
        raise unknown("map with a spectrum", map, list(table.spectra), "table")
    return map


def places(table: Table, ended: Table, fraction: float, map: str) -> np.ndarray:
    """The row (trials,) of each trial's early record; -1 where there is none, -2 where the trial had ended by then."""
    frame = table.frame
    longest = float(frame["step"].max())
    length = numbers(ended, LENGTH) if LENGTH in ended.frame else np.full(len(ended), longest)
    moment = fraction * np.where(np.isfinite(length), length, longest) + SLACK
    measured = ~np.isnan(table.spectra[map]).all(1) & ~frame["final"].to_numpy(bool)
    of = {str(k): rows for k, rows in frame.groupby(frame["trial"].astype(str)).indices.items()}
    step, at = frame["step"].to_numpy(int), np.full(len(ended), -1)
    for i, (trial, last) in enumerate(zip(ended.frame["trial"].astype(str), ended.frame["step"], strict=True)):
        rows = of[trial]
        rows = rows[measured[rows] & (step[rows] <= moment[i])]
        if last <= moment[i]:
            at[i] = -2
        elif len(rows):
            at[i] = rows[np.argmax(step[rows])]
    return at


def chosen(trials: Table) -> pd.DataFrame:
    """The settings that were varied and do vary, seeds aside: a seed is drawn, not chosen."""
    names = [c for c in trials.varied if c.rpartition("/")[2] != "seed" and moves(trials.frame[c])]
    return pd.DataFrame({name: trials.frame[name].to_numpy() for name in names}, range(len(trials)))


def scores_of(first: Table, outcome: str, scores: Sequence[str] | None) -> pd.DataFrame:
    """The early scores that vary; those that were asked for by name must be there."""
    names = list(dict.fromkeys(scores if scores is not None else [c for c in (outcome, LOSS) if c in first.frame]))
    values = {name: numbers(first, name) for name in names}
    return pd.DataFrame({n: v for n, v in values.items() if np.unique(v[~np.isnan(v)]).size > 1}, range(len(first)))


class Seen(NamedTuple):
    """What a finding says of its rows: `steps` are the first and the last early step, `omitted` who was left out."""

    outcome: str
    map: str
    fraction: float
    steps: tuple[int, int]
    n: int
    lost: int
    omitted: str

    @property
    def moment(self) -> str:
        return f"{100 * self.fraction:g} % of training"


def seen(rows: Early) -> Seen:
    steps = (int(rows.steps.min()), int(rows.steps.max()))
    left = {
        "without an early spectrum": rows.without,
        "that had ended by then": rows.over,
        "without an outcome": rows.undefined,
    }
    omitted = ", ".join(f"{n} {who}" for who, n in left.items() if n)
    return Seen(rows.outcome, rows.map, rows.fraction, steps, len(rows.values), int(rows.lost.sum()), omitted)
