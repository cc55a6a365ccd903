"""Passwords in addresses are shown nowhere: messages, tracebacks, logs, files, arguments of processes."""

import base64
import json
import logging
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from click.testing import CliRunner
from driving import alone, free_port, mlflow_server

from lyapsweep import tracking
from lyapsweep.cli import main
from lyapsweep.cli.errors import CommandError
from lyapsweep.sweep.execute.ray_cluster import Execution, cluster
from lyapsweep.sweep.plan.definition import SweepError

SECRET = "s3cr3t"
SERVER = f"http://me:{SECRET}@127.0.0.1:9"

SWEEP = """
from lyapsweep.sweep import Sweep
SWEEP = Sweep(base="c.yaml", objective="loss", grid={"seed": [0, 1]})
"""
CONFIG = """
dataset: {kind: simulated, system: henon, length: 400}
cell: {kind: vanilla, units: 4}
windows: {length: 20, batch: 4}
training: {steps: 2}
lyapunov: {steps: 20, warmup: 5, orbits: 2}
measures: [loss]
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "s.py").write_text(SWEEP)
    (tmp_path / "c.yaml").write_text(CONFIG)
    (tmp_path / "results/x/records").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    for variable in ("MLFLOW_TRACKING_URI", "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"):
        monkeypatch.delenv(variable, raising=False)
        monkeypatch.setenv(variable, "")  # so that what the commands set is undone
        monkeypatch.delenv(variable)
    return tmp_path


COMMANDS = ["sync x", "atlas x", "open x --no-browser", "sweep s.py", "run c.yaml"]


@pytest.mark.parametrize("debug", ["", " --debug"])
@pytest.mark.parametrize("command", COMMANDS)
def test_no_command_prints_the_password_of_a_server(folder, command, debug):
    done = CliRunner().invoke(main, [*command.split(), *debug.split(), "--tracking-uri", SERVER])
    assert done.exit_code in (1, 2)
    assert SECRET not in done.output
    assert "Warning: --tracking-uri holds a password" in done.output
    assert "no tracking server responds" in done.output
    assert ("Traceback" in done.output) == bool(debug)


def test_from_the_environment_there_is_no_warning(folder, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", SERVER)
    done = CliRunner().invoke(main, ["run", "c.yaml"])
    assert done.exit_code == 1
    assert "http://127.0.0.1:9: no tracking server" in done.output.replace("me:***@", "")
    assert "Warning" not in done.output
    assert SECRET not in done.output


def test_an_address_that_is_none_keeps_its_password(folder):
    done = CliRunner().invoke(main, ["sweep", "s.py", "--tracking-uri", f"ftp://me:{SECRET}@127.0.0.1:9"])
    assert done.exit_code == 1
    assert "ftp://me:***@127.0.0.1:9: not a tracking URI" in done.output
    assert SECRET not in done.output


def test_every_message_of_a_command_is_redacted():
    assert CommandError(f"postgresql://me:{SECRET}@host/x is gone").message == "postgresql://me:***@host/x is gone"


@pytest.mark.cluster
def test_an_address_of_ray_keeps_its_password(monkeypatch, capfd):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    message = r"cannot be reached at ray://me:\*\*\*@127.0.0.1:9"
    with (
        pytest.raises(SweepError, match=message) as raised,
        cluster(Execution(1, address=f"ray://me:{SECRET}@127.0.0.1:9")),
    ):
        pass
    assert SECRET not in str(raised.value) + "".join(capfd.readouterr())


class Server(BaseHTTPRequestHandler):
    """Answers as MLflow's server with passwords does, and notes who asked."""

    seen: list[str] = []

    def do_GET(self):
        self.answer()

    def do_POST(self):
        self.answer()

    def answer(self):
        user = self.headers.get("Authorization", "")
        self.seen.append(user)
        known = user == "Basic " + base64.b64encode(f"me:p@{SECRET}".encode()).decode()
        body = json.dumps({"experiments": []}).encode() if known else b"no"
        self.send_response(200 if known or self.path == "/health" else 401)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


def test_a_server_is_asked_with_the_password_of_its_address(folder, caplog):
    with HTTPServer(("127.0.0.1", 0), Server) as server, caplog.at_level(logging.DEBUG):
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            client = tracking.connect(f"http://me:p%40{SECRET}@127.0.0.1:{server.server_port}")
            assert client.search_experiments() == []
        finally:
            server.shutdown()
    assert SECRET not in client.tracking_uri
    assert SECRET not in caplog.text


@pytest.mark.cluster
def test_nothing_that_a_run_leaves_holds_the_password(folder):
    port = free_port()
    with mlflow_server(folder / "server", port):
        uri = f"http://me:{SECRET}@127.0.0.1:{port}"
        commands = (["run", "c.yaml", "--debug"], ["sweep", "s.py", "--jobs", "1"], ["atlas", "s"])
        ended = [
            subprocess.run(
                [sys.executable, "-m", "lyapsweep", *command, "--tracking-uri", uri],
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
                env=alone(),
            )
            for command in commands
        ]
        assert len(tracking.read("s", uri).finals) == 2
    output = "".join(each.stdout for each in ended)
    assert [each.returncode for each in ended] == [0, 0, 0], output
    assert SECRET not in output
    for file in folder.rglob("*"):
        assert not file.is_file() or SECRET.encode() not in file.read_bytes(), file
