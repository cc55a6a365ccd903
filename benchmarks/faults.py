"""Faults done to a sweep that runs as a process of its own, for `benchmarks.reliability`."""

import collections
import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from lyapsweep.results.experiment import ExperimentPaths

TRIALS, RESUMES, LIMIT = 12, 6, 900  # trials of a sweep, most resumes, seconds of one command
CONFIG = """
dataset:  {kind: simulated, system: lorenz63, length: 600}
cell:     {kind: vanilla, units: 4}
windows:  {length: 20, batch: 4}
training: {steps: 900, report_every: 300}
lyapunov: {steps: 20, warmup: 5, orbits: 2}
measures: [loss]
"""
RECORDS = TRIALS * 4  # that a sweep writes
SWEEPS = {
    "grid": "grid={'seed': list(range(12))}, pack=2",
    "space": "space=space, trials=12, pack=2",
    "hunt": "space=space, trials=12, pack=1, intent='hunt'",
}
SWEEP = """
from lyapsweep.sweep import Sweep, spaces
def space(trial):
    spaces.log_float(trial, "training/lr", 1e-4, 1e-2)
SWEEP = Sweep(base="base.yaml", objective="loss", {arguments})
"""


class Unsound(AssertionError):
    """What must hold after a fault and does not."""


@dataclass
class Sweeping:
    """One sweep in a folder of its own, whose driver can be started, disturbed and resumed."""

    folder: Path
    mode: str
    rng: random.Random
    uri: str = ""
    store: str = ""  # of MLflow; the default one if empty
    environment: dict[str, str] = field(default_factory=dict)
    outputs: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "base.yaml").write_text(CONFIG)
        (self.folder / "s.py").write_text(SWEEP.format(arguments=SWEEPS[self.mode]))
        self.paths = ExperimentPaths(self.folder / "results" / "s")

    def start(self, *options: str) -> subprocess.Popen:
        command = [sys.executable, "-m", "lyapsweep", "sweep", "s.py", "--jobs", "2", *options]
        command += ["--tracking-uri", self.uri] if self.uri else []
        left_out = ("MLFLOW_TRACKING_URI", "RAY_ADDRESS", "OPTUNA_STORAGE")
        environment = {k: v for k, v in os.environ.items() if k not in left_out} | self.environment
        environment["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parents[1]), environment.get("PYTHONPATH", "")])
        with (self.folder / "log.txt").open("ab") as log:
            return subprocess.Popen(
                command, cwd=self.folder, env=environment, stdout=log, stderr=log, start_new_session=True
            )

    def records(self) -> int:
        return len(list(self.paths.records.glob("*.npz")))

    def wait_for_records(self, driver: subprocess.Popen, share: float | None = None) -> None:
        """Wait until a random share of the records is written, and a moment longer."""
        wanted = round((self.rng.random() if share is None else share) * (RECORDS - 4))
        self.wait_until(driver, lambda: self.records() >= wanted)
        time.sleep(self.rng.random())

    def wait_until(self, driver: subprocess.Popen, happened: Callable[[], bool]) -> None:
        while not happened() and driver.poll() is None:
            time.sleep(0.05)

    def end(self, driver: subprocess.Popen) -> int:
        """Wait for a driver; its exit status, or -99 if it had to be killed."""
        try:
            status = driver.wait(LIMIT)
        except subprocess.TimeoutExpired:
            status = -99
        with contextlib.suppress(ProcessLookupError):
            os.killpg(driver.pid, signal.SIGKILL)  # what a killed driver left
        driver.wait()
        return status

    def resume(self) -> int:
        """Resume until the sweep ends with 0; return how often that took."""
        for attempt in range(1, RESUMES + 1):
            if self.end(self.start("--resume")) == 0:
                return attempt
        raise Unsound(f"still not complete after {RESUMES} resumes: {(self.folder / 'log.txt').read_text()[-2000:]}")


def descendants(pid: int, words: str) -> list[int]:
    """Processes below `pid` whose command line holds `words`."""
    parents = collections.defaultdict(list)
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, IndexError, ValueError):
            parents[int((entry / "stat").read_text().rpartition(")")[2].split()[1])].append(int(entry.name))
    below, found = [pid], []
    while below:
        children = parents[below.pop()]
        below += children
        for child in children:
            with contextlib.suppress(OSError):
                if words in Path(f"/proc/{child}/cmdline").read_bytes().replace(b"\0", b" ").decode():
                    found.append(child)
    return found


def kill_one(sweeping: Sweeping, driver: subprocess.Popen, words: str) -> None:
    sweeping.wait_for_records(driver)
    if found := descendants(driver.pid, words):
        with contextlib.suppress(ProcessLookupError):
            os.kill(sweeping.rng.choice(found), signal.SIGKILL)


def worker(sweeping: Sweeping) -> None:
    """kill -9 of a worker"""
    driver = sweeping.start()
    kill_one(sweeping, driver, "Trainable")
    sweeping.end(driver)


def driver_killed(sweeping: Sweeping) -> None:
    """kill -9 of the driver"""
    driver = sweeping.start()
    sweeping.wait_for_records(driver)
    driver.kill()
    sweeping.end(driver)


def driver_at_start(sweeping: Sweeping) -> None:
    """kill -9 of the driver while stores are made"""
    driver = sweeping.start()
    results = sweeping.folder / "results"
    sweeping.wait_until(driver, lambda: any(results.glob("mlflow.db*")) or any(results.glob("s/*")))
    time.sleep(4 * sweeping.rng.random() ** 2)
    driver.kill()
    sweeping.end(driver)


def driver_at_end(sweeping: Sweeping) -> None:
    """kill -9 of the driver while the atlas is drawn"""
    driver = sweeping.start()
    sweeping.wait_until(driver, lambda: sweeping.records() >= RECORDS)
    time.sleep(3 * sweeping.rng.random())
    driver.kill()
    sweeping.end(driver)


def raylet(sweeping: Sweeping) -> None:
    """kill -9 of Ray's raylet"""
    driver = sweeping.start()
    kill_one(sweeping, driver, "raylet/raylet")
    sweeping.end(driver)


def gcs(sweeping: Sweeping) -> None:
    """kill -9 of Ray's control store (GCS)"""
    driver = sweeping.start()
    kill_one(sweeping, driver, "gcs_server")
    sweeping.end(driver)


def sigterm(sweeping: Sweeping) -> None:
    """SIGTERM to the driver"""
    driver = sweeping.start()
    sweeping.wait_for_records(driver)
    driver.terminate()
    sweeping.end(driver)


def disk_full(sweeping: Sweeping) -> None:
    """the disk is full (a file system of 64 MB)"""
    results = sweeping.folder / "results"
    results.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(results)], check=True, capture_output=True)
    driver = sweeping.start()
    sweeping.wait_for_records(driver)
    with contextlib.suppress(OSError), (results / "filler").open("wb", buffering=0) as filler:
        while True:
            filler.write(bytes(4096))
    sweeping.end(driver)
    (results / "filler").unlink()


def memory_monitor(sweeping: Sweeping) -> None:
    """Ray's memory monitor kills every worker"""
    sweeping.environment = {"RAY_memory_usage_threshold": "0.01", "RAY_memory_monitor_refresh_ms": "200"}
    driver = sweeping.start()
    sweeping.end(driver)
    sweeping.environment = {}


def tracker_away(sweeping: Sweeping) -> None:
    """the tracking server is away for a minute"""
    port = free_port()
    sweeping.uri = f"http://127.0.0.1:{port}"
    with tracking_server(sweeping.folder / "server", port):
        driver = sweeping.start()
        sweeping.wait_for_records(driver)
    time.sleep(60)
    with tracking_server(sweeping.folder / "server", port):
        sweeping.end(driver)
        sweeping.resume()
    sweeping.uri, sweeping.store = "none", f"sqlite:///{sweeping.folder}/server/mlflow.db"


def two_drivers(sweeping: Sweeping) -> None:
    """a second driver of the same sweep"""
    driver = sweeping.start()
    sweeping.wait_until(driver, lambda: sweeping.paths.lock.exists())
    time.sleep(5 * sweeping.rng.random())
    other = sweeping.start("--resume")
    statuses = sorted((sweeping.end(other), sweeping.end(driver)))
    if statuses not in ([0, 2], [0, 0]):  # the second may come when the first is done
        raise Unsound(f"two drivers ended with {statuses}")


FAULTS = (worker, driver_killed, driver_at_start, driver_at_end, raylet, gcs, sigterm, disk_full, memory_monitor)
FAULTS += (tracker_away, two_drivers)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@contextlib.contextmanager
def tracking_server(folder: Path, port: int) -> Iterator[None]:
    folder.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--artifacts-destination", f"{folder}/files"]
    environment = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with (folder / "log.txt").open("ab") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, env=environment, start_new_session=True)
    try:
        for _ in range(600):
            with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=1):
                break
            time.sleep(0.5)
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)
        server.wait()
