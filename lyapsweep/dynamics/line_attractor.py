"""Scores of how well a set of points forms a line attractor (Maheswaranathan et al. 2019)."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from lyapsweep.dynamics.linearisation import Points


class LineScores(NamedTuple):
    """Scores of a line of fixed or slow points; NaN without enough points or without a readout.

    Args:
        points: Number of points.
        participation_ratio: (sum e)^2 / sum e^2 over the eigenvalues e of the points' covariance; 1 on a line.
        first_share: Share of their variance along `axis`.
        axis: The first principal component, shape (state,).
        along_slow: |cos| between `axis` and the slowest right eigenvector, median over points.
        along_readout: |cos| between `axis` and the row space of the readout.
        slow_along_readout: |cos| between the slowest right eigenvector and the readout, median over points.
        rate: ln |lambda| of the slowest mode, nats per step, median over points.
        second: ln |lambda| of the next mode, likewise.
        time_constant: 1 / |rate|, in steps.
        gap: |second| - |rate|: how clearly one mode is slower than the others.

    Example:
        >>> LineScores._fields[:2]
        ('points', 'participation_ratio')
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


def line_scores(points: Points, readout: Float[np.ndarray, "features state"] | None = None) -> LineScores:
    """Compute the scores of a set of points as a line attractor.

    The number of points enters no score, because every candidate on a line is a point.

    Args:
        points: Fixed or slow points.
        readout: Directions that an observation sees, in rows, shape (features, state); None by default.

    Returns:
        The scores.

    Source: Maheswaranathan et al. 2019.

    Example:
        >>> z = np.linspace(-1, 1, 9)[:, None] * np.array([[3.0, 4.0]])
        >>> line_scores(Points(z, np.zeros(9), np.tile(np.diag([1.0, 0.5]), (9, 1, 1)))).participation_ratio
        1.0
    """
    count, state = points.z.shape
    nothing = float("nan")
    if count == 0:
        return LineScores(0, nothing, nothing, np.full(state, nothing), *[nothing] * 7)
    ratio, share, axis = principal(points.z)
    slow = slow_planes(points)
    seen = None if readout is None else readout.T
    rates = np.take_along_axis(points.rates, np.argsort(np.abs(points.rates), axis=1), axis=1)
    rate, two = float(np.median(rates[:, 0])), state > 1
    with np.errstate(divide="ignore", invalid="ignore"):
        return LineScores(
            points=count,
            participation_ratio=ratio,
            first_share=share,
            axis=axis,
            along_slow=float(np.median([alignment(axis, plane) for plane in slow])),
            along_readout=nothing if seen is None else alignment(axis, seen),
            slow_along_readout=nothing if seen is None else float(np.median([plane_alignment(p, seen) for p in slow])),
            rate=rate,
            second=float(np.median(rates[:, 1])) if two else nothing,
            time_constant=float(1 / np.abs(rate)) if rate else float("inf"),
            gap=float(np.median(np.abs(rates[:, 1]) - np.abs(rates[:, 0]))) if two else nothing,
        )


def principal(z: Float[np.ndarray, "points state"]) -> tuple[float, float, Float[np.ndarray, " state"]]:
    """(participation ratio, share of the first component, its direction); NaN if all points coincide."""
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
    """|cos| between a direction and the column space of `span`: 1 within it, 0 orthogonal to it."""
    if not np.isfinite(direction).all():
        return float("nan")
    basis = orthonormal(span)
    return float(np.linalg.norm(basis.T @ direction) / np.linalg.norm(direction))


def plane_alignment(plane: Float[np.ndarray, "state two"], span: Float[np.ndarray, "state vectors"]) -> float:
    """The largest |cos| between a direction of the plane and one of the span: the first principal angle."""
    a, b = orthonormal(plane), orthonormal(span)
    return float(np.linalg.norm(a.T @ b, ord=2)) if a.size and b.size else float("nan")


def orthonormal(vectors: Float[np.ndarray, "state vectors"]) -> Float[np.ndarray, "state rank"]:
    """An orthonormal basis of the columns, without directions below rounding."""
    u, s, _ = np.linalg.svd(vectors, full_matrices=False)
    return u[:, s > 1e-10 * max(s[0], np.finfo(float).tiny)]


def input_projections(
    points: Points, i: int, B: Float[np.ndarray, "state inputs"], inputs: Float[np.ndarray, "tokens inputs"]
) -> Float[np.ndarray, " tokens"]:
    """Project each input's effect on the slowest mode of point i: l . B (x - x*), l its left eigenvector.

    The right eigenvector has length 1 and its largest entry is positive, so projections are lengths along it; for a
    rotating mode they are the real parts.

    Args:
        points: Fixed or slow points.
        i: Index of the point.
        B: Derivative with respect to the input, shape (state, inputs), as `input_jacobian` returns it.
        inputs: Inputs x - x*, shape (tokens, inputs).

    Returns:
        Lengths, shape (tokens,).

    Example:
        >>> point = Points(np.zeros((1, 2)), np.zeros(1), np.array([np.diag([1.0, 0.5])]))
        >>> input_projections(point, 0, np.eye(2), np.array([[2.0, 7.0]]))
        array([2.])
    """
    modes, a = points.modes(i), int(points.slowest[i])
    right, left = modes.right[:, a], modes.left[:, a]
    phase = right[np.argmax(np.abs(right))]
    turn = phase / np.abs(phase)
    return (inputs @ B.T @ (left * turn.conj()).conj()).real
