"""Runge-Kutta orbits of bilinear flows, and the Jacobians of their steps, with the bits of `systems.bilinear` on torch.

torch's products of three rows sum plainly from the left; its addcmul and scaled additions are fused. No fast-math here.
"""

from functools import partial
from typing import Any

from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from lyapsweep.compiled.caching import compiled
from lyapsweep.compiled.scalars import PART

EXACT: Any = {"nogil": True, "error_model": "numpy", "_nrt": False}
INNER = EXACT | PART


def multiply_add(typing_context, a, b, c):
    """a b + c, rounded once."""

    def generate(context, builder: ir.IRBuilder, signature, arguments):
        return builder.fma(*arguments)

    return types.float64(types.float64, types.float64, types.float64), generate


fused: Any = intrinsic(multiply_add)


@njit(**INNER)
def field(A, b, C, x, y, z):
    """A z + b + z_1 C z."""
    return (
        fused(x, (C[0, 0] * x + C[0, 1] * y) + C[0, 2] * z, (A[0, 0] * x + A[0, 1] * y) + A[0, 2] * z + b[0]),
        fused(x, (C[1, 0] * x + C[1, 1] * y) + C[1, 2] * z, (A[1, 0] * x + A[1, 1] * y) + A[1, 2] * z + b[1]),
        fused(x, (C[2, 0] * x + C[2, 1] * y) + C[2, 2] * z, (A[2, 0] * x + A[2, 1] * y) + A[2, 2] * z + b[2]),
    )


@njit(**INNER)
def moved(z, k, h):
    return fused(k[0], h, z[0]), fused(k[1], h, z[1]), fused(k[2], h, z[2])


@njit(**INNER)
def weighted(k1, k2, k3, k4):
    """k1 + 2 k2 + 2 k3 + k4."""
    return (
        fused(k2[0] + k3[0], 2.0, k1[0]) + k4[0],
        fused(k2[1] + k3[1], 2.0, k1[1]) + k4[1],
        fused(k2[2] + k3[2], 2.0, k1[2]) + k4[2],
    )


@njit(**INNER)
def stages(A, b, C, h, z):
    """The fields k1 ... k4 of a Runge-Kutta step from z, and the states y2 ... y4 at which the last three are taken."""
    k1 = field(A, b, C, z[0], z[1], z[2])
    y2 = moved(z, k1, h / 2)
    k2 = field(A, b, C, y2[0], y2[1], y2[2])
    y3 = moved(z, k2, h / 2)
    k3 = field(A, b, C, y3[0], y3[1], y3[2])
    y4 = moved(z, k3, h)
    return k1, k2, k3, field(A, b, C, y4[0], y4[1], y4[2]), y2, y3, y4


@partial(compiled, **EXACT)
def orbits(A, b, C, h, substeps, z, out):
    """Write the states after 1 ... len(out) steps from z (batch, 3) into `out` (steps, batch, 3)."""
    for i in range(len(z)):
        now = (z[i, 0], z[i, 1], z[i, 2])
        for t in range(len(out)):
            for _ in range(substeps):
                k1, k2, k3, k4, _, _, _ = stages(A, b, C, h, now)
                now = moved(now, weighted(k1, k2, k3, k4), h / 6)
            out[t, i, 0], out[t, i, 1], out[t, i, 2] = now


@njit(**INNER)
def tangent(A, C, z, v):
    """A v + z_1 C v + v_1 C z."""
    x, u = z[0], v[0]
    return (
        A[0, 0] * u + A[0, 1] * v[1] + A[0, 2] * v[2] + C[0, 0] * (2 * x * u)
        + C[0, 1] * (x * v[1] + u * z[1]) + C[0, 2] * (x * v[2] + u * z[2]),
        A[1, 0] * u + A[1, 1] * v[1] + A[1, 2] * v[2] + C[1, 0] * (2 * x * u)
        + C[1, 1] * (x * v[1] + u * z[1]) + C[1, 2] * (x * v[2] + u * z[2]),
        A[2, 0] * u + A[2, 1] * v[1] + A[2, 2] * v[2] + C[2, 0] * (2 * x * u)
        + C[2, 1] * (x * v[1] + u * z[1]) + C[2, 2] * (x * v[2] + u * z[2]),
    )  # fmt: skip


@partial(compiled, **EXACT)
def jacobians(A, b, C, h, substeps, z, out):
    """Write the transposed Jacobian of one step at each of the states z (batch, 3) into `out` (batch, 3, 3)."""
    for i in range(len(z)):
        for j in range(3):
            for k in range(3):
                out[i, j, k] = 1.0 if j == k else 0.0
        now = (z[i, 0], z[i, 1], z[i, 2])
        for _ in range(substeps):
            k1, k2, k3, k4, y2, y3, y4 = stages(A, b, C, h, now)
            for j in range(3):
                v = (out[i, j, 0], out[i, j, 1], out[i, j, 2])
                g1 = tangent(A, C, now, v)
                g2 = tangent(A, C, y2, moved(v, g1, h / 2))
                g3 = tangent(A, C, y3, moved(v, g2, h / 2))
                g4 = tangent(A, C, y4, moved(v, g3, h))
                out[i, j, 0], out[i, j, 1], out[i, j, 2] = moved(v, weighted(g1, g2, g3, g4), h / 6)
            now = moved(now, weighted(k1, k2, k3, k4), h / 6)
