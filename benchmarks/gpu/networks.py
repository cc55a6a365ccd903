"""The trainings that a check runs: configs, packs, the pace of their updates, and how far two results are apart."""

import contextlib
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from benchmarks.gpu.check import Section
from lyapsweep.cells import unrolled
from lyapsweep.config import Config
from lyapsweep.problems import problem_of
from lyapsweep.problems.network import build_network
from lyapsweep.regularisation import penalty
from lyapsweep.rollout import Network
from lyapsweep.training import TrainingProgress, train, update

Content = dict[str, Any]
LORENZ: Content = {
    "dataset": {"kind": "simulated", "system": "lorenz63", "dt": 0.03, "length": 4000, "test": 0.5, "seed": 0},
    "cell": {"kind": "vanilla", "units": 30},
    "readout": {"kind": "linear"},
    "init": {"kind": "uniform"},
    "forcing": {"kind": "sparse", "interval": 16},
    "windows": {"length": 64, "batch": 16},
    "training": {"steps": 10, "lr": 1e-3, "lr_end": 1e-4, "clip": 1.0},
    "lyapunov": {"steps": 100, "warmup": 20, "orbits": 2},
    "measures": ["loss", "divergence", "gradients", "prediction_error"],
    "seed": 0,
}
ADDING: Content = {
    "dataset": {"kind": "adding", "length": 40, "train": 500, "test": 50, "seed": 0},
    "cell": {"kind": "vanilla", "units": 30},
    "readout": {"kind": "affine"},
    "init": {"kind": "uniform"},
    "windows": {"length": None, "batch": 16},
    "training": {"steps": 10, "lr": 1e-3, "report_at": []},
    "lyapunov": {"steps": 30, "warmup": 10, "orbits": 4},
    "measures": ["loss", "solved"],
}
CELLS = ("vanilla", "lstm", "gru", "plrnn", "dendritic_plrnn", "shallow_plrnn", "alrnn", "antisymmetric", "cornn")
CELLS += ("scornn", "scurnn", "sbo")


def merged(*parts: Content) -> Content:
    """The parts over each other, section by section; a section that names its kind replaces the one before."""
    out: Content = {}
    for part in parts:
        for key, value in part.items():
            replaces = not isinstance(value, dict) or not isinstance(out.get(key), dict) or "kind" in value
            out[key] = value if replaces else out[key] | value
    return json.loads(json.dumps(out))


def cell_of(kind: str, units: int = 30) -> Content:
    own = {"shallow_plrnn": {"hidden": 2 * units}, "sbo": {"rank": 5}}.get(kind, {})
    return {"cell": {"kind": kind, "units": units} | own}


def pack(content: Content, members: int, *changes: Content) -> list[Config]:
    """Members that differ in their seed."""
    first = Config.of(merged(content, *changes))
    return [Config({**first.sections, "seed": seed}) for seed in range(members)]


@dataclass(frozen=True)
class Trained:
    """A training's end, in double precision on the CPU."""

    losses: Tensor
    norms: Tensor
    weights: dict[str, Tensor]
    progress: TrainingProgress


def stream(configs: Sequence[Config], device: str) -> tuple[Network, Iterator[TrainingProgress]]:
    """The network, and the progress of its training."""
    problem = problem_of(configs[0])
    network = build_network(configs, *problem.size).to(device)
    penalties = penalty(network, [c.regularisation for c in configs])
    return network, train(
        network, problem.objective(network, configs, device), [c.training for c in configs], penalties
    )


def trained(configs: Sequence[Config], device: str) -> Trained:
    """Train to the end."""
    network, steps = stream(configs, device)
    *_, progress = steps
    weights = {name: w.detach().double().cpu() for name, w in network.named_parameters()}
    return Trained(progress.losses.double().cpu(), progress.gradient_norms.double().cpu(), weights, progress)


def apart(a: Tensor, b: Tensor) -> float:
    """The largest difference over the largest size, NaN agreeing with NaN."""
    a, b = (torch.nan_to_num(v, nan=0.0, posinf=0.0) for v in (a, b))
    return float((a - b).abs().max() / b.abs().max().clamp(min=1e-300)) if a.numel() else 0.0


def all_apart(a: Trained, b: Trained) -> float:
    """The largest difference of losses, norms and weights."""
    parts = [(a.losses, b.losses), (a.norms, b.norms), *((a.weights[k], b.weights[k]) for k in b.weights)]
    return max(apart(x, y) for x, y in parts)


@contextlib.contextmanager
def using(graph: bool = True, kernels: bool = True) -> Iterator[None]:
    """Train with or without CUDA graphs and Triton's kernels."""
    least, has_triton = update.LEAST, unrolled.has_triton
    update.LEAST = 0 if graph else 10**9
    unrolled.has_triton = has_triton if kernels else lambda: False
    try:
        yield
    finally:
        update.LEAST, unrolled.has_triton = least, has_triton


@contextlib.contextmanager
def precision(dtype: torch.dtype) -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def pace(section: Section, configs: Sequence[Config], device: str, seconds: float = 1.0) -> dict[str, float]:
    """Microseconds of an update, and per member; megabytes of the card at most."""
    every = {"training/steps": 10_000, "training/report_every": 20, "training/report_at": []}
    first = configs[0].changed(every)
    alike = [Config({**first.sections, "seed": c.seed}) for c in configs]
    on_card = device != "cpu"
    if on_card:
        torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated() if on_card else 0
    _, steps = stream(alike, device)
    next(steps), next(steps)
    section.synchronise()
    began, done = time.perf_counter(), 0
    while done < 400 and (time.perf_counter() - began < seconds or not done):
        next(steps)
        section.synchronise()
        done += 20
    took = (time.perf_counter() - began) / done * 1e6
    steps.close()  # type: ignore[attr-defined]
    memory = (torch.cuda.max_memory_allocated() - before) / 1e6 if on_card else 0.0
    return {"us": round(took, 1), "us a member": round(took / len(configs), 3), "MB": round(memory, 1)}
