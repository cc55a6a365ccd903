"""deploy/slurm/sweep.sbatch on a real Slurm of two nodes: a node is lost, the time limit comes, Ray does not start."""

import os
import sys
import time
from pathlib import Path

import pytest
import slurm_cluster
from driving import last_records

from lyapsweep.results.record import Outcome

ROOT = Path(__file__).resolve().parents[1]
SCRIPT = ROOT / "deploy/slurm/sweep.sbatch"
TRIALS = 16
SWEEP = '''"""A tiny sweep."""
from lyapsweep.sweep import Sweep
grid = {"training/lr": [1e-3, 2e-3, 3e-3, 5e-3], "cell/units": [5, 6, 7, 8]}
SWEEP = Sweep(base="tiny.yaml", objective="loss", grid=grid, pack=2)
'''
CONFIG = """dataset: {kind: simulated, system: henon, length: 600}
cell: {kind: vanilla, units: 5}
windows: {length: 30}
training: {steps: 20000, report_every: 1000}
lyapunov: {steps: 100, warmup: 20}
measures: [loss]
"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.cluster,
    pytest.mark.skipif(bool(slurm_cluster.missing()), reason=str(slurm_cluster.missing())),
]


@pytest.fixture
def slurm(tmp_path):
    with slurm_cluster.cluster(tmp_path / "slurm") as running:
        yield running


@pytest.fixture
def work(tmp_path):
    """A folder with a sweep and an environment that runs this checkout."""
    folder = tmp_path / "work"
    programs = folder / ".venv/bin"
    programs.mkdir(parents=True)
    (folder / "tiny.py").write_text(SWEEP)
    (folder / "tiny.yaml").write_text(CONFIG)
    for name, module in (("lyapsweep", "lyapsweep"), ("ray", "ray.scripts.scripts")):
        program = programs / name
        program.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -m {module} "$@"\n')
        program.chmod(0o755)
    return folder


def submit(slurm, folder: Path, minutes: int = 30) -> str:
    options = ("--parsable", "--cpus-per-task=1", f"--time={minutes}")
    return slurm.run("sbatch", *options, str(SCRIPT), "tiny.py", cwd=folder, VENV=str(folder / ".venv")).strip()


def log(folder: Path, job: str) -> str:
    file = folder / f"lyapsweep-{job}.log"
    return file.read_text() if file.exists() else ""


def wait_until(condition, seconds: float = 300) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.5)


def trained(folder: Path) -> None:
    """Every trial has ended once."""
    last = last_records(folder / "results/tiny")
    assert len(last) == TRIALS
    assert {record.outcome for record in last} == {Outcome.FINISHED}


def test_a_lost_node_takes_neither_the_job_nor_a_trial(slurm, work):
    job = submit(slurm, work)
    wait_until(lambda: "(2 finished" in log(work, job))
    slurm.kill_node("lyap-n2")
    assert slurm.wait(job, 600)["JobState"] == "COMPLETED", log(work, job)
    assert "its worker was lost" in log(work, job)
    trained(work)


def test_near_its_time_limit_the_job_is_requeued_and_goes_on(slurm, work):
    (work / "tiny.yaml").write_text(CONFIG.replace("20000", "100000"))
    job = submit(slurm, work, minutes=3)  # the signal comes two minutes before the end
    wait_until(lambda: slurm.job(job)["Restarts"] == "1")
    assert "Interrupted after" in log(work, job)
    assert slurm.job(job)["JobState"] == "PENDING"
    slurm.run("scancel", job)


def test_a_ray_that_does_not_start_fails_the_job(slurm, work):
    (work / ".venv/bin/ray").write_text("#!/bin/sh\necho no such library >&2; exit 1\n")
    job = submit(slurm, work)
    assert slurm.wait(job, 120)["JobState"] == "FAILED"
    assert "nothing was trained" in log(work, job)
    assert not os.listdir(work / "results")
