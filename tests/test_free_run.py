"""A smooth model of a series: what it is, when it is believed, and that it knows more than the series' own length."""

import math

import numpy as np
import pytest

from lyapsweep.timeseries import kernel_model
from lyapsweep.timeseries.embedding import Embedding
from lyapsweep.timeseries.free_run import (
    FreeRun,
    candidates,
    fit_problem,
    free_growth,
    free_run_problem,
    interval,
    runs,
)
from lyapsweep.timeseries.kernel_model import Fitted, KernelModel, fit, held_out, solutions, whole

LOGISTIC = math.log(2)  # the exponent of x -> 4 x (1 - x)
MAP = Embedding(1, 1, 3, 2.0, False, (0.0,), "", "")


def logistic(length: int, seed: int = 0) -> np.ndarray:
    """An orbit from its exact conjugacy to the tent map's angles: no rounding drives it into a cycle."""
    x = np.random.default_rng(seed).uniform(0.1, 0.9)
    orbit = []
    for _ in range(length):
        x = 4 * x * (1 - x)
        orbit.append(x)
    return ((np.array(orbit) - 0.5) / np.std(orbit))[:, None]


def made_up(seed: int = 0) -> KernelModel:
    rng = np.random.default_rng(seed)
    return KernelModel(2, 3, rng.standard_normal((7, 6)), 1.3, 0.3 * rng.standard_normal((14, 2)))


def expanding() -> KernelModel:
    """x(t + 1) = 3 x(t): every orbit leaves."""
    return KernelModel(1, 1, np.zeros((1, 1)), 1.0, np.array([[0.0], [2.0], [0.0]]))


def fitted(error: float) -> Fitted:
    return Fitted(expanding(), expanding(), error, 10, 1.0)


def test_a_tangent_vector_goes_where_the_derivative_takes_it():
    model, rng = made_up(), np.random.default_rng(1)
    states, tangents = rng.standard_normal((5, 6)), rng.standard_normal((5, 6))
    step, h = model.push(states, tangents), 1e-6
    np.testing.assert_array_equal(step[0], model.step(states))
    slope = (model.step(states + h * tangents) - model.step(states - h * tangents)) / (2 * h)
    np.testing.assert_allclose(step[1], slope, atol=1e-8)
    np.testing.assert_array_equal(step[0][:, :4], states[:, 2:])  # all but the newest values only move up


def test_a_ridge_is_least_squares_with_a_price_on_scaled_weights():
    rng = np.random.default_rng(0)
    P, Y, r = rng.standard_normal((50, 4)) * [1, 10, 0.1, 3], rng.standard_normal((50, 2)), 0.3
    S = P / np.sqrt(np.square(P).mean(axis=0))
    top = np.linalg.norm(S, 2)
    wanted = np.linalg.solve(S.T @ S + (r * top) ** 2 * np.eye(4), S.T @ Y)
    np.testing.assert_allclose(P @ solutions(P, Y, (r,))[0], S @ wanted, atol=1e-10)


def test_held_out_runs_stay_held_out():
    out = held_out(1000)
    assert 0.25 < out.mean() < 0.35
    starts = whole(out, 40)
    assert len(starts) == 3 * 60
    assert all(out[s : s + 41].all() for s in starts)


def test_the_model_of_a_map_is_the_map():
    x = logistic(1500)
    found = fit(x, 1, 1, 4, 100, 0)
    assert found.error < 1e-3
    np.testing.assert_allclose(found.model.step(x[:-1]), x[1:], atol=1e-4)
    assert free_growth(found.model, x, LOGISTIC, 0).mean() == pytest.approx(LOGISTIC, rel=0.01)


def test_a_model_knows_more_than_its_series_is_long():
    """500 samples of the logistic map: own exponents scatter by 4 %, its models' do not."""
    scatter, found = [], []
    for seed in range(5):
        x = logistic(500, seed)
        scatter.append(np.log(np.abs(8 * (x * 0.3536))).mean() / LOGISTIC - 1)
        *_, last = runs(x, MAP, LOGISTIC, 0.1, 0)
        assert last.refused == ""
        found.append(interval(last)[0] / LOGISTIC - 1)
    assert np.abs(found).max() < 0.02 < np.abs(scatter).max()


def test_noise_has_no_model_that_is_believed():
    x = np.random.default_rng(0).standard_normal((800, 1))
    tried = runs(x, MAP, 0.5, 0.1, 0)
    assert tried
    assert all("misses held-out states" in r.refused for r in tried)


def test_orbits_that_leave_are_refused():
    x = logistic(500)
    free = free_growth(expanding(), x, LOGISTIC, 0)
    assert np.isnan(free).all()
    assert free_run_problem(free, free, LOGISTIC, 0.1) == "its orbits leave the attractor"


def test_a_model_has_to_agree_with_local_maps_and_with_itself():
    assert fit_problem(fitted(1e-3), 0.5, 0.5, 0.0) == ""
    assert "misses held-out states by 0.5" in fit_problem(fitted(0.5), 0.5, 0.5, 0.0)
    assert "misses" in fit_problem(fitted(math.inf), 0.5, 0.5, 0.0)
    assert "along the series its exponent is 2.00" in fit_problem(fitted(0.05), 1.0, 0.5, 0.2)
    assert fit_problem(fitted(0.05), 1.0, 0.5, 0.6) == ""  # local maps themselves are no surer
    assert fit_problem(fitted(1e-3), 1.0, 0.5, 0.2) == ""  # an accurate model is surer than local maps
    even = np.full(200, 0.5)
    assert free_run_problem(even, even, 0.52, 0.01) == ""
    assert "running freely" in free_run_problem(even, even, 0.52, 0.001)


def test_the_interval_holds_what_the_model_may_be_wrong_by():
    value, low, high = interval(FreeRun(fitted(1e-3), 0.5, 0.003, 0.496, 0.5, 0.01, ""))
    assert value == 0.5
    assert high - value == value - low == pytest.approx(2 * math.hypot(0.003, 0.004, 1e-3 * 0.5))


def test_short_series_have_models_of_fewer_shapes():
    x = np.random.default_rng(0).standard_normal((500, 1)).cumsum(axis=0)
    x = (x - x.mean()) / x.std()
    slow = Embedding(60, 4, 100, 120.0, True, (), "", "")
    assert all(f.model.values * f.model.spacing <= 125 for f in candidates(x, slow, 0.01, 0))


def test_steps_longer_than_the_series_has_are_not_tried():
    """A random walk: its delay is a tenth of its length, over which nothing could be followed."""
    x = np.random.default_rng(0).standard_normal((2000, 1)).cumsum(axis=0)
    slow = Embedding(200, 2, 200, 400.0, True, (), "", "")
    assert {f.model.spacing for f in candidates((x - x.mean()) / x.std(), slow, 0.01, 0)} <= {25, 50}
    assert all("nan" not in r.refused for r in runs((x - x.mean()) / x.std(), slow, 0.01, 0.01, 0))


def test_every_centre_is_new():
    x = np.repeat(np.arange(40.0), 30)[:, None]
    centres = kernel_model.spread_out(x, 30, np.random.default_rng(0))
    assert len(np.unique(centres)) == len(centres)
