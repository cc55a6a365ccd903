"""Many steps of a one-matrix cell, and the way back, in one launch each: Triton kernels for single precision on a GPU.

A program carries 16 rows of one member through all steps with the matrix in registers. Sums over rows are added in a
fixed order, so that results do not differ from run to run and do not depend on the pack. Without `triton` the module
can be read, not used.
"""

# pyright: reportInvalidTypeForm=false, reportIndexIssue=false
# Triton's annotations are values, and its kernels are indexed by their grid.

import logging
from functools import cache
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from lyapsweep.cells.unrolled import OneMatrix, Steps
from lyapsweep.maps import States

try:
    import triton  # type: ignore[import-not-found]
    import triton.language as tl  # type: ignore[import-not-found]
except ImportError:
    triton, tl = SimpleNamespace(jit=lambda kernel: kernel), SimpleNamespace(constexpr=int)

log = logging.getLogger("lyapsweep")
ROWS, WARPS = 16, 2  # of a program
PIECEWISE = tl.constexpr(2)  # and the number of linear units
KINDS = {"tanh": 0, "relu": 1, "piecewise": 2}


@triton.jit
def ahead(Z, W, B, A, S, T, R, N: tl.constexpr, KIND: tl.constexpr, BR: tl.constexpr, BN: tl.constexpr):
    """States S (T + 1, population, R, N) from Z (population, R, N), which is the first of them."""
    p, tile, P = tl.program_id(0), tl.program_id(1), tl.num_programs(0)
    r, n, m = tile * BR + tl.arange(0, BR), tl.arange(0, BN), tl.arange(0, BN)
    fits = (r[:, None] < R) & (n[None, :] < N)
    square = (n[None, :] < N) & (m[:, None] < N)
    Wt = tl.load(W + p * N * N + n[None, :] * N + m[:, None], mask=square, other=0.0)
    b = tl.load(B + p * N + n, mask=n < N, other=0.0)[None, :]
    a = tl.load(A + p * N + n, mask=n < N, other=0.0)[None, :]
    z = tl.load(Z + (p * R + r[:, None]) * N + n[None, :], mask=fits, other=0.0)
    tl.store(S + (p * R + r[:, None]) * N + n[None, :], z, mask=fits)
    for t in range(1, T + 1):
        if KIND >= PIECEWISE:
            seen = tl.where(n[None, :] < KIND - PIECEWISE, z, tl.maximum(z, 0.0))
            z = a * z + (tl.dot(seen, Wt, input_precision="ieee") + b)
        else:
            z = tl.dot(z, Wt, input_precision="ieee") + b
            z = tl.maximum(z, 0.0) if KIND == 1 else 2 * tl.sigmoid(2 * z) - 1
        tl.store(S + ((t * P + p) * R + r[:, None]) * N + n[None, :], z, mask=fits)
        z = tl.where(fits, z, 0.0)


@triton.jit
def back(W, A, S, G, DZ, DW, DB, DA, T, R, N: tl.constexpr, KIND: tl.constexpr, BR: tl.constexpr, BN: tl.constexpr):
    """From G = dL/dS to dL/dZ, and every tile's share of dL/dW, dL/db and dL/dA."""
    p, tile, P, tiles = tl.program_id(0), tl.program_id(1), tl.num_programs(0), tl.num_programs(1)
    r, n, m = tile * BR + tl.arange(0, BR), tl.arange(0, BN), tl.arange(0, BN)
    fits = (r[:, None] < R) & (n[None, :] < N)
    square = (m[:, None] < N) & (n[None, :] < N)
    Wm = tl.load(W + p * N * N + m[:, None] * N + n[None, :], mask=square, other=0.0)
    a = tl.load(A + p * N + n, mask=n < N, other=0.0)[None, :]
    rows = (p * R + r[:, None]) * N + n[None, :]
    g = tl.zeros((BR, BN), tl.float32)
    dW, db, da = tl.zeros((BN, BN), tl.float32), tl.zeros((BN,), tl.float32), tl.zeros((BN,), tl.float32)
    z = tl.load(S + T * P * R * N + rows, mask=fits, other=0.0)
    for i in range(T):
        t = T - 1 - i
        e = g + tl.load(G + t * P * R * N + rows, mask=fits, other=0.0)
        before = tl.load(S + t * P * R * N + rows, mask=fits, other=0.0)
        if KIND >= PIECEWISE:
            seen = tl.where(n[None, :] < KIND - PIECEWISE, before, tl.maximum(before, 0.0))
        else:
            e = e * (tl.where(z > 0, 1.0, 0.0) if KIND == 1 else 1 - z * z)
            seen = before
        dW += tl.dot(tl.trans(e), seen, input_precision="ieee")
        db += tl.sum(e, 0)
        g = tl.dot(e, Wm, input_precision="ieee")
        if KIND >= PIECEWISE:
            g = tl.where((before > 0) | (n[None, :] < KIND - PIECEWISE), g, 0.0) + e * a
            da += tl.sum(e * before, 0)
        z = before
    tl.store(DZ + rows, g, mask=fits)
    tl.store(DW + ((p * tiles + tile) * N + m[:, None]) * N + n[None, :], dW, mask=square)
    tl.store(DB + (p * tiles + tile) * N + n, db, mask=n < N)
    tl.store(DA + (p * tiles + tile) * N + n, da, mask=n < N)


class Kernels(torch.autograd.Function):
    """States (steps, population, rows, units) of a cell in the form of `OneMatrix`."""

    @staticmethod
    def forward(ctx: Any, z: Tensor, W: Tensor, b: Tensor, A: Tensor, steps: int, kind: int) -> Tensor:
        population, rows, units = z.shape
        z, W, b, A = (t.contiguous() for t in (z, W, b, A))
        states = z.new_empty(steps + 1, population, rows, units)
        ctx.sizes = units, kind, ROWS, max(16, triton.next_power_of_2(units))
        ahead[population, triton.cdiv(rows, ROWS)](z, W, b, A, states, steps, rows, *ctx.sizes, num_warps=WARPS)
        ctx.save_for_backward(W, A, states)
        return states[1:]

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, g: Tensor) -> Any:
        W, A, states = ctx.saved_tensors
        steps, population, rows, units = g.shape
        tiles = triton.cdiv(rows, ROWS)
        dz, dW = torch.empty_like(states[0]), g.new_empty(population, tiles, units, units)
        db, dA = (g.new_empty(population, tiles, units) for _ in range(2))
        given = W, A, states, g.contiguous(), dz, dW, db, dA
        back[population, tiles](*given, steps, rows, *ctx.sizes, num_warps=WARPS)
        return dz, dW.sum(dim=1), db.sum(dim=1), dA.sum(dim=1), None, None


def one_matrix_steps(form: OneMatrix, z: States, steps: int) -> Steps:
    """Return the states after 1 ... `steps` steps, differentiable in z and the weights.

    Args:
        form: The weights.
        z: First states, shape (population, rows, units), in single precision.
        steps: Number of steps.

    Returns:
        States, shape (steps, population, rows, units).

    Example:
        >>> form = OneMatrix(torch.zeros(1, 4, 4).cuda(), torch.ones(1, 4).cuda(), "relu")  # doctest: +SKIP
        >>> one_matrix_steps(form, torch.zeros(1, 16, 4).cuda(), steps=2)[:, 0, 0, 0]  # doctest: +SKIP
        tensor([1., 1.], device='cuda:0')
    """
    A = form.b if form.A is None else form.A
    return Kernels.apply(z, form.W, form.b, A, steps, KINDS[form.kind] + form.linear)  # type: ignore[no-any-return]


@cache
def works(device: torch.device) -> bool:
    """Whether the kernels compile here, and agree with two steps of z' = relu(W z + b) and their way back."""
    draw = torch.Generator().manual_seed(0)
    z, W, b = (torch.randn(*shape, generator=draw).to(device) for shape in ((2, 20, 5), (2, 5, 5), (2, 5)))
    try:
        with torch.enable_grad():
            W.requires_grad_(True)
            found = one_matrix_steps(OneMatrix(W, b, "relu"), z, 2)[-1]
            first = torch.baddbmm(b.unsqueeze(1), z, W.mT).relu()
            expected = torch.baddbmm(b.unsqueeze(1), first, W.mT).relu()
            gradients = [torch.autograd.grad(states.square().sum(), W)[0] for states in (found, expected)]
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)
        torch.testing.assert_close(*gradients, rtol=1e-2, atol=1e-2)
    except Exception as error:  # Triton, its compiler and the driver raise many types
        log.warning("cells: Triton's kernels are not used on %s: %s", device, str(error).strip().splitlines()[-1])
        return False
    return True
