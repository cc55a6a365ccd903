"""MLflow's pages: where an experiment is shown, and a server for a store that has none."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator

from lyapsweep.tracking import experiment_view
from lyapsweep.tracking.stores import TrackingError, find

HOST = "127.0.0.1"
PATIENCE = 180.0  # seconds that a server may take to start
GRACE = 10.0  # and to end


def page(experiment: str, uri: str, server: str) -> str:
    """The address of an experiment of the store `uri`, on the pages of `server`. Errors as `ledger.find`."""
    found = find(experiment, uri)
    return experiment_view.address(server, found.experiment_id, experiment_view.TAG in found.tags)


@contextlib.contextmanager
def serving(uri: str, port: int | None = None) -> Iterator[str]:
    """A server of MLflow's pages on this machine alone, as long as the context lasts; yields its address.

    At a free port where none is given. Raises `TrackingError` where the port is taken or the server does not start.
    """
    port = free(port)
    command = [
        sys.executable,
        "-m",
        "mlflow",
        "server",
        "--backend-store-uri",
        uri,
        "--host",
        HOST,
        "--port",
        str(port),
    ]
    environment = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}  # eight processes that nobody needs here
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(
            [*command, "--workers", "1"], stdout=said, stderr=said, env=environment, start_new_session=True
        )
        try:
            address = f"http://{HOST}:{port}"
            if not answers(address, process):
                said.seek(0)
                last = said.read().strip().splitlines()[-1:] or ["it said nothing"]
                raise TrackingError(f"MLflow's server for {uri} did not start: {last[0]}.")
            yield address
        finally:
            end(process)


def free(port: int | None) -> int:
    """The port, or some free one; `TrackingError` where it is taken."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port or 0))
        except (OSError, OverflowError) as error:
            raise TrackingError(
                f"Port {port} cannot be used ({error}). Choose another, or none for a free one."
            ) from error
        return probe.getsockname()[1]


def answers(address: str, process: subprocess.Popen) -> bool:
    """Wait until the server answers; False where it ended or took too long."""
    began = time.monotonic()
    while process.poll() is None and time.monotonic() - began < PATIENCE:
        with contextlib.suppress(OSError):
            urllib.request.urlopen(f"{address}/health", timeout=5).close()
            return True
        time.sleep(0.2)
    return False


def end(process: subprocess.Popen) -> None:
    """End the server and the workers that it started."""
    for kind in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, kind)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(GRACE)
            return
