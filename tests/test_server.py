"""MLflow's server as `lyapsweep open` runs it, without starting one."""

import signal
import socket
import subprocess
from types import SimpleNamespace

import pytest

from lyapsweep.tracking import TrackingError, experiment_view, server


class Process:
    """A process that answers to `poll` with each of `polls`, and ends with the signal `ends_with`."""

    pid = 123

    def __init__(self, polls=(), ends_with=signal.SIGTERM):
        self.polls, self.ends_with, self.signals, self.waits = list(polls), ends_with, [], []

    def poll(self):
        return self.polls.pop(0) if self.polls else None

    def wait(self, seconds):
        self.waits.append(seconds)
        if self.signals[-1] != self.ends_with:
            raise subprocess.TimeoutExpired("mlflow", seconds)


@pytest.fixture
def popen(monkeypatch):
    """What `serve` starts instead of MLflow; an address that `healthy` answers to."""
    started, process = [], Process()

    def start(command, **options):
        started.append((command, options))
        return process

    monkeypatch.setattr(server.subprocess, "Popen", start)
    monkeypatch.setattr(server, "stop", lambda p: started.append("stopped"))
    return started


def test_a_server_is_started_at_its_port_and_stopped(popen, monkeypatch):
    monkeypatch.setattr(server, "wait_until_healthy", lambda address, process: True)
    with server.serve("sqlite:///x.db", None) as address:
        assert popen[-1] != "stopped"
    command, options = popen[0]
    port = command[command.index("--port") + 1]
    assert address == f"http://127.0.0.1:{port}"
    assert 1024 < int(port) < 65536
    assert command[1:4] == ["-m", "mlflow", "server"]
    assert options["env"]["MLFLOW_BACKEND_STORE_URI"] == "sqlite:///x.db"
    assert "x.db" not in " ".join(command)
    assert command[command.index("--host") + 1] == "127.0.0.1"
    assert command[command.index("--workers") + 1] == "1"
    assert options["start_new_session"] is True
    assert options["env"]["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] == "false"
    assert "PATH" in options["env"]
    assert popen[-1] == "stopped"


@pytest.mark.parametrize(("output", "said"), [("a\nlast line\n\n", "last line"), ("", "no output")])
def test_a_server_that_does_not_start_is_an_error_with_its_last_line(popen, monkeypatch, output, said):
    def fails(address, process):
        popen[0][1]["stdout"].write(output)
        popen[0][1]["stdout"].flush()
        return False

    monkeypatch.setattr(server, "wait_until_healthy", fails)
    message = rf"sqlite:///x.db: MLflow's server did not start \({said}\)"
    with pytest.raises(TrackingError, match=message), server.serve("sqlite:///x.db"):
        pass
    assert popen[-1] == "stopped"
    assert popen[0][1]["stdout"] is popen[0][1]["stderr"]


def test_a_free_port_is_found_and_a_given_one_kept():
    port = server.usable_port(None)
    assert server.usable_port(port) == port
    with socket.socket() as taken:
        taken.bind((server.HOST, 0))
        taken.listen()
        with pytest.raises(TrackingError, match="cannot be used"):
            server.usable_port(taken.getsockname()[1])
    with pytest.raises(TrackingError, match="Port 70000 cannot be used"):
        server.usable_port(70000)


def asked(monkeypatch, failures):
    calls, pauses = [], []

    def urlopen(address, timeout):
        calls.append((address, timeout))
        if len(calls) <= failures:
            raise OSError("not yet")
        return SimpleNamespace(close=lambda: None)

    monkeypatch.setattr(server.urllib.request, "urlopen", urlopen)
    monkeypatch.setattr(server.time, "sleep", pauses.append)
    return calls, pauses


def test_the_server_is_asked_until_it_answers(monkeypatch):
    calls, pauses = asked(monkeypatch, 2)
    assert server.wait_until_healthy("http://x", Process())
    assert calls == [("http://x/health", 5)] * 3
    assert pauses == [0.2, 0.2]


def test_waiting_ends_with_the_process_or_after_three_minutes(monkeypatch):
    assert (server.START_TIMEOUT, server.STOP_TIMEOUT) == (180.0, 10.0)
    calls, _ = asked(monkeypatch, 1000)
    assert not server.wait_until_healthy("http://x", Process(polls=[None, 1]))
    assert len(calls) == 1
    times = iter([0.0, 179.9, 180.0])
    monkeypatch.setattr(server.time, "monotonic", lambda: next(times))
    assert not server.wait_until_healthy("http://x", Process())
    assert len(calls) == 2


@pytest.mark.parametrize("ends_with", [signal.SIGTERM, signal.SIGKILL])
def test_the_whole_group_is_terminated_and_then_killed(monkeypatch, ends_with):
    process = Process(ends_with=ends_with)
    monkeypatch.setattr(server.os, "killpg", lambda pid, kind: process.signals.append(kind))
    server.stop(process)
    assert process.signals == [signal.SIGTERM, signal.SIGKILL][: 1 if ends_with == signal.SIGTERM else 2]
    assert set(process.waits) == {10.0}


def test_a_group_that_is_gone_is_waited_for(monkeypatch):
    process = Process()

    def gone(pid, kind):
        process.signals.append(kind)
        raise ProcessLookupError

    monkeypatch.setattr(server.os, "killpg", gone)
    server.stop(process)
    assert process.signals == [signal.SIGTERM]


@pytest.mark.parametrize("saved", [True, False])
def test_the_page_of_an_experiment_opens_with_its_view(monkeypatch, saved):
    tags = {experiment_view.TAG: "{}"} if saved else {}
    found = SimpleNamespace(experiment_id="4", tags=tags)
    monkeypatch.setattr(server, "find_experiment", lambda name, uri: found)
    assert server.page("which", "uri", "http://x") == experiment_view.page_address("http://x", "4", saved)
