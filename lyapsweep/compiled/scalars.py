"""Functions of one number that cells are made of, in single precision (fast) and in double precision (accurate)."""

import math
from typing import Any, NamedTuple

import numba
import numpy as np

from lyapsweep.compiled.parts import PartCompiler

FAST = {"reassoc", "contract", "arcp", "nsz", "afn"}  # not nnan, ninf: a diverging network must show its numbers
OPTIONS: Any = {"fastmath": FAST, "nogil": True, "error_model": "numpy", "boundscheck": False, "_nrt": False}
ACCURATE: Any = OPTIONS | {"fastmath": {"reassoc", "contract", "nsz"}}
CALLED: Any = OPTIONS | {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}  # by address
PART: Any = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True, "pipeline_class": PartCompiler}
INTERNAL: Any = OPTIONS | PART
INLINE: Any = INTERNAL | {"forceinline": True}  # a loop over a call is not vectorised: 8 times slower
f4 = np.float32


class Scalars(NamedTuple):
    """Numbers and functions of one precision.

    `tanh_slope(a, tanh(a))` and `logistic_slope(a, logistic(a))` are derivatives; in double precision they do not
    cancel for saturated units.
    """

    zero: Any
    one: Any
    tanh: Any
    logistic: Any
    tanh_slope: Any
    logistic_slope: Any


@numba.njit(**INLINE)
def tanh4(x):
    """A rational function that is right to 4 ulp and that vectorises (Eigen's)."""
    x = min(max(x, f4(-7.90531110763549805)), f4(7.90531110763549805))
    s = x * x
    p = f4(-2.76076847742355e-16)
    p = p * s + f4(2.00018790482477e-13)
    p = p * s + f4(-8.60467152213735e-11)
    p = p * s + f4(5.12229709037114e-08)
    p = p * s + f4(1.48572235717979e-05)
    p = p * s + f4(6.37261928875436e-04)
    p = p * s + f4(4.89352455891786e-03)
    q = f4(1.19825839466702e-06)
    q = q * s + f4(1.18534705686654e-04)
    q = q * s + f4(2.26843463243900e-03)
    q = q * s + f4(4.89352518554385e-03)
    return x * p / q


@numba.njit(**INLINE)
def logistic4(x):
    return f4(0.5) + f4(0.5) * tanh4(f4(0.5) * x)


@numba.njit(**INLINE)
def tanh_slope4(a, t):
    return f4(1) - t * t


@numba.njit(**INLINE)
def logistic_slope4(a, s):
    return s * (f4(1) - s)


@numba.njit(**INLINE)
def tanh8(x):
    return math.tanh(x)


@numba.njit(**INLINE)
def logistic8(x):
    return 1.0 / (1.0 + math.exp(-x))


@numba.njit(**INLINE)
def tanh_slope8(a, t):
    return 4.0 * logistic8(2.0 * a) * logistic8(-2.0 * a)


@numba.njit(**INLINE)
def logistic_slope8(a, s):
    return s * logistic8(-a)


SINGLE = Scalars(f4(0), f4(1), tanh4, logistic4, tanh_slope4, logistic_slope4)
DOUBLE = Scalars(0.0, 1.0, tanh8, logistic8, tanh_slope8, logistic_slope8)
