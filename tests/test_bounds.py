"""What scores mean on some data: intervals of floors, surrogates, blind measures; and settings at the floor."""

import logging
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from lyapsweep import datasets, systems
from lyapsweep.config import Config
from lyapsweep.evaluation.truth import truth_evidence
from lyapsweep.measures import MEASURES, Evidence
from lyapsweep.measures.bounds import Bounds, indistinct, random_walk, sine, white_noise
from lyapsweep.measures.state_space import state_space
from lyapsweep.problems import blind_measures
from lyapsweep.results.best import best_setting
from lyapsweep.results.floors import reaches_floor, seed_interval
from lyapsweep.results.table import Table
from lyapsweep.results.winner import score_sentence, setting_name, tie_sentence
from lyapsweep.sweep.execute.dataset_check import check_objective


def bounds_of(truth: np.ndarray, pool: np.ndarray, *names: str) -> Bounds:
    evidence = Evidence(truth=truth, reference=pool[: len(truth)], pool=pool, generated=truth, orbits=5)
    return Bounds.of({name: MEASURES[name] for name in names}, evidence)


@pytest.fixture(scope="module")
def lorenz() -> np.ndarray:
    system = systems.build("lorenz63", 0.03)
    return system.trajectory(system.start(1, torch.Generator().manual_seed(1)), 30000)[1000:]


def test_a_power_spectrum_of_200_rows_that_cannot_tell_a_sine_from_lorenz_says_so(lorenz):
    found = bounds_of(lorenz[:200], lorenz[200:1400], "power_spectrum")
    assert found.floors["power_spectrum"] == pytest.approx(0.0287, abs=1e-4)
    assert "a sine" in found.alike("power_spectrum", "minimise")
    long = bounds_of(lorenz[:5000], lorenz[5000:20000], "power_spectrum", "state_space")
    assert long.alike("power_spectrum", "minimise") == long.alike("state_space", "minimise") == []


def test_twenty_channels_of_ninety_rows_leave_both_measures_blind():
    system = systems.build("lorenz96", 0.05, sites=20)
    rows = system.trajectory(system.start(1, torch.Generator().manual_seed(1)), 900)[500:]
    rows = (rows - rows.mean(axis=0)) / rows.std(axis=0)
    found = bounds_of(rows[270:360], rows[:270], "power_spectrum", "state_space")
    for name in ("power_spectrum", "state_space"):
        assert "a sine" in found.alike(name, "minimise")


def test_the_floors_interval_is_that_of_independent_samples(lorenz):
    """From a training part twice as long as the truth, against pieces of the whole long series."""
    truth, rest = lorenz[:1000], lorenz[1000:]
    estimated = bounds_of(truth, rest[:3000], "state_space").floors
    pieces = [rest[i : i + 1000] for i in range(0, 26000, 1000)]
    independent = np.array([state_space(Evidence(truth=truth, generated=piece)) for piece in pieces])
    assert estimated["state_space/low"] <= estimated["state_space"] <= estimated["state_space/high"]
    inside = (independent >= 0.8 * estimated["state_space/low"]) & (independent <= estimated["state_space/high"])
    assert inside.mean() > 0.7
    assert estimated["state_space/high"] < 1.5 * independent.max()


def test_the_truth_predicts_itself_and_surrogates_do_not(lorenz):
    series = datasets.build("simulated", system="lorenz63", dt=0.03, length=2000, test=0.5)
    names = ("prediction_error", "prediction_error_hess2023")
    found = Bounds.of({name: MEASURES[name] for name in names}, truth_evidence(series))
    for name in names:
        assert found.floors[name] == found.floors[f"{name}/high"] == 0
        assert found.surrogates[f"{name}/mean"] == pytest.approx(1, abs=0.2)
        assert found.surrogates[f"{name}/white noise"] == pytest.approx(2, abs=0.3)
        assert found.surrogates[f"{name}/random walk"] > 0.5
        assert found.alike(name, "minimise") == []


@pytest.mark.parametrize("make", [sine, white_noise, random_walk])
def test_surrogates_have_the_moments_of_the_truth(make, lorenz):
    truth = lorenz[:500]
    run = make(truth)
    assert np.allclose(run.mean(axis=0), truth.mean(axis=0))
    assert np.allclose(run.std(axis=0), truth.std(axis=0))
    assert make is not sine or (np.abs(np.fft.rfft(run[:, 0] - run[:, 0].mean())) > 1e-6).sum() == 1


def test_a_dead_network_as_good_as_the_truth_is_named():
    assert indistinct("minimise", 0.95, 0.95, 1.0, {}) == ["a network at rest"]
    assert indistinct("minimise", 0.85, 0.9, 1.0, {"sine": 0.91}) == []
    assert indistinct("minimise", 0.85, 0.9, 1.0, {"sine": 0.9, "random walk": 0.5}) == ["a sine", "a random walk"]
    assert indistinct("maximise", 1.0, 1.0, 1.0, {"sine": 1.0}) == []


def test_a_blind_objective_is_told_before_training(caplog):
    short = {"kind": "simulated", "system": "lorenz63", "length": 800}
    measures = ["loss", "power_spectrum"]
    config = Config.of({"dataset": short, "cell": {"kind": "gru"}, "measures": measures})
    assert list(blind_measures(config)) == ["power_spectrum"]
    assert blind_measures(config, ("loss",)) == {}
    with caplog.at_level(logging.WARNING):
        check_objective([config, config.changed({"seed": 1})], "power_spectrum")
    (told,) = caplog.messages
    assert told.startswith("The objective power_spectrum is blind on simulated: lorenz63: it cannot tell a sine")


# At the floor


def table(scores: dict[str, list[float]], floor: tuple[float, float] = (np.nan, np.nan), **columns) -> Table:
    """One row per seed of each setting; NaN is a lost trial."""
    rows = [(name, seed, value) for name, values in scores.items() for seed, value in enumerate(values)]
    frame = pd.DataFrame(rows, columns=["cell/kind", "seed", "measures/state_space"])
    frame["outcome"] = np.where(frame["measures/state_space"].isna(), "diverged", "finished")
    frame = frame.assign(trial=[f"{i:02d}" for i in range(len(frame))], step=9, final=True, **columns)
    low, high = floor
    return Table(
        frame.assign(**{"floors/state_space": low, "floors/state_space/low": low, "floors/state_space/high": high})
    )


def test_settings_at_the_floor_are_tied_whatever_their_medians():
    made = table({"a": [0.21, 0.22, 0.23], "b": [0.28, 0.3, 0.4], "c": [0.29, 0.5, 0.6]}, floor=(0.1, 0.3))
    best = best_setting(made, "measures/state_space")
    assert best.at_floor
    assert best.ties == ((3, 4, 5),)
    said = tie_sentence(made, best, "measures/state_space")
    assert said.startswith("At the floor (0.1 to 0.3): as good as the measure can tell on these data. Tied with b:")
    above = best_setting(table({"a": [0.21, 0.22], "b": [0.28, 0.3]}, floor=(0.1, 0.2)), "measures/state_space")
    assert not above.at_floor
    assert above.ties == ()


@pytest.mark.parametrize(
    ("own", "data", "said"),
    [
        (
            [-0.01, 0.1, -0.02],
            0.12,
            "not chaotic (largest exponent -0.01 per step, median of all), although the data are (0.12).",
        ),
        ([0.1, 0.1, 0.1], 0.12, ""),
        ([-0.01, -0.01, -0.01], 0.0, ""),
        ([-0.01, -0.01, -0.01], np.nan, ""),
    ],
)
def test_a_setting_at_the_floor_whose_networks_are_not_chaotic_as_the_data_are_is_said_so(own, data, said):
    made = table({"a": [0.21, 0.22, 0.23]}, floor=(0.1, 0.3), **{"data/lambda_max": data, "data/lambda_stderr": 0.01})
    spectra, errors = {"closed loop": np.array(own)[:, None]}, {"closed loop": np.full((3, 1), 0.001)}
    made = replace(made, spectra=spectra, spectra_stderr=errors)
    text = tie_sentence(made, best_setting(made, "measures/state_space"), "measures/state_space")
    assert text.startswith("At the floor")
    assert text.endswith(said or "on these data.")


def test_the_best_setting_is_the_best_by_the_median_over_seeds_not_the_one_with_the_best_seed():
    made = table({"lucky": [0.1, 0.9, 0.9], "good": [0.3, 0.2, 0.25]}, **{"test/state_space": 0.5})
    best = best_setting(made, "measures/state_space")
    assert best.rows == (4, 5, 3), "its best trial first"
    assert (best.median, best.low, best.high) == pytest.approx((0.25, 0.225, 0.275))
    assert best.ties == ()
    assert setting_name(made, 4) == "good"
    assert score_sentence(best).startswith("validation 0.25 (0.225 to 0.275), test 0.5 (0.5 to 0.5)")


def test_lost_trials_count_as_the_worst():
    made = table({"half": [0.1, 0.1, np.nan, np.nan], "whole": [0.5, 0.5, 0.5, 0.5]}, floor=(0.0, 0.2))
    best = best_setting(made, "measures/state_space")
    assert made.finals.frame["cell/kind"].iloc[best.rows[0]] == "whole"
    assert best.ties == ()
    only = table({"only": [0.1, 0.2, np.nan]}, **{"test/state_space": [0.3, 0.4, np.nan]})
    lost = best_setting(only, "measures/state_space")
    assert (lost.median, lost.test) == (0.2, 0.4)


def test_one_seed_of_three_does_not_bring_a_setting_to_the_floor():
    scores = {"twelve": [0.253, 0.285, 0.292], "eight": [0.431, 0.445, 4.747], "five": [0.473, 14.77, 14.77]}
    made = table(scores, floor=(0.288, 0.513))  # of the flagship sweep
    best = best_setting(made, "measures/state_space")
    assert best.at_floor
    assert best.ties == ((3, 4, 5),)
    low, high = seed_interval(np.array(scores["five"]))
    assert (low, high) == pytest.approx(((0.473 + 14.77) / 2, 14.77))
    assert not reaches_floor("minimise", (low, high), (0.288, 0.513), 14.77)


def test_a_setting_reaches_the_floor_by_the_interval_of_its_seeds():
    assert reaches_floor("minimise", (0.3, 0.9), (0.1, 0.3), 0.5)
    assert not reaches_floor("minimise", (0.31, 0.9), (0.1, 0.3), 0.5)
    assert not reaches_floor("minimise", (0.2, 0.9), (0.1, 0.3), np.inf), "half of its seeds were lost"
    assert reaches_floor("maximise", (0.5, 1.0), (1.0, 1.0), 0.9)
    assert not reaches_floor("minimise", (0.2, 0.9), (np.nan, np.nan), 0.5)
    assert seed_interval(np.arange(8.0)) == (1.75, 5.25)
    assert seed_interval(np.array([3.0, np.inf, 1.0])) == (1.5, 2.5)
    assert np.isnan(seed_interval(np.array([]))).all()


def test_records_without_an_interval_have_their_floor_as_one():
    frame = table({"a": [0.3, 0.3], "b": [0.31, 0.32]}, floor=(0.305, 0.305)).frame
    old = Table(frame.drop(columns=["floors/state_space/low", "floors/state_space/high"]))
    assert best_setting(old, "measures/state_space").at_floor
    assert best_setting(replace(old, frame=frame.drop(columns="floors/state_space")), "measures/state_space").at_floor
