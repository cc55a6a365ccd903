"""One run of a sweep, step by step: its plan, its storage, the training, and what it leaves."""

import dataclasses
import math
import os
import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from lyapsweep import tracking, trust
from lyapsweep.config import Config
from lyapsweep.sweep.execute.budget import BudgetMeter
from lyapsweep.sweep.execute.compile_ahead import compiling_ahead
from lyapsweep.sweep.execute.confirming import ConfirmationStage
from lyapsweep.sweep.execute.failures import BudgetUsed, Interrupted, writing
from lyapsweep.sweep.execute.halving import halving_of
from lyapsweep.sweep.execute.optuna_study import OptunaStudy
from lyapsweep.sweep.execute.pack import PackSettings
from lyapsweep.sweep.execute.pack_source import PackSupply
from lyapsweep.sweep.execute.planning import describe_plan, plan_sweep
from lyapsweep.sweep.execute.ray_cluster import ClusterCapacity, Execution, cluster, train
from lyapsweep.sweep.execute.results_folder import ResultsFolder
from lyapsweep.sweep.execute.searcher import PackSearcher
from lyapsweep.sweep.execute.sweep_results import SweepResults, recoveries
from lyapsweep.sweep.execute.tune_callback import TuneCallback
from lyapsweep.sweep.observe.callbacks import Callback, CallbackList, CallbackLogger
from lyapsweep.sweep.observe.heartbeat import HeartbeatWriter
from lyapsweep.sweep.observe.progress import ProgressCounter, SweepProgress
from lyapsweep.sweep.observe.summary import SweepSummary
from lyapsweep.sweep.plan.definition import Sweep
from lyapsweep.sweep.plan.packing import PACK_SIZE, pack_size
from lyapsweep.sweep.plan.resume import store_parts
from lyapsweep.tracking.async_logger import AsyncLogger
from lyapsweep.tracking.null_logger import NONE, NullLogger
from lyapsweep.tracking.run_names import setting_paths
from lyapsweep.training.checkpoint import saved_states

if TYPE_CHECKING:
    from lyapsweep.tracking import MLflowLogger


class SweepRunner:
    """One run of a sweep. Its methods are called once each: `plan`, `open_storage`, `execute`, `finish`."""

    def __init__(
        self,
        sweep: Sweep,
        base: Config,
        folder: ResultsFolder,
        seed: int = 0,
        tracking_uri: str | None = None,
        storage: str | None = None,
        listen: Callable[[SweepProgress], None] | None = None,
        models: bool = True,
        meter: BudgetMeter | None = None,
        callbacks: Sequence[Callback] = (),
    ):
        self.sweep, self.base, self.folder, self.seed, self.models = sweep, base, folder, seed, models
        self.tracking_uri = tracking_uri or tracking.default_uri(folder.path.parent)
        self.storage = storage or os.environ.get("OPTUNA_STORAGE")
        self.listen, self.meter = listen or (lambda progress: None), meter or BudgetMeter(None)
        self.callbacks, self.heartbeat = CallbackList(callbacks), HeartbeatWriter(folder.path)
        self.logger: MLflowLogger | NullLogger | None = None
        self.async_logger: AsyncLogger | None = None
        self.callback: TuneCallback | None = None
        self.interrupted_trials = 0

    def plan(self, **settings: Any) -> None:
        """Determine which points there are and which have ended; `settings` as in `plan_sweep`."""
        self.planned = plan_sweep(self.sweep, self.base, self.folder, self.seed, storage=self.storage, **settings)
        self.refinement, self.sweep, self.base = self.planned.refinement, self.planned.sweep, self.planned.base
        self.halving = halving_of(self.planned, self.folder.records)
        self.counter = ProgressCounter(self.planned.total(self.planned.fresh), self.sweep.direction, self.sweep.bounds)
        self.counter.add_recorded(self.planned.ended | self.planned.confirmed, self.sweep.objective)
        self.confirming = ConfirmationStage(self.planned, self.folder, self.counter)

    def open_storage(self) -> None:
        """Open Optuna and sweep.json, and MLflow in a thread; repair what a killed driver left."""
        sweep, name, uri = self.sweep, self.folder.name, self.tracking_uri
        trust.remember()
        self.folder.remove_partial_files()
        if sweep.space and sweep.intent == "map":
            self.folder.store_points(store_parts(self.planned.parts))
        self.opening = None if uri == NONE else tracking.OpeningThread(name, uri, self.folder.paths.artifacts)
        place, owner = (self.storage, self.folder.id()) if self.storage else (self.folder.paths.optuna_journal, "")
        self.study = OptunaStudy(place, name, sweep, self.seed, owner)
        self.lost_params = self.study.reconcile(self.planned.results, self.planned.scores)
        describe_plan(folder=self.folder, planned=self.planned, asked=self.counter.asked)

    def open_logger(self) -> "MLflowLogger | NullLogger":
        """Wait for the opening of MLflow, and remove the records that are replaced: nothing stops the sweep now."""
        self.logger = logger = NullLogger() if self.opening is None else self.opening.result()
        logger.reconcile()
        logger.varied = self.planned.varied
        logger.labels = {"intent": self.sweep.intent, "objective": ", ".join(self.sweep.objectives)}
        self.folder.remove_records(self.planned.replaced)
        return logger

    def execute(self, execution: Execution, stop: threading.Event) -> Interrupted | None:
        """Train what remains; return why it ended early, if it did. No trial is RUNNING afterwards."""
        self.notify()
        if self.planned.remaining <= 0 and not self.confirming.packs():
            return None
        interruption = None
        try:
            configs = [point.config for point in self.planned.points] or [self.base]
            ahead = [] if execution.gpus or execution.cluster else configs
            with compiling_ahead(ahead), cluster(execution) as monitor:
                self.async_logger = AsyncLogger(self.open_logger())
                capacity, gpus = ClusterCapacity(execution, monitor), execution.gpus
                packs = math.ceil(self.planned.remaining / (self.planned.pack or PACK_SIZE))
                capacity.wait(packs, stop)
                searcher = self.searcher(capacity, "cuda" if gpus else "cpu", stop)
                self.callback = self.make_callback(searcher, execution.time_limit, stop)
                train(self.sweep, searcher, self.callback, gpus)
        except BudgetUsed:
            self.meter.reached = True
        except (Interrupted, KeyboardInterrupt) as reason:
            interruption = Interrupted(str(reason))
        finally:
            interruption = self.close_storage(interruption)
        return interruption

    def searcher(self, capacity: ClusterCapacity, device: str, stop: threading.Event) -> PackSearcher:
        """Ray's searcher over the packs that remain."""
        size = pack_size(self.planned.pack, self.sweep.intent, self.planned.asked, capacity(), device)
        self.folder.describe(pack=size)

        def current_capacity() -> int:  # while there is no node Ray calls the searcher only, once per second
            self.write_heartbeat()
            if stop.is_set():
                raise Interrupted
            return capacity()

        folder, sweep, planned, meter = self.folder, self.sweep, self.planned, self.meter
        settings = PackSettings(sweep.objective, device, folder.records, folder.checkpoints, sweep.scores)
        supply = PackSupply(self.study, size, device, planned.ended, planned.failed, meter.budget is not None)
        packs = iter(())
        if planned.remaining > 0:
            packs = supply.remaining(planned, capacity(), self.lost_params, self.start_round)
        meter.set_plan(capacity, sweep.intent, self.halving)
        states = saved_states(folder.checkpoints) if sweep.intent == "hunt" else {}
        ended, halving, then = self.counter.ended, self.halving, self.confirming.begin
        return PackSearcher(packs, settings, current_capacity, ended, size, halving, meter, states, then)

    def start_round(self, requested: int) -> None:
        """Count the points of another round of a refinement."""
        assert self.refinement is not None
        self.counter.asked = max(requested, len(self.planned.ended))
        self.folder.describe(trials=self.counter.asked, refined=self.refinement.description())

    def make_callback(self, searcher: PackSearcher, time_limit: float | None, stop: threading.Event) -> TuneCallback:
        assert self.async_logger is not None
        return TuneCallback(
            searcher,
            self.counter,
            self.study,
            CallbackLogger(self.async_logger, self.callbacks),
            self.folder,
            stop,
            self.sweep.objective,
            report_values=self.sweep.intent == "hunt",
            time_limit=time_limit,
            on_event=self.notify,
            on_step=self.write_heartbeat,
            ended_before=self.planned.ended_before,
        )

    def close_storage(self, interruption: Interrupted | None) -> Interrupted | None:
        """Write the ends of interrupted trials as far as possible: a resumed sweep does the rest."""
        try:
            if self.callback:
                self.interrupted_trials = self.callback.interrupt()
            with writing(self.folder.path):
                self.study.close()
                self.folder.describe(drawn=self.study.drawn if self.sweep.intent == "hunt" else ())
            self.folder.remove_partial_files()
        except (OSError, Interrupted) as error:
            if interruption is not None and not str(interruption):
                interruption = Interrupted(str(error))
        if self.async_logger:
            self.notify(phase="waiting for MLflow" if self.async_logger.pending else "")
            self.async_logger.close(self.write_heartbeat)
        return interruption

    def finish(self, interruption: Interrupted | None) -> SweepSummary:
        """Draw the atlas, log the summary run and what MLflow misses, and summarise."""
        progress, atlas, interrupted = self.progress(), None, interruption is not None
        results = SweepResults(self.folder, self.logger or self.open_logger(), interrupted)
        ended = progress.done - self.interrupted_trials
        if interrupted:
            results.note_interruption(ended, progress.asked, str(interruption))
        else:
            results.note_missing(ended, progress.asked, self.meter.reached)
            self.notify(phase="writing the atlas")
            atlas = results.draw_atlas()
        self.notify(phase="logging the summary to MLflow")
        results.log_summary(progress, self.sweep.objective, atlas, self.models, sync=self.mlflow_may_lag())
        self.notify(message := " ".join(results.notes))
        self.write_heartbeat(over=True)
        notes = [recoveries(self.callback, self.async_logger).text, self.refinement.summary if self.refinement else ""]
        summary = results.summary(self.progress(message), self.tracking_uri, self.counter.best_key)
        budget, notes = self.meter.sentence(ended, progress.asked), " ".join(filter(None, notes))
        return dataclasses.replace(summary, atlas=atlas, cause=str(interruption or ""), notes=notes, budget=budget)

    def mlflow_may_lag(self) -> bool:
        """Whether this or an earlier driver wrote records that MLflow may miss."""
        logger, callback = self.async_logger, self.callback
        return bool(self.planned.ended or logger is None or logger.dropped or (callback and callback.resumed))

    def notify(self, message: str = "", phase: str = "") -> None:
        self.listen(self.progress(message, phase))

    def write_heartbeat(self, over: bool = False) -> None:
        self.heartbeat.write(self.progress().running, self.async_logger.pending if self.async_logger else 0, over)

    def progress(self, message: str = "", phase: str = "") -> SweepProgress:
        paths = self.planned.varied, setting_paths(self.planned.varied)
        name_of, setting_of = (partial(tracking.run_name, varied=each) for each in paths)
        return self.counter.progress(name_of, setting_of, message, phase)
