"""D_stsp and D_H against closed forms and against the same formula written out."""

import math
from dataclasses import replace

import numpy as np
import pytest
from made_up_evidence import columns_of, lorenz_itself

from lyapsweep.measures import MEASURES, Evidence
from lyapsweep.measures.state_space import LAPLACE, binned, mixture


@pytest.fixture(scope="module")
def plain() -> Evidence:
    return lorenz_itself()


# ---- state_space


def dense(truth: np.ndarray, generated: np.ndarray, bins: int) -> float:
    """The same formula over every cell."""
    margin = 0.1 * truth.std(axis=0, ddof=1)
    edges = [np.linspace(a, b, bins + 1) for a, b in zip(truth.min(0) - margin, truth.max(0) + margin)]
    n, m = (np.histogramdd(points, edges)[0].ravel() for points in (truth, generated))
    p = (n + LAPLACE) / (len(truth) + LAPLACE * n.size)
    q = (m + LAPLACE) / (len(generated) + LAPLACE * m.size)
    return float((p * np.log(p / q)).sum())


@pytest.mark.parametrize(("features", "bins"), [(1, 30), (2, 30), (3, 30), (3, 7), (5, 4)])
def test_sparse_histogram_is_the_dense_one(features, bins):
    chance = np.random.default_rng(1)
    truth, generated = chance.standard_normal((4000, features)), 1.5 * chance.standard_normal((3000, features)) + 0.2
    assert binned(truth, generated, bins) == pytest.approx(dense(truth, generated, bins), rel=1e-12)
    few = truth[:6]  # so few that the range depends on which standard deviation is meant
    assert binned(few, generated, bins) == pytest.approx(dense(few, generated, bins), rel=1e-12)


def test_state_space_of_a_fixed_point_in_closed_form():
    """A truth that is half the time at 0 and half at 1, a network that stays at 0."""
    truth, generated = np.repeat([[0.0], [1.0]], 500, axis=0), np.zeros((1000, 1))
    total = 1000 + 30 * LAPLACE
    half = (500 + LAPLACE) / total
    expected = half * math.log((500 + LAPLACE) / (1000 + LAPLACE)) + half * math.log((500 + LAPLACE) / LAPLACE)
    assert binned(truth, generated) == pytest.approx(expected, rel=1e-12)


def test_no_orbit_exceeds_the_one_that_is_never_there(plain):
    """The worst value is the formula's own: 10^4 points, none in range."""
    truth = plain.truth
    worst = binned(truth, np.full_like(truth, np.nan))
    counts = np.histogramdd(
        truth, 30, [(x.min() - 0.1 * x.std(ddof=1), x.max() + 0.1 * x.std(ddof=1)) for x in truth.T]
    )
    p = (counts[0].ravel() + LAPLACE) / (len(truth) + LAPLACE * 30**3)
    assert worst == pytest.approx(float(p @ np.log(p * (len(truth) + LAPLACE * 30**3) / LAPLACE)), rel=1e-9)
    assert binned(truth, truth + 1e6) == worst
    assert binned(truth, np.broadcast_to(truth[:1], truth.shape)) < worst


def test_leaving_early_is_no_better_than_standing_still(plain):
    truth = plain.truth
    gone = np.vstack([truth[:100], np.full((len(truth) - 100, 3), 1e4)])
    still = np.vstack([truth[:100], np.broadcast_to(truth[100], (len(truth) - 100, 3))])
    assert binned(truth, gone) >= binned(truth, still)


def test_mixture_of_single_points_in_closed_form():
    """KL of two unit Gaussians is half their squared distance, however far apart: nothing underflows."""
    for distance in (1.0, 3.0, 200.0):
        truth, generated = np.zeros((50, 6)), np.zeros((50, 6))
        generated[:, 0] = distance
        error = 4 * distance / math.sqrt(1000)  # four standard errors of 1000 draws
        assert mixture(truth, generated) == pytest.approx(distance**2 / 2, abs=error)


def test_inside_counts_what_is_in_range(plain):
    assert columns_of("state_space", plain)["state_space/inside"] == 1.0
    half = plain.generated.copy()
    half[::2] += 100
    assert columns_of("state_space", replace(plain, generated=half))["state_space/inside"] == 0.5


# ---- power_spectrum


def sines(evidence: Evidence, truth: list[int], generated: list[int], length: int = 4000) -> Evidence:
    wave = lambda cycles: np.sin(2 * np.pi * np.outer(np.arange(length), cycles) / length)  # noqa: E731
    return replace(evidence, truth=wave(truth), generated=wave(generated))


def test_power_spectrum_of_lines_in_closed_form(plain):
    """Lines d bins apart, smoothed with sigma = 20, are Gaussians: D_H = sqrt(1 - exp(-d^2 / (8 sigma^2))).

    The filter ends at 4 sigma = 80 bins, so the overlap is the part of a Gaussian within 80.5 - d / 2 of its middle.
    """
    score = MEASURES["power_spectrum"]
    assert score(sines(plain, [500], [500])) == pytest.approx(0.0, abs=1e-9)
    for apart in (10, 40, 70):
        overlap = math.exp(-(apart**2) / 3200) * math.erf((80.5 - apart / 2) / (20 * math.sqrt(2)))
        expected = math.sqrt(1 - overlap)
        assert score(sines(plain, [500], [500 + apart])) == pytest.approx(expected, abs=2e-4)
    assert score(sines(plain, [500], [900])) == pytest.approx(1.0, abs=1e-6)
    assert score(sines(plain, [500, 300], [500, 900])) == pytest.approx(0.5, abs=1e-6)


def test_power_spectrum_cuts_to_the_shorter_and_knows_the_dead(plain):
    score = MEASURES["power_spectrum"]
    assert score(replace(plain, generated=plain.truth[:2000])) == pytest.approx(0.0, abs=1e-9)
    assert score(replace(plain, generated=np.full_like(plain.truth, 0.3))) == 1.0
    still = plain.truth.copy()
    still[:, 0] = 0.0
    assert score(replace(plain, generated=still)) == pytest.approx(1 / 3)
    still[:, 0] = 1e-9 * plain.truth[:, 0]  # the chatter of rounding has the right spectrum, and is dead
    assert score(replace(plain, generated=still)) == pytest.approx(1 / 3)
    still[:, 0] = 0.0
    assert 0 < score(replace(plain, truth=still, generated=plain.reference)) < 0.5
    assert math.isnan(score(replace(plain, truth=np.zeros_like(plain.truth))))
