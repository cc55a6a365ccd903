"""A trained network as an MLflow model that forecasts. Nothing is pickled: a model is a record and this loader.

model = mlflow.pyfunc.load_model("models:/<id>")
model.predict(observed, params={"steps": 200})  # data frames in the units of the data, one column per feature

A network that inputs drive needs future inputs: `observed` has their columns too, and continues for the steps to
forecast with inputs and without observations (NaN).
"""

import tempfile
from pathlib import Path

import pandas as pd
from mlflow import MlflowClient, pyfunc
from mlflow.entities import LoggedModelOutput
from mlflow.models import Model, ModelSignature
from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema

from lyapsweep import __version__
from lyapsweep.forecaster import STEPS, Forecaster, forecaster
from lyapsweep.forecaster import can_forecast as can_forecast
from lyapsweep.results.provenance import DataDescription
from lyapsweep.results.record import Record

KIND = "lyapsweep forecaster"  # MLflow's model_type, by which models can be searched


def _load_pyfunc(path: str) -> Forecaster:
    """Called by MLflow with the model's data: a folder with one record."""
    (file,) = Path(path).glob("*.npz")
    return forecaster(Record.load(file))


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
