"""Tell what has become slower: figures as ratios to a fixed reference loop, compared with those kept in a file.

    python -m benchmarks.regression            # measure, compare, exit 1 if something got slower
    python -m benchmarks.regression --keep     # measure and keep the figures
    python -m benchmarks.regression --only spectrum

A ratio is processor time of one thread over that of the reference loop, interleaved with it, so that figures of
different machines and loads can be compared roughly: a quarter more counts as slower. The reference is products of
48 x 48 matrices by torch with sums of Python floats in between, half of the time each.
"""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path

import torch

from benchmarks.problems import problem
from benchmarks.timing import interleaved, markdown, one_thread
from lyapsweep import datasets
from lyapsweep.config import Config
from lyapsweep.dynamics import lyapunov_spectra, tangent_growth
from lyapsweep.problems.network import build_network
from lyapsweep.problems.series import forcing_schedule
from lyapsweep.systems import build
from lyapsweep.training import train
from lyapsweep.training.objectives import ForcedWindows

KEPT = Path(__file__).with_name("ratios.json")
SLOWER, ROUNDS = 1.25, 7
Job = Callable[[], object]


def reference() -> None:
    """The fixed loop: never change it, or all kept figures lose their meaning."""
    a = torch.eye(48, dtype=torch.float64)
    for _ in range(300):
        a = torch.mm(a, a)
        total = 0.0
        for i in range(60):
            total += i * 0.5


def spectrum(kind: str, units: int, batch: int, steps: int, **settings) -> Job:
    p = problem(kind, units, batch)
    return lambda: lyapunov_spectra(p.cell, p.z, p.inputs, steps=steps, **settings)


def growth(kind: str, units: int) -> Job:
    p = problem(kind, units, 5)
    return lambda: tangent_growth(p.cell, p.z, [1, 10, 100, 200], p.inputs)


def system(name: str) -> Job:
    flow = build(name)
    z = flow.start(16, torch.Generator().manual_seed(0))
    return lambda: lyapunov_spectra(flow, z, steps=500, warmup=50)


def training(kind: str, population: int) -> Job:
    content = {
        "dataset": {"kind": "simulated", "system": "lorenz63", "length": 2000},
        "cell": {"kind": kind, "units": 30},
        "forcing": {"kind": "sparse", "interval": 16},
        "windows": {"length": 64, "batch": 16},
        "training": {"steps": 60},
    }
    configs = [Config.of(content | {"seed": seed}) for seed in range(population)]
    series = datasets.build(**configs[0].dataset)
    x = torch.tensor(series.train, dtype=torch.float32)

    def run() -> None:
        network = build_network(configs, series.features)
        generators = [torch.Generator().manual_seed(seed) for seed in range(population)]
        objective = ForcedWindows(network, forcing_schedule(configs), x, configs[0].windows, generators)
        for _ in train(network, objective, [config.training for config in configs]):
            pass

    return run


JOBS: dict[str, Callable[[], Job]] = {
    "spectrum: 5 plrnn of 30": lambda: spectrum("plrnn", 30, 5, 300),
    "spectrum: 1 vanilla of 64": lambda: spectrum("vanilla", 64, 1, 300),
    "spectrum: 1 lstm of 64": lambda: spectrum("lstm", 64, 1, 150),
    "spectrum: 3 of a vanilla of 128": lambda: spectrum("vanilla", 128, 1, 300, k=3),
    "growth: plrnn of 30": lambda: growth("plrnn", 30),
    "spectrum: lorenz63": lambda: system("lorenz63"),
    "training: 3 plrnn of 30": lambda: training("plrnn", 3),
    "training: 1 lstm of 30": lambda: training("lstm", 1),
}


def measure(names: list[str]) -> dict[str, float]:
    """Return the ratio of each job to the reference."""
    found = {}
    for name in names:
        taken = interleaved({"job": JOBS[name](), "reference": reference}, ROUNDS)
        found[name] = taken["job"] / taken["reference"]
    return found


def compared(found: dict[str, float], kept: dict[str, float]) -> list[dict[str, object]]:
    """Return a row per figure; `verdict` says "slower" where a ratio has grown by a quarter or more."""
    rows = []
    for name, ratio in found.items():
        before = kept.get(name)
        times = None if before is None else ratio / before
        verdict = "new" if times is None else "slower" if times >= SLOWER else "faster" if times <= 1 / SLOWER else ""
        rows.append({"figure": name, "kept": before, "now": ratio, "times": times, "verdict": verdict})
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", action="store_true", help=f"write the figures to {KEPT.name}")
    parser.add_argument("--only", default="", help="measure figures whose name begins so")
    args = parser.parse_args()
    print(one_thread(), flush=True)
    kept = json.loads(KEPT.read_text()) if KEPT.exists() else {}
    found = measure([name for name in JOBS if name.startswith(args.only)])
    rows = compared(found, kept)
    print(markdown(rows))
    if args.keep:
        KEPT.write_text(json.dumps(kept | {name: round(ratio, 3) for name, ratio in found.items()}, indent=1) + "\n")
        return 0
    return int(any(row["verdict"] == "slower" for row in rows))


if __name__ == "__main__":
    sys.exit(main())
