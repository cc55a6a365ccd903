"""What a population is like on a task: its answers, and its spectrum under the task's inputs. In double precision."""

import copy
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lyapsweep.config import Config, Lyapunov
from lyapsweep.datasets.task import Task
from lyapsweep.dynamics import Spectrum, lyapunov_spectra, tangent_growth
from lyapsweep.evaluation.series import LAGS, LONGEST_LAG, counted
from lyapsweep.evaluation.stateful import SegmentMap, examined
from lyapsweep.measures.evidence import Evidence
from lyapsweep.rollout import Network, driven
from lyapsweep.training import Progress
from lyapsweep.training.objectives import Examples, window_accuracies, window_losses
from lyapsweep.windows import Windows

NUMBERS = 10_000_000  # of states held at a time


@torch.no_grad()
def examine(
    network: Network, progress: Progress, task: Task, configs: Sequence[Config]
) -> list[tuple[dict[str, Spectrum], Evidence]]:
    """Spectra by map and evidence, one pair a member: on the held-out part, each window from the zero state."""
    lyapunov, windows, network = progress.lyapunov(configs[0]), configs[0].windows, in_double(network, task)
    spectra = {"driven": driven_spectra(network, task, lyapunov, windows.held)}
    if windows.held:
        spectra["segments"] = segment_spectra(network, task, windows.held)
    if task.stream:
        scores = streamed(network, task, windows)
    else:
        scores = dict(zip(("losses", "accuracies"), answered(network, task, windows.length)))
    z, inputs = orbits(network, task, lyapunov, windows.held)
    lags = np.unique(np.geomspace(1, min(LONGEST_LAG, len(inputs)), LAGS).astype(int))
    growth = tangent_growth(network.cell, z, lags.tolist(), inputs)
    return [
        (
            mine := {kind: members[p] for kind, members in spectra.items()},
            Evidence(
                **{name: values[p] for name, values in scores.items()},
                baseline=task.baseline,
                training_losses=progress.losses[:, p].cpu().numpy(),
                gradient_norms=progress.gradient_norms[:, p].cpu().numpy(),
                lags=lags,
                growth=growth[p],
                exponent=mine["driven"].maximum,
                dt=task.dt,
            ),
        )
        for p in range(len(configs))
    ]


def in_double(network: Network, task: Task) -> Network:
    network = copy.deepcopy(network).double()
    network.cell.dt = task.dt
    return network


@torch.no_grad()
def answered(network: Network, task: Task, length: int | None) -> tuple[np.ndarray, np.ndarray]:
    """Loss and accuracy (population, windows) of every whole window of the test part; no accuracy without classes."""
    losses, accuracies = [], [torch.empty(network.cell.population, 0)]
    for x, targets, mask in held_out(network, task, length):
        answers = driven(network, x, task.head)
        losses.append(window_losses(task, answers, targets, mask))
        if task.classes:
            accuracies.append(window_accuracies(task, answers, targets, mask))
    return torch.cat(losses, dim=1).cpu().numpy(), torch.cat([a.cpu() for a in accuracies], dim=1).numpy()


def streamed(network: Network, task: Task, windows: Windows) -> dict[str, np.ndarray]:
    """What the evidence says of a stream's windows: scores as their policy begins them, losses as others would."""
    found = examined(network, task, windows)
    scores = {"losses": found["own"].losses.mean(dim=0)}
    scores |= {"accuracies": found["own"].right.mean(dim=0)} if task.classes else {}
    scores |= {way: found[way].losses.transpose(0, 1) for way in ("reset", "unbroken") if way in found}
    return {name: values.cpu().numpy() for name, values in scores.items()}


def held_out(network: Network, task: Task, length: int | None) -> Iterator[tuple[Tensor, Tensor, Tensor | None]]:
    """The test part's windows, the same for every member, some at a time: what `Examples.cut` gives."""
    population, device = network.cell.population, next(network.parameters()).device
    length = None if length is None else min(length, task.test_inputs.shape[1])
    examples = Examples(task, "test", length, device, torch.float64)
    some = max(1, NUMBERS // (examples.length * population * network.cell.state))
    for windows in examples.whole.to(device).split(some):
        yield examples.cut(windows.expand(population, -1))


@torch.no_grad()
def driven_spectra(network: Network, task: Task, lyapunov: Lyapunov, held: int | None = None) -> list[Spectrum]:
    """The spectrum of each member driven by held-out inputs in their own order: exponents conditional on them.

    J_t = df/dz at (z_t, x_t), from z_0 = 0. Of a stream each orbit is a piece of its own, `warmup` + `steps` long where
    there is that much. Sequences that do not follow each other are not joined: an orbit is one sequence, `orbits` the
    number of sequences at most, and no orbit has more steps than a sequence; of too few, at most half are warm-up.
    Where windows are training's business (a stream), no orbit is reset, for a reset would cut every chain; a target
    that is `held` for a window's steps is a further input.
    """
    network = in_double(network, task)
    z, inputs = orbits(network, task, lyapunov, held)
    warmup = min(lyapunov.warmup, len(inputs) // 2)
    plan: dict[str, Any] = counted(lyapunov, network.cell.state) | {"warmup": warmup, "steps": len(inputs) - warmup}
    segments = min(lyapunov.segments, plan["steps"]) if task.stream else 1
    return lyapunov_spectra(network.cell, z, inputs, kind="driven", segments=segments, **plan)


@torch.no_grad()
def segment_spectra(network: Network, task: Task, length: int) -> list[Spectrum]:
    """The spectrum of each conditional network's answers from window to window, nats per window: see `SegmentMap`.

    Along the whole windows of the test part, a quarter of them as warm-up, from the last training target.
    """
    network, length = in_double(network, task), min(length, task.test_inputs.shape[1])
    examples = Examples(task, "test", length, next(network.parameters()).device, torch.float64, length)
    x, *_ = examples.cut(examples.whole.to(examples.inputs.device).expand(network.cell.population, -1))
    y, inputs = x[0, :, :1, task.inputs :], x[..., : task.inputs].permute(2, 1, 0, 3).flatten(2).unsqueeze(2)
    warmup = len(inputs) // 4
    map = SegmentMap(network, length, task.outputs)
    return lyapunov_spectra(map, y, inputs, kind="segments", warmup=warmup, steps=len(inputs) - warmup)


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
