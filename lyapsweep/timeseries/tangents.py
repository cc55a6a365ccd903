"""Growth of tangent vectors under maps fitted to neighbours, which needs no initial or final distance."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from lyapsweep.timeseries.neighbours import NONE, Points, chunks, nearest

NEIGHBOURS = 40  # of a local fit
RANK = 0.1  # of the widest direction of a neighbourhood: thinner ones hold noise
DIRECTIONS = 4  # of a quadratic fit, at most: 15 coefficients for 40 neighbours
BEND = 0.7  # of the linear fit's error, below which the quadratic one is taken
RIDGE = 1e-10
ALIGNING = 10  # steps of a tangent vector that are not counted
TRIED = 1000  # reference points on which linear and quadratic fits are compared
NORMAL = 0.6745  # standard deviations: the median of a normal distribution's absolute value
TINY = 1e-300

Jacobians = Float[np.ndarray, "references dimensions dimensions"]


@dataclass(frozen=True)
class TangentFit:
    """Which maps are fitted: over `ahead` samples, of first or second `degree`, outside the `theiler` window."""

    ahead: int
    theiler: int
    degree: int


def jacobians(
    states: Points, fit: TangentFit, of: Int[np.ndarray, " references"] | None = None
) -> tuple[Jacobians, Float[np.ndarray, " references"]]:
    """Df^T at states, and the error of f at each state; a point's own future is not part of its fit.

    Weighted least squares over the 40 nearest states, weights falling to zero at the farthest (tricube), in the
    principal directions of the neighbourhood that are wider than a tenth of its widest, because the attractor does not
    fill the others (Sano and Sawada 1985; Eckmann et al. 1986). Second order removes the neighbourhood's curvature from
    Df (Brown, Bryant and Abarbanel 1991).
    """
    last = len(states) - fit.ahead
    of = np.arange(last) if of is None else of
    near = nearest(states, NEIGHBOURS, fit.theiler, last, of)
    near = np.where(near == NONE, near[:, :1], near)
    J, missed = np.empty((len(of), states.shape[1], states.shape[1])), np.empty(len(of))
    for part in chunks(np.arange(len(of)), NEIGHBOURS * states.shape[1] ** 2):
        here, j = of[part], near[part]
        A, B = states[j] - states[here, None], states[j + fit.ahead] - states[here + fit.ahead, None]
        J[part], origin = local_fit(A, B, fit.degree)
        missed[part] = np.linalg.norm(origin, axis=1)
    return J, missed


def next_error(states: Points, columns: int, theiler: int) -> float:
    """Standard deviation of local linear predictions' errors a sample ahead; states end with their newest `columns`.

    It is the median absolute error of each column, as of a normal distribution, and the root mean square of columns.
    """
    of = np.unique(np.linspace(0, len(states) - 2, TRIED).astype(int))
    near = nearest(states, NEIGHBOURS, theiler, len(states) - 1, of)
    near, newest = np.where(near == NONE, near[:, :1], near), states[:, -columns:]
    missed = local_fit(states[near] - states[of, None], newest[near + 1] - newest[of + 1, None], 1)[1]
    return float(np.sqrt(np.square(np.median(np.abs(missed), axis=0) / NORMAL).mean()))


def local_fit(A: np.ndarray, B: np.ndarray, degree: int) -> tuple[Jacobians, np.ndarray]:
    """(J, c) of B ~ c + A J + ..., offsets (references, neighbours, dimensions) from the reference and its image."""
    distance = np.linalg.norm(A, axis=2)
    weight = np.clip(1 - (distance / (distance[:, -1:] * 1.0001 + TINY)) ** 3, 0, None)[..., None] ** 1.5
    centred = (A - (weight**2 * A).sum(1, keepdims=True) / np.square(weight).sum(1, keepdims=True)) * weight
    _, width, directions = np.linalg.svd(centred, full_matrices=False)
    q = min(DIRECTIONS if degree == 2 else A.shape[2], directions.shape[1])
    scale = np.maximum(width[:, :1], TINY)
    kept = directions[:, :q] * (width[:, :q] > RANK * scale)[..., None]
    terms = [np.ones((*A.shape[:2], 1)), A @ kept.transpose(0, 2, 1) / scale[..., None]]
    if degree == 2:
        rows, columns = np.triu_indices(q)
        terms.append(terms[1][..., rows] * terms[1][..., columns])
    F = np.concatenate(terms, axis=2) * weight
    gram = F.transpose(0, 2, 1) @ F
    gram += RIDGE * np.trace(gram, axis1=1, axis2=2)[:, None, None] * np.eye(gram.shape[1]) + TINY * np.eye(
        len(gram[0])
    )
    solution = np.linalg.solve(gram, F.transpose(0, 2, 1) @ (B * weight))
    return kept.transpose(0, 2, 1) @ solution[:, 1 : q + 1] / scale[..., None], solution[:, 0]


def choose_fit(states: Points, delay: int, theiler: int) -> TangentFit:
    """Second order if it predicts held-out states clearly better than first order, which means that noise is small.

    Second order then uses maps over half a delay, first order over a whole one.
    """
    of = np.unique(np.linspace(0, len(states) - delay - 1, TRIED).astype(int))
    linear, quadratic = (np.median(jacobians(states, TangentFit(delay, theiler, d), of)[1]) for d in (1, 2))
    if quadratic < BEND * linear:
        return TangentFit(max(1, delay // 2), theiler, 2)
    return TangentFit(delay, theiler, 1)


def tangent_growth(J: Jacobians, ahead: int, seed: int) -> Float[np.ndarray, "steps chains"]:
    """log growth of tangent vectors per sample, in each counted step of `ahead` samples.

    v <- Df v / |Df v| from a random start, in `ahead` chains side by side, so that each Jacobian is used once.
    """
    steps = len(J) // ahead
    v = np.random.default_rng(seed).standard_normal((ahead, J.shape[1]))
    logs = np.empty((steps, ahead))
    for s in range(steps):
        v = np.einsum("cp,cpq->cq", v, J[s * ahead : (s + 1) * ahead])
        size = np.maximum(np.linalg.norm(v, axis=1), TINY)
        logs[s], v = np.log(size), v / size[:, None]
    return logs[ALIGNING:] / ahead
