"""Arrays, frames, tensors and torch datasets as files of an experiment that configs name."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from lyapsweep.config import Config
from lyapsweep.data_files import dataset_section
from lyapsweep.datasets import BadSeries, BadTask, build
from lyapsweep.results.record import Outcome, Record

X = np.random.default_rng(0).normal(size=(120, 2)).cumsum(axis=0)
CELL = {"cell": {"kind": "gru", "units": 3}, "windows": {"length": 20}}


def series(data, folder, **given):
    return build(**dataset_section(data, folder, given))


@pytest.mark.parametrize(
    "data",
    [
        X,
        X.tolist(),
        torch.tensor(X),
        torch.tensor(X, requires_grad=True),
        pd.DataFrame(X),
        [X],
        X[None],
        X.astype("f4"),
    ],
    ids=["array", "lists", "tensor", "with gradient", "frame", "one trajectory", "three axes", "single precision"],
)
def test_a_series_is_read_back_whatever_holds_it(data, tmp_path):
    found = series(data, tmp_path)
    np.testing.assert_allclose(found.train * found.std + found.mean, X[:90], rtol=1e-6)
    assert found.test.shape == (30, 2)


@pytest.mark.parametrize("data", [X[:, 0], X[:, 0].tolist(), pd.Series(X[:, 0], name="height")])
def test_one_column(data, tmp_path):
    assert series(data, tmp_path).train.shape == (90, 1)


@pytest.mark.parametrize(
    ("index", "dt"),
    [
        (pd.date_range("2020-01-01", periods=120, freq="h"), 3600),
        (pd.date_range("2020-01-01", periods=120, freq="h", tz="Europe/Berlin"), 3600),
        (pd.timedelta_range(0, periods=120, freq="20ms"), 0.02),
        (pd.period_range("2020-01-01", periods=120, freq="D"), 86400),
        (pd.Index(0.25 * np.arange(120)), 0.25),
        (pd.RangeIndex(120), 1),
        (pd.Index([f"row {i}" for i in range(120)]), 1),
    ],
    ids=["dates", "dates of a zone", "durations", "periods", "numbers", "rows", "labels"],
)
def test_an_index_of_times_gives_the_time_step_and_is_no_state(index, dt, tmp_path):
    found = series(pd.DataFrame(X, index=index, columns=["a", "b"]), tmp_path)
    assert found.dt == pytest.approx(dt)
    assert found.names == ("a", "b")


def test_uneven_times_are_refused_with_the_row(tmp_path):
    times = np.arange(120.0)
    times[60:] += 5
    with pytest.raises(BadSeries, match="60"):
        series(pd.DataFrame(X, index=times), tmp_path)


def test_trajectories_differ_in_length_and_windows_never_cross(tmp_path):
    found = series([X, X[:50] + 1, torch.tensor(X[:80] - 1)], tmp_path, test=0.5)
    assert found.pieces == (120, 50, 40)


def test_further_settings_and_the_time_step_are_kept(tmp_path):
    section = dataset_section(X, tmp_path, {"dimension": 2, "delay": 3, "kind": "recorded"}, dt=0.5)
    assert (section["dimension"], section["dt"]) == (2, 0.5)
    assert build(**section).features == 4


def test_equal_data_are_one_file_and_one_trial_wherever_they_lie(tmp_path):
    here, there = (dataset_section(X, tmp_path / name) for name in ("here", "there"))
    assert dataset_section(X.copy(), tmp_path / "here") == here
    assert len(list((tmp_path / "here/data").iterdir())) == 1
    assert here["path"] != there["path"]
    assert Config.of({"dataset": here} | CELL).id == Config.of({"dataset": there} | CELL).id
    other = dataset_section(X + 1e-9, tmp_path / "here")
    assert Config.of({"dataset": other} | CELL).id != Config.of({"dataset": here} | CELL).id


def test_a_moved_folder_keeps_its_data(tmp_path):
    config = Config.of({"dataset": dataset_section(X, tmp_path / "old")} | CELL)
    Record(config, 9, Outcome.FINISHED).save(tmp_path / "old/records")
    (tmp_path / "old").rename(tmp_path / "new")
    (file,) = (tmp_path / "new/records").iterdir()
    found = Record.load(file)
    assert Path(found.config.dataset["path"]).parent == tmp_path / "new/data"
    assert found.config.id == found.trial == config.id


def test_inputs_and_targets_of_one_stream(tmp_path):
    task = series((X[:, :1], X[:, 1]), tmp_path)
    assert (task.stream, task.head, task.inputs, task.outputs) == (True, "step", 1, 1)


SEQUENCES = np.random.default_rng(1).normal(size=(40, 7, 2))
CLASSES = np.random.default_rng(2).integers(0, 3, 40)


@pytest.mark.parametrize(
    ("inputs", "targets", "expected"),
    [
        (SEQUENCES, CLASSES, ("last", "cross_entropy", 3, 2)),
        (SEQUENCES, SEQUENCES.sum(axis=(1, 2)), ("last", "mse", 1, 2)),
        (SEQUENCES, SEQUENCES[:, -1], ("last", "mse", 2, 2)),
        (SEQUENCES, SEQUENCES[:, :, :1], ("step", "mse", 1, 2)),
        (SEQUENCES, SEQUENCES[:, :, 0], ("step", "mse", 1, 2)),
        (SEQUENCES, (SEQUENCES[:, :, 0] > 0).astype(int), ("step", "cross_entropy", 2, 2)),
        ((SEQUENCES[:, :, 0] > 0).astype(int), CLASSES, ("last", "cross_entropy", 3, 2)),
    ],
    ids=["classes", "a number", "numbers", "numbers per step", "one per step", "classes per step", "symbols"],
)
def test_sequences_and_their_targets(inputs, targets, expected, tmp_path):
    task = series((inputs, targets), tmp_path)
    assert (task.head, task.loss, task.outputs, task.inputs) == expected
    assert (len(task.train_inputs), len(task.test_inputs)) == (30, 10)
    held_out = series((inputs, targets, inputs[:5], targets[:5]), tmp_path)
    assert (len(held_out.train_inputs), len(held_out.test_inputs)) == (40, 5)
    assert Config.of({"dataset": dataset_section((inputs, targets), tmp_path), "cell": {"kind": "gru"}}).readout["kind"]


def test_the_baseline_is_the_best_constant_of_the_training_part(tmp_path):
    targets = np.repeat([0.0, 4.0], [30, 10])
    assert series((SEQUENCES, targets), tmp_path).baseline == pytest.approx(16.0)
    classes = np.repeat([0, 1], [30, 10])
    assert series((SEQUENCES, classes), tmp_path).baseline == pytest.approx(np.log(32))


def test_a_torch_dataset(tmp_path):
    pairs = torch.utils.data.TensorDataset(torch.tensor(SEQUENCES), torch.tensor(CLASSES))
    from_arrays = dataset_section((SEQUENCES, CLASSES), tmp_path)
    assert dataset_section(pairs, tmp_path) == from_arrays


class Ragged(torch.utils.data.Dataset):
    def __len__(self):
        return 4

    def __getitem__(self, i):
        return torch.zeros(i + 1, 2), 0


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        (np.zeros((2, 3, 4, 5)), BadSeries, r"\(2, 3, 4, 5\)"),
        (np.zeros(0), BadSeries, r"\(0,\)"),
        (np.array(["a", "b"]), ValueError, "real numbers are needed"),
        ((X, X[:5]), BadTask, "differ in length"),
        ((X, X, X), BadTask, "3 entries"),
        (Ragged(), BadTask, "differ in shape"),
        (torch.utils.data.ChainDataset([]), BadTask, "no length|pairs"),
        (pd.DataFrame(X, index=pd.MultiIndex.from_product([range(2), range(60)])), BadSeries, "several levels"),
    ],
    ids=["four axes", "nothing", "words", "lengths", "three parts", "ragged", "no length", "levels"],
)
def test_what_is_no_data_is_refused(data, error, message, tmp_path):
    with pytest.raises(error, match=message):
        dataset_section(data, tmp_path)
