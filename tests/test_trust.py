"""Reading records never runs the code that they name, unless this user ran it before or passes --trust."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
from click.testing import CliRunner
from made_up_sweeps import lr_space

from lyapsweep import load, trust
from lyapsweep.atlas import explorer
from lyapsweep.atlas.view import AtlasView
from lyapsweep.cli import main
from lyapsweep.config import Config, ConfigError
from lyapsweep.fitting.search import last_records
from lyapsweep.results.description import SweepDescription, SweepOptions
from lyapsweep.results.record import Outcome, Record
from lyapsweep.single_trial import SingleTrial
from lyapsweep.sweep import Sweep, SweepError
from lyapsweep.sweep.execute.planning import plan_sweep
from lyapsweep.sweep.execute.results_folder import ResultsFolder
from lyapsweep.sweep.plan.space import replay
from lyapsweep.tracking import forecast_models
from lyapsweep.trial import restore_network
from lyapsweep.trust import UntrustedCode, code_named

SMALL = {
    "dataset": {"kind": "simulated", "system": "henon", "length": 400},
    "cell": {"kind": "vanilla", "units": 4},
    "windows": {"length": 20, "batch": 4},
    "training": {"steps": 2},
    "lyapunov": {"steps": 20, "warmup": 5, "orbits": 2},
    "measures": ["loss"],
}
CODE = """
from pathlib import Path
import torch
Path({mark!r}).touch()
def X(rows, columns, generator, scale=0.1):
    return scale * torch.randn(rows, columns, generator=generator)
"""
PLACES = {  # settings that may name code
    "init/kind": "{file}:X",
    "cell/kind": "{file}:X",
    "readout/kind": "{file}:X",
    "forcing/kind": "{file}:X",
    "dataset/kind": "{file}:X",
    "dataset/system": "{file}:X",
    "measures": ["loss", "{file}:X"],
}


@pytest.fixture(autouse=True)
def untrusting(monkeypatch, tmp_path):
    """A process that has named no files, and a user who has run none."""
    monkeypatch.setattr(trust, "_by_user", set())
    monkeypatch.setattr(trust, "_by_records", set())
    monkeypatch.setattr(trust, "_everything", False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


@pytest.fixture
def code(tmp_path):
    """A Python file that leaves a mark when it is executed."""
    file = tmp_path / "code.py"
    file.write_text(CODE.format(mark=str(tmp_path / "EXECUTED")))
    return file


@pytest.fixture(scope="module")
def victim(tmp_path_factory):
    folder = tmp_path_factory.mktemp("results") / "victim"
    SingleTrial(Config.of(SMALL), folder).train()
    return folder


@pytest.fixture
def forged(victim, tmp_path):
    """Write the victim's records with a config that names code; return the results folder."""

    def forge(path, value):
        for source in sorted((victim / "records").glob("*.npz")):
            with np.load(source) as file:
                arrays = dict(file)
            header = json.loads(str(arrays["header"]))
            section, _, key = path.partition("/")
            header["config"] = header["config"] | ({section: {**header["config"][section], key: value}} if key else {})
            header["config"] |= {} if key else {section: value}
            (tmp_path / "results/forged/records").mkdir(parents=True, exist_ok=True)
            arrays["header"] = np.array(json.dumps(header))
            np.savez(tmp_path / "results/forged/records" / source.name, **arrays)
        return tmp_path / "results"

    return forge


def filled(value, file):
    return value.format(file=file) if isinstance(value, str) else [filled(v, file) for v in value]


@pytest.mark.parametrize("path", PLACES)
def test_reading_runs_nothing(forged, code, tmp_path, path):
    results = forged(path, filled(PLACES[path], code))
    table = load("forged", results=results)
    assert len(table.finals) == 1
    assert np.isfinite(table.finals.column("measures/loss").iloc[0])
    assert len(table.finals.column("spectra/closed loop/maximum")) == 1
    config, weights = table.finals.networks[0]
    if path not in ("measures", "forcing/kind"):  # a restored network needs neither
        with pytest.raises(UntrustedCode, match="--trust"):
            restore_network(config.changed({"seed": 3}), weights)
    assert not (tmp_path / "EXECUTED").exists()


@pytest.mark.parametrize("command", ["atlas", "sync", "status", "spectrum", "fixed-points"])
def test_no_command_runs_it(forged, code, tmp_path, command):
    results = forged("init/kind", f"{code}:X")
    last = sorted((results / "forged/records").iterdir())[-1]
    alone = command in ("spectrum", "fixed-points")
    done = CliRunner().invoke(main, [command, *([str(last)] if alone else ["forged", "--results", str(results)])])
    assert not (tmp_path / "EXECUTED").exists(), done.output
    assert done.exit_code == (2 if alone else 0), done.output
    assert "--trust" in done.output or not alone
    if command == "sync":
        table = load("forged", tracking_uri=f"sqlite:///{results}/mlflow.db")
        assert len(table.finals) == 1
        assert not (tmp_path / "EXECUTED").exists()


def test_trust_runs_it(forged, code, tmp_path):
    results = forged("init", {"kind": f"{code}:X"})
    load("forged", results=results)
    assert not (tmp_path / "EXECUTED").exists()
    config, weights = load("forged", results=results, trust=True).finals.networks[0]
    restore_network(config, weights)
    assert (tmp_path / "EXECUTED").exists()


def test_the_command_trusts_when_told(forged, code, tmp_path):
    last = sorted((forged("init", {"kind": f"{code}:X"}) / "forged/records").iterdir())[-1]
    done = CliRunner().invoke(main, ["spectrum", str(last), "--trust"])
    assert done.exit_code == 0, done.output
    assert (tmp_path / "EXECUTED").exists()


def test_a_file_that_this_user_ran_before_is_trusted_until_it_changes(code, tmp_path, monkeypatch):
    config = Config.of(SMALL | {"init": {"kind": f"{code}:X", "scale": 0.2}})
    SingleTrial(config, tmp_path / "results/mine").train()
    monkeypatch.setattr(trust, "_by_user", set())  # as in another process of this user
    found = load("mine", results=tmp_path / "results").finals.networks[0][0]
    assert found.id == config.id
    assert found.init == {"kind": f"{code}:X", "scale": 0.2}
    code.write_text(code.read_text() + "# changed\n")
    found, weights = load("mine", results=tmp_path / "results").finals.networks[0]
    with pytest.raises(UntrustedCode, match="has not run before"):
        restore_network(found, weights)
    assert not list((tmp_path / "results").rglob("trusted"))


def test_what_the_user_names_runs(code, tmp_path):
    assert Config.of(SMALL | {"init": {"kind": f"{code}:X"}}).init["scale"] == 0.1
    assert (tmp_path / "EXECUTED").exists()
    with pytest.raises(ConfigError, match="init/scael"):
        Config.of(SMALL | {"init": {"kind": f"{code}:X", "scael": 1}})


def test_stored_points_name_no_code(code, tmp_path):
    def space(trial):
        trial.suggest_categorical("init/kind", ["uniform", "gaussian"])

    sweep = Sweep(base="none.yaml", objective="loss", space=space, trials=2, name="s")
    base = Config.of(SMALL)
    assert replay(sweep, base, {"init/kind": "gaussian"}) is not None
    assert replay(sweep, base, {"init/kind": f"{code}:X"}) is None
    assert not (tmp_path / "EXECUTED").exists()


def test_a_home_that_cannot_be_written_is_no_error(code, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(code))  # a file
    SingleTrial(Config.of(SMALL | {"init": {"kind": f"{code}:X"}}), tmp_path / "results/mine").train()


def test_files_are_found_wherever_settings_name_them():
    nested = {"a": ["x.py:Y", {"kind": "deep/er.py:Z"}], "b": 3, "c": "plain", "d": "C:/w.py", "e": None}
    assert list(code_named(nested)) == ["x.py", "deep/er.py"]


def test_importing_trust_is_cheap():
    script = "import sys, lyapsweep.trust; sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_a_network_of_untrusted_code_is_not_logged_as_a_model(forged, code):
    results = forged("init", {"kind": f"{code}:X"})
    last = sorted((results / "forged/records").iterdir())[-1]
    assert not forecast_models.can_forecast(Record.load(last))
    assert forecast_models.can_forecast(Record.load(last, trust=True))


def test_a_sweep_json_names_no_code_either(victim, code, tmp_path):
    """The page's commands compare each trial with the base config that sweep.json holds."""
    folder = tmp_path / "results/forged"
    shutil.copytree(victim, folder)
    base = {"path": "base.yaml", "config": SMALL | {"init": {"kind": f"{code}:X"}}}
    (folder / "sweep.json").write_text(json.dumps({"name": "forged", "objective": "loss", "base": base}))
    (command,) = explorer.commands(AtlasView(load("forged", results=tmp_path / "results")))
    assert command.startswith("lyapsweep run base.yaml --set")
    assert not (tmp_path / "EXECUTED").exists()


@pytest.mark.parametrize("place", ["options", "base"])
def test_a_sweep_that_is_resumed_runs_no_code_that_its_folder_alone_names(code, tmp_path, monkeypatch, place):
    monkeypatch.chdir(tmp_path)
    named = f"{code}:X"
    (tmp_path / "own.yaml").write_text(json.dumps(SMALL))
    (tmp_path / "foreign.yaml").write_text(json.dumps(SMALL | {"init": {"kind": named}}))
    given = {
        "options": SweepOptions(base="own.yaml", grid={"init/kind": [named]}),
        "base": SweepOptions(base="foreign.yaml", grid={"seed": [0]}),
    }
    path = tmp_path / "results/theirs/sweep.json"
    path.parent.mkdir(parents=True)
    SweepDescription(options=given[place]).save(path)
    found = CliRunner().invoke(main, ["sweep", "theirs", "--resume", "--dry-run"])
    assert found.exit_code == 2
    assert f"{code}: sweep.json names this code, which this user has not run before" in found.output
    assert not (tmp_path / "EXECUTED").exists()
    trust.named_by_user(named)
    trust.remember()
    trust._by_user.clear()
    CliRunner().invoke(main, ["sweep", "theirs", "--resume", "--dry-run"])
    assert (tmp_path / "EXECUTED").exists()


def test_neither_a_confirmation_nor_a_fit_trains_code_that_records_alone_name(code, tmp_path):
    config = Config.of(SMALL | {"init": {"kind": f"{code}:X"}}, trust=False)
    Record(config, 2, Outcome.FINISHED, measures={"loss": 0.1}).save(tmp_path / "theirs/records")
    with pytest.raises(SweepError, match=f"trial {config.id} names code"):
        last_records(tmp_path / "theirs")
    sweep = Sweep(base=SMALL, objective="loss", space=lr_space, trials=1, intent="hunt", halving=None, confirm=2)
    with pytest.raises(SweepError, match=f"trial {config.id} names code"):
        plan_sweep(sweep, sweep.config(), ResultsFolder(tmp_path, "theirs"), resume=True)
    assert not (tmp_path / "EXECUTED").exists()
