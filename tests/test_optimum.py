"""The optimum along an axis: a planted one is found within its interval, shuffled scores leave it open."""

import pickle
from dataclasses import replace

import made_up
import numpy as np
import pytest

from lyapsweep.analysis.settings import optimum
from lyapsweep.analysis.shared.selection import TooFew
from lyapsweep.results.table import Table

AXIS, SCORE = "forcing/interval", "measures/state_space"


def scored(values: dict[int, list[float]], outcome: dict[int, list[str]] | None = None) -> Table:
    """A table whose scores at each interval are given, one cell, as many seeds as values."""
    records = [made_up.record("lstm", i, s) for i, v in values.items() for s in range(len(v))]
    finals = Table.of(records, made_up.DESCRIPTION).finals
    finals = finals.take(np.lexsort((finals.frame["seed"], finals.frame[AXIS])))  # ids do not change the order
    frame = finals.frame.copy()
    where = list(zip(frame[AXIS], frame["seed"], strict=True))
    frame[SCORE] = [values[i][s] for i, s in where]
    if outcome:
        frame["outcome"] = [outcome[i][s] if i in outcome else "finished" for i, s in where]
    return replace(finals, frame=frame)


def test_a_planted_optimum_is_found_in_steps_and_in_predictability_times():
    found = optimum.find(made_up.table(), AXIS, SCORE)
    time = np.log(2) / made_up.LAMBDA_MAX
    assert found.place.tolist() == [made_up.BEST] * len(found.groups)
    assert (found.low <= made_up.BEST).all()
    assert (found.high >= made_up.BEST).all()
    np.testing.assert_allclose(found.unit, time, rtol=1e-6)
    assert f"{made_up.BEST / time:.3g}" in optimum.sentence(found, 0)
    assert not found.edge.any()
    both = optimum.find(made_up.table(), AXIS, SCORE, ("dataset/system", "cell/kind"))
    assert both.groups[0] == "lorenz63, lstm"
    figure = optimum.draw(found)
    assert optimum.draw(pickle.loads(pickle.dumps(found))).to_json() == figure.to_json()


def test_intervals_hold_the_best_place_as_often_as_they_say():
    """Scores of a parabola with noise: the best true median lies in the interval in about 90 % of tables or more."""
    rng, held, wide = np.random.default_rng(0), 0, []
    base = scored({i: [0.0] * 5 for i in made_up.INTERVALS})
    true = {i: 0.1 * np.log(i / 40) ** 2 for i in made_up.INTERVALS}
    for _ in range(100):
        frame = base.frame.copy()
        frame[SCORE] = [true[i] + 0.2 * rng.normal() for i in frame[AXIS]]
        found = optimum.find(replace(base, frame=frame), AXIS, SCORE)
        held += bool(found.low[0] <= 40 <= found.high[0])
        wide.append(found.high[0] / found.low[0])
    assert held >= 85
    assert np.median(wide) > 2  # five seeds this noisy do not say which of the neighbours it is


def test_shuffled_scores_leave_the_optimum_open():
    rng = np.random.default_rng(1)
    widths = []
    for _ in range(20):
        found = optimum.find(scored({i: rng.normal(size=5).tolist() for i in made_up.INTERVALS}), AXIS, SCORE)
        widths.append(np.log(found.high[0] / found.low[0]) / np.log(200 / 5))
    assert np.mean(widths) > 0.6


def test_lost_trials_are_the_worst_there_is():
    values = {20: [1.0, 1.0, 1.0], 40: [0.1, 0.1, 0.1], 80: [0.5, 0.5, 0.5]}
    assert optimum.find(scored(values), AXIS, SCORE).place[0] == 40
    lost = optimum.find(scored(values, {40: ["diverged", "diverged", "finished"]}), AXIS, SCORE)
    assert lost.place[0] == 80
    assert lost.edge[0]
    assert "can lie beyond" in optimum.sentence(lost, 0)


def test_too_little_to_say_where():
    with pytest.raises(TooFew, match="values of forcing/interval"):
        optimum.find(scored({20: [1.0, 2.0], 40: [1.0, 2.0]}), AXIS, SCORE)
    with pytest.raises(TooFew, match="seeds"):
        optimum.find(scored({20: [1.0, 2.0], 40: [1.0], 80: [2.0, 1.0]}), AXIS, SCORE)
