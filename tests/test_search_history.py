"""How a hunt got to its best trial: order, rungs, Pareto front; and constraints on the best."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from lyapsweep.analysis.settings import search_history
from lyapsweep.analysis.shared.selection import TooFew
from lyapsweep.results.best import best_setting
from lyapsweep.results.constraints import Constraint
from lyapsweep.results.description import SweepDescription
from lyapsweep.results.table import Table


def hunt(**settings):
    """Five trials of 900 updates, of which two were stopped at 300 and one at 600; d was drawn first."""
    rows = []
    for trial, last, outcome, loss, accuracy in (
        ("a", 900, "finished", 0.4, 0.9),
        ("b", 300, "stopped", 0.9, 0.1),
        ("c", 300, "stopped", 0.8, 0.2),
        ("d", 600, "stopped", 0.6, 0.3),
        ("e", 900, "finished", 0.2, 0.5),
    ):
        for step in range(0, last + 1, 300):
            scores = {"measures/loss": loss + (last - step) / 900, "measures/accuracy": accuracy}
            end = step == last
            rows.append({"trial": trial, "step": step, "final": end, "outcome": outcome if end else "running"} | scores)
    description = SweepDescription(
        intent="hunt", objective="loss", direction="minimise", drawn=("d", "a", "b", "c", "e"), **settings
    )
    return Table(pd.DataFrame(rows), {"driven": np.full((len(rows), 1), 0.5)}, description=description)


def test_trials_are_in_the_order_of_the_search_with_their_rungs():
    found = search_history.find(hunt())
    assert found.trials == ("d", "a", "b", "c", "e")
    np.testing.assert_array_equal(found.best, [np.nan, 0.4, 0.4, 0.4, 0.2])
    assert (found.rungs, found.reached) == ((300, 600), (5, 3))
    assert [len(steps) for steps, _ in found.curves] == [3, 4, 2, 2, 4]
    text = search_history.sentence(found)
    assert "is that of trial 5 of 5. 3 were stopped early: 5 of 5 trials reached update 300; 3 of 5" in text
    assert "Pareto" not in text
    assert {trace.name for trace in search_history.draw(found).data} == {"stopped", "finished", "best so far"}
    assert len(search_history.draw_rungs(found).data) == 5


def test_the_front_has_the_trials_that_no_other_one_beats_in_both():
    found = search_history.find(hunt(further=("accuracy",)))
    assert [found.trials[i] for i in np.flatnonzero(found.front)] == ["a", "e"]  # of those that finished
    assert "2 trials are on the Pareto front" in search_history.sentence(found)
    other, front = search_history.draw_front(found).data
    assert (len(other.x), len(front.x)) == (3, 2)


def test_one_trial_is_too_few():
    with pytest.raises(TooFew):
        search_history.find(hunt().take(np.array([0, 1, 2, 3])))


def test_only_a_trial_that_keeps_the_constraints_is_the_best():
    table = hunt()
    assert str(table.finals.frame["trial"].iloc[best_setting(table).rows[0]]) == "e"
    kept = replace(table, description=replace(table.description, constraints=("accuracy >= 0.6",)))
    assert str(kept.finals.frame["trial"].iloc[best_setting(kept).rows[0]]) == "a"
    none = replace(table, description=replace(table.description, constraints=("lambda_max <= 0",)))
    assert best_setting(none) is None
    positive = replace(table, description=replace(table.description, constraints=("lambda_max >= 0.5",)))
    assert best_setting(positive) is not None


@pytest.mark.parametrize(("text", "violation"), [("a <= 1", 1.0), ("a>=-3e0", -5.0), ("b <= 1", 1e12)])
def test_a_constraint_is_kept_where_its_violation_is_not_positive(text, violation):
    assert Constraint.parse(text).violation({"a": 2.0}) == violation
    assert Constraint.parse(text).holds({"a": 2.0}) == (violation <= 0)
