"""Whether a network has the dynamics of its data: largest exponent, the zero exponent of a flow, fixed points."""

import math

import numpy as np

from lyapsweep.measures.evidence import Evidence
from lyapsweep.measures.exponents import lambda_max
from lyapsweep.measures.measure import Measure, Undefined


def lambda_max_relative_error(evidence: Evidence) -> float:
    """Relative error of the network's largest Lyapunov exponent, |lambda_1 - lambda_max| / lambda_max. Worst: 1000.

    0 is best, and 1 is that of a network on a limit cycle.

    Args:
        evidence: Uses `exponents` and `lambda_max`.

    Returns:
        The error, relative to the exponent of the data.

    Raises:
        Undefined: If no exponents were measured, or lambda_max is unknown or not positive.

    Example:
        >>> round(lambda_max_relative_error(Evidence(exponents=np.array([0.8, -2.0]), lambda_max=1.0)), 9)
        0.2
    """
    return abs(lambda_max(evidence) - data_exponent(evidence)) / data_exponent(evidence)


def zero_exponent(evidence: Evidence) -> float:
    """How far the exponent nearest to zero is from it, beyond its 95 % interval. Worst: 1000.

    min_i max(|lambda_i| - h_i, 0) / lambda_max, with h_i the half-width of the interval of lambda_i. A flow that is not
    at rest has an exponent of zero, its second one if it is chaotic, and so has a network that reconstructs it; 0 is
    best.

    Args:
        evidence: Uses `exponents`, `half_widths`, `lambda_max` and `dt`.

    Returns:
        The distance, relative to the largest exponent of the data.

    Raises:
        Undefined: If no exponents were measured, the data have no time unit, or lambda_max is unknown or not positive.

    Example:
        >>> exponents, half_widths = np.array([1.0, -0.06, -9.0]), np.array([0.01, 0.02, 0.01])
        >>> round(zero_exponent(Evidence(exponents=exponents, half_widths=half_widths, lambda_max=1.0, dt=0.1)), 9)
        0.04
    """
    lambda_max(evidence)  # undefined without exponents
    if evidence.dt is None:
        raise Undefined("a map has no exponent of zero")
    beyond = np.abs(evidence.exponents.astype(float)) - evidence.half_widths
    return max(float(np.min(beyond)), 0.0) / data_exponent(evidence)


def stable_fixed_points(evidence: Evidence) -> float:
    """Number of stable fixed points of the network, which end runs that come near them. Worst: 1000.

    They are searched for among the states that free runs visit, displaced by half their spread; a network that
    reconstructs a chaotic system has none. About 0.1 s per network of 30 units, at each record.

    Args:
        evidence: Uses `stable_points`.

    Returns:
        The number.

    Raises:
        Undefined: If no search was made, as under inputs.

    Example:
        >>> stable_fixed_points(Evidence(stable_points=2))
        2.0
    """
    if evidence.stable_points is None:
        raise Undefined("no search for fixed points")
    return float(evidence.stable_points)


def data_exponent(evidence: Evidence) -> float:
    """The largest exponent of the data. Raises `Undefined` where it is unknown or not positive."""
    if evidence.lambda_max is None or not 0 < evidence.lambda_max < math.inf:
        raise Undefined("lambda_max of the data is unknown or not positive")
    return evidence.lambda_max


LAMBDA_MAX_RELATIVE_ERROR = Measure(
    "lambda_max_relative_error",
    lambda_max_relative_error,
    "minimise",
    1000.0,
    "1",
    "Relative error of λ_max",
    has_floor=False,
)
ZERO_EXPONENT = Measure(
    "zero_exponent",
    zero_exponent,
    "minimise",
    1000.0,
    "1",
    "Zero exponent off by",
    has_floor=False,
)
STABLE_FIXED_POINTS = Measure(
    "stable_fixed_points",
    stable_fixed_points,
    "minimise",
    1000.0,
    "points",
    "Stable fixed points",
    has_floor=False,
    needs=("stable_points",),
)
