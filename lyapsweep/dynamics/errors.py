"""Standard errors of time averages whose successive blocks may be correlated.

Blocks of a flow are anticorrelated: log |R_ii| contains differences of bounded functions of the state, which cancel
between neighbouring blocks. Blocks of a network with slow states are positively correlated. Both are covered by the
covariance of white noise plus an exponential,

    Cov(y_i, y_{i+j}) = integral over two blocks of H delta(t) + (A - H) (w / 2) exp(-w |t|),

with A the spectral density at zero, H that at high frequency, and w the rate between them. The variance of a mean is
averaged over a grid of A / H and w with their posterior weights, the scale and the common mean integrated out.
"""

from functools import cache, lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from scipy.special import chdtri, stdtr, stdtrit

if TYPE_CHECKING:
    from scipy.interpolate import CubicSpline

COUNTS = (40, 20)  # blocks per orbit, the finest first
ENOUGH_ORBITS = 20  # from which the spread between orbits alone gives the error
FEWEST_ORBITS = 4  # for which it does where the model does not fit 40 blocks
FEWEST_BLOCKS = 32  # in each orbit, for a model of the blocks
LAGS, LEVEL = 5, 0.001  # of the test of the residuals' correlations (Ljung and Box 1978)
WHITE, BOUNDED, CANCELLING, SLOW = 0.4, 0.35, 0.15, 0.1  # prior weights: independent blocks, A = 0, A < H, A >= H
RATIOS, RATES = np.geomspace(1e-3, 10, 14), np.geomspace(0.1, 10, 8)  # A / H; w in units of one over the block
TAIL = 0.975
NEWTON_STEPS, CONVERGED = 50, 1e-11  # of the logarithm of an interval's end; about six are needed
FARTHEST = 30.0  # multiples of a scale beyond which tails do not count
ROUNDING = 1e-14  # relative error of a block's mean


class Errors(NamedTuple):
    """Standard errors of means, and the degrees of freedom of Student's t for their intervals; NaN if unknown."""

    stderr: Float[np.ndarray, " series"]
    dof: Float[np.ndarray, " series"]


class Family(NamedTuple):
    """The covariances of `count` block means on the grid, in the form in which the likelihood needs them."""

    precision: Float[np.ndarray, "grid count count"]
    centred: Float[np.ndarray, "grid count count"]
    whitening: Float[np.ndarray, "grid count count"]
    log_det: Float[np.ndarray, " grid"]
    weight: Float[np.ndarray, " grid"]
    variance: Float[np.ndarray, " grid"]
    log_prior: Float[np.ndarray, " grid"]


def standard_errors(blocks: Float[np.ndarray, "series orbits blocks"]) -> Errors:
    """Return the standard error of the mean of each series over all its orbits and blocks.

    From 20 orbits on, the spread between orbits gives the error with orbits - 1 degrees of freedom. Below, a
    covariance of 40 blocks per orbit, at least 32, is estimated. Where the model's residuals are not white, the spread
    between orbits is used if there are four, else 20 blocks per orbit. NaN if neither is possible.

    Args:
        blocks: Means over successive blocks of equal length.

    Returns:
        The errors, one per series. NaN also where a series is not finite.

    Example:
        >>> noise = np.random.default_rng(0).normal(size=(1, 4, 100))
        >>> errors = standard_errors(noise)  # 1 / sqrt(400) is 0.05
        >>> errors.stderr.round(2), bool(errors.dof[0] > 30)
        (array([0.05]), True)
    """
    series, orbits, count = blocks.shape
    stderr, dof = np.full(series, np.nan), np.full(series, np.nan)
    todo = np.asarray(np.isfinite(blocks).all(axis=(1, 2)))
    if orbits < ENOUGH_ORBITS:
        for n in COUNTS[: 1 if orbits >= FEWEST_ORBITS else None]:
            if count >= FEWEST_BLOCKS and todo.any():
                found, white = modelled(merged(blocks[todo], min(n, count)))
                chosen = np.flatnonzero(todo)[white]
                stderr[chosen], dof[chosen] = found.stderr[white], found.dof[white]
                todo[chosen] = False
    if orbits >= FEWEST_ORBITS and todo.any():
        stderr[todo] = blocks[todo].mean(axis=2).std(axis=1, ddof=1) / np.sqrt(orbits)
        dof[todo] = orbits - 1
    return Errors(stderr, dof)


def merged(blocks: Float[np.ndarray, "series orbits blocks"], count: int) -> Float[np.ndarray, "series orbits count"]:
    """Means over `count` runs of neighbouring blocks, as equal in length as possible."""
    edges = np.linspace(0, blocks.shape[2], count + 1).round().astype(int)
    return np.add.reduceat(blocks, edges[:-1], axis=2) / np.diff(edges)


def modelled(blocks: Float[np.ndarray, "series orbits count"]) -> tuple[Errors, Bool[np.ndarray, " series"]]:
    """The errors by the covariance model, and whether the residuals of its best member are white."""
    _, orbits, count = blocks.shape
    family, members, freedom = covariances(count), len(covariances(count).variance), orbits * count - 1
    mean = blocks.mean(axis=1)
    within = blocks - mean[:, None]
    scatter = np.einsum("sbi,sbj->sij", within, within).reshape(len(blocks), -1)
    outer = np.einsum("si,sj->sij", mean - mean.mean(1, keepdims=True), mean).reshape(len(blocks), -1)
    misfit = scatter @ family.precision.reshape(members, -1).T + orbits * outer @ family.centred.reshape(members, -1).T
    misfit = np.maximum(misfit, freedom * (ROUNDING * np.abs(blocks).max(axis=(1, 2))[:, None]) ** 2) + 1e-300
    score = family.log_prior - 0.5 * (freedom * np.log(misfit) + orbits * family.log_det + np.log(family.weight))
    weights = np.exp(score - score.max(axis=1, keepdims=True))
    weights /= weights.sum(axis=1, keepdims=True)
    scales = np.sqrt(family.variance / orbits * misfit / freedom)
    residuals = np.einsum("sij,sbj->sbi", family.whitening[score.argmax(axis=1)], blocks - mean.mean(1)[:, None, None])
    return mixture(weights, scales, freedom), is_white(residuals)


def mixture(
    weights: Float[np.ndarray, "series grid"], scales: Float[np.ndarray, "series grid"], freedom: int
) -> Errors:
    """Geometric mean scale of a mixture of t distributions, and the degrees of freedom with the same 95 % interval.

    The interval's end x solves sum w S(x / scale) = 2.5 %, by Newton's method for log S as a function of log x.
    """
    stderr = np.exp((weights * np.log(scales)).sum(axis=1))
    log_tail = log_tails(freedom)
    y = np.log(2 * stderr)
    for _ in range(NEWTON_STEPS):
        t = np.exp(y)[:, None] / scales
        u = np.arcsinh(np.minimum(t, FARTHEST))
        outside = weights * np.exp(log_tail(u))
        total = outside.sum(axis=1)
        slope = (outside * log_tail(u, 1) * t / np.hypot(1, t)).sum(axis=1)
        move = total / slope * np.log(total / (1 - TAIL))
        y -= move
        if np.abs(move).max() < CONVERGED:
            break
    return Errors(stderr, degrees_of_freedom(np.exp(y) / stderr))


@lru_cache(maxsize=16)
def log_tails(freedom: int) -> "CubicSpline":
    """log P(T > t) of Student's t as a function of arcsinh t, to 1e-11: scipy's own takes 0.2 us a number."""
    from scipy.interpolate import CubicSpline  # half of the time of importing this module

    u = np.linspace(0, np.arcsinh(FARTHEST), 4096)
    return CubicSpline(u, np.log(stdtr(freedom, -np.sinh(u))))


def degrees_of_freedom(quantile: np.ndarray) -> np.ndarray:
    """The degrees of freedom for which Student's t has this 97.5 % quantile, 1 to 1000."""
    return np.interp(-quantile, *quantiles())


@cache
def quantiles() -> tuple[np.ndarray, np.ndarray]:
    """Minus the 97.5 % quantiles, and their degrees of freedom."""
    grid = np.geomspace(1, 1000, 400)
    return -stdtrit(grid, TAIL), grid


def is_white(residuals: Float[np.ndarray, "series orbits count"]) -> np.ndarray:
    """Whether the first autocorrelations within orbits pass the test of Ljung and Box."""
    _, orbits, count = residuals.shape
    lags = range(1, min(LAGS, count // 2) + 1)
    power = np.maximum((residuals**2).sum(axis=(1, 2)), 1e-300)
    squares = [
        ((residuals[..., j:] * residuals[..., :-j]).sum(axis=(1, 2)) / power) ** 2 / (orbits * (count - j))
        for j in lags
    ]
    return (orbits * count) ** 2 * np.sum(squares, axis=0) <= chdtri(len(lags), LEVEL)


def prior_of(w: Float[np.ndarray, " grid"], r: Float[np.ndarray, " grid"]) -> Float[np.ndarray, " grid"]:
    """Prior weights of rates w and ratios r = A / H; what cancels does so within few blocks rather than slowly."""
    kinds = (
        (BOUNDED, np.where(r < RATIOS[0], np.sqrt(w), 0.0)),
        (CANCELLING, np.where((r >= RATIOS[0]) & (r < 1), np.sqrt(w), 0.0)),
        (SLOW, np.where(r >= 1, 1.0, 0.0)),
    )
    return np.sum([share * weight / weight.sum() for share, weight in kinds], axis=0)


@lru_cache(maxsize=16)
def covariances(count: int) -> Family:
    """The grid of covariances of the means of `count` successive blocks, with prior weights."""
    lag, rates = np.arange(count), np.maximum(RATES, 1 / count)
    ratios = np.concatenate([[1e-6], RATIOS])
    w, r = (grid.reshape(-1, 1) for grid in np.meshgrid(rates, ratios, indexing="ij"))
    decay = -np.expm1(-w)
    rows = (r - 1) / (2 * w) * decay**2 * np.exp(-w * (lag - 1))
    rows[:, :1] = 1 + (r - 1) * (1 - decay / w)
    rows, prior = np.vstack([rows, lag == 0]), np.append(prior_of(w[:, 0], r[:, 0]), WHITE)
    matrices = rows[:, np.abs(lag[:, None] - lag)]
    precision = np.linalg.inv(matrices)
    sums = precision.sum(axis=2)
    weight = sums.sum(axis=1)
    centred = precision - sums[:, :, None] * sums[:, None, :] / weight[:, None, None]
    whitening = np.linalg.inv(np.linalg.cholesky(matrices))
    log_det = np.linalg.slogdet(matrices)[1]
    return Family(precision, centred, whitening, log_det, weight, matrices.mean(axis=(1, 2)), np.log(prior))
