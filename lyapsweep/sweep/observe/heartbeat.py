"""The driver's pulse: a small file in the results folder by which any machine sees that a sweep is being run."""

import json
import os
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lyapsweep.results.experiment import ExperimentPaths

EVERY = 5.0  # seconds between two beats
SILENCE = 60.0  # seconds without one after which nobody is thought to be there


@dataclass(frozen=True)
class Heartbeat:
    """The latest beat: who beat, how many seconds ago (by the clocks of two machines), and what it told."""

    host: str
    pid: int
    age: float
    over: bool
    told: dict[str, Any]

    @property
    def alive(self) -> bool:
        return not self.over and self.age < SILENCE


class HeartbeatWriter:
    """Written by the one driver that holds the folder; where it cannot be written the sweep goes on without."""

    def __init__(self, folder: Path):
        self.file, self.last = ExperimentPaths(folder).heartbeat, -EVERY

    def beat(self, told: Mapping[str, Any], over: bool = False) -> None:
        """Tell what is so now, at most every EVERY seconds; the last one (`over`) always."""
        if not over and time.monotonic() - self.last < EVERY:
            return
        self.last = time.monotonic()
        state = {"host": socket.gethostname(), "pid": os.getpid(), "time": time.time(), "over": over} | dict(told)
        part = self.file.with_suffix(".part")
        try:
            part.write_text(json.dumps(state))
            part.replace(self.file)
        except OSError:
            part.unlink(missing_ok=True)


def heard(folder: Path) -> Heartbeat | None:
    """The latest beat; None where there never was one."""
    try:
        told = json.loads(ExperimentPaths(folder).heartbeat.read_text())
    except (OSError, json.JSONDecodeError):
        return None
    return Heartbeat(told.pop("host"), told.pop("pid"), time.time() - told.pop("time"), told.pop("over"), told)
