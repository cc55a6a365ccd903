"""Compile the loops of a sweep's cells in a process of its own while Ray starts; workers find them in numba's cache."""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator

from lyapsweep.cells import CELLS
from lyapsweep.compiled.caching import is_cached, statement_digest
from lyapsweep.compiled.engine import TORCH, chosen_engine
from lyapsweep.config import Config

SHORT = {
    "training/steps": 1,
    "training/report_every": 1,
    "lyapunov/steps": 40,
    "lyapunov/warmup": 1,
    "lyapunov/orbits": 4,  # of fewer, orbits have loops of their own (`cells.single_orbits`)
}


@contextlib.contextmanager
def compiling_ahead(configs: Iterable[Config]) -> Iterator[None]:
    """Compile what these configs need, once per kind of cell, in the background until the block ends.

    A process that needs the same meanwhile waits for it (`compiled.caching`), and compiles what is not begun yet.
    """
    needed = {} if chosen_engine() == TORCH else {c.cell["kind"]: c for c in configs if needs_compiling(c)}
    process = start(list(needed.values())) if needed else None
    try:
        yield
    finally:
        if process:
            process.kill()
            process.wait()


def needs_compiling(config: Config) -> bool:
    """Whether its cell is one of `CELLS` whose compiled loops are in no cache."""
    kind = config.cell["kind"]
    statement = getattr(CELLS[kind], "elementwise", None) if kind in list(CELLS) else None
    return statement is not None and not is_cached("backward_pass", statement_digest("passes", statement))


def start(configs: list[Config]) -> subprocess.Popen:
    """A process that compiles what these configs need."""
    command = [sys.executable, "-m", __name__]
    silent = subprocess.DEVNULL
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=silent, stderr=silent, env=environment)
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError), process.stdin as pipe:
        pipe.write(json.dumps([config.to_dict() for config in configs]).encode())
    return process


def compile_loops(configs: list[Config]) -> None:
    """Evaluate the first config's network and make one update of each: what is called then is compiled."""
    from lyapsweep.problems import problem_of
    from lyapsweep.problems.network import build_network
    from lyapsweep.regularisation import penalty
    from lyapsweep.training import train

    for config in configs:
        with contextlib.suppress(Exception):  # workers report what is wrong
            short = config.changed(SHORT)
            problem = problem_of(short)
            network = build_network([short], *problem.size)
            objective = problem.objective(network, [short], "cpu")
            updates = train(network, objective, [short.training], penalty(network, [short.regularisation]))
            progress = next(updates)
            if config is configs[0]:
                problem.evaluate(network, progress, [short])
            next(updates)


if __name__ == "__main__":
    from lyapsweep.process import small_networks

    small_networks()
    compile_loops([Config.of(content) for content in json.load(sys.stdin)])
