"""How trials ended, in the words of Optuna, Weights & Biases and MLflow."""

import logging
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from lyapsweep.registry import unknown
from lyapsweep.results.description import BadTable
from lyapsweep.results.record import Outcome

log = logging.getLogger(__name__)

NAMES = ("state", "status")  # of columns that exports have, in any case
WORDS = {outcome.value: outcome for outcome in Outcome} | {
    "complete": Outcome.FINISHED,  # Optuna
    "pruned": Outcome.STOPPED,
    "fail": Outcome.FAILED,
    "waiting": Outcome.RUNNING,
    "crashed": Outcome.FAILED,  # Weights & Biases
    "killed": Outcome.FAILED,  # MLflow, too
    "preempted": Outcome.FAILED,
    "preempting": Outcome.RUNNING,
    "pending": Outcome.RUNNING,
    "scheduled": Outcome.RUNNING,  # MLflow
}


def state_column(frame: pd.DataFrame) -> str | None:
    """Find the column in which another tool says how its trials ended.

    Args:
        frame: The rows of an exported table.

    Returns:
        The column called state or status, if all its cells are words for it; None otherwise.

    Example:
        >>> state_column(pd.DataFrame({"value": [0.1, 0.2], "state": ["COMPLETE", "PRUNED"]}))
        'state'
    """
    called = (str(column) for column in frame.columns if str(column).lower() in NAMES)
    return next((name for name in called if len(frame) and set(words_of(frame[name])) <= set(WORDS)), None)


def words_of(cells: Iterable[object]) -> list[str]:
    return [str(cell).strip().lower() for cell in cells]


def final_outcomes(cells: Sequence[object], objective: np.ndarray, where: str) -> np.ndarray:
    """Translate how trials ended.

    Args:
        cells: The word of each trial.
        objective: The last objective of each trial.
        where: Table and column, for error messages.

    Returns:
        The outcome of each trial. One that finished without a finite objective diverged.

    Raises:
        UnknownName: If a word is none of `WORDS`.

    Example:
        >>> final_outcomes(["COMPLETE", "PRUNED", "FAIL"], np.array([0.1, 0.3, np.nan]), "a.csv").tolist()
        ['finished', 'stopped', 'failed']
    """
    words = words_of(cells)
    for word, cell in zip(words, cells):
        if word not in WORDS:
            raise unknown("outcome", str(cell), list(WORDS), where)
    found = np.array([WORDS[word].value for word in words], dtype=object)
    return np.where((found == Outcome.FINISHED.value) & ~np.isfinite(objective), Outcome.DIVERGED.value, found)


def without_running(rows: pd.DataFrame, ended: str, where: str) -> pd.DataFrame:
    """Leave out the trials that had not ended when the table was written, and say how many.

    Args:
        rows: Rows with a column `trial`, in the order of their steps.
        ended: The column that says how a trial ended, in its last row.
        where: What messages call the table.

    Returns:
        The rows of the other trials.

    Raises:
        BadTable: If none is left.

    Example:
        >>> without_running(pd.DataFrame({"trial": ["a", "b"], "state": ["COMPLETE", "RUNNING"]}), "state", "a.csv")
          trial     state
        0     a  COMPLETE
    """
    last = dict(zip(rows["trial"], words_of(rows[ended])))
    running = [trial for trial, word in last.items() if WORDS.get(word) is Outcome.RUNNING]
    if not running:
        return rows
    if len(running) == len(last):
        raise BadTable(f"{where}: no trial has ended, by column '{ended}'. Export the table after the first has.")
    log.warning("%s: %d of %d trials had not ended and are left out.", where, len(running), len(last))
    return rows.loc[~rows["trial"].isin(running)].reset_index(drop=True)
