"""All exponents on a CPU: LU frames through LAPACK in place, one orbit after the other (5/3 N^3 operations a step)."""

from functools import cache

import numpy as np
import torch
from threadpoolctl import ThreadpoolController
from torch import Tensor

from lyapsweep.dynamics.frames import Carried, Driving, Tally, orthonormalise
from lyapsweep.dynamics.pivoting import Factors, pivot
from lyapsweep.maps import AbstractMap, States, Tangents

CHUNK = 2**17  # numbers in the Jacobians that are formed at a time: what stays in a cache
AT_LEAST = 4  # of one orbit's Jacobians at a time, however large, so that forming them is shared work


def lu(map: AbstractMap, z: States, inputs: Driving, V: Tangents, steps: int) -> Carried:
    """The states first, then Jacobians a chunk of steps at a time, then a factorisation per orbit and step.

    A frame of k < state vectors is no triangle; it is carried by the map's push and pivoted step by step.
    """
    if V.shape[2] < map.state or V.is_cuda:
        return explicit(map, z, inputs, V, steps)
    with libraries().limit(limits=1, user_api="blas"):
        return in_place(map, z, inputs, V, steps)


@cache
def libraries() -> ThreadpoolController:
    """The BLAS that SciPy brings: left to itself it starts threads that wait more than they work on such matrices."""
    return ThreadpoolController()


def in_place(map: AbstractMap, z: States, inputs: Driving, V: Tangents, steps: int) -> Carried:
    """A chunk of steps, orbit by orbit, at a time: states, Jacobians and frames stay in the cache."""
    population, batch, state, _ = V.shape
    tally = Tally(V)
    after = map.orbit(z, inputs, steps)
    before = torch.cat((z.unsqueeze(0), after[:-1]))
    factors = [[Factors(state, V.numpy().dtype) for _ in range(batch)] for _ in range(population)]
    chunk = max(1, min(steps, max(CHUNK, AT_LEAST * state**2) // (population * batch * state**2)))
    for t in range(0, steps, chunk):
        J = jacobians(map, before[t : t + chunk], None if inputs is None else inputs[t : t + chunk])
        sizes = np.empty((len(J), population, batch, state))
        for p in range(population):
            for b in range(batch):
                frame, mine = factors[p][b], J[:, p, b]
                if t == 0:
                    sizes[0, p, b] = frame.begin(V[p, b].numpy(), mine[0])
                for s in range(t == 0, len(mine)):
                    sizes[s, p, b] = frame.step(mine[s])
        with np.errstate(divide="ignore"):
            tally.add(torch.from_numpy(np.log(sizes).sum(axis=0)))
    error = [max(frame.error() for frame in row) for row in factors]
    V, rest = torch.empty_like(V, memory_format=torch.contiguous_format), torch.empty_like(tally.growth)
    for p in range(population):
        for b in range(batch):
            rest[p, b] = torch.from_numpy(factors[p][b].orthonormal(V[p, b].numpy()))
    tally.add(rest, torch.tensor(error))
    tally.before = list(before.unbind())
    return tally.carried(after[-1], V)


def jacobians(map: AbstractMap, states: Tensor, inputs: Driving) -> np.ndarray:
    """Transposed Jacobians (time, population, batch, state, state) of several steps, formed as one batch."""
    time, _, batch, _ = states.shape
    side_by_side = lambda rows: rows.transpose(0, 1).flatten(1, 2)  # noqa: E731
    J = map.jacobian(side_by_side(states), None if inputs is None else side_by_side(inputs[:time]))
    return J.mT.contiguous().unflatten(1, (time, batch)).transpose(0, 1).numpy()


def explicit(map: AbstractMap, z: States, inputs: Driving, V: Tangents, steps: int) -> Carried:
    """Pivoted LU of all frames at every step, and one QR at the end: what a GPU does, where LU comes in batches."""
    tally = Tally(V)
    for t in range(steps):
        tally.before.append(z)
        z, W = map.push(z, None if inputs is None else inputs[t], V)
        V, logs, error = pivot(W)
        tally.add(logs, error if t + 1 == steps else None)
    V, rest = orthonormalise(V)
    tally.add(rest)
    return tally.carried(z, V)
