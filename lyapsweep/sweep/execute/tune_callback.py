"""The driver's eyes: what Ray tells of packs, told to Optuna, MLflow and the listener member by member."""

import logging
import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import ray
from ray import tune

from lyapsweep.config import Config
from lyapsweep.results.provenance import Provenance
from lyapsweep.results.record import Outcome, Record, reopened
from lyapsweep.sweep.execute.failures import Interrupted, PackFailure, writing
from lyapsweep.sweep.execute.optuna_study import OptunaStudy
from lyapsweep.sweep.execute.results_folder import ResultsFolder, settled
from lyapsweep.sweep.execute.searcher import PackSearcher, checkpoint
from lyapsweep.sweep.execute.trainable import ended
from lyapsweep.sweep.observe.progress import ProgressCounter
from lyapsweep.tracking.async_logger import AsyncLogger

log = logging.getLogger("lyapsweep")
LONGEST = 2000  # characters of Ray's own account of a loss


class TuneCallback(tune.Callback):
    """Follows the packs that `searcher` handed out. `alive` holds the members that train now.

    limit   seconds that a pack may take; None for as long as it likes
    tick    is called at every turn of Ray's loop
    """

    def __init__(
        self,
        searcher: PackSearcher,
        board: ProgressCounter,
        journal: OptunaStudy,
        scribe: AsyncLogger,
        folder: ResultsFolder,
        stop: threading.Event,
        objective: str,
        reports: bool,
        limit: float | None,
        tell: Callable[[str], None],
        tick: Callable[[], None],
    ):
        self.searcher, self.board, self.journal, self.scribe, self.folder = searcher, board, journal, scribe, folder
        self.stop, self.objective, self.reports, self.limit = stop, objective, reports, limit
        self.tell, self.tick = tell, tick
        self.alive: dict[str, Config] = {}
        self.files: dict[str, Path] = {}  # the latest record of each of them, where it has one
        self.began: dict[int, tuple[float, Any]] = {}  # when each pack that trains began, and Ray's trial of it
        self.late: set[int] = set()
        self.lost: Counter[PackFailure] = Counter()
        self.continued: Counter[bool] = Counter()  # packs that went on from a checkpoint, or could not
        self.ended_before: dict[str, Record] = {}  # trials that an earlier driver ended, to be trained on

    def __getstate__(self) -> dict[str, Any]:
        return {}  # for the snapshot that Ray writes of its tuner

    def members(self, trial: Any) -> list[Config]:
        return self.searcher.handed_out[trial.config["pack"]]

    def on_step_begin(self, iteration: int, trials: list, **info: Any) -> None:
        if self.stop.is_set():
            raise Interrupted
        self.tick()
        for number, (began, trial) in list(self.began.items()):
            if self.limit is not None and time.monotonic() - began > self.limit and number not in self.late:
                self.late.add(number)
                if worker := trial.temporary_state.ray_actor:
                    ray.kill(worker)  # one that hangs hears nothing else

    def on_trial_start(self, iteration: int, trials: list, trial: Any, **info: Any) -> None:
        self.began[trial.config["pack"]] = time.monotonic(), trial
        for config in self.left(trial):
            self.alive[config.id] = config
            self.board.note(config, Outcome.RUNNING, math.nan, self.board.parts.get(config.id, 0.0))
            self.scribe.start_run(config)
            self.reopen(config)
        self.tell("")

    def reopen(self, config: Config) -> None:
        """The record with which an earlier driver ended the trial is one on its way again."""
        record = self.ended_before.pop(config.id, None)
        if record is not None and record.spectra:
            with writing(self.folder.path):
                whole = Record.load(self.folder.records / record.filename)  # the driver knows it without its arrays
                self.scribe.log_record(reopened(whole).save(self.folder.records))

    def on_trial_result(self, iteration: int, trials: list, trial: Any, result: dict, **info: Any) -> None:
        if trouble := result.get("trouble"):
            raise Interrupted(trouble)
        if fits := result.get("fits"):
            self.searcher.learn(trial.config["pack"], fits)
        self.searcher.advance(trial.config["pack"], result["step"])
        self.note_continued(trial, result)
        for key, member in result["members"].items():
            config = self.alive.get(key)
            if config is None:  # its end is known already: a restarted worker tells it again
                continue
            self.files[key] = self.folder.records / member["file"]
            self.scribe.log_record(self.files[key])
            self.note(config, Outcome(member["outcome"]), member["step"], member["value"])
        self.tell("")

    def note_continued(self, trial: Any, result: dict) -> None:
        """With its first report a worker tells whether its pack went on from a checkpoint."""
        if (step := result.get("continued")) is not None:
            self.continued[True] += 1
            for config in self.left(trial):  # what this driver has not trained must not speed up its estimate
                self.board.before += max(step / config.training.steps - self.board.parts.get(config.id, 0.0), 0)
        elif note := result.get("note"):
            self.continued[False] += 1
            log.warning("A pack starts over: %s", note)

    def on_trial_complete(self, iteration: int, trials: list, trial: Any, **info: Any) -> None:
        self.end(self.left(trial), Outcome.STOPPED, {"stopped_by": "scheduler"})
        self.folder.forget(checkpoint(self.members(trial)))
        self.close(trial)

    def on_trial_error(self, iteration: int, trials: list, trial: Any, **info: Any) -> None:
        self.hear_of(self.left(trial))
        number, left = trial.config["pack"], self.left(trial)
        error = message(trial)
        why = PackFailure.TIME if number in self.late else PackFailure.of(error)
        self.close(trial)
        if left:
            self.lost[why] += 1
            limit = f" of {self.limit:g} s" if why is PackFailure.TIME and self.limit else ""
            self.end(self.searcher.lose(number, left, why), Outcome.FAILED, {"error": f"{why.value}{limit}. {error}"})

    def close(self, trial: Any) -> None:
        self.began.pop(trial.config["pack"], None)
        self.searcher.close(trial.config["pack"])

    def left(self, trial: Any) -> list[Config]:
        """Members of a pack whose end is not known yet."""
        return [c for c in self.members(trial) if not self.board.ended(c.id)]

    def hear_of(self, configs: Iterable[Config]) -> None:
        """Records that the driver was not told of: their worker died, or was stopped, after it had saved them."""
        by_key = {config.id: config for config in configs}
        for key, file in self.folder.latest(by_key.keys()).items():
            self.files[key], last = file, Record.load(file)
            if settled(last):
                self.scribe.log_record(file)
                self.note(by_key[key], last.outcome, last.step, last.measures.get(self.objective, math.nan))

    def end(self, configs: Iterable[Config], outcome: Outcome, told: dict[str, Any]) -> None:
        """The end, from outside, of members that still train: as a record, and to all who follow it."""
        for config in configs:
            file = self.files.get(config.id)
            last = Record.load(file) if file else None
            if last is None and told.get("interrupted"):  # it leaves no trace
                self.note(config, outcome, 0, math.nan)
                continue
            last = reopened(last or Record(config, 0, Outcome.RUNNING, provenance=Provenance(seed=config.seed)))
            with writing(self.folder.path):
                self.scribe.log_record(ended(last, outcome, told).save(self.folder.records))
            self.note(config, outcome, last.step, last.measures.get(self.objective, math.nan))
        self.tell("")

    def note(self, config: Config, outcome: Outcome, step: int, value: float) -> None:
        self.board.note(config, outcome, value, step / max(config.training.steps, 1))
        with writing(self.folder.path):
            if outcome.final:
                self.alive.pop(config.id, None)
                self.files.pop(config.id, None)
                self.journal.tell(config.id, outcome, value)
            elif self.reports:
                self.journal.report(config.id, step, value)


def message(trial: Any) -> str:
    """What Ray says of the loss of a pack."""
    try:
        return Path(trial.error_file).read_text().strip()[-LONGEST:]
    except (OSError, TypeError):
        return ""
