"""Evaluate networks of a task: answers on held-out windows and spectra under its inputs, in double precision."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lyapsweep.config import Config, Lyapunov
from lyapsweep.datasets.task import Task
from lyapsweep.datasets.validation import Split
from lyapsweep.dynamics import Spectrum, lyapunov_spectra, tangent_growth
from lyapsweep.evaluation.evaluation import (
    NUMBERS,
    Evaluation,
    bounded_exponents,
    double_precision,
    growth_lags,
    spectrum_settings,
)
from lyapsweep.evaluation.stateful import SegmentMap, stream_scores
from lyapsweep.measures.evidence import Evidence
from lyapsweep.rollout import Network, driven
from lyapsweep.training import TrainingProgress
from lyapsweep.training.examples import Examples
from lyapsweep.training.losses import window_accuracies, window_losses
from lyapsweep.windows import Windows


@torch.no_grad()
def evaluate(network: Network, progress: TrainingProgress, split: Split[Task], config: Config) -> list[Evaluation]:
    """Evaluate every member: spectra along the held-out inputs, answers on the part by which networks are judged.

    Args:
        network: The population, as it is in training.
        progress: The training so far; a population that still trains gets the shorter spectra and no test evidence.
        split: The data and their parts.
        config: Any config of the pack.

    Returns:
        One `Evaluation` per member.
    """
    task, windows, lyapunov = split.whole, config.windows, progress.lyapunov(config)
    network = double_precision(network, task.dt)
    spectra = {"driven": driven_spectra(network, task, lyapunov, windows.held)}
    if windows.held:
        spectra["segments"] = segment_spectra(network, task, windows.held)
    judged = held_out_evidence(network, split.judged, windows)
    tested: list[Evidence] | list[None] = [None] * len(judged)
    if split.test is not None and progress.step == config.training.steps:
        tested = held_out_evidence(network, split.test, windows)
    z, inputs = orbits(network, task, lyapunov, windows.held)
    lags = growth_lags(len(inputs))
    growth = tangent_growth(network.cell, z, lags.tolist(), inputs)
    return [
        Evaluation(
            {name: members[p] for name, members in spectra.items()},
            dataclasses.replace(
                judged[p],
                training_losses=progress.losses[:, p].cpu().numpy(),
                gradient_norms=progress.gradient_norms[:, p].cpu().numpy(),
                lags=lags,
                growth=growth[p],
                exponent=spectra["driven"][p].maximum,
                exponents=bounded_exponents(spectra["driven"][p]),
            ),
            tested[p],
        )
        for p in range(network.cell.population)
    ]


def held_out_evidence(network: Network, task: Task, windows: Windows) -> list[Evidence]:
    """How well each member answers the test part of `task`."""
    scores = held_out_scores(network, task, windows)
    return [
        Evidence(**{name: values[p] for name, values in scores.items()}, baseline=task.baseline, dt=task.dt)
        for p in range(network.cell.population)
    ]


def held_out_scores(network: Network, task: Task, windows: Windows) -> dict[str, np.ndarray]:
    """Fields of the evidence that say how well the test part is answered, the population leading."""
    if not task.stream:
        losses, accuracies = score_windows(network, task, windows.length)
        return {"losses": losses, "accuracies": accuracies}
    found = stream_scores(network, task, windows)
    scores = {"losses": found["own"].losses.mean(dim=0)}
    scores |= {"accuracies": found["own"].right.mean(dim=0)} if task.classes else {}
    scores |= {start: found[start].losses.transpose(0, 1) for start in ("reset", "unbroken") if start in found}
    return {name: values.cpu().numpy() for name, values in scores.items()}


@torch.no_grad()
def score_windows(network: Network, task: Task, length: int | None) -> tuple[np.ndarray, np.ndarray]:
    """Loss and accuracy (population, windows) of every complete test window; no accuracy without classes."""
    losses, accuracies = [], [torch.empty(network.cell.population, 0)]
    for x, targets, mask in held_out_windows(network, task, length):
        answers = driven(network, x, task.head)
        losses.append(window_losses(task, answers, targets, mask))
        if task.classes:
            accuracies.append(window_accuracies(task, answers, targets, mask))
    return torch.cat(losses, dim=1).cpu().numpy(), torch.cat([a.cpu() for a in accuracies], dim=1).numpy()


def held_out_windows(
    network: Network, task: Task, length: int | None
) -> Iterator[tuple[Tensor, Tensor, Tensor | None]]:
    """The windows of the test part, the same for every member, in chunks that fit into memory."""
    population, device = network.cell.population, next(network.parameters()).device
    length = None if length is None else min(length, task.test_inputs.shape[1])
    examples = Examples(task, "test", length, device, torch.float64)
    chunk = max(1, NUMBERS // (examples.length * population * network.cell.state))
    for windows in examples.whole.to(device).split(chunk):
        yield examples.cut(windows.expand(population, -1))


@torch.no_grad()
def driven_spectra(network: Network, task: Task, lyapunov: Lyapunov, held: int | None = None) -> list[Spectrum]:
    """Compute the Lyapunov spectrum of each member conditional on the held-out inputs.

    The Jacobians are J_t = df/dz at (z_t, x_t), from z_0 = 0. Orbits of a stream are pieces of it, without a reset at
    windows: a reset would cut every product. Orbits of separate sequences are one sequence each, at most half of it
    warmup.

    Args:
        network: The population.
        task: The data.
        lyapunov: Steps, warmup, orbits and number of exponents; at most as many as the test part has room for.
        held: Steps over which a target is a further input, for conditional windows.

    Returns:
        One `Spectrum` per member, of the map "driven".
    """
    network = double_precision(network, task.dt)
    z, inputs = orbits(network, task, lyapunov, held)
    warmup = min(lyapunov.warmup, len(inputs) // 2)
    steps = len(inputs) - warmup
    settings: dict[str, Any] = spectrum_settings(lyapunov, network.cell.state) | {"warmup": warmup, "steps": steps}
    segments = min(lyapunov.segments, steps) if task.stream else 1
    return lyapunov_spectra(network.cell, z, inputs, kind="driven", segments=segments, **settings)


@torch.no_grad()
def segment_spectra(network: Network, task: Task, length: int) -> list[Spectrum]:
    """Spectra of conditional networks' answers from window to window, nats per window (see `SegmentMap`).

    Along the complete windows of the test part from the last training target; a quarter of them is warmup.
    """
    network, length = double_precision(network, task.dt), min(length, task.test_inputs.shape[1])
    examples = Examples(task, "test", length, next(network.parameters()).device, torch.float64, length)
    x, *_ = examples.cut(examples.whole.to(examples.inputs.device).expand(network.cell.population, -1))
    y, inputs = x[0, :, :1, task.inputs :], x[..., : task.inputs].permute(2, 1, 0, 3).flatten(2).unsqueeze(2)
    warmup = len(inputs) // 4
    segment_map = SegmentMap(network, length, task.outputs)
    return lyapunov_spectra(segment_map, y, inputs, kind="segments", warmup=warmup, steps=len(inputs) - warmup)


def orbits(network: Network, task: Task, lyapunov: Lyapunov, held: int | None = None) -> tuple[Tensor, Tensor]:
    """Zero states (population, orbits, state) and the held-out inputs (time, population, orbits, inputs) of each."""
    sequences, length = task.test_inputs.shape[:2]
    each = length // lyapunov.orbits if sequences == 1 else length
    steps = max(1, min(lyapunov.warmup + lyapunov.steps, each))
    examples = Examples(task, "test", steps, next(network.parameters()).device, torch.float64, held)
    first = torch.arange(lyapunov.orbits) * each if sequences == 1 else torch.arange(min(lyapunov.orbits, sequences))
    windows = (first if sequences == 1 else first * examples.places).clamp(max=len(examples) - 1).unique()
    x, *_ = examples.cut(windows.to(examples.inputs.device).expand(network.cell.population, -1))
    return x.new_zeros(*x.shape[1:3], network.cell.state), x
