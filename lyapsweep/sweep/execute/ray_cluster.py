"""Ray: a cluster to train on, and the Tuner that feeds packs to it."""

import contextlib
import logging
import math
import os
import signal
import tempfile
import threading
import time
from collections.abc import Iterator

import ray
from ray import tune
from ray.autoscaler.sdk import request_resources
from ray.tune.schedulers import ASHAScheduler, FIFOScheduler, TrialScheduler

from lyapsweep.config import Config
from lyapsweep.sweep.execute.failures import Interrupted
from lyapsweep.sweep.execute.searcher import PackSearcher
from lyapsweep.sweep.execute.trainable import PackTrainable
from lyapsweep.sweep.execute.tune_callback import TuneCallback
from lyapsweep.sweep.plan.definition import Sweep, SweepError

SWITCHES = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",  # a data set's relative path means on a worker what it means here
    "RAY_AIR_NEW_OUTPUT": "0",  # the new one prints tables even where it is told to be silent
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "3600",  # resuming reads the records, never Ray's snapshots
}
JOINING = 900.0  # seconds in which the first node of an autoscaled cluster should be there
MOST = 10_000  # packs at a time that Ray is told to expect
OBJECT_STORE = 128 * 1024**2  # bytes; results are small, and a laptop's memory is not ours


def wait_for_nodes(address: str | None) -> float:
    """Seconds for which it makes sense to wait for a node: none on this machine."""
    return JOINING if address or os.environ.get("RAY_ADDRESS") else 0.0


@contextlib.contextmanager
def cluster(address: str | None, jobs: int | None) -> Iterator[None]:
    """A Ray to work on: the one that this process has, the one at `address` (or RAY_ADDRESS), or one for the sweep."""
    for switch, setting in SWITCHES.items():
        os.environ.setdefault(switch, setting)
    if ray.is_initialized():
        yield
        return
    quiet = {"include_dashboard": False, "log_to_driver": False, "logging_level": logging.ERROR}
    address = address or os.environ.get("RAY_ADDRESS")
    heard = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        if address:
            ray.init(address=address, runtime_env={"env_vars": SWITCHES}, **quiet)
        else:
            ray.init(address="local", num_cpus=jobs, object_store_memory=OBJECT_STORE, **quiet)
    except Exception as error:  # Ray says "timed out during startup" with a bare one
        where = f"cannot be reached at {address}" if address else "did not start (a busy machine may need a second try)"
        raise SweepError(f"Ray {where}: {error}") from error
    if threading.current_thread() is threading.main_thread():
        for number, handler in heard.items():  # Ray puts its own in their place, which abort this process
            signal.signal(number, handler)
    try:
        yield
    finally:
        if address:
            with contextlib.suppress(Exception):  # the head may be gone
                request_resources(bundles=[])
        ray.shutdown()  # which ends every worker of this driver at once


class ClusterCapacity:
    """How many packs can train at a time, as nodes come and go: asked of Ray every few seconds, at most `jobs`."""

    EVERY = 2.0  # seconds

    def __init__(self, jobs: int | None, gpus: float):
        self.jobs, self.gpus, self.asked, self.packs = jobs, gpus, -math.inf, 0

    def __call__(self) -> int:
        if time.monotonic() - self.asked >= self.EVERY:
            self.asked, resources = time.monotonic(), ray.cluster_resources()
            room = resources.get("GPU", 0.0) / self.gpus if self.gpus else resources.get("CPU", 0.0)
            self.packs = math.floor(room) if self.jobs is None else min(self.jobs, math.floor(room))
        return self.packs

    def wait(self, packs: int, seconds: float, stop: threading.Event) -> None:
        """Ask an autoscaler, where there is one, for room for so many packs, and wait for the first."""
        bundle = {"CPU": 1.0} | ({"GPU": self.gpus} if self.gpus else {})
        if seconds:
            request_resources(bundles=[bundle] * min(packs, self.jobs or MOST, MOST))
        began = time.monotonic()
        while self() < 1:
            if stop.wait(1.0):
                raise Interrupted
            if time.monotonic() - began >= seconds:
                there = " and ".join(f"{ray.cluster_resources().get(what, 0):g} {what}s" for what in bundle)
                raise SweepError(f"A pack asks for {bundle}, but Ray has {there}. Ask for less, or add nodes.")


def train(sweep: Sweep, base: Config, searcher: PackSearcher, watch: TuneCallback, gpus: float) -> None:
    """Feed packs to Ray until the searcher has no more. Raises `Interrupted` where a signal asked for an end."""
    mode = "min" if sweep.direction == "minimise" else "max"
    with tempfile.TemporaryDirectory() as scratch:
        tuner = tune.Tuner(
            tune.with_resources(PackTrainable, {"cpu": 1, "gpu": gpus}),
            tune_config=tune.TuneConfig(
                search_alg=searcher,
                scheduler=scheduler(sweep, base),
                metric="objective",
                mode=mode,
                num_samples=-1,
                max_concurrent_trials=MOST,  # `Packs` knows how much room there is
                reuse_actors=True,
                trial_dirname_creator=lambda trial: trial.trial_id,
            ),
            run_config=tune.RunConfig(
                name=sweep.name,
                storage_path=scratch,
                verbose=0,
                callbacks=[watch],
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
                failure_config=tune.FailureConfig(max_failures=0),  # `Packs` retries
            ),
        )
        logging.getLogger("ray.tune").setLevel(logging.CRITICAL)  # what fails is in the records, with its traceback
        tuner.fit()


def scheduler(sweep: Sweep, base: Config) -> TrialScheduler:
    """A map is trained to its end. A hunt halves successively: at each rung the best third goes on (ASHA)."""
    if sweep.intent == "map":
        return FIFOScheduler()
    steps, every = base.training.steps, base.training.report_every or base.training.steps
    grace = min(max(every, steps // 9), steps)
    return ASHAScheduler(time_attr="step", max_t=steps, grace_period=grace, reduction_factor=3)
