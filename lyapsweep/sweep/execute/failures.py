"""What ends a sweep, or a pack, from outside: signals, folders that cannot be written, lost and late workers."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from enum import Enum

from optuna.exceptions import StorageInternalError

from lyapsweep.tracking import redact


class Interrupted(BaseException):
    """The sweep must end, ready to be resumed. No Exception: Ray must not take it for a failure and wait for its
    workers. The message says why; a signal has none."""


class PackFailure(Enum):
    """Why Ray gave back a pack that had not ended."""

    WORKER = "its worker was lost"  # killed, or its node went away: most often the machine is at fault
    MEMORY = "its worker was lost for want of memory"
    TIME = "it ran longer than the time limit"

    @classmethod
    def of(cls, error: object) -> "PackFailure":
        """What Ray's error says. Without its memory monitor a worker that used too much is just lost."""
        said = f"{type(error).__name__} {error}"
        return cls.MEMORY if "OutOfMemory" in said or "running low on memory" in said else cls.WORKER


@contextlib.contextmanager
def writing(place: object) -> Iterator[None]:
    """Where a file cannot be written (a full disk, a share that went away), or Optuna's database, the sweep ends; no
    trial is at fault."""
    try:
        yield
    except OSError as error:
        raise Interrupted(f"{place} cannot be written ({error})") from error
    except StorageInternalError as error:
        raise Interrupted(f"Optuna's storage cannot be written ({redact(str(error.__cause__))})") from error


@contextlib.contextmanager
def interruptible() -> Iterator[threading.Event]:
    """An event that SIGINT and SIGTERM set; a second signal acts as it always does."""
    stop, before = threading.Event(), {}

    def ask(number: int, frame: object) -> None:
        stop.set()
        for other, handler in before.items():
            signal.signal(other, handler)

    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            before[number] = signal.signal(number, ask)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
