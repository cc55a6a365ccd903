"""How long free runs of the network stay near the data."""

import numpy as np

from lyapsweep.measures.evidence import Evidence
from lyapsweep.measures.measure import Measure

RANGES = 10.0  # how many ranges of the truth away from its middle still counts as staying


def divergence(evidence: Evidence) -> float:
    """Fraction of a free run before it leaves ten ranges of the truth or diverges, mean over the runs. Worst: 0.

    min{t : |x_i(t) - c_i| > 10 (max_i - min_i) for some feature i, or not finite} / T, and 1 if there is no such t; c_i
    is the middle of the truth's range. 1 is best: no run ever diverged.

    Args:
        evidence: Uses `truth`, `generated` and `orbits`.

    Returns:
        The fraction, between 0 and 1.

    Example:
        >>> x = np.array([[0.0], [1.0]])
        >>> divergence(Evidence(truth=x, generated=np.array([[0.5], [np.inf]])))
        0.5
    """
    low, high = evidence.truth.min(axis=0), evidence.truth.max(axis=0)
    width = np.where(high > low, high - low, 1.0)  # a constant feature: one standard unit
    stays = (np.abs(evidence.generated - (low + high) / 2) <= RANGES * width).all(axis=1)  # NaN does not stay
    length = len(stays) // evidence.orbits
    runs = stays[: length * evidence.orbits].reshape(evidence.orbits, length)
    return float(np.where(runs.all(axis=1), 1.0, runs.argmin(axis=1) / runs.shape[1]).mean())


DIVERGENCE = Measure("divergence", divergence, "maximise", worst=0.0, unit="run", title="Free run before divergence")
