"""Sweeps on several nodes: raylets on this machine that are killed and that join, and a server on PostgreSQL."""

import contextlib
import dataclasses
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from driving import free_port, in_order, last_records, mlflow_server
from same import same_to_the_bit
from waiting import HANGS

from lyapsweep.sweep import load
from lyapsweep.sweep.observe.status import read_status
from lyapsweep.sweep.plan.packing import packs
from lyapsweep.sweep.plan.sampling import draw
from lyapsweep.trial import run_trials

ROOT = Path(__file__).resolve().parents[1]
SWEEP, NAME = "sweeps/forcing_interval.py", "forcing_interval"
WHERE = {"forcing/interval": [5, 8, 16]}
CHANGES = {
    "training/steps": 400,
    "training/report_every": 200,
    "windows/batch": 4,
    "dataset/length": 2000,
    "lyapunov/steps": 200,
    "lyapunov/warmup": 50,
    "measures": ["loss", "divergence", "gradients", "state_space"],
}
TRIALS = 27  # three cells, three intervals, three seeds: nine packs


@pytest.fixture
def nodes(monkeypatch):
    """A head without work and two nodes of one CPU each: separate raylets."""
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setenv("LYAPSWEEP_ENGINE", "torch")  # with "auto" losses differed once by 5e-8: unexplained
    small = {"object_store_memory": 100 * 2**20}
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False, **small})
    cluster.small = small
    try:
        cluster.workers = [cluster.add_node(num_cpus=1, **small) for _ in range(2)]
        yield cluster
    finally:
        cluster.shutdown()


def sweeping(folder: Path, address: str, uri: str | None = None) -> subprocess.Popen:
    """The command line's own sweep, on the cluster."""
    words = [f"--set={path}={value}" for path, value in CHANGES.items()]
    words += [f"--where={path}={value}" for path, value in WHERE.items()]
    words += ["--address", address, "--results", str(folder), *(["--tracking-uri", uri] if uri else [])]
    environment = {k: v for k, v in os.environ.items() if k not in ("MLFLOW_TRACKING_URI", "RAY_ADDRESS")}
    with (folder / "sweep.log").open("wb") as log:
        command = [sys.executable, "-m", "lyapsweep", "sweep", SWEEP, *words]
        return subprocess.Popen(command, stdout=log, stderr=log, env=environment, cwd=ROOT)


def wait_until_done(process: subprocess.Popen, folder: Path, trials: int) -> None:
    """Until so many trials have ended, by what any machine sees of the folder."""
    for _ in range(5 * HANGS):
        if (folder / NAME / "records").is_dir() and any((folder / NAME / "records").glob("*.npz")):
            with contextlib.suppress(ValueError):  # a file that is being replaced
                if read_status(folder / NAME).done >= trials:
                    return
        assert process.poll() is None, (folder / "sweep.log").read_text()
        time.sleep(0.2)
    raise AssertionError((folder / "sweep.log").read_text())


def ended_well(process: subprocess.Popen, folder: Path) -> str:
    assert process.wait(timeout=HANGS) == 0, (folder / "sweep.log").read_text()
    return (folder / "sweep.log").read_text()


def alone() -> dict:
    """The same packs trained in this process, one after another: the last record of each trial."""
    sweep = load(SWEEP)
    points = draw(dataclasses.replace(sweep, where=WHERE), base=sweep.config(CHANGES))
    before, last = torch.get_default_dtype(), {}
    torch.set_default_dtype(torch.float32)  # as outside of tests
    try:
        for pack in packs(points, 9):
            for records in run_trials([point.config for point in pack]):
                last |= {record.trial: record for record in records}
    finally:
        torch.set_default_dtype(before)
    return last


@pytest.mark.cluster
def test_nodes_die_another_joins_and_every_number_is_the_same_to_the_bit(nodes, tmp_path, monkeypatch):
    """Both nodes are killed: for a while there is nowhere to train, and what is left is trained where nobody was."""
    monkeypatch.chdir(ROOT)
    process = sweeping(tmp_path, nodes.address)
    wait_until_done(process, tmp_path, 1)
    for worker in nodes.workers:
        nodes.remove_node(worker, allow_graceful=False)
    third = nodes.add_node(num_cpus=1, **nodes.small)
    said = ended_well(process, tmp_path)
    assert f"{TRIALS}/{TRIALS}" in said
    in_order(tmp_path, NAME, TRIALS)
    trained_on = {r.provenance.node.partition("/")[2] for r in last_records(tmp_path / NAME)}
    assert third.node_id[:6] in trained_on
    mine = alone()
    assert len(mine) == TRIALS
    assert {r.provenance.engine for r in mine.values()} == {r.provenance.engine for r in last_records(tmp_path / NAME)}
    for record in last_records(tmp_path / NAME):
        same_to_the_bit(mine[record.trial], record)


# PostgreSQL


def postgres_programs() -> Path | None:
    """Where initdb and pg_ctl are: on the PATH, or where Debian keeps them."""
    found = shutil.which("initdb")
    there = [Path(found).resolve().parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    return there[-1] if there and (there[-1] / "pg_ctl").exists() else None


class Postgres:
    """A PostgreSQL of this test's own, on a port of its own; it refuses to run as root."""

    def __init__(self, folder: Path, port: int):
        self.programs, self.port = postgres_programs(), port
        self.user = "postgres" if os.geteuid() == 0 else None
        self.data, self.options = folder / "data", f"-p {port} -k {folder} -c listen_addresses=127.0.0.1"
        folder.mkdir()
        if self.user:
            shutil.chown(folder, self.user)
        self.run("initdb", "--auth=trust", "--username=mlflow", "-D", str(self.data))

    def run(self, program: str, *words: str) -> None:
        command = [str(self.programs / program), *words]
        subprocess.run(command, check=True, user=self.user, capture_output=True, cwd="/")

    def start(self) -> None:
        log = str(self.data / "log")
        subprocess.run(
            [str(self.programs / "pg_ctl"), "-D", str(self.data), "-o", self.options, "-l", log, "-w", "start"],
            check=True,
            user=self.user,
            stdout=subprocess.DEVNULL,
            cwd="/",
        )

    def stop(self) -> None:
        self.run("pg_ctl", "-D", str(self.data), "-m", "immediate", "stop")


@pytest.fixture
def postgres():
    pytest.importorskip("psycopg2", reason="pip install 'lyapsweep[cluster]' brings PostgreSQL's driver")
    if postgres_programs() is None:
        pytest.skip("no PostgreSQL is installed here (Debian: apt-get install postgresql)")
    import tempfile

    with tempfile.TemporaryDirectory(prefix="pg") as short:  # a socket's path may not be long
        os.chmod(short, 0o755)
        server = Postgres(Path(short) / "server", free_port())
        server.start()
        try:
            yield server
        finally:
            with contextlib.suppress(subprocess.CalledProcessError):
                server.stop()


@pytest.mark.cluster
@pytest.mark.slow
def test_two_nodes_and_a_server_on_postgresql_that_restarts(nodes, postgres, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    backend, port = f"postgresql+psycopg2://mlflow@127.0.0.1:{postgres.port}/postgres", free_port()
    uri = f"http://127.0.0.1:{port}"
    with mlflow_server(tmp_path / "mlflow", port, backend):
        process = sweeping(tmp_path, nodes.address, uri)
        wait_until_done(process, tmp_path, 1)
        postgres.stop()
        time.sleep(10)
        postgres.start()
        ended_well(process, tmp_path)
        in_order(tmp_path, NAME, TRIALS, uri)
    mine = alone()
    for record in last_records(tmp_path / NAME):
        same_to_the_bit(mine[record.trial], record)
