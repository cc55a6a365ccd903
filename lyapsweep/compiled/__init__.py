"""Compiled loops (numba around SciPy's BLAS and LAPACK): an engine that trains and measures small networks faster.

The cells' torch code is the definition and the fallback; tests compare each compiled loop with it. Modules that import
numba are imported only where the compiled engine runs (`engine`).
"""
