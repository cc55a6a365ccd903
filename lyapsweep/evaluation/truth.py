"""What evidence of a series consists of: number and length of runs and forecasts, and the truth as one."""

import math

import numpy as np
import torch
from torch import Tensor

from lyapsweep.datasets.series import Series
from lyapsweep.measures.evidence import Evidence
from lyapsweep.windows import cut

ORBITS = 5  # free runs: of a network with two attractors a single run would score one
FORECASTS = 100  # starts, evenly spaced over the test part
HORIZON_LYAPUNOV_TIMES = 10
HORIZON_UNKNOWN = 500  # samples, where lambda_max is unknown
ERROR_STEPS = 50  # of the forecasts from every held-out observation


def truth_evidence(series: Series) -> Evidence:
    """The truth in place of a network on the test part of `series`, of the shapes that a network's evidence has."""
    test, features = torch.as_tensor(series.test, dtype=torch.float64), series.features
    steps, targets = len(test) // ORBITS * ORBITS, forecast_targets(test, horizon(series, len(test))).numpy()
    orbit = len(test) - 1 if series.inputs else len(test) + len(test) // 4
    return Evidence(
        truth=series.test,
        reference=series.train[: len(series.test)],
        pool=series.train,
        orbits=ORBITS,
        generated=np.zeros((steps, features)),
        forecasts=targets,
        targets=targets,
        lambda_max=series.lambda_max,
        dt=series.dt,
        orbit=np.zeros((orbit, features)),
        errors=np.zeros(min(ERROR_STEPS, len(test) - 1)),
    )


def horizon(series: Series, available: int) -> int:
    """Steps forecast ahead: ten Lyapunov times of the data if known, at most half the test part."""
    exponent = series.lambda_max or 0.0
    wanted = HORIZON_LYAPUNOV_TIMES / exponent if exponent > 0 else HORIZON_UNKNOWN
    return max(1, min(math.ceil(wanted), available // 2))


def forecast_targets(test: Tensor, steps: int) -> Tensor:
    """What forecasts of so many steps are compared with, (starts, steps, features)."""
    return cut(test, forecast_starts(test, steps), steps)[1:].transpose(0, 1)


def forecast_starts(test: Tensor, steps: int) -> Tensor:
    """At most FORECASTS rows, evenly spaced, that so many steps follow."""
    last = len(test) - steps - 1
    return torch.linspace(0, last, min(FORECASTS, last + 1), device=test.device).long()
