"""Drivers of sweeps as processes that can be killed, and what they leave: for the tests of faults."""

import contextlib
import json
import os
import pickle
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from made_up_sweeps import TINY, states, written
from mlflow import MlflowClient
from ray import cloudpickle
from waiting import HANGS

from lyapsweep.results.record import Record
from lyapsweep.sweep import Sweep
from lyapsweep.sweep.observe.summary import SweepSummary

SCRIPT = """
import json, sys
from lyapsweep.sweep import load
from lyapsweep.sweep.execute.runner import run

def listen(progress):
    print("PROGRESS", progress.done, progress.running, flush=True)

settings = json.loads(sys.argv[3])
summary = run(load(sys.argv[1]), results=sys.argv[2], listen=listen, **settings)
told = summary.progress
print("SUMMARY", summary.interrupted, told.finished, summary.message, "NOTES", summary.notes, flush=True)
"""


def slow_sweep(folder: Path, trials: int = 3, steps: int = 1500) -> Path:
    """Trials of a second or more each, one after another."""
    (folder / "tiny.yaml").write_text(TINY.replace("steps: 4, report_every: 2", f"steps: {steps}, report_every: 300"))
    text = f"SWEEP = Sweep(base='tiny.yaml', objective='loss', grid={{'seed': list(range({trials}))}}, pack=1)"
    return written(folder, f"from lyapsweep.sweep import Sweep\n{text}\n")


def start(folder: Path, sweep: Path, results: Path | None = None, **settings) -> subprocess.Popen:
    """A driver of `sweep` into `folder/results`; its output is a line for every event."""
    (folder / "script.py").write_text(SCRIPT)
    told = json.dumps({"jobs": 1} | settings)
    command = [sys.executable, str(folder / "script.py"), str(sweep), str(results or folder / "results"), told]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=alone(), start_new_session=True
    )


def alone() -> dict[str, str]:
    """An environment that knows of this checkout and of no server."""
    tests = Path(__file__).parent
    told = {k: v for k, v in os.environ.items() if k not in ("MLFLOW_TRACKING_URI", "RAY_ADDRESS", "OPTUNA_STORAGE")}
    return told | {"PYTHONPATH": f"{tests.parent}{os.pathsep}{tests}"}


APART = """
import pickle, sys
from lyapsweep.sweep.execute.runner import run

with open(sys.argv[1], "rb") as file:
    sweep, settings = pickle.load(file)
told, end = [], None
try:
    end = run(sweep, listen=told.append, **settings)
except Exception as error:
    end = error
with open(sys.argv[2], "wb") as file:
    pickle.dump((end, told), file)
"""


def run(sweep: Sweep, listen: Callable[[Any], None] = lambda progress: None, **settings: Any) -> SweepSummary:
    """Run `runner.run` in a process of its own: a Ray that dies takes its driver along, and no other test.

    `listen` hears of the progress afterwards.
    """
    with tempfile.TemporaryDirectory() as place:
        asked, answered = Path(place, "asked"), Path(place, "answered")
        asked.write_bytes(cloudpickle.dumps((sweep, settings)))
        ended = subprocess.run(
            [sys.executable, "-c", APART, asked, answered],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=alone(), start_new_session=True,
        )  # fmt: skip
        assert answered.exists(), f"The driver ended with {ended.returncode}:\n{ended.stdout}"
        end, told = pickle.loads(answered.read_bytes())
    for progress in told:
        listen(progress)
    if isinstance(end, Exception):
        raise end
    return end


def wait_for(process: subprocess.Popen, moment: str) -> None:
    """Until the driver tells of this moment, such as `PROGRESS 1 1`: one trial has ended and the next one trains."""
    assert process.stdout is not None
    seen = []
    for line in process.stdout:
        seen.append(line)
        if line.startswith(moment):
            return
    raise AssertionError(f"'{moment}' was never seen in {''.join(seen)}")


def workers_of(driver: int) -> list[int]:
    """The processes below a driver that train packs."""
    table = [
        line.split(None, 2) for line in subprocess.check_output(["ps", "-eo", "pid,ppid,args"], text=True).split("\n")
    ]
    rows = [(int(pid), int(parent), args) for pid, parent, args in (row for row in table[1:] if len(row) == 3)]
    below = {driver}
    while more := {pid for pid, parent, _ in rows if parent in below} - below:
        below |= more
    return [pid for pid, _, args in rows if pid in below and args.startswith(("ray::Pack", "ray::ResourceTrainable"))]


def wait_until_done(process: subprocess.Popen, trials: int) -> None:
    """Until so many trials have ended; several may end at one event."""
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("PROGRESS") and int(line.split()[1]) >= trials:
            return
    raise AssertionError(f"{trials} trials never ended")


def runs_of(results: Path, name: str, uri: str | None = None) -> list:
    """MLflow's runs of the sweep's trials."""
    client = MlflowClient(tracking_uri=uri or f"sqlite:///{results / 'mlflow.db'}")
    experiment = client.get_experiment_by_name(name)
    assert experiment is not None
    return [r for r in client.search_runs([experiment.experiment_id]) if "summary" not in r.data.tags]


def last_records(folder: Path) -> list[Record]:
    """The last record of every trial."""
    files = {file.name.partition("-")[0]: file for file in sorted(folder.glob("records/*.npz"))}
    return [Record.load(file) for file in files.values()]


def last_outcomes(folder: Path) -> dict[int, str]:
    return {record.config.seed: record.outcome.value for record in last_records(folder)}


def in_order(results: Path, name: str, trials: int, uri: str | None = None, url: str | None = None) -> None:
    """What must hold after whatever happened: finished = asked, nothing twice, nothing RUNNING, no half files.

    `uri` is MLflow's, `url` that of Optuna's database, where they are not in the results folder.
    """
    finals = last_records(results / name)
    assert [r.outcome.value for r in finals] == ["finished"] * trials
    assert not list((results / name).rglob("*.part"))
    runs = runs_of(results, name, uri)
    assert len(runs) == len({r.data.tags["trial_key"] for r in runs}) == trials
    assert {r.info.status for r in runs} == {"FINISHED"}
    client = MlflowClient(tracking_uri=uri or f"sqlite:///{results / 'mlflow.db'}")
    for run in runs:
        steps = [m.step for m in client.get_metric_history(run.info.run_id, "measures/loss")]
        assert len(steps) == len(set(steps))
    counted = states(results / name, name, url)
    assert counted.count("COMPLETE") == trials
    assert not {"RUNNING", "WAITING"} & set(counted)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@contextlib.contextmanager
def mlflow_server(folder: Path, port: int, backend: str | None = None):
    """`mlflow server`, up when this is entered and gone, with its workers, when it is left."""
    folder.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", backend or f"sqlite:///{folder / 'mlflow.db'}"]
    command += ["--artifacts-destination", str(folder / "artifacts")]
    settings = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    with (folder / "server.log").open("ab") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, env=settings, start_new_session=True)
    try:
        for _ in range(2 * HANGS):
            with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=1):
                break
            assert server.poll() is None, (folder / "server.log").read_text()
            time.sleep(0.5)
        yield server
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)
        server.wait()
