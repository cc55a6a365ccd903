"""How near does `lyapsweep suggest` come to exponents that are known, and a library (nolds: Rosenstein's curve)?

One column of 10 000 samples, without and with 5 % observation noise; ratios to the truth. nolds is given our delay,
Theiler window and the least dimension that unfolds; it fits a line to the first `trajectory_len` samples of its curve,
for which we give it one Lyapunov time of the truth: more than a user could know.
"""

import argparse
import importlib
import math
import time
from typing import Any

import numpy as np
import torch

from benchmarks.timing import markdown, progress
from lyapsweep import systems
from lyapsweep.timeseries import Estimate, estimate

TRUTH = {"lorenz63": (0.01, 0.9056), "roessler": (0.1, 0.0879), "duffing": (0.1773, 0.1292), "henon": (None, 0.41922)}


def recorded(name: str, seed: int, length: int, noise: float) -> np.ndarray:
    """(length, columns) after a transient, noise in standard deviations of a column."""
    system = systems.build(name, TRUTH[name][0])
    states = system.trajectory(system.start(1, torch.Generator().manual_seed(seed)), 1000 + length)[1000:]
    values = system.observe(torch.from_numpy(states)).numpy()
    return values + noise * values.std(axis=0) * np.random.default_rng(seed).standard_normal(values.shape)


def library() -> Any:
    try:
        return importlib.import_module("nolds")
    except ImportError:
        print("nolds is not installed: its columns are empty (pip install nolds)")
        return None


def theirs(nolds: Any, x: np.ndarray, found: Estimate, per_step: float) -> float:
    e = found.embedding
    reach = max(4, math.ceil(1 / per_step))
    settings = {"emb_dim": e.dimension, "lag": e.delay, "min_tsep": e.theiler, "trajectory_len": reach}
    return nolds.lyap_r(x, **settings) / per_step


def row(name: str, noise: float, seeds: range, length: int, nolds: Any) -> dict[str, object]:
    per_step = TRUTH[name][1] * (TRUTH[name][0] or 1.0)
    ours, whole, peers, began = [], [], [], time.process_time()
    for seed in seeds:
        progress(f"{name}, noise {noise}, seed {seed}")
        x = recorded(name, seed, length, noise)
        found = estimate(x[:, :1])
        ours.append(found.exponent / per_step)
        whole.append(estimate(x).exponent / per_step)
        peers += [theirs(nolds, x[:, 0], found, per_step)] if nolds else []
    seconds = (time.process_time() - began) / len(seeds) / 2
    told = lambda ratios: f"{np.mean(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})" if ratios else ""  # noqa: E731
    columns = {"system": name, "noise": f"{noise:.0%}", "ours, one column": told(ours), "ours, all": told(whole)}
    return columns | {"nolds, one column": told(peers), "seconds": f"{seconds:.0f}"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--length", type=int, default=10_000)
    args = parser.parse_args()
    torch.set_num_threads(1)
    nolds, seeds = library(), range(21, 21 + args.seeds)
    rows = [row(name, noise, seeds, args.length, nolds) for name in TRUTH for noise in (0.0, 0.05)]
    progress("")
    print(markdown(rows))


if __name__ == "__main__":
    main()
