"""When did each trial get there? Updates until a measure crosses a threshold, censored where it did not."""

from typing import NamedTuple

import numpy as np

from lyapsweep.analysis.shared.selection import LOST, Direction, digits, direction, label, numbers, require
from lyapsweep.results.table import Table

OWN = "measures/time_to_threshold"  # that knows its own threshold, and to the update


class Crossing(NamedTuple):
    """When each trial crossed. Arrays (trials,), in the order of `trials`.

    `time` is the step of the crossing where `reached`, else the step up to which there was none: the last record's
    where a trial finished, the end that was planned where it was `lost` (diverged or failed). `first` is the row of
    each trial's first record in the table. `without` more trials ended without a single value. `aim` says in words what
    was to be crossed.
    """

    trials: np.ndarray
    time: np.ndarray
    reached: np.ndarray
    lost: np.ndarray
    first: np.ndarray
    without: int
    aim: str

    def take(self, kept: np.ndarray) -> "Crossing":
        """The trials of a mask."""
        names = ("trials", "time", "reached", "lost", "first")
        return self._replace(**{name: getattr(self, name)[kept] for name in names})


def crossings(table: Table, column: str, threshold: float | None = None) -> Crossing:
    """Updates until `column` is at `threshold` or better, of the trials that came to an end of their own.

    Measures are known at records only: a crossing between two counts at the second. Without a threshold it is the
    median of the last finite values. `measures/time_to_threshold` brings its own crossing and takes none.

    A lost trial that had not crossed never will: it is a competing outcome, and stays among those that might have,
    without crossing, until its planned end (`training/steps`, or the longest run of the table). Censoring it where it
    was lost would say that it fares as the others do from there on, and flatter what makes networks diverge. Since all
    others are censored at the end of training alone, 1 - S is then the cumulative incidence (Aalen and Johansen 1978),
    and a Cox model one of the subdistribution (Fine and Gray 1999, where all censoring is known).

    Raises `UnknownName`, `TooFew` without a single trial that has a value, `ValueError` where a threshold is given to
    `measures/time_to_threshold`.
    """
    table.column(column)
    if column == OWN and threshold is not None:
        raise ValueError(f"{OWN} crosses the threshold of its own setting `fraction`: leave threshold={threshold} out.")
    frame = table.frame
    names, outcome, step = (frame[c].to_numpy() for c in ("trial", "outcome", "step"))
    last = np.flatnonzero(frame["final"].to_numpy(bool) & np.isin(outcome.astype(str), ["finished", *LOST]))
    values = numbers(table, column)
    lost = np.isin(outcome[last].astype(str), LOST)
    of = frame.groupby("trial", sort=False).indices
    rows = [of[name][np.argsort(step[of[name]], kind="stable")] for name in names[last]]
    kept = np.array([bool(np.isfinite(values[r]).any()) for r in rows], bool) | lost
    require(int(kept.sum()), 1, f"trials with a value of {column}")
    planned = ends(table, last)
    if column == OWN:
        time, reached, aim = own(table, last, planned), ~censored(table, last), label(column)
    else:
        better = direction(table, column)
        threshold = median(values[last]) if threshold is None else threshold
        time, reached = first_below(values, rows, step, threshold, better)
        aim = f"{label(column)} {'≤' if better == 'minimise' else '≥'} {digits(threshold)}"
    time = np.where(reached, time, np.where(lost, planned, time))
    first = np.array([r[0] for r in rows])
    return Crossing(names[last][kept], time[kept], reached[kept], lost[kept], first[kept], int((~kept).sum()), aim)


def ends(table: Table, last: np.ndarray) -> np.ndarray:
    """The step at which each trial was to end."""
    steps = table.frame["step"].to_numpy(float)[last]
    if "training/steps" not in table.frame:
        return np.full(len(last), steps.max(initial=0.0))
    planned = numbers(table, "training/steps")[last]
    return np.where(np.isfinite(planned), planned, steps.max(initial=0.0))


def median(values: np.ndarray) -> float:
    finite = values[np.isfinite(values)]
    require(finite.size, 1, "final values to take a threshold from")
    return float(np.median(finite))


def first_below(
    values: np.ndarray, rows: list[np.ndarray], step: np.ndarray, threshold: float, better: Direction
) -> tuple[np.ndarray, np.ndarray]:
    """(step of the first record at the threshold or better, else of the last record; whether there is one)."""
    there = values <= threshold if better == "minimise" else values >= threshold
    reached = np.array([bool(there[r].any()) for r in rows], bool)
    at = [r[np.argmax(there[r])] if hit else r[-1] for r, hit in zip(rows, reached, strict=True)]
    return step[at].astype(float), reached


def own(table: Table, last: np.ndarray, planned: np.ndarray) -> np.ndarray:
    """The measure's times; a worst value, of a network lost before, is no time."""
    values = numbers(table, OWN)[last]
    return np.where(np.isfinite(values) & (values <= planned), values, planned)


def censored(table: Table, last: np.ndarray) -> np.ndarray:
    """What the measure says of itself; where it says nothing, no crossing is known."""
    return numbers(table, f"{OWN}/censored")[last] != 0
