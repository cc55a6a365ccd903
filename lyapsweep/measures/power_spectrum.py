"""D_H: how far the generated series' power spectrum is from the truth's."""

import numpy as np
from scipy.ndimage import gaussian_filter1d

from lyapsweep.measures.evidence import Evidence
from lyapsweep.measures.measure import Measure, Undefined

SIGMA = 20.0  # frequency bins of the whole series
CONSTANT = 1e-6  # of the truth's standard deviation: below it, single precision sees a constant


def power_spectrum(evidence: Evidence, smoothing: float = SIGMA) -> float:
    """D_H = mean_i sqrt(1 - sum_k sqrt(P_ik Q_ik)), the Hellinger distance of power spectra, between 0 and 1.

    After Hess et al. 2023: of the whole series, z-scored, |rfft|^2 smoothed over frequency by a Gaussian of
    `smoothing` bins (20) and normalised to sum 1, feature by feature. Where the generated series is several runs, both
    series are cut into as many pieces, whose powers are averaged (Bartlett 1948) and smoothed over the same band of
    frequencies. Both are cut to the shorter one; that band depends on their length, so scores of different lengths are
    not comparable. Features that are constant in the truth are left out (undefined where all are); one that is constant
    in the generated series alone scores 1. Worst: 1.
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
    """||sqrt p - sqrt q|| / sqrt 2 along the last axis: 0 where they are equal, 1 where they do not overlap."""
    return np.sqrt(np.square(np.sqrt(p) - np.sqrt(q)).sum(axis=-1) / 2)


POWER_SPECTRUM = Measure("power_spectrum", power_spectrum, "minimise", worst=1.0, unit="1", title="D_H")
