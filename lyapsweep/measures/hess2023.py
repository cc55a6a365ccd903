"""The measures as Hess et al. 2023 (GTF) computed them, faults included: for comparison with published values alone.

Their orbit is one free run from the first held-out observation, a quarter longer than the held-out part; its first
fifth is thrown away.
"""

import math

import numpy as np

from lyapsweep.measures.evidence import Evidence
from lyapsweep.measures.measure import Measure
from lyapsweep.measures.mikhaeil2022 import UNDERFLOW, error_everywhere, single
from lyapsweep.measures.power_spectrum import SIGMA, spectral_distance
from lyapsweep.measures.state_space import (
    BINS,
    LARGEST_BINNED,
    POINTS,
    VARIANCE,
    bounds,
    divergence,
    drawn,
    log_density,
    occupied,
)


def state_space_hess2023(evidence: Evidence, bins: int = BINS, variance: float = VARIANCE) -> float:
    """D_stsp = KL(p_true || p_generated) in the convention of Hess et al. 2023, in nats.

    Up to five features, histograms of `bins` a feature over [min - .1 s, max + .1 s] of the truth that forget the
    points out of range; beyond, Gaussian mixtures of this `variance` over 10000 points, of whose 1000 draws from the
    truth's those are dropped whose density underflows. Both hide orbits that run away: `state_space` is the same
    without these faults. Worst: 1000, for a run that left the finite numbers.
    """
    truth = evidence.truth.astype(float)
    generated = settled(evidence)
    if not np.isfinite(generated).all():
        return math.inf
    return (
        forgetful(truth, generated, bins)
        if truth.shape[1] <= LARGEST_BINNED
        else dropping(truth[:POINTS], generated[:POINTS], variance)
    )


def forgetful(truth: np.ndarray, generated: np.ndarray, bins: int) -> float:
    """KL of histograms, p_k = (n_k + 1e-5) / (n + 1e-5 K), n the points in range."""
    low, high = bounds(truth)
    true, ours = occupied(truth, low, high, bins), occupied(generated, low, high, bins)
    return divergence(true, ours, bins ** truth.shape[1], len(true), len(ours))


def dropping(truth: np.ndarray, generated: np.ndarray, variance: float) -> float:
    """KL of mixtures without the draws whose density underflows in double precision; infinite where that is all."""
    draws = drawn(truth, variance)
    true, ours = (log_density(draws, centres, variance) for centres in (truth, generated))
    kept = (ours > UNDERFLOW) & (true > UNDERFLOW)
    return float(np.mean(true[kept] - ours[kept])) if kept.any() else math.inf


def power_spectrum_hess2023(evidence: Evidence, smoothing: float = SIGMA) -> float:
    """D_H, the mean Hellinger distance of power spectra, in the convention of Hess et al. 2023, between 0 and 1.

    As `power_spectrum`, of one orbit instead of five. Worst: 1. Undefined where the truth is constant.
    """
    return spectral_distance(evidence.truth, settled(evidence), smoothing, 1)


def prediction_error_hess2023(evidence: Evidence, steps: int = 20) -> float:
    """PE(n), n = 20: the error of a free forecast at step n, mean over every start, as in Hess et al. 2023.

    As `prediction_error`, whose starts are a hundred of them. Worst: 1e6. Undefined (NaN) where forecasts are shorter.
    """
    return error_everywhere(evidence, steps)


def settled(evidence: Evidence) -> np.ndarray:
    """The end of the single orbit, as long as the truth."""
    return single(evidence)[-len(evidence.truth) :]


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
