"""When did each trial reach a threshold? Updates until a measure crosses it, censored if it does not."""

from typing import NamedTuple

import numpy as np

from lyapsweep.analysis.shared.early_records import planned_steps
from lyapsweep.analysis.shared.selection import ENDED, LOST, Direction, digits, direction, label, numbers, require
from lyapsweep.results.table import Table

OWN = "measures/time_to_threshold"  # has a threshold of its own and is exact to the update


class EventTimes(NamedTuple):
    """When each trial reached the threshold. Arrays (trials,), in the order of `trials`.

    `time` is the step of the event if `reached`; otherwise the last step without it: that of the last record if the
    trial finished, the planned end if it was `lost` (diverged or failed). `first` is the row of each trial's first
    record in the table. `without` more trials ended without any value. `event` describes the event in words.
    """

    trials: np.ndarray
    time: np.ndarray
    reached: np.ndarray
    lost: np.ndarray
    first: np.ndarray
    without: int
    event: str

    def take(self, rows: np.ndarray) -> "EventTimes":
        """Return the trials of a boolean mask."""
        names = ("trials", "time", "reached", "lost", "first")
        return self._replace(**{name: getattr(self, name)[rows] for name in names})


def event_times(table: Table, column: str, threshold: float | None = None) -> EventTimes:
    """Compute the updates until `column` is at `threshold` or better, of the trials that finished or were lost.

    Measures are known at records only: an event between two records counts at the later one. A lost trial that has not
    reached the threshold never will. This is a competing outcome: the trial stays at risk, without an event, until its
    planned end (`training/steps`, or the longest run of the table). Censoring it earlier would assume that it would
    have fared like the others. Since all others are censored at the end of training alone, 1 - S is then the cumulative
    incidence (Aalen and Johansen 1978), and a Cox model one of the subdistribution (Fine and Gray 1999).

    Args:
        table: The trials of a sweep, with a record at every report.
        column: A measure, such as `measures/loss`, or `measures/time_to_threshold`.
        threshold: None for the median of the final values; must be None for `measures/time_to_threshold`.

    Returns:
        An `EventTimes`.

    Raises:
        TooFew: If no trial has a value.
        UnknownName: If the column does not exist.
        ValueError: If a threshold is given for `measures/time_to_threshold`.

    Example:
        >>> import pandas as pd
        >>> frame = pd.DataFrame({"trial": ["a", "a", "b", "b"], "step": [5, 9] * 2, "final": [False, True] * 2})
        >>> frame["outcome"] = ["running", "finished"] * 2
        >>> times = event_times(Table(frame.assign(**{"measures/loss": [0.4, 0.3, 0.8, 0.7]})), "measures/loss", 0.5)
        >>> times.time, times.reached
        (array([5., 9.]), array([ True, False]))
    """
    table.column(column)
    if column == OWN and threshold is not None:
        raise ValueError(f"{OWN}: has its own threshold `fraction`, but threshold={threshold}. Leave threshold out.")
    frame = table.frame
    names, outcome, step = (frame[c].to_numpy() for c in ("trial", "outcome", "step"))
    last = np.flatnonzero(frame["final"].to_numpy(bool) & np.isin(outcome.astype(str), ENDED))
    values = numbers(table, column)
    lost = np.isin(outcome[last].astype(str), LOST)
    of = frame.groupby("trial", sort=False).indices
    rows = [of[name][np.argsort(step[of[name]], kind="stable")] for name in names[last]]
    kept = np.array([bool(np.isfinite(values[r]).any()) for r in rows], bool) | lost
    require(int(kept.sum()), 1, f"trials with a value of {column}")
    planned = planned_ends(table, last)
    if column == OWN:
        time, event = np.where(np.isfinite(values[last]) & (values[last] <= planned), values[last], planned), label(OWN)
        reached = numbers(table, f"{OWN}/censored")[last] == 0
    else:
        better = direction(table, column)
        threshold = median(values[last]) if threshold is None else threshold
        time, reached = first_crossings(values, rows, step, threshold, better)
        event = f"{label(column)} {'≤' if better == 'minimise' else '≥'} {digits(threshold)}"
    time = np.where(reached, time, np.where(lost, planned, time))
    first = np.array([r[0] for r in rows])
    return EventTimes(names[last][kept], time[kept], reached[kept], lost[kept], first[kept], int((~kept).sum()), event)


def planned_ends(table: Table, last: np.ndarray) -> np.ndarray:
    """The planned last step of each trial."""
    longest = table.frame["step"].to_numpy(float)[last].max(initial=0.0)
    planned = planned_steps(table)[last]
    return np.where(np.isfinite(planned), planned, longest)


def median(values: np.ndarray) -> float:
    """The median of the finite values. Raises `TooFew` if there are none."""
    finite = values[np.isfinite(values)]
    require(finite.size, 1, "final values to take a threshold from")
    return float(np.median(finite))


def first_crossings(
    values: np.ndarray, rows: list[np.ndarray], step: np.ndarray, threshold: float, better: Direction
) -> tuple[np.ndarray, np.ndarray]:
    """(step of the first record at the threshold or better, of the last record if there is none; whether there is)."""
    crossed = values <= threshold if better == "minimise" else values >= threshold
    reached = np.array([bool(crossed[r].any()) for r in rows], bool)
    at = [r[np.argmax(crossed[r])] if hit else r[-1] for r, hit in zip(rows, reached, strict=True)]
    return step[at].astype(float), reached
