"""Helpers of search spaces: each suggests exactly one Optuna distribution."""

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from lyapsweep.sweep import SweepError, spaces


def suggested(suggest):
    """What a helper returns, and the distributions that it has asked Optuna for."""
    trial = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0)).ask()
    value = suggest(trial)
    return value, trial.distributions


def test_numbers_are_suggested_on_a_logarithmic_scale_with_both_ends():
    _, whole = suggested(lambda trial: spaces.log_int(trial, "forcing/interval", 1, 64))
    assert whole == {"forcing/interval": IntDistribution(1, 64, log=True)}
    _, rate = suggested(lambda trial: spaces.log_float(trial, "training/lr", 1e-4, 1e-1))
    assert rate == {"training/lr": FloatDistribution(1e-4, 1e-1, log=True)}


def test_seeds_count_from_zero():
    _, seeds = suggested(lambda trial: spaces.seed(trial, 3))
    assert seeds == {"seed": IntDistribution(0, 2)}


def test_a_kind_with_settings_is_returned_as_a_section():
    section, drawn = suggested(lambda trial: spaces.kind(trial, "forcing", {"none": {}, "sparse": {"interval": 8}}))
    assert drawn == {"forcing/kind": CategoricalDistribution(["none", "sparse"])}
    assert section in ({"forcing": {"kind": "none"}}, {"forcing": {"kind": "sparse", "interval": 8}})
    section, drawn = suggested(lambda trial: spaces.cell(trial, ["lstm", "gru"]))
    assert (section, drawn) == ({}, {"cell/kind": CategoricalDistribution(["lstm", "gru"])})


def test_two_values_are_the_fewest_of_a_grid_axis():
    assert spaces.log_points(1, 100, 2) == [1, 100]
    assert spaces.points(0, 1, 2) == [0, 1]
    for make in (spaces.points, spaces.log_points):
        with pytest.raises(SweepError, match="n >= 2"):
            make(1, 100, 1)
