"""D_stsp: distance of the generated orbit's distribution in state space from the truth's."""

import math

import numpy as np

from lyapsweep.measures.evidence import Evidence
from lyapsweep.measures.measure import Measure

BINS = 30  # per dimension
MARGIN = 0.1  # of a standard deviation, on either side of the truth's range
LAPLACE = 1e-5  # counts added to every cell
LARGEST_BINNED = 5  # dimensions; beyond, mixtures
VARIANCE = 1.0  # of a mixture component, in squared standard deviations of the data
POINTS, SAMPLES, SEED = 10_000, 1_000, 0  # components of a mixture, draws from the truth's, their seed


def state_space(evidence: Evidence, bins: int = BINS, variance: float = VARIANCE) -> float:
    """D_stsp = KL(p_true || p_generated) of the distributions of states over time, in nats.

    After Hess et al. 2023: `binned` up to five features, `mixture` beyond. The published conventions
    (`state_space_hess2023`, `state_space_mikhaeil2022`) give other numbers. Worst, for a run that diverged: of
    `binned`, the score of an orbit that is never in range, which no orbit of that length exceeds; of `mixture`, 1000
    nats, which also bounds finite scores.

    Args:
        evidence: Uses `truth` and `generated`.
        bins: Bins per feature, 30 by default.
        variance: Variance of a mixture component, 1.0 by default.

    Returns:
        The divergence, in nats.

    Example:
        >>> x = np.random.default_rng(0).normal(size=(80, 1))
        >>> state_space(Evidence(truth=x, generated=x))
        0.0
    """
    truth, generated = evidence.truth.astype(float), evidence.generated.astype(float)
    if truth.shape[1] <= LARGEST_BINNED:
        return binned(truth, generated, bins)
    return mixture(truth, generated, variance)


def binned(truth: np.ndarray, generated: np.ndarray, bins: int = BINS) -> float:
    """KL of histograms: p_k = (n_k + a) / (T + a K) with a = 1e-5 in each of K = bins^features cells.

    truth (time, features) sets the range [min - 0.1 s, max + 0.1 s] of each feature; generated is (time', features). T
    counts every generated point: GTF's histogram drops those out of range, so that an orbit that leaves after a few
    points would score better than a fixed point. For points in range both agree.
    """
    low, high = bounds(truth)
    true, ours = occupied(truth, low, high, bins), occupied(generated, low, high, bins)
    return divergence(true, ours, bins ** truth.shape[1], len(truth), len(generated))


def divergence(true: np.ndarray, ours: np.ndarray, cells: int, points: int, points_generated: int) -> float:
    """KL of the smoothed histograms of two lists of occupied cells, out of so many `points` each.

    Cells that are empty in both are equal and summed as one term, so 30^5 cells cost nothing.
    """
    visited, where = np.unique(np.concatenate([true, ours]), return_inverse=True)
    here, there = (np.bincount(w, minlength=len(visited)) for w in np.split(where, [len(true)]))
    total, total_generated = points + LAPLACE * cells, points_generated + LAPLACE * cells
    p, q = (here + LAPLACE) / total, (there + LAPLACE) / total_generated
    empty = (cells - len(visited)) * LAPLACE / total * math.log(total_generated / total)
    return float(p @ np.log(p / q)) + empty


def bounds(truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest value in range, (features,) each; a constant feature gets one standard unit."""
    low, high = truth.min(axis=0), truth.max(axis=0)
    margin = np.where(high > low, MARGIN * truth.std(axis=0, ddof=1), 0.5)
    return low - margin, high + margin


def occupied(points: np.ndarray, low: np.ndarray, high: np.ndarray, bins: int, first: int = 0) -> np.ndarray:
    """The cell of every point in range, as one integer; empty if a point is not finite.

    Bins below the `first` of a feature count as out of range.
    """
    if not np.isfinite(points).all():
        return np.empty(0, dtype=np.int64)
    place = (points - low) / (high - low) * bins
    inside = ((place >= first) & (place < bins)).all(axis=1)
    return place[inside].astype(np.int64) @ bins ** np.arange(points.shape[1])


def mixture(truth: np.ndarray, generated: np.ndarray, variance: float = VARIANCE) -> float:
    """KL of Gaussian mixtures, one component of this variance at each of the first 10000 points.

    Mean of log p_true(x) - log p_generated(x) over 1000 seeded draws x from p_true, (time, features) each; at least 0,
    as KL is. Log densities are used throughout: GTF drops draws whose density underflows, and with them the orbits that
    are farthest away.
    """
    if not np.isfinite(generated).all():
        return math.inf
    truth, generated = truth[:POINTS], generated[:POINTS]
    draws = drawn(truth, variance)
    return max(0.0, float(np.mean(log_density(draws, truth, variance) - log_density(draws, generated, variance))))


def drawn(centres: np.ndarray, variance: float) -> np.ndarray:
    """1000 seeded draws from the mixture of Gaussians at these centres, (draws, features)."""
    chance = np.random.default_rng(SEED)
    draws = centres[chance.integers(len(centres), size=SAMPLES)]
    return draws + math.sqrt(variance) * chance.standard_normal(draws.shape)


def log_density(draws: np.ndarray, centres: np.ndarray, variance: float = VARIANCE) -> np.ndarray:
    """log mean_c exp(-||x - c||^2 / (2 variance)), (draws,): the mixture up to a constant, in blocks."""
    if (centres == centres[0]).all():
        centres = centres[:1]  # an orbit at rest
    blocks = np.array_split(draws, max(1, len(draws) * len(centres) // 500_000))
    return np.concatenate([log_mean_kernel(block, centres, variance) for block in blocks])


def log_mean_kernel(draws: np.ndarray, centres: np.ndarray, variance: float) -> np.ndarray:
    logs = (draws @ centres.T - (centres**2).sum(axis=1) / 2 - (draws**2).sum(axis=1)[:, None] / 2) / variance
    largest = logs.max(axis=1)
    logs -= largest[:, None]
    return largest + np.log(np.exp(logs, out=logs).mean(axis=1))


def further(evidence: Evidence) -> dict[str, float]:
    """Fraction of the generated points within the truth's range (with its margin) in every feature."""
    low, high = bounds(evidence.truth.astype(float))
    return {"inside": float(((evidence.generated >= low) & (evidence.generated < high)).all(axis=1).mean())}


STATE_SPACE = Measure("state_space", state_space, "minimise", 1000.0, "nats", "D_stsp", further=further)
