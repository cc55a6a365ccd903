"""All exponents on a CPU: LU frames through LAPACK in place, one orbit after another (5/3 N^3 operations per step).

With numba the steps of a chunk are one compiled call per orbit, without the GIL, on as many threads as torch may use.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from functools import cache, partial

import numpy as np
import torch
from threadpoolctl import ThreadpoolController
from torch import Tensor

from lyapsweep.compiled.engine import compiled_available
from lyapsweep.dynamics.frames import PARTS, Accumulator, Driving, FrameResult, orthonormalise
from lyapsweep.dynamics.jacobians import Jacobians, jacobians
from lyapsweep.dynamics.lu_frames import CompiledFrame, ScipyFrame
from lyapsweep.dynamics.pivoting import pivot
from lyapsweep.maps import AbstractMap, States, Tangents

WORTH_THREADS = 3e6  # operations of one orbit in a chunk, from which on another thread pays


def lu(map: AbstractMap, z: States, inputs: Driving, V: Tangents, steps: int) -> FrameResult:
    """Compute states first, then Jacobians in chunks of steps, then one factorisation per orbit and step.

    Without numba a frame of k < state vectors, which is not square, is carried by the map's push instead.
    """
    return lu_blocks(map, z, inputs, V, [steps])[0]


def lu_blocks(map: AbstractMap, z: States, inputs: Driving, V: Tangents, lengths: list[int]) -> list[FrameResult]:
    """`lu` over blocks of so many steps, each from the orthonormal frame in which the one before it ended.

    Only the last result has a frame V.
    """
    compiled = runs_compiled(V)
    if V.is_cuda or (V.shape[2] < map.state and not compiled):
        results: list[FrameResult] = []
        for steps in lengths:
            results.append(batched_lu(map, z, inputs, V, steps))
            z, V, inputs = results[-1].z, results[-1].V, None if inputs is None else inputs[steps:]
        return results
    with single_threaded_blas():
        return in_place(map, z, inputs, V, lengths, CompiledFrame if compiled else ScipyFrame)


def runs_compiled(z: Tensor) -> bool:
    """Whether frames of these states or tangents are carried by compiled code."""
    return z.device.type == "cpu" and z.dtype == torch.float64 and compiled_available()


def single_threaded_blas() -> AbstractContextManager:
    """Hold BLAS at one thread: its threads cost more than they gain on such matrices."""
    return blas_libraries().limit(limits=1, user_api="blas")


@cache
def blas_libraries() -> ThreadpoolController:
    """The BLAS libraries of this process."""
    return ThreadpoolController()


def in_place(
    map: AbstractMap,
    z: States,
    inputs: Driving,
    V: Tangents,
    lengths: list[int],
    frame: Callable[..., CompiledFrame | ScipyFrame],
) -> list[FrameResult]:
    """Process a chunk of steps at a time, orbit by orbit, so that states, Jacobians and frames stay in the cache."""
    population, batch, k, state = V.shape
    edges = np.cumsum([0, *lengths]).tolist()
    states = torch.cat((z.unsqueeze(0), map.orbit(z, inputs, edges[-1])))
    Q = torch.empty_like(V, memory_format=torch.contiguous_format).copy_(V)
    frames = [frame(Q[p, b].numpy(), p, b, lengths[0]) for p, b in np.ndindex(population, batch)]
    results: list[FrameResult] = []
    for first, chunk in jacobians(map, states[:-1], inputs, frame is CompiledFrame):
        begin = 0
        while begin < chunk.steps:
            block = len(results)
            end = min(chunk.steps, edges[block + 1] - first)
            job = partial(advance, chunk=chunk, begin=begin, end=end, first=first - edges[block])
            on_threads(job, frames, (end - begin) * state * k * (state + k))
            begin = end
            if first + end == edges[block + 1]:
                results.append(finished(frames, Q, states[edges[block] : edges[block + 1] + 1]))
                for one in frames if first + end < edges[-1] else ():
                    one.restart(lengths[block + 1])
    return results


def finished(frames: list[CompiledFrame | ScipyFrame], Q: Tangents, states: Tensor) -> FrameResult:
    """The result of one block from the frames of all orbits, which are written into Q, and the states of its steps."""
    population, batch, k, _ = Q.shape
    steps = len(states) - 1
    error = torch.tensor([one.finish() for one in frames], dtype=torch.float64).view(population, batch).amax(dim=1)
    parts = torch.from_numpy(np.array([one.sums for one in frames])).view(population, batch, PARTS, k).movedim(2, 0)
    lengths = np.bincount(np.arange(steps) * PARTS // steps, minlength=PARTS).tolist()
    return FrameResult(states[-1], Q, parts.sum(dim=0), states[:-1], error, parts, lengths)


def advance(frame: CompiledFrame | ScipyFrame, chunk: Jacobians, begin: int, end: int, first: int) -> None:
    frame.advance(chunk, begin, end, first)


def on_threads(job: Callable, frames: list, operations: int) -> None:
    """Run the job for every frame, on several threads where torch may use several and a frame's work is worth one."""
    threads = min(torch.get_num_threads(), len(frames))
    if threads == 1 or operations < WORTH_THREADS or not isinstance(frames[0], CompiledFrame):
        for frame in frames:
            job(frame)
        return
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(job, frames))


def batched_lu(map: AbstractMap, z: States, inputs: Driving, V: Tangents, steps: int) -> FrameResult:
    """Pivoted LU of all frames at every step and QR at the end of each part, for GPUs, where LU is batched."""
    accumulated = Accumulator(V, steps)
    for t in range(steps):
        accumulated.before.append(z)
        z, W = map.push(z, None if inputs is None else inputs[t], V)
        V, logs, error = pivot(W)
        if t * PARTS // steps < (t + 1) * PARTS // steps:  # sums of a part are those of an orthonormal frame
            V, rest = orthonormalise(V)
            logs = logs + rest
        accumulated.add(logs, 1, error if t + 1 == steps else None)
    return accumulated.result(z, V)
