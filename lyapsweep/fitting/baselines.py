"""Forecasts that a trained network should beat: persistence, climatology, a linear autoregression, an echo state
network with a ridge readout, and context parroting.

All are fitted to the training part alone; what they leave open is chosen by forecasts of its last fifth. Histories are
(starts, rows, features), forecasts (starts, steps, features), in standardised units. Inputs, where there are any, are
given for the rows of the history and the steps ahead: (starts, rows + steps, inputs).
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Float

from lyapsweep.measures.evidence import Evidence
from lyapsweep.measures.prediction_time import valid_steps

Histories = Float[np.ndarray, "starts rows features"]
Driving = Float[np.ndarray, "starts rows_and_steps inputs"]
Forecast = Float[np.ndarray, "starts steps features"]
Rows = Float[np.ndarray, "time features"]

HISTORY = 200  # rows before a forecast that a baseline may use
LIMIT = 1e6  # standard deviations, beyond which a forecast that explodes is held
ORDERS = (1, 2, 4, 8, 16, 32)  # of autoregressions
CONTEXTS = (1, 2, 4, 8, 16, 32, 64)  # rows that parroting compares
RESERVOIR, DENSITY = 300, 0.05  # units of the echo state network, and their share of connections
RADII, SCALES, RIDGES = (0.4, 0.9), (0.1, 0.5), (1e-8, 1e-4)
WASHOUT = 100  # first rows that the readout is not fitted to
CHOICE_STARTS = 40  # forecasts by which a baseline's own settings are chosen
LAST = 0.2  # share of the training part on which they are


class Baseline(ABC):
    """A forecast without a trained recurrent network."""

    name: str

    @abstractmethod
    def forecast(self, histories: Histories, steps: int, inputs: Driving | None = None) -> Forecast:
        """Forecast the steps that follow each history."""


class Persistence(Baseline):
    """The last observation, for ever.

    Example:
        >>> Persistence().forecast(np.array([[[1.0], [2.0]]]), 2).tolist()
        [[[2.0], [2.0]]]
    """

    name = "persistence"

    def forecast(self, histories: Histories, steps: int, inputs: Driving | None = None) -> Forecast:
        return np.repeat(histories[:, -1:], steps, axis=1)


class Climatology(Baseline):
    """The mean of the training part.

    Args:
        train: The training part.

    Example:
        >>> Climatology(np.array([[1.0], [3.0]])).forecast(np.zeros((1, 5, 1)), 2).tolist()
        [[[2.0], [2.0]]]
    """

    name = "climatology"

    def __init__(self, train: Rows):
        self.mean = train.mean(axis=0)

    def forecast(self, histories: Histories, steps: int, inputs: Driving | None = None) -> Forecast:
        return np.broadcast_to(self.mean, (len(histories), steps, len(self.mean))).copy()


class LinearAutoregression(Baseline):
    """x_{t+1} = c + sum_k A_k x_{t-k} + B s_{t+1}, k = 0 ... order - 1, by least squares, iterated.

    Args:
        train: The training part.
        order: Number of rows that the next one follows from.
        inputs: The inputs of the training part, (time, inputs).

    Example:
        >>> x = 0.5 ** np.arange(40.0)[:, None]
        >>> LinearAutoregression(x, order=1).forecast(np.ones((1, 3, 1)), 2).round(6).tolist()
        [[[0.5], [0.25]]]
    """

    name = "linear autoregression"

    def __init__(self, train: Rows, order: int, inputs: Rows | None = None):
        self.order = order
        rows = len(train) - order
        lags = [train[order - 1 - k : order - 1 - k + rows] for k in range(order)]
        driven = [] if inputs is None else [inputs[order:]]
        columns = np.concatenate([*lags, *driven, np.ones((rows, 1))], axis=1)
        self.weights = np.linalg.lstsq(columns, train[order:], rcond=1e-10)[0]

    def forecast(self, histories: Histories, steps: int, inputs: Driving | None = None) -> Forecast:
        starts, rows, features = histories.shape
        kept = histories[:, ::-1][:, : self.order].reshape(starts, -1)  # the latest row first
        found = np.empty((starts, steps, features))
        for t in range(steps):
            driven = [] if inputs is None else [inputs[:, rows + t]]
            after = np.concatenate([kept, *driven, np.ones((starts, 1))], axis=1) @ self.weights
            found[:, t] = np.clip(after, -LIMIT, LIMIT)
            kept = np.concatenate([found[:, t], kept[:, : kept.shape[1] - features]], axis=1)
        return found


class EchoStateNetwork(Baseline):
    """r <- tanh(A r + W [x, s] + b) with fixed random A, W, b; x_{t+1} by a ridge readout of r and r^2.

    After Jaeger and Haas 2004 and Pathak et al. 2018, who square half of the units.

    Args:
        train: The training part.
        radius: Spectral radius of A.
        scale: Size of the entries of W.
        ridge: Weight of the penalty, relative to the mean square of the readout's columns.
        inputs: The inputs of the training part.
        units: Number of units.
        seed: Seed of the random matrices.

    Example:
        >>> x = np.sin(np.arange(400.0) / 4)[:, None]
        >>> error = EchoStateNetwork(x, 0.9, 0.5, 1e-8).forecast(x[None, :300], 20)[0] - x[300:320]
        >>> bool(np.abs(error).max() < 0.01)
        True
    """

    name = "echo state network"

    def __init__(
        self,
        train: Rows,
        radius: float,
        scale: float,
        ridge: float,
        inputs: Rows | None = None,
        units: int = RESERVOIR,
        seed: int = 0,
    ):
        chance = np.random.default_rng(seed)
        read = train.shape[1] + (0 if inputs is None else inputs.shape[1])
        self.A = radius * reservoir(units, seed)
        self.W = chance.uniform(-scale, scale, (units, read))
        self.b = chance.uniform(-scale, scale, units)
        seen = read_rows(train[None], None if inputs is None else inputs[None])
        states = np.stack(list(self.driven(np.zeros((1, units)), seen)))[:, 0]
        washout = min(WASHOUT, len(states) // 4)
        columns, targets = readout_columns(states[washout:-1]), train[washout + 1 :]
        gram = columns.T @ columns
        penalty = ridge * np.trace(gram) / len(gram) * np.eye(len(gram))
        self.weights = np.linalg.solve(gram + penalty, columns.T @ targets)

    def driven(self, r: np.ndarray, seen: np.ndarray) -> Sequence[np.ndarray]:
        """States (starts, units) after each row that is read, (starts, rows, read)."""
        states = []
        for row in np.moveaxis(seen, 1, 0):
            r = np.tanh(r @ self.A.T + row @ self.W.T + self.b)
            states.append(r)
        return states

    def forecast(self, histories: Histories, steps: int, inputs: Driving | None = None) -> Forecast:
        starts, rows, features = histories.shape
        r = self.driven(np.zeros((starts, len(self.b))), read_rows(histories, inputs))[-1]
        found = np.empty((starts, steps, features))
        for t in range(steps):
            found[:, t] = np.clip(readout_columns(r) @ self.weights, -LIMIT, LIMIT)
            if t + 1 < steps:
                ahead = None if inputs is None else inputs[:, rows + t : rows + t + 2]
                r = self.driven(r, read_rows(found[:, t : t + 1], ahead))[-1]
        return found


@lru_cache(maxsize=4)
def reservoir(units: int, seed: int) -> np.ndarray:
    """A sparse random matrix (units, units) of spectral radius 1."""
    chance = np.random.default_rng((seed, units))
    A = chance.uniform(-1, 1, (units, units)) * (chance.random((units, units)) < DENSITY)
    return A / max(np.abs(np.linalg.eigvals(A)).max(), 1e-12)


def read_rows(rows: np.ndarray, inputs: np.ndarray | None) -> np.ndarray:
    """What a reservoir reads beside each row: the input of the step that follows it (the last one's, at the end)."""
    if inputs is None:
        return rows
    after = inputs[:, 1 : rows.shape[1] + 1]
    short = rows.shape[1] - after.shape[1]
    return np.concatenate([rows, np.pad(after, ((0, 0), (0, short), (0, 0)), mode="edge")], axis=2)


def readout_columns(states: np.ndarray) -> np.ndarray:
    """The states with every second unit squared, and a constant."""
    columns = states.copy()
    columns[:, ::2] **= 2
    return np.concatenate([columns, np.ones((len(states), 1))], axis=1)


class ContextParroting(Baseline):
    """What followed the most similar rows of the training part, copied (Zhang and Gilpin 2025).

    Args:
        train: The training part.
        context: Number of rows that are compared.

    Example:
        >>> x = np.tile([0.0, 1.0, 2.0], 9)[:, None]
        >>> ContextParroting(x, context=2).forecast(np.array([[[0.0], [1.0]]]), 3)[0, :, 0].tolist()
        [2.0, 0.0, 1.0]
    """

    name = "context parroting"

    def __init__(self, train: Rows, context: int):
        self.train, self.context = train, context

    def forecast(self, histories: Histories, steps: int, inputs: Driving | None = None) -> Forecast:
        length = min(self.context, histories.shape[1])
        last = len(self.train) - length - steps  # the latest place that is followed by enough rows
        if last < 0:
            return Persistence().forecast(histories, steps)
        places = np.lib.stride_tricks.sliding_window_view(self.train, length, axis=0)[: last + 1]
        library = places.transpose(0, 2, 1).reshape(last + 1, -1)
        wanted = histories[:, -length:].reshape(len(histories), -1)
        distance = np.square(library).sum(axis=1) - 2 * wanted @ library.T
        first = distance.argmin(axis=1) + length
        return self.train[first[:, None] + np.arange(steps)]


@dataclass(frozen=True)
class TrainingPart:
    """The rows that baselines are fitted to.

    Args:
        rows: Standardised observations.
        inputs: Standardised inputs, row for row; None without any.
        horizon: Steps of the forecasts by which settings are chosen.
    """

    rows: Rows
    inputs: Rows | None
    horizon: int

    def chosen(self, made: Sequence[Callable[[Rows, Rows | None], Baseline]]) -> Baseline:
        """The one of several baselines that forecasts the last fifth best, fitted again to all rows."""
        cut = int(len(self.rows) * (1 - LAST))
        steps = max(1, min(self.horizon, (len(self.rows) - cut) // 2))
        first = np.linspace(cut, len(self.rows) - steps - 1, CHOICE_STARTS).astype(int)
        histories, targets, driving = forecast_tasks(self.rows, self.inputs, first, steps)
        driven = None if self.inputs is None else self.inputs[:cut]

        def quality(make: Callable[[Rows, Rows | None], Baseline]) -> tuple[float, float]:
            forecasts = make(self.rows[:cut], driven).forecast(histories, steps, driving)
            evidence = Evidence(truth=self.rows[cut:], forecasts=forecasts, targets=targets)
            return float(valid_steps(evidence).mean()), -float(np.square(forecasts - targets).mean())

        return max(made, key=quality)(self.rows, self.inputs)


def forecast_tasks(
    rows: Rows, inputs: Rows | None, first: np.ndarray, steps: int
) -> tuple[Histories, Forecast, Driving | None]:
    """Histories that end at the rows `first`, what follows them, and the inputs of both."""
    length = int(min(HISTORY, first.min() + 1))
    before, after = first[:, None] + np.arange(1 - length, 1), first[:, None] + np.arange(1, steps + 1)
    driving = None if inputs is None else inputs[np.concatenate([before, after], axis=1)]
    return rows[before], rows[after], driving


def fitted_baselines(part: TrainingPart) -> list[Baseline]:
    """All baselines, fitted to a training part."""
    orders = [order for order in ORDERS if order * part.rows.shape[1] < len(part.rows) // 10] or [1]
    settings = [(a, b, c) for a in RADII for b in SCALES for c in RIDGES]
    return [
        Persistence(),
        Climatology(part.rows),
        part.chosen([lambda x, s, k=k: LinearAutoregression(x, k, s) for k in orders]),
        part.chosen([lambda x, s, p=p: EchoStateNetwork(x, *p, inputs=s) for p in settings]),
        part.chosen([lambda x, s, k=k: ContextParroting(x, k) for k in CONTEXTS]),
    ]
