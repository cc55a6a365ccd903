"""The measures as Mikhaeil et al. 2022 computed them, with their faults, for comparison with published values only.

Their orbit is one free run as long as the data, from the first observation on, with no steps dropped. Theirs ran along
the training file, here it runs along the held-out part.
"""

import math

import numpy as np
from scipy.ndimage import gaussian_filter1d

from lyapsweep.measures.evidence import Evidence
from lyapsweep.measures.measure import Measure, Undefined
from lyapsweep.measures.power_spectrum import CONSTANT
from lyapsweep.measures.state_space import divergence, drawn, log_density, occupied

RANGE = 2.0  # standard deviations on either side of zero
POINTS = 5000  # components of a mixture
UNDERFLOW = math.log(np.nextafter(0.0, 1.0))  # of a density in double precision


def state_space_mikhaeil2022(evidence: Evidence, bins: int = 10) -> float:
    """D_stsp by bins, KL(p_true || p_generated), in the convention of Mikhaeil et al. 2022, in nats. Worst: 1000.

    Bins cover [-2 s, 2 s], s the truth's standard deviation, around zero instead of the mean; the first bin of each
    feature is lost. p_k = (n_k + 1e-5) / (n + 1e-5 K), n the points in range. Not monotone: points out of range are
    dropped, so an orbit with three points in range scores about 8, one that rests at a point of the attractor 16 to 19.

    Args:
        evidence: Uses `truth` and `orbit`.
        bins: Bins per feature, 10 by default; the authors used 30 for the Roessler system.

    Returns:
        The divergence, in nats.

    Raises:
        Undefined: If there is no single orbit.

    Example:
        >>> x = np.random.default_rng(0).normal(size=(80, 1))
        >>> state_space_mikhaeil2022(Evidence(truth=x, orbit=x))
        0.0
    """
    truth = evidence.truth.astype(float)
    return binned_around_zero(truth, single_orbit(evidence)[: len(truth)], bins)


def binned_around_zero(truth: np.ndarray, generated: np.ndarray, bins: int) -> float:
    """The same for any two orbits (time, features); NaN if no generated point is in range."""
    reach = RANGE * truth.std(axis=0, ddof=1)
    true, ours = (occupied(points, -reach, reach, bins, first=1) for points in (truth, generated))
    if not len(ours):
        return math.nan
    return divergence(true, ours, bins ** truth.shape[1], len(true), len(ours))


def state_space_mixture_mikhaeil2022(evidence: Evidence, variance: float = 0.1) -> float:
    """D_stsp by Gaussian mixtures, KL(p_generated || p_true), as in Mikhaeil et al. 2022, in nats. Worst: 1000.

    One component at each of the first 5000 points; the mean of log p_generated - log p_true over 1000 seeded draws from
    p_generated, the other direction than `state_space`. Draws where a density underflows in double precision are
    dropped, and with them the orbits that are farthest away.

    Args:
        evidence: Uses `truth` and `orbit`.
        variance: Variance of a component, 0.1 by default.

    Returns:
        The divergence, in nats.

    Raises:
        Undefined: If there is no single orbit.

    Example:
        >>> x = np.random.default_rng(0).normal(size=(80, 1))
        >>> state_space_mixture_mikhaeil2022(Evidence(truth=x, orbit=x))
        0.0
    """
    return mixture_divergence(single_orbit(evidence)[:POINTS], evidence.truth[:POINTS].astype(float), variance)


def mixture_divergence(p: np.ndarray, q: np.ndarray, variance: float) -> float:
    """KL(p || q) of mixtures at these centres by draws from p; infinite if a centre is not finite or no draw is left.

    Draws where a density underflows in double precision are dropped.
    """
    if not (np.isfinite(p).all() and np.isfinite(q).all()):
        return math.inf
    draws = drawn(p, variance)
    here, there = (log_density(draws, centres, variance) for centres in (p, q))
    kept = (here > UNDERFLOW) & (there > UNDERFLOW)
    return float(np.mean(here[kept] - there[kept])) if kept.any() else math.inf


def power_spectrum_mikhaeil2022(
    evidence: Evidence, smoothing: float = 2.0, segments: int = 50, cutoff: int = 500
) -> float:
    """D_H = mean_i sqrt(1 - trapz sqrt(P_i Q_i)) in the convention of Mikhaeil et al. 2022. Worst: 1.

    Power spectra of z-scored segments, smoothed over frequency by a Gaussian (zeros beyond the ends), averaged, the
    first `cutoff` bins. They are not normalised afterwards, so the truth against itself does not score 0: .13 on the
    Lorenz series of the paper, .50 on its temperatures. Which smoothing and number of segments belong to which
    published value is unknown.

    Args:
        evidence: Uses `truth` and `orbit`.
        smoothing: Width of the Gaussian, in frequency bins; 2.0 by default.
        segments: Number of segments, 50 by default.
        cutoff: Number of frequency bins, 500 by default.

    Returns:
        The distance, between 0 and 1.

    Raises:
        Undefined: If segments are shorter than two steps or there is no single orbit.

    Example:
        >>> x = np.random.default_rng(0).normal(size=(80, 1))
        >>> 0 < power_spectrum_mikhaeil2022(Evidence(truth=x, orbit=x), segments=2) < 1
        True
    """
    truth, generated = evidence.truth.astype(float), single_orbit(evidence)
    length = min(len(truth), len(generated)) // segments
    if length < 2:
        raise Undefined(f"{min(len(truth), len(generated))} steps do not make {segments} segments")
    p, q = (segment_spectra(part, length, segments, smoothing)[:cutoff] for part in (truth, generated))
    overlap = np.trapezoid(np.sqrt(p * q), axis=0)
    dead = generated.std(axis=0) <= CONSTANT * truth.std(axis=0)
    return float(np.where(dead, 1.0, np.sqrt(1 - np.minimum(overlap, 1))).mean())


def segment_spectra(series: np.ndarray, length: int, segments: int, smoothing: float) -> np.ndarray:
    """Mean smoothed power spectrum of segments: (time, features) -> (frequencies, features), sum about 1."""
    cut = series[: segments * length].reshape(segments, length, -1)
    scored = (cut - cut.mean(axis=1, keepdims=True)) / cut.std(axis=1, keepdims=True)
    power = 2 / length * np.abs(np.fft.rfft(scored, axis=1, norm="ortho")) ** 2
    return gaussian_filter1d(power.mean(axis=0), smoothing, axis=0, mode="constant", truncate=5.0)


def prediction_error_mikhaeil2022(evidence: Evidence, steps: int = 25) -> float:
    """PE(n), the error of a free forecast at step n, mean over every start, as in Mikhaeil et al. 2022. Worst: 1e6.

    Mean of (x_hat(t + n) - x(t + n))^2 over all held-out t and features.

    Args:
        evidence: Uses `errors`.
        steps: n, 25 by default.

    Returns:
        The error, in squared standard deviations.

    Raises:
        Undefined: If forecasts are shorter than n.

    Example:
        >>> prediction_error_mikhaeil2022(Evidence(errors=np.array([0.1, 0.3])), steps=2)
        0.3
    """
    return error_everywhere(evidence, steps)


def error_everywhere(evidence: Evidence, steps: int) -> float:
    """The mean squared error at this step of forecasts from every held-out observation."""
    if len(evidence.errors) < steps:
        raise Undefined(f"forecasts of {len(evidence.errors)} steps are shorter than {steps}")
    return float(evidence.errors[steps - 1])


def single_orbit(evidence: Evidence) -> np.ndarray:
    """The single free run. Raises `Undefined` without one."""
    if not len(evidence.orbit):
        raise Undefined("no single orbit")
    return evidence.orbit.astype(float)


STATE_SPACE_MIKHAEIL2022 = Measure(
    "state_space_mikhaeil2022",
    state_space_mikhaeil2022,
    "minimise",
    1000.0,
    "nats",
    "D_stsp (Mikhaeil 2022)",
    needs=("orbit",),
)
MIXTURE_MIKHAEIL2022 = Measure(
    "state_space_mixture_mikhaeil2022",
    state_space_mixture_mikhaeil2022,
    "minimise",
    1000.0,
    "nats",
    "D_stsp, mixture (Mikhaeil 2022)",
    needs=("orbit",),
)
POWER_SPECTRUM_MIKHAEIL2022 = Measure(
    "power_spectrum_mikhaeil2022",
    power_spectrum_mikhaeil2022,
    "minimise",
    1.0,
    "1",
    "D_H (Mikhaeil 2022)",
    needs=("orbit",),
)
PREDICTION_ERROR_MIKHAEIL2022 = Measure(
    "prediction_error_mikhaeil2022",
    prediction_error_mikhaeil2022,
    "minimise",
    1e6,
    "std²",
    "PE(25), every start",
    needs=("errors",),
)
