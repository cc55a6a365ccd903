"""A trained network as an MLflow model that forecasts. Nothing is pickled: a model is a record and this loader.

model = mlflow.pyfunc.load_model("models:/<id>")
model.predict(observed, params={"steps": 200})  # data frames in the units of the data, a column a feature
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
from lyapsweep.record import Record
from lyapsweep.rollout import Network, free
from lyapsweep.trial import build, load

STEPS = 100
KIND = "lyapsweep forecaster"  # MLflow's model_type, by which models can be searched


class Forecaster:
    """A free run of one network from the last row observed.

    z = back((x - mean) / std), then z <- f(z) and x_hat = mean + std g(z) for `steps` samples; double precision.
    """

    def __init__(self, network: Network, names: list[str], mean: np.ndarray, std: np.ndarray):
        self.network, self.names, self.mean, self.std = network, names, mean, std

    def predict(self, observed: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """Rows (steps, features) that follow the last row of `observed`, which has the columns `names`."""
        last = (observed[self.names].to_numpy(np.float64)[-1:] - self.mean) / self.std
        network, steps = self.network, int((params or {}).get("steps", STEPS))
        with torch.no_grad():
            run, _ = free(network.cell, network.readout, network.readout.back(torch.as_tensor(last)[None]), steps)
        return pd.DataFrame(run[:, 0, 0].numpy() * self.std + self.mean, columns=pd.Index(self.names))


def _load_pyfunc(path: str) -> Forecaster:
    """What MLflow calls with the model's data: a folder with one record."""
    (file,) = Path(path).glob("*.npz")
    return forecaster(Record.load(file))


def can_forecast(record: Record) -> bool:
    """Whether the record holds the network of a series, and the units of the data."""
    return bool(record.weights) and "mean" in (record.provenance.get("data") or {})


def forecaster(record: Record) -> Forecaster:
    """The network of a final record. Raises ValueError as `trial.load`."""
    data = record.provenance["data"]
    network = build([record.config], len(data["names"]))
    load(network, record.weights)
    return Forecaster(network.double(), data["names"], np.asarray(data["mean"]), np.asarray(data["std"]))


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
    data = record.provenance["data"]
    columns = Schema([ColSpec(DataType.double, name) for name in data["names"]])
    steps = ParamSchema([ParamSpec("steps", DataType.long, STEPS)])
    with tempfile.TemporaryDirectory() as scratch:
        record.save(scratch)
        pyfunc.save_model(
            folder,
            loader_module=__name__,
            data_path=scratch,
            mlflow_model=model,
            signature=ModelSignature(columns, columns, steps),
            input_example=pd.DataFrame([data["mean"]], columns=data["names"]),
            pip_requirements=[f"lyapsweep=={__version__}"],
        )
