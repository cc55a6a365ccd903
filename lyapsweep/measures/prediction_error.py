"""PE(n): the error of a free forecast of n steps."""

import math

import numpy as np

from lyapsweep.measures.evidence import Evidence
from lyapsweep.measures.measure import Measure, Undefined

STEPS = 20


def prediction_error(evidence: Evidence, steps: int = STEPS) -> float:
    """PE(n) = mean over starts and features of (x_hat(t + n) - x(t + n))^2. Worst: 1e6.

    In squared standard deviations of the data; convention of Hess et al. 2023: n = 20, the error at step n alone. A
    chaotic forecast far beyond the predictability time scores 2, the mean of the data 1, so a low score far ahead may
    come from a network that does not move.

    Args:
        evidence: Uses `forecasts` and `targets`.
        steps: n, 20 by default.

    Returns:
        The error.

    Raises:
        Undefined: If forecasts are shorter than n.

    Example:
        >>> prediction_error(Evidence(forecasts=np.ones((4, 2, 1)), targets=np.zeros((4, 2, 1))), steps=2)
        1.0
    """
    if evidence.forecasts.shape[0] == 0 or evidence.forecasts.shape[1] < steps:
        raise Undefined(f"forecasts of {evidence.forecasts.shape[1]} steps are shorter than {steps}")
    ahead = evidence.forecasts[:, steps - 1].astype(float) - evidence.targets[:, steps - 1]
    return float(np.mean(ahead**2))


def persistence(series: np.ndarray, steps: int = STEPS) -> float:
    """PE(n) of the constant forecast, from every start in the series (time, features)."""
    if len(series) <= steps:
        return math.nan
    return float(np.mean((series[steps:].astype(float) - series[:-steps]) ** 2))


def further(evidence: Evidence) -> dict[str, float]:
    """The score of persistence on the truth: a network above it has learnt nothing about n steps."""
    return {"persistence": persistence(evidence.truth)}


PREDICTION_ERROR = Measure(
    "prediction_error", prediction_error, "minimise", 1e6, "std²", f"PE({STEPS})", further=further
)
