"""How much like a line attractor a set of points is (Maheswaranathan et al. 2019)."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from lyapsweep.dynamics.linearisation import Points


class Line(NamedTuple):
    """Scores of a line of fixed or slow points; NaN where there are too few points or no read-out.

    participation_ratio  (sum e)^2 / sum e^2 over the eigenvalues e of the points' covariance: 1 on a line
    first_share          share of their variance along `axis`, the first principal component (state,)
    along_slow           |cos| between `axis` and the slowest right eigenvector, the median over points
    along_readout        |cos| between `axis` and the row space of the read-out
    slow_along_readout   |cos| between the slowest right eigenvector and the read-out, the median over points
    rate, second         ln |lambda| of the slowest and of the next mode, nats per step, medians over points
    time_constant        1 / |rate|, steps
    gap                  |second| - |rate|: how clearly one mode is slower than the others
    """

    points: int
    participation_ratio: float
    first_share: float
    axis: Float[np.ndarray, " state"]
    along_slow: float
    along_readout: float
    slow_along_readout: float
    rate: float
    second: float
    time_constant: float
    gap: float


def line_scores(points: Points, readout: Float[np.ndarray, "features state"] | None = None) -> Line:
    """The scores of all these points together; `readout` holds the directions that an observation sees in its rows.

    The number of points on a line means nothing (every candidate is one), so no score counts them.
    """
    count, state = points.z.shape
    nothing = float("nan")
    if count == 0:
        return Line(0, nothing, nothing, np.full(state, nothing), *[nothing] * 7)
    ratio, share, axis = principal(points.z)
    slow = slow_planes(points)
    seen = None if readout is None else readout.T
    rates = np.take_along_axis(points.rates, np.argsort(np.abs(points.rates), axis=1), axis=1)
    rate, two = float(np.median(rates[:, 0])), state > 1
    with np.errstate(divide="ignore", invalid="ignore"):
        return Line(
            points=count,
            participation_ratio=ratio,
            first_share=share,
            axis=axis,
            along_slow=float(np.median([alignment(axis, plane) for plane in slow])),
            along_readout=nothing if seen is None else alignment(axis, seen),
            slow_along_readout=nothing if seen is None else float(np.median([alignment_of(p, seen) for p in slow])),
            rate=rate,
            second=float(np.median(rates[:, 1])) if two else nothing,
            time_constant=float(1 / np.abs(rate)) if rate else float("inf"),
            gap=float(np.median(np.abs(rates[:, 1]) - np.abs(rates[:, 0]))) if two else nothing,
        )


def principal(z: Float[np.ndarray, "points state"]) -> tuple[float, float, Float[np.ndarray, " state"]]:
    """(participation ratio, share of the first component, its direction); NaN where all points are one."""
    singular, directions = np.linalg.svd(z - z.mean(axis=0), full_matrices=False)[1:]
    e = singular**2
    if not len(e) or e[0] <= (1e-14 * max(1.0, np.abs(z).max())) ** 2:
        return float("nan"), float("nan"), np.full(z.shape[1], np.nan)
    return float(e.sum() ** 2 / (e**2).sum()), float(e[0] / e.sum()), directions[0]


def slow_planes(points: Points) -> list[Float[np.ndarray, "state two"]]:
    """Real and imaginary part of the slowest right eigenvector of every point: a direction, or a plane of rotation."""
    vectors = np.take_along_axis(points.decomposed[1], points.slowest[:, None, None], axis=2)[..., 0]
    return [np.stack((v.real, v.imag), axis=1) for v in vectors]


def alignment(direction: Float[np.ndarray, " state"], span: Float[np.ndarray, "state vectors"]) -> float:
    """|cos| between a direction and the space that the columns of `span` span: 1 within it, 0 at right angles to it."""
    if not np.isfinite(direction).all():
        return float("nan")
    basis = orthonormal(span)
    return float(np.linalg.norm(basis.T @ direction) / np.linalg.norm(direction))


def alignment_of(plane: Float[np.ndarray, "state two"], span: Float[np.ndarray, "state vectors"]) -> float:
    """The largest |cos| between a direction of the plane and one of the span: the first principal angle."""
    a, b = orthonormal(plane), orthonormal(span)
    return float(np.linalg.norm(a.T @ b, ord=2)) if a.size and b.size else float("nan")


def orthonormal(vectors: Float[np.ndarray, "state vectors"]) -> Float[np.ndarray, "state rank"]:
    """An orthonormal basis of the columns; directions below rounding are left out."""
    u, s, _ = np.linalg.svd(vectors, full_matrices=False)
    return u[:, s > 1e-10 * max(s[0], np.finfo(float).tiny)]


def kicks(
    points: Points, i: int, B: Float[np.ndarray, "state inputs"], inputs: Float[np.ndarray, "tokens inputs"]
) -> Float[np.ndarray, " tokens"]:
    """l . B (x - x*) of each input at point i: how far one input pushes the slowest mode, l its left eigenvector.

    `inputs` are given as x - x*, B as `input_jacobian` returns it. The right eigenvector is of length 1 and its largest
    entry positive, so kicks are lengths along it; of a rotating mode they are the real parts.
    """
    modes, a = points.modes(i), int(points.slowest[i])
    right, left = modes.right[:, a], modes.left[:, a]
    phase = right[np.argmax(np.abs(right))]
    turn = phase / np.abs(phase)
    return (inputs @ B.T @ (left * turn.conj()).conj()).real
