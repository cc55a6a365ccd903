"""`lyapsweep fit` without training at scale: analysis, space, files, budget, ranking, export, forecasts, resuming."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from lyapsweep.config import Config, ConfigError
from lyapsweep.datasets import BadSeries
from lyapsweep.fitting.baselines import Persistence
from lyapsweep.fitting.budget import Budget, Cost, divide
from lyapsweep.fitting.export import ScriptableForecaster, save_torchscript
from lyapsweep.fitting.forecasts import forecast_test_part, interval
from lyapsweep.fitting.pipeline import fit
from lyapsweep.fitting.plan import FitRequest, read_plan, write_plan
from lyapsweep.fitting.ranking import Criterion
from lyapsweep.fitting.search import FRESH, fresh_seeds
from lyapsweep.fitting.search_space import choose_space
from lyapsweep.fitting.series_analysis import SeriesAnalysis
from lyapsweep.fitting.sweep_files import SweepFiles
from lyapsweep.forecaster import forecast
from lyapsweep.problems.suggestion import SeriesSuggestion, Suggestion
from lyapsweep.results.record import Outcome, Record
from lyapsweep.sweep.plan.definition import load
from lyapsweep.sweep.plan.errors import SweepError
from lyapsweep.sweep.plan.sampling import draw
from lyapsweep.trial import run_trial


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    chance = np.random.default_rng(0)
    t = np.arange(1200) * 0.2
    columns = np.stack([np.sin(t), np.cos(1.3 * t), np.sin(2 * t)], axis=1) + 0.02 * chance.standard_normal((1200, 3))
    np.save("waves.npy", columns)
    pd.DataFrame(columns, columns=pd.Index(["x", "y", "rain"])).to_csv("driven.csv", index=False)
    return tmp_path


@pytest.fixture
def only_persistence(monkeypatch):
    monkeypatch.setattr("lyapsweep.fitting.forecasts.fitted_baselines", lambda part: [Persistence()])


def first_rows(rows, scored):
    """The standardised rows from which forecasts start."""
    starts = np.linspace(0, len(rows) - scored.targets.shape[1] - 1, len(scored.targets)).astype(int)
    return (rows[starts] - scored.mean) / scored.std


class Embedded:
    """An estimate of which only the embedding is used."""

    def __init__(self, dimension, delay, period=30.0):
        self.embedding = type("E", (), {"dimension": dimension, "delay": delay, "period": period})()


def analysis(exponent=0.03, dimension=1, against=(), **further):
    suggestion = Suggestion(exponent, exponent * 0.98, exponent * 1.02, 0.1, against)
    found = SeriesSuggestion(suggestion, Embedded(dimension, 4), ("x",))  # type: ignore[arg-type]
    given = {"path": "waves.npy", "columns": ("0", "1", "2"), "inputs": (), "dt": 0.1, "rows": 1200, "period": 30.0}
    return SeriesAnalysis(**{**given, "suggestion": found, **further})


def tiny(**changes):
    content = {
        "dataset": {"kind": "recorded", "path": "waves.npy", "dt": 0.1},
        "cell": {"kind": "shallow_plrnn", "units": 6, "hidden": 8},
        "forcing": {"kind": "sparse", "interval": 5},
        "windows": {"length": 20, "batch": 4},
        "training": {"steps": 30, "lr": 1e-2},
        "lyapunov": {"steps": 60, "warmup": 10, "orbits": 2},
        "measures": ["loss", "state_space", "prediction_error", "prediction_time"],
    }
    return Config.of(content).changed(changes)


def trained(**changes):
    return list(run_trial(tiny(**changes)))[-1]


def test_intervals_are_a_quarter_to_one_predictability_time():
    found = analysis(exponent=math.log(2) / 40)
    assert found.intervals == (10, 40)
    assert choose_space(found).intervals == (10, 14, 20, 28, 40)
    assert found.lambda_max == pytest.approx(math.log(2) / 4)


def test_without_evidence_of_chaos_intervals_follow_the_period_and_no_exponent_is_told():
    found = analysis(against=("no growth",))
    assert (found.lambda_max, found.intervals) == (None, (2, 15))
    assert choose_space(found).base.dataset["lambda_max"] is None


def test_windows_hold_two_of_the_longest_intervals():
    space = choose_space(analysis(exponent=math.log(2) / 40))
    assert (space.base.windows.length, space.base.windows.batch) == (80, 13)


def test_one_column_is_delay_embedded_and_the_config_fits_the_data():
    found = analysis(dimension=3, columns=("0",))
    space = choose_space(found, columns=[0])
    assert (space.base.dataset["dimension"], space.base.dataset["delay"], found.features) == (3, 4, 3)
    many = choose_space(analysis(dimension=4, columns=("0", "1", "2")))
    assert many.units == (40, 60)  # room for twelve numbers per step


def test_the_time_step_is_the_users():
    assert choose_space(analysis(), dt=0.1).base.dataset["dt"] == 0.1
    assert choose_space(analysis()).base.dataset["dt"] == 1.0  # read off the file


def test_intervals_fit_into_the_windows_of_a_short_series():
    space = choose_space(analysis(exponent=math.log(2) / 40, rows=250))
    assert (space.base.windows.length, space.intervals) == (23, (10, 11))


def test_a_series_too_short_for_windows_is_refused():
    with pytest.raises(
        ConfigError,
        match="120 rows are too few: 8 windows of 20 steps need 160 rows of states to train on, and there are 90",
    ):
        choose_space(analysis(exponent=math.log(2) / 40, rows=120))


def test_the_sweep_file_draws_valid_points_of_the_space():
    space = choose_space(analysis())
    files = SweepFiles.write(space, Path("out"), "waves", 'Which network learns "waves"?', trials=40)
    sweep = load(files.sweep)
    points = [point.config for point in draw(sweep)]
    assert (len(points), sweep.objective, sweep.question) == (40, "state_space", "Which network learns 'waves'?")
    assert {c.cell["kind"] for c in points} == {"shallow_plrnn", "plrnn", "vanilla"}
    assert {c.forcing["interval"] for c in points if c.forcing["kind"] == "sparse"} == set(space.intervals)
    assert {c.cell["kind"] for c in points if c.forcing["kind"] == "generalised"} == {"shallow_plrnn"}
    assert all(c.training.lr_end == pytest.approx(c.training.lr / 100) for c in points)
    assert Config.load(files.config) == space.base


def test_fresh_seeds_belong_to_their_settings():
    configs = [tiny(), tiny(**{"cell/units": 9})]
    space = fresh_seeds(configs, 2)
    for seed, units in ((FRESH + 1, 6), (2 * FRESH, 9)):
        trial = type("T", (), {"suggest_categorical": lambda self, name, seeds, seed=seed: seed})()
        assert space(trial)["cell"]["units"] == units  # type: ignore[arg-type,index]


def test_a_small_budget_says_so_and_a_large_one_does_not():
    cost = Cost(update=1e-3, evaluation=0.5)
    enough = divide(600.0, cost, 9000, jobs=2, fresh=9)
    assert (enough.steps, enough.shortage) == (9000, "")
    assert enough.seconds is not None
    assert enough.search_seconds is not None
    assert enough.search_seconds < enough.seconds <= 600
    small = divide(120.0, cost, 9000, jobs=2, fresh=9)
    assert small.steps < 9000
    assert "are wanted: allow" in small.shortage
    assert divide(600.0, cost, 9000, jobs=4, fresh=9).trials > enough.trials
    assert divide(600.0, replace(cost, load=5.0), 9000, jobs=2, fresh=9).trials < enough.trials


def record(score, exponent=0.03, valid=10.0, outcome=Outcome.FINISHED, seed=0):
    spectrum = type("S", (), {"maximum": exponent})()
    floors = {"state_space": 1.0, "state_space/low": 0.9, "state_space/high": 1.2}
    measures = {"state_space": score, "prediction_time/samples": valid}
    return Record(tiny(seed=seed), 9, outcome, {"closed loop": spectrum}, measures, floors)  # type: ignore[dict-item]


def test_settings_at_the_floor_are_told_apart_by_exponent_and_forecasts():
    criterion = Criterion("state_space", lambda_max=0.03, half_width=0.0005)
    best = record(1.15, 0.031, valid=90)
    others = [
        record(1.0, 0.031, valid=60),  # at the floor, too
        record(0.95, 0.01, valid=99),  # another exponent
        record(1.5, 0.03, valid=99),  # not at the floor
        record(0.9, outcome=Outcome.UNBOUNDED),
    ]
    ranked = sorted([[r] for r in (*others[::-1], best)], key=criterion.key)
    assert [r[0] for r in ranked] == [best, *others]


def test_a_setting_of_which_one_seed_is_not_chaotic_ranks_behind_one_without():
    criterion = Criterion("state_space", lambda_max=0.03, half_width=0.0005)
    steady = [record(1.1, 0.031, valid=40, seed=s) for s in range(3)]
    mixed = [record(1.0, e, valid=50, seed=s) for s, e in enumerate((0.03, 0.03, -0.01))]
    assert (criterion.misfits(steady), criterion.misfits(mixed)) == (0, 1)
    assert criterion.key(steady) < criterion.key(mixed)


def test_the_median_over_seeds_decides_and_lost_ones_are_the_worst():
    criterion = Criterion("state_space")
    steady = [record(1.5, seed=s) for s in range(3)]
    lucky = [record(1.0), *(record(9.0, outcome=Outcome.UNBOUNDED, seed=s) for s in (1, 2))]
    assert criterion.key(steady) < criterion.key(lucky)


def test_torchscript_forecasts_the_bits_of_the_module(tmp_path):
    found = trained()
    module = ScriptableForecaster(found)
    again = torch.jit.load(save_torchscript(found, tmp_path / "model.pt"))
    observed, inputs = torch.as_tensor(np.load("waves.npy")[:4]), torch.zeros(4, 25, 0).double()
    assert torch.equal(again(observed, inputs, 25), module(observed, inputs, 25))
    reloaded = ScriptableForecaster(Record.load(found.save(tmp_path)))
    assert torch.equal(reloaded(observed, inputs, 25), module(observed, inputs, 25))


def test_the_module_forecasts_what_the_measures_score(only_persistence):
    found = trained()
    scored = forecast_test_part([found, found])
    rows = np.load("waves.npy")[-300:]  # the held-out quarter, too short for two parts
    ours = ScriptableForecaster(found)(torch.as_tensor(rows[:1]), torch.zeros(1, 40, 0).double(), 40)[0].numpy()
    assert scored.networks[0, 0, :40] * scored.std + scored.mean == pytest.approx(ours, abs=1e-9)
    assert scored.targets[0, :40] * scored.std + scored.mean == pytest.approx(rows[1:41], abs=1e-9)
    assert scored.network.valid_steps == pytest.approx(found.measures["prediction_time/samples"])
    assert scored.network.error == pytest.approx(found.measures["prediction_error"])
    assert scored.baselines[0].error == pytest.approx(
        np.square(scored.targets[:, 19] - first_rows(rows, scored)).mean()
    )


def test_forecasts_of_embedded_columns_take_and_return_columns():
    found = trained(**{"dataset/columns": [0], "dataset/dimension": 3, "dataset/delay": 4})
    history = np.load("waves.npy")[:20, 0]
    module = ScriptableForecaster(found)
    rows = forecast(found, history, 5)
    assert rows.shape == (5, 1)
    state = torch.tensor([[history[-1], history[-5], history[-9]]])
    assert rows[:, 0] == pytest.approx(module(state, torch.zeros(1, 5, 0).double(), 5)[0, :, 0].numpy())
    with pytest.raises(ValueError, match=r"9 or more rows of .* without gaps"):
        forecast(found, history[:8], 5)


def test_driven_networks_need_future_inputs(only_persistence):
    found = trained(**{"dataset/path": "driven.csv", "dataset/inputs": ["rain"]})
    rows = pd.read_csv("driven.csv").to_numpy()
    observed, ahead = rows[900:901, :2], rows[901:911, 2:]
    ours = forecast(found, observed, 10, ahead)
    scored = forecast_test_part([found])
    assert scored.networks[0, 0, :10] * scored.std + scored.mean == pytest.approx(ours, abs=1e-9)
    with pytest.raises(ValueError, match="10 rows of rain are needed"):
        forecast(found, observed, 10)


def test_the_interval_covers_another_draw_in_nine_of_ten_cases():
    draws = np.random.default_rng(0).standard_normal((4, 4000, 1, 1))
    low, high = interval(draws[:3])
    assert ((low < draws[3]) & (draws[3] < high)).mean() == pytest.approx(0.9, abs=0.02)


def test_several_recordings_are_refused():
    with pytest.raises(BadSeries, match="one recording is needed"):
        fit([np.zeros((90, 1)), np.ones((90, 1))])


def test_a_plan_is_kept_and_another_fit_is_refused(tmp_path):
    request, budget = FitRequest("waves.npy", dt=0.1), Budget(12, 900, 60.0, 40.0, "little time")
    assert read_plan(tmp_path, request, resume=True) is None
    write_plan(tmp_path, request, budget)
    assert read_plan(tmp_path, replace(request, minutes=9), resume=True) == budget
    with pytest.raises(SweepError, match="Resume it with --resume"):
        read_plan(tmp_path, request, resume=False)
    with pytest.raises(SweepError, match="it holds a fit of"):
        read_plan(tmp_path, replace(request, dt=0.2), resume=True)
    (tmp_path / "fit.json").write_text("{}")
    with pytest.raises(SweepError, match="describes no fit"):
        read_plan(tmp_path, request, resume=True)
