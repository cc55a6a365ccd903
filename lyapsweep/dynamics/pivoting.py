"""LU with partial pivoting in place of QR: cheaper, because frames need not be orthonormal.

W^T = P L U: Y = P L, a row-permuted unit lower trapezoid with entries of at most 1, is the new frame (condition number
about its size), |U_ii| the stretch: 2/3 N^3 operations instead of 8/3 N^3 (Rutishauser's LR idea, on a cocycle).
"""

from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Float
from scipy.linalg import get_blas_funcs, get_lapack_funcs
from torch import Tensor

from lyapsweep.maps import can_batch

STRIP = 64  # rows of a frame copied at a time
SUSPICIOUS = 1e-10  # of the largest pivot; smaller pivots are compared with their rounding error


def pivot(
    W: Float[Tensor, "population batch k state"],
) -> tuple[
    Float[Tensor, "population batch k state"], Float[Tensor, "population batch k"], Float[Tensor, " population"]
]:
    """(Y^T, log |diag U|, error) of W^T = Y U; `error` estimates the relative error of each member's worst pivot.

    A pivot no larger than the rounding error of its terms is an exact zero, with a logarithm of -inf.
    """
    LU, pivots, _ = torch.linalg.lu_factor_ex(W.mT) if can_batch(W) else one_by_one(W)
    k = W.shape[2]
    L = LU.tril(-1)
    L.diagonal(dim1=-2, dim2=-1).fill_(1)
    U = LU[..., :k, :].triu()
    size = U.diagonal(dim1=-2, dim2=-1).abs()
    eps = torch.finfo(W.dtype).eps
    rounding = eps * (L[..., :k, :].abs() @ U.abs().amax(dim=-1, keepdim=True)).squeeze(-1)  # bounds the terms of row i
    size = torch.where(size <= k * rounding, torch.zeros_like(size), size)
    error = torch.where(size > 0, rounding / size, 0).nan_to_num(nan=0.0).flatten(1).amax(dim=1)
    rows = torch.lu_unpack(LU, pivots, unpack_data=False)[0].argmax(dim=-1)  # rows of L in the order of P L
    return L.gather(-2, rows.unsqueeze(-1).expand_as(L)).mT.contiguous(), size.log(), error


def one_by_one(W: Tensor) -> tuple[Tensor, Tensor, None]:
    parts = [torch.linalg.lu_factor_ex(w) for w in W.mT.flatten(0, 1)]
    LU, pivots = (torch.stack([p[i] for p in parts]).unflatten(0, W.shape[:2]) for i in (0, 1))
    return LU, pivots, None


class Factors:
    """One frame Y = P L in LAPACK's form, overwritten at each step: two buffers and the order of the rows.

    The frame is (state, state), for full spectra, and P L is never formed. J Y = (J P) L is the product of a triangle
    (N^3) and a Jacobian with permuted columns.
    """

    def __init__(self, state: int, dtype: np.dtype):
        (self.trmm,) = get_blas_funcs(("trmm",), dtype=dtype)
        self.getrf, self.laswp, self.geqrf, self.orgqr = get_lapack_funcs(
            ("getrf", "laswp", "geqrf", "orgqr"), dtype=dtype
        )
        self.eps = np.finfo(dtype).eps
        self.rows = np.arange(state, dtype=dtype)[:, None]
        self.now, self.spare = (np.empty((state, state), dtype) for _ in range(2))
        self.order = np.arange(state)

    def begin(self, V: np.ndarray, J: np.ndarray) -> np.ndarray:
        """Factorise J V, both given transposed (C order: rows are columns); |diag U|."""
        np.matmul(V, J, out=self.now)
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
        for first, rows in self.strips():
            Q[first : first + len(rows), self.order] = np.triu(rows, first + 1)
        Q[np.arange(len(Q)), self.order] = 1.0
        _, tau, _, _ = self.geqrf(Q.T, lwork=STRIP * len(Q), overwrite_a=1)
        with np.errstate(divide="ignore"):
            logs = np.log(np.abs(Q.diagonal()))
        self.orgqr(Q.T, tau, lwork=STRIP * len(Q), overwrite_a=1)
        return logs
