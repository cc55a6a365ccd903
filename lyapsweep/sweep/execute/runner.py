"""Run a sweep. Records are authoritative."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lyapsweep.sweep.execute.budget import BudgetMeter
from lyapsweep.sweep.execute.failures import stop_on_signals
from lyapsweep.sweep.execute.ray_cluster import Execution
from lyapsweep.sweep.execute.results_folder import ResultsFolder
from lyapsweep.sweep.execute.sweep_runner import SweepRunner
from lyapsweep.sweep.observe.callbacks import Callback
from lyapsweep.sweep.observe.progress import SweepProgress
from lyapsweep.sweep.observe.summary import SweepSummary
from lyapsweep.sweep.plan.budget import Budget
from lyapsweep.sweep.plan.definition import Sweep
from lyapsweep.sweep.plan.hunt_settings import check_candidates

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler


def run(
    sweep: Sweep,
    *,
    results: Path | str = "results",
    trials: int | None = None,
    extend: int = 0,
    refine: bool | None = None,
    changes: Mapping[str, Any] | None = None,
    resume: bool = False,
    again: bool = False,
    pack: int | None = None,
    confirm: int | None = None,
    candidates: int | None = None,
    jobs: int | None = None,
    gpus: float = 0.0,
    time_limit: float | None = None,
    address: str | None = None,
    node_timeout: float | None = None,
    tracking_uri: str | None = None,
    storage: str | None = None,
    seed: int = 0,
    sampler: "str | BaseSampler | None" = None,
    budget: str | None = None,
    models: bool = True,
    listen: Callable[[SweepProgress], None] | None = None,
    callbacks: Sequence[Callback] = (),
) -> SweepSummary:
    """Train every trial of a sweep that `results/<name>` does not hold yet, then write its atlas.

    SIGINT, SIGTERM and SIGHUP end the sweep within seconds, ready to be resumed.

    Args:
        sweep: What is varied, and by which measure trials are compared.
        results: Parent of the results folder.
        trials: Number of points of a space, instead of the sweep's own.
        extend: Number of points of a space to train in addition to those requested so far.
        refine: Train finer points of a grid only where coarse ones disagree; None: as the folder's sweep was started.
        changes: {path: value} to set in the base config.
        resume: Continue in a folder that holds records; interrupted packs continue from their last report.
        again: Train trials again whose data or code changed since; their records are replaced.
        pack: Largest number of trials trained side by side, instead of the sweep's own.
        confirm: Number of fresh seeds that confirm the best settings, instead of the sweep's own.
        candidates: Number of settings that are confirmed, instead of the sweep's own.
        jobs: Number of packs trained at a time; None for one per CPU.
        gpus: GPUs per pack; a fraction shares one, 0 trains on the CPU.
        time_limit: Seconds that a pack may train; one that exceeds them is killed and continues in halves.
        address: A running Ray cluster, by default RAY_ADDRESS, else a Ray of this machine. The nodes of a cluster must
            see `results` under the same path.
        node_timeout: Seconds that a cluster may be without a node before the sweep ends; 900 by default.
        tracking_uri: By default MLFLOW_TRACKING_URI, else `results/mlflow.db`; "none" logs nothing to MLflow.
        storage: Where the Optuna study is: the URL of a database, redis://... or grpc://..., or a journal file; by
            default OPTUNA_STORAGE, else a journal file in the folder.
        seed: Seed of the draws from a space; a trial's own seed is part of its config.
        sampler: What chooses the points of a hunt, instead of the sweep's own.
        budget: Time (90s, 30m, 1.5h) or updates (2000000u) of this run; trials that would exceed it do not start.
        models: Log the best network of each cell as an MLflow model that forecasts.
        listen: Called with the progress at every event.
        callbacks: Told of trials and their records.

    Returns:
        How the sweep ended.

    Raises:
        SweepError: If the sweep and its folder do not fit, or Ray or the database cannot be used.
        ConfigError: If the base config is not valid.
        TrackingError: If MLflow cannot be reached.
        BadSeries: If a data file cannot be used.

    Example:
        >>> run(lyapsweep.sweep.load("sweeps/forcing_interval.py"), jobs=2).best_trial  # doctest: +SKIP
    """
    name, meter = sweep.name or "sweep", BudgetMeter(None if budget is None else Budget.parse(budget))
    asked = {"trials": trials, "pack": pack, "sampler": sampler, "confirm": confirm, "candidates": candidates}
    sweep = dataclasses.replace(sweep, name=name, **{key: value for key, value in asked.items() if value is not None})
    check_candidates(candidates, sweep.confirm)
    base, folder = sweep.config(changes), ResultsFolder(results, name)
    folder.acquire()
    try:
        with stop_on_signals() as stop:
            runner = SweepRunner(sweep, base, folder, seed, tracking_uri, storage, listen, models, meter, callbacks)
            on = resume or again or bool(extend)
            runner.plan(resume=on, extend=extend, refine=refine, again=again, changes=changes)
            runner.open_storage()
            runner.callbacks.call("on_sweep_start", runner.progress())
            summary = runner.finish(runner.execute(Execution(jobs, gpus, time_limit, address, node_timeout), stop))
            runner.callbacks.call("on_sweep_end", summary)
            return summary
    finally:
        folder.release()
