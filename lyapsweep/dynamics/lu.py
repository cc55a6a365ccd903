"""All exponents on a CPU: LU frames through LAPACK in place, one orbit after another (5/3 N^3 operations per step)."""

from functools import cache

import numpy as np
import torch
from threadpoolctl import ThreadpoolController
from torch import Tensor

from lyapsweep.dynamics.frames import Accumulator, Driving, FrameResult, orthonormalise
from lyapsweep.dynamics.pivoting import Factors, pivot
from lyapsweep.maps import AbstractMap, States, Tangents, at_every_step

CHUNK_ENTRIES = 2**17  # entries of the Jacobians formed at a time, so that they stay in the cache
MIN_JACOBIANS = 4  # formed at a time however large they are


def lu(map: AbstractMap, z: States, inputs: Driving, V: Tangents, steps: int) -> FrameResult:
    """Compute states first, then Jacobians in chunks of steps, then one factorisation per orbit and step.

    A frame of k < state vectors is not square; the map's push carries it, with pivoting at every step.
    """
    if V.shape[2] < map.state or V.is_cuda:
        return batched_lu(map, z, inputs, V, steps)
    with blas_libraries().limit(limits=1, user_api="blas"):
        return in_place(map, z, inputs, V, steps)


@cache
def blas_libraries() -> ThreadpoolController:
    """The BLAS libraries of this process; their threads cost more than they gain on such matrices."""
    return ThreadpoolController()


def in_place(map: AbstractMap, z: States, inputs: Driving, V: Tangents, steps: int) -> FrameResult:
    """Process a chunk of steps at a time, orbit by orbit, so that states, Jacobians and frames stay in the cache."""
    population, batch, state, _ = V.shape
    accumulated = Accumulator(V, steps)
    after = map.orbit(z, inputs, steps)
    before = torch.cat((z.unsqueeze(0), after[:-1]))
    factors = [[Factors(state, V.numpy().dtype) for _ in range(batch)] for _ in range(population)]
    chunk = max(1, min(steps, max(CHUNK_ENTRIES, MIN_JACOBIANS * state**2) // (population * batch * state**2)))
    for t in range(0, steps, chunk):
        J = jacobians(map, before[t : t + chunk], None if inputs is None else inputs[t : t + chunk])
        sizes = np.empty((len(J), population, batch, state))
        for p in range(population):
            for b in range(batch):
                frame, own = factors[p][b], J[:, p, b]
                if t == 0:
                    sizes[0, p, b] = frame.begin(V[p, b].numpy(), own[0])
                for s in range(t == 0, len(own)):
                    sizes[s, p, b] = frame.step(own[s])
        with np.errstate(divide="ignore"):
            logs = np.log(sizes)
        accumulated.add_each(torch.from_numpy(logs), torch.from_numpy(logs.sum(axis=0)))
    error = [max(frame.error() for frame in row) for row in factors]
    V, rest = torch.empty_like(V, memory_format=torch.contiguous_format), torch.empty_like(accumulated.growth)
    for p in range(population):
        for b in range(batch):
            rest[p, b] = torch.from_numpy(factors[p][b].orthonormal(V[p, b].numpy()))
    accumulated.add(rest, 0, torch.tensor(error))
    accumulated.before = list(before.unbind())
    return accumulated.result(after[-1], V)


def jacobians(map: AbstractMap, states: Tensor, inputs: Driving) -> np.ndarray:
    """Transposed Jacobians (time, population, batch, state, state) of several steps, computed as one batch."""
    return at_every_step(lambda z, x: map.jacobian(z, x).mT.contiguous(), states, inputs).numpy()


def batched_lu(map: AbstractMap, z: States, inputs: Driving, V: Tangents, steps: int) -> FrameResult:
    """Pivoted LU of all frames at every step and one QR at the end, for GPUs, where LU is batched."""
    accumulated = Accumulator(V, steps)
    for t in range(steps):
        accumulated.before.append(z)
        z, W = map.push(z, None if inputs is None else inputs[t], V)
        V, logs, error = pivot(W)
        accumulated.add(logs, 1, error if t + 1 == steps else None)
    V, rest = orthonormalise(V)
    accumulated.add(rest, 0)
    return accumulated.result(z, V)
