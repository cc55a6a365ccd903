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
from lyapsweep.evaluation import LAGS, LONGEST_LAG, counted
from lyapsweep.measures.evidence import Evidence
from lyapsweep.objectives import Examples, window_accuracies, window_losses
from lyapsweep.rollout import Network, driven
from lyapsweep.training import Progress

NUMBERS = 10_000_000  # of states held at a time


@torch.no_grad()
def examine(
    network: Network, progress: Progress, task: Task, configs: Sequence[Config]
) -> list[tuple[dict[str, Spectrum], Evidence]]:
    """Spectra by map and evidence, one pair a member: on the held-out part, each window from the zero state."""
    lyapunov, network = configs[0].lyapunov, in_double(network, task)
    losses, accuracies = answered(network, task, configs[0].windows.length)
    spectra = driven_spectra(network, task, lyapunov)
    z, inputs = orbits(network, task, lyapunov)
    lags = np.unique(np.geomspace(1, min(LONGEST_LAG, len(inputs)), LAGS).astype(int))
    growth = tangent_growth(network.cell, z, lags.tolist(), inputs)
    return [
        (
            {"driven": spectrum},
            Evidence(
                losses=losses[p],
                accuracies=accuracies[p],
                baseline=task.baseline,
                training_losses=progress.losses[:, p].cpu().numpy(),
                gradient_norms=progress.gradient_norms[:, p].cpu().numpy(),
                lags=lags,
                growth=growth[p],
                exponent=spectrum.maximum,
                dt=task.dt,
            ),
        )
        for p, spectrum in enumerate(spectra)
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


def held_out(network: Network, task: Task, length: int | None) -> Iterator[tuple[Tensor, Tensor, Tensor | None]]:
    """The test part's windows, the same for every member, some at a time: what `Examples.cut` gives."""
    population, device = network.cell.population, next(network.parameters()).device
    length = None if length is None else min(length, task.test_inputs.shape[1])
    examples = Examples(task, "test", length, device, torch.float64)
    some = max(1, NUMBERS // (examples.length * population * network.cell.state))
    for windows in examples.whole.to(device).split(some):
        yield examples.cut(windows.expand(population, -1))


@torch.no_grad()
def driven_spectra(network: Network, task: Task, lyapunov: Lyapunov) -> list[Spectrum]:
    """The spectrum of each member driven by held-out inputs in their own order: exponents conditional on them.

    J_t = df/dz at (z_t, x_t), from z_0 = 0. Of a stream each orbit is a piece of its own, `warmup` + `steps` long where
    there is that much. Sequences that do not follow each other are not joined: an orbit is one sequence, `orbits` the
    number of sequences at most, and no orbit has more steps than a sequence; of too few, at most half are warm-up.
    """
    network = in_double(network, task)
    z, inputs = orbits(network, task, lyapunov)
    warmup = min(lyapunov.warmup, len(inputs) // 2)
    plan: dict[str, Any] = counted(lyapunov, network.cell.state) | {"warmup": warmup, "steps": len(inputs) - warmup}
    segments = min(lyapunov.segments, plan["steps"]) if task.stream else 1
    return lyapunov_spectra(network.cell, z, inputs, kind="driven", segments=segments, **plan)


def orbits(network: Network, task: Task, lyapunov: Lyapunov) -> tuple[Tensor, Tensor]:
    """Zero states (population, orbits, state) and the held-out inputs (time, population, orbits, inputs) of each."""
    sequences, length = task.test_inputs.shape[:2]
    each = length // lyapunov.orbits if sequences == 1 else length
    steps = max(1, min(lyapunov.warmup + lyapunov.steps, each))
    examples = Examples(task, "test", steps, next(network.parameters()).device, torch.float64)
    first = torch.arange(lyapunov.orbits) * each if sequences == 1 else torch.arange(min(lyapunov.orbits, sequences))
    windows = (first if sequences == 1 else first * examples.places).clamp(max=len(examples) - 1).unique()
    x, *_ = examples.cut(windows.to(examples.inputs.device).expand(network.cell.population, -1))
    return x.new_zeros(*x.shape[1:3], network.cell.state), x
