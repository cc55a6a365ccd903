"""Benchmark problems: driven random networks, their spectra by lyapsweep and by peers, time per step and memory."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from benchmarks.peers import PEERS, weights
from benchmarks.timing import interleaved, peak_megabytes, seconds
from lyapsweep.cells import CELLS, AbstractCell
from lyapsweep.dynamics import lyapunov_spectra
from lyapsweep.dynamics.lyapunov import random_frame
from lyapsweep.inits import gaussian

GAINS = dict.fromkeys(("plrnn", "alrnn", "shallow_plrnn", "dendritic_plrnn"), 1.1)  # they diverge at 1.5
SHORTEST = 40  # steps of a run, so that all of its blocks have all of their parts
INPUTS, SETTLE, LONG, SHARED = 3, 50, 1000, 20  # steps: to settle, of a spectrum, of the runs whose errors are compared


class Problem(NamedTuple):
    """A driven network of one cell, the initial states of its orbits, and their inputs."""

    cell: AbstractCell
    z: Tensor
    inputs: Tensor

    def ours(self, steps: int, **settings) -> np.ndarray:
        return lyapunov_spectra(self.cell, self.z, self.inputs, steps=steps, **settings)[0].exponents

    def peer(self, name: str) -> Callable[[int], np.ndarray]:
        """Return exponents averaged over the batch, from the same initial frames."""
        kind = next(kind for kind, cls in CELLS.items() if type(self.cell) is cls)
        w, z, x = weights(self.cell), self.z[0].float(), self.inputs[:, 0].float()
        Q = random_frame(self.z, self.cell.state, 0)[0].mT.float()
        return lambda steps: PEERS[name](kind, w, z, x[:steps], Q).mean(dim=0).double().cpu().numpy()


def problem(kind: str, units: int, batch: int, device: str = "cpu", population: int = 1) -> Problem:
    """Weights N(0, gain^2 / N), inputs N(0, 1): between weakly contracting and chaotic."""
    generators = [torch.Generator().manual_seed(p) for p in range(population)]
    cell = CELLS[kind](inputs=INPUTS, population=population, units=units)
    init = lambda rows, columns, g: gaussian(rows, columns, g, gain=GAINS.get(kind, 1.5))  # noqa: E731
    cell.build([(init, g) for g in generators])
    cell = cell.double().to(device).requires_grad_(False)
    x = torch.randn(SETTLE + LONG, 1, batch, INPUTS, dtype=torch.float64, generator=generators[0])
    x = x.expand(-1, population, -1, -1).to(device)
    z = torch.zeros(population, batch, cell.state, dtype=torch.float64, device=device)
    return Problem(cell, cell.orbit(z, x, SETTLE)[-1], x[SETTLE:])


def step_costs(
    runs: dict[str, Callable[[int], object]], rounds: int, budget: float, device: str = "cpu"
) -> dict[str, float]:
    """Return microseconds per step of a spectrum of LONG steps, methods interleaved; about `budget` seconds per run.

    One run is a quarter as long as the other, with the same number of blocks, so the remainder is the constant cost.
    """
    jobs: dict[str, Callable[[], object]] = {}
    lengths: dict[str, int] = {}
    for name, run in runs.items():
        run(10)
        cost = max(seconds(lambda run=run: run(30), device) - seconds(lambda run=run: run(10), device), 1e-4) / 20
        lengths[name] = max(SHORTEST, min(LONG // 4, int(budget / cost / 4)))
        jobs |= {f"{name} {m}": lambda run=run, m=m, name=name: run(m * lengths[name]) for m in (1, 4)}
    taken = interleaved(jobs, rounds, device)
    costs = {}
    for name, length in lengths.items():
        short, long = taken[f"{name} 1"], taken[f"{name} 4"]
        step = (long - short) / (3 * length)
        costs[name] = 1e6 * (step + max(short - length * step, 0) / LONG)
    return costs


def gemm_peak(size: int, device: str = "cpu") -> float:
    """GF/s of torch's double-precision matrix product at this size."""
    a, b = (torch.randn(size, size, dtype=torch.float64, device=device) for _ in range(2))
    out, times = torch.empty_like(a), max(1, int(2e8 / size**3))
    job = lambda: [torch.mm(a, b, out=out) for _ in range(times)]  # noqa: E731
    return 2e-9 * size**3 * times / interleaved({"mm": job}, 7, device)["mm"]


def method(p: Problem) -> str:
    return lyapunov_spectra(p.cell, p.z, p.inputs, steps=1)[0].settings["method"]


def memory(way: str, kind: str, units: int, batch: int, device: str) -> float:
    """Return peak megabytes above a process with everything loaded, over SHARED steps."""
    if device == "cpu":
        return peak_megabytes(warm, way, kind, units, batch)
    run = warm(way, kind, units, batch, device)
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    run()
    return (torch.cuda.max_memory_allocated() - before) / 1e6


def warm(way: str, kind: str, units: int, batch: int, device: str = "cpu") -> Callable[[], object]:
    """Run once, so that libraries are loaded and have allocated their buffers."""
    for size in (16, units):
        p = problem(kind, size, batch if size == units else 1, device)
        run = p.ours if way == "ours" else p.peer(way)
        if size == 16:
            run(SHARED)
    return lambda: run(SHARED)
