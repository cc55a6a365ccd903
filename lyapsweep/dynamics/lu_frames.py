"""One frame of LU along one orbit: carried by compiled code, or step by step through SciPy."""

import threading
from collections.abc import Iterator

import numpy as np
from scipy.linalg import get_blas_funcs, get_lapack_funcs

from lyapsweep.dynamics.frames import PARTS
from lyapsweep.dynamics.jacobians import Arrays, Jacobians

STRIP = 64  # rows of a frame copied at a time
SUSPICIOUS = 1e-10  # of the largest pivot; smaller pivots are compared with their rounding error
of_thread = threading.local()


class Frame:
    """One frame Y = P L of member p, orbit b, over `total` steps.

    Args:
        V: First tangent vectors in rows, (k, state), overwritten by the last ones at the end.
        p: Member.
        b: Orbit.
        total: Number of steps.
    """

    def __init__(self, V: np.ndarray, p: int, b: int, total: int):
        k, state = V.shape
        self.V, self.p, self.b, self.total, self.begun = V, p, b, total, False
        self.now, self.order, self.sums = np.empty((state, state), V.dtype), np.arange(state), np.zeros((PARTS, k))

    def restart(self, total: int) -> None:
        """Begin anew from the rows of V, for `total` steps."""
        self.total, self.begun, self.sums = total, False, np.zeros_like(self.sums)


class CompiledFrame(Frame):
    """A frame that `compiled.frames` carries; arguments as of `Frame`."""

    def advance(self, chunk: Jacobians, begin: int, end: int, first: int) -> None:
        """Carry the frame over steps begin ... end - 1 of a chunk; step t of it is step first + t of the frame's."""
        from lyapsweep.compiled import frames

        k, state = self.V.shape
        work = workspace(k, state, chunk.factors[4].shape[2])
        frames.advance(
            self.now,
            self.order,
            self.V,
            self.begun,
            chunk.matrices,
            chunk.factors,
            self.p,
            self.b,
            begin,
            end,
            first,
            self.total,
            self.sums,
            work,
        )
        self.begun = True

    def finish(self) -> float:
        """Orthonormalise the frame into V; the estimated relative error of its worst stretch."""
        from lyapsweep.compiled import frames

        k, state = self.V.shape
        return frames.orthonormal(self.now, self.order, self.V, self.sums[-1], workspace(k, state, 0))


def workspace(k: int, state: int, hidden: int) -> Arrays:
    """Arrays of this thread, of frames of one size."""
    from lyapsweep.compiled import frames

    shape = (state, k, hidden)
    if getattr(of_thread, "shape", None) != shape:
        of_thread.shape, of_thread.work = shape, frames.workspace(*shape)
    return of_thread.work


class ScipyFrame(Frame):
    """A frame in LAPACK's form, overwritten at each step, where there is no numba: SciPy's calls one by one.

    The frame is (state, state), for full spectra, and P L is never formed. J Y = (J P) L is the product of a triangle
    (N^3) and a Jacobian with permuted columns.

    Args:
        V: First tangent vectors in rows, (state, state), overwritten by the last ones at the end.
        p: Member.
        b: Orbit.
        total: Number of steps.
    """

    def __init__(self, V: np.ndarray, p: int, b: int, total: int):
        super().__init__(V, p, b, total)
        state, dtype = len(V), V.dtype
        (self.trmm,) = get_blas_funcs(("trmm",), dtype=dtype)
        self.getrf, self.laswp, self.geqrf, self.orgqr = get_lapack_funcs(
            ("getrf", "laswp", "geqrf", "orgqr"), dtype=dtype
        )
        self.eps = np.finfo(dtype).eps
        self.rows = np.arange(state, dtype=dtype)[:, None]
        self.spare = np.empty((state, state), dtype)

    def advance(self, chunk: Jacobians, begin: int, end: int, first: int) -> None:
        """Carry the frame over steps begin ... end - 1 of a chunk; step t of it is step first + t of the frame's."""
        for t, J in enumerate(chunk.matrices[begin:end, self.p, self.b], first + begin):
            sizes = self.step(J) if self.begun else self.begin(J)
            self.begun = True
            with np.errstate(divide="ignore"):
                self.sums[t * PARTS // self.total] += np.log(sizes)
            part, following = t * PARTS // self.total, (t + 1) * PARTS // self.total
            if part < following < PARTS:
                logs, _ = self.triangular(self.spare)
                self.sums[part] += logs
                self.sums[following] -= logs

    def begin(self, J: np.ndarray) -> np.ndarray:
        """Factorise J V, both given transposed (C order: rows are columns); |diag U|."""
        np.matmul(self.V, J, out=self.now)
        return self.factorise()

    def step(self, J: np.ndarray) -> np.ndarray:
        """Y <- J Y, factorised anew, J given transposed; |diag U|."""
        J.take(self.order, axis=0, out=self.spare, mode="clip")
        self.trmm(1.0, self.now.T, self.spare.T, side=1, lower=1, diag=1, overwrite_b=1)
        self.now, self.spare = self.spare, self.now
        return self.factorise()

    def factorise(self) -> np.ndarray:
        _, pivots, _ = self.getrf(self.now.T, overwrite_a=1)
        self.order = self.laswp(self.rows, pivots)[:, 0].astype(np.intp)
        size = np.abs(self.now.diagonal())
        if size.min() < SUSPICIOUS * size.max():
            size[len(size) * self.noise() >= size] = 0.0
        return size

    def noise(self) -> np.ndarray:
        """The rounding error of each pivot: eps |L| max_k |U_k|, a bound of the terms of its row."""
        largest = np.max([np.abs(np.tril(rows, first)).max(axis=0) for first, rows in self.strips()], axis=0)
        below = sum(
            largest[first : first + len(rows)] @ np.abs(np.triu(rows, first + 1)) for first, rows in self.strips()
        )
        return self.eps * (largest + below)

    def finish(self) -> float:
        """Orthonormalise the frame into V; the estimated relative error of its worst stretch."""
        error = self.error()
        self.sums[-1] += self.orthonormal(self.V)
        return error

    def error(self) -> float:
        """The estimated relative error of the worst pivot that is not zero."""
        size, noise = np.abs(self.now.diagonal()), self.noise()
        sound = size > len(size) * noise
        return float(np.max(noise[sound] / size[sound], initial=0.0))

    def strips(self) -> Iterator[tuple[int, np.ndarray]]:
        """L^T above the diagonal and U^T below, in strips of rows, so that temporaries stay small."""
        return ((first, self.now[first : first + STRIP]) for first in range(0, len(self.now), STRIP))

    def orthonormal(self, Q: np.ndarray) -> np.ndarray:
        """log |diag R| of Y = Q R; Q^T is written to `Q` (state, state) in place."""
        logs, tau = self.triangular(Q)
        self.orgqr(Q.T, tau, lwork=STRIP * len(Q), overwrite_a=1)
        return logs

    def triangular(self, Q: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """log |diag R| of Y = Q R, and what orgqr needs; Y is written to `Q` and factorised in place."""
        for first, rows in self.strips():
            Q[first : first + len(rows), self.order] = np.triu(rows, first + 1)
        Q[np.arange(len(Q)), self.order] = 1.0
        _, tau, _, _ = self.geqrf(Q.T, lwork=STRIP * len(Q), overwrite_a=1)
        with np.errstate(divide="ignore"):
            return np.log(np.abs(Q.diagonal())), tau
