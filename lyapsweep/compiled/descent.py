"""Compiled: penalties, clipping and optimizers on the weights of one member, as `optimizers` defines them."""

import math
from typing import NamedTuple

import numba
import numpy as np

from lyapsweep.compiled.scalars import INTERNAL, f4

SGD, ADAM, RADAM = 0, 1, 2
BETA1, BETA2, EPS = 0.9, 0.999, 1e-8
RHO = 2 / (1 - BETA2) - 1  # of RAdam, after infinitely many updates


class Rule(NamedTuple):
    """How weights move: rate(step) = rate decay^step; limits are infinite where there are none.

    A penalty adds 2 pull (theta - anchor) to the gradient.
    """

    optimizer: int
    rate: float
    decay: float
    clip: float
    clip_value: float
    penalised: bool
    pull: np.ndarray
    anchor: np.ndarray


@numba.njit(**INTERNAL)
def penalise(g, theta, pull, anchor):
    for i in range(len(pull)):
        g[i] += f4(2) * pull[i] * (theta[i] - anchor[i])


@numba.njit(**INTERNAL)
def norm_of(g):
    total = f4(0)
    for i in range(len(g)):
        total += g[i] * g[i]
    return f4(math.sqrt(total))


@numba.njit(**INTERNAL)
def clip_gradient(g, norm, clip, clip_value):
    scale, limit = f4(min(1.0, clip / max(norm, 1e-30))), f4(clip_value)
    for i in range(len(g)):
        g[i] = min(max(scale * g[i], -limit), limit)


@numba.njit(**INTERNAL)
def move(theta, g, m, v, rule, step):
    """One update of the weights; `step` counts those before it."""
    rate, after = rule.rate * rule.decay**step, step + 1
    if rule.optimizer == SGD:
        for i in range(len(g)):
            theta[i] -= f4(rate) * g[i]
        return
    for i in range(len(g)):
        m[i] += f4(1 - BETA1) * (g[i] - m[i])
        v[i] = f4(BETA2) * v[i] + f4(1 - BETA2) * g[i] * g[i]
    unbiased, spread = 1 - BETA1**after, 1 - BETA2**after
    size, root = f4(rate / unbiased), f4(math.sqrt(spread))
    if rule.optimizer == ADAM:
        for i in range(len(g)):
            theta[i] -= size * m[i] / (math.sqrt(v[i]) / root + f4(EPS))
        return
    rho = RHO - 2 * after * BETA2**after / spread
    if rho > 5:
        size *= f4(math.sqrt((rho - 4) * (rho - 2) * RHO / ((RHO - 4) * (RHO - 2) * rho)))
        for i in range(len(g)):
            theta[i] -= size * m[i] * root / (math.sqrt(v[i]) + f4(EPS))
    else:
        for i in range(len(g)):
            theta[i] -= size * m[i]
