"""Frames of tangent vectors along an orbit, and how much each direction stretches.

Rows of V are tangent vectors. If W^T = Y U with U upper triangular and Y well conditioned replaces QR at each step, the
product of the U and of one last Y = Q S is the R of the product of all Jacobians. So all methods give the exponents of
Householder QR at every step, and differ in cost. Each is a function of the form `FrameMethod`.
"""

import math
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from lyapsweep.dynamics.pivoting import pivot
from lyapsweep.maps import AbstractMap, Orbit, States, Tangents

Driving = Float[Tensor, "time population batch inputs"] | None
MAX_INTERVAL = 64  # steps between two orthonormalisations
PARTS = 4  # of the steps of one call, whose growth is kept apart for standard errors
SAFETY = 0.85  # share of the stretch that the tolerance allows, so that few attempts fail
KEPT_DIGITS = 0.7  # share of the digits that every R_ii keeps: an error of 1e-11 in double precision


class FrameResult(NamedTuple):
    """A frame after some steps, the sum of log R_ii over these steps, and the states `before` each of them.

    A log R_ii of -inf belongs to a tangent vector that a singular Jacobian annihilated. `error` estimates the largest
    relative error of an R_ii; 1 means that all digits were lost. `parts` is `growth` by quarters of the steps, up to
    the times of factorisations; `lengths` are their steps, 0 for a quarter without a factorisation.
    """

    z: States
    V: Tangents
    growth: Float[Tensor, "population batch exponents"]
    before: Orbit
    error: Float[Tensor, " population"]
    parts: Float[Tensor, "parts population batch exponents"]
    lengths: list[int]


@runtime_checkable
class FrameMethod(Protocol):
    def __call__(self, map: AbstractMap, z: States, inputs: Driving, V: Tangents, steps: int) -> FrameResult:
        """Carry the orthonormal frame V from z over `steps` steps; the returned frame is orthonormal again."""
        ...


class Accumulator:
    """Sums along an orbit, in double precision whatever the precision of the tangents."""

    def __init__(self, V: Tangents, steps: int):
        self.growth = V.new_zeros(V.shape[:3], dtype=torch.float64)
        self.parts = V.new_zeros(PARTS, *V.shape[:3], dtype=torch.float64)
        self.lengths, self.steps = [0] * PARTS, steps
        self.error = V.new_zeros(len(V), dtype=torch.float64)
        self.before: list[Tensor] = []

    def add(self, stretch: Tensor, steps: int, error: Tensor | None = None) -> None:
        """Add log R_ii of the next `steps` steps, and the relative error of the worst of them in each member."""
        self.growth += stretch
        self.add_to_part(stretch, steps)
        if error is not None:
            self.error = torch.maximum(self.error, error.double())

    def add_to_part(self, stretch: Tensor, steps: int) -> None:
        """Add log R_ii of the next `steps` steps to the part in which they begin."""
        part = min(PARTS - 1, sum(self.lengths) * PARTS // self.steps)
        self.parts[part] += stretch
        self.lengths[part] += steps

    def add_each(self, logs: Float[Tensor, "steps population batch exponents"], total: Tensor) -> None:
        """Add log R_ii of the next steps, one by one, and their `total`."""
        self.growth += total
        for stretch in logs:
            self.add_to_part(stretch, 1)

    def result(self, z: States, V: Tangents) -> FrameResult:
        return FrameResult(z, V, self.growth, torch.stack(self.before), self.error, self.parts, self.lengths)


def random_frame(z: States, k: int, seed: int) -> Tangents:
    """A random orthonormal frame for each orbit, shared by all members, so that no member depends on its pack."""
    generator = torch.Generator().manual_seed(seed)
    frame = torch.randn(1, z.shape[1], k, z.shape[2], generator=generator, dtype=torch.float64)
    q, _ = orthonormalise(frame)
    return q.to(z).expand(z.shape[0], -1, -1, -1)


def given_frame(frame: Tensor, z: States) -> Tangents:
    """The frame (k, state) or (orbits, k, state) as that of every member and orbit of `z`, orthonormalised."""
    population, batch, state = z.shape
    rows = frame.to(z)
    if rows.shape[-1:] != (state,) or rows.dim() not in (2, 3) or (rows.dim() == 3 and len(rows) != batch):
        raise ValueError(
            f"frame must be (k, {state}) or ({batch}, k, {state}), one tangent vector per row, but is "
            f"{tuple(frame.shape)}. Change its shape."
        )
    rank = torch.linalg.matrix_rank(rows.cpu().nan_to_num())
    if not rows.isfinite().all() or (rank < rows.shape[-2]).any():
        raise ValueError(
            f"frame: its {rows.shape[-2]} rows must be finite and linearly independent. Give such tangent vectors."
        )
    return householder_qr(rows)[0].expand(population, batch, -1, -1)


def orthonormalise(
    V: Float[Tensor, "*rows k state"],
) -> tuple[Float[Tensor, "*rows k state"], Float[Tensor, "*rows k"]]:
    """(Q^T, log |diag R|) of V^T = Q R by Householder reflections; on CUDA of V^T = Y U by LU and of Y by Cholesky.

    torch's batched QR processes a CUDA batch one matrix at a time. Y has a condition number of about its size even if
    tangents of V were annihilated, whose log |R_ii| is -inf: `cholesky_qr` of V itself would give NaN.
    """
    if not V.is_cuda:
        return householder_qr(V)
    Y, logs, _ = pivot(V)
    Q, rest = cholesky_qr(Y)
    return Q, logs + rest


def householder_qr(
    V: Float[Tensor, "*rows k state"],
) -> tuple[Float[Tensor, "*rows k state"], Float[Tensor, "*rows k"]]:
    """(Q^T, log |diag R|) of V^T = Q R by Householder reflections."""
    q, r = torch.linalg.qr(V.mT)
    return q.mT, r.diagonal(dim1=-2, dim2=-1).abs().log()


def cholesky_qr(V: Float[Tensor, "*rows k state"]) -> tuple[Float[Tensor, "*rows k state"], Float[Tensor, "*rows k"]]:
    """(Q^T, log |diag R|) of a well-conditioned V by V V^T = R^T R, twice (Yamamoto et al. 2015)."""
    logs = torch.zeros_like(V[..., 0])
    for _ in range(2):
        L = torch.linalg.cholesky_ex(V @ V.mT)[0]
        V, logs = torch.linalg.solve_triangular(L, V, upper=False), logs + L.diagonal(dim1=-2, dim2=-1).log()
    return V, logs


def cancellation(W: Tangents, stretch: Tensor) -> Float[Tensor, " population"]:
    """eps max_i |w_i| / R_ii: the relative rounding error of R_ii, for the worst vector of each member.

    0 for a vector that is exactly zero, inf after an overflow.
    """
    length = torch.linalg.vector_norm(W, dim=-1)
    ratio = torch.where(length == 0, torch.ones_like(length), length / stretch.exp())
    return torch.finfo(W.dtype).eps * ratio.nan_to_num(nan=math.inf).flatten(1).amax(dim=1)


def householder(
    map: AbstractMap, z: States, inputs: Driving, V: Tangents, steps: int, *, interval: int = 1
) -> FrameResult:
    """QR every `interval` steps, whatever digits it loses (Benettin et al. 1980): the reference method."""
    accumulated = Accumulator(V, steps)
    for t in range(steps):
        accumulated.before.append(z)
        z, V = map.push(z, None if inputs is None else inputs[t], V)
        if (t + 1) % interval == 0 or t + 1 == steps:
            W = V
            V, stretch = householder_qr(W)
            accumulated.add(stretch, t % interval + 1, cancellation(W, stretch))
    return accumulated.result(z, V)


def adaptive(map: AbstractMap, z: States, inputs: Driving, V: Tangents, steps: int) -> FrameResult:
    """QR as seldom as the stretching allows; an interval that lost digits is repeated with half its length.

    A single step that loses too many digits is factorised with pivoting, which keeps the digits of a Jacobian whose
    rows differ by orders of magnitude and distinguishes an annihilated direction from a strongly contracted one.
    """
    accumulated, t, interval = Accumulator(V, steps), 0, 1
    tolerance = torch.finfo(V.dtype).eps ** KEPT_DIGITS
    budget = math.log(tolerance / torch.finfo(V.dtype).eps)
    while t < steps:
        interval = min(interval, steps - t)
        path, W = [z], V
        for s in range(t, t + interval):
            after, W = map.push(path[-1], None if inputs is None else inputs[s], W)
            path.append(after)
        Q, stretch = orthonormalise(W)
        error = cancellation(W, stretch)
        finite = path[-1].isfinite().flatten(1).all(dim=1)  # diverged members do not count
        worst = torch.where(finite, error, 0).max().item()
        if worst > tolerance and interval > 1:
            interval = max(1, interval // 2)
            continue
        if worst > tolerance:
            Y, logs, error = pivot(W)
            Q, rest = orthonormalise(Y)
            stretch = logs + rest
        accumulated.add(stretch, interval, torch.where(finite, error, 0))
        accumulated.before += path[:-1]
        z, V, t = path[-1], Q, t + interval
        rate = max(math.log(max(worst, 1e-300) / torch.finfo(V.dtype).eps), 1e-3) / interval
        interval = max(1, min(MAX_INTERVAL, 2 * interval, int(SAFETY * budget / rate)))
    return accumulated.result(z, V)
