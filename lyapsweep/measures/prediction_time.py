"""Valid prediction time: how long a free forecast stays close to the truth."""

import numpy as np

from lyapsweep.measures.evidence import Evidence
from lyapsweep.measures.measure import Measure, Undefined

THRESHOLD = 0.4


def prediction_time(evidence: Evidence) -> float:
    """Valid prediction time in Lyapunov times: lambda_max times the mean number of `valid_steps`. Worst: 0.

    An initial error e_0 of a chaotic system allows about log(0.4 / e_0) Lyapunov times. Undefined (NaN) if the data's
    lambda_max is unknown or not positive; `prediction_time/samples` is known even then.

    Args:
        evidence: Uses `truth`, `forecasts`, `targets` and `lambda_max`.

    Returns:
        The time, in Lyapunov times.

    Raises:
        Undefined: If lambda_max is unknown or not positive.

    Source: Pathak et al. 2018, Chaos 28, 041101.

    Example:
        >>> x = np.array([[-1.0], [1.0]])
        >>> prediction_time(Evidence(truth=x, forecasts=x[None], targets=x[None], lambda_max=0.5))
        1.0
    """
    if evidence.lambda_max is None or not evidence.lambda_max > 0:
        raise Undefined("the data's largest exponent is unknown or not positive")
    return float(valid_steps(evidence).mean() * evidence.lambda_max)


def valid_steps(evidence: Evidence, threshold: float = THRESHOLD) -> np.ndarray:
    """Steps of each forecast before ||x_hat - x|| / sqrt(mean ||x - <x>||^2) first exceeds 0.4, (starts,).

    The mean and <x> are of the held-out truth (Pathak et al. 2018, with the mean subtracted). A forecast that is not
    finite is not valid. One that never exceeds counts its whole horizon, a lower bound; the share of these is
    `prediction_time/censored`. Raises `Undefined` without forecasts or if the truth is constant.
    """
    truth, horizon = evidence.truth.astype(float), evidence.forecasts.shape[1]
    scale = np.sqrt(np.square(truth - truth.mean(axis=0)).sum(axis=1).mean())
    if evidence.forecasts.size == 0 or not scale > 0:
        raise Undefined("no forecasts, or a truth that does not move")
    error = np.linalg.norm(evidence.forecasts.astype(float) - evidence.targets, axis=2) / scale
    valid = error <= threshold
    return np.where(valid.all(axis=1), horizon, valid.argmin(axis=1))


def further(evidence: Evidence) -> dict[str, float]:
    """The same time in samples, and the share of forecasts that stayed valid over their horizon."""
    try:
        steps = valid_steps(evidence)
    except Undefined:
        return {"samples": np.nan, "censored": np.nan}
    return {"samples": float(steps.mean()), "censored": float((steps == evidence.forecasts.shape[1]).mean())}


PREDICTION_TIME = Measure(
    "prediction_time",
    prediction_time,
    "maximise",
    worst=0.0,
    unit="Lyapunov times",
    title="Valid prediction time",
    further=further,
)
