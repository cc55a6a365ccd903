"""Noise of a recorded series: how much there is, what is taken off, and what it does to an exponent."""

import numpy as np
import pytest
from recordings import recorded

from lyapsweep import systems
from lyapsweep.timeseries import denoise, embedding
from lyapsweep.timeseries.along_series import growth
from lyapsweep.timeseries.embedding import AUTOMATIC, Choices
from lyapsweep.timeseries.noise import noise_level
from lyapsweep.timeseries.noise_bias import Reported, noise_bias
from lyapsweep.timeseries.preprocessing import cleaned, standardised
from lyapsweep.timeseries.tangents import choose_fit


def ring(length: int = 3000) -> np.ndarray:
    """One site of Lorenz-96 with five, an attractor of about four dimensions, sampled 26 times a period."""
    torch = pytest.importorskip("torch")
    system = systems.build("lorenz96", 0.05, sites=5)
    return standardised(system.trajectory(system.start(1, torch.Generator().manual_seed(1)), 1000 + length)[1000:, :1])


@pytest.mark.parametrize("noise", [0.02, 0.05])
def test_noise_of_a_flow_is_told_apart_from_its_dimension(noise):
    clean = ring()
    assert noise_level(clean, True, 30) < 1e-3
    noisy = clean + noise * np.random.default_rng(0).standard_normal(clean.shape)
    assert noise_level(noisy, True, 30) == pytest.approx(noise, rel=0.05)


def test_noise_of_a_map_is_bounded():
    clean = standardised(recorded("henon", 0, 3000)[:, :1])
    assert noise_level(clean, False, 5) < 0.005
    noisy = clean + 0.03 * np.random.default_rng(0).standard_normal(clean.shape)
    assert 0.03 < noise_level(noisy, False, 5) < 0.06


def test_data_without_noise_are_left_alone():
    clean = ring(1500)
    np.testing.assert_array_equal(cleaned(clean)[0], clean)
    np.testing.assert_array_equal(cleaned(clean + 0.1, Choices(smoothing=0))[0], clean + 0.1)


def test_planes_have_the_dimension_of_the_data():
    rng = np.random.default_rng(0)
    for clean, least in ((standardised(recorded("lorenz63", 0, 4000)), 2), (ring(4000), 5)):
        noisy = clean + 0.02 * rng.standard_normal(clean.shape)
        length = denoise.window_length(clean.shape[1], True)
        plane = denoise.plane_dimension(noisy, 0.02, 1, length)
        assert least <= plane <= least + 2
        assert np.std(denoise.project(noisy, plane, 1, length) - clean) < 0.75 * 0.02


def test_a_complete_state_is_not_embedded():
    """Lorenz-96 with all of its six sites: delayed values do not improve the prediction of the next sample."""
    torch = pytest.importorskip("torch")
    system = systems.build("lorenz96", 0.05, sites=6)
    states = system.trajectory(system.start(1, torch.Generator().manual_seed(4)), 4000)[1000:]
    found = embedding.choose(standardised(states))
    assert found.dimension == 1
    hidden = embedding.choose(standardised(recorded("lorenz63", 0, 3000)[:, :1]))
    assert hidden.dimension > 1


def test_the_bias_of_noise_is_the_change_that_more_of_it_makes():
    clean = standardised(recorded("henon", 0, 3000))
    noisy = standardised(clean + 0.05 * np.random.default_rng(1).standard_normal(clean.shape))
    biases = []
    for raw, noise in ((clean, 1e-4), (noisy, 0.05)):
        columns, _ = cleaned(raw)
        found = embedding.choose(columns)
        fit = choose_fit(found.states(columns), found.delay, found.theiler)
        along = growth(columns, found, fit, True, 0)
        biases.append(noise_bias(raw, noise, Reported(found, fit, along, None), AUTOMATIC, 0))
    assert biases[0] < 0.003
    assert biases[1] > 0.01
