"""A collapse that was planted is found, curves that lie apart are told from it, and chance is called chance."""

import pickle
from dataclasses import replace
from functools import cache

import made_up
import numpy as np
import pytest

from lyapsweep.analysis import collapse
from lyapsweep.analysis.finding import TooFew
from lyapsweep.table import Table

COLUMNS = {"column": "measures/state_space", "length": "forcing/interval", "group": "cell/kind", "map": "closed loop"}
EXPONENTS = {"lstm": -0.01, "shallow_plrnn": -0.05, "vanilla": -0.2}


@cache
def base() -> Table:
    records = [made_up.record(c, i, s) for c in made_up.CELLS for i in made_up.INTERVALS for s in (0, 1)]
    return Table.of(records, made_up.ABOUT).finals


def planted(law, noise: float = 0.05, seed: int = 0) -> Table:
    """A table whose score is `law(length, |lambda_1|)` with noise, each cell with exponents of its own."""
    rng = np.random.default_rng(seed)
    finals = base()
    frame = finals.frame.copy()
    exponents = np.array([EXPONENTS[c] for c in frame["cell/kind"]]) * np.exp(0.1 * rng.normal(size=len(frame)))
    frame["spectra/closed loop/maximum"] = exponents
    lengths = frame["forcing/interval"].to_numpy(float)
    frame["measures/state_space"] = law(lengths, np.abs(exponents)) * np.exp(noise * rng.normal(size=len(frame)))
    return replace(finals, frame=frame)


def test_scores_that_follow_length_in_units_of_the_exponent_collapse_there_alone():
    found = collapse.find(planted(lambda length, rate: np.exp(-(np.log(length * rate) ** 2) / 8)), **COLUMNS)
    assert found.groups == tuple(sorted(EXPONENTS))
    assert found.ratio == pytest.approx(1, abs=0.15)
    assert found.p > 0.01
    assert found.bare_ratio > 3
    assert found.bare_p < 1e-6
    np.testing.assert_allclose(found.one, np.exp(-(np.log(found.grid) ** 2) / 8), rtol=0.1)
    figure = collapse.draw(found)
    assert collapse.draw(pickle.loads(pickle.dumps(found))).to_json() == figure.to_json()
    assert "the curves of cell/kind collapse: " in collapse.sentence(found)


def test_scores_that_follow_the_bare_length_do_not_collapse():
    found = collapse.find(planted(lambda length, rate: np.exp(-(np.log(length / 30) ** 2) / 8)), **COLUMNS)
    assert found.ratio > 2
    assert found.p < 1e-6
    assert found.bare_ratio == pytest.approx(1, abs=0.15)
    assert "do not collapse" in collapse.sentence(found)


def test_one_curve_is_refused_by_chance_as_often_as_p_says():
    """Scores without any relation have one (flat) curve: p is uniform, so about one in ten lies below 0.1."""
    refused = [
        collapse.find(planted(lambda length, rate: np.ones_like(length), 1.0, seed), **COLUMNS).p < 0.1
        for seed in range(60)
    ]
    assert 0 < np.mean(refused) < 0.25


def test_lost_trials_are_counted_and_not_fitted():
    table = planted(lambda length, rate: length * rate)
    frame = table.frame.copy()
    frame.loc[0, "outcome"] = "diverged"
    found = collapse.find(replace(table, frame=frame), **COLUMNS)
    assert found.lost.sum() == 1
    assert len(found.x) == len(frame) - 1


def test_too_little_to_compare():
    table = planted(lambda length, rate: length * rate)
    one_cell = table.take((table.frame["cell/kind"] == "lstm").to_numpy())
    with pytest.raises(TooFew, match="values of cell/kind"):
        collapse.find(one_cell, **COLUMNS)
    short = table.take((table.frame["forcing/interval"] < 20).to_numpy())
    with pytest.raises(TooFew, match="values of forcing/interval"):
        collapse.find(short, **COLUMNS)
    with pytest.raises(TooFew, match="its own curve"):
        collapse.find(planted(lambda length, rate: length * rate, noise=0.0), **COLUMNS)
