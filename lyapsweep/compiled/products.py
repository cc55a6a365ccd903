"""Products of Jacobians along an orbit, rescaled at each step, without the GIL (`dynamics.growth`)."""

import math
from functools import partial

from lyapsweep.compiled.blas import address
from lyapsweep.compiled.caching import compiled
from lyapsweep.compiled.frames import jacobian_columns, multiply
from lyapsweep.compiled.scalars import ACCURATE


@partial(compiled, **ACCURATE)
def advance(V, logs, matrices, factors, p, b, steps, order, J, work):
    """V <- V J^T / |V J^T|_F over the steps of a chunk, one tangent vector per row of V (N, N).

    Matrices or factors are those of `frames.jacobian_columns`, of member p and orbit b; the logarithms of the norms
    are added to logs[0]. `order` holds 0 ... N - 1; J (N, N) and `work` are overwritten.
    """
    sizes, letters, constants, _, _, spare, _, _, _ = work
    n = len(V)
    for t in range(steps):
        jacobian_columns(order, matrices, factors, p, b, t, J, work)
        multiply(n, n, n, address(J), address(V), address(spare), sizes, letters, constants)
        square = 0.0
        for i in range(n):
            row, after = V[i], spare[i]
            for j in range(n):
                row[j] = after[j]
                square += after[j] * after[j]
        size = math.sqrt(square)
        logs[0] += math.log(size) if size > 0 or size != size else -math.inf
        if size != 0:
            scale = 1 / size
            for i in range(n):
                row = V[i]
                for j in range(n):
                    row[j] *= scale
