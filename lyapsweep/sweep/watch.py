"""The driver's eyes: what Ray tells of packs, told to Optuna, MLflow and the listener member by member."""

import math
import threading
from collections.abc import Callable, Iterable
from typing import Any

from ray import tune

from lyapsweep.config import Config
from lyapsweep.record import Outcome, Record
from lyapsweep.sweep.folder import Folder
from lyapsweep.sweep.journal import Journal
from lyapsweep.sweep.progress import Board
from lyapsweep.sweep.scribe import Scribe
from lyapsweep.sweep.supply import RETRIES, Packs
from lyapsweep.sweep.trainable import ended


class Interrupted(BaseException):
    """A signal asked the sweep to end. No Exception: Ray must not take it for a failure and wait for its workers."""


class Watch(tune.Callback):
    """Follows the packs that `searcher` handed out. `alive` holds the members that train now, with their last file."""

    def __init__(
        self,
        searcher: Packs,
        board: Board,
        journal: Journal,
        scribe: Scribe,
        folder: Folder,
        tell: Callable[[str], None],
        stop: threading.Event,
        objective: str,
        reports: bool,
    ):
        self.searcher, self.board, self.journal, self.scribe, self.folder = searcher, board, journal, scribe, folder
        self.tell, self.stop, self.objective, self.reports = tell, stop, objective, reports
        self.alive: dict[str, Config] = {}
        self.files: dict[str, str] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {}  # for the snapshot that Ray writes of its tuner

    def members(self, trial: Any) -> list[Config]:
        return self.searcher.handed_out[trial.config["pack"]]

    def on_step_begin(self, iteration: int, trials: list, **info: Any) -> None:
        if self.stop.is_set():
            raise Interrupted

    def on_trial_start(self, iteration: int, trials: list, trial: Any, **info: Any) -> None:
        for config in self.left(trial):
            self.alive[config.id] = config
            self.board.note(config, Outcome.RUNNING, math.nan, 0.0)
            self.scribe.begin(config)
        self.tell("")

    def on_trial_result(self, iteration: int, trials: list, trial: Any, result: dict, **info: Any) -> None:
        for key, member in result["members"].items():
            config = self.alive.get(key)
            if config is None:  # its end is known already: a restarted worker tells it again
                continue
            self.files[key] = member["file"]
            self.scribe.write(self.folder.records / member["file"])
            self.note(config, Outcome(member["outcome"]), member["step"], member["value"])
        self.tell("")

    def on_trial_complete(self, iteration: int, trials: list, trial: Any, **info: Any) -> None:
        self.end(self.left(trial), Outcome.STOPPED, {"stopped_by": "scheduler"})
        self.searcher.close(trial.config["pack"])

    def on_trial_error(self, iteration: int, trials: list, trial: Any, **info: Any) -> None:
        left = self.left(trial)
        if left and self.searcher.retry(trial.config["pack"], left):
            return
        self.end(left, Outcome.FAILED, {"error": f"The worker was lost {RETRIES + 1} times: {trial.get_error()}"})
        self.searcher.close(trial.config["pack"])

    def left(self, trial: Any) -> list[Config]:
        """Members of a pack whose end is not known yet."""
        return [c for c in self.members(trial) if not self.board.outcomes.get(c.id, Outcome.RUNNING).final]

    def end(self, configs: Iterable[Config], outcome: Outcome, told: dict[str, Any]) -> None:
        """The end, from outside, of members that still train: as a record, and to all who follow it."""
        for config in configs:
            file = self.folder.records / self.files[config.id] if config.id in self.files else None
            last = Record.load(file) if file else Record(config, 0, Outcome.RUNNING, provenance={"seed": config.seed})
            if file or not told.get("interrupted"):  # an interrupted trial without a record leaves no trace
                self.scribe.write(ended(last, outcome, told).save(self.folder.records))
            self.note(config, outcome, last.step, last.measures.get(self.objective, math.nan))
        self.tell("")

    def note(self, config: Config, outcome: Outcome, step: int, value: float) -> None:
        self.board.note(config, outcome, value, step / max(config.training.steps, 1))
        if outcome.final:
            self.alive.pop(config.id, None)
            self.journal.tell(config.id, outcome, value)
        elif self.reports:
            self.journal.report(config.id, step, value)
