"""MLflow's pages: the address of an experiment, and a local server for a store that has none."""

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
from lyapsweep.tracking.stores import TrackingError, find_experiment

HOST = "127.0.0.1"
START_TIMEOUT = 180.0  # seconds
STOP_TIMEOUT = 10.0


def page(experiment: str, uri: str, server: str) -> str:
    """The address of an experiment on the pages of a server.

    Args:
        experiment: The name of the experiment.
        uri: The tracking URI of its store.
        server: The address of the server that shows the store.

    Raises:
        UnknownName: If the store has no such experiment.
        TrackingError: If the store cannot be used.
    """
    found = find_experiment(experiment, uri)
    return experiment_view.page_address(server, found.experiment_id, experiment_view.TAG in found.tags)


@contextlib.contextmanager
def serve(uri: str, port: int | None = None) -> Iterator[str]:
    """Run a server of MLflow's pages for this machine only while the context lasts; yields its address.

    Args:
        uri: The tracking URI of the store to show.
        port: The port; None picks a free one.

    Raises:
        TrackingError: If the port is taken or the server does not start.
    """
    port = usable_port(port)
    command = [sys.executable, "-m", "mlflow", "server", "--host", HOST, "--workers", "1"]
    environment = os.environ | {
        "MLFLOW_BACKEND_STORE_URI": uri,  # may hold a password; arguments are visible to every user of the machine
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # eight processes, not needed here
    }
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(
            [*command, "--port", str(port)], stdout=output, stderr=output, env=environment, start_new_session=True
        )
        try:
            address = f"http://{HOST}:{port}"
            if not wait_until_healthy(address, process):
                output.seek(0)
                last = output.read().strip().splitlines()[-1:] or ["no output"]
                raise TrackingError(f"{uri}: MLflow's server did not start ({last[0]}). Check the store's address.")
            yield address
        finally:
            stop(process)


def usable_port(port: int | None) -> int:
    """The port, or a free one for None; `TrackingError` if it is taken."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port or 0))
        except (OSError, OverflowError) as error:
            raise TrackingError(
                f"Port {port} cannot be used ({error}). Choose another, or none for a free one."
            ) from error
        return probe.getsockname()[1]


def wait_until_healthy(address: str, process: subprocess.Popen) -> bool:
    """Wait until the server answers; return False if it ended or exceeded START_TIMEOUT."""
    began = time.monotonic()
    while process.poll() is None and time.monotonic() - began < START_TIMEOUT:
        with contextlib.suppress(OSError):
            urllib.request.urlopen(f"{address}/health", timeout=5).close()
            return True
        time.sleep(0.2)
    return False


def stop(process: subprocess.Popen) -> None:
    """Terminate the server and its workers; kill them if they do not end."""
    for kind in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, kind)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_TIMEOUT)
            return
