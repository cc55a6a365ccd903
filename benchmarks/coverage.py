"""Measure how often the 95 % intervals of exponents cover, and how standard errors compare with the true spread.

    python -m benchmarks.coverage                          1000 orbits of each map, as 1000, 500, 250 and 125 starts
    python -m benchmarks.coverage --orbits 8000            1000 starts of up to 8 orbits
    python -m benchmarks.coverage --maps lorenz63 henon    these maps

Every start is a run of 1, 2, 4 or 8 orbits of 500, 2000 or 10 000 counted steps. The true exponent is the mean over all
orbits of 10 000 steps, the true standard deviation that of the estimates over starts. A start without an error (too few
independent blocks) does not count; its share is printed. The driven network has white inputs of its own for each orbit;
the PLRNN is that of configs/lorenz63.yaml after training.
"""

import argparse
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from lyapsweep import systems
from lyapsweep.cells import from_torch
from lyapsweep.config import Config
from lyapsweep.dynamics import Spectrum
from lyapsweep.dynamics.attractors import Attractor
from lyapsweep.dynamics.frames import adaptive, random_frame
from lyapsweep.dynamics.lyapunov import measure
from lyapsweep.dynamics.run import Run, attractor
from lyapsweep.maps import AbstractMap
from lyapsweep.process import small_networks
from lyapsweep.trial import restore_network, run_trial

STEPS, ORBITS, KEPT, WARMUP, TRANSIENT, PIECE = (500, 2000, 10_000), (1, 2, 4, 8), 3, 500, 1000, 500
UNITS, GAIN = 20, {"free": 2.5, "driven": 2.0}


class Case(NamedTuple):
    """A map, first states of so many orbits, and whether each orbit has noise as input."""

    map: AbstractMap
    start: Callable[[int, torch.Generator], Tensor]
    driven: bool = False


def network(kind: str) -> Case:
    """A random tanh network with inputs of zero or of noise."""
    generator, layer = torch.Generator().manual_seed(0), nn.RNN(1, UNITS, bias=False).double()
    with torch.no_grad():
        weights = torch.randn(UNITS, UNITS, generator=generator).double()
        layer.get_parameter("weight_hh_l0").copy_(weights * GAIN[kind] / UNITS**0.5)
        layer.get_parameter("weight_ih_l0").copy_(torch.randn(UNITS, 1, generator=generator))
    start = lambda n, g: torch.randn(1, n, UNITS, generator=g, dtype=torch.float64)  # noqa: E731
    return Case(from_torch(layer), start, driven=kind == "driven")


def plrnn() -> Case:
    """The network of the first example after training, from states near zero."""
    config = Config.load("configs/lorenz63.yaml")
    *_, record = run_trial(config)
    cell = restore_network(config, record.weights)[0].cell.double()
    return Case(cell, lambda n, g: 0.1 * torch.randn(1, n, cell.state, generator=g, dtype=torch.float64))


def system(name: str) -> Case:
    return Case(made := systems.build(name), made.start)


CASES: dict[str, Callable[[], Case]] = {
    "lorenz63": lambda: system("lorenz63"),
    "roessler": lambda: system("roessler"),
    "henon": lambda: system("henon"),
    "free": lambda: network("free"),
    "driven": lambda: network("driven"),
    "plrnn": plrnn,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--maps", nargs="+", default=list(CASES), choices=list(CASES))
    parser.add_argument("--orbits", type=int, default=1000, help="orbits of each map")
    options = parser.parse_args()
    small_networks()
    print("| map | steps | orbits | without error | coverage % | std. error / true | worst |\n|" + "---|" * 7)
    rows = [row for name in options.maps for row in rows_of(name, CASES[name](), options.orbits)]
    every = np.concatenate([row for row in rows if len(row)])
    print(f"\npooled coverage {100 * every.mean():.1f} % over {len(rows)} settings")


@torch.no_grad()
def rows_of(name: str, case: Case, orbits: int) -> list[np.ndarray]:
    """Print a row per setting of one map; return whether each interval covers."""
    covers, truth, lines = [], np.empty(0), []
    for steps in sorted(STEPS, reverse=True):
        runs = [followed(case, steps, seed, min(PIECE, orbits)) for seed in range(-(-orbits // PIECE))]
        if steps == max(STEPS):
            truth = np.sort(np.mean([run.rates.mean(axis=(0, 1, 2)) for run in runs], axis=0))[::-1]
        for count in ORBITS:
            row, covered = measured(runs, count, truth)
            lines.append(f"| {name} | {steps} | {count} | {row}")
            covers.append(covered)
    print("\n".join(lines), flush=True)
    return covers


def followed(case: Case, steps: int, seed: int, orbits: int) -> Run:
    """The engine's measurement of so many orbits, after a transient."""
    generator = torch.Generator().manual_seed(seed)
    z, inputs = case.start(orbits, generator), None
    if getattr(case.map, "inputs", 0):
        noise = torch.randn(TRANSIENT + WARMUP + steps, 1, orbits, 1, generator=generator, dtype=torch.float64)
        inputs = noise * float(case.driven)
    for t in range(TRANSIENT):
        z = case.map.step(z, None if inputs is None else inputs[t])
    rest = None if inputs is None else inputs[TRANSIENT:]
    return measure(case.map, z, rest, random_frame(z, min(KEPT, case.map.state), seed), adaptive, WARMUP, steps, 1)


def spectrum_of(found: Attractor) -> Spectrum:
    return Spectrum(found.exponents, found.stderr, 1, found.orbits, "map", len(found.exponents), dof=found.dof)


def measured(runs: list[Run], count: int, truth: np.ndarray) -> tuple[str, np.ndarray]:
    """A row of the table over all exponents, and which intervals cover."""
    found = []
    for run in runs:
        batch = run.rates.shape[2]
        for i in range(batch // count):
            found.append(spectrum_of(attractor(run, 0, np.arange(batch) // count == i, count)))
    values = np.array([s.exponents for s in found])
    errors = np.array([s.stderr for s in found])
    low, high = np.moveaxis(np.array([s.interval() for s in found]), 2, 0)
    known = np.isfinite(errors)
    covered = (low <= truth) & (truth <= high)
    if known.mean() < 0.1:
        return f"{100 - 100 * known.mean():.0f} % | - | - | - |", np.empty(0)
    shares = [covered[known[:, e], e].mean() for e in range(len(truth)) if known[:, e].any()]
    ratio = np.nanmean(errors, axis=0) / values.std(axis=0, ddof=1)
    ratios = " ".join(f"{r:.2f}" for r in ratio)
    text = (
        f"{100 - 100 * known.mean():.0f} % | {100 * covered[known].mean():.1f} | {ratios} | {100 * min(shares):.1f} |"
    )
    return text, covered[known]


if __name__ == "__main__":
    main()
