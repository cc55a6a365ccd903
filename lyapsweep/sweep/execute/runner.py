"""Run a sweep: plan, train on Ray, log, report. The records on disk are the truth at every moment."""

import dataclasses
import logging
import math
import os
import threading
import time
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from lyapsweep import tracking
from lyapsweep.atlas import report
from lyapsweep.config import Config, ConfigError
from lyapsweep.results.description import BaseConfig, RefinedGrid
from lyapsweep.results.record import Outcome
from lyapsweep.results.table import Table
from lyapsweep.sweep.execute.failures import Interrupted, interruptible, writing
from lyapsweep.sweep.execute.optuna_study import OptunaStudy
from lyapsweep.sweep.execute.ray_cluster import ClusterCapacity, cluster, train, wait_for_nodes
from lyapsweep.sweep.execute.results_folder import ResultsFolder, settled
from lyapsweep.sweep.execute.searcher import PackSearcher, asked, hunted, planned, split
from lyapsweep.sweep.execute.tune_callback import TuneCallback
from lyapsweep.sweep.observe.heartbeat import HeartbeatWriter
from lyapsweep.sweep.observe.progress import ProgressCounter, SweepProgress
from lyapsweep.sweep.observe.summary import SweepSummary, command_line, counts, known, numbers, overcome, versions
from lyapsweep.sweep.plan.definition import Sweep
from lyapsweep.sweep.plan.refinement import Refinement
from lyapsweep.sweep.spaces import draw, readable, varied
from lyapsweep.tracking.async_logger import AsyncLogger
from lyapsweep.tracking.null_logger import NONE, NullLogger

log = logging.getLogger("lyapsweep")
PACK = {"map": 32, "hunt": 1}  # members a pack where nothing is said; a scheduler can stop only whole packs


def run(
    sweep: Sweep,
    *,
    results: Path | str = "results",
    trials: int | None = None,
    extend: int = 0,
    refine: bool | None = None,
    changes: Mapping[str, Any] | None = None,
    resume: bool = False,
    pack: int | None = None,
    jobs: int | None = None,
    gpus: float = 0.0,
    time_limit: float | None = None,
    address: str | None = None,
    tracking_uri: str | None = None,
    storage: str | None = None,
    seed: int = 0,
    models: bool = True,
    listen: Callable[[SweepProgress], None] | None = None,
) -> SweepSummary:
    """Train every trial of `sweep` that `results/<name>` does not hold yet, then write its atlas.

    trials, pack   override the sweep's own
    extend         so many points more than the folder's sweep was last asked for; only of a space
    refine         of a grid train coarse points first, then finer ones where trials that lie close disagree; None: as
                   the folder's sweep was started, False: every point
    changes        {path: value} made to the base config
    resume         go on in a folder that holds records already, with packs that were cut short from their last report
    jobs, gpus     packs at a time (as many as there are CPUs), GPUs a pack (a fraction shares one; 0: train on the CPU)
    time_limit     seconds that a pack may train at a time; one that takes longer is killed and goes on in halves
    address        of a running Ray cluster, else RAY_ADDRESS, else a Ray of this machine's own. The nodes of a cluster
                   must see `results` under the same path
    tracking_uri   else MLFLOW_TRACKING_URI, else `results/mlflow.db`; "none" logs nothing to MLflow
    storage        URL of a database for the Optuna study, else OPTUNA_STORAGE, else a journal file in the folder
    seed           of the draws from a space; a trial's own seed is part of its config
    models         whether the best network of each cell becomes an MLflow model that forecasts
    listen         is called with a Progress at every event

    SIGINT and SIGTERM end the sweep within seconds, ready to be resumed. Raises `SweepError`, `ConfigError`,
    `TrackingError`, or `BadSeries` of a file, before any work starts.
    """
    changed = {"trials": trials or sweep.trials, "pack": pack or sweep.pack, "name": sweep.name or "sweep"}
    sweep = dataclasses.replace(sweep, **changed)
    base = sweep.config(changes)
    folder = ResultsFolder(results, changed["name"])
    folder.hold()
    try:
        with interruptible() as stop:
            drive = SweepRunner(sweep, base, folder, tracking_uri or tracking.default_uri(results), seed, listen)
            drive.models = models
            drive.plan(resume or bool(extend), extend, refine)
            drive.open_books(storage or os.environ.get("OPTUNA_STORAGE"))
            interrupted = drive.work(jobs, gpus, time_limit, address, stop)
            return drive.conclude(interrupted)
    finally:
        folder.release()


class SweepRunner:
    """One start of a sweep, from its plan to its Summary. The methods are called once each, in this order."""

    def __init__(
        self,
        sweep: Sweep,
        base: Config,
        folder: ResultsFolder,
        uri: str,
        seed: int,
        listen: Callable[[SweepProgress], None] | None,
    ):
        self.sweep, self.base, self.folder, self.uri, self.seed = sweep, base, folder, uri, seed
        self.listen = listen or (lambda progress: None)
        self.pulse = HeartbeatWriter(folder.path)
        self.scribe: AsyncLogger | None = None
        self.watch: TuneCallback | None = None
        self.models = True  # of the best networks, in MLflow
        self.cut_short = 0  # trials that a signal ended and a resumed sweep runs again
        self.why = ""  # what else than a signal ended it early

    def plan(self, resume: bool, extend: int, refine: bool | None) -> None:
        """Which points there are, which of them have ended, and whether that fits the folder."""
        sweep, mapped, told = self.sweep, self.sweep.intent == "map", self.folder.description()
        self.parts = asked(sweep, told, extend)
        sweep = self.sweep = dataclasses.replace(sweep, trials=sum(self.parts) if sweep.space else None)
        self.packs_of = sweep.pack or told.pack
        sample = readable(draw(sweep, None if mapped else 20, self.seed, self.base))
        self.points = sample if mapped else []
        self.varied = varied([p.config for p in sample])
        last = self.folder.last()
        ended = {trial: record for trial, record in last.items() if settled(record)}
        self.failed = {trial for trial, record in last.items() if record.outcome is Outcome.FAILED}
        self.ended_before = {t: r for t, r in last.items() if r.outcome.final and t not in ended}
        self.folder.check(ended, {p.config.id for p in self.points} if mapped else None, resume)
        self.board = ProgressCounter(len(self.points) if mapped else sweep.trials or 0, sweep.direction)
        self.board.known(ended, sweep.objective)
        self.known = known(ended, sweep.objective)
        self.todo = self.board.asked - len(ended)
        refine = told.refined is not None if refine is None else refine
        self.refinement = Refinement(sweep, self.points) if refine else None
        if self.refinement:
            self.todo = self.refinement.left(self.known)
            self.board.asked = max(self.refinement.asked, len(self.known))

    def grow(self, asked: int) -> None:
        """Another round of a refinement was planned."""
        self.board.asked = max(asked, len(self.known))
        self.folder.describe(trials=self.board.asked, refined=self.refined())

    def refined(self) -> RefinedGrid | None:
        """What sweep.json says of the refinement: a resumed sweep goes on with it."""
        return self.refinement.description() if self.refinement else None

    def open_books(self, storage: str | None = None) -> None:
        """MLflow, Optuna and sweep.json, each put in order after an earlier driver that may have died."""
        sweep, name = self.sweep, self.folder.name
        self.folder.sweep_up()
        self.ledger = (
            NullLogger() if self.uri == NONE else tracking.prepare(name, self.uri, self.folder.paths.artifacts)
        )
        self.ledger.reconcile()
        self.ledger.varied, self.ledger.labels = self.varied, {"intent": sweep.intent, "objective": sweep.objective}
        place, mark = (storage, self.folder.mark()) if storage else (self.folder.paths.optuna_journal, "")
        self.journal = OptunaStudy(place, name, sweep.direction, sweep.intent, self.seed, mark)
        self.lost = self.journal.reconcile(self.known)
        self.describe()

    def describe(self) -> None:
        """Write to sweep.json what a reader of the results must know of the question."""
        self.folder.describe(
            name=self.folder.name,
            question=self.sweep.question,
            intent=self.sweep.intent,
            objective=self.sweep.objective,
            direction=self.sweep.direction,
            varied=tuple(self.varied),
            base=base_config(self.sweep.base),
            trials=self.board.asked,
            extended=tuple(self.parts[1:]),
            seed=self.seed,
            refined=self.refined(),
            command=command_line(),
            started=time.strftime("%Y-%m-%d %H:%M:%S %z"),
            versions=versions(),
        )

    def work(
        self, jobs: int | None, gpus: float, limit: float | None, address: str | None, stop: threading.Event
    ) -> bool:
        """Train what is left; True where it was ended early. Nothing is RUNNING anywhere afterwards."""
        self.tell("")
        if self.todo <= 0:
            return False
        self.scribe, interrupted = AsyncLogger(self.ledger), False
        try:
            with cluster(address, jobs):
                room = ClusterCapacity(jobs, gpus)
                packs = math.ceil(self.todo / (self.packs_of or PACK[self.sweep.intent]))
                room.wait(packs, wait_for_nodes(address), stop)
                searcher = self.searcher(room, "cuda" if gpus else "cpu", stop)
                self.watch = self.watcher(searcher, limit, stop)
                self.watch.ended_before = self.ended_before
                train(self.sweep, self.base, searcher, self.watch, gpus)
        except (Interrupted, KeyboardInterrupt) as reason:
            interrupted, self.why = True, str(reason)
        finally:
            self.close_books()
        return interrupted

    def watcher(self, searcher: PackSearcher, limit: float | None, stop: threading.Event) -> TuneCallback:
        assert self.scribe is not None, "who writes is there before who watches"
        return TuneCallback(
            searcher,
            self.board,
            self.journal,
            self.scribe,
            self.folder,
            stop,
            self.sweep.objective,
            reports=self.sweep.intent == "hunt",
            limit=limit,
            tell=self.tell,
            tick=self.beat,
        )

    def close_books(self) -> None:
        """The ends of what was cut short, as far as they can be written: a resumed sweep does the rest."""
        try:
            if self.watch:
                self.watch.hear_of(list(self.watch.alive.values()))
                self.cut_short = len(self.watch.alive)
                self.watch.end(list(self.watch.alive.values()), Outcome.STOPPED, {"interrupted": True})
            with writing(self.folder.path):
                self.journal.close()
            self.folder.sweep_up()
        except (OSError, Interrupted) as error:
            self.why = self.why or str(error)
        if self.scribe:
            self.scribe.close(self.beat)

    def searcher(self, room: ClusterCapacity, device: str, stop: threading.Event) -> PackSearcher:
        sweep = self.sweep
        size = self.packs_of or PACK[sweep.intent]
        if self.packs_of is None and device == "cpu" and sweep.intent == "map":  # none shall be idle beside a long pack
            size = min(size, math.ceil(len(self.points) / room()))
        self.folder.describe(pack=size)
        if self.refinement:
            supply = self.refinement.supply(size, room(), device, self.journal, self.known, self.failed, self.grow)
        elif sweep.intent == "map":
            supply = planned(split(self.points, self.parts), size, device, self.journal, self.known, self.failed)
        else:
            supply = hunted(sweep, self.base, self.todo, self.lost, size, device, self.journal)

        def room_now() -> int:  # while no node is there Ray asks for a pack each second, and calls nobody else
            self.beat()
            if stop.is_set():
                raise Interrupted
            return room()

        places = self.folder.places | {"objective": sweep.objective, "device": device}
        return PackSearcher(supply, places, room_now, self.board.ended)

    def tell(self, message: str) -> None:
        self.listen(self.progress(message))

    def beat(self, over: bool = False) -> None:
        """Let other machines know that this driver lives, or that it ends."""
        told = {"running": self.progress().running, "behind": self.scribe.pending if self.scribe else 0}
        self.pulse.beat(told, over)

    def progress(self, message: str = "") -> SweepProgress:
        return self.board.progress(lambda config: tracking.run_name(config, self.varied), message)

    def conclude(self, interrupted: bool) -> SweepSummary:
        """The atlas, the summary run, and what an ailing tracking server missed."""
        progress, atlas = self.progress(), None
        if interrupted:
            because = f" because {self.why}" if self.why else ""
            ended = progress.done - self.cut_short
            notes = [f"Interrupted after {ended} of {progress.asked} trials{because}; go on with --resume."]
        else:
            short = f"Only {progress.done} of {progress.asked} trials: the space holds no more distinct points."
            notes = [short] if progress.done < progress.asked else []
            self.folder.forget()
            atlas = self.draw_atlas(notes)
        try:
            description = self.folder.describe(outcomes=counts(progress))
            went_on = self.watch is not None and self.watch.continued[True]
            if self.known or went_on or self.scribe is None or self.scribe.dropped:  # else all has been logged
                self.ledger.refresh()
                self.ledger.sync(self.folder.path)
            self.ledger.reconcile()
            files = [file for file in (self.folder.paths.description, atlas) if file]
            table = Table.of(()) if interrupted else self.table
            table = dataclasses.replace(table, description=description)
            self.ledger.log_summary(table, files, numbers(progress, self.sweep.objective), self.models)
        except Exception as error:
            notes.append(f"MLflow lacks results ({tracking.redact(str(error))}): `lyapsweep sync {self.folder.path}`.")
        best = self.board.best[1].id if self.board.best else None
        message = " ".join(notes)
        self.tell(message)
        self.beat(over=True)
        told = overcome(self.watch, self.scribe, self.refinement.sentence if self.refinement else "")
        where = self.folder.name, self.folder.path, self.uri
        return SweepSummary(*where, self.progress(message), best, atlas, interrupted, message, told)

    @cached_property
    def table(self) -> Table:
        """All records, read once when they are all there."""
        return Table.read(self.folder.path)

    def draw_atlas(self, notes: list[str]) -> Path | None:
        try:
            return report.write(self.ledger.link_runs(self.table), self.folder.paths.atlas, self.folder.path)
        except Exception as error:  # a picture that fails must not hide the results it would have shown
            log.warning("The atlas could not be drawn: %s", error, exc_info=True)
            notes.append(f"The atlas could not be drawn ({error}); the records are in {self.folder.records}.")
            return None


def base_config(path: Path | str) -> BaseConfig | None:
    """The base file as it is; None for one that is a config only with the changes that the sweep makes to it."""
    try:
        return BaseConfig(str(path), Config.load(path).to_dict())
    except ConfigError:
        return None
