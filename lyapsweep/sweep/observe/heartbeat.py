"""The driver's heartbeat: a small file in the results folder from which any machine sees whether a sweep runs."""

import json
import os
import socket
import time
from dataclasses import dataclass
from pathlib import Path

from lyapsweep.results.experiment import ExperimentPaths

INTERVAL = 5.0  # seconds between two heartbeats
TIMEOUT = 60.0  # seconds without a heartbeat after which the driver is taken to be gone


@dataclass(frozen=True)
class Heartbeat:
    """The latest heartbeat of a driver.

    Attributes:
        host: The driver's machine.
        pid: Its process id.
        age: Seconds since the heartbeat, by the clocks of two machines.
        over: Whether the driver said that it ends.
        running: Number of trials that train.
        behind: Number of queued MLflow tasks.
    """

    host: str
    pid: int
    age: float
    over: bool
    running: int = 0
    behind: int = 0

    @property
    def alive(self) -> bool:
        return not self.over and abs(self.age) < TIMEOUT  # negative where a clock was set back


class HeartbeatWriter:
    """Writes heartbeats; best-effort: a sweep continues where they cannot be written."""

    def __init__(self, folder: Path):
        self.file, self.last = ExperimentPaths(folder).heartbeat, -INTERVAL

    def write(self, running: int = 0, behind: int = 0, over: bool = False) -> None:
        """Write the current state, at most every INTERVAL seconds; the last one (`over`) always."""
        if not over and time.monotonic() - self.last < INTERVAL:
            return
        self.last = time.monotonic()
        state = {"host": socket.gethostname(), "pid": os.getpid(), "time": time.time(), "over": over}
        part = self.file.with_suffix(".part")
        try:
            part.write_text(json.dumps(state | {"running": running, "behind": behind}))
            part.replace(self.file)
        except OSError:
            part.unlink(missing_ok=True)


def read_heartbeat(folder: Path) -> Heartbeat | None:
    """The latest heartbeat; None where there is none that can be read."""
    try:
        state = json.loads(ExperimentPaths(folder).heartbeat.read_text())
        age, over = time.time() - float(state["time"]), bool(state["over"])
        running, behind = int(state.get("running", 0)), int(state.get("behind", 0))
        return Heartbeat(str(state["host"]), int(state["pid"]), age, over, running, behind)
    except Exception:  # cut short, or of another program
        return None
