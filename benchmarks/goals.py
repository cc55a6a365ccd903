"""Check the goals set for the exponent engine before it was written: G1 to G8 and G11, and packs of networks.

Some are taken from the table of `benchmarks/spectrum.py`, the others measured here. Ratios are processor time of the
peer over ours; ours is in double precision through SciPy, peers are in single precision.
"""

import argparse
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.problems import Problem, memory, problem, step_costs
from benchmarks.timing import interleaved, progress, verdict
from lyapsweep import datasets
from lyapsweep.cells import CELLS
from lyapsweep.config import Config
from lyapsweep.dynamics import lyapunov_spectra
from lyapsweep.dynamics.frames import householder
from lyapsweep.dynamics.lu import lu
from lyapsweep.dynamics.lyapunov import random_frame
from lyapsweep.maps import AbstractMap
from lyapsweep.problems.network import build_network
from lyapsweep.problems.series import forcing_schedule
from lyapsweep.rollout import Network, free
from lyapsweep.training import train
from lyapsweep.training.objectives import ForcedWindows

Verdicts = Iterator[dict[str, object]]

FORMULAS = {  # cell: {N: least ratio}; GRU and LSTM: the goals of a native loop less what SciPy's calls cost over one
    "vanilla": {64: 4.5, 128: 3.4, 256: 3.5, 512: 3.3},
    "gru": {64: 7.7, 128: 6.4, 256: 6.4, 512: 6.0},
    "lstm": {64: 2.8, 128: 1.5, 256: 1.9, 512: 1.1},
}
JACREV, AUTOGRAD = {64: 4.5, 128: 3.5, 256: 2.7}, {64: 45, 128: 20, 256: 9}
OF_PEAK = {256: 60, 512: 75}


def goals(table: list[dict], args: argparse.Namespace) -> list[dict[str, object]]:
    alone = [row for row in table if row["B"] == 1]
    parts: list[Callable[[], Verdicts]] = [
        lambda: ratios(alone),
        lambda: fallbacks(args),
        lambda: accuracy(args),
        lambda: trained_network(args),
        lambda: partial_spectra(args),
        lambda: segments_of_tanh(args),
        pack,
        memories,
    ]
    rows = []
    for part in parts:
        for row in part():
            progress(str(row["goal"]))
            rows.append(row)
    progress("")
    return rows


def ratios(alone: list[dict]) -> Verdicts:
    """Yield G1 to G4 for the sizes in the table."""
    for row in alone:
        kind, n = row["cell"], row["N"]
        if n in FORMULAS.get(kind, {}):
            name = f"{'G1' if kind == 'vanilla' else 'G2'}: {kind} N={n}, times faster than the formulas"
            yield verdict(name, row["x formulas"], least=FORMULAS[kind][n])
    for what, wanted in (("jacrev", JACREV), ("autograd", AUTOGRAD)):
        for n, least in wanted.items():
            found = [row[f"x {what}"] for row in alone if row["N"] == n and f"x {what}" in row]
            if found:
                yield verdict(f"G3: every cell N={n}, times faster than {what}", min(found), least=least)
    for row in alone:
        if row["cell"] == "vanilla" and row["N"] in OF_PEAK:
            yield verdict(f"G4: vanilla N={row['N']}, % of gemm peak", row["of gemm, %"], least=OF_PEAK[row["N"]])
        if row["cell"] == "vanilla" and row["N"] == 256:
            floor = 14 / 3 * 256**3 * 1e-3 / row["gemm GF/s"]
            yield verdict("G4: vanilla N=256, of QR's time at gemm peak", row["us, ours"] / floor, most=0.55)


def fallbacks(args: argparse.Namespace) -> Verdicts:
    """G5: torch alone."""
    for kind, n, method, least in (
        ("vanilla", 256, "batched_lu", 2.3),
        ("vanilla", 64, "adaptive", 5.0),
        ("gru", 256, "batched_lu", 5.0),
    ):
        if kind in CELLS:
            p = problem(kind, n, 1)
            runs = {"ours": lambda steps, p=p, m=method: p.ours(steps, method=m), "formulas": p.peer("formulas")}
            us = step_costs(runs, args.rounds, args.budget)
            yield verdict(f'G5: {kind} N={n} by "{method}", ratio', us["formulas"] / us["ours"], least=least)


class Stepped(AbstractMap):
    """A cell that is stepped one step at a time under every method, because chaotic orbits amplify rounding."""

    def __init__(self, cell: AbstractMap):
        self.population, self.state, self.cell = cell.population, cell.state, cell

    def step(self, z, x=None):
        return self.cell.step(z, x)

    def push(self, z, x, V):
        return self.cell.step(z, x), self.cell.push(z, x, V)[1]

    def jacobian(self, z, x=None):
        return self.cell.jacobian(z, x)


def accuracy(args: argparse.Namespace) -> Verdicts:
    """Yield G6 on random networks of every cell: the largest difference from double-precision QR at every step."""
    worst, first, rule = 0.0, 0.0, 0.0
    for kind in (k for k in ("vanilla", "lstm", "gru", "plrnn") if k in CELLS):
        for n, steps in ((16, 1000), (64, 300), (128, 100)) if args.quick else ((16, 1000), (64, 1000), (256, 150)):
            p = problem(kind, n, 1)
            same = Stepped(p.cell)
            spectrum, truth = (
                lyapunov_spectra(same, p.z, p.inputs, steps=steps, method=method)[0] for method in ("auto", "qr")
            )
            apart = np.abs(spectrum.exponents - truth.exponents)
            worst, first = max(worst, apart.max()), max(first, apart[0])
            rule = max(rule, spectrum.checks["sum_rule"])
    yield verdict("G6: random cells, largest difference from QR", worst, most=1e-8)
    yield verdict("G6: random cells, lambda_1's difference", first, most=1e-12)
    yield verdict("G6: random cells, residual of the sum rule", rule, most=1e-8)


def lorenz_plrnn(updates: int) -> tuple[Network, Tensor]:
    """Return a PLRNN of 30 units trained on Lorenz-63 at dt 0.01, in double precision, and a state on its attractor."""
    content = {
        "dataset": {"kind": "simulated", "system": "lorenz63", "dt": 0.01, "length": 50000},
        "cell": {"kind": "plrnn", "units": 30},
        "forcing": {"kind": "sparse", "interval": 25},
        "windows": {"length": 100, "batch": 32},
        "training": {"steps": updates, "lr": 3e-3, "lr_end": 1e-4, "clip": 10.0},
    }
    config = Config.of(content)
    series = datasets.build(**config.dataset)
    x = torch.tensor(series.train, dtype=torch.float32)
    network = build_network([config], series.features)
    objective = ForcedWindows(
        network, forcing_schedule([config]), x, config.windows, [torch.Generator().manual_seed(1)]
    )
    for _ in train(network, objective, [config.training]):
        progress(f"a PLRNN learns Lorenz-63: {updates} updates")
    network = network.double().requires_grad_(False)
    start = network.readout.back(x[None, :1].double())
    return network, free(network.cell, network.readout, start, 2000)[1]


def trained_network(args: argparse.Namespace) -> Verdicts:
    """G6 and G8 on a network trained on a chaotic flow."""
    network, z = lorenz_plrnn(1000 if args.quick else 20000)
    cell, steps = network.cell, 2000
    V = random_frame(z, cell.state, 0)
    nudge = torch.randn(V.shape, dtype=V.dtype, generator=torch.Generator().manual_seed(2))
    runs = [householder(cell, z, None, V, steps), lu(cell, z, None, V, steps)]
    runs.append(householder(cell, z, None, V + 1e-14 * nudge, steps))
    qr, ours, nudged = (run.growth[0, 0] / steps for run in runs)
    own = float((nudged - qr).abs().max())
    name = "G6: trained PLRNN, difference from QR over QR's own sensitivity"
    yield verdict(name, float((ours - qr).abs().max()) / own, most=10)
    yield verdict("G6: trained PLRNN, lambda_1's difference", float((ours - qr)[0].abs()), most=1e-12)
    if not args.quick:
        yield from segments("trained PLRNN", Problem(cell, z, None), 16384, 64, 100)  # type: ignore[arg-type]
        whole = lyapunov_spectra(cell, z, steps=16384, warmup=500)[0].maximum
        yield verdict("G6: trained PLRNN, |lambda_1 - 0.009| per step (Lorenz-63)", abs(whole - 0.009), most=0.001)


def segments_of_tanh(args: argparse.Namespace) -> Verdicts:
    if not args.quick:
        p = problem("vanilla", 128, 1)
        yield from segments("tanh N=128", Problem(p.cell, p.z, None), 8192, 128, 20)  # type: ignore[arg-type]


def segments(name: str, p: Problem, steps: int, count: int, warmup: int) -> Verdicts:
    """Yield G8: one orbit cut into pieces that are processed in parallel."""
    found = {}
    jobs = {
        n: lambda n=n: found.__setitem__(n, lyapunov_spectra(p.cell, p.z, steps=steps, warmup=warmup, segments=n)[0])
        for n in (1, count)
    }
    taken = interleaved(jobs, 1)
    depth = steps // count + warmup
    yield verdict(f"G8: {name}, chain of {steps} steps shorter by", (steps + warmup) / depth, least=40)
    yield verdict(f"G8: {name}, work of segments", depth * count / steps, most=1.4)
    apart = abs(found[count].maximum - found[1].maximum) / float(found[1].stderr[0])
    yield verdict(f"G8: {name}, lambda_1's difference in standard errors", apart, most=1)
    if name == "trained PLRNN":
        yield verdict("G8: trained PLRNN, us a counted step", 1e6 * taken[count] / steps, most=7)


def partial_spectra(args: argparse.Namespace) -> Verdicts:
    """G7: 32 exponents against the formulas' whole spectrum."""
    for n, least in ((256, 15),) if args.quick else ((256, 15), (512, 30)):
        p = problem("vanilla", n, 1)
        runs = {"ours": lambda steps, p=p: p.ours(steps, k=32), "formulas": p.peer("formulas")}
        us = step_costs(runs, args.rounds, args.budget)
        yield verdict(f"G7: 32 exponents of {n}, times cheaper", us["formulas"] / us["ours"], least=least)


def pack() -> Verdicts:
    """Compare sixteen exponents of 64 networks in one call and in 64 calls."""
    together = problem("plrnn", 30, 1, population=64)
    singles = [member(together, i) for i in range(64)]

    def exponents(p: Problem, method: str = "auto") -> list[np.ndarray]:
        found = lyapunov_spectra(p.cell, p.z, p.inputs, steps=500, warmup=50, k=16, method=method)
        return [spectrum.exponents for spectrum in found]

    jobs = {"one": lambda: exponents(together), "many": lambda: [exponents(p) for p in singles]}
    taken = interleaved(jobs, 3)
    yield verdict("16 exponents of 64 PLRNNs at once, of 64 calls' time", taken["one"] / taken["many"], most=0.25)
    for method, most in (("auto", 1e-8), ("qr", 1e-12)):
        alone = [exponents(p, method)[0] for p in singles]
        apart = max(np.abs(a - b).max() for a, b in zip(exponents(together, method), alone))
        yield verdict(f'the same, largest difference by "{method}"', apart, most=most)


def member(p: Problem, i: int) -> Problem:
    """One network of a population, alone."""
    cell = CELLS["plrnn"](inputs=p.cell.inputs, population=1, units=p.cell.units).double()
    for name, w in p.cell.named_parameters():
        setattr(cell, name, nn.Parameter(w[i : i + 1].clone(), requires_grad=False))
    return Problem(cell, p.z[i : i + 1], p.inputs[:, i : i + 1])


def memories() -> Verdicts:
    """Yield G11: memory in units of frames (state x state)."""
    for kind, n, batch in (("vanilla", 256, 1), ("vanilla", 256, 8), ("lstm", 256, 1)):
        state = problem(kind, n, 1).cell.state
        words = memory("ours", kind, n, batch, "cpu") * 1e6 / 8 / state**2 / batch
        yield verdict(f"G11: {kind} N={n} B={batch}, frames of memory an orbit", words, most=8)
