"""Carrying a frame of tangent vectors along an orbit, and how far each direction stretches on the way.

Rows of V are tangent vectors. Whatever factorisation W^T = Y U (U upper triangular, Y well conditioned) keeps the frame
from collapsing, the product of the U and of one last Y = Q S is the R of the product of all Jacobians: all methods give
the exponents that Householder QR at every step gives, and differ in cost. Each is a function of one shape, `Carrier`.
"""

import math
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from lyapsweep.dynamics.pivoting import pivot
from lyapsweep.maps import AbstractMap, Orbit, States, Tangents

Driving = Float[Tensor, "time population batch inputs"] | None
LONGEST = 64  # steps between two orthonormalisations, at most
AIM = 0.85  # of the stretch that the tolerance allows, so that few attempts are in vain
DIGITS = 0.7  # of those that numbers have, to be kept by every R_ii: an error of 1e-11 in double precision


class Carried(NamedTuple):
    """A frame after some steps: `growth` is the sum of log R_ii over the steps, `before` the states they started from.

    A log R_ii of -inf is a tangent vector that a singular Jacobian annihilated. `error` estimates the largest relative
    error of an R_ii, 1 where all digits were lost.
    """

    z: States
    V: Tangents
    growth: Float[Tensor, "population batch exponents"]
    before: Orbit
    error: Float[Tensor, " population"]


@runtime_checkable
class Carrier(Protocol):
    def __call__(self, map: AbstractMap, z: States, inputs: Driving, V: Tangents, steps: int) -> Carried:
        """Carry the orthonormal frame V from z over `steps` steps; what comes back is orthonormal again."""
        ...


class Tally:
    """What adds up along the way: in double precision, whatever the tangents are in."""

    def __init__(self, V: Tangents):
        self.growth = V.new_zeros(V.shape[:3], dtype=torch.float64)
        self.error = V.new_zeros(len(V), dtype=torch.float64)
        self.before: list[Tensor] = []

    def add(self, stretch: Tensor, error: Tensor | None = None) -> None:
        """log R_ii of one or more steps, and the relative error of the worst of them in each member."""
        self.growth += stretch
        if error is not None:
            self.error = torch.maximum(self.error, error.double())

    def carried(self, z: States, V: Tangents) -> Carried:
        return Carried(z, V, self.growth, torch.stack(self.before), self.error)


def orthonormalise(
    V: Float[Tensor, "*rows k state"],
) -> tuple[Float[Tensor, "*rows k state"], Float[Tensor, "*rows k"]]:
    """(Q^T, log |diag R|) of V^T = Q R by Householder reflections, or on CUDA by two rounds of Cholesky factors.

    torch's batched QR works through a CUDA batch one matrix at a time. The frames that come here on CUDA are pivoted
    ones, of a condition number of about their size, for which two rounds are as good.
    """
    if V.is_cuda:
        return cholesky(V)
    q, r = torch.linalg.qr(V.mT)
    return q.mT, r.diagonal(dim1=-2, dim2=-1).abs().log()


def cholesky(V: Float[Tensor, "*rows k state"]) -> tuple[Float[Tensor, "*rows k state"], Float[Tensor, "*rows k"]]:
    """(Q^T, log |diag R|) by V V^T = R^T R, twice (Yamamoto et al. 2015)."""
    logs = torch.zeros_like(V[..., 0])
    for _ in range(2):
        L = torch.linalg.cholesky_ex(V @ V.mT)[0]
        V, logs = torch.linalg.solve_triangular(L, V, upper=False), logs + L.diagonal(dim1=-2, dim2=-1).log()
    return V, logs


def cancellation(W: Tangents, stretch: Tensor) -> Float[Tensor, " population"]:
    """eps max_i |w_i| / R_ii: how much of R_ii rounding has eaten, for the worst vector of each member.

    0 where a vector is exactly zero (nothing was rounded), inf where numbers overflowed.
    """
    length = torch.linalg.vector_norm(W, dim=-1)
    ratio = torch.where(length == 0, torch.ones_like(length), length / stretch.exp())
    return torch.finfo(W.dtype).eps * ratio.nan_to_num(nan=math.inf).flatten(1).amax(dim=1)


def householder(map: AbstractMap, z: States, inputs: Driving, V: Tangents, steps: int, *, interval: int = 1) -> Carried:
    """QR every `interval` steps, asked or not (Benettin et al. 1980): what the other carriers are tested against."""
    tally = Tally(V)
    for t in range(steps):
        tally.before.append(z)
        z, V = map.push(z, None if inputs is None else inputs[t], V)
        if (t + 1) % interval == 0 or t + 1 == steps:
            W = V
            V, stretch = orthonormalise(W)
            tally.add(stretch, cancellation(W, stretch))
    return tally.carried(z, V)


def adaptive(map: AbstractMap, z: States, inputs: Driving, V: Tangents, steps: int) -> Carried:
    """QR as seldom as the stretching allows, judged after the fact: a stretch that lost digits is done again, shorter.

    Where a single step loses too many, it is factorised with pivoting instead, which keeps the digits of a Jacobian
    whose rows differ by orders of magnitude and tells an annihilated direction from a strongly contracted one.
    """
    tally, t, interval = Tally(V), 0, 1
    tolerance = torch.finfo(V.dtype).eps ** DIGITS
    budget = math.log(tolerance / torch.finfo(V.dtype).eps)
    while t < steps:
        interval = min(interval, steps - t)
        path, W = [z], V
        for s in range(t, t + interval):
            after, W = map.push(path[-1], None if inputs is None else inputs[s], W)
            path.append(after)
        Q, stretch = orthonormalise(W)
        error = cancellation(W, stretch)
        here = path[-1].isfinite().flatten(1).all(dim=1)  # a member that left the finite numbers cannot be helped
        worst = torch.where(here, error, 0).max().item()
        if worst > tolerance and interval > 1:
            interval = max(1, interval // 2)
            continue
        if worst > tolerance:
            Y, logs, error = pivot(W)
            Q, rest = orthonormalise(Y)
            stretch = logs + rest
        tally.add(stretch, torch.where(here, error, 0))
        tally.before += path[:-1]
        z, V, t = path[-1], Q, t + interval
        rate = max(math.log(max(worst, 1e-300) / torch.finfo(V.dtype).eps), 1e-3) / interval
        interval = max(1, min(LONGEST, 2 * interval, int(AIM * budget / rate)))
    return tally.carried(z, V)
