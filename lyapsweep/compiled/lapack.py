"""BLAS and LAPACK in double precision for compiled loops: SciPy's own, bound by symbol name so that numba can cache.

Every argument is an address; matrices are column-major, integers 32-bit, flags single bytes.
"""

from llvmlite import binding
from numba import types
from numba.extending import get_cython_function_address


def bound(library: str, name: str, arguments: int) -> types.ExternalFunction:
    """A function of SciPy's Cython interface, under a symbol of our own."""
    symbol = f"lyapsweep_{name}"
    binding.add_symbol(symbol, get_cython_function_address(f"scipy.linalg.{library}", name))
    return types.ExternalFunction(symbol, types.void(*[types.uintp] * arguments))


dtrmm, dgemm = bound("cython_blas", "dtrmm", 11), bound("cython_blas", "dgemm", 13)
dgetrf, dgeqrf = bound("cython_lapack", "dgetrf", 6), bound("cython_lapack", "dgeqrf", 8)
dorgqr = bound("cython_lapack", "dorgqr", 9)
