"""From Python: one network, its result, weights to start from, and how objects are shown."""

import importlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from small_series import SMALL, T, X, alone  # noqa: F401

import lyapsweep
from lyapsweep.api.progress import in_notebook, sweep_bar, trial_bar
from lyapsweep.api.sweeping import sweep_name
from lyapsweep.config import Config, ConfigError
from lyapsweep.data_files import dataset_section
from lyapsweep.registry import UnknownName
from lyapsweep.results.experiment import ExperimentPaths
from lyapsweep.results.record import Outcome, Record
from lyapsweep.sweep.observe.progress import SweepProgress
from lyapsweep.trial import restore_network

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A network of a series, as `train` returns it."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)
    results = tmp_path_factory.mktemp("results")
    result = lyapsweep.train(SMALL, data=X, dt=0.1, name="mine", results=results)
    torch.set_default_dtype(before)
    return result


def test_one_network(trained):
    assert trained.record.outcome is Outcome.FINISHED
    assert trained.config.dataset["dt"] == 0.1
    assert trained.spectrum.exponents.shape == (3,)
    assert set(trained.measures) == {"loss"}
    assert set(trained.weights) >= {"cell.W"}
    assert len(trained.table) == 2
    assert trained.folder.name == "mine"


def test_training_again_returns_what_is_there(trained, monkeypatch):
    monkeypatch.setattr("lyapsweep.single_trial.SingleTrial.train", None)
    again = lyapsweep.train(SMALL, data=X.tolist(), dt=0.1, name="mine", results=trained.folder.parent)
    assert again.record.trial == trained.record.trial


def test_a_series_of_other_units_is_forecast_in_them(trained):
    found = trained.forecast(X, steps=5)
    assert found.shape == (5, 2)
    frame = pd.DataFrame(X, columns=list(trained.record.provenance.data.names), index=T)
    forecast = trained.forecast(frame, 5)
    np.testing.assert_array_equal(forecast.to_numpy(), found)
    np.testing.assert_allclose(forecast.index, T[-1] + 0.1 * np.arange(1, 6))
    np.testing.assert_array_equal(trained.forecast(torch.tensor(X[-1:]), 5), found)
    data = trained.record.provenance.data
    network, _ = restore_network(trained.config, trained.weights)
    z = network.double().readout.back(torch.as_tensor((X[-1:] - data.mean) / data.std)[None])
    expected = network.readout(network.cell.step(z))[0].detach().numpy() * data.std + data.mean
    np.testing.assert_allclose(found[:1], expected, rtol=1e-12)
    with pytest.raises(ValueError, match=r"1 or more rows of .* without gaps are needed, but got \(400, 1\)"):
        trained.forecast(X[:, 0], 5)
    with pytest.raises(ValueError, match="without gaps"):
        trained.forecast(np.full((3, 2), np.nan), 5)


def test_the_module_of_torch_is_the_forecast(trained):
    module = trained.to_torch()
    assert isinstance(module, torch.nn.Module)
    np.testing.assert_array_equal(module(torch.tensor(X[-1:]), 4)[0].detach(), trained.forecast(X, 4))
    assert module(torch.tensor(X[-3:]), 4).shape == (3, 4, 2)
    module(torch.tensor(X[-1:]), 4).sum().backward()
    assert all(p.grad is not None for name, p in module.named_parameters() if p.numel() and name.endswith("cell.W"))


def test_delays_reach_back_and_only_the_columns_are_returned(tmp_path):
    config = SMALL | {"dataset": {"dimension": 2, "delay": 3}}
    result = lyapsweep.train(config, data=X[:, 0], dt=0.1)
    assert result.forecast(X[:, 0], 4).shape == (4, 1)
    np.testing.assert_array_equal(result.forecast(X[-4:, 0], 4), result.forecast(X[:, 0], 4))
    with pytest.raises(ValueError, match="4 or more rows"):
        result.forecast(X[-3:, 0], 4)


def test_inputs_drive_the_forecast():
    config = SMALL | {"dataset": {"inputs": [1]}}
    result = lyapsweep.train(config, data=X)
    assert result.forecast(X[:, :1], 4, inputs=X[:4, 1]).shape == (4, 1)
    with pytest.raises(ValueError, match="4 rows of column 1 are needed"):
        result.forecast(X[:, :1], 4)


def test_a_task_answers():
    x = np.random.default_rng(0).normal(size=(40, 6, 2))
    result = lyapsweep.train({k: SMALL[k] for k in ("cell", "training", "lyapunov")}, data=(x, (x[:, 0, 0] > 0) * 1))
    assert result.config.measures == ["loss", "solved"]
    assert result.to_torch()(torch.tensor(x[:5])).shape == (5, 2)
    with pytest.raises(ValueError, match="to_torch"):
        result.forecast(x, 3)


def test_weights_to_start_from(trained, tmp_path):
    warm = lyapsweep.train(SMALL, data=X, dt=0.1, name="warm", weights=trained.record, changes={"training/steps": 0})
    assert warm.record.trial != trained.record.trial
    for name, weights in trained.weights.items():
        np.testing.assert_array_equal(warm.weights[name], weights)
    (file,) = (ExperimentPaths(trained.folder).records).glob("*-00000003.npz")
    by_file = lyapsweep.train(SMALL, data=X, dt=0.1, name="b", weights=file, changes={"training/steps": 0})
    assert by_file.record.trial == warm.record.trial  # the same origin, wherever it lies
    changed = {name: 2 * value for name, value in trained.weights.items()}
    other = lyapsweep.train(SMALL, data=X, dt=0.1, name="c", weights=changed, changes={"training/steps": 0})
    assert other.record.trial != warm.record.trial
    (first,) = ExperimentPaths(trained.folder).records.glob("*-00000000.npz")
    with pytest.raises(ValueError, match="holds no weights"):
        lyapsweep.train(SMALL, data=X, weights=first)
    with pytest.raises(ValueError, match="must have shape"):
        lyapsweep.train(SMALL, data=X, dt=0.1, weights=trained.record, changes={"cell/units": 4})


def test_training_goes_on_from_a_result(trained):
    longer = trained.resume(2)
    assert (longer.record.step, longer.folder) == (2, trained.folder)
    direct = lyapsweep.train(trained.config, weights=trained.record, changes={"training/steps": 2}, name="x")
    assert direct.record.trial == longer.record.trial
    np.testing.assert_array_equal(direct.weights["cell.W"], longer.weights["cell.W"])
    assert not np.array_equal(longer.weights["cell.W"], trained.weights["cell.W"])


def test_weights_change_no_id_where_there_are_none():
    content = SMALL | {"dataset": {"kind": "simulated", "system": "henon"}}
    assert Config.of(content).id == Config.of(content | {"training": {"steps": 3, "weights": None}}).id
    assert Config.of(content | {"training": {"steps": 3, "weights": "a.npz"}}).id != Config.of(content).id


def test_the_command_starts_from_a_record(trained, tmp_path):
    from click.testing import CliRunner

    from lyapsweep.cli import main
    from lyapsweep.config.command import format_config

    (tmp_path / "mine.yaml").write_text(format_config(trained.config))
    (file,) = ExperimentPaths(trained.folder).records.glob(f"{trained.record.trial}-00000003.npz")
    done = CliRunner().invoke(
        main, ["run", "mine.yaml", "--no-tracking", "--from", str(file), "--set", "training/steps=0"]
    )
    assert done.exit_code == 0, done.output
    (record,) = map(Record.load, (tmp_path / "results/mine/records").iterdir())
    np.testing.assert_array_equal(record.weights["cell.W"], trained.weights["cell.W"])


def test_wrong_arguments_are_refused_before_anything_is_written(tmp_path):
    with pytest.raises(UnknownName, match="Did you mean 'grid'"):
        lyapsweep.run_sweep(SMALL, gird={"seed": [0]}, data=X)
    with pytest.raises(ConfigError, match=r"cell/unitz"):
        lyapsweep.train(
            SMALL | {"cell": {"kind": "vanilla", "unitz": 3}, "dataset": {"kind": "simulated", "system": "henon"}}
        )
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("base", "varied", "name"),
    [
        ("lorenz63", {"grid": {"forcing/interval": [4, 8], "seed": [0]}}, "lorenz63-interval-seed"),
        ("configs/lorenz63.yaml", {"space": lambda trial: {}}, "lorenz63-sweep"),
        ("lorenz63", {"grid": {"seed": [0]}, "name": "mine"}, "mine"),
        (SMALL, {"grid": {"seed": [0]}}, "sweep"),
    ],
)
def test_a_sweep_of_a_config_is_written_beside_the_trials_that_were_trained_from_it(base, varied, name):
    """`train("lorenz63")` writes to results/lorenz63: a sweep of another config may not join it there."""
    assert sweep_name(base, varied) == name


def test_objects_are_shown_in_a_line_and_in_a_short_table(trained):
    sweep = lyapsweep.SweepResult.load(trained.folder)
    shown = [trained, trained.record, trained.config, trained.spectrum, trained.table, sweep, sweep.table.finals]
    for each in shown:
        assert len(repr(each)) < 400
        assert "\n" not in repr(each)
        assert len(each._repr_html_()) < 5000
        assert "<table>" in each._repr_html_()
    assert "nats per step" in repr(trained.spectrum)
    assert trained.config.id in repr(trained.config)


def test_text_of_records_is_escaped(trained):
    from dataclasses import replace

    found = replace(trained.record, measures={"<script>": 1.0})._repr_html_()
    assert "<script>" not in found


@pytest.mark.parametrize("package", ["lyapsweep", "lyapsweep.api", "lyapsweep.sweep", "lyapsweep.tracking"])
def test_tab_completion_shows_all_names(package):
    loaded = importlib.import_module(package)
    assert set(loaded.__all__) <= set(dir(loaded))
    assert {"cell", "training", "changed"} <= set(
        dir(Config.of(SMALL | {"dataset": {"kind": "simulated", "system": "henon"}}))
    )


def test_one_network_needs_neither_ray_nor_mlflow():
    program = "import sys, lyapsweep; lyapsweep.train; print(sorted({'ray', 'optuna', 'mlflow'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"


def test_figures(trained):
    for figure in (trained.spectrum.plot(), trained.plot_orbit(), trained.plot_history(), trained.plot_spectrum()):
        assert figure.data


def test_a_progress_bar_is_drawn_where_somebody_looks(capsys):
    progress = SweepProgress(4, 2, 1, 1, 0, 0, 2, (0.25, "gru"), 1.0, None)
    assert not in_notebook()
    with sweep_bar("loss", True) as listen:
        listen(progress)
    assert "2/4" in (drawn := capsys.readouterr().err)
    assert "best loss 0.25" in drawn
    with sweep_bar("loss", None) as listen, trial_bar(5, None):
        listen(progress)
    assert capsys.readouterr() == ("", "")


def test_a_path_is_data_too(tmp_path):
    np.save("mine.npy", X)
    assert dataset_section("mine.npy", tmp_path, {"test": 0.5}) == {"kind": "recorded", "test": 0.5, "path": "mine.npy"}
