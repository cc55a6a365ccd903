"""Measure whole updates at the flagship's sizes: torch, compiled, what a JAX user writes, and the published way.

    python -m benchmarks.engines [--quick] [--cells plrnn ...] [--json FILE]

Processor milliseconds per network and update (windows of 64 steps, batch 16, Lorenz) of populations of 1, 3 and 32,
interleaved in one process, medians. The peer in JAX (`benchmarks.jax_peer`) is run where JAX is installed; the
published way is `benchmarks.training.Reference`, one network per process. `--tasks` measures a task driven by inputs.
"""

import argparse
import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path

import torch

from benchmarks.timing import interleaved, markdown, one_thread, progress
from benchmarks.training import Reference
from lyapsweep import datasets
from lyapsweep.compiled.engine import choose_engine
from lyapsweep.config import Config
from lyapsweep.problems import problem_of
from lyapsweep.problems.network import build_network
from lyapsweep.training import TrainingProgress, train

SIZES = {
    "plrnn": {"units": 30},
    "vanilla": {"units": 30},
    "shallow_plrnn": {"units": 20, "hidden": 40},
    "gru": {"units": 30},
    "lstm": {"units": 30},
}
INTERVALS, POPULATIONS = (5, 16, 25, 64), (1, 3, 32)
TASKS = {
    "adding": {"kind": "adding", "length": 50, "train": 2000, "test": 100},
    "flip_flop": {"kind": "flip_flop"},
}
HAS_JAX = importlib.util.find_spec("jax") is not None


def series_configs(kind: str, interval: int, population: int) -> list[Config]:
    content = {
        "dataset": {"kind": "simulated", "system": "lorenz63", "dt": 0.01, "length": 20000},
        "cell": {"kind": kind, **SIZES[kind]},
        "forcing": {"kind": "sparse", "interval": interval},
        "windows": {"length": 64, "batch": 16},
    }
    return [
        Config.of(content | {"training": {"steps": 10**6, "lr": 1e-3, "clip": 1.0}, "seed": s})
        for s in range(population)
    ]


def task_configs(name: str, population: int) -> list[Config]:
    content = {
        "dataset": TASKS[name],
        "cell": {"kind": "vanilla", "units": 16},
        "windows": {"batch": 16},
        "training": {"steps": 10**6, "lr": 1e-3, "report_at": []},
    }
    return [Config.of(content | {"seed": s}) for s in range(population)]


def training(points: list[Config], updates: int, engine: str) -> Iterator[TrainingProgress]:
    """A training of these networks that pauses every `updates` updates; the pause at the start is behind it."""
    choose_engine(engine)
    plans = [c.changed({"training/report_every": updates}).training for c in points]
    problem = problem_of(points[0])
    network = build_network(points, *problem.size)
    running = train(network, problem.objective(network, points), plans)
    next(running)
    return running


def speed(points: list[Config], rounds: int, peers: bool) -> dict[str, float]:
    """Return milliseconds of processor time per network and update of each engine and peer."""
    population = len(points)
    updates = {"torch": max(2, 24 // population), "compiled": max(64, 96 // population)}  # a training: 256 per call
    running = {engine: training(points, n, engine) for engine, n in updates.items()}
    rivals = {engine: lambda run=run: next(run) for engine, run in running.items()}
    if peers:
        series = torch.tensor(datasets.build(**points[0].dataset).train, dtype=torch.float32)
        if points[0].cell["kind"] == "plrnn":
            reference = Reference(build_network(points[:1], series.shape[1]), 0, points[0], series)
            rivals, updates = rivals | {"published": reference.update}, updates | {"published": 1 / population}
            if HAS_JAX:
                from benchmarks.jax_peer import population_updates

                rivals["JAX"], updates["JAX"] = population_updates(points, series.numpy()), 16
    taken = interleaved(rivals, rounds)
    return {name: 1e3 * taken[name] / updates[name] / population for name in rivals}


def row(name: str, points: list[Config], rounds: int, peers: bool) -> dict[str, object]:
    progress(f"{name}, P = {len(points)}")
    ms = speed(points, rounds, peers)
    ratios = {f"x {name}": value / ms["compiled"] for name, value in ms.items() if name != "compiled"}
    return {"training": name, "P": len(points)} | {f"ms, {k}": v for k, v in ms.items()} | ratios


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one interval and few rounds: about a minute")
    parser.add_argument("--cells", nargs="+", choices=SIZES, default=list(SIZES))
    parser.add_argument("--intervals", nargs="+", type=int, help=f"default {INTERVALS}")
    parser.add_argument("--tasks", action="store_true", help="adding and flip-flop, 128 networks of 16 tanh units")
    parser.add_argument("--json", type=Path, help="file of raw figures")
    args = parser.parse_args()
    print(one_thread(), flush=True)
    print("JAX peer: " + ("included" if HAS_JAX else "skipped, JAX is not installed"), flush=True)
    rounds, rows = 5 if args.quick else 9, []
    if args.tasks:
        rows = [row(name, task_configs(name, 128), rounds, peers=False) for name in TASKS]
    else:
        for kind in args.cells:
            for interval in args.intervals or ((16,) if args.quick else INTERVALS):
                for population in POPULATIONS:
                    points = series_configs(kind, interval, population)
                    rows.append(row(f"{kind}, interval {interval}", points, rounds, peers=True))
    progress("")
    print(markdown(rows))
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
