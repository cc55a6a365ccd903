"""Forecasts, divergence, gradients and loss against closed forms."""

import math
from dataclasses import replace

import numpy as np
import pytest
from made_up_evidence import LAMBDA, columns_of, lorenz_itself
from scipy.signal import lfilter

from lyapsweep.measures import MEASURES, Evidence
from lyapsweep.measures.prediction_error import persistence, prediction_error
from lyapsweep.measures.prediction_time import valid_steps


@pytest.fixture(scope="module")
def plain() -> Evidence:
    return lorenz_itself()


# ---- forecasts


def autoregression(length: int, phi: float) -> np.ndarray:
    noise = np.random.default_rng(2).standard_normal(length + 1000)
    return np.asarray(lfilter([math.sqrt(1 - phi**2)], [1, -phi], noise))[1000:, None]


def test_prediction_error_of_an_autoregression(plain):
    """Of variance 1: persistence scores 2 (1 - phi^n), the best forecast phi^n x scores 1 - phi^2n."""
    phi, n = 0.95, 20
    series = autoregression(400_000, phi)
    starts = np.arange(0, 399_000, 7)
    targets = series[starts[:, None] + np.arange(1, n + 1)]
    best = series[starts][:, None] * phi ** np.arange(1, n + 1)[:, None]
    assert persistence(series, n) == pytest.approx(2 * (1 - phi**n), rel=0.03)
    assert prediction_error(replace(plain, targets=targets, forecasts=best)) == pytest.approx(
        1 - phi ** (2 * n), rel=0.03
    )


def test_prediction_error_looks_at_step_twenty_alone(plain):
    error = np.zeros_like(plain.targets)
    error[:, :19], error[:, 19], error[:, 20:] = 5.0, [3.0, 0.0, 0.0], 7.0
    assert prediction_error(replace(plain, forecasts=plain.targets + error)) == pytest.approx(3.0)


def test_prediction_error_needs_its_horizon(plain):
    short = replace(plain, forecasts=plain.forecasts[:, :19], targets=plain.targets[:, :19])
    assert math.isnan(MEASURES["prediction_error"](short))


def test_prediction_time_of_an_exponential_error(plain):
    """e_0 exp(lambda t) of the truth's spread crosses 0.4 after log(0.4 / e_0) / lambda steps."""
    growth, first = 0.1, np.array([1e-2, 1e-3, 1e-9])
    truth = plain.truth
    spread = math.sqrt(((truth - truth.mean(0)) ** 2).sum(1).mean())
    targets = np.stack([truth[k + 1 : k + 61] for k in (0, 500, 900)])
    error = np.zeros_like(targets)
    error[:, :, 1] = spread * first[:, None] * np.exp(growth * np.arange(1, 61))
    evidence = replace(plain, targets=targets, forecasts=targets + error)
    crossing = np.log(0.4 / first[:2]) / growth  # 36.9 and 59.9; the third start never crosses within 60 steps
    assert valid_steps(evidence).tolist() == [*np.floor(crossing), 60]
    columns = columns_of("prediction_time", evidence)
    assert columns["prediction_time/samples"] == pytest.approx((36 + 59 + 60) / 3)
    assert columns["prediction_time"] == pytest.approx(columns["prediction_time/samples"] * LAMBDA)
    assert columns["prediction_time/censored"] == pytest.approx(1 / 3)


@pytest.mark.parametrize("unknown", [None, 0.0, -0.1, math.nan])
def test_prediction_time_without_a_lyapunov_time(plain, unknown):
    columns = columns_of("prediction_time", replace(plain, lambda_max=unknown))
    assert math.isnan(columns["prediction_time"])
    assert columns["prediction_time/samples"] == 60
    assert MEASURES["prediction_time"].floor(replace(plain, lambda_max=unknown)) is None


# ---- divergence, gradients, loss


def test_divergence_is_the_step_of_leaving(plain):
    score, length = MEASURES["divergence"], len(plain.truth)
    low, high = plain.truth.min(0), plain.truth.max(0)
    for value, expected in ((math.nan, 0.25), (math.inf, 0.25), (10.1, 0.25), (9.9, 1.0)):
        generated = plain.truth.copy()
        generated[length // 4, 1] = (low + high)[1] / 2 + value * (high - low)[1]
        assert score(replace(plain, generated=generated)) == expected


def test_gradients_of_a_known_slope(plain):
    columns = columns_of("gradients", replace(plain, growth=0.3 + 0.05 * plain.lags, exponent=0.02))
    assert columns["gradients"] == pytest.approx(0.03)
    assert columns["gradients/slope"] == pytest.approx(0.05)


def test_gradients_that_are_cut(plain):
    cut = replace(plain, growth=np.where(plain.lags > 50, -math.inf, plain.growth))
    assert MEASURES["gradients"](cut) == MEASURES["gradients"].worst
    assert columns_of("gradients", cut)["gradients/slope"] == -math.inf
    assert math.isnan(MEASURES["gradients"](replace(cut, exponent=-math.inf)))
    assert math.isnan(MEASURES["gradients"](replace(plain, lags=plain.lags[:1], growth=plain.growth[:1])))


def test_gradient_norms_count_a_lost_one_as_infinite(plain):
    columns = columns_of("gradients", replace(plain, gradient_norms=np.array([1.0, 3.0, math.nan])))
    assert (columns["gradients/norm_median"], columns["gradients/norm_maximum"]) == (3.0, math.inf)
    columns = columns_of("gradients", replace(plain, gradient_norms=np.empty(0)))
    assert math.isnan(columns["gradients/norm_median"])


def test_loss_is_the_mean_over_windows(plain):
    assert MEASURES["loss"](replace(plain, losses=np.array([1.0, 2.0, 6.0]))) == 3.0
    assert math.isnan(MEASURES["loss"](replace(plain, losses=np.empty(0))))
