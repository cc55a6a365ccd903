"""Settings of a process that trains small networks."""

import contextlib
import ctypes
import os
import signal
import sys
import threading
from collections.abc import Iterator

__all__ = ["small_networks"]

MMAP_THRESHOLD, TRIM_THRESHOLD = (-3, 32 * 1024**2), (-1, 1024**3)  # of glibc's mallopt: option, bytes


def small_networks() -> None:
    """Configure this process for small networks: one thread, and freed memory is kept.

    Uses one thread unless OMP_NUM_THREADS is set: on matrices of tens of rows a second thread costs more than it
    gains. Under glibc, freed blocks are kept instead of being returned to the system at each step, which otherwise
    takes a third of an LSTM's training time.

    Example:
        >>> small_networks()  # before the first tensor is computed
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
