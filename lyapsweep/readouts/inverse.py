"""From observations to states, z = pinv(B) x, with the backward pass of the pseudo-inverse."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import pad

from lyapsweep.batched_linalg import pseudo_inverse, right_inverse


class Inferred(torch.autograd.Function):
    """x (population, rows, features), B (population, features, units) no taller than wide -> pinv(B) x, then zeros.

    P = Q R^-T from B^T = Q R, with the backward pass dP = -P dB P + (1 - P B) dB^T P^T P (Golub and Pereyra 1973, for
    B P = 1). Both save three quarters of the time of torch.linalg.pinv, which computes singular values; it is used
    only for a B that is rank-deficient in its precision. On a GPU, where both wait and take a batch one by one, P comes
    from `batched_linalg`.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, B: Tensor, state: int) -> Tensor:
        P = right_inverse(B) if B.is_cuda else by_factors(B)
        ctx.save_for_backward(x, B, P)
        z = x.new_zeros(*x.shape[:2], state)
        z[..., : B.shape[2]] = torch.bmm(x, P.mT)
        return z

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, g: Tensor) -> Any:
        x, B, P = ctx.saved_tensors
        g, Pt = g[..., : B.shape[2]], P.mT
        of_P = torch.bmm(x.mT, g)
        S = torch.bmm(of_P, P)
        more = torch.bmm(torch.bmm(Pt, P), torch.baddbmm(of_P, S, B, alpha=-1))
        return torch.bmm(g, P) if ctx.needs_input_grad[0] else None, torch.baddbmm(more, S.mT, Pt, alpha=-1), None


def by_factors(B: Float[Tensor, "population features units"]) -> Float[Tensor, "population units features"]:
    """pinv(B) by QR, or by singular values for a B that is rank-deficient in its precision."""
    Q, R = torch.linalg.qr(B.mT)
    P = torch.linalg.solve_triangular(R.mT, Q, upper=False, left=False)
    condition = torch.linalg.vector_norm(P, dim=(1, 2)) * torch.linalg.vector_norm(B, dim=(1, 2))
    fine = condition * B.shape[2] * torch.finfo(B.dtype).eps < 1
    return P if fine.all() else torch.where(fine[:, None, None], P, torch.linalg.pinv(B))


def inferred(
    x: Float[Tensor, "population rows features"], B: Float[Tensor, "population features units"], state: int
) -> Float[Tensor, "population rows state"]:
    """pinv(B) x: for every observation the shortest state that gives it; zero beyond B's units."""
    _, features, units = B.shape
    if features > units:
        P = pseudo_inverse(B) if B.is_cuda else torch.linalg.pinv(B)
        return pad(x @ P.mT, (0, state - units))
    return Inferred.apply(x, B, state)  # type: ignore[no-any-return]
