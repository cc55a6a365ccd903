"""Products of Jacobians along an orbit, rescaled at each step, without the GIL (`dynamics.growth`)."""

import math

import numpy as np
from numba import njit

from lyapsweep.compiled.frames import OPTIONS, jacobian_columns, multiply


@njit(**OPTIONS)
def advance(V, logs, matrices, factors, p, b, steps, work):
    """V <- V J^T / |V J^T|_F over the steps of a chunk, one tangent vector per row of V (N, N).

    Matrices or factors are those of `frames.jacobian_columns`, of member p and orbit b; the logarithms of the norms
    are added to logs[0].
    """
    sizes, letters, constants, _, _, spare, _, _, _ = work
    n, J = len(V), np.empty_like(V)
    order = np.arange(n)
    for t in range(steps):
        jacobian_columns(order, matrices, factors, p, b, t, J, work)
        multiply(n, n, n, J.ctypes.data, V.ctypes.data, spare.ctypes.data, sizes, letters, constants)
        square = 0.0
        for i in range(n):
            row, after = V[i], spare[i]
            for j in range(n):
                row[j] = after[j]
                square += after[j] * after[j]
        size = math.sqrt(square)
        logs[0] += math.log(size) if size > 0 or size != size else -math.inf
        if size != 0:
            V *= 1 / size
    return J[0, 0]  # so that J lives as long as its address is used
