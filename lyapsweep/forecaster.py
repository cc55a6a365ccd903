"""Trained networks that forecast or answer: as modules of torch, and on frames in the units of the data."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor, nn

from lyapsweep.datasets.assembly import embed
from lyapsweep.problems import problem_of
from lyapsweep.problems.network import build_network, load_weights
from lyapsweep.results.provenance import DataDescription, InputDescription
from lyapsweep.results.record import Record
from lyapsweep.rollout import Network, driven, free

STEPS = 100


class ForecastModule(nn.Module):
    """A network of a series as a module of torch: from the last observation to a free run.

    Args:
        network: The network, for a population of one.
        mean: Means of the features, shape (features,), in the units of the data.
        std: Their standard deviations.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, network: Network, mean: np.ndarray, std: np.ndarray):
        super().__init__()
        self.network = network
        self.register_buffer("mean", torch.as_tensor(mean, dtype=torch.float64))
        self.register_buffer("std", torch.as_tensor(std, dtype=torch.float64))

    def forward(
        self,
        observed: Float[Tensor, "batch features"],
        steps: int = STEPS,
        inputs: Float[Tensor, "batch steps inputs"] | None = None,
    ) -> Float[Tensor, "batch steps features"]:
        """Forecast `steps` rows in the units of the data; standardised inputs drive the steps where there are any."""
        start = ((observed.to(self.mean) - self.mean) / self.std)[None]
        ahead = None if inputs is None else inputs.to(self.mean).transpose(0, 1)[:, None]
        run, _ = free(self.network.cell, self.network.readout, self.network.readout.back(start), steps, ahead)
        return run[:, 0].transpose(0, 1) * self.std + self.mean


class AnswerModule(nn.Module):
    """A network of a task as a module of torch: from sequences to answers.

    Args:
        network: The network, for a population of one.
        head: "last" or "step": whether it answers once or at every step.
    """

    def __init__(self, network: Network, head: str):
        super().__init__()
        self.network, self.head = network, head

    def forward(self, inputs: Float[Tensor, "batch time inputs"]) -> Tensor:
        """Return the answers, (batch, outputs), or (batch, time, outputs) of head "step"; logits of classes."""
        first = next(self.network.parameters())
        answers = driven(self.network, inputs.to(first).transpose(0, 1)[:, None], self.head)
        return answers[0] if self.head == "last" else answers[:, 0].transpose(0, 1)


class Forecaster:
    """Forecasts by a free run of one network from the last observed row, in double precision.

    z = back((x - mean) / std), then z <- f(z) and x_hat = mean + std g(z) per step, where f is the cell and g the
    readout. With inputs s, z <- f(z, s) for the rows after the last observed one.

    Args:
        network: The network, for a population of one.
        names: The features of the series.
        mean: Their means, shape (features,), in the units of the data.
        std: Their standard deviations, shape (features,).
        inputs: Names, means and standard deviations of the driving inputs; None for an autonomous network.

    Example:
        >>> import mlflow
        >>> model = mlflow.pyfunc.load_model("models:/m-0123456789")  # doctest: +SKIP
        >>> model.predict(observed, params={"steps": 100})  # doctest: +SKIP
    """

    def __init__(
        self,
        network: Network,
        names: list[str],
        mean: np.ndarray,
        std: np.ndarray,
        inputs: InputDescription | None = None,
    ):
        self.module, self.names, self.inputs = ForecastModule(network, mean, std), names, inputs

    def predict(self, observed: pd.DataFrame, params: Mapping[str, Any] | None = None) -> pd.DataFrame:
        """Forecast the rows that follow the last observed one.

        Args:
            observed: One row per time step with the columns `names`, and those of the inputs if there are any.
            params: `steps`, the number of rows to forecast (default 100); with inputs their rows decide.

        Returns:
            A frame of shape (steps, features) in the units of the data.

        Raises:
            ValueError: If no complete inputs follow the last observed row of a driven network.
        """
        values, future = observed[self.names].to_numpy(np.float64), None
        steps = int((params or {}).get("steps", STEPS))
        if self.inputs is not None:
            last = np.flatnonzero(np.isfinite(values).all(axis=1))[-1:]
            future = self._future_inputs(observed.iloc[int(last[0]) + 1 :] if len(last) else observed.iloc[:0])
            values, steps = values[last], future.shape[1]
        with torch.no_grad():
            run = self.module(torch.as_tensor(values[-1:]), steps, future)
        return pd.DataFrame(run[0].numpy(), columns=pd.Index(self.names))

    def _future_inputs(self, rows: pd.DataFrame) -> torch.Tensor:
        """Standardised inputs, shape (1, steps, inputs)."""
        assert self.inputs is not None, "called for driven networks only"
        values = rows[list(self.inputs.names)].to_numpy(np.float64)
        if not len(values) or not np.isfinite(values).all():
            raise ValueError(
                f"The network is driven by {', '.join(self.inputs.names)}, but no complete inputs follow the last "
                "observed row. Add one row per step to forecast, with these inputs and no observations (NaN)."
            )
        return torch.as_tensor((values - self.inputs.mean) / self.inputs.std)[None]


def can_forecast(record: Record) -> bool:
    """Whether the record holds the network of a series without untrusted code, and the units of the data."""
    return (
        record.config.trusted
        and bool(record.weights)
        and record.provenance.data is not None
        and bool(record.provenance.data.mean)
    )


def forecaster(record: Record) -> Forecaster:
    """The network of a final record as a forecaster; ValueError as `load_weights`."""
    data = record.provenance.data or DataDescription()
    network = build_network([record.config], len(data.names), len(data.inputs.names) if data.inputs else 0)
    load_weights(network, record.weights)
    return Forecaster(network.double(), list(data.names), np.asarray(data.mean), np.asarray(data.std), data.inputs)


def to_module(record: Record) -> ForecastModule | AnswerModule:
    """Return the network of a final record as a module of torch in double precision.

    Raises:
        ValueError: If the record holds no weights, or they do not fit.
    """
    if can_forecast(record):
        return forecaster(record).module
    problem = problem_of(record.config)
    network = build_network([record.config], *problem.size)
    load_weights(network, record.weights)
    return AnswerModule(network.double(), problem.head)


def forecast(record: Record, history: Any, steps: int, inputs: Any = None) -> Any:
    """Forecast the rows that follow a history, by the network of a final record; of delay coordinates only the columns.

    Args:
        record: The final record of the network of a series.
        history: Rows of the series in its own units, (time, columns) or (time,), as an array, tensor or frame; as many
            as the delay coordinates span: 1 + (dimension - 1) delay.
        steps: Number of rows to forecast.
        inputs: The inputs of these rows in their own units, (steps, inputs), of a driven network.

    Returns:
        (steps, columns); for a frame a frame whose index goes on.

    Raises:
        ValueError: If the record is of a task, the history is too short or has gaps, or inputs are missing.
    """
    if record.config.trusted and not can_forecast(record):
        raise ValueError(
            f"trial {record.trial}: only the finished network of a series forecasts. Call to_torch() for a task's."
        )
    made, dataset = forecaster(record), record.config.dataset
    dimension, delay = dataset.get("dimension", 1), dataset.get("delay", 1)
    columns = made.names[::dimension]
    if isinstance(history, pd.DataFrame):
        values = history[columns].to_numpy(np.float64)
    else:
        values = np.asarray(history.detach().cpu() if hasattr(history, "detach") else history, np.float64)
        values = values.reshape(len(values), -1)
    needed = 1 + (dimension - 1) * delay
    if values.shape[1] != len(columns) or len(values) < needed or not np.isfinite(values[-needed:]).all():
        raise ValueError(
            f"history: {needed} or more rows of {', '.join(columns)} without gaps are needed, but got {values.shape}. "
            "Pass the last rows of the series, in the units of the data."
        )
    last = pd.DataFrame(embed(values[-needed:], dimension, delay), columns=pd.Index(made.names))
    if made.inputs is not None:
        ahead = np.asarray([] if inputs is None else inputs, np.float64).reshape(-1, len(made.inputs.names))
        if len(ahead) != steps:
            raise ValueError(
                f"inputs: {steps} rows of {', '.join(made.inputs.names)} are needed. Pass one row per step."
            )
        rows = pd.DataFrame(ahead, columns=pd.Index(made.inputs.names))
        last = pd.concat([last, rows], ignore_index=True)
    found = made.predict(last, {"steps": steps})[columns]
    if not isinstance(history, pd.DataFrame):
        return found.to_numpy()
    return found.set_axis(continued(history.index, steps))


def continued(index: pd.Index, steps: int) -> pd.Index:
    """The index of the rows that follow, at the step of the last two."""
    if len(index) < 2 or not (pd.api.types.is_numeric_dtype(index) or isinstance(index, pd.DatetimeIndex)):
        return pd.RangeIndex(steps)
    return pd.Index([index[-1] + (k + 1) * (index[-1] - index[-2]) for k in range(steps)], name=index.name)
