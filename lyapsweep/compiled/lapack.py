"""BLAS and LAPACK in double precision for compiled loops: SciPy's own.

Every argument is an address; matrices are column-major, integers 32-bit, flags single bytes.
"""

from lyapsweep.compiled.blas import bind

dtrmm, dgemm = bind("cython_blas", "dtrmm", 11), bind("cython_blas", "dgemm", 13)
dgetrf, dgeqrf = bind("cython_lapack", "dgetrf", 6), bind("cython_lapack", "dgeqrf", 8)
dorgqr = bind("cython_lapack", "dorgqr", 9)
