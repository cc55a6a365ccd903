"""The best trials: of a sweep and of groups, with directions, ties, lost trials and missing values."""

import numpy as np
import pandas as pd
import pytest

from lyapsweep.registry import UnknownName
from lyapsweep.results.best import best_of_groups, direction, rank_trials, ranking_key
from lyapsweep.results.description import SweepDescription
from lyapsweep.results.headline import headline_map
from lyapsweep.results.table import Table

LOSSES = {"a": 0.3, "b": 0.1, "c": np.nan, "d": 0.0, "e": 0.1, "f": np.inf, "g": 0.05}
OUTCOMES = {"d": "diverged", "g": "stopped"}


def table(**description) -> Table:
    frame = pd.DataFrame({"trial": list(LOSSES), "measures/loss": list(LOSSES.values())})
    frame["measures/prediction_time"] = -frame["measures/loss"]
    frame["outcome"] = [OUTCOMES.get(trial, "finished") for trial in LOSSES]
    frame["cell/kind"] = ["gru", "gru", "gru", "lstm", "lstm", "lstm", None]
    running = frame.assign(step=0, final=False, outcome="running", **{"measures/loss": -1.0})
    return Table(pd.concat([running, frame.assign(step=9, final=True)]), description=SweepDescription(**description))


def names(table: Table, rows: list[int]) -> list[str]:
    return table.finals.frame["trial"].iloc[rows].tolist()


def test_finished_trials_with_finite_values_are_ranked_and_ties_go_by_name():
    made = table(objective="loss", direction="minimise")
    assert names(made, rank_trials(made)) == ["b", "e", "a"]
    assert names(made, rank_trials(made, "measures/prediction_time")) == ["b", "e", "a"]
    upwards = table(objective="loss", direction="maximise")
    assert names(upwards, rank_trials(upwards)) == ["a", "b", "e"]
    assert names(made, rank_trials(made, among=np.array([True, False, True, True, True, True, True]))) == ["e", "a"]


def test_a_sweep_without_a_measured_objective_has_no_best_trial_and_a_misspelt_column_is_an_error():
    assert rank_trials(table()) == best_of_groups(table(), ["cell/kind"]) == []
    assert rank_trials(table(objective="accuracy")) == []
    with pytest.raises(UnknownName, match="measures/loss"):
        rank_trials(table(objective="loss"), "measures/los")


def test_each_group_has_its_best_and_no_columns_are_one_group():
    made = table(objective="loss")
    assert names(made, best_of_groups(made, ["cell/kind"])) == ["b", "e"]
    assert names(made, best_of_groups(made, [])) == ["b"]


def test_the_direction_is_the_sweeps_or_the_measures_own():
    assert direction(table(objective="loss", direction="maximise"), "measures/loss") == "maximise"
    assert direction(table(objective="loss", direction="maximise"), "measures/prediction_time") == "maximise"
    assert direction(table(objective="loss"), "measures/loss") == "minimise"
    assert direction(table(), "spectra/driven/maximum") == "minimise"


def test_one_key_ranks_single_trials_as_tables_do():
    pairs = [(value, trial) for trial, value in LOSSES.items() if trial in "abe"]
    assert [t for _, t in sorted(pairs, key=lambda p: ranking_key(*p, "minimise"))] == ["b", "e", "a"]
    assert [t for _, t in sorted(pairs, key=lambda p: ranking_key(*p, "maximise"))] == ["a", "b", "e"]


@pytest.mark.parametrize(
    ("maps", "expected"),
    [
        (["forced", "driven"], "driven"),
        (["driven", "closed loop"], "closed loop"),
        (["zero input", "forced"], "zero input"),
        ([], None),
    ],
)
def test_the_headline_is_the_free_network_then_the_driven_one_then_the_first(maps, expected):
    assert headline_map(maps) == headline_map(iter(maps)) == expected
