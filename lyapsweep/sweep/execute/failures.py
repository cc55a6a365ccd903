"""What ends a sweep or a pack from outside: signals, folders that cannot be written, lost and slow workers."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from enum import Enum

from optuna.exceptions import StorageInternalError

from lyapsweep.process import stop_signals
from lyapsweep.redaction import redact

MAX_MESSAGE = 300  # characters of Ray's description of a failure
MEMORY_WORDS = ("outofmemory", "out of memory", "low on memory", "memory monitor", "memory usage threshold")
RETRIES = 2  # of a whole pack whose worker was lost, before it is split into halves


class Interrupted(BaseException):
    """The sweep must end, ready to be resumed; the message says why, and is empty for a signal.

    No Exception: Ray would take it for a failure of its own and wait for its workers.
    """


class BudgetUsed(Interrupted):
    """The budget of the sweep is used up."""


class PackFailure(Enum):
    """Why Ray returned a pack that had not ended; the value is the sentence of the record."""

    WORKER = "its worker was lost"  # killed, or its node was removed: most often no fault of the pack
    MEMORY = "its worker was lost for want of memory"
    TIME = "it ran longer than the time limit"

    @classmethod
    def of(cls, error: object) -> "PackFailure":
        """Classify Ray's error. Without Ray's memory monitor a worker that used too much is reported as lost."""
        text = f"{type(error).__name__} {error}".lower()
        return cls.MEMORY if any(words in text for words in MEMORY_WORDS) else cls.WORKER


def explanation(error: str) -> str:
    """One line of Ray's description of a lost worker.

    The whole lists processes of the machine with their arguments, which are other people's.
    """
    lines = [line.strip() for line in error.splitlines() if line.strip()]
    if not lines:
        return ""
    raised = lines[0].startswith("Traceback") or any(line.startswith("Traceback") for line in lines)
    return redact(lines[-1] if raised else lines[0])[:MAX_MESSAGE]


@contextlib.contextmanager
def writing(place: object) -> Iterator[None]:
    """End the sweep where a file or Optuna's database cannot be written: no trial is at fault."""
    try:
        yield
    except OSError as error:
        raise Interrupted(f"{place} cannot be written ({error})") from error
    except StorageInternalError as error:
        raise Interrupted(f"Optuna's storage cannot be written ({redact(str(error.__cause__))})") from error


@contextlib.contextmanager
def stop_on_signals() -> Iterator[threading.Event]:
    """An event that SIGINT, SIGTERM and SIGHUP set; a second signal has its usual effect."""
    stop, handlers = threading.Event(), {}

    def handle(number: int, frame: object) -> None:
        stop.set()
        restore()

    def restore() -> None:
        for number, handler in handlers.items():
            signal.signal(number, handler)

    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, *stop_signals()):
            handlers[number] = signal.signal(number, handle)
    try:
        yield stop
    finally:
        restore()
