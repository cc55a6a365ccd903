"""LU with partial pivoting in place of QR: cheaper, because frames need not be orthonormal.

W^T = P L U: Y = P L, a row-permuted unit lower trapezoid with entries of at most 1, is the new frame (condition number
about its size), |U_ii| the stretch: 2/3 N^3 operations instead of 8/3 N^3 (Rutishauser's LR idea, on a cocycle).
"""

import torch
from jaxtyping import Float
from torch import Tensor

from lyapsweep.maps import can_batch


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
