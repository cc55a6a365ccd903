"""PE(n): the error of a free forecast of n steps."""

import math

import numpy as np

from lyapsweep.measures.evidence import Evidence
from lyapsweep.measures.measure import Measure, Undefined

STEPS = 20


def prediction_error(evidence: Evidence, steps: int = STEPS) -> float:
    """PE(n) = mean over starts and features of (x_hat(t + n) - x(t + n))^2, in squared standard deviations of the data.

    GTF convention (Hess et al. 2023): n = 20, the error at step n alone. A chaotic forecast far past the
    predictability time scores 2, the mean of the data scores 1: a low score far out may mean a network that does not
    move. Worst: 1e6. Undefined (NaN) where forecasts are shorter than n.
    """
    if evidence.forecasts.shape[0] == 0 or evidence.forecasts.shape[1] < steps:
        raise Undefined(f"forecasts of {evidence.forecasts.shape[1]} steps are shorter than {steps}")
    ahead = evidence.forecasts[:, steps - 1].astype(float) - evidence.targets[:, steps - 1]
    return float(np.mean(ahead**2))


def persistence(series: np.ndarray, steps: int = STEPS) -> float:
    """PE(n) of the forecast that nothing changes, from every start in the series (time, features)."""
    if len(series) <= steps:
        return math.nan
    return float(np.mean((series[steps:].astype(float) - series[:-steps]) ** 2))


def further(evidence: Evidence) -> dict[str, float]:
    """What persistence scores on the truth: a network above it has learnt nothing about n steps."""
    return {"persistence": persistence(evidence.truth)}


PREDICTION_ERROR = Measure(
    "prediction_error", prediction_error, "minimise", 1e6, "std²", f"PE({STEPS})", further=further
)
