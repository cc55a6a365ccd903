"""The sweep as an Optuna study: one Optuna trial per trial, in a journal file or a database.

A trial that diverged, failed or has no finite objective is a FAIL, one that was stopped is PRUNED. One that was
interrupted is WAITING until the sweep is resumed, so that it is in the study once; none is left RUNNING. The records
are authoritative: a study that lags behind them is updated. The cost of a trial does not grow with their number: only
samplers look at all trials.
"""

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.samplers import RandomSampler
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, Trial, TrialState, create_trial

from lyapsweep.redaction import redact
from lyapsweep.results.record import Outcome
from lyapsweep.sweep.execute.optuna_storage import open_storage, read_journal
from lyapsweep.sweep.execute.samplers import make_sampler
from lyapsweep.sweep.plan.definition import Sweep, SweepError
from lyapsweep.sweep.plan.points import Point

optuna.logging.set_verbosity(optuna.logging.WARNING)


class OptunaStudy:
    """One Optuna study, named like the sweep; trials are addressed by their key.

    `results` holds outcome and objective of every trial that has ended, `running` the numbers of the Optuna trials that
    train now.

    Args:
        place: A journal file, or the URL of a database that sweeps may share.
        name: The study's name.
        sweep: Its objectives, and the sampler of a hunt.
        seed: Seed of the sampler.
        owner: The results folder's own id: in a database, a study of another folder is refused.

    Raises:
        SweepError: If there is no such database, or the study belongs to another folder.
    """

    def __init__(self, place: Path | str, name: str, sweep: Sweep, seed: int, owner: str = ""):
        self.storage, self.sweep = open_storage(place), sweep
        self.study = optuna.create_study(
            storage=self.storage,
            study_name=name,
            directions=["minimize" if way == "minimise" else "maximize" for way in sweep.directions],
            load_if_exists=True,
            sampler=RandomSampler(seed=seed),
        )
        self.study_id = self.storage.get_study_id_from_name(name)
        if isinstance(place, str):
            self.check_owner(owner, place)
        if sweep.intent == "hunt":  # a resumed hunt must not draw its start-up points again
            self.study.sampler = make_sampler(sweep, seed + len(self.study.get_trials(deepcopy=False)))
        self.running: dict[str, list[int]] = {}
        self.waiting: dict[str, int] = {}  # numbers of trials that were interrupted, by their key
        self.asked: dict[int, Trial] = {}  # trials of the sampler that have not ended, by their number
        self.results: dict[str, tuple[Outcome, float]] = {}
        self.scores: dict[str, Mapping[str, float]] = {}  # of trials that an earlier driver ended

    def check_owner(self, owner: str, place: str) -> None:
        """Refuse a study of another results folder: each would end the trials that the other one trains."""
        new = not self.study.get_trials(deepcopy=False)
        if self.study.user_attrs.get("results", owner if new else None) != owner:
            raise SweepError(
                f"{redact(place)}: the study '{self.study.study_name}' belongs to another results folder. "
                "Give this sweep another --name, or another --storage."
            )
        self.study.set_user_attr("results", owner)

    def reconcile(
        self, ended: Mapping[str, tuple[Outcome, float]], scores: Mapping[str, Mapping[str, float]] | None = None
    ) -> list[dict[str, Any]]:
        """Settle what an earlier driver left RUNNING or WAITING: told if it has ended, else WAITING.

        Args:
            ended: Outcome and objective of trials whose last record is on disk.
            scores: Their further scores.

        Returns:
            The parameters of trials that failed, each once, to be added again.
        """
        failed: dict[str, dict[str, Any]] = {}
        for trial in self.study.get_trials(deepcopy=False):
            key = trial.user_attrs.get("trial_key", "")
            if not trial.state.is_finished():
                self.settle(trial, key, ended, scores or {})
            elif trial.state is not TrialState.COMPLETE and key and key not in ended:
                failed[key] = dict(trial.params)
        self.results, self.scores = dict(ended), dict(scores or {})
        return [params for key, params in failed.items() if key not in self.waiting]

    def settle(
        self,
        trial: FrozenTrial,
        key: str,
        ended: Mapping[str, tuple[Outcome, float]],
        scores: Mapping[str, Mapping[str, float]],
    ) -> None:
        """Tell a trial that has ended; one without a key was about to be asked for, and fails."""
        if key in ended or not key:
            if trial.state is TrialState.WAITING:
                self.storage.set_trial_state_values(trial._trial_id, TrialState.RUNNING)
            self.tell(trial.number, *ended.get(key, (Outcome.FAILED, math.nan)), scores.get(key, {}))
            return
        self.waiting[key] = trial.number
        if trial.state is TrialState.RUNNING:
            self.storage.set_trial_state_values(trial._trial_id, TrialState.WAITING)

    def add(self, point: Point) -> None:
        """Add a planned point as a RUNNING trial with its parameters, or continue the one that waits for it.

        Not by `Study.enqueue_trial` and `Study.ask`, which search all trials for waiting ones.
        """
        if point.key in self.waiting:
            number = self.waiting.pop(point.key)
            self.storage.set_trial_state_values(self.trial_id(number), TrialState.RUNNING)
            self.running.setdefault(point.key, []).append(number)
            return
        template = create_trial(
            state=TrialState.RUNNING,
            params=dict(point.params),
            distributions=dict(point.distributions),
            user_attrs={"trial_key": point.key},
        )
        trial_id = self.storage.create_new_trial(self.study_id, template)
        self.running.setdefault(point.key, []).append(self.storage.get_trial_number_from_id(trial_id))

    def ask(self, make: Callable[[Trial], Point]) -> Point:
        """A point that the sampler chooses; one that has ended before is given its result at once."""
        trial = self.study.ask()
        try:
            point = make(trial)
        except BaseException:
            self.study.tell(trial, state=TrialState.FAIL)
            raise
        self.waiting.pop(point.key, None)
        trial.set_user_attr("trial_key", point.key)
        self.asked[trial.number] = trial
        self.running.setdefault(point.key, []).append(trial.number)
        if point.key in self.results:
            self.finish(point.key, *self.results[point.key], self.scores.get(point.key))
        return point

    @property
    def drawn(self) -> tuple[str, ...]:
        """The keys of all trials in the order in which they were added."""
        keys = (trial.user_attrs.get("trial_key", "") for trial in self.study.get_trials(deepcopy=False))
        return tuple(dict.fromkeys(filter(None, keys)))

    def trial_id(self, number: int) -> int:
        return self.storage.get_trial_id_from_study_id_trial_number(self.study_id, number)

    def report(self, key: str, step: int, value: float) -> None:
        """Add an intermediate value: a PRUNED trial counts with its last one."""
        if math.isfinite(value):
            for number in self.running.get(key, []):
                self.storage.set_trial_intermediate_value(self.trial_id(number), step, value)

    def finish(self, key: str, outcome: Outcome, value: float, scores: Mapping[str, float] | None = None) -> None:
        """End every Optuna trial with this key; `scores` are those that further objectives and constraints need."""
        self.results[key] = (outcome, value)
        for number in self.running.pop(key, []):
            try:
                self.storage.set_trial_user_attr(self.trial_id(number), "outcome", outcome.value)
                self.tell(number, outcome, value, scores or {})
            except UpdateFinishedTrialError:
                pass  # a restarted worker reports again what was reported before

    def tell(self, number: int, outcome: Outcome, value: float, scores: Mapping[str, float]) -> None:
        """End an Optuna trial with its objectives and how far it keeps the constraints."""
        trial = self.asked.pop(number, None)
        if self.sweep.bounds:
            trial = trial or Trial(self.study, self.trial_id(number))
            for constraint in self.sweep.bounds:
                trial.set_constraint(constraint.text, constraint.violation(scores))
        further = [scores.get(name, math.nan) for name in self.sweep.further]
        self.study.tell(number, **optuna_result(outcome, value, *further))

    def postpone(self, key: str) -> None:
        """Let every Optuna trial with this key wait for a resumed sweep."""
        for number in self.running.pop(key, []):
            self.storage.set_trial_state_values(self.trial_id(number), TrialState.WAITING)

    def close(self) -> None:
        """Leave nothing RUNNING, including trials whose creation a database did not confirm."""
        for key in list(self.running):
            self.postpone(key)
        for trial in self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            self.settle(trial, trial.user_attrs.get("trial_key", ""), {}, {})


def recorded_params(place: Path | str, name: str) -> dict[str, dict[str, Any]]:
    """Parameters of the trials of a study, by their keys in the order of the study; empty if there is none."""
    if isinstance(place, Path) and not place.exists():
        return {}
    journal = isinstance(place, Path)  # opened for reading alone: its driver may be running
    storage = read_journal(place, JournalFileBackend(str(place))) if journal else open_storage(place)
    try:
        study = optuna.load_study(study_name=name, storage=storage)
    except KeyError:
        return {}
    trials = study.get_trials(deepcopy=False)
    return {t.user_attrs["trial_key"]: dict(t.params) for t in trials if "trial_key" in t.user_attrs}


def optuna_result(outcome: Outcome, *values: float) -> dict[str, Any]:
    """A trial's end as arguments of `Study.tell`."""
    if outcome in (Outcome.FINISHED, Outcome.UNBOUNDED) and all(map(math.isfinite, values)):
        return {"values": values}
    return {"state": TrialState.PRUNED if outcome is Outcome.STOPPED else TrialState.FAIL}
