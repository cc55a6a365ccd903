"""Initialisations that break the worker that draws them, each in its own way: members of one's own, for fault tests.

A `marker` is a file: what it names has happened once and does not happen again.
"""

import os
import resource
import signal
import threading
import time
from pathlib import Path

import torch

from lyapsweep import record
from lyapsweep.inits import gaussian


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def first(marker):
    """Whether this is the first time; from now on it is not."""
    before = Path(marker).exists()
    Path(marker).touch()
    return not before


def well(rows, columns, generator):
    return gaussian(rows, columns, generator)


def raises(rows, columns, generator):
    raise FloatingPointError("this one is not well")


def hangs(rows, columns, generator):
    while True:
        time.sleep(1)


def wants_memory(rows, columns, generator):
    """A petabyte, which the allocator refuses."""
    return torch.empty(2**47, dtype=torch.float64)


def takes_memory(rows, columns, generator):
    """Its process may have no more than it has, and it asks for a gigabyte: what a limit of the system's does."""
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + 2**28, resource.RLIM_INFINITY))
    try:
        return torch.zeros(2**27, dtype=torch.float64)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def dies(rows, columns, generator):
    die()


def dies_in_training(rows, columns, generator, *, marker):
    """Shortly after the record of step 0."""
    if first(marker):
        after_saving(lambda saved: threading.Timer(0.05, die).start())
    return gaussian(rows, columns, generator)


def after_saving(act):
    """From now on `act(record)` follows every record that this process saves."""
    save = record.Record.save

    def save_and_act(this, folder):
        file = save(this, folder)
        act(this)
        return file

    record.Record.save = save_and_act


def dies_in_save(rows, columns, generator, *, marker):
    """When the file is written and not yet in its place."""
    if first(marker):
        record.os = type("os", (), vars(os) | {"replace": staticmethod(lambda *paths: die())})
    return gaussian(rows, columns, generator)


def dies_after_save(rows, columns, generator, *, marker):
    """When the last record is in its place and the driver has not heard of it."""
    after_saving(lambda saved: die() if saved.outcome.final and first(marker) else None)
    return gaussian(rows, columns, generator)
