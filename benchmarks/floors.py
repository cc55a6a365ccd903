"""What a step of a full spectrum costs at least: the BLAS and LAPACK calls of its frame, alone in a compiled loop."""

from collections.abc import Callable

import numpy as np
from numba import njit

from lyapsweep.cells import AbstractCell, ShallowPlrnn
from lyapsweep.compiled import frames
from lyapsweep.compiled.blas import address
from lyapsweep.compiled.lapack import dgetrf
from lyapsweep.compiled.scalars import ACCURATE
from lyapsweep.dynamics.lu import single_threaded_blas


@njit(**ACCURATE, cache=True)
def calls(F, spare, start, W, second, steps, work, only_copies):
    """`steps` times dtrmm and dgetrf, with dgemm first where a Jacobian is a product of two matrices."""
    sizes, letters, constants, pivots, _, _, _, _, _ = work
    n, hidden = second.shape
    for _ in range(steps):
        for j in range(n):
            for i in range(n):
                spare[j, i] = start[j, i]
        if only_copies:
            continue
        if hidden:
            frames.multiply(n, n, hidden, address(W), address(second), address(spare), sizes, letters, constants)
        frames.triangle(F, spare, n, sizes, letters, constants)
        F, spare = spare, F
        N = address(sizes)
        dgetrf(N, N, address(F), N, address(pivots), N + 12)


def frame_floor(cell: AbstractCell, only_copies: bool = False) -> Callable[[int], None]:
    """Return a job that makes the calls of so many steps for one orbit of a cell, on a random matrix.

    The matrix is copied before each step, and `only_copies` gives the time of that.
    """
    n, hidden = cell.state, cell.hidden if isinstance(cell, ShallowPlrnn) else 0
    generator = np.random.default_rng(0)
    start, second = generator.normal(size=(n, n)), generator.normal(size=(n, hidden))
    W, work = generator.normal(size=(max(hidden, 1), n)), frames.workspace(n, n, hidden)

    def job(steps: int) -> None:
        with single_threaded_blas():
            calls(start / n, start.copy(), start, W, second, steps, work, only_copies)

    return job
