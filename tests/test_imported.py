"""Somebody else's sweep, from a file to a table: what is there is kept, what is wrong is said with its place."""

import json
import re
from pathlib import Path

import made_up_early
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from lyapsweep.analysis.settings import setting_curve
from lyapsweep.analysis.shared.selection import ended_trials
from lyapsweep.analysis.spectra import correlation
from lyapsweep.atlas import compression
from lyapsweep.cli import main
from lyapsweep.registry import UnknownName
from lyapsweep.results import imported
from lyapsweep.results.description import SweepDescription
from lyapsweep.results.imported import from_frame
from lyapsweep.results.table import BadTable

COLUMNS = {"settings": ["lr", "cell"], "outcomes": "val_loss", "exponents": "le_*", "trial": "run", "step": "epoch"}


@pytest.fixture
def frame():
    return made_up_early.frame(n=10)


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_file_is_the_frame_that_it_was_written_from(frame, tmp_path, kind):
    frame.loc[3, "le_7"], frame.loc[4, "le_2"] = -np.inf, np.nan
    path = tmp_path / f"sweep.{kind}"
    frame.to_csv(path, index=False) if kind == "csv" else frame.to_parquet(path)
    table = imported.read(path, **COLUMNS)
    assert len(table) == 30
    assert table.frame["outcome"].tolist() == ["running", "running", "finished"] * 10
    assert set(table.varied) == {"lr"} == set(table.settings) - {"cell", "cell/kind"}
    at = {(t, s): i for i, (t, s) in enumerate(zip(table.frame["trial"], table.frame["step"]))}
    spectra = table.spectra["driven"]
    assert spectra[at["t0003", 0], -1] == -np.inf
    assert np.isnan(spectra[at["t0004", 0]]).sum() == 1
    row = frame[(frame["run"] == "t0006") & (frame["epoch"] == 10)].iloc[0]
    np.testing.assert_allclose(spectra[at["t0006", 10]], np.sort(row.filter(like="le_").astype(float))[::-1])
    assert table.frame["spectra/driven/sum"][at["t0003", 0]] == -np.inf
    assert table.frame["measures/val_loss"][at["t0006", 10]] == pytest.approx(row["val_loss"])


def test_analyses_read_it(frame):
    table = from_frame(frame, **COLUMNS)
    assert correlation.find(table, resamples=20).measures[0] == "measures/val_loss"
    assert len(setting_curve.find(table, "lr", "measures/val_loss").points) == 10


def test_bits_become_nats_and_a_partial_spectrum_says_what_it_cannot(frame):
    nats, bits = (from_frame(frame, **COLUMNS, unit=u) for u in ("nats", "bits"))
    np.testing.assert_allclose(bits.spectra["driven"], nats.spectra["driven"] * np.log(2))
    up = frame.assign(**{f"le_{i}": 0.1 for i in range(8)})
    whole, part = (from_frame(up, **COLUMNS, partial=p).frame["spectra/driven/kaplan_yorke"] for p in (False, True))
    assert set(whole) == {8.0}
    assert part.isna().all()


def test_a_trial_whose_last_outcome_is_no_number_diverged_unless_a_column_says_how_it_ended(frame):
    last = frame["epoch"] == 100
    frame.loc[last & (frame["run"] == "t0002"), "val_loss"] = np.nan
    frame.loc[last & (frame["run"] == "t0004"), "val_loss"] = np.inf
    ended = from_frame(frame, **COLUMNS).finals.frame.set_index("trial")["outcome"]
    assert set(ended.index[ended == "diverged"]) == {"t0002", "t0004"}
    said = from_frame(frame.assign(end="failed"), **COLUMNS, ended="end")
    assert set(said.finals.frame["outcome"]) == {"failed"}
    with pytest.raises(UnknownName, match=r"column 'end': No outcome is called 'finishd'\. Did you mean 'finished'"):
        from_frame(frame.assign(end="finishd"), **COLUMNS, ended="end")


def test_without_columns_for_them_each_row_is_a_trial_of_one_step(frame):
    table = from_frame(frame, settings="lr", outcomes="val_loss", exponents="le_*")
    assert len(table.finals) == 30
    assert table.frame["trial"].is_unique


@pytest.mark.parametrize(
    ("change", "columns", "error", "match"),
    [
        (
            {},
            {"outcomes": "val_los"},
            UnknownName,
            r"some\.csv: No column is called 'val_los'.*Did you mean 'val_loss'",
        ),
        ({}, {"exponents": "lambda_*"}, UnknownName, r"some\.csv: No column is called 'lambda_\*'"),
        ({}, {"outcomes": []}, BadTable, "no outcome is named"),
        ({}, {"step": None}, BadTable, r"trial t0000 has two rows of step 0.*column of steps"),
        ({"le_3": "deep"}, {}, BadTable, r"some\.csv: column 'le_3' must hold numbers, but holds 'deep'"),
        ({"le_3": np.inf}, {}, BadTable, r"column 'le_3' holds inf"),
        ({"epoch": 0.5}, {}, BadTable, r"column 'epoch' must hold whole numbers"),
        ({"seconds": 1.0}, {"settings": "seconds"}, BadTable, "cannot be called 'seconds'"),
        ({}, {"settings": ["lr", "val_loss"]}, BadTable, r"column 'val_loss' changes within a trial"),
    ],
)
def test_what_is_wrong_is_said_with_file_column_and_remedy(frame, change, columns, error, match):
    with pytest.raises(error, match=match):
        from_frame(frame.assign(**change), **(COLUMNS | columns), where="some.csv")


def test_a_file_that_cannot_be_read_says_so(tmp_path):
    with pytest.raises(BadTable, match=r"sweep\.xlsx: must be a \.csv or a \.parquet file"):
        imported.read(tmp_path / "sweep.xlsx", **COLUMNS)
    with pytest.raises(BadTable, match="there is no such file"):
        imported.read(tmp_path / "sweep.csv", **COLUMNS)
    (tmp_path / "sweep.parquet").write_text("no")
    with pytest.raises(BadTable, match=r"sweep\.parquet cannot be read as parquet"):
        imported.read(tmp_path / "sweep.parquet", **COLUMNS)


def test_what_is_saved_is_loaded(frame, tmp_path):
    frame.to_csv(tmp_path / "sweep.csv", index=False)
    made = imported.save(
        tmp_path / "sweep.csv", tmp_path / "kept", SweepDescription(name="theirs", intent="map"), **COLUMNS
    )
    read = imported.load(tmp_path / "kept")
    pd.testing.assert_frame_equal(read.frame, made.frame)
    assert (read.description.name, read.description.objective) == ("theirs", "val_loss")
    (tmp_path / "kept" / "sweep.json").write_text(json.dumps({"name": "theirs"}))
    with pytest.raises(BadTable, match="Import the table again"):
        imported.load(tmp_path / "kept")


def test_the_command_line_keeps_a_table_that_the_atlas_draws(frame, tmp_path):
    file, results = tmp_path / "theirs.csv", str(tmp_path / "results")
    frame.to_csv(file, index=False)
    said = ["--settings", "lr", "--outcome", "val_loss", "--exponents", "le_*", "--trial", "run", "--step", "epoch"]
    run = CliRunner().invoke
    done = run(main, ["import", str(file), *said, "--set", "cell/kind=lstm", "--results", results])
    assert done.exit_code == 0, done.output
    assert "10 trials (10 finished), 30 rows" in done.output
    drawn = run(main, ["atlas", "theirs", "--results", results])
    assert drawn.exit_code == 0, drawn.output
    page = (tmp_path / "results/theirs/atlas.html").read_text()
    assert "10 trials" in page
    assert any(trace.name == "lstm" for fig in compression.figures(page) for trace in fig.data)
    wrong = run(main, ["import", str(file), *said[:2], "--outcome", "val_los", "--results", results])
    assert wrong.exit_code == 2
    assert "theirs.csv: No column is called 'val_los'" in wrong.output


def test_the_analyses_page_runs(tmp_path, monkeypatch):
    """The Python of docs/analyses.md, on a made-up sweep under the name that it reads."""
    page = Path(__file__).parents[1] / "docs/analyses.md"
    frame = made_up_early.frame(n=60, effect=1.0)
    trials = frame["run"].str[1:].astype(int)
    frame.assign(dropout=trials % 7 / 10).to_csv(tmp_path / "theirs.csv", index=False)
    monkeypatch.chdir(tmp_path)
    (program,) = re.findall(r"^```python\n(.*?)^```$", page.read_text(), re.DOTALL | re.MULTILINE)
    exec(program, {})
    assert (tmp_path / "gain.html").stat().st_size > 1000


OPTUNA = pd.DataFrame(  # study.trials_dataframe()
    {
        "number": range(6),
        "value": [0.4, 0.5, np.nan, 0.1, np.nan, np.nan],
        "params_lr": [0.1, 0.2, 0.3, 0.4, 0.5, 0.6],
        "state": ["COMPLETE", "PRUNED", "FAIL", "COMPLETE", "RUNNING", "WAITING"],
    }
)


def test_the_states_of_optuna_are_read_and_running_trials_are_left_out(tmp_path, caplog):
    OPTUNA.to_csv(tmp_path / "study.csv")
    table = imported.read(tmp_path / "study.csv", settings="params_*", outcomes="value", trial="number")
    assert table.frame["outcome"].tolist() == ["finished", "stopped", "failed", "finished"]
    assert table.description.trials == 4
    assert "study.csv: 2 of 6 trials had not ended and are left out." in caplog.text
    assert ended_trials(table, "measures/value").lost.tolist() == [False, True, False]


def test_the_states_of_wandb_and_mlflow_are_read():
    wandb = pd.DataFrame({"State": ["finished", "crashed", "failed", "killed", "running", "finished"]})
    table = from_frame(wandb.assign(lr=0.1, loss=[0.5, 0.6, 0.7, 0.8, 0.9, np.nan]), settings="lr", outcomes="loss")
    assert table.frame["outcome"].tolist() == ["finished", "failed", "failed", "failed", "diverged"]
    mlflow = pd.DataFrame({"status": ["FINISHED", "KILLED", "SCHEDULED"], "lr": 0.1, "loss": 0.5})
    assert from_frame(mlflow, settings="lr", outcomes="loss").frame["outcome"].tolist() == ["finished", "failed"]
    with pytest.raises(BadTable, match="table: no trial has ended, by column 'status'"):
        from_frame(mlflow.iloc[2:], settings="lr", outcomes="loss")


def test_a_column_of_other_states_is_no_ending(frame):
    """Of a network's state, of a country, or chosen as a setting."""
    ends = from_frame(frame.assign(state="chaotic"), **COLUMNS).finals.frame["outcome"]
    assert set(ends) == {"finished"}
    settings = {**COLUMNS, "settings": ["lr", "state"]}
    assert set(from_frame(frame.assign(state="failed"), **settings).finals.frame["outcome"]) == {"finished"}
