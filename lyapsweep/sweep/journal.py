"""The sweep in Optuna's words: every member of every pack is one Optuna trial in a journal file.

A member that diverged, failed or has no finite objective is a FAIL, one that a scheduler stopped is PRUNED; neither
is ever left RUNNING. The records are the truth; a journal that lags behind them is no error.
"""

import json
import math
import warnings
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import optuna
from optuna.exceptions import ExperimentalWarning, UpdateFinishedTrialError
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.storages import JournalStorage
from optuna.storages.journal import BaseJournalBackend, JournalFileBackend
from optuna.trial import Trial, TrialState

from lyapsweep.record import Outcome
from lyapsweep.sweep.spaces import Point

optuna.logging.set_verbosity(optuna.logging.WARNING)


class Lines(BaseJournalBackend):
    """Optuna's journal file, appended to without a lock and without waiting for the disk.

    One driver holds the folder, and the records are the truth. Optuna's own way waits for the disk six times a trial:
    two minutes of a map of 4096 trials, in which no pack was handed out.
    """

    def __init__(self, file: Path):
        self.file, self.reader = file, JournalFileBackend(str(file))

    def read_logs(self, log_number_from: int) -> Iterable[dict[str, Any]]:
        return self.reader.read_logs(log_number_from)

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        with self.file.open("ab") as journal:
            journal.write("".join(json.dumps(log, separators=(",", ":")) + "\n" for log in logs).encode())


class Journal:
    """One Optuna study, named like the sweep and kept in `file`. A trial is known here by its config's key."""

    def __init__(self, file: Path, name: str, direction: str, intent: str, seed: int):
        self.direction = direction
        mend(file)
        self.study = optuna.create_study(
            storage=JournalStorage(Lines(file)),
            study_name=name,
            direction="minimize" if direction == "minimise" else "maximize",
            load_if_exists=True,
            sampler=RandomSampler(seed=seed),
        )
        if intent == "hunt":  # a resumed hunt must not draw the first run's start-up points again
            self.study.sampler = hunting(seed + len(self.study.trials))
        self.open: dict[str, list[Trial]] = {}
        self.told: dict[str, tuple[Outcome, float]] = {}

    def reconcile(self, ended: Mapping[str, tuple[Outcome, float]]) -> list[dict[str, Any]]:
        """Close what a dead driver left RUNNING or WAITING; the parameters of what must be trained again come back.

        A trial whose last record is on disk (`ended`: key -> outcome, value) is told so, every other one is a FAIL.
        """
        while self.study.get_trials(deepcopy=False, states=(TrialState.WAITING,)):
            self.study.tell(self.study.ask(), state=TrialState.FAIL)  # which takes the waiting one
        lost = []
        for left in self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            key = left.user_attrs.get("trial_key", "")
            self.study.tell(left.number, **verdict(*ended.get(key, (Outcome.FAILED, math.nan))))
            if key not in ended:
                lost.append(dict(left.params))
        self.told = dict(ended)
        return lost

    def enter(self, point: Point) -> None:
        """A point that is planned: an Optuna trial with just its parameters."""
        self.study.enqueue_trial(point.params, user_attrs={"trial_key": point.config.id})
        trial = self.study.ask(point.distributions)
        self.open.setdefault(point.config.id, []).append(trial)

    def ask(self, make: Callable[[Trial], Point]) -> Point:
        """A point that the sampler chooses. One that has ended before is told the same again at once."""
        trial = self.study.ask()
        try:
            drawn = make(trial)
        except BaseException:
            self.study.tell(trial, state=TrialState.FAIL)
            raise
        trial.set_user_attr("trial_key", drawn.config.id)
        key = drawn.config.id
        self.open.setdefault(key, []).append(trial)
        if key in self.told:
            self.tell(key, *self.told[key])
        return drawn

    def report(self, key: str, step: int, value: float) -> None:
        """What a trial has reached so far: a PRUNED trial counts with it."""
        if math.isfinite(value):
            for trial in self.open.get(key, []):
                trial.report(value, step)

    def tell(self, key: str, outcome: Outcome, value: float) -> None:
        """The end of every Optuna trial that stands for this config."""
        self.told[key] = (outcome, value)
        for trial in self.open.pop(key, []):
            try:
                trial.set_user_attr("outcome", outcome.value)
                self.study.tell(trial, **verdict(outcome, value))
            except UpdateFinishedTrialError:
                pass  # a restarted worker reports again what was told before it died

    def close(self) -> None:
        """Nothing is left RUNNING."""
        for key in list(self.open):
            self.tell(key, Outcome.FAILED, math.nan)


def mend(file: Path) -> None:
    """Take off what a driver that died in the middle of a line left: the line's beginning, and its lock.

    Only for a driver that holds the results folder. Without it the next line would be unreadable, and all after it.
    """
    file.with_name(f"{file.name}.lock").unlink(missing_ok=True)
    if not file.exists():
        return
    written = file.read_bytes()
    whole = written.rfind(b"\n") + 1
    if whole < len(written):
        with file.open("r+b") as journal:
            journal.truncate(whole)


def verdict(outcome: Outcome, value: float) -> dict[str, Any]:
    """What Optuna is told of a trial's end."""
    if outcome is Outcome.FINISHED and math.isfinite(value):
        return {"values": value}
    return {"state": TrialState.PRUNED if outcome is Outcome.STOPPED else TrialState.FAIL}


def hunting(seed: int) -> BaseSampler:
    """Tree-structured Parzen estimators that know of conditional spaces and of trials still running."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        return TPESampler(multivariate=True, group=True, constant_liar=True, seed=seed)
