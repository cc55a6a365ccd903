"""B z for many states at once, in the order of factors that is fastest in BLAS."""

from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor


class Product(torch.autograd.Function):
    """z (population, rows, units), B (population, features, units) -> z B^T, with gradients g B and g^T z.

    For thousands of rows and a few features, z B^T and its transposed gradient z^T g take two and four times as long
    as (B z^T)^T and g^T z, which are computed here.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(z: Tensor, B: Tensor) -> Tensor:
        return torch.bmm(B, z.mT).mT

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
        ctx.save_for_backward(*inputs)
        ctx.save_for_forward(*inputs)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        z, B = ctx.saved_tensors
        of_z, of_B = ctx.needs_input_grad
        return torch.bmm(g, B) if of_z else None, torch.bmm(g.mT, z) if of_B else None

    @staticmethod
    def jvp(ctx: Any, dz: Tensor | None, dB: Tensor | None) -> Tensor:
        z, B = ctx.saved_tensors
        moved = [torch.bmm(b, a.mT).mT for a, b in ((dz, B), (z, dB)) if a is not None and b is not None]
        return sum(moved[1:], moved[0])


def observed(
    z: Float[Tensor, "population rows units"], B: Float[Tensor, "population features units"]
) -> Float[Tensor, "population rows features"]:
    """B z of every state."""
    return Product.apply(z, B)  # type: ignore[no-any-return]


class SquaredError(torch.autograd.Function):
    """z, B, x (population, features, rows) -> mean of (B z - x)^2 over features and rows, as one node of the graph."""

    @staticmethod
    def forward(ctx: Any, z: Tensor, B: Tensor, x: Tensor, counted: Tensor | None) -> Tensor:
        errors = torch.baddbmm(x, B, z.mT, beta=-1)
        if counted is not None:
            errors.masked_fill_(~counted, 0)
        ctx.count = errors[0].numel() if counted is None else len(x[0]) * number(counted)
        ctx.save_for_backward(z, B, errors)
        return errors.square().sum(dim=(1, 2)) / ctx.count

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, g: Tensor) -> Any:
        z, B, errors = ctx.saved_tensors
        of_z, of_B, of_x, _ = ctx.needs_input_grad
        e = errors * (2 / ctx.count * g)[:, None, None]
        return torch.bmm(e.mT, B) if of_z else None, torch.bmm(e, z) if of_B else None, -e if of_x else None, None


def number(counted: Bool[Tensor, " rows"]) -> int | Tensor:
    """How many rows count; on a GPU as a tensor, for which nobody waits."""
    return counted.sum() if counted.is_cuda else int(counted.sum())


def squared_error(
    z: Float[Tensor, "population rows units"],
    B: Float[Tensor, "population features units"],
    x: Float[Tensor, "population features rows"],
    counted: Bool[Tensor, " rows"] | None = None,
) -> Float[Tensor, " population"]:
    """Mean of (B z - x)^2 over features and rows; `counted` selects rows."""
    return SquaredError.apply(z, B, x, counted)  # type: ignore[no-any-return]
