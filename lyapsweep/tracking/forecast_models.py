"""A trained network as an MLflow model that forecasts. Nothing is pickled: a model is a record and this loader.

model = mlflow.pyfunc.load_model("models:/<id>")
model.predict(observed, params={"steps": 200})  # data frames in the units of the data, one column per feature

A network that inputs drive needs future inputs: `observed` has their columns too, and continues for the steps to
forecast with inputs and without observations (NaN).
"""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from mlflow import MlflowClient, pyfunc
from mlflow.entities import LoggedModelOutput
from mlflow.models import Model, ModelSignature
from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema

from lyapsweep import __version__
from lyapsweep.problems.network import build_network, load_weights
from lyapsweep.results.provenance import DataDescription, InputDescription
from lyapsweep.results.record import Record
from lyapsweep.rollout import Network, free

STEPS = 100
KIND = "lyapsweep forecaster"  # MLflow's model_type, by which models can be searched


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
        self.network, self.names, self.mean, self.std, self.inputs = network, names, mean, std, inputs

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
            values, steps = values[last], len(future)
        with torch.no_grad():
            start = torch.as_tensor((values[-1:] - self.mean) / self.std)[None]
            z = self.network.readout.back(start)
            run, _ = free(self.network.cell, self.network.readout, z, steps, future)
        return pd.DataFrame(run[:, 0, 0].numpy() * self.std + self.mean, columns=pd.Index(self.names))

    def _future_inputs(self, rows: pd.DataFrame) -> torch.Tensor:
        """Standardised inputs, shape (steps, 1, 1, inputs)."""
        assert self.inputs is not None, "called for driven networks only"
        values = rows[list(self.inputs.names)].to_numpy(np.float64)
        if not len(values) or not np.isfinite(values).all():
            raise ValueError(
                f"The network is driven by {', '.join(self.inputs.names)}, but no complete inputs follow the last "
                "observed row. Add one row per step to forecast, with these inputs and no observations (NaN)."
            )
        return torch.as_tensor((values - self.inputs.mean) / self.inputs.std)[:, None, None]


def _load_pyfunc(path: str) -> Forecaster:
    """Called by MLflow with the model's data: a folder with one record."""
    (file,) = Path(path).glob("*.npz")
    return forecaster(Record.load(file))


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


def log_model(client: MlflowClient, experiment_id: str, run_id: str, record: Record) -> str:
    """Log the record's network as a model of its run, unless the trial has one; return the model's id."""
    for model in client.search_logged_models([experiment_id], f"tags.trial_key = '{record.trial}'"):
        if str(model.status) == "READY":
            return model.model_id
    tags = {"trial_key": record.trial, "cell": record.config.cell["kind"]}
    name = f"{record.config.cell['kind']}-{record.trial}"
    model = client.create_logged_model(experiment_id, name, run_id, tags, model_type=KIND)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "model"
        write(folder, record, Model(model_id=model.model_id, run_id=run_id))
        client.log_model_artifacts(model.model_id, str(folder))
    client.finalize_logged_model(model.model_id, "READY")
    client.log_outputs(run_id, [LoggedModelOutput(model.model_id, record.step)])
    return model.model_id


def write(folder: Path, record: Record, model: Model) -> None:
    """Write the folder of an MLflow model: the record, its signature, an example (the data's mean)."""
    data = record.provenance.data or DataDescription()
    names, inputs = list(data.names), data.inputs
    columns = Schema([ColSpec(DataType.double, name) for name in names])
    signature = ModelSignature(columns, columns, ParamSchema([ParamSpec("steps", DataType.long, STEPS)]))
    example = pd.DataFrame([data.mean], columns=pd.Index(names))
    if inputs:  # their rows decide how many steps are forecast
        given = Schema([*columns.inputs, *(ColSpec(DataType.double, name) for name in inputs.names)])
        signature = ModelSignature(given, columns)
        ahead = pd.DataFrame([inputs.mean] * 2, columns=pd.Index(inputs.names))
        example = pd.concat([example.reindex(range(2)), ahead], axis=1)
    with tempfile.TemporaryDirectory() as scratch:
        record.save(scratch)
        pyfunc.save_model(
            folder,
            loader_module=__name__,
            data_path=scratch,
            mlflow_model=model,
            signature=signature,
            input_example=example,
            pip_requirements=[f"lyapsweep=={__version__}"],
        )
