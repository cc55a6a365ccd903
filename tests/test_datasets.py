"""The exam that every dataset sits: settings with types, parts that are finite and standardised."""

import inspect

import numpy as np
import pytest

from lyapsweep.datasets import DATASETS, BadSeries, Series, build, is_task
from lyapsweep.datasets.series import scaled
from lyapsweep.registry import UnknownName


def simulate(**settings):
    return build("simulated", **({"system": "lorenz63", "length": 1500} | settings))


@pytest.mark.parametrize("kind", list(DATASETS))
def test_every_setting_is_a_keyword_with_a_type(kind):
    for name, knob in DATASETS.knobs(kind).items():
        assert knob.kind is knob.KEYWORD_ONLY, name
        assert knob.annotation is not inspect.Parameter.empty, name


@pytest.mark.parametrize("kind", [kind for kind in DATASETS if not is_task(kind)])
def test_series_of_every_kind(kind, tmp_path):
    np.save(tmp_path / "table.npy", np.random.default_rng(0).standard_normal((300, 2)))
    series = simulate() if kind == "simulated" else build("recorded", path=str(tmp_path / "table.npy"))
    assert series.train.dtype == np.float64
    assert np.isfinite(series.train).all()
    assert np.isfinite(series.test).all()
    assert series.dt > 0
    assert len(series.names) == series.features == series.test.shape[1]
    np.testing.assert_allclose(series.train.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(series.train.std(axis=0), 1, atol=1e-12)


def test_settings_are_checked_by_name():
    with pytest.raises(UnknownName, match=r"No dataset is called 'simulate'. Did you mean 'simulated'"):
        build("simulate")
    with pytest.raises(UnknownName, match=r"setting of dataset 'simulated' is called 'lenght'. Did you mean 'length'"):
        build("simulated", system="lorenz63", lenght=3)


def test_a_series_is_made_once_a_process():
    assert simulate() is simulate()
    assert simulate() is not simulate(seed=1)


def test_one_scale_for_all_columns_keeps_their_proportions():
    values = np.stack([np.arange(5.0), 10 * np.arange(5.0) + 3], axis=1)
    scored, mean, std = scaled(values, ("a", "b"), "here", "global")
    assert mean.tolist() == [values.mean()] * 2
    assert std.tolist() == [values.std()] * 2
    assert np.ptp(scored[:, 1]) == pytest.approx(10 * np.ptp(scored[:, 0]))
    assert (scored.mean(), scored.std()) == (pytest.approx(0), pytest.approx(1))
    for same, other in ((True, "column"), (False, "none")):
        np.testing.assert_array_equal(scaled(values, ("a", "b"), "", same)[0], scaled(values, ("a", "b"), "", other)[0])
    with pytest.raises(UnknownName, match=r"here: No standardisation is called 'globl'. Did you mean 'global'"):
        scaled(values, ("a", "b"), "here", "globl")


def test_inputs_are_set_apart_and_in_step_with_what_they_drive(tmp_path):
    t = np.arange(300.0)
    np.save(tmp_path / "driven.npy", np.stack([np.sin(t), t, np.cos(t)], axis=1))
    path = str(tmp_path / "driven.npy")
    series = build("recorded", path=path, inputs=[1], dimension=2, delay=3, standardise="none", test=0.5)
    assert series.names == ("column 0", "column 0(t-3)", "column 2", "column 2(t-3)")
    np.testing.assert_allclose(series.train[:, 0], np.sin(series.train_inputs[:, 0]))
    np.testing.assert_allclose(series.train[:, 1], np.sin(series.train_inputs[:, 0] - 3), atol=1e-9)
    np.testing.assert_allclose(series.test[:, 2], np.cos(series.test_inputs[:, 0]))
    assert (series.inputs, len(series.train), len(series.test)) == (1, 147, 147)
    with pytest.raises(BadSeries, match="every column is an input"):
        build("recorded", path=path, inputs=[0, 1, 2])


def test_pieces_add_up():
    rows = np.zeros((10, 1))
    about = {"dt": 1.0, "names": ("x",), "mean": np.zeros(1), "std": np.ones(1)}
    assert Series(rows, rows, **about).pieces == (10,)
    with pytest.raises(BadSeries, match=r"pieces of \(3, 4\) rows do not add up to 10"):
        Series(rows, rows, pieces=(3, 4), **about)
