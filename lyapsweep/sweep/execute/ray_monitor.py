"""Monitoring of the Ray that a driver started itself: when it dies, the sweep ends in words instead of waiting."""

import logging
import os
import threading

import ray

from lyapsweep.sweep.execute.failures import Interrupted

log = logging.getLogger("lyapsweep")
INTERVAL = 2.0  # seconds between two looks
GRACE = 30.0  # seconds in which the sweep should end by itself; a call into a dead Ray may never return
VITAL = ("gcs_server", "raylet")  # processes without which no worker lives
REMEDY = "all records are on disk; continue with --resume"


class RayMonitor:
    """Looks after the processes of this driver's own Ray, from `start` to `end`.

    Attributes:
        dead: The process that died; empty while all live.
    """

    def __init__(self) -> None:
        self.dead, self.over = "", threading.Event()

    def start(self) -> None:
        threading.Thread(target=self.look, name="ray-monitor", daemon=True).start()

    def end(self) -> None:
        self.over.set()

    def look(self) -> None:
        """Note a death; end this process if the sweep does not."""
        while not self.over.wait(INTERVAL):
            if died := dead_processes():
                self.dead = died[0]
                if not self.over.wait(GRACE):
                    log.error("Ray on this machine ended (its %s died): %s.", self.dead, REMEDY)
                    os._exit(1)
                return

    def check(self) -> None:
        """Raise `Interrupted` if Ray died."""
        if self.dead:
            raise Interrupted(f"Ray on this machine ended (its {self.dead} died)")


def dead_processes() -> list[str]:
    """Names of the vital processes of this driver's Ray that died."""
    node = ray._private.worker._global_node  # pyright: ignore[reportAttributeAccessIssue]  # there is no public way
    died = [] if node is None else [str(kind) for kind, _ in node.dead_processes()]
    return [kind for kind in died if kind in VITAL]
