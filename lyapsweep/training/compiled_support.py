"""What compiled updates cover; everything else trains on torch."""

from typing import Any

import torch
from torch import Tensor, nn

from lyapsweep.compiled.elementwise import statement_of
from lyapsweep.readouts import READOUTS, AbstractReadout
from lyapsweep.regularisation import Penalty
from lyapsweep.rollout import Network
from lyapsweep.training.gradients import collect
from lyapsweep.training.objectives import DrivenWindows, ForcedWindows

LARGEST = 2**26  # numbers of one-hot inputs
READ = tuple(READOUTS[name] for name in ("linear", "affine", "identity", "neuroview"))


def obstacle(network: Network, objective: Any, penalty: Penalty | None) -> str | None:
    """Why compiled updates do not cover a training; None if they do."""
    cell = getattr(network, "cell", None)
    statement = statement_of(cell)
    if cell is None or statement is None:
        return f"{type(cell).__name__} states no compiled loops"
    first = next(cell.parameters())
    if first.device.type != "cpu" or first.dtype != torch.float32:
        return f"it is in {first.dtype} on {first.device.type}"
    if cell.rates:
        return f"weights of {type(cell).__name__} have learning rates of their own"
    if type(network.readout) not in READ:
        return f"{type(network.readout).__name__} has no compiled loops"
    if type(objective) not in (ForcedWindows, DrivenWindows):
        return f"{type(objective).__name__} has no compiled loops"
    return obstacle_of_data(network.readout, objective) or obstacle_of_penalty(network, penalty)


def obstacle_of_data(readout: AbstractReadout, objective: ForcedWindows | DrivenWindows) -> str | None:
    if isinstance(objective, DrivenWindows):
        codes, inputs = objective.examples.codes, objective.examples.inputs
        return None if codes is None or inputs.numel() * len(codes) < LARGEST else "its symbols do not fit in memory"
    if readout.matrix and readout.features > readout.units:
        return "there are more features than units"
    if readout.matrix and (torch.linalg.matrix_rank(getattr(readout, readout.matrix)) < readout.features).any():
        return f"{readout.matrix} of the readout is rank-deficient"
    return None


def obstacle_of_penalty(network: Network, penalty: Penalty | None) -> str | None:
    if penalty is None:
        return None
    weights = [w for w in network.parameters() if w.numel()]
    pull, anchor = quadratic(penalty, weights)
    theta = torch.cat([w.detach().flatten(1) for w in weights], dim=1)
    expected, found = 2 * pull * (theta - anchor), collect(penalty(), weights)
    close = torch.allclose(found, expected, rtol=1e-3, atol=1e-5 * float(found.abs().max()))
    return None if close else "a penalty is not a sum of squares of single weights"


def quadratic(penalty: Penalty, weights: list[nn.Parameter]) -> tuple[Tensor, Tensor]:
    """Pull k and anchor a (population, weights) of a penalty sum_i k_i (theta_i - a_i)^2, from two of its gradients."""
    kept, slopes = [w.detach().clone() for w in weights], []
    for value in (0.0, 1.0):
        for w in weights:
            w.data.fill_(value)
        slopes.append(collect(penalty(), weights))
    for w, before in zip(weights, kept):
        w.data.copy_(before)
    pull = (slopes[1] - slopes[0]) / 2
    return pull, torch.where(pull == 0, 0.0, -slopes[0] / (2 * pull))
