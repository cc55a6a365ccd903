"""Linear algebra of many small matrices in products and elementwise kernels, for a GPU.

There, torch's batched QR and SVD process one matrix at a time, and all but the `_ex` functions wait for the device.
What is here does neither, and can be captured in a CUDA graph.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = ["condition_numbers", "inverse", "pseudo_inverse", "spectral_norms"]

SQUARINGS = 16  # of a matrix whose largest eigenvalue is sought: its 65536-th power
Square = Float[Tensor, "*many n n"]


def inverse(G: Square) -> Square:
    """Compute inverses by Gauss-Jordan elimination, without pivots.

    Args:
        G: Matrices whose symmetric (Hermitian) part is positive definite.

    Returns:
        Their inverses; entries that are not finite for a singular matrix.

    Example:
        >>> inverse(torch.tensor([[[2.0, 0.0], [0.0, 4.0]]]))
        tensor([[[0.5000, 0.0000],
                 [0.0000, 0.2500]]])
    """
    n = G.shape[-1]
    unit = torch.eye(n, dtype=G.dtype, device=G.device)
    A = torch.cat((G, unit.expand_as(G)), dim=-1)
    for i in range(n):
        row = A[..., i : i + 1, :] / A[..., i : i + 1, i : i + 1]
        A = torch.addcmul(A, A[..., i : i + 1] - unit[:, i : i + 1], row, value=-1)
    return A[..., n:]


def pseudo_inverse(B: Float[Tensor, "population rows columns"]) -> Float[Tensor, "population columns rows"]:
    """Compute pinv(B) = B^T (B B^T)^-1 in double precision with one step of refinement, differentiable in B.

    The step P <- P (2 - B P) squares the error, which normal equations lose. Where B is rank-deficient in its
    precision, B B^T + d replaces B B^T, with the square root of d where `torch.linalg.pinv` cuts singular values off.

    Args:
        B: Matrices of any shape.

    Returns:
        Their pseudo-inverses in the precision of B.

    Example:
        >>> pseudo_inverse(torch.tensor([[[2.0, 0.0, 0.0]]]))
        tensor([[[0.5000],
                 [0.0000],
                 [0.0000]]])
    """
    return PseudoInverse.apply(B) if B.shape[1] <= B.shape[2] else PseudoInverse.apply(B.mT).mT  # type: ignore[no-any-return]


class PseudoInverse(torch.autograd.Function):
    """dP = -P dB P + P P^T dB^T (1 - B P) + (1 - P B) dB^T P^T P (Golub and Pereyra 1973)."""

    @staticmethod
    def forward(ctx: Any, B: Tensor) -> Tensor:
        P = right_inverse(B)
        ctx.save_for_backward(B, P)
        return P

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, g: Tensor) -> Tensor:
        B, P = ctx.saved_tensors
        g, Pt = g.mT, P.mT
        rows = g - torch.bmm(torch.bmm(B, P), g)
        columns = g - torch.bmm(torch.bmm(g, P), B)
        found = torch.bmm(rows, torch.bmm(P, Pt)) + torch.bmm(torch.bmm(Pt, P), columns)
        return found - torch.bmm(torch.bmm(Pt, g.mT), Pt)


def right_inverse(B: Float[Tensor, "population rows columns"]) -> Float[Tensor, "population columns rows"]:
    """pinv(B) of matrices no taller than wide, without a gradient."""
    wide = B.double()
    G = torch.bmm(wide, wide.mT)
    unit = torch.eye(G.shape[1], dtype=G.dtype, device=G.device)
    size = G.diagonal(dim1=-2, dim2=-1).sum(dim=-1)
    cut = B.shape[2] * torch.finfo(B.dtype).eps
    both = inverse(torch.cat((G, G + (cut**2 * size)[:, None, None] * unit)))
    exact, damped = torch.bmm(wide.mT.repeat(2, 1, 1), both).chunk(2)
    exact = torch.bmm(exact, 2 * unit - torch.bmm(wide, exact))
    condition = torch.linalg.vector_norm(exact, dim=(1, 2)) * size.sqrt()
    return torch.where((condition * cut < 1)[:, None, None], exact, damped).to(B.dtype)


def dominant_projector(G: Square) -> Square:
    """The projector onto the eigenvector of the largest eigenvalue of positive semidefinite matrices; no gradient.

    It is G^(2^16) over its trace. Eigenvalues closer than about 1e-4 of their size share it, which changes a Rayleigh
    quotient by less than 1e-5 n. 0 for a matrix of zeros.
    """
    M, tiny = G.detach(), torch.finfo(G.dtype).tiny
    M = M / M.diagonal(dim1=-2, dim2=-1).amax(dim=-1)[..., None, None].clamp(min=tiny)
    for _ in range(SQUARINGS):
        M = M @ M
        M = M / M.diagonal(dim1=-2, dim2=-1).amax(dim=-1)[..., None, None].clamp(min=tiny)
    return M / M.diagonal(dim1=-2, dim2=-1).sum(dim=-1)[..., None, None].clamp(min=tiny)


def spectral_norms(J: Square) -> Float[Tensor, "*many"]:
    """Compute the largest singular value of each matrix, sqrt(tr(M J^T J) / tr M) with M a high power of J^T J.

    Args:
        J: Matrices with finite entries.

    Returns:
        Their norms, with a relative error of about 1e-6.

    Example:
        >>> spectral_norms(torch.tensor([[[3.0, 0.0], [0.0, -4.0]]]))
        tensor([4.])
    """
    size = J.abs().amax(dim=(-2, -1)).clamp(min=torch.finfo(J.dtype).tiny)
    scaled = J / size[..., None, None]
    G = scaled.mT @ scaled
    return size * (dominant_projector(G) * G).sum(dim=(-2, -1)).sqrt()


def condition_numbers(B: Float[Tensor, "population rows columns"]) -> Float[Tensor, " population"]:
    """Compute sigma_max / sigma_min of each matrix, differentiable in B where both are simple.

    Args:
        B: Matrices of full rank.

    Returns:
        Their condition numbers.

    Example:
        >>> condition_numbers(torch.tensor([[[3.0, 0.0, 0.0], [0.0, 0.0, 2.0]]]))
        tensor([1.5000])
    """
    wide = (B if B.shape[1] <= B.shape[2] else B.mT).double()
    G = torch.bmm(wide, wide.mT)
    with torch.no_grad():
        largest, smallest = dominant_projector(torch.cat((G, inverse(G)))).chunk(2)
    ratio = (largest * G).sum(dim=(1, 2)) / (smallest * G).sum(dim=(1, 2))
    return ratio.sqrt().to(B.dtype)
