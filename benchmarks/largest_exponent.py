"""Compare `lyapsweep suggest` and nolds (Rosenstein's curve) with known largest exponents.

10 000 samples, without and with 5 % observation noise, all columns and the first only; error in per cent. "Along"
is the growth of the true tangent vectors along the same samples. nolds gets our delay, Theiler window and
dimension; it fits a line to the first `trajectory_len` samples of its curve, here one true Lyapunov time, which a user
would not know.
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
TRANSIENT = 1000  # samples; the tangent vector is aligned in the last 200
TURNING = 200


def recorded(name: str, seed: int, length: int, noise: float) -> tuple[np.ndarray, float]:
    """Return noisy samples (length, columns) after a transient, and the true exponent along them."""
    system = systems.build(name, TRUTH[name][0])
    states = system.trajectory(system.start(1, torch.Generator().manual_seed(seed)), TRANSIENT + length)
    values = system.observe(torch.from_numpy(states[TRANSIENT:])).numpy()
    noisy = values + noise * values.std(axis=0) * np.random.default_rng(seed).standard_normal(values.shape)
    return noisy, own(system, states[TRANSIENT - TURNING :])


@torch.inference_mode()
def own(system: systems.AbstractSystem, states: np.ndarray) -> float:
    """Return the mean log growth per sample of a tangent vector under the true derivatives at these states."""
    unit = torch.eye(system.state, dtype=torch.float64).expand(1, len(states), -1, -1)
    jacobians = system.push(torch.from_numpy(states)[None], None, unit)[1][0].numpy()
    v, logs = np.ones(system.state), []
    for J in jacobians[:-1]:
        v = v @ J
        logs.append(math.log(np.linalg.norm(v)))
        v /= np.linalg.norm(v)
    return float(np.mean(logs[TURNING:]))


def library() -> Any:
    try:
        return importlib.import_module("nolds")
    except ImportError:
        print("nolds is not installed: its columns are empty (pip install nolds)")
        return None


def theirs(nolds: Any, x: np.ndarray, found: Estimate, per_step: float) -> float:
    e = found.embedding
    settings = {"emb_dim": e.dimension, "lag": e.delay, "min_tsep": e.theiler}
    return nolds.lyap_r(x, **settings, trajectory_len=max(4, math.ceil(1 / per_step)))


def row(name: str, noise: float, seed: int, length: int, nolds: Any) -> dict[str, object]:
    per_step = TRUTH[name][1] * (TRUTH[name][0] or 1.0)
    off = lambda exponent: f"{100 * (exponent / per_step - 1):+.1f} %"  # noqa: E731
    x, along = recorded(name, seed, length, noise)
    columns: dict[str, object] = {"system": name, "noise": f"{noise:.0%}", "seed": seed, "along": off(along)}
    for form, values in (("all columns", x), ("one column", x[:, :1])):
        progress(f"{name}, noise {noise}, seed {seed}, {form}")
        began = time.process_time()
        found = estimate(values)
        columns[form] = off(found.exponent) + (", model" if found.model else ", series")
        columns[form] = f"{columns[form]}{'' if found.chaotic else ', no evidence of chaos'}"
        columns["seconds"] = f"{time.process_time() - began:.0f}"
    progress(f"{name}, noise {noise}, seed {seed}, nolds")
    return columns | {"nolds, one column": off(theirs(nolds, x[:, 0], found, per_step)) if nolds else ""}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--first", type=int, default=21, help="first seed")
    parser.add_argument("--length", type=int, default=10_000)
    args = parser.parse_args()
    torch.set_num_threads(1)
    nolds, seeds = library(), range(args.first, args.first + args.seeds)
    rows = [row(name, noise, seed, args.length, nolds) for name in TRUTH for noise in (0.0, 0.05) for seed in seeds]
    progress("")
    print(markdown(rows))


if __name__ == "__main__":
    main()
