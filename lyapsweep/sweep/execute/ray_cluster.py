"""Ray: a cluster to train on, its capacity, and the Tuner that trains packs on it."""

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

from lyapsweep.config import Config
from lyapsweep.redaction import redact
from lyapsweep.sweep.execute.failures import Interrupted
from lyapsweep.sweep.execute.halving import scheduler
from lyapsweep.sweep.execute.searcher import PackSearcher
from lyapsweep.sweep.execute.trainable import PackTrainable
from lyapsweep.sweep.execute.tune_callback import TuneCallback
from lyapsweep.sweep.plan.definition import Sweep, SweepError

ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",  # relative paths of data sets are the same on a worker as here
    "RAY_AIR_NEW_OUTPUT": "0",  # the new output prints tables even with verbose=0
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "3600",  # sweeps resume from records, not from Ray's snapshots
}
NODE_TIMEOUT = 900.0  # seconds in which the first node of an autoscaled cluster should have joined
MAX_PACKS = 10_000  # packs at a time that Ray is told to expect
OBJECT_STORE = 128 * 1024**2  # bytes; results are small


def node_timeout(address: str | None) -> float:
    """Seconds to wait for a first node: none on this machine."""
    return NODE_TIMEOUT if address or os.environ.get("RAY_ADDRESS") else 0.0


@contextlib.contextmanager
def cluster(address: str | None, jobs: int | None) -> Iterator[None]:
    """Connect to Ray: this process's own, the one at `address` (or RAY_ADDRESS), or a new one for the sweep."""
    for variable, setting in ENVIRONMENT.items():
        os.environ.setdefault(variable, setting)
    if ray.is_initialized():
        yield
        return
    quiet = {"include_dashboard": False, "log_to_driver": False, "logging_level": logging.ERROR}
    address = address or os.environ.get("RAY_ADDRESS")
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        if address:
            ray.init(address=address, runtime_env={"env_vars": ENVIRONMENT}, **quiet)
        else:
            ray.init(address="local", num_cpus=jobs, object_store_memory=OBJECT_STORE, **quiet)
    except Exception as error:  # Ray raises a bare one where it times out during startup
        where = (
            f"cannot be reached at {redact(address)}"
            if address
            else "did not start (a busy machine may need a second try)"
        )
        raise SweepError(f"Ray {where}: {redact(str(error))}. Check the address and start again.") from error
    if threading.current_thread() is threading.main_thread():
        for number, handler in handlers.items():  # Ray's own handlers abort this process
            signal.signal(number, handler)
    try:
        yield
    finally:
        if address:
            with contextlib.suppress(Exception):  # the head may be gone
                request_resources(bundles=[])
        ray.shutdown()  # which ends every worker of this driver at once


class ClusterCapacity:
    """How many packs can train at a time as nodes come and go: asked of Ray every few seconds, at most `jobs`."""

    INTERVAL = 2.0  # seconds

    def __init__(self, jobs: int | None, gpus: float):
        self.jobs, self.gpus, self.updated, self.packs = jobs, gpus, -math.inf, 0

    def __call__(self) -> int:
        if time.monotonic() - self.updated >= self.INTERVAL:
            self.updated, resources = time.monotonic(), ray.cluster_resources()
            packs = math.floor(resources.get("GPU", 0.0) / self.gpus if self.gpus else resources.get("CPU", 0.0))
            self.packs = packs if self.jobs is None else min(self.jobs, packs)
        return self.packs

    def wait(self, packs: int, timeout: float, stop: threading.Event) -> None:
        """Request capacity for `packs` from an autoscaler, if there is one, and wait until one pack fits."""
        bundle = {"CPU": 1.0} | ({"GPU": self.gpus} if self.gpus else {})
        if timeout:
            request_resources(bundles=[bundle] * min(packs, self.jobs or MAX_PACKS, MAX_PACKS))
        started = time.monotonic()
        while self() < 1:
            if stop.wait(1.0):
                raise Interrupted
            if time.monotonic() - started >= timeout:
                available = " and ".join(f"{ray.cluster_resources().get(kind, 0):g} {kind}s" for kind in bundle)
                raise SweepError(f"A pack needs {bundle}, but Ray has {available}. Request less, or add nodes.")


def train(sweep: Sweep, base: Config, searcher: PackSearcher, callback: TuneCallback, gpus: float) -> None:
    """Train packs on Ray until the searcher has no more. Raises `Interrupted`."""
    mode = "min" if sweep.direction == "minimise" else "max"
    with tempfile.TemporaryDirectory() as scratch:
        tuner = tune.Tuner(
            tune.with_resources(PackTrainable, {"cpu": 1, "gpu": gpus}),
            tune_config=tune.TuneConfig(
                search_alg=searcher,
                scheduler=scheduler(sweep.intent, base.training),
                metric="objective",
                mode=mode,
                num_samples=-1,
                max_concurrent_trials=MAX_PACKS,  # the searcher limits them by the capacity
                reuse_actors=True,
                trial_dirname_creator=lambda trial: trial.trial_id,
            ),
            run_config=tune.RunConfig(
                name=sweep.name,
                storage_path=scratch,
                verbose=0,
                callbacks=[callback],
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
                failure_config=tune.FailureConfig(max_failures=0),  # the searcher retries
            ),
        )
        logging.getLogger("ray.tune").setLevel(logging.CRITICAL)  # failures are in the records
        tuner.fit()
