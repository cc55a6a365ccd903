"""Orbits that escape to infinity: their distance from where they began grows as long as they are followed.

A bounded orbit reaches its farthest point early, a transient slows down, a slow cycle turns back. An orbit whose
distance still grows at the end of the counted steps is followed for longer, and one round without growth clears it.
"""

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from lyapsweep.dynamics.frames import Driving, FrameResult
from lyapsweep.maps import AbstractMap, Orbit, States

DOUBLINGS, HORIZON = 5, 16_000  # an orbit is followed for 2^5 times its counted steps, and at least this many
GROWING, GROWS = 1.02, 1.1  # least growth of the distance while the time doubles: of the counted steps, and later
LINEAR = 1.5  # the same of the last two doublings: 2 if the distance grows linearly, 1.4 if as a random walk
EXPONENTIAL = 16.0  # the same under inputs, whose sum alone may grow as a power of time
CONTRACTS, SETTLED = 1e-9, 3.0  # nats per step of a contraction; time constants after which it has converged
RESTS = 1e-3  # of the extent of the counted orbit: what an orbit moves at least that may escape
LEAVES = 4.0  # times the extent of the counted orbit, or times one unit of standardised data
Rows = Bool[Tensor, "population batch"]


@torch.no_grad()
def escaping(map: AbstractMap, blocks: list[FrameResult], z: States, inputs: Driving) -> Rows:
    """Tell which orbits escape to infinity.

    With d(t) the largest distance of a coordinate from its first value up to step t, an orbit of T counted steps is
    followed to t = 32 T, and at least to 16 000 steps, while every doubling of t adds 10 % to d. It escapes if, for
    one coordinate, the last two doublings add 50 % each, as growth in proportion to t^0.6 or faster does, and d ends
    beyond four times the largest coordinate of the counted orbit (at least 1). An orbit on which all tangents shrink is
    given three of their time constants to converge. Under inputs, which are repeated, the last doubling must multiply d
    by 16: a sum over inputs grows as a power of t, exponents conditional on the inputs are defined all the same, and
    only exponential growth is an escape. Orbits that leave the finite numbers escape.

    Args:
        map: The map.
        blocks: The counted orbit in blocks of steps.
        z: States after them, shape (population, batch, state).
        inputs: Inputs of the counted steps, shape (time, population, batch, inputs), or None.

    Returns:
        Whether each orbit escapes, shape (population, batch).
    """
    seen, steps = [map.positions(block.before) for block in blocks], sum(len(block.before) for block in blocks)
    first, last = seen[0][0], map.positions(z)
    farthest = torch.stack([distance(orbit, first) for orbit in (*seen, last.unsqueeze(0))]).cummax(dim=0).values
    extent = torch.stack([orbit.abs().amax(dim=(0, 3)) for orbit in seen]).amax(dim=0).clamp(min=1.0).unsqueeze(2)
    reached = [farthest[max(0, len(seen) // n - 1)] for n in (4, 2)] + [farthest[-1]]
    lost, t = ~z.isfinite().all(dim=2), steps
    growing = ~lost.unsqueeze(2) & (reached[1] > GROWING * reached[0]) & (reached[2] > GROWING * reached[1])
    growing = growing & (reached[2] > RESTS * extent)
    once = None if inputs is None else inputs[:steps]
    while growing.any() and t < max(2**DOUBLINGS * steps, HORIZON):
        reached.append(reached[-1])
        for _ in range(t // steps):
            orbit = map.orbit(z, once, steps)
            z, reached[-1] = orbit[-1], torch.maximum(reached[-1], distance(map.positions(orbit), first))
        lost, t = lost | (growing.any(dim=2) & ~z.isfinite().all(dim=2)), 2 * t
        growing = growing & ~lost.unsqueeze(2) & (reached[-1] > GROWS * reached[-2])
    least = LINEAR if inputs is None else EXPONENTIAL
    fast = (reached[-2] > LINEAR * reached[-3]) & (reached[-1] > least * reached[-2]) & (reached[-1] > LEAVES * extent)
    rate = blocks[-1].growth.amax(dim=2) / len(blocks[-1].before)
    unsettled = (rate < -CONTRACTS) & (-rate * t < SETTLED)
    return lost | ((growing & fast).any(dim=2) & ~unsettled)


def distance(orbit: Orbit, first: Tensor) -> Float[Tensor, "population batch coordinates"]:
    """Largest distance of every coordinate from `first` along an orbit, inf where it is not finite."""
    return (orbit - first).abs().amax(dim=0).nan_to_num(nan=math.inf)
