"""What a Lyapunov spectrum costs here and elsewhere, how exact it is, and whether our goals are met.

    python -m benchmarks.spectrum [--quick] [--cells ...] [--sizes ...] [--batches ...] [--device cuda] [--json FILE]

Ours is `lyapsweep.dynamics.lyapunov_spectra` in double precision, checks included, the state's orbit included; the
others are in `benchmarks/peers.py`, in single precision as people run them. All start from the same states and frames
and see the same inputs. Cost is linear in time, so a step's is the difference of two runs, divided; a spectrum is taken to
have 1000 steps, over which what is done once is spread. Errors are the largest of an exponent against double-precision
QR at every step, over a run short enough for single-precision orbits to stay near.
"""

import argparse
import json
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from benchmarks.peers import PEERS, weights
from benchmarks.timing import interleaved, markdown, one_thread, peak_megabytes, progress, seconds
from lyapsweep.cells import CELLS, AbstractCell
from lyapsweep.dynamics import lyapunov_spectra
from lyapsweep.dynamics.lyapunov import random_frame
from lyapsweep.inits import gaussian

KINDS, SIZES, BATCHES = ("vanilla", "lstm", "gru", "plrnn"), (16, 64, 128, 256, 512), (1, 8, 32)
GAINS = {"plrnn": 1.3}  # a PLRNN of gain 1.5 leaves the finite numbers
INPUTS, SETTLE, LONG, SHARED = 3, 50, 1000, 20  # steps: to settle, of a spectrum, of the runs whose errors are compared
TOO_LARGE = 2**23  # numbers in the frames of a batch: beyond, a run takes minutes


class Problem(NamedTuple):
    """A driven network of one cell, where its orbits start, and what drives them."""

    cell: AbstractCell
    z: Tensor
    inputs: Tensor

    def ours(self, steps: int, **settings) -> np.ndarray:
        return lyapunov_spectra(self.cell, self.z, self.inputs, steps=steps, **settings)[0].exponents

    def peer(self, name: str) -> Callable[[int], np.ndarray]:
        """Exponents averaged over the batch, from the frames that ours start from."""
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
    """Microseconds a step of a spectrum of LONG steps, rivals taking turns; about `budget` seconds a run.

    One run is a quarter as long as the other; they have the same number of blocks, so the rest is what is done once.
    """
    jobs, lengths = {}, {}
    for name, run in runs.items():
        run(10)
        cost = max(seconds(lambda run=run: run(30), device) - seconds(lambda run=run: run(10), device), 1e-4) / 20
        lengths[name] = max(10, min(LONG // 4, int(budget / cost / 4)))
        jobs |= {(name, m): lambda run=run, m=m, name=name: run(m * lengths[name]) for m in (1, 4)}
    taken = interleaved(jobs, rounds, device)
    costs = {}
    for name, length in lengths.items():
        short, long = taken[name, 1], taken[name, 4]
        step = (long - short) / (3 * length)
        costs[name] = 1e6 * (step + max(short - length * step, 0) / LONG)
    return costs


def gemm_peak(size: int, device: str = "cpu") -> float:
    """GF/s of torch's double-precision matrix product at this size."""
    a, b = (torch.randn(size, size, dtype=torch.float64, device=device) for _ in range(2))
    out, times = torch.empty_like(a), max(1, int(2e8 / size**3))
    job = lambda: [torch.mm(a, b, out=out) for _ in range(times)]  # noqa: E731
    return 2e-9 * size**3 * times / interleaved({"mm": job}, 7, device)["mm"]


def error(found: np.ndarray, truth: np.ndarray) -> float:
    """Of the leading exponents, as many as there are."""
    return float(np.abs(np.sort(found)[::-1] - truth[: len(found)]).max())


def row(kind: str, units: int, batch: int, args: argparse.Namespace) -> dict[str, object]:
    """One line of the table: every way at one cell, size and batch."""
    p = problem(kind, units, batch, args.device)
    names = ["jacrev", "formulas"] + ["autograd"] * (batch == 1 and units <= 256)
    peers: dict[str, Callable[[int], np.ndarray]] = {name: p.peer(name) for name in names}
    us = step_costs({"ours": p.ours, **peers}, args.rounds, args.budget, args.device)
    peak = gemm_peak(p.cell.state, args.device)
    useful = 5 / 3 * p.cell.state**3 * batch * 1e-3 / us["ours"]
    truth = p.ours(SHARED, method="qr")
    found = {"cell": kind, "N": units, "B": batch, "method": method(p), "us, ours": us["ours"]}
    found |= {f"us, {name}": us[name] for name in names}
    found |= {f"x {name}": us[name] / us["ours"] for name in names}
    found |= {"gemm GF/s": peak, "of gemm, %": 100 * useful / peak}
    if args.memory:
        found |= {f"MB, {way}": memory(way, kind, units, batch, args.device) for way in ("ours", "jacrev", "formulas")}
    found["error, ours"] = error(p.ours(SHARED), truth)
    return found | {f"error, {name}": error(peers[name](SHARED), truth) for name in names if name != "autograd"}


def method(p: Problem) -> str:
    return lyapunov_spectra(p.cell, p.z, p.inputs, steps=1)[0].settings["method"]


def memory(way: str, kind: str, units: int, batch: int, device: str) -> float:
    """Megabytes at most above the process that has everything loaded, over SHARED steps."""
    if device == "cpu":
        return peak_megabytes(warm, way, kind, units, batch)
    run = warm(way, kind, units, batch, device)
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    run()
    return (torch.cuda.max_memory_allocated() - before) / 1e6


def warm(way: str, kind: str, units: int, batch: int, device: str = "cpu") -> Callable[[], object]:
    """A run whose libraries are loaded, and have their own buffers."""
    for size in (16, units):
        p = problem(kind, size, batch if size == units else 1, device)
        run = p.ours if way == "ours" else p.peer(way)
        if size == 16:
            run(SHARED)
    return lambda: run(SHARED)


def chosen(args: argparse.Namespace) -> list[tuple[str, int, int]]:
    """What is there to be measured; what is not is said."""
    rows = []
    for kind in args.cells:
        if kind not in CELLS:
            print(f"{kind}: not among the cells {', '.join(CELLS)}; left out.")
            continue
        for n, b in ((n, b) for n in args.sizes for b in args.batches):
            state = n * (2 if kind == "lstm" else 1)
            if state**2 * b > TOO_LARGE:
                print(f"{kind} N={n} B={b}: a run takes minutes; left out.")
            elif not args.quick or n < 512 and b * n <= 512:
                rows.append((kind, n, b))
    return rows


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="smaller and fewer: about two minutes")
    parser.add_argument("--cells", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--sizes", nargs="+", type=int, default=SIZES)
    parser.add_argument("--batches", nargs="+", type=int, default=BATCHES)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--no-goals", dest="goals", action="store_false", help="the table alone")
    parser.add_argument("--json", type=Path, help="write the raw figures there")
    args = parser.parse_args()
    args.rounds, args.budget, args.memory = (3, 0.05, False) if args.quick else (5, 0.4, True)
    return args


def main() -> None:
    args = arguments()
    print(one_thread() if args.device == "cpu" else torch.cuda.get_device_name(), flush=True)
    table = []
    for kind, units, batch in chosen(args):
        progress(f"{kind} N={units} B={batch}")
        table.append(row(kind, units, batch, args))
    progress("")
    print(f"\n## Cost and error\n\n{markdown(table)}", flush=True)
    met = []
    if args.goals and args.device == "cpu":
        from benchmarks.goals import goals

        met = goals(table, args)
        print(f"\n## Goals\n\n{markdown(met)}")
    if args.json:
        args.json.write_text(json.dumps({"table": table, "goals": met}, indent=1))


if __name__ == "__main__":
    main()
