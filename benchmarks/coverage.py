"""Measure how often the 95 % intervals of exponents cover, and how standard errors compare with the true spread.

    python -m benchmarks.coverage                          1000 orbits of each map, as 1000, 500, 250 and 125 starts
    python -m benchmarks.coverage --orbits 8000            1000 starts of up to 8 orbits
    python -m benchmarks.coverage --maps lorenz63 henon    these maps
    python -m benchmarks.coverage --first-seed 100         other orbits; 100 was used to tune the estimator

Every start is a run of 1, 2, 4 or 8 orbits of 500, 2000 or 10 000 counted steps. The true exponent is the mean over all
orbits of 10 000 steps, the true standard deviation that of the estimates over starts. A start without an error (too few
independent blocks) does not count; its share is printed. The driven network has white inputs of its own for each orbit;
the PLRNN is that of configs/lorenz63.yaml after training, of the first seed whose orbits stay chaotic for 20 000 steps
(this is printed), the autoregression 40 blocks with a coefficient
of 0.5.
"""

import argparse
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from scipy.signal import lfilter
from scipy.stats import t as student
from torch import Tensor, nn

from lyapsweep import systems
from lyapsweep.cells import from_torch
from lyapsweep.config import Config
from lyapsweep.dynamics.errors import standard_errors
from lyapsweep.dynamics.frames import adaptive, random_frame
from lyapsweep.dynamics.lyapunov import measure
from lyapsweep.dynamics.run import series_of_orbits
from lyapsweep.maps import AbstractMap
from lyapsweep.process import small_networks
from lyapsweep.trial import restore_network, run_trial

STEPS, ORBITS, KEPT, WARMUP, TRANSIENT, PIECE = (500, 2000, 10_000), (1, 2, 4, 8), 3, 500, 1000, 500
BLOCKS = 40
SEEDS, LATE, SEED_OF_CHOICE = 12, 20_000, 10_000  # of the trained network
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
    """The network of the first example after training, of the first seed whose orbits stay chaotic.

    A network that leaves a chaotic transient has no exponent that intervals could cover. Orbits begin near zero.
    """
    for seed in range(SEEDS):
        config = Config.load("configs/lorenz63.yaml", {"seed": seed})
        *_, record = run_trial(config)
        cell = restore_network(config, record.weights)[0].cell.double()
        case = Case(cell, lambda n, g, k=cell.state: 0.1 * torch.randn(1, n, k, generator=g, dtype=torch.float64))
        late = followed(case, 2000, SEED_OF_CHOICE, 64, LATE)[0].mean(axis=1)
        lasting = late.min() > late.mean() / 2
        print(
            f"plrnn of seed {seed}: lambda_1 of 64 orbits after {LATE} steps {late.min():.4f} to {late.max():.4f}",
            flush=True,
        )
        if lasting:
            return case
    raise SystemExit(f"None of {SEEDS} trained networks stays chaotic.")


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
    parser.add_argument("--maps", nargs="+", default=[*CASES, "ar"], choices=[*CASES, "ar"])
    parser.add_argument("--orbits", type=int, default=1000, help="orbits of each map")
    parser.add_argument("--first-seed", type=int, default=0)
    options = parser.parse_args()
    small_networks()
    print("| map | steps | orbits | without error | coverage % | worst | std. error / true |\n|" + "---|" * 7)
    seeds = range(options.first_seed, options.first_seed - (-options.orbits // PIECE))
    cases = ((name, CASES[name]() if name in CASES else None) for name in options.maps)
    rows = [row for name, case in cases for row in rows_of(name, case, seeds, min(PIECE, options.orbits))]
    every = [row.mean() for row in rows if len(row)]
    pooled, worst = np.concatenate(rows).mean(), min(every)
    print(f"\npooled coverage {100 * pooled:.1f} %, lowest {100 * worst:.1f} %, over {len(every)} settings")


@torch.no_grad()
def rows_of(name: str, case: Case | None, seeds: range, orbits: int) -> list[np.ndarray]:
    """Print a row per setting of one map; return whether each interval covers."""
    covers, truth = [], np.empty(0)
    for steps in sorted(STEPS, reverse=True) if case else (40,):
        series = [followed(case, steps, seed, orbits) if case else autoregression(seed, orbits) for seed in seeds]
        if steps == max(STEPS):
            truth = np.sort(np.mean([s.mean(axis=(1, 2)) for s in series], axis=0))[::-1]
        for count in ORBITS:
            row, covered = measured(series, count, truth if case else np.zeros(1))
            print(f"| {name} | {steps} | {count} | {row}", flush=True)
            covers.append(covered)
    return covers


def autoregression(seed: int, orbits: int) -> np.ndarray:
    """Blocks (1, orbits, blocks) of a process with a memory of 0.5 from block to block, of mean 0."""
    noise = np.random.default_rng(seed).normal(size=(1, orbits, BLOCKS + 50))
    return np.asarray(lfilter([1.0], [1.0, -0.5], noise))[..., 50:]


@torch.no_grad()
def followed(case: Case, steps: int, seed: int, orbits: int, transient: int = TRANSIENT) -> np.ndarray:
    """The engine's measurement (exponents, orbits, parts) of so many orbits, after a transient."""
    generator = torch.Generator().manual_seed(seed)
    z, inputs = case.start(orbits, generator), None
    if getattr(case.map, "inputs", 0):
        noise = torch.randn(transient + WARMUP + steps, 1, orbits, 1, generator=generator, dtype=torch.float64)
        inputs = noise * float(case.driven)
    for t in range(transient):
        z = case.map.step(z, None if inputs is None else inputs[t])
    rest = None if inputs is None else inputs[transient:]
    run = measure(case.map, z, rest, random_frame(z, min(KEPT, case.map.state), seed), adaptive, WARMUP, steps, 1)
    return series_of_orbits(run.parts[:, 0], run.lengths, orbits)


def measured(series: list[np.ndarray], count: int, truth: np.ndarray) -> tuple[str, np.ndarray]:
    """A row of the table over all exponents, and which intervals cover."""
    means, errors, halves = [], [], []
    for s in series:
        k, orbits, parts = s.shape
        starts = s[:, : orbits // count * count].reshape(-1, count, parts)
        found, mean = standard_errors(starts), starts.mean(axis=(1, 2)).reshape(k, -1)
        order = np.argsort(-mean, axis=0)
        half = found.stderr * student.ppf(0.975, found.dof)
        for kept, values in ((means, mean), (errors, found.stderr), (halves, half)):
            kept.append(np.take_along_axis(values.reshape(k, -1), order, 0))
    mean, error, half = (np.concatenate(v, axis=1) for v in (means, errors, halves))
    known = np.isfinite(error)
    lacking = f"{100 - 100 * known.mean():.0f} %"
    if known.mean() < 0.1:
        return f"{lacking} | - | - | - |", np.empty(0)
    covered = np.abs(mean - truth[:, None]) <= half
    shares = [c[k].mean() for c, k in zip(covered, known, strict=True) if k.any()]
    ratios = " ".join(f"{r:.2f}" for r in np.nanmean(error, axis=1) / mean.std(axis=1, ddof=1))
    text = f"{lacking} | {100 * covered[known].mean():.1f} | {100 * min(shares):.1f} | {ratios} |"
    return text, covered[known]


if __name__ == "__main__":
    main()
