"""Series from equations: parts of one trajectory or several, noise, embedding, and the data's own exponent."""

import numpy as np
import pytest
import torch

from lyapsweep import datasets
from lyapsweep.datasets import BadSeries, build
from lyapsweep.datasets.simulated import GAP, TRANSIENT
from lyapsweep.registry import UnknownName
from lyapsweep.systems import build as build_system


def simulate(**settings):
    return build("simulated", **({"system": "lorenz63", "length": 1500} | settings))


def test_both_parts_are_one_trajectory_cut_with_a_gap():
    series, flow = simulate(length=500, test=0.4), build_system("lorenz63")
    train, test = series.train * series.std + series.mean, series.test * series.std + series.mean
    assert (len(train), len(test)) == (500, 200)
    whole = flow.trajectory(flow.start(1, torch.Generator().manual_seed(0)), TRANSIENT + 500 + GAP + 200)
    np.testing.assert_allclose(train, whole[TRANSIENT : TRANSIENT + 500], atol=1e-10)
    np.testing.assert_allclose(test, whole[-200:], atol=1e-10)


def test_seeds_reproduce_and_differ():
    datasets.cached.cache_clear()
    first = simulate(noise=0.1, seed=3)
    datasets.cached.cache_clear()
    again, other = simulate(noise=0.1, seed=3), simulate(noise=0.1, seed=4)
    assert again is not first
    np.testing.assert_array_equal(first.train, again.train)
    assert not np.allclose(first.train, other.train)


def test_noise_is_of_the_asked_size_and_spares_the_test_part():
    clean, noisy = simulate(standardise=False), simulate(standardise=False, noise=0.2)
    disturbance = (noisy.train - clean.train) / clean.train.std(axis=0)
    np.testing.assert_allclose(disturbance.std(axis=0), 0.2, rtol=0.08)
    np.testing.assert_allclose(np.corrcoef(disturbance.T), np.eye(3), atol=0.1)
    np.testing.assert_array_equal(noisy.test, clean.test)


def test_unstandardised_series_are_in_the_units_of_the_system():
    series = simulate(standardise=False)
    assert series.train[:, 2].mean() == pytest.approx(23.5, abs=2)
    np.testing.assert_array_equal(series.mean, 0)
    np.testing.assert_array_equal(series.std, 1)


def test_columns_are_observed_by_name_or_position():
    whole, part = simulate(), simulate(observe=["z", 0])
    assert part.names == ("z", "x")
    np.testing.assert_array_equal(part.train, whole.train[:, [2, 0]])
    with pytest.raises(UnknownName, match=r"simulated: lorenz63: No column is called 'w'.*Known: x, y, z"):
        simulate(observe=["w"])


def test_phases_are_observed_bounded():
    series = simulate(system="duffing", standardise=False)
    assert np.abs(series.train[:, 2]).max() <= 1  # cos of the phase, whose rate is 1.4


def test_exponent_of_cited_parameters_is_the_literature_s():
    series = simulate(dt=0.02)
    assert series.lambda_max == pytest.approx(0.9056 * 0.02)
    assert "Viswanath" in series.lambda_source
    assert series.predictability_time == pytest.approx(np.log(2) / (0.9056 * 0.02))
    henon = simulate(system="henon")
    assert henon.dt == 1
    assert henon.lambda_max == 0.4192


@pytest.mark.parametrize(
    ("system", "parameters", "truth"),
    [("lorenz63", {"rho": 28.0001}, 0.009056), ("roessler", {"c": 10.0001}, 0.00879)],
)
def test_exponent_of_other_parameters_is_measured(system, parameters, truth):
    """Parameters so near the cited ones that the exponent is the same; a standard error that means what it says."""
    series = simulate(system=system, parameters=parameters)
    assert "measured" in series.lambda_source
    error = series.notes["lambda_stderr"]
    assert 0 < error < 0.04 * truth
    assert series.lambda_max == pytest.approx(truth, abs=3 * error)


def test_divergence_and_rest_are_errors():
    with pytest.raises(
        BadSeries, match=r"simulated: lorenz63: the trajectory left .* at step \d+ with dt=0.5.*smaller"
    ):
        simulate(dt=0.5)
    with pytest.raises(BadSeries, match="simulated: lorenz63: the trajectory comes to rest"):
        simulate(parameters={"rho": 0.5}, dt=0.1)
    with pytest.raises(BadSeries, match="noise=-1"):
        simulate(noise=-1.0)


def test_noise_on_both_parts():
    clean, noisy = simulate(standardise=False), simulate(standardise=False, noise=0.2, noise_on="both")
    disturbance = (noisy.test - clean.test) / clean.train.std(axis=0)
    np.testing.assert_allclose(disturbance.std(axis=0), 0.2, rtol=0.15)
    np.testing.assert_array_equal(noisy.train, simulate(standardise=False, noise=0.2).train)
    with pytest.raises(UnknownName, match=r"No part for noise_on is called 'tests'"):
        simulate(noise_on="tests")


def test_delay_coordinates_of_one_column():
    """As many rows as without, and each column the first one's past."""
    plain, embedded = (
        simulate(observe=["x"], standardise=False),
        simulate(observe=["x"], dimension=3, delay=4, standardise=False),
    )
    assert embedded.names == ("x", "x(t-4)", "x(t-8)")
    assert embedded.train.shape == (1500, 3)
    assert embedded.test.shape == (375, 3)
    np.testing.assert_array_equal(embedded.train[:-8, 2], plain.train[:-8, 0])
    np.testing.assert_array_equal(embedded.train[8:, 2], embedded.train[:-8, 0])
    np.testing.assert_array_equal(embedded.test[8:, 2], embedded.test[:-8, 0])


def test_mackey_glass_seen_through_one_column_and_its_past():
    """The state is a history; ten delays of one observation, as the reconstruction literature takes them."""
    series = simulate(system="mackey_glass", dimension=10, delay=4, length=600, test=0.5)
    assert (series.features, series.names[1]) == (10, "x(t-4)")
    np.testing.assert_allclose(np.corrcoef(series.train[4:, 1], series.train[:-4, 0])[0, 1], 1, atol=1e-12)
    assert series.predictability_time > 100


def test_several_trajectories_from_seeded_starts():
    series = simulate(trajectories=4, length=1502, standardise=False)
    assert series.pieces == (376, 376, 375, 375)
    flow = build_system("lorenz63")
    starts = flow.start(4, torch.Generator().manual_seed(0))
    for i, (first, length) in enumerate(zip(np.cumsum([0, *series.pieces]), series.pieces)):
        whole = flow.trajectory(starts[:, i : i + 1], TRANSIENT + length)
        np.testing.assert_allclose(series.train[first : first + length], whole[TRANSIENT:], atol=1e-10)
    continued = flow.trajectory(starts[:, 3:], TRANSIENT + 375 + GAP + len(series.test))[-len(series.test) :]
    np.testing.assert_allclose(series.test, continued, atol=1e-10)


def test_several_trajectories_from_given_starts_with_their_transients():
    starts = [[30.0, 0.0, 60.0], [-30.0, 1.0, 0.0]]
    series = simulate(starts=starts, transient=0, length=400, standardise=False)
    flow = build_system("lorenz63")
    for i, start in enumerate(starts):
        np.testing.assert_allclose(
            series.train[200 * i], flow.trajectory(torch.tensor([[start]], dtype=torch.float64), 1)[0], atol=1e-10
        )
    with pytest.raises(BadSeries, match="starts must be a list of states of 3 numbers"):
        simulate(starts=[[1.0, 2.0]])
    with pytest.raises(BadSeries, match="trajectories=0"):
        simulate(trajectories=0)
