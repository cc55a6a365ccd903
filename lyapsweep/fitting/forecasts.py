"""Forecasts of the test part by the confirmed networks and by the baselines, and their scores."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from scipy.stats import t as student

from lyapsweep.datasets.series import Series
from lyapsweep.evaluation.series import predict, prepare
from lyapsweep.evaluation.truth import forecast_starts, horizon
from lyapsweep.fitting.baselines import TrainingPart, fitted_baselines, forecast_tasks
from lyapsweep.measures.evidence import Evidence
from lyapsweep.measures.prediction_error import prediction_error
from lyapsweep.measures.prediction_time import valid_steps
from lyapsweep.problems import SeriesProblem
from lyapsweep.results.record import Record
from lyapsweep.trial import restore_network

COVERAGE = 0.9  # of the interval that is drawn
AHEAD = 20  # steps of PE(20)


@dataclass(frozen=True)
class ForecastScore:
    """How well one forecaster predicts the test part.

    Args:
        name: Its name.
        valid_steps: Mean steps before the error exceeds 0.4 standard deviations of the series (`prediction_time`).
        low: The least over the confirmed networks; equal for a baseline.
        high: The most.
        error: Mean squared error 20 steps ahead, in squared standard deviations; NaN for shorter forecasts.
        curve: Root mean squared error of each step ahead, in standard deviations.
    """

    name: str
    valid_steps: float
    low: float
    high: float
    error: float
    curve: Float[np.ndarray, " steps"]


@dataclass(frozen=True)
class Forecasts:
    """Forecasts from evenly spaced rows of the test part.

    Args:
        networks: (networks, starts, steps, features), standardised.
        targets: (starts, steps, features), standardised.
        network: Score of the networks, medians.
        baselines: Scores of the baselines.
        low: Lower end of the interval (mean over the networks, Student's t), (starts, steps, features).
        high: Upper end.
        coverage: How often the truth lies in it, by step, (steps,).
        mean: Mean of each feature in the units of the data.
        std: Standard deviation of each feature.
        names: Names of the features.

    Example:
        >>> [each.name for each in forecast_test_part(found.records).beaten_by]  # doctest: +SKIP
        ['echo state network']
    """

    networks: Float[np.ndarray, "networks starts steps features"]
    targets: Float[np.ndarray, "starts steps features"]
    network: ForecastScore
    baselines: tuple[ForecastScore, ...]
    low: Float[np.ndarray, "starts steps features"]
    high: Float[np.ndarray, "starts steps features"]
    coverage: Float[np.ndarray, " steps"]
    mean: np.ndarray
    std: np.ndarray
    names: tuple[str, ...]

    @property
    def beaten_by(self) -> tuple[ForecastScore, ...]:
        """The baselines that forecast at least as long as the networks' median."""
        return tuple(each for each in self.baselines if each.valid_steps >= self.network.valid_steps)


def forecast_test_part(records: Sequence[Record]) -> Forecasts:
    """Forecast the test part (the judged part where there is none) by networks of one setting and by all baselines.

    Args:
        records: Final records of networks that differ in nothing but the seed.

    Returns:
        Forecasts and scores.
    """
    problem = SeriesProblem(records[0].config)
    split = problem.split
    part, whole = split.test or split.judged, split.whole
    offset = len(whole.test) - len(part.test) if split.test else 0
    rows = torch.as_tensor(part.test, dtype=torch.float64)
    steps = horizon(part, len(rows))
    first = forecast_starts(rows, steps).numpy()
    everything = np.concatenate([whole.train, whole.test])
    inputs = np.concatenate([whole.train_inputs, whole.test_inputs]) if whole.inputs else None
    histories, targets, driving = forecast_tasks(everything, inputs, len(whole.train) + offset + first, steps)
    networks = np.stack([network_forecasts(record, part, steps) for record in records])
    fitted = fitted_baselines(TrainingPart(whole.train, whole.train_inputs, steps))
    low, high = interval(networks)
    return Forecasts(
        networks,
        targets,
        score("networks", networks, targets, part.test),
        tuple(score(b.name, b.forecast(histories, steps, driving)[None], targets, part.test) for b in fitted),
        low,
        high,
        ((low <= targets) & (targets <= high)).mean(axis=(0, 2)),
        whole.mean,
        whole.std,
        tuple(whole.names),
    )


@torch.no_grad()
def network_forecasts(record: Record, part: Series, steps: int) -> Float[np.ndarray, "starts steps features"]:
    """Free forecasts of one network from evenly spaced rows of a part, as the measures have them."""
    network, _ = restore_network(record.config, record.weights)
    network, rows, inputs = prepare(network, part)
    return predict(network, rows, steps, inputs)[0][0].numpy()


def score(name: str, forecasts: np.ndarray, targets: np.ndarray, truth: np.ndarray) -> ForecastScore:
    """The score of forecasts (members, starts, steps, features)."""
    evidence = [Evidence(truth=truth, forecasts=each, targets=targets) for each in forecasts]
    times = [float(valid_steps(each).mean()) for each in evidence]
    errors = [prediction_error(each, AHEAD) for each in evidence] if targets.shape[1] >= AHEAD else [math.nan]
    curve = np.sqrt(np.square(forecasts - targets).mean(axis=(0, 1, 3)))
    return ForecastScore(name, float(np.median(times)), min(times), max(times), float(np.median(errors)), curve)


def interval(networks: Float[np.ndarray, "networks starts steps features"]) -> tuple[np.ndarray, np.ndarray]:
    """The interval in which another network of this setting lies in 90 % of cases: mean ± t s sqrt(1 + 1/n).

    t is Student's quantile for n - 1 degrees of freedom and s the standard deviation over the n networks; of one
    network the interval has no width.
    """
    n, mean = len(networks), networks.mean(axis=0)
    if n == 1:
        return mean, mean
    width = student.ppf((1 + COVERAGE) / 2, n - 1) * networks.std(axis=0, ddof=1) * math.sqrt(1 + 1 / n)
    return mean - width, mean + width
