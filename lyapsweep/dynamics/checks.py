"""What certifies exponents: rules that they must obey, and how far independent parts of a run agree.

No single rule is enough. The sum does not notice exponents that swapped digits or a product in the wrong order; parts
of one run share its mistakes. `Spectrum.warnings` says in words which of them failed.
"""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from lyapsweep.dynamics.frames import Carried, Carrier, Driving
from lyapsweep.maps import AbstractMap, Orbit, States, Tangents

SAMPLED = 4  # steps at which log |det J| is computed where no closed form gives it everywhere


def sum_rule(map: AbstractMap, blocks: list[Carried], inputs: Driving) -> Float[Tensor, " population"]:
    """|sum of all exponents - mean log |det J|| over every step, of a map whose log_det costs next to nothing."""
    residual, t = torch.zeros(()), 0
    for block in blocks:
        n = len(block.before)
        expected = log_dets(map, block.before, None if inputs is None else inputs[t : t + n])
        residual, t = residual + block.growth.sum(dim=2).mean(dim=1) - expected.sum(dim=0).mean(dim=1), t + n
    return distance(residual) / t


def sampled_sum_rule(
    map: AbstractMap, z: States, inputs: Driving, V: Tangents, carrier: Carrier, steps: int
) -> Float[Tensor, " population"]:
    """The same over a few steps taken for this purpose: one factorisation of a Jacobian each."""
    some = carrier(map, z, inputs, V, steps)
    expected = torch.zeros(())
    for t in range(steps):  # one step's Jacobians at a time: they are as large as frames
        expected = expected + log_dets(map, some.before[t : t + 1], inputs if inputs is None else inputs[t : t + 1])[0]
    return distance(some.growth.sum(dim=2).mean(dim=1) - expected.mean(dim=1)) / steps


def distance(residual: Tensor) -> Tensor:
    """|residual|, 0 where both sides were -inf: a singular Jacobian that both saw."""
    return residual.abs().nan_to_num(nan=0.0, posinf=torch.inf)


def has_closed_form(map: AbstractMap) -> bool:
    return type(map).log_det is not AbstractMap.log_det


def log_dets(map: AbstractMap, states: Orbit, inputs: Driving) -> Float[Tensor, "time population batch"]:
    """log |det J| at every state, as one batch."""
    time, _, batch, _ = states.shape
    side_by_side = lambda rows: rows.transpose(0, 1).flatten(1, 2)  # noqa: E731
    found = map.log_det(side_by_side(states), None if inputs is None else side_by_side(inputs[:time]))
    return found.double().unflatten(1, (time, batch)).transpose(0, 1)


def agreement(rates: Float[np.ndarray, "blocks batch k"]) -> dict[str, float]:
    """Largest difference between the exponents of two halves: of the steps, and of the orbits with their own frames."""
    blocks, batch, _ = rates.shape
    found = {}
    if blocks > 1:
        found["halves"] = largest_difference(rates[: blocks // 2], rates[(blocks + 1) // 2 :])
    if batch > 1:
        found["orbits"] = largest_difference(rates[:, : batch // 2], rates[:, (batch + 1) // 2 :])
    return found


def largest_difference(some: np.ndarray, others: np.ndarray) -> float:
    with np.errstate(invalid="ignore"):
        apart = np.abs(some.mean(axis=(0, 1)) - others.mean(axis=(0, 1)))
    return float(np.nanmax(apart, initial=0.0))
