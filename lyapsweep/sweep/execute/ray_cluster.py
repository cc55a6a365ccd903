"""Ray: a cluster to train on, its capacity, and the Tuner that trains packs on it."""

import contextlib
import logging
import math
import os
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import ray
from ray import tune
from ray.autoscaler.sdk import request_resources
from ray.exceptions import RayError
from ray.tune.schedulers import FIFOScheduler

from lyapsweep.redaction import redact
from lyapsweep.sweep.execute.failures import Interrupted, explanation
from lyapsweep.sweep.execute.ray_monitor import RayMonitor
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
QUIET: dict[str, Any] = {"include_dashboard": False, "log_to_driver": False, "logging_level": logging.ERROR}
NODE_TIMEOUT = 900.0  # seconds to wait for a node of a cluster, which an autoscaler may start
LOST = 60.0  # seconds without a node of this machine's own Ray
CONNECT_TIMEOUT = 20.0  # seconds for a cluster's address to answer
STARTS = 2  # attempts to start Ray on this machine
TOO_LONG_PATH = "AF_UNIX path length"  # of sockets in the temporary folder
MAX_PACKS = 10_000  # packs at a time that Ray is told to expect
OBJECT_STORE = 128 * 1024**2  # bytes; results are small
IDLE = {"num_workers_soft_limit": 0, "idle_worker_killing_time_threshold_ms": 30_000}  # no worker stays without work


@dataclass(frozen=True)
class Execution:
    """Where and how packs train.

    Attributes:
        jobs: Number of packs trained at a time; None for one per CPU.
        gpus: GPUs per pack.
        time_limit: Seconds that a pack may train; None for no limit.
        address: A running Ray cluster; None for RAY_ADDRESS, else a Ray of this machine.
        node_timeout: Seconds that a cluster may be without a node, at the start and later; None for NODE_TIMEOUT.
    """

    jobs: int | None = None
    gpus: float = 0.0
    time_limit: float | None = None
    address: str | None = None
    node_timeout: float | None = None

    @property
    def cluster(self) -> str | None:
        """The cluster's address; None for a Ray of this machine."""
        return self.address or os.environ.get("RAY_ADDRESS")

    @property
    def first_node(self) -> float:
        """Seconds to wait for a first node: none on this machine."""
        return self.patience if self.cluster else 0.0

    @property
    def patience(self) -> float:
        """Seconds without any node after which the sweep ends."""
        if not self.cluster:
            return LOST
        return NODE_TIMEOUT if self.node_timeout is None else self.node_timeout


@contextlib.contextmanager
def cluster(execution: Execution) -> Iterator[RayMonitor]:
    """Connect to Ray: this process's own, the one at an address (or RAY_ADDRESS), or a new one for the sweep."""
    monitor = RayMonitor()
    for variable, setting in ENVIRONMENT.items():
        os.environ.setdefault(variable, setting)
    if ray.is_initialized():
        yield monitor
        return
    address = execution.cluster
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    if address:
        connect(address)
    else:
        start(execution.jobs)
        monitor.start()
    if threading.current_thread() is threading.main_thread():
        for number, handler in handlers.items():  # Ray's own handlers abort this process
            signal.signal(number, handler)
    try:
        yield monitor
    finally:
        monitor.end()
        if address:
            with contextlib.suppress(Exception):  # the head may be gone
                request_resources(bundles=[])
        ray.shutdown()  # which ends every worker of this driver at once


def connect(address: str) -> None:
    """Connect to a running cluster, or raise `SweepError` within seconds if nothing answers there."""
    try:
        if ("://" not in address and ":" in address) or address.startswith("ray://"):
            host, _, port = address.rpartition("/")[2].rpartition("@")[2].rpartition(":")
            socket.create_connection((host.strip("[]"), int(port)), CONNECT_TIMEOUT).close()
        ray.init(address=address, runtime_env={"env_vars": ENVIRONMENT}, **QUIET)
    except Exception as error:
        raise SweepError(
            redact(f"Ray cannot be reached at {address}: {error}. Check the address, or start Ray there.")
        ) from error


def start(jobs: int | None) -> None:
    """Start Ray on this machine; a busy machine may need a second attempt."""
    for attempt in range(STARTS):
        try:
            ray.init(address="local", num_cpus=jobs, object_store_memory=OBJECT_STORE, _system_config=IDLE, **QUIET)
            return
        except Exception as error:  # Ray raises a bare one where it times out during startup
            ray.shutdown()
            if TOO_LONG_PATH in str(error):
                raise SweepError(
                    f"Ray did not start: {error}. Set RAY_TMPDIR to a folder with a shorter path."
                ) from error
            if attempt == STARTS - 1:
                raise SweepError(
                    f"Ray did not start on this machine, in {STARTS} attempts: {error}. Start again, or use --jobs 1."
                ) from error


class ClusterCapacity:
    """How many packs can train at a time as nodes come and go: asked of Ray every few seconds, at most `jobs`.

    Raises `Interrupted` when no pack fits anywhere for `execution.patience` seconds, after one has, or Ray died.
    """

    INTERVAL = 2.0  # seconds

    def __init__(self, execution: Execution, monitor: RayMonitor | None = None):
        self.execution, self.monitor, self.updated, self.packs = execution, monitor or RayMonitor(), -math.inf, 0
        self.last_fit = math.inf  # when a pack fitted last

    def __call__(self) -> int:
        self.monitor.check()
        now, jobs, gpus = time.monotonic(), self.execution.jobs, self.execution.gpus
        if now - self.updated >= self.INTERVAL:
            self.updated, resources = now, ray.cluster_resources()
            packs = math.floor(resources.get("GPU", 0.0) / gpus if gpus else resources.get("CPU", 0.0))
            self.packs = packs if jobs is None else min(jobs, packs)
            if self.packs:
                self.last_fit = now
            elif now - self.last_fit > self.execution.patience:
                whose = "the cluster" if self.execution.cluster else "this machine's Ray"
                raise Interrupted(f"{whose} has had no node to train on for {self.execution.patience:g} s")
        return self.packs

    def wait(self, packs: int, stop: threading.Event) -> None:
        """Request capacity for `packs` from an autoscaler, if there is one, and wait until one pack fits."""
        jobs, gpus, timeout = self.execution.jobs, self.execution.gpus, self.execution.first_node
        bundle = {"CPU": 1.0} | ({"GPU": gpus} if gpus else {})
        if timeout:
            request_resources(bundles=[bundle] * min(packs, jobs or MAX_PACKS, MAX_PACKS))
        started = time.monotonic()
        while self() < 1:
            if stop.wait(1.0):
                raise Interrupted
            if time.monotonic() - started >= timeout:
                available = " and ".join(f"{ray.cluster_resources().get(kind, 0):g} {kind}s" for kind in bundle)
                raise SweepError(f"A pack needs {bundle}, but Ray has {available}. Request less, or add nodes.")


def train(sweep: Sweep, searcher: PackSearcher, callback: TuneCallback, gpus: float) -> None:
    """Train packs on Ray until the searcher has no more. Raises `Interrupted`."""
    mode = "min" if sweep.direction == "minimise" else "max"
    with tempfile.TemporaryDirectory() as scratch:
        tuner = tune.Tuner(
            tune.with_resources(PackTrainable, {"cpu": 1, "gpu": gpus}),
            tune_config=tune.TuneConfig(
                search_alg=searcher,
                scheduler=sweep.scheduler or FIFOScheduler(),  # halving acts inside packs
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
        try:
            tuner.fit()
        except (RayError, RuntimeError) as error:  # of Ray's own loop: failures of trials end in records
            logging.getLogger("lyapsweep").debug("Ray's loop failed.", exc_info=True)
            raise Interrupted(f"Ray failed ({explanation(str(error)) or type(error).__name__})") from error
