"""A trained network as an MLflow model that forecasts. Nothing is pickled: a model is a record and this loader.

model = mlflow.pyfunc.load_model("models:/<id>")
model.predict(observed, params={"steps": 200})  # data frames in the units of the data, a column a feature

A network that inputs drive needs those to come: `observed` has their columns too, and goes on for as many rows as are
to be forecast, with inputs and without observations (NaN).
"""

import tempfile
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
    """A free run of one network from the last row observed.

    z = back((x - mean) / std), then z <- f(z) and x_hat = mean + std g(z) for `steps` samples; double precision.
    With `inputs` (their names, mean and std), z <- f(z, s) for the rows of `observed` after the last one observed.
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

    def predict(self, observed: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """Rows (steps, features) that follow the last row of `observed` that holds the columns `names`.

        Raises ValueError where inputs that the network needs do not follow that row.
        """
        values, ahead, steps = observed[self.names].to_numpy(np.float64), None, int((params or {}).get("steps", STEPS))
        if self.inputs is not None:
            seen = np.flatnonzero(np.isfinite(values).all(axis=1))[-1:]
            ahead = self.ahead(observed.iloc[int(seen[0]) + 1 :] if len(seen) else observed.iloc[:0], self.inputs)
            values, steps = values[seen], len(ahead)
        last, network = (values[-1:] - self.mean) / self.std, self.network
        with torch.no_grad():
            z = network.readout.back(torch.as_tensor(last)[None])
            run, _ = free(network.cell, network.readout, z, steps, ahead)
        return pd.DataFrame(run[:, 0, 0].numpy() * self.std + self.mean, columns=pd.Index(self.names))

    def ahead(self, rows: pd.DataFrame, inputs: InputDescription) -> torch.Tensor:
        """The inputs to come, (steps, 1, 1, inputs), standardised."""
        values = rows[list(inputs.names)].to_numpy(np.float64)
        if not len(values) or not np.isfinite(values).all():
            raise ValueError(
                f"The network is driven by {', '.join(inputs.names)}: a row observed in full must be followed by a "
                f"row for each step to forecast, which holds these inputs and no observations (NaN)."
            )
        return torch.as_tensor((values - inputs.mean) / inputs.std)[:, None, None]


def _load_pyfunc(path: str) -> Forecaster:
    """What MLflow calls with the model's data: a folder with one record."""
    (file,) = Path(path).glob("*.npz")
    return forecaster(Record.load(file))


def can_forecast(record: Record) -> bool:
    """Whether the record holds the network of a series, and the units of the data."""
    return bool(record.weights) and record.provenance.data is not None and bool(record.provenance.data.mean)


def forecaster(record: Record) -> Forecaster:
    """The network of a final record. Raises ValueError as `load_weights`."""
    data = record.provenance.data or DataDescription()
    network = build_network([record.config], len(data.names), len(data.inputs.names) if data.inputs else 0)
    load_weights(network, record.weights)
    return Forecaster(network.double(), list(data.names), np.asarray(data.mean), np.asarray(data.std), data.inputs)


def log_model(client: MlflowClient, experiment_id: str, run_id: str, record: Record) -> str:
    """The record's network as a model of its run, once: a trial that has one keeps it. Returns the model's id."""
    mine = f"tags.trial_key = '{record.trial}'"
    for model in client.search_logged_models([experiment_id], mine):
        if str(model.status) == "READY":
            return model.model_id
    tags = {"trial_key": record.trial, "cell": record.config.cell["kind"]}
    name = f"{record.config.cell['kind']}-{record.trial}"
    made = client.create_logged_model(experiment_id, name, run_id, tags, model_type=KIND)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "model"
        write(folder, record, Model(model_id=made.model_id, run_id=run_id))
        client.log_model_artifacts(made.model_id, str(folder))
    client.finalize_logged_model(made.model_id, "READY")
    client.log_outputs(run_id, [LoggedModelOutput(made.model_id, record.step)])
    return made.model_id


def write(folder: Path, record: Record, model: Model) -> None:
    """The folder of an MLflow model: the record, its signature, and an example (the data's mean)."""
    data = record.provenance.data or DataDescription()
    names, inputs = list(data.names), data.inputs
    columns = Schema([ColSpec(DataType.double, name) for name in names])
    signature = ModelSignature(columns, columns, ParamSchema([ParamSpec("steps", DataType.long, STEPS)]))
    example = pd.DataFrame([data.mean], columns=pd.Index(names))
    if inputs:  # which say how many steps are forecast
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
