"""Buckets, sentiment and recorded tasks: against water counted another way, words counted, files written by hand."""

import math

import numpy as np
import pytest

from lyapsweep.datasets import BadSeries, BadTask, build
from lyapsweep.datasets.buckets import daily, fill
from lyapsweep.registry import UnknownName

EVERYTHING = ["snow", "soil", "flow"]


def in_mm(task, part: str) -> np.ndarray:
    values = getattr(task, f"{part}_targets")[0]
    mean, std = (np.array([task.notes[f"{t}/{k}"] for t in EVERYTHING]) for k in ("mean", "std"))
    return values * std + mean


# ---- buckets -------------------------------------------------------------------------------------------------------
def test_water_is_where_a_second_count_finds_it():
    """Snow as the running maximum of a deficit, soil by cases, and every millimetre accounted for."""
    task = build("buckets", years=6, targets=EVERYTHING, seed=3)
    weather = daily(7 * 365, np.random.default_rng(3))
    rain, warmth = weather.T
    heat = np.maximum(warmth, 0)
    frozen = np.where(warmth > 0, 0.0, rain)
    balance = np.concatenate(
        [[0.0], np.cumsum(frozen - 3 * heat)]
    )  # a queue: its content is the balance over its minimum
    snow = (balance - np.minimum.accumulate(np.minimum(balance, 0)))[1:]
    melt = frozen - np.diff(snow, prepend=0.0)
    soil, flow, state = np.empty_like(snow), np.empty_like(snow), 0.0
    for day, inflow in enumerate(rain - frozen + melt):
        available = 0.99 * state + inflow - 0.1 * heat[day]
        state = min(max(available, 0.0), 300.0)
        soil[day], flow[day] = state, max(available - 300.0, 0.0)
    wanted = np.stack([snow, soil, flow], axis=1)[365:]
    cut = len(wanted) - round(0.25 * len(wanted))
    np.testing.assert_allclose(in_mm(task, "train"), wanted[:cut], atol=1e-8)
    np.testing.assert_allclose(in_mm(task, "test"), wanted[cut:], atol=1e-8)
    seen = weather[365:]
    np.testing.assert_allclose(task.test_inputs[0], (seen[cut:] - seen[:cut].mean(0)) / seen[:cut].std(0), atol=1e-10)


@pytest.mark.parametrize("keep", [0.9, 0.99])
def test_soil_forgets_at_the_rate_that_is_documented(keep):
    """One wet warm day, then frost without snow: what is left falls by a factor e in the memory."""
    weather = np.array([[50.0, 1.0], *[[0.0, -5.0]] * 300])
    soil = fill(weather, keep)[:, 1]
    memory = build("buckets", years=2, keep=keep).notes["memory"]
    assert -1 / np.polyfit(np.arange(301), np.log(soil), 1)[0] == pytest.approx(memory, rel=1e-9)
    assert memory == pytest.approx(-1 / math.log(keep))


def test_weather_is_seasonal_and_in_its_units():
    rain, warmth = daily(365 * 60, np.random.default_rng(0)).T
    year = warmth.reshape(60, 365).mean(axis=0)
    assert abs(int(year.argmin()) - 15) < 20
    assert (year.max() - year.min()) / 2 == pytest.approx(12, abs=1.5)
    assert (rain > 0).mean() == pytest.approx(0.25 / (0.25 + 0.4), abs=0.01)
    assert rain[rain > 0].mean() == pytest.approx(8, abs=0.3)
    wander = (warmth.reshape(60, 365) - year).ravel()
    assert np.corrcoef(wander[1:], wander[:-1])[0, 1] == pytest.approx(0.7, abs=0.02)


def test_what_the_mean_and_the_day_alone_lose():
    task = build("buckets", years=10)
    assert task.baseline == pytest.approx(np.square(task.test_targets).mean())
    assert 0.3 < task.notes["memoryless"] / task.baseline < 1  # temperature knows the season, but not the water
    assert task.stream


# ---- sentiment -----------------------------------------------------------------------------------------------------
def test_sentiment_is_the_sign_of_the_words():
    task = build("sentiment", length=9, train=300, test=50)
    weight = {"+": 1, "-": -1, "0": 0}
    weights = [weight[name.split("(")[1][0]] for name in task.names]
    assert sorted(weights) == [-1] * 5 + [0] * 10 + [1] * 5
    for review, answer in zip(task.train_inputs.tolist(), task.train_targets.tolist()):
        total = sum(weights[word] for word in review)
        assert total != 0
        assert answer == (total > 0)
    assert task.baseline == pytest.approx(math.log(2))
    assert 0.4 < task.train_targets.mean() < 0.6


# ---- a recording ---------------------------------------------------------------------------------------------------
def written(folder, rows):
    file = folder / "basin.csv"
    file.write_text("\n".join(["rain,flow,place", *rows]))
    return str(file)


def rows_of(days: int) -> list[str]:
    return [f"{math.sin(t):.6f},{math.cos(t / 3):.6f},here" for t in range(days)]


def test_columns_of_a_file_drive_and_are_answered(tmp_path):
    path = written(tmp_path, rows_of(100))
    task = build("recorded_task", path=path, inputs=["rain"], targets=["flow"], test=0.2, skip=10, dt=0.5)
    t = np.arange(10, 100)
    rain, flow = np.sin(t), np.cos(t / 3)
    np.testing.assert_allclose(task.train_inputs[0, :, 0], (rain[:72] - rain[:72].mean()) / rain[:72].std(), atol=1e-5)
    np.testing.assert_allclose(task.test_targets[0, :, 0], (flow[72:] - flow[:72].mean()) / flow[:72].std(), atol=1e-5)
    assert (task.dt, task.names, task.stream) == (0.5, ("rain",), True)
    assert task.notes["flow/std"] == pytest.approx(flow[:72].std(), abs=1e-5)


@pytest.mark.parametrize(
    ("rows", "settings", "error", "text"),
    [
        (rows_of(100), {"targets": ["flwo"]}, UnknownName, "No column is called 'flwo'. Did you mean 'flow'"),
        (rows_of(100), {"targets": ["rain"]}, BadSeries, "input 'rain' is also a column to predict"),
        (rows_of(100), {"targets": ["place"]}, BadSeries, "row 2, column 'place' holds 'here'"),
        (rows_of(30), {}, BadSeries, "30 rows after skip=0 with test=0.25 leave 22 to train on and 8 held out"),
        ([*rows_of(99), ",1,here"], {}, BadSeries, "1 cells are missing or infinite, the first at row 101"),
        (["1,2,here"] * 100, {}, BadSeries, "column 'rain' is constant"),
    ],
)
def test_files_that_cannot_be_learnt_from(tmp_path, rows, settings, error, text):
    chosen = {"inputs": ["rain"], "targets": ["flow"]} | settings
    with pytest.raises(error, match=text):
        build("recorded_task", path=written(tmp_path, rows), **chosen)


@pytest.mark.parametrize("settings", [{"years": 1}, {"test": 1.0}, {"keep": 1.0}])
def test_buckets_that_cannot_be(settings):
    (name,) = settings
    with pytest.raises(BadTask, match=f"but got.*{name}={next(iter(settings.values()))}"):
        build("buckets", **settings)
    with pytest.raises(UnknownName, match="No column is called 'sno'"):
        build("buckets", targets=["sno"])
