"""Comparison of gradient growth through time with the network's own largest Lyapunov exponent."""

import math

import numpy as np

from lyapsweep.measures.evidence import Evidence
from lyapsweep.measures.measure import Measure, Undefined


def slope(evidence: Evidence) -> float:
    """Least-squares slope of the mean log ||dz_{t+lag}/dz_t|| against lag, nats per step; -inf if it is cut.

    Raises `Undefined` below two lags.
    """
    if evidence.lags.size < 2:
        raise Undefined("a slope needs two lags")
    lags, growth = evidence.lags.astype(float), evidence.growth.astype(float)
    if np.isneginf(growth).any() and not np.isnan(growth).any():
        return -math.inf  # the Jacobian product became exactly zero: no gradient comes through
    lags = lags - lags.mean()
    return float(lags @ (growth - growth.mean()) / (lags @ lags))


def gradients(evidence: Evidence) -> float:
    """Distance between the growth rate of gradients and the network's largest exponent. Worst: 100.

    | d/dlag mean_t log ||dz_{t+lag}/dz_t|| - lambda_1 |, nats per step. Backpropagated gradients are products of the
    Jacobians of the orbit, whose norm grows like exp(lambda_1 lag), so this is zero up to finite lags. Undefined (NaN)
    below two lags, or if both rates are -inf.

    Args:
        evidence: Uses `lags`, `growth` and `exponent`.

    Returns:
        The distance, nats per step.

    Raises:
        Undefined: If there are fewer than two lags, or both rates are -inf.

    Source: Mikhaeil et al. 2022, theorem 2.

    Example:
        >>> lags = np.array([1, 2, 3])
        >>> round(gradients(Evidence(lags=lags, growth=0.1 * lags, exponent=0.1)), 9)
        0.0
    """
    rate = slope(evidence)
    if rate == evidence.exponent == -math.inf:
        raise Undefined("both rates are -inf")
    return abs(rate - evidence.exponent)


def further(evidence: Evidence) -> dict[str, float]:
    """The slope, and the median and largest norm of the loss gradient so far (NaN before the first update)."""
    try:
        rate = slope(evidence)
    except Undefined:
        rate = math.nan
    norms = np.where(np.isnan(evidence.gradient_norms), math.inf, evidence.gradient_norms)
    return {
        "slope": rate,
        "norm_median": float(np.median(norms)) if norms.size else math.nan,
        "norm_maximum": float(norms.max()) if norms.size else math.nan,
    }


GRADIENTS = Measure(
    "gradients",
    gradients,
    "minimise",
    worst=100.0,
    unit="nats/step",
    title="|gradient growth - largest exponent|",
    further=further,
    has_floor=False,
    data=("series", "task"),
)
