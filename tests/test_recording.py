"""A recording's clock, its missing cells, fill values and spikes."""

import logging
import re

import numpy as np
import pandas as pd
import pytest

from lyapsweep.datasets import BadSeries, build
from lyapsweep.datasets.fill_values import suspicions
from lyapsweep.datasets.recording import Reading, read_recording
from lyapsweep.problems import check_config, suggestion
from lyapsweep.registry import UnknownName

N = 100
X = np.random.default_rng(0).normal(10, 3, N)
STAMPS = pd.date_range("2020-01-30", periods=N, freq="h")


@pytest.fixture
def recording(tmp_path):
    """Writes columns to a CSV file and reads it."""

    def reader(columns, dt=None, chosen=None, inputs=None, **reading):
        pd.DataFrame(columns).to_csv(tmp_path / "a.csv", index=False)
        return read_recording(str(tmp_path / "a.csv"), chosen, inputs, dt, 0, Reading(**reading))

    return reader


@pytest.mark.parametrize(
    ("clock", "dt", "said"),
    [
        ({"t": 0.03 * np.arange(N)}, 0.03, "column 't' is the clock, dt = 0.03; it is no state"),
        ({"Time [s]": 5 + 0.01 * np.arange(N)}, 0.01, "dt = 0.01"),
        ({"t": (np.arange(N) / 30).round(3)}, 1 / 30, "dt = 0.0333333"),  # rounded times
        ({"timestamp_ms": np.arange(N) * 40.0}, 40.0, "dt = 40"),
        ({"index": np.arange(N)}, 1.0, "column 'index' rises evenly, as an index does; it is no state"),
        ({"phase": 0.2 * np.arange(N)}, 1.0, "column 'phase' rises evenly"),
        ({"year": 1900 + np.arange(N)}, 1.0, "column 'year' is the clock, dt = 1"),
        ({"when": STAMPS.astype(str)}, 3600.0, "dt = 3600 s"),
        ({"date": STAMPS.strftime("%d.%m.%Y %H:%M")}, 3600.0, "dt = 3600 s"),  # days first
        ({"date": STAMPS.strftime("%m/%d/%Y"), "time": STAMPS.strftime("%H:%M:%S")}, 3600.0, "dt = 3600 s"),
        ({"time": STAMPS.strftime("%H:%M")}, 3600.0, "dt = 3600 s"),  # beyond midnight
        ({"date": pd.date_range("2020-01-30", periods=N).strftime("%Y%m%d")}, 86400.0, "dt = 86400"),
        ({"month": pd.date_range("2001", periods=N, freq="MS").astype(str)}, 1.0, "dt = 1 months"),
        ({"date": pd.date_range("2001", periods=N, freq="YE").astype(str)}, 12.0, "dt = 12 months"),
        ({"i": np.arange(N), "t": 0.5 * np.arange(N)}, 0.5, "column 't' is the clock, dt = 0.5"),
    ],
)
def test_a_clock_sets_dt_and_is_no_state(recording, clock, dt, said):
    found = recording({**clock, "x": X})
    assert found.names == ("x",)
    assert found.dt == pytest.approx(dt, rel=1e-3)
    assert said in "\n".join(found.remarks)
    np.testing.assert_array_equal(found.values[:, 0], X)


def test_arrays_with_a_clock_in_front(tmp_path):
    np.save(tmp_path / "a.npy", np.stack([0.25 * np.arange(N), X], axis=1))
    assert (read_recording(str(tmp_path / "a.npy")).names, read_recording(str(tmp_path / "a.npy")).dt) == (
        ("column 1",),
        0.25,
    )
    np.savez(tmp_path / "a.npz", x=X, t=0.25 * np.arange(N))
    assert read_recording(str(tmp_path / "a.npz")).dt == 0.25
    pd.DataFrame({"when": STAMPS, "x": X}).to_parquet(tmp_path / "a.parquet")
    assert read_recording(str(tmp_path / "a.parquet")).dt == 3600


def test_states_that_are_no_clocks(recording):
    for columns in ({"T": X}, {"t": X - 5}, {"step": np.cumsum(np.abs(X))}, {"x": np.sin(X)}):
        found = recording({**columns, "y": X})
        assert (len(found.names), found.dt, found.remarks) == (2, 1.0, ())


def test_a_clock_can_be_kept_named_or_denied(recording):
    columns = {"t": 0.5 * np.arange(N), "x": X, "s": 3.0 * np.arange(N)}
    assert recording(columns, time=None).names == ("t", "x", "s")
    assert recording(columns, time=None).dt == 1.0
    named = recording(columns, time="s", chosen=["x"])
    assert (named.names, named.dt) == (("x",), 3.0)
    kept = recording(columns, chosen=["t", "x"])
    assert (kept.names, kept.dt) == (("t", "x"), 0.5)
    assert "kept, as chosen" in kept.remarks[0]
    driven = recording(columns, inputs=["t"])
    assert (driven.names, driven.inputs) == (("x", "t"), 1)
    with pytest.raises(UnknownName, match="No column is called 'w'"):
        recording(columns, time="w")
    with pytest.raises(BadSeries, match="column 'x' is not even"):
        recording(columns, time="x")
    with pytest.raises(BadSeries, match="no other is left to predict"):
        recording({"t": np.arange(N)})


def test_dt_and_clock_must_agree(recording):
    columns = {"t": 0.03 * np.arange(N), "x": X}
    assert recording(columns, dt=0.0301).dt == 0.0301
    with pytest.raises(BadSeries, match=r"column 't' rises by 0.03 per row, but dt is 0.5. Leave dt out"):
        recording(columns, dt=0.5)
    dates = recording({"t": STAMPS.astype(str), "x": X}, dt=1 / 24)  # in days
    assert dates.dt == 1 / 24
    with pytest.raises(BadSeries, match="0 < dt < inf must hold, but got -1"):
        recording(columns, dt=-1.0)


def test_uneven_clocks_are_refused_or_resampled(recording):
    jitter = 0.1 * np.arange(N) + np.random.default_rng(1).uniform(-0.04, 0.04, N)
    wave = np.sin(jitter)
    with pytest.raises(BadSeries, match=r"column 'time' is not even: it moves by .* at row \d+ and mostly by"):
        recording({"time": jitter, "x": wave})
    found = recording({"time": jitter, "x": wave}, resample=True)
    even = jitter[0] + found.dt * np.arange(len(found.values))
    assert np.abs(found.values[:, 0] - np.sin(even)).max() < 0.01
    gap = np.where(np.arange(N) < 50, 0.0, 75.0) + 0.1 * np.arange(N)
    for resample in (False, True):
        with pytest.raises(BadSeries, match=r"moves by 75.1 at row 52 and mostly by 0.1"):
            recording({"time": gap, "x": X}, resample=resample)
    again = np.tile(0.1 * np.arange(N // 2), 2)
    for resample, message in ((False, "moves by -4.9 at row 52"), (True, "does not rise at row 52")):
        with pytest.raises(BadSeries, match=message):
            recording({"time": again, "x": X}, resample=resample)
    with pytest.raises(BadSeries, match="falls: the newest row comes first"):
        recording({"date": STAMPS[::-1].astype(str), "x": X}, time="date")
    with pytest.raises(BadSeries, match="is not even"):
        recording({"date": [STAMPS[i // 4].strftime("%Y-%m-%d %H:%M") for i in range(N)], "x": X})
    missing = pd.Series(0.1 * np.arange(N)).mask(np.arange(N) == 7)
    with pytest.raises(BadSeries, match="1 times of column 'time' are missing, the first at row 9"):
        recording({"time": missing, "x": X})


def test_recordings_of_one_list_have_one_step(tmp_path):
    for name, dt in (("a", 0.1), ("b", 0.2)):
        pd.DataFrame({"t": dt * np.arange(N), "x": X}).to_csv(tmp_path / f"{name}.csv", index=False)
    paths = [str(tmp_path / f"{name}.csv") for name in "ab"]
    with pytest.raises(BadSeries, match=r"b.csv: dt = 0.2 is not that of .*a.csv, 0.1"):
        build("recorded", path=paths)


def test_run_sweep_and_suggest_read_a_file_alike(tmp_path, caplog, monkeypatch):
    """One function reads it; the config's check, which both `run` and `sweep` call, says what it found."""
    from lyapsweep.config import Config

    x = [0.1, 0.1]
    for _ in range(700):
        x.append(1 - 1.4 * x[-1] ** 2 + 0.3 * x[-2])
    path = str(tmp_path / "a.csv")
    pd.DataFrame({"t": 0.2 * np.arange(len(x)), "x": x}).to_csv(path, index=False)
    series = build("recorded", path=path, lambda_max=1.0)
    assert (series.names, series.dt, series.lambda_max) == (("x",), 0.2, 0.2)
    monkeypatch.setattr(suggestion, "estimate", lambda values, seed, progress, names, *_: exit((values.shape, names)))
    with pytest.raises(SystemExit, match=re.escape("((702, 1), ('x',))")):
        suggestion.suggest_for_series(path)
    content = {"dataset": {"kind": "recorded", "path": path}, "cell": {"kind": "vanilla"}, "windows": {"length": 20}}
    with caplog.at_level(logging.WARNING, "lyapsweep"):
        check_config(Config.of(content))
    assert "column 't' is the clock, dt = 0.2; it is no state" in caplog.text
    task = {"kind": "recorded_task", "path": path, "inputs": ["x"], "targets": ["t"]}
    assert build(**task).dt == 0.2


def bad_cells(value, rows=(20, 50, 51)):
    x = X.copy()
    x[list(rows)] = value
    return x


@pytest.mark.parametrize("value", [-999, -9999.0, 9.96921e36, 1e20, 1234.5, -99.9])
def test_fill_values_are_refused_interpolated_or_kept(recording, value):
    columns = {"y": X, "x": bad_cells(value)}
    with pytest.raises(
        BadSeries, match=r"3 cells of column 'x' are .*, the first at row 22. Set missing to interpolate"
    ):
        recording(columns)
    found = recording(columns, missing="interpolate")
    assert np.abs(found.values[:, 1] - X).max() < 12
    np.testing.assert_array_equal(found.values[:, 0], X)
    assert "3 cells of column 'x' are interpolated" in found.remarks[-1]
    np.testing.assert_array_equal(recording(columns, missing="keep").values[:, 1], columns["x"])


def test_a_lone_spike_is_found_and_smooth_gaps_are_filled(recording):
    wave = np.sin(np.arange(N) / 5)
    spiky = wave.copy()
    spiky[30] = 1e6
    with pytest.raises(
        BadSeries, match=r"1 cells of column 'x' are .* ranges off all others \(1e\+06\), the first at row 32"
    ):
        recording({"x": spiky})
    gaps = pd.Series(spiky).mask(np.isin(np.arange(N), [60, 61, 62]))
    found = recording({"x": gaps}, missing="interpolate")
    assert np.abs(found.values[:, 0] - wave).max() < 0.02
    with pytest.raises(BadSeries, match="3 cells are missing or infinite, the first at row 62"):
        recording({"x": gaps}, missing="keep")
    for rows, message in (
        ((40, 55), "15 cells of column 'x' are missing in a row, from row 42"),
        ((97, 100), "an end"),
    ):
        with pytest.raises(BadSeries, match=message):
            recording(
                {"x": pd.Series(wave).mask((np.arange(N) >= rows[0]) & (np.arange(N) < rows[1]))}, missing="interpolate"
            )
    with pytest.raises(BadSeries, match="missing must be one of refuse"):
        recording({"x": wave}, missing="drop")


def test_bursts_pulses_and_heavy_tails_are_measurements():
    rng, t = np.random.default_rng(0), np.arange(5000)
    beat = np.exp(-((((t / 200) % 1 - 0.5) / 0.01) ** 2)) + 0.01 * rng.normal(size=len(t))
    burst = 0.1 * rng.normal(size=len(t)) + 20 * np.exp(-(((t - 2500) / 4) ** 2))
    pulses = (rng.random(5000) < 0.05) * 1.0
    rain = np.where(rng.random(5000) < 0.1, rng.gamma(0.5, 10, 5000), 0)
    others = [rng.standard_cauchy(500) for _ in range(20)] + [rng.pareto(1.0, 500) for _ in range(20)]
    for x in (beat, beat[:300], burst, pulses, rain, np.exp(2 * rng.normal(size=5000)), *others):
        assert suspicions(x) == []
    noisy = pulses + 0.01 * rng.normal(size=5000)
    assert suspicions(noisy) == []
    trigger = np.where(pulses > 0, 1.0, 0.01 * rng.normal(size=5000))
    assert len(suspicions(trigger)) == 1
    assert suspicions(trigger, spikes=False) == []  # an input may be one
