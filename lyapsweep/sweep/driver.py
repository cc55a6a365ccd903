"""Run a sweep: plan, train on Ray, log, report. The records on disk are the truth at every moment."""

import dataclasses
import importlib.metadata
import logging
import math
import platform
import shlex
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lyapsweep import tracking
from lyapsweep.atlas import report
from lyapsweep.config import Config
from lyapsweep.record import Outcome
from lyapsweep.sweep.cluster import cluster, interruptible, slots, train
from lyapsweep.sweep.definition import Sweep
from lyapsweep.sweep.folder import Folder
from lyapsweep.sweep.journal import Journal
from lyapsweep.sweep.progress import Board, Progress
from lyapsweep.sweep.scribe import Scribe
from lyapsweep.sweep.spaces import draw, varied
from lyapsweep.sweep.supply import Packs, hunted, planned
from lyapsweep.sweep.watch import Interrupted, Watch
from lyapsweep.table import Table

log = logging.getLogger("lyapsweep")
PACK = {"map": 32, "hunt": 1}  # members a pack where nothing is said; a scheduler can stop only whole packs


@dataclass(frozen=True)
class Summary:
    """How a sweep ended: the last Progress, where its results lie, and in words what to do next (`message`)."""

    name: str
    folder: Path
    tracking_uri: str
    progress: Progress
    best_trial: str | None
    atlas: Path | None
    interrupted: bool
    message: str


def run(
    sweep: Sweep,
    *,
    results: Path | str = "results",
    trials: int | None = None,
    changes: Mapping[str, Any] | None = None,
    resume: bool = False,
    pack: int | None = None,
    jobs: int | None = None,
    gpus: float = 0.0,
    address: str | None = None,
    tracking_uri: str | None = None,
    seed: int = 0,
    listen: Callable[[Progress], None] | None = None,
) -> Summary:
    """Train every trial of `sweep` that `results/<name>` does not hold yet, then write its atlas.

    trials, pack   override the sweep's own
    changes        {path: value} made to the base config
    resume         go on in a folder that holds records already
    jobs, gpus     packs at a time (as many as there are CPUs), GPUs a pack (a fraction shares one; 0: train on the CPU)
    address        of a running Ray cluster, else RAY_ADDRESS, else a Ray of this machine's own. The nodes of a cluster
                   must see `results` under the same path
    tracking_uri   else MLFLOW_TRACKING_URI, else `results/mlflow.db`
    seed           of the draws from a space; a trial's own seed is part of its config
    listen         is called with a Progress at every event

    SIGINT and SIGTERM end the sweep within seconds, ready to be resumed. Raises `SweepError`, `ConfigError` or
    `TrackingError` before any work starts.
    """
    changed = {"trials": trials or sweep.trials, "pack": pack or sweep.pack, "name": sweep.name or "sweep"}
    sweep = dataclasses.replace(sweep, **changed)
    base = sweep.config(changes)
    folder = Folder(results, changed["name"])
    folder.hold()
    try:
        with interruptible() as stop:
            drive = Drive(sweep, base, folder, tracking_uri or tracking.store(results), seed, listen)
            drive.plan(resume)
            drive.open_books()
            interrupted = drive.work(jobs, gpus, address, stop)
            return drive.conclude(interrupted)
    finally:
        folder.release()


class Drive:
    """One start of a sweep, from its plan to its Summary. The methods are called once each, in this order."""

    def __init__(
        self, sweep: Sweep, base: Config, folder: Folder, uri: str, seed: int, listen: Callable[[Progress], None] | None
    ):
        self.sweep, self.base, self.folder, self.uri, self.seed = sweep, base, folder, uri, seed
        self.listen = listen or (lambda progress: None)
        self.cut_short = 0  # trials that a signal ended and a resumed sweep runs again

    def plan(self, resume: bool) -> None:
        """Which points there are, which of them have ended, and whether that fits the folder."""
        sweep, mapped = self.sweep, self.sweep.intent == "map"
        sample = draw(sweep, None if mapped else 20, self.seed, self.base)
        self.points = sample if mapped else []
        self.varied = varied([p.config for p in sample])
        ended = self.folder.ended()
        self.folder.check(ended, [p.config.id for p in self.points] if mapped else None, resume)
        self.board = Board(len(self.points) if mapped else sweep.trials or 0, sweep.direction)
        self.board.known(ended, sweep.objective)
        self.todo = self.board.asked - len(ended)
        self.ended = ended

    def open_books(self) -> None:
        """MLflow, Optuna and sweep.json, each put in order after an earlier driver that may have died."""
        sweep, name = self.sweep, self.folder.name
        self.ledger = tracking.prepare(name, self.uri, self.folder.path / "artifacts")
        self.ledger.reconcile()
        self.ledger.varied, self.ledger.labels = self.varied, {"intent": sweep.intent, "objective": sweep.objective}
        self.journal = Journal(self.folder.journal, name, sweep.direction, sweep.intent, self.seed)
        values = {key: r.measures.get(sweep.objective, math.nan) for key, r in self.ended.items()}
        self.lost = self.journal.reconcile({key: (r.outcome, values[key]) for key, r in self.ended.items()})
        self.folder.tell(self.about())

    def about(self) -> dict[str, Any]:
        """What sweep.json says: all that a reader of the results must know of the question."""
        program = Path(sys.argv[0]).name
        command = ["lyapsweep" if program == "__main__.py" else program, *sys.argv[1:]]
        packages = ("lyapsweep", "torch", "numpy", "ray", "optuna", "mlflow")
        return {
            "name": self.folder.name,
            "question": self.sweep.question,
            "intent": self.sweep.intent,
            "objective": self.sweep.objective,
            "direction": self.sweep.direction,
            "varied": self.varied,
            "trials": self.board.asked,
            "seed": self.seed,
            "command": shlex.join(command),
            "started": time.strftime("%Y-%m-%d %H:%M:%S %z"),
            "versions": {"python": platform.python_version()} | {p: version(p) for p in packages},
        }

    def work(self, jobs: int | None, gpus: float, address: str | None, stop: threading.Event) -> bool:
        """Train what is left; True where a signal ended it. Nothing is RUNNING anywhere afterwards."""
        self.tell("")
        if self.todo <= 0:
            return False
        scribe, watch, interrupted = Scribe(self.ledger), None, False
        try:
            with cluster(address, jobs):
                at_once, device = slots(jobs, gpus), "cuda" if gpus else "cpu"
                searcher = self.searcher(at_once, device)
                watch = Watch(
                    searcher,
                    self.board,
                    self.journal,
                    scribe,
                    self.folder,
                    self.tell,
                    stop,
                    self.sweep.objective,
                    reports=self.sweep.intent == "hunt",
                )
                train(self.sweep, self.base, searcher, watch, at_once, gpus)
        except (Interrupted, KeyboardInterrupt):
            interrupted = True
        finally:
            if watch:
                self.cut_short = len(watch.alive)
                watch.end(list(watch.alive.values()), Outcome.STOPPED, {"interrupted": True})
            self.journal.close()
            scribe.close()
        return interrupted

    def searcher(self, jobs: int, device: str) -> Packs:
        sweep = self.sweep
        size = sweep.pack or PACK[sweep.intent]
        if device == "cpu" and sweep.intent == "map":  # no worker shall be idle beside one long pack
            size = min(size, math.ceil(self.todo / jobs))
        if sweep.intent == "map":
            left = [p for p in self.points if p.config.id not in self.ended]
            supply = planned(left, size, device, self.journal)
        else:
            supply = hunted(sweep, self.base, self.todo, self.lost, size, device, self.journal)
        settings = {"records": str(self.folder.records), "objective": sweep.objective, "device": device}
        return Packs(supply, settings)

    def tell(self, message: str) -> None:
        self.listen(self.progress(message))

    def progress(self, message: str = "") -> Progress:
        return self.board.progress(lambda config: tracking.run_name(config, self.varied), message)

    def conclude(self, interrupted: bool) -> Summary:
        """The atlas, the summary run, and what an ailing tracking server missed."""
        atlas, notes = None, []
        progress = self.progress()
        about = self.folder.tell({"outcomes": counts(progress)})
        if interrupted:
            ended = progress.done - self.cut_short
            notes.append(f"Interrupted after {ended} of {progress.asked} trials; go on with --resume.")
        else:
            if progress.done < progress.asked:
                notes.append(
                    f"Only {progress.done} of {progress.asked} trials: the space holds no more distinct points."
                )
            try:
                atlas = report.write(Table.read(self.folder.path), self.folder.atlas)
            except Exception as error:  # a picture that fails must not hide the results it would have shown
                log.warning("The atlas could not be drawn: %s", error, exc_info=True)
                notes.append(f"The atlas could not be drawn ({error}); the records are in {self.folder.records}.")
        try:
            self.ledger.sync(self.folder.path)
            self.ledger.reconcile()
            files = [file for file in (self.folder.about, atlas) if file]
            self.ledger.summary(about, files, self.numbers(progress))
        except Exception as error:
            notes.append(f"MLflow at {self.uri} lacks some results ({error}); resuming the sweep logs them again.")
        best = self.board.best[1].id if self.board.best else None
        message = " ".join(notes)
        self.tell(message)
        return Summary(
            self.folder.name, self.folder.path, self.uri, self.progress(message), best, atlas, interrupted, message
        )

    def numbers(self, progress: Progress) -> dict[str, float]:
        """The summary run's metrics."""
        told = {f"trials/{outcome}": float(n) for outcome, n in counts(progress).items()}
        told |= {"trials/asked": float(progress.asked), "seconds": progress.seconds}
        return told | ({f"best/{self.sweep.objective}": progress.best[0]} if progress.best else {})


def counts(progress: Progress) -> dict[str, int]:
    return {outcome: getattr(progress, outcome) for outcome in ("finished", "diverged", "stopped", "failed")}


def version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
