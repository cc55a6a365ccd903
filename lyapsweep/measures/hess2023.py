"""The measures as Hess et al. 2023 (GTF) computed them, with their faults, for comparison with published values only.

Their orbit is one free run from the first held-out observation, a quarter longer than the held-out part; its first
fifth is dropped.
"""

import math

import numpy as np

from lyapsweep.measures.evidence import Evidence
from lyapsweep.measures.measure import Measure
from lyapsweep.measures.mikhaeil2022 import error_everywhere, mixture_divergence, single_orbit
from lyapsweep.measures.power_spectrum import SIGMA, spectral_distance
from lyapsweep.measures.state_space import (
    BINS,
    LARGEST_BINNED,
    POINTS,
    VARIANCE,
    bounds,
    divergence,
    occupied,
)


def state_space_hess2023(evidence: Evidence, bins: int = BINS, variance: float = VARIANCE) -> float:
    """D_stsp = KL(p_true || p_generated) in the convention of Hess et al. 2023, in nats. Worst: 1000.

    Up to five features: histograms over [min - .1 s, max + .1 s] of the truth that drop the points out of range. More:
    Gaussian mixtures over 10000 points, with 1000 draws from the truth's; draws whose density underflows are dropped.
    Both hide diverging orbits; `state_space` is the same without these faults.

    Args:
        evidence: Uses `truth` and `orbit`.
        bins: Bins per feature, 30 by default.
        variance: Variance of a mixture component, 1.0 by default.

    Returns:
        The divergence, in nats.

    Raises:
        Undefined: If there is no single orbit.

    Example:
        >>> x = np.random.default_rng(0).normal(size=(80, 1))
        >>> state_space_hess2023(Evidence(truth=x, orbit=np.concatenate([x[:20], x])))
        0.0
    """
    truth = evidence.truth.astype(float)
    generated = orbit_end(evidence)
    if not np.isfinite(generated).all():
        return math.inf
    return (
        binned_in_range(truth, generated, bins)
        if truth.shape[1] <= LARGEST_BINNED
        else mixture_divergence(truth[:POINTS], generated[:POINTS], variance)
    )


def binned_in_range(truth: np.ndarray, generated: np.ndarray, bins: int) -> float:
    """KL of histograms, p_k = (n_k + 1e-5) / (n + 1e-5 K), n the points in range."""
    low, high = bounds(truth)
    true, ours = occupied(truth, low, high, bins), occupied(generated, low, high, bins)
    return divergence(true, ours, bins ** truth.shape[1], len(true), len(ours))


def power_spectrum_hess2023(evidence: Evidence, smoothing: float = SIGMA) -> float:
    """D_H, the mean Hellinger distance of power spectra, in the convention of Hess et al. 2023. Worst: 1.

    As `power_spectrum`, of one orbit instead of several.

    Args:
        evidence: Uses `truth` and `orbit`.
        smoothing: Width of the Gaussian, in frequency bins; 20.0 by default.

    Returns:
        The distance, between 0 and 1.

    Raises:
        Undefined: If the truth is constant or there is no single orbit.

    Example:
        >>> x = np.random.default_rng(0).normal(size=(80, 1))
        >>> power_spectrum_hess2023(Evidence(truth=x, orbit=x))
        0.0
    """
    return spectral_distance(evidence.truth, orbit_end(evidence), smoothing, 1)


def prediction_error_hess2023(evidence: Evidence, steps: int = 20) -> float:
    """PE(n), the error of a free forecast at step n, mean over every start, as in Hess et al. 2023. Worst: 1e6.

    As `prediction_error`, which uses about a hundred starts.

    Args:
        evidence: Uses `errors`.
        steps: n, 20 by default.

    Returns:
        The error, in squared standard deviations.

    Raises:
        Undefined: If forecasts are shorter than n.

    Example:
        >>> prediction_error_hess2023(Evidence(errors=np.array([0.1, 0.3])), steps=2)
        0.3
    """
    return error_everywhere(evidence, steps)


def orbit_end(evidence: Evidence) -> np.ndarray:
    """The end of the single orbit, as long as the truth."""
    return single_orbit(evidence)[-len(evidence.truth) :]


STATE_SPACE_HESS2023 = Measure(
    "state_space_hess2023", state_space_hess2023, "minimise", 1000.0, "nats", "D_stsp (Hess 2023)", needs=("orbit",)
)
POWER_SPECTRUM_HESS2023 = Measure(
    "power_spectrum_hess2023", power_spectrum_hess2023, "minimise", 1.0, "1", "D_H (Hess 2023)", needs=("orbit",)
)
PREDICTION_ERROR_HESS2023 = Measure(
    "prediction_error_hess2023",
    prediction_error_hess2023,
    "minimise",
    1e6,
    "std²",
    "PE(20), every start",
    needs=("errors",),
)
