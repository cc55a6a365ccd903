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

from lyapsweep.inits import gaussian
from lyapsweep.results import record
from lyapsweep.training import objectives


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
        Path.replace = lambda this, target: die()
    return gaussian(rows, columns, generator)


def dies_after_save(rows, columns, generator, *, marker):
    """When the last record is in its place and the driver has not heard of it."""
    after_saving(lambda saved: die() if saved.outcome.final and first(marker) else None)
    return gaussian(rows, columns, generator)


LOSS = objectives.ForcedWindows.loss


def before_updates(act):
    """From now on `act(objective, step)` precedes every update that this process makes."""

    def act_and_lose(this, step):
        act(this, step)
        return LOSS(this, step)

    objectives.ForcedWindows.loss = act_and_lose


def count(log, then=lambda objective, step: None):
    """Every update leaves a line in a file: in which process, and which one it was. `then` comes before it."""

    def note(objective, step):
        then(objective, step)
        with open(log, "a") as lines:
            lines.write(f"{os.getpid()} {step}\n")

    before_updates(note)


def counted(rows, columns, generator, *, log):
    count(log)
    return gaussian(rows, columns, generator)


def dies_between_reports(rows, columns, generator, *, marker, log):
    """Before update 130."""
    count(log, lambda objective, step: die() if step == 130 and first(marker) else None)
    return gaussian(rows, columns, generator)


def dies_in_checkpoint(rows, columns, generator, *, marker, log):
    """When the second checkpoint is written and not yet in its place."""
    written, replace = [], Path.replace

    def replace_or_die(part, path):
        if str(path).endswith(".checkpoint"):
            written.append(path)
            if len(written) == 2 and first(marker):
                die()
        return replace(part, path)

    Path.replace = replace_or_die
    count(log)
    return gaussian(rows, columns, generator)


def dies_before_checkpoint(rows, columns, generator, *, marker, log):
    """When a record of update 100 is in its place, and nothing else of that report."""
    after_saving(lambda saved: die() if saved.step == 100 and first(marker) else None)
    count(log)
    return gaussian(rows, columns, generator)


def hangs_in_company(rows, columns, generator, *, log):
    """At update 130, where several members train side by side."""

    def hang(objective, step):
        while step == 130 and objective.network.cell.population > 1:
            time.sleep(1)

    count(log, hang)
    return gaussian(rows, columns, generator)


def raises_late(rows, columns, generator, *, log):
    """At update 130, in a pack with the member of seed 2, whose windows come from a generator seeded 5."""

    def fail(objective, step):
        if step == 130 and any(g.initial_seed() == 5 for g in objective.sampler.generators):
            raise FloatingPointError("seed 2 is not well")

    count(log, fail)
    return gaussian(rows, columns, generator)
