"""Ray Tune's callbacks: updates progress, Optuna and MLflow member by member as packs start, report and end."""

import logging
import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import ray
from ray import tune

from lyapsweep.results.constraints import score_of
from lyapsweep.results.provenance import Provenance
from lyapsweep.results.record import Outcome, Record, reopened
from lyapsweep.sweep.execute.failures import BudgetUsed, Interrupted, PackFailure, explanation, writing
from lyapsweep.sweep.execute.optuna_study import OptunaStudy
from lyapsweep.sweep.execute.pack import PackReport
from lyapsweep.sweep.execute.results_folder import ResultsFolder
from lyapsweep.sweep.execute.searcher import PackSearcher
from lyapsweep.sweep.execute.trainable import ended
from lyapsweep.sweep.observe.callbacks import RecordLogger
from lyapsweep.sweep.observe.progress import ProgressCounter
from lyapsweep.sweep.plan.points import Point
from lyapsweep.sweep.plan.resume import complete

log = logging.getLogger("lyapsweep")


class TuneCallback(tune.Callback):
    """Follows the packs of a searcher.

    Args:
        searcher: Where the packs come from.
        counter: Counts outcomes and estimates the remaining time.
        study: The Optuna study.
        logger: Logs records to MLflow in the background.
        folder: The results folder.
        stop: Set where the sweep must end.
        objective: The measure by which trials are compared.
        report_values: Whether the study gets intermediate values.
        time_limit: Seconds that a pack may train; None for no limit.
        on_event: Called after every event.
        on_step: Called at every iteration of Ray's loop.
        ended_before: Last records of trials that an earlier driver ended and that are trained on.

    Attributes:
        running: Points that train now, by key.
        failures: Number of lost packs, by cause.
        resumed: Number of packs that resumed from a checkpoint.
        restarted: Number of packs whose checkpoint could not be used.
    """

    def __init__(
        self,
        searcher: PackSearcher,
        counter: ProgressCounter,
        study: OptunaStudy,
        logger: RecordLogger,
        folder: ResultsFolder,
        stop: threading.Event,
        objective: str,
        report_values: bool = False,
        time_limit: float | None = None,
        on_event: Callable[[], None] = lambda: None,
        on_step: Callable[[], None] = lambda: None,
        ended_before: Mapping[str, Record] | None = None,
    ):
        self.searcher, self.counter, self.study, self.logger, self.folder = searcher, counter, study, logger, folder
        self.stop, self.objective, self.report_values, self.time_limit = stop, objective, report_values, time_limit
        self.on_event, self.on_step = on_event, on_step
        self.running: dict[str, Point] = {}
        self.files: dict[str, Path] = {}  # the latest record of each running trial
        self.started: dict[int, tuple[float, Any]] = {}  # when each pack started, and Ray's trial of it
        self.timed_out: set[int] = set()
        self.failures: Counter[PackFailure] = Counter()
        self.resumed = self.restarted = 0
        self.ended_before = dict(ended_before or {})

    def __getstate__(self) -> dict[str, Any]:
        return {}  # Ray pickles its callbacks for the snapshots that nobody restores

    def on_step_begin(self, iteration: int, trials: list, **info: Any) -> None:
        if self.stop.is_set():
            raise Interrupted
        if self.searcher.meter.exceeded:
            raise BudgetUsed
        self.on_step()
        for number, (started, trial) in list(self.started.items()):
            late = self.time_limit is not None and time.monotonic() - started > self.time_limit
            if late and number not in self.timed_out:
                self.timed_out.add(number)
                if worker := trial.temporary_state.ray_actor:
                    ray.kill(worker)  # a worker that hangs does not stop otherwise

    def on_trial_start(self, iteration: int, trials: list, trial: Any, **info: Any) -> None:
        number = number_of(trial)
        self.started[number] = time.monotonic(), trial
        self.searcher.meter.start(number, self.remaining(trial), self.searcher.starts[number])
        for point in self.remaining(trial):
            self.running[point.key] = point
            self.counter.update(point, Outcome.RUNNING, math.nan, self.counter.fractions.get(point.key, 0.0))
            self.logger.start_run(point.config, point.key)
            self.reopen(point.key)
        self.on_event()

    def reopen(self, key: str) -> None:
        """Reset the record with which an earlier driver ended the trial to RUNNING."""
        record = self.ended_before.pop(key, None)
        if record is not None and record.spectra:
            with writing(self.folder.path):
                # `ended_before` has no arrays, which the new file must keep.
                whole = reopened(Record.load(self.folder.records / record.filename))
                self.logger.log_record(whole.save(self.folder.records), whole)

    def on_trial_result(self, iteration: int, trials: list, trial: Any, result: dict, **info: Any) -> None:
        report, number = PackReport.from_dict(result), number_of(trial)
        if report.error:
            raise Interrupted(report.error)
        if report.fitting:
            self.searcher.limit_size(number, report.fitting)
        self.searcher.advance(number, report.step)
        self.counter.note_loss(number, None if report.done else report.loss)
        self.note_checkpoint(trial, report)
        self.searcher.meter.advance(number, {member.key: member.step for member in report.members})
        for member in report.members:
            point = self.running.get(member.key)
            if point is None:  # a restarted worker reports an end that is known already
                continue
            self.files[member.key] = self.folder.records / member.file
            self.logger.log_record(self.files[member.key])
            self.update(point, member.outcome, member.step, member.value, member.scores)
        self.halve(number, report)
        self.on_event()

    def halve(self, number: int, report: PackReport) -> None:
        """Where a pack ends at a rung: stop the worst members, and let the others train on in another pack."""
        halving, step = self.searcher.halving, self.searcher.stops[number]
        if halving is None:
            return
        for member in report.members:
            halving.observe(member.key, member.step, member.value)
        values = {m.key: m.value for m in report.members if m.step == step and m.key in self.running}
        if step is None or not values:
            return
        points = [self.running[key] for key in values]
        going_on = halving.going_on(points[0].config.training, step, values)
        self.searcher.promote(number, [p for p in points if p.key in going_on], step, report.checkpoint)
        self.end([p for p in points if p.key not in going_on], Outcome.STOPPED, stopped_by="halving")

    def note_checkpoint(self, trial: Any, report: PackReport) -> None:
        """Count packs that resumed, or could not: a worker says so in its first report."""
        if report.resumed_from is not None:
            self.resumed += 1
            self.searcher.meter.start(number_of(trial), self.remaining(trial), report.resumed_from)
            for point in self.remaining(trial):
                fraction = report.resumed_from / point.config.training.steps
                self.counter.exclude(fraction - self.counter.fractions.get(point.key, 0.0))
        elif report.checkpoint_note:
            self.restarted += 1
            log.warning("A pack restarts from step 0: %s", report.checkpoint_note)

    def on_trial_complete(self, iteration: int, trials: list, trial: Any, **info: Any) -> None:
        self.end(self.remaining(trial), Outcome.STOPPED, stopped_by="scheduler")
        for file in self.searcher.obsolete(number_of(trial)):
            self.folder.remove_checkpoint(file)
        self.started.pop(number_of(trial), None)
        self.counter.note_loss(number_of(trial), None)
        self.searcher.release(number_of(trial))

    def on_trial_error(self, iteration: int, trials: list, trial: Any, **info: Any) -> None:
        self.collect_unreported(self.remaining(trial))
        number, remaining, message = number_of(trial), self.remaining(trial), error_message(trial)
        failure = PackFailure.TIME if number in self.timed_out else PackFailure.of(message)
        self.started.pop(number, None)
        self.counter.note_loss(number, None)
        if not remaining:
            self.searcher.release(number)
            return
        self.failures[failure] += 1
        given_up = self.searcher.resubmit(number, remaining, failure)
        limit = f" of {self.time_limit:g} s" if failure is PackFailure.TIME and self.time_limit else ""
        said = explanation(message) if failure is PackFailure.WORKER else ""
        self.end(given_up, Outcome.FAILED, error=f"{failure.value}{limit}. {said}".strip())

    def remaining(self, trial: Any) -> list[Point]:
        """Members of a pack whose end is not known yet."""
        return [p for p in self.searcher.packs[number_of(trial)] if not self.counter.ended(p.key)]

    def collect_unreported(self, points: Iterable[Point]) -> None:
        """Read records that workers saved and did not report, because they died or were stopped."""
        by_key = {point.key: point for point in points}
        for key, file in self.folder.latest_files(by_key.keys()).items():
            self.files[key], last = file, Record.load(file)
            if complete(last):
                self.logger.log_record(file, last)
                self.update(by_key[key], last.outcome, last.step, self.value(last), self.scores(last))

    def end(self, points: Iterable[Point], outcome: Outcome, **provenance: Any) -> None:
        """End members that still train, from outside: write their last records and report them."""
        for point in points:
            file = self.files.get(point.key)
            last = Record.load(file) if file else None
            if provenance.get("interrupted"):  # first, because Optuna continues the trial with a resumed sweep
                with writing(self.folder.path):
                    self.study.postpone(point.key)
            if last is None and provenance.get("interrupted"):  # a trial without a record leaves no trace
                self.update(point, outcome, 0, math.nan)
                continue
            last = last or Record(
                point.config, 0, Outcome.RUNNING, provenance=Provenance(seed=point.config.seed), trial=point.key
            )
            final = ended(reopened(last), outcome, **provenance)
            with writing(self.folder.path):
                self.logger.log_record(final.save(self.folder.records), final)
            self.update(point, outcome, final.step, self.value(final), self.scores(final))
        self.on_event()

    def interrupt(self) -> int:
        """End all running trials so that they can be resumed; return how many had not ended by themselves."""
        self.collect_unreported(list(self.running.values()))
        remaining = list(self.running.values())
        self.end(remaining, Outcome.STOPPED, interrupted=True)
        return len(remaining)

    def value(self, record: Record) -> float:
        return record.measures.get(self.objective, math.nan)

    def scores(self, record: Record) -> dict[str, float]:
        """The scores that further objectives and constraints need."""
        return {name: score_of(record, name) for name in self.searcher.settings.scores}

    def update(
        self, point: Point, outcome: Outcome, step: int, value: float, scores: Mapping[str, float] | None = None
    ) -> None:
        self.counter.update(point, outcome, value, step / max(point.config.training.steps, 1), scores)
        with writing(self.folder.path):
            if outcome.final:
                self.searcher.meter.end(point.key)
                self.running.pop(point.key, None)
                self.files.pop(point.key, None)
                self.study.finish(point.key, outcome, value, scores)
            elif self.report_values:
                self.study.report(point.key, step, value)


def number_of(trial: Any) -> int:
    """The number of the pack that a Ray trial trains."""
    return trial.config["number"]


def error_message(trial: Any) -> str:
    """Ray's description of a failure."""
    try:
        return Path(trial.error_file).read_text().strip()
    except (OSError, TypeError):
        return ""
