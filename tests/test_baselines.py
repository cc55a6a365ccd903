"""Baselines against known answers."""

import numpy as np
import pytest

from lyapsweep.fitting.baselines import (
    Climatology,
    ContextParroting,
    EchoStateNetwork,
    LinearAutoregression,
    Persistence,
    TrainingPart,
    fitted_baselines,
    forecast_tasks,
)

CHANCE = np.random.default_rng(0)


def second_order(rows=3000):
    """x_t = 1.2 x_{t-1} - 0.8 x_{t-2} + noise."""
    noise, x = CHANCE.standard_normal(rows), np.zeros(rows)
    for t in range(2, rows):
        x[t] = 1.2 * x[t - 1] - 0.8 * x[t - 2] + noise[t]
    return x[:, None]


def test_an_autoregression_finds_the_coefficients_and_their_optimal_forecast():
    x = second_order()
    fitted = LinearAutoregression(x, order=2)
    assert fitted.weights[:2, 0] == pytest.approx([1.2, -0.8], abs=0.04)
    first, second = fitted.forecast(np.array([[[1.0], [2.0]]]), 2)[0, :, 0]  # the latest row is 2
    assert first == pytest.approx(1.2 * 2 - 0.8 * 1, abs=0.15)
    assert second == pytest.approx(1.2 * first - 0.8 * 2, abs=0.15)


def test_an_autoregression_uses_the_input_of_the_row_it_predicts():
    s = CHANCE.standard_normal((400, 1))
    x = np.zeros((400, 1))
    for t in range(1, 400):
        x[t] = 0.5 * x[t - 1] + 2 * s[t]
    histories, targets, driving = forecast_tasks(x, s, np.array([200, 300]), 5)
    assert LinearAutoregression(x, 1, s).forecast(histories, 5, driving) == pytest.approx(targets, abs=1e-6)


def test_an_echo_state_network_follows_its_inputs():
    s = np.convolve(CHANCE.standard_normal(1200), np.ones(5) / 5, "same")[:, None]
    x = np.zeros((1200, 1))
    for t in range(1, 1200):
        x[t] = 0.6 * x[t - 1] + 0.4 * np.tanh(2 * s[t])
    histories, targets, driving = forecast_tasks(x, s, np.array([1050, 1100]), 10)
    found = EchoStateNetwork(x[:1000], 0.9, 0.5, 1e-8, s[:1000], units=100).forecast(histories, 10, driving)
    blind = EchoStateNetwork(x[:1000], 0.9, 0.5, 1e-8, units=100).forecast(histories, 10)
    assert np.abs(found - targets).max() < 0.06 < 0.2 < np.abs(blind - targets).max()


def test_persistence_and_climatology():
    histories = CHANCE.standard_normal((3, 7, 2))
    assert (Persistence().forecast(histories, 4) == histories[:, -1:]).all()
    assert (Climatology(np.array([[1.0, 2.0], [3.0, 4.0]])).forecast(histories, 4) == [2.0, 3.0]).all()


def test_parroting_continues_a_periodic_series_exactly():
    x = np.tile(CHANCE.standard_normal((17, 2)), (12, 1))
    histories, targets, _ = forecast_tasks(x, None, np.array([100, 120, 150]), 30)
    assert (ContextParroting(x[:90], context=4).forecast(histories, 30) == targets).all()


def test_parroting_needs_rows_to_copy():
    histories = CHANCE.standard_normal((1, 8, 1))
    short = ContextParroting(CHANCE.standard_normal((20, 1)), context=8).forecast(histories, 30)
    assert (short == histories[:, -1:]).all()


def test_settings_are_chosen_on_the_training_part():
    x = second_order(1500)
    part = TrainingPart(x, None, horizon=20)
    wrong, right = (lambda x, s, k=k: LinearAutoregression(x, k, s) for k in (1, 2))
    chosen = part.chosen([wrong, right])
    assert isinstance(chosen, LinearAutoregression)
    assert chosen.order == 2


def test_histories_end_at_their_row_and_targets_follow():
    rows = np.arange(50.0)[:, None]
    histories, targets, driving = forecast_tasks(rows, rows, np.array([10, 20]), 3)
    assert histories[:, -1, 0].tolist() == [10, 20]
    assert targets[1, :, 0].tolist() == [21, 22, 23]
    assert driving is not None
    assert driving.shape[1] == histories.shape[1] + 3


def test_all_baselines_forecast_a_short_series():
    x = np.sin(np.arange(120.0) / 3)[:, None]
    histories, targets, _ = forecast_tasks(x, None, np.array([90, 100]), 10)
    names = []
    for baseline in fitted_baselines(TrainingPart(x[:80], None, 10)):
        names.append(baseline.name)
        assert baseline.forecast(histories, 10).shape == targets.shape
    assert len(set(names)) == 5
