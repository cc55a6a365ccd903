"""Checks of exponents: rules that they must obey, and the agreement of independent parts of a run.

No single rule is enough: the sum does not notice exponents that exchange growth or a product in the wrong order, and
parts of one run share its errors. `Spectrum.warnings` names the checks that failed.
"""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from lyapsweep.dynamics.frames import Driving, FrameMethod, FrameResult
from lyapsweep.maps import AbstractMap, Orbit, States, Tangents, at_every_step

SAMPLED_STEPS = 4  # at which log |det J| is computed for maps without a closed form


def sum_rule(map: AbstractMap, blocks: list[FrameResult], inputs: Driving) -> Float[Tensor, " population"]:
    """|sum of all exponents - mean log |det J|| over every step, for a map with a closed form of log |det J|."""
    before = torch.cat([block.before for block in blocks])
    expected = log_dets(map, before, inputs).sum(dim=0).mean(dim=1)
    growth = torch.stack([block.growth for block in blocks]).sum(dim=(0, 3)).mean(dim=1)
    return gap(growth - expected) / len(before)


def sampled_sum_rule(
    map: AbstractMap, z: States, inputs: Driving, V: Tangents, method: FrameMethod, steps: int
) -> Float[Tensor, " population"]:
    """The same over a few extra steps, with one factorisation of a Jacobian per step."""
    run = method(map, z, inputs, V, steps)
    expected = torch.zeros(())
    for t in range(steps):  # one step's Jacobians at a time: they are as large as frames
        expected = expected + log_dets(map, run.before[t : t + 1], inputs if inputs is None else inputs[t : t + 1])[0]
    return gap(run.growth.sum(dim=2).mean(dim=1) - expected.mean(dim=1)) / steps


def gap(residual: Tensor) -> Tensor:
    """|residual|; 0 if both sides were -inf, from a singular Jacobian."""
    return residual.abs().nan_to_num(nan=0.0, posinf=torch.inf)


def has_closed_form(map: AbstractMap) -> bool:
    return type(map).log_det is not AbstractMap.log_det


def log_dets(map: AbstractMap, states: Orbit, inputs: Driving) -> Float[Tensor, "time population batch"]:
    """log |det J| at every state, as one batch."""
    return at_every_step(map.log_det, states, inputs).double()


def agreement(rates: Float[np.ndarray, "blocks batch k"]) -> dict[str, float]:
    """Largest difference between the exponents of two halves: of the steps, and of the orbits."""
    blocks, batch, _ = rates.shape
    found = {}
    if blocks > 1:
        found["halves"] = largest_difference(rates[: blocks // 2], rates[(blocks + 1) // 2 :])
    if batch > 1:
        found["orbits"] = largest_difference(rates[:, : batch // 2], rates[:, (batch + 1) // 2 :])
    return found


def largest_difference(a: np.ndarray, b: np.ndarray) -> float:
    with np.errstate(invalid="ignore"):
        difference = np.abs(a.mean(axis=(0, 1)) - b.mean(axis=(0, 1)))
    return float(np.nanmax(difference, initial=0.0))
