"""Networks as MLflow models: what is forecast, and what is logged."""

import importlib
import warnings
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from mlflow.models import Model

from lyapsweep import forecaster
from lyapsweep.config import Config
from lyapsweep.results.provenance import InputDescription
from lyapsweep.results.record import Outcome
from lyapsweep.tracking import Forecaster, forecast_models
from lyapsweep.trial import run_trial

CONFIG = {
    "dataset": {"kind": "simulated", "system": "lorenz63", "length": 600, "dt": 0.02},
    "cell": {"kind": "vanilla", "units": 4},
    "windows": {"length": 20, "batch": 4},
    "training": {"steps": 1},
    "lyapunov": {"steps": 20, "warmup": 5, "orbits": 2},
    "measures": ["loss"],
}


@pytest.fixture(scope="module")
def record():
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)
    *_, last = run_trial(Config.of(CONFIG))
    torch.set_default_dtype(before)
    return last


class Doubling:
    """A network of one feature whose state doubles at each step, plus its input."""

    class cell:
        inputs = 1

    class readout:
        @staticmethod
        def back(x):
            return x


@pytest.fixture
def runs(monkeypatch):
    """What a free run is asked for; it yields the start, doubled at each step, plus the inputs."""
    asked = []

    def free(cell, readout, z, steps, inputs):
        asked.append((z, steps, inputs))
        states = [z[0, 0] * 2.0 ** (t + 1) + (0 if inputs is None else inputs[t, 0, 0]) for t in range(steps)]
        return torch.stack(states)[:, None, None], None

    monkeypatch.setattr(forecaster, "free", free)
    return asked


def test_a_forecast_starts_from_the_last_row_in_the_units_of_the_data(runs):
    made = Forecaster(Doubling, ["x"], np.array([10.0]), np.array([2.0]))
    observed = pd.DataFrame({"other": [0.0, 0.0], "x": [5.0, 14.0]})
    forecast = made.predict(observed, {"steps": 3})
    assert list(forecast.columns) == ["x"]
    assert forecast["x"].tolist() == [18.0, 26.0, 42.0]  # 10 + 2 z, z = 2 doubled
    assert runs[0][0].dtype == torch.float64
    made.predict(observed)
    assert runs[1][1] == forecast_models.STEPS == 100


def driven():
    inputs = InputDescription(("u",), (1.0,), (0.5,))
    return Forecaster(Doubling, ["x"], np.array([0.0]), np.array([1.0]), inputs)


def test_inputs_to_come_decide_how_much_is_forecast(runs):
    observed = pd.DataFrame({"x": [1.0, 3.0, np.nan, np.nan], "u": [0.0, 0.0, 1.0, 2.0]})
    forecast = driven().predict(observed, {"steps": 50})
    assert forecast["x"].tolist() == [6.0, 14.0]  # 2 z + (1 - 1) / 0.5, 4 z + (2 - 1) / 0.5
    z, steps, inputs = runs[0]
    assert (z.shape, steps, inputs.shape) == ((1, 1, 1), 2, (2, 1, 1, 1))


@pytest.mark.parametrize(
    "observed",
    [
        {"x": [1.0, 3.0], "u": [0.0, 0.0]},
        {"x": [1.0, np.nan], "u": [0.0, np.nan]},
        {"x": [np.nan, np.nan], "u": [0.0, 0.0]},
    ],
)
def test_a_driven_network_without_inputs_to_come_is_an_error(runs, observed):
    with pytest.raises(ValueError, match=r"driven by u, but no complete inputs follow"):
        driven().predict(pd.DataFrame(observed))


def test_only_final_records_of_series_can_forecast(record):
    assert forecast_models.can_forecast(record)
    assert not forecast_models.can_forecast(replace(record, weights={}))


def test_the_forecaster_of_a_record(record, tmp_path):
    made = forecast_models.forecaster(record)
    assert list(made.names) == ["x", "y", "z"]
    assert all(p.dtype == torch.float64 for p in made.module.parameters())
    record.save(tmp_path)
    loaded = forecast_models._load_pyfunc(str(tmp_path))
    observed = pd.DataFrame([[1.0, 2.0, 25.0]], columns=["x", "y", "z"])
    pd.testing.assert_frame_equal(loaded.predict(observed, {"steps": 2}), made.predict(observed, {"steps": 2}))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        old = importlib.import_module("lyapsweep.tracking.forecast")  # which models logged by 0.1 name
    assert old._load_pyfunc is forecast_models._load_pyfunc


def test_a_models_folder_has_signature_example_and_requirements(record, tmp_path):
    forecast_models.write(tmp_path / "model", record, Model())
    model = Model.load(str(tmp_path / "model"))
    assert [column.name for column in model.signature.inputs] == ["x", "y", "z"]
    assert [column.name for column in model.signature.outputs] == ["x", "y", "z"]
    (steps,) = model.signature.params.params
    assert (steps.name, steps.default) == ("steps", 100)
    assert model.flavors["python_function"]["loader_module"] == "lyapsweep.tracking.forecast_models"
    assert "lyapsweep==" in (tmp_path / "model" / "requirements.txt").read_text()
    assert [f.name for f in (tmp_path / "model").rglob("*.npz")] == [record.filename]


class Models:
    def __init__(self, *status):
        self.calls, self.found = [], [SimpleNamespace(model_id=f"m{i}", status=s) for i, s in enumerate(status)]

    def search_logged_models(self, experiments, query):
        self.calls.append(("search", experiments, query))
        return self.found

    def __getattr__(self, name):
        def call(*args, **options):
            self.calls.append((name, *args, *options.values()))
            return SimpleNamespace(model_id="new")

        return call


def test_a_network_is_logged_once_as_a_model_of_its_run(record, monkeypatch):
    written = []
    monkeypatch.setattr(forecast_models, "write", lambda folder, r, model: written.append((r, model)))
    client = Models("PENDING")
    assert forecast_models.log_model(client, "7", "run", record) == "new"
    names = [call[0] for call in client.calls]
    assert names == ["search", "create_logged_model", "log_model_artifacts", "finalize_logged_model", "log_outputs"]
    assert client.calls[0] == ("search", ["7"], f"tags.trial_key = '{record.trial}'")
    tags = {"trial_key": record.trial, "cell": "vanilla"}
    assert client.calls[1][1:] == ("7", f"vanilla-{record.trial}", "run", tags, forecast_models.KIND)
    assert client.calls[3][1:] == ("new", "READY")
    (output,) = client.calls[4][2]
    assert (client.calls[4][1], output.model_id, output.step) == ("run", "new", record.step)
    assert (written[0][1].model_id, written[0][1].run_id) == ("new", "run")
    ready = Models("PENDING", "READY")
    assert forecast_models.log_model(ready, "7", "run", record) == "m1"
    assert len(ready.calls) == 1


def test_the_record_is_final(record):
    assert record.outcome is Outcome.FINISHED
