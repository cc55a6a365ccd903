"""D_H: distance of the generated series' power spectrum from the truth's."""

import numpy as np
from scipy.ndimage import gaussian_filter1d

from lyapsweep.measures.evidence import Evidence
from lyapsweep.measures.measure import Measure, Undefined

SIGMA = 20.0  # frequency bins of the whole series
CONSTANT = 1e-6  # of the truth's standard deviation: below it, single precision sees a constant


def power_spectrum(evidence: Evidence, smoothing: float = SIGMA) -> float:
    """D_H = mean_i sqrt(1 - sum_k sqrt(P_ik Q_ik)), the Hellinger distance of power spectra. Worst: 1.

    After Hess et al. 2023: the whole series is z-scored, |rfft|^2 is smoothed over frequency by a Gaussian and
    normalised to sum 1, feature by feature. If the generated series consists of several runs, both series are cut into
    as many pieces, whose powers are averaged (Bartlett 1948) and smoothed over the same band of frequencies. Both are
    cut to the shorter one; the band depends on their length, so scores of different lengths are not comparable.
    Features that are constant in the truth are left out; one that is constant in the generated series alone scores 1.

    Args:
        evidence: Uses `truth`, `generated` and `orbits`.
        smoothing: Width of the Gaussian, in frequency bins of the whole series; 20.0 by default.

    Returns:
        The distance, between 0 and 1.

    Raises:
        Undefined: If all features of the truth are constant.

    Example:
        >>> x = np.random.default_rng(0).normal(size=(80, 1))
        >>> power_spectrum(Evidence(truth=x, generated=x))
        0.0
    """
    return spectral_distance(evidence.truth, evidence.generated, smoothing, evidence.orbits)


def spectral_distance(truth: np.ndarray, generated: np.ndarray, smoothing: float, pieces: int) -> float:
    """D_H of two series (time, features) as above, of `pieces` runs each. Raises `Undefined`."""
    length = min(len(truth), len(generated))
    truth, generated = truth[:length].astype(float), generated[:length].astype(float)
    varies = truth.std(axis=0) > 0
    if not varies.any():
        raise Undefined("the truth is constant")
    truth, generated = truth[:, varies], generated[:, varies]
    distances = hellinger(spectra(truth, pieces, smoothing), spectra(generated, pieces, smoothing))
    dead = generated.std(axis=0) <= CONSTANT * truth.std(axis=0)
    return float(np.where(dead, 1.0, distances).mean())


def spectra(series: np.ndarray, pieces: int = 1, smoothing: float = SIGMA) -> np.ndarray:
    """Smoothed power spectra that sum to 1, mean over pieces: (time, features) -> (features, frequencies)."""
    scored = (series - series.mean(axis=0)) / series.std(axis=0)
    cut = scored[: len(scored) // pieces * pieces].reshape(pieces, -1, scored.shape[1])
    raw = (np.abs(np.fft.rfft(cut, axis=1)) ** 2).mean(axis=0).T
    power = gaussian_filter1d(raw, smoothing / pieces, mode="reflect", truncate=4.0)
    return power / power.sum(axis=1, keepdims=True)


def hellinger(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """||sqrt p - sqrt q|| / sqrt 2 along the last axis: 0 if they are equal, 1 if they do not overlap."""
    return np.sqrt(np.square(np.sqrt(p) - np.sqrt(q)).sum(axis=-1) / 2)


POWER_SPECTRUM = Measure("power_spectrum", power_spectrum, "minimise", worst=1.0, unit="1", title="D_H")
