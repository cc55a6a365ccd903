"""The Cayley transform K = (I + A)^-1 (I - A): unitary for skew-Hermitian A, orthogonal for real skew A.

It reaches every such matrix without the eigenvalue -1; a diagonal D of unit numbers, W = K D, reaches the others
(Helfrich, Willmott and Ye 2018). A step of gradient descent on A leaves W unitary up to rounding.
"""

import math
from typing import Any

import torch
from jaxtyping import Float, Shaped
from torch import Generator, Tensor

from lyapsweep.batched_linalg import inverse
from lyapsweep.maps import can_batch

ELIMINATED = 64  # rows up to which elimination is faster on a GPU


def cayley(A: Shaped[Tensor, "population rows rows"]) -> Shaped[Tensor, "population rows rows"]:
    """(I + A)^-1 (I - A). No singular value of I + A is below 1, so the solve is well conditioned."""
    unit = torch.eye(A.shape[-1], dtype=A.dtype, device=A.device)
    if A.is_cuda and A.shape[-1] <= ELIMINATED:
        return Eliminated.apply(A)[0]  # type: ignore[no-any-return]
    if can_batch(A):
        return torch.linalg.solve_ex(unit + A, unit - A)[0]  # without the check, which waits for a GPU
    return torch.stack([torch.linalg.solve_ex(unit + a, unit - a)[0] for a in A])


class Eliminated(torch.autograd.Function):
    """K = 2 (I + A)^-1 - I by elimination with one refinement; dK = -2 (I + A)^-1 dA (I + A)^-1.

    torch's batched solution of linear systems takes ten times as long on a GPU, and no CUDA graph holds it.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(A: Tensor) -> tuple[Tensor, Tensor]:
        whole = A.to(torch.promote_types(A.dtype, torch.float64))
        unit = torch.eye(A.shape[-1], dtype=whole.dtype, device=A.device)
        near = inverse(unit + whole)
        near = (near @ (2 * unit - (unit + whole) @ near)).to(A.dtype)
        return 2 * near - unit.to(A.dtype), near

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: tuple[Tensor, Tensor]) -> None:
        ctx.mark_non_differentiable(output[1])
        ctx.save_for_backward(output[1])
        ctx.save_for_forward(output[1])

    @staticmethod
    def backward(ctx: Any, g: Tensor, _: Tensor) -> Tensor:
        (near,) = ctx.saved_tensors
        return -2 * near.mH @ g @ near.mH

    @staticmethod
    def jvp(ctx: Any, A: Tensor) -> tuple[Tensor, None]:
        (near,) = ctx.saved_tensors
        return -2 * near @ A @ near, None


def skew(lower: Float[Tensor, "population entries"], rows: int) -> Float[Tensor, "population rows rows"]:
    """L - L^T, with L strictly lower triangular and filled row by row."""
    i, j = torch.tril_indices(rows, rows, offset=-1, device=lower.device)
    L = lower.new_zeros(len(lower), rows, rows)
    L[:, i, j] = lower
    return L - L.mT


def skew_hermitian(packed: Float[Tensor, "population rows rows"]) -> Shaped[Tensor, "population rows rows"]:
    """S + i T with S skew and T symmetric: S from below the diagonal of `packed`, T from the rest of it."""
    S, T = packed.tril(-1), packed.triu()
    return torch.complex(S - S.mT, T + packed.triu(1).mT)


def rotations(rows: int, angle: float, generator: Generator) -> Float[Tensor, "rows rows"]:
    """A strictly lower triangular L for which K of L - L^T rotates planes by +-t, t ~ U(0, angle).

    Each 2 x 2 block holds tan(t / 2), which gives K the eigenvalues exp(+-it); the last row of an odd number is left
    alone.
    """
    t = angle * torch.rand(rows // 2, generator=generator, dtype=torch.float64)
    L = torch.zeros(rows, rows, dtype=torch.float64)
    even = 2 * torch.arange(rows // 2)
    L[even + 1, even] = torch.tan(t / 2)
    return L


def phases(rows: int, generator: Generator) -> Float[Tensor, " rows"]:
    """Draw U(0, 2 pi)."""
    return 2 * math.pi * torch.rand(rows, generator=generator, dtype=torch.float64)
