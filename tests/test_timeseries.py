"""The parts of an estimate from a recorded series, against what is known of them."""

import math

import numpy as np
import pytest
from recordings import coloured, recorded
from threadpoolctl import threadpool_info, threadpool_limits

from lyapsweep.timeseries import estimate
from lyapsweep.timeseries.coordinates import circles
from lyapsweep.timeseries.denoise import project
from lyapsweep.timeseries.divergence import Curve, ceiling, rosenstein
from lyapsweep.timeseries.embedding import autocorrelation_time, choose, delayed, mean_period, mutual_information
from lyapsweep.timeseries.evidence import decisive, no_growth, verdict
from lyapsweep.timeseries.neighbours import nearest
from lyapsweep.timeseries.preprocessing import drifts, repeats
from lyapsweep.timeseries.scaling_region import line
from lyapsweep.timeseries.surrogates import surrogate, surrogate_test
from lyapsweep.timeseries.tangents import TangentFit, jacobians, tangent_growth


def test_neighbours_are_the_nearest_outside_the_window():
    points = np.random.default_rng(0).standard_normal((300, 3))
    points[100:200] = points[:100]  # states that come again
    distance = np.linalg.norm(points[:, None] - points[None], axis=2)
    distance[np.abs(np.arange(300)[:, None] - np.arange(300)) <= 20] = np.inf
    found = nearest(points, 4, 20)
    np.testing.assert_allclose(
        np.take_along_axis(distance, found, axis=1), np.sort(distance, axis=1)[:, :4], atol=1e-12
    )


def test_neighbours_that_are_not_there_are_none():
    assert (nearest(np.random.default_rng(0).standard_normal((30, 2)), 3, 40) == -1).all()


def test_times_of_a_sine():
    x = np.sin(2 * np.pi * np.arange(4000) / 49.7)[:, None]
    assert mean_period(x) == pytest.approx(49.7, rel=0.01)
    assert autocorrelation_time(x[:, 0]) == pytest.approx(np.arccos(1 / np.e) * 49.7 / (2 * np.pi), abs=1)


def test_mutual_information_of_independent_and_of_equal_values():
    noise = np.random.default_rng(0).standard_normal(20_000)
    assert abs(mutual_information(noise, 3)).max() < 0.03
    assert mutual_information(np.tile(noise[:1000], 20), 1000)[-1] == pytest.approx(math.log(27), rel=0.01)


def test_henon_needs_two_coordinates():
    assert choose(recorded("henon", 0, 3000)[:, :1]).dimension == 2


def test_local_maps_carry_neighbours_as_the_systems_jacobian_does():
    """Along the attractor, which is what a series knows of a Jacobian."""
    x = recorded("henon", 0, 4000)
    J, missed = jacobians(x, TangentFit(1, 4, 2))
    near = nearest(x, 1, 4, len(x) - 1)[:, 0]
    apart = x[near] - x[:-1]
    true = np.stack([-2.8 * x[:-1, 0] * apart[:, 0] + apart[:, 1], 0.3 * apart[:, 0]], axis=1)
    wrong = np.linalg.norm(np.einsum("tp,tpq->tq", apart, J) - true, axis=1) / np.linalg.norm(true, axis=1)
    assert np.median(wrong) < 0.02
    assert np.median(missed) < 1e-3


def test_tangents_grow_by_the_largest_factor():
    J = np.tile(np.diag([2.0, 0.5]), (200, 1, 1))
    np.testing.assert_allclose(tangent_growth(J, 2, 0), math.log(2) / 2, atol=1e-3)


def made_up(slope: float, noise: float) -> Curve:
    """A transient, a straight stretch, saturation at 0; blocks differ."""
    k, rng = np.arange(100.0), np.random.default_rng(0)
    S = np.minimum(-5 + slope * k, 0) - 0.8 * np.exp(-k / 2)
    return Curve("made up", S + noise * rng.standard_normal((40, 1)) * k, np.ones(40), 0.0)


def test_the_straight_stretch_is_found():
    found = line(made_up(0.08, 0.002), 0)
    assert found is not None
    assert found.slope == pytest.approx(0.08, rel=0.03)
    assert found.low < found.slope < found.high
    assert found.high - found.low == pytest.approx(2 * 1.96 * 0.002 / math.sqrt(40), rel=0.35)  # of the blocks' slopes
    assert found.first >= 2
    assert found.last <= 52  # 1 below the ceiling


def test_a_flat_curve_has_no_straight_stretch():
    rng = np.random.default_rng(0)
    assert line(Curve("flat", -3 + 0.01 * rng.standard_normal((40, 100)), np.ones(40), 0.0), 0) is None


def test_strangers_are_brought_abreast_as_neighbours_are():
    """On a limit cycle all states are abreast: strangers are no farther than rounding, at whatever phase."""
    t = 2 * np.pi * np.arange(3000) / 49.7
    cycle = np.stack([np.cos(t), np.sin(t)], axis=1)
    assert ceiling(cycle, 50, True) < math.log(0.05)
    other = np.stack([np.cos(t), np.sin(t), np.cos(0.6180 * t)], axis=1)  # a torus: other phases stay apart
    assert ceiling(other, 80, True) > math.log(0.3)


def test_an_interval_that_reaches_zero_because_it_is_wide_decides_nothing():
    flat = no_growth(-0.01, (0.02, -0.01, 0.05), None)
    assert "down to zero" in flat[0]
    assert not decisive((), flat, 0.02, 10_000)
    assert decisive((), flat, 1e-4, 10_000)
    assert decisive(("linear",), (), 0.02, 10_000)
    assert verdict(flat, True) == "cannot tell"
    assert verdict(flat, False) == "no evidence of chaos"
    assert verdict((), False) == "chaotic"


def test_neighbours_of_lorenz_part_to_the_distance_of_strangers():
    curve = rosenstein(recorded("lorenz63", 0, 4000) / 8, 70, 450, True)
    assert curve.ceiling - curve.mean[0] > 3
    assert abs(curve.mean[-50:].mean() - curve.ceiling) < 0.8


def test_surrogates_keep_values_spectra_and_what_columns_share():
    x = recorded("lorenz63", 0, 4000)
    made = surrogate(x, np.random.default_rng(0))
    np.testing.assert_array_equal(np.sort(made, axis=0), np.sort(x, axis=0))
    power = lambda x: np.square(np.abs(np.fft.rfft(x, axis=0)))[1:100]  # noqa: E731
    assert np.abs(np.sqrt(power(made)) - np.sqrt(power(x))).mean() < 0.05 * np.sqrt(power(x)).mean()
    np.testing.assert_allclose(np.corrcoef(made.T), np.corrcoef(x.T), atol=0.05)
    assert np.abs(np.corrcoef(made[:, 0], x[:, 0])[0, 1]) < 0.5


def test_surrogates_are_beaten_by_chaos_alone():
    x, noise = recorded("henon", 0, 2000)[:, :1], coloured(np.random.default_rng(0), 2000, 0)
    assert surrogate_test(x, choose(x), 0).rejected
    assert not surrogate_test(noise, choose(noise / noise.std()), 0).rejected


def test_projection_takes_noise_off():
    clean = recorded("lorenz63", 0, 4000)
    clean = (clean - clean.mean(axis=0)) / clean.std(axis=0)
    noisy = clean + 0.05 * np.random.default_rng(0).standard_normal(clean.shape)
    assert np.std(project(noisy, 3) - clean) < 0.6 * 0.05
    assert np.std(project(clean, 3) - clean) < 0.01 * 0.05 * 20


def test_delayed_values_stand_side_by_side():
    x = np.arange(10.0)[:, None] * [1, 10]
    np.testing.assert_array_equal(delayed(x, 2, 3)[0], [0, 0, 3, 30])
    assert delayed(x, 2, 3).shape == (7, 4)


def test_angles_become_circles():
    t, rng = np.arange(1000.0), np.random.default_rng(0)
    angle, x = (0.3 * t) % 5 + 0.01 * rng.standard_normal(1000), rng.standard_normal(1000)
    made, angles = circles(np.stack([angle, x], axis=1))
    assert angles == 1
    np.testing.assert_allclose(np.hypot(made[:, 0], made[:, 1]), 1)
    np.testing.assert_array_equal(made[:, 2], x)
    assert np.abs(np.diff(made[:, :2], axis=0)).max() < 2 * np.pi * 0.4 / 5  # nothing jumps any more
    assert circles(recorded("henon", 0, 1000))[1] == circles(recorded("lorenz63", 0, 1000))[1] == 0


def test_trends_and_repeated_samples_are_told():
    x = np.random.default_rng(0).standard_normal((1000, 2))
    assert drifts(x, ("x", "y")) == repeats(x) == ()
    told = drifts(x + np.outer(np.linspace(0, 4, 1000), [0, 1]), ("x", "y"))
    assert len(told) == 1
    assert "column 'y' drifts" in told[0]
    assert "50% of the samples repeat" in repeats(np.repeat(x, 2, axis=0))[0]


def test_the_estimate_is_computed_by_one_thread_on_any_machine():
    """A sum over two threads differs in its last bits, and chaos makes other printed digits of them."""

    def look(stage):
        raise InterruptedError({pool["num_threads"] for pool in threadpool_info()})

    with threadpool_limits(2), pytest.raises(InterruptedError, match=r"^\{1\}$"):
        estimate(np.random.default_rng(0).normal(size=(600, 1)), tell=look)
