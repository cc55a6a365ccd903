"""The sweep in Optuna's words: every member of every pack is one Optuna trial, in a journal file or a database.

A member that diverged, failed or has no finite objective is a FAIL, one that a scheduler stopped is PRUNED; neither
is ever left RUNNING. The records are the truth; a journal that lags behind them is no error. What a trial costs here
does not depend on how many there are: no call but a sampler's looks at all of them.
"""

import json
import math
import os
import time
import warnings
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import optuna
from optuna.exceptions import ExperimentalWarning, UpdateFinishedTrialError
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.storages import BaseStorage, JournalStorage, RDBStorage, get_storage
from optuna.storages.journal import BaseJournalBackend, JournalFileBackend
from optuna.trial import Trial, TrialState, create_trial
from sqlalchemy import Dialect, event
from sqlalchemy.exc import SQLAlchemyError

from lyapsweep.results.record import Outcome
from lyapsweep.sweep.plan.definition import SweepError
from lyapsweep.sweep.spaces import Point
from lyapsweep.tracking import redact

optuna.logging.set_verbosity(optuna.logging.WARNING)
BLOCK = 2**16  # bytes that are read at a time, from a journal's end
PAUSES = (0.5, 1, 2, 4, 8, 16, 30)  # seconds between tries to reach a database that was there before


class UnlockedJournalFile(BaseJournalBackend):
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


class OptunaStudy:
    """One Optuna study, named like the sweep, in `place`: a file, or the URL of a database that sweeps may share.

    A trial is known here by its config's key. `owner` is the results folder's own mark: of two folders that give one
    name to their studies in a database, the second is refused. Raises `SweepError`, also where there is no database.
    """

    def __init__(self, place: Path | str, name: str, direction: str, intent: str, seed: int, owner: str = ""):
        self.direction = direction
        self.storage = opened(place)
        self.study = optuna.create_study(
            storage=self.storage,
            study_name=name,
            direction="minimize" if direction == "minimise" else "maximize",
            load_if_exists=True,
            sampler=RandomSampler(seed=seed),
        )
        self.study_id = self.storage.get_study_id_from_name(name)
        if isinstance(place, str):
            self.claim(owner, place)
        if intent == "hunt":  # a resumed hunt must not draw the first run's start-up points again
            self.study.sampler = hunting(seed + len(self.study.get_trials(deepcopy=False)))
        self.open: dict[str, list[int]] = {}  # Optuna's numbers of the trials that are not told yet
        self.told: dict[str, tuple[Outcome, float]] = {}

    def claim(self, owner: str, place: str) -> None:
        """Refuse a study that another results folder keeps here: each would close what the other one trains."""
        fresh = not self.study.get_trials(deepcopy=False)
        if self.study.user_attrs.get("results", owner if fresh else None) != owner:
            raise SweepError(
                f"{redact(place)} holds a study '{self.study.study_name}' of another results folder. "
                "Give this sweep another --name, or another --storage."
            )
        self.study.set_user_attr("results", owner)

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
        """A point that is planned: an Optuna trial with its parameters, in one line of the journal.

        Not by Study.enqueue_trial and Study.ask, which look through all trials for those that wait.
        """
        template = create_trial(
            state=TrialState.RUNNING,
            params=point.params,
            distributions=point.distributions,
            user_attrs={"trial_key": point.config.id},
        )
        trial_id = self.storage.create_new_trial(self.study_id, template)
        self.open.setdefault(point.config.id, []).append(self.storage.get_trial_number_from_id(trial_id))

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
        self.open.setdefault(key, []).append(trial.number)
        if key in self.told:
            self.tell(key, *self.told[key])
        return drawn

    def id_of(self, number: int) -> int:
        return self.storage.get_trial_id_from_study_id_trial_number(self.study_id, number)

    def report(self, key: str, step: int, value: float) -> None:
        """What a trial has reached so far: a PRUNED trial counts with it."""
        if math.isfinite(value):
            for number in self.open.get(key, []):
                self.storage.set_trial_intermediate_value(self.id_of(number), step, value)

    def tell(self, key: str, outcome: Outcome, value: float) -> None:
        """The end of every Optuna trial that stands for this config."""
        self.told[key] = (outcome, value)
        for number in self.open.pop(key, []):
            try:
                self.storage.set_trial_user_attr(self.id_of(number), "outcome", outcome.value)
                self.study.tell(number, **verdict(outcome, value))
            except UpdateFinishedTrialError:
                pass  # a restarted worker reports again what was told before it died

    def close(self) -> None:
        """Nothing is left RUNNING, not even a trial of which a database did not say that it had made it."""
        for key in list(self.open):
            self.tell(key, Outcome.FAILED, math.nan)
        for left in self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            self.study.tell(left.number, state=TrialState.FAIL)


def opened(place: Path | str) -> BaseStorage:
    """Optuna's storage in a file of the one driver that holds the folder, or in a database."""
    if isinstance(place, Path):
        mend(place)
        return JournalStorage(UnlockedJournalFile(place))
    try:
        database = RDBStorage(place, engine_kwargs={"pool_pre_ping": True})  # closed connections are made anew
    except (ImportError, SQLAlchemyError) as error:
        raise SweepError(
            f"--storage {redact(place)} cannot be used ({redact(str(error))}). It is a URL such as "
            "postgresql+psycopg2://user@host/database; leave it out to keep the study in the results folder."
        ) from None
    event.listen(database.engine, "do_connect", patiently)
    return get_storage(database)


def patiently(dialect: Dialect, record: object, words: tuple, settings: dict[str, Any]) -> Any:
    """A connection to a database that may just be restarting; the error of the last try where it is not back."""
    for pause in PAUSES:
        try:
            return dialect.connect(*words, **settings)
        except dialect.loaded_dbapi.OperationalError:
            time.sleep(pause)
    return dialect.connect(*words, **settings)


def mend(file: Path) -> None:
    """Take off what a driver that died in the middle of a line left: the line's beginning, and its lock.

    Only for a driver that holds the results folder. Without it the next line would be unreadable, and all after it.
    """
    file.with_name(f"{file.name}.lock").unlink(missing_ok=True)
    if not file.exists():
        return
    with file.open("r+b") as journal:
        end = journal.seek(0, os.SEEK_END)
        while end:
            start = max(0, end - BLOCK)
            journal.seek(start)
            whole = journal.read(end - start).rfind(b"\n") + 1
            end = start + whole
            if whole:
                break
        journal.truncate(end)


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
