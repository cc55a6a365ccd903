"""Settings of a process that trains small networks: threads, memory, signals, the caller's torch state."""

import contextlib
import ctypes
import os
import signal
import sys
import threading
from collections.abc import Callable, Generator, Iterator
from functools import wraps
from typing import ParamSpec, TypeVar, cast

__all__ = ["small_networks"]

MMAP_THRESHOLD, TRIM_THRESHOLD = (-3, 32 * 1024**2), (-1, 1024**3)  # of glibc's mallopt: option, bytes
P = ParamSpec("P")
T = TypeVar("T")


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


def stop_signals() -> list[signal.Signals]:
    """SIGTERM of a batch system, and SIGHUP of a terminal that closed, unless `nohup` had it ignored."""
    hangup = signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN
    return [signal.SIGTERM, *([signal.SIGHUP] if hangup else [])]


@contextlib.contextmanager
def terminable() -> Iterator[None]:
    """Treat SIGTERM and SIGHUP as Ctrl-C in the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, signal.default_int_handler) for number in stop_signals()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def fresh_torch_state() -> Iterator[None]:
    """Compute as in a fresh process: with gradients, without the caller's inference mode, autocast or default device.

    Weights and exponents are those of a config and its seed. The default floating-point type stays the caller's:
    weights are trained in it, and records note it.

    Raises:
        ValueError: If that type is neither torch.float32 nor torch.float64.
    """
    import torch

    if (dtype := torch.get_default_dtype()) not in (torch.float32, torch.float64):
        raise ValueError(f"torch's default type is {dtype}. Call torch.set_default_dtype(torch.float32) or float64.")
    with contextlib.ExitStack() as stack:
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        for kind in ("cpu", "cuda"):
            if torch.is_autocast_enabled(kind):
                stack.enter_context(torch.autocast(kind, enabled=False))
        if torch.get_default_device().type != "cpu":
            stack.enter_context(torch.device("cpu"))
        yield


def in_fresh_torch_state(generator: Callable[P, Iterator[T]]) -> Callable[P, Iterator[T]]:
    """Decorate a generator: it runs in `fresh_torch_state`, its caller between two items does not."""

    @wraps(generator)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> Iterator[T]:
        with contextlib.closing(cast("Generator[T]", generator(*args, **kwargs))) as items:
            while True:
                try:
                    with fresh_torch_state():
                        item = next(items)
                except StopIteration:
                    return
                yield item

    return wrapped
