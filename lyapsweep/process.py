"""How a process is set up to run small networks fast."""

import contextlib
import ctypes
import os
import signal
import sys
import threading
from collections.abc import Iterator

MMAP_THRESHOLD, TRIM_THRESHOLD = (-3, 32 * 1024**2), (-1, 1024**3)  # of glibc's mallopt: option, bytes


def small_networks() -> None:
    """One thread, unless OMP_NUM_THREADS says otherwise, and memory that is kept instead of given back at each step.

    A second thread waits more than it works on matrices of tens of rows. glibc returns freed blocks to the system and
    pays for every page again when the next step asks for them: a third of an LSTM's training time.
    """
    import torch

    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(1)
    if sys.platform.startswith("linux"):
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
        if mallopt is not None:
            mallopt(*MMAP_THRESHOLD)
            mallopt(*TRIM_THRESHOLD)


@contextlib.contextmanager
def terminable() -> Iterator[None]:
    """Treat SIGTERM (a batch system, `docker stop`) as Ctrl-C in the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
