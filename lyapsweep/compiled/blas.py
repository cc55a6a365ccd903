"""SciPy's BLAS from compiled code, bound by symbol name.

An address that is a constant of the code would forbid numba's cache; a symbol is resolved when cached code is loaded.
"""

from typing import Any

import llvmlite.binding
import numba
import numpy as np
import scipy.linalg.cython_blas
from numba import types
from numba.extending import get_cython_function_address

from lyapsweep.compiled.scalars import INLINE, INTERNAL

TRANSPOSED, PLAIN = 84, 78  # "T", "N"


def bind(module: str, name: str, arguments: int) -> Any:
    """A BLAS or LAPACK routine whose arguments are all pointers, as a function of addresses.

    Args:
        module: "cython_blas" or "cython_lapack".
        name: Such as "sgemm".
        arguments: Number of its arguments.
    """
    symbol = f"lyapsweep_{name}"
    llvmlite.binding.add_symbol(symbol, get_cython_function_address(f"scipy.linalg.{module}", name))
    return types.ExternalFunction(symbol, types.void(*[types.uintp] * arguments))


def integer_type() -> str:
    """The C type of the integers that SciPy's BLAS takes: "int", or a longer one in an ILP64 build."""
    signature = repr(scipy.linalg.cython_blas.__pyx_capi__["sgemm"])
    return signature.split("(")[1].split(",")[2].strip(" *")


sgemm_ = bind("cython_blas", "sgemm", 13)


def call_arguments() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Integers, letters and factors of a call, which BLAS takes by address."""
    return np.empty(6, np.int32), np.array([PLAIN, TRANSPOSED], np.uint8), np.array([0, 1], np.float32)


@numba.njit(**INLINE)
def address(array):
    """Where an array begins, as a signed integer: one type of addresses keeps compiling short."""
    return np.intp(array.ctypes.data)


@numba.njit(**INTERNAL)
def gemm(call, letters_a, letters_b, m, n, k, A, lda, B, ldb, beta, C, ldc):
    """C (m, n) = op(A) op(B) + beta C, column-major; matrices are addresses, 1 is transposed."""
    sizes, letters, factors = call
    sizes[0], sizes[1], sizes[2], sizes[3], sizes[4], sizes[5] = m, n, k, lda, ldb, ldc
    s, f, x = address(sizes), address(letters), address(factors)
    sgemm_(f + letters_a, f + letters_b, s, s + 4, s + 8, x + 4, A, s + 12, B, s + 16, x + 4 * beta, C, s + 20)


@numba.njit(**INTERNAL)
def times_transposed(call, rows, X, ldx, columns, W, ldw, out, Y, ldy, beta):
    """Y (rows, out) = X (rows, columns) W^T + beta Y, row-major."""
    gemm(call, 1, 0, out, rows, columns, W, ldw, X, ldx, beta, Y, ldy)


@numba.njit(**INTERNAL)
def times(call, rows, X, ldx, columns, W, ldw, out, Y, ldy, beta):
    """Y (rows, out) = X (rows, columns) W + beta Y, row-major."""
    gemm(call, 0, 0, out, rows, columns, W, ldw, X, ldx, beta, Y, ldy)


@numba.njit(**INTERNAL)
def add_outer(call, rows, E, lde, out, X, ldx, columns, G, ldg):
    """G (out, columns) += E^T X of E (rows, out) and X (rows, columns), row-major."""
    gemm(call, 0, 1, columns, out, rows, X, ldx, E, lde, 1, G, ldg)
