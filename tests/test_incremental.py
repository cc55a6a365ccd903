"""What spectra add: a planted gain is found, none is found where there is none, a published sweep is reproduced."""

import html
import pickle

import made_up
import made_up_early
import numpy as np
import pytest
from made_up_early import OUTCOME
from published import BINOMIAL, grid

from lyapsweep.analysis.prediction import incremental, transfer
from lyapsweep.analysis.shared.selection import HuntTableError, TooFew
from lyapsweep.analysis.spectra import partial_correlation
from lyapsweep.registry import UnknownName
from lyapsweep.results.imported import from_frame

ALL, KNOWN = "settings + early scores + spectrum", "settings + early scores"
QUICK = {"folds": 4, "repeats": 2, "resamples": 100, "permutations": 0}


def score(found, name):
    return found.predictors.value[found.predictors.names.index(name)]


def test_a_planted_gain_is_found():
    found = incremental.find(
        made_up_early.table(n=200, effect=2.0), OUTCOME, form="quantiles", resamples=300, repeats=2
    )
    assert (found.gains.low > 0).all()
    assert (found.p < 0.001).all()
    assert score(found, "spectrum") > 0.6
    assert score(found, ALL) > score(found, KNOWN) > score(found, "settings") > 0
    assert "The spectrum improves the prediction" in incremental.sentence(found)


def test_the_better_half_is_told_from_the_worse():
    table = made_up_early.table(n=120, effect=2.0)
    found = incremental.find(table, OUTCOME, form="quantiles", score="AUC", **QUICK)
    assert found.gains.value[-1] > 0
    assert 0.8 < score(found, KNOWN) < score(found, ALL) <= 1
    assert found.predictors.low.min() >= 0
    assert found.predictors.high.max() <= 1


def coverage(**made) -> np.ndarray:
    """How many intervals of 200 tables hold 0, for each of the three gains."""
    held = np.zeros(3, int)
    for seed in range(200):
        gains = incremental.find(made_up_early.table(n=40, seed=seed, **made), OUTCOME, **QUICK, seed=seed).gains
        held += (gains.low <= 0) & (gains.high >= 0)
    return held


def test_shuffled_outcomes_show_no_gain():
    assert (coverage(shuffle=True) >= BINOMIAL).all()


def test_an_unrelated_spectrum_gains_as_much_as_those_of_other_settings():
    """The gain of one is below zero, which an interval that holds zero does not tell: p does."""
    found = [
        incremental.find(made_up_early.table(n=40, seed=s), OUTCOME, **QUICK | {"permutations": 19}) for s in range(6)
    ]
    assert 0.2 < np.mean([f.p for f in found]) < 0.8
    assert np.mean([f.gains.value for f in found]) < 0
    with pytest.raises(ValueError, match="must be at least 19"):
        incremental.find(made_up_early.table(n=40), OUTCOME, permutations=5)


@pytest.mark.slow
def test_spectra_that_say_nothing_beside_scores_that_do_show_no_gain():
    assert (coverage() >= BINOMIAL).all()


@pytest.mark.slow
def test_a_planted_gain_is_covered_near_the_nominal_rate():
    """The expected gain is the mean of 200 tables. Training rows vary less between folds than between tables, so that
    the rate is a few per cent below 95."""
    found = [
        incremental.find(made_up_early.table(n=80, effect=1.0, seed=s), OUTCOME, form="quantiles", **QUICK).gains
        for s in range(200)
    ]
    truth = np.mean([g.value for g in found], axis=0)
    held = np.mean([(g.low <= truth) & (truth <= g.high) for g in found], axis=0)
    assert (held >= 0.86).all()


def test_whole_groups_are_held_out_and_are_no_predictor():
    table = made_up_early.table(n=120, effect=1.0, cells=("gru", "lstm", "vanilla", "plrnn"))
    found = incremental.find(table, OUTCOME, group="cell", form="quantiles", **QUICK)
    assert (found.units, found.folds, found.columns.tolist()) == (4, 4, [1, 1, 20])
    assert "trials of held-out cell (4 groups)" in incremental.sentence(found)
    without = incremental.find(table, OUTCOME, form="quantiles", **QUICK)
    assert without.columns.tolist() == [5, 1, 20]
    with pytest.raises(TooFew, match="values of cell: there are 2, and 3 must be"):
        incremental.find(made_up_early.table(n=30, cells=("gru", "lstm")), OUTCOME, group="cell")


def test_a_group_that_decides_everything_is_of_no_use_for_others():
    """Outcomes that are those of a cell and nothing else: within cells nothing can be learnt for a new one."""
    table = made_up_early.table(n=90, cells=tuple("abcdef"))
    last = table.frame["final"].to_numpy(bool)
    table.frame.loc[last, OUTCOME] = table.frame["cell"][last].map(ord) + np.random.default_rng(0).normal(size=90) / 9
    known, held = (score(incremental.find(table, OUTCOME, group=g, **QUICK), "settings") for g in (None, "cell"))
    assert known > 0.9
    assert abs(held) < 0.35


def test_what_cannot_be_asked_is_refused():
    table = made_up_early.table(n=30)
    with pytest.raises(ValueError, match="form: must be one of summaries, quantiles, components, but is 'pca'"):
        incremental.find(table, OUTCOME, form="pca")
    with pytest.raises(TooFew, match="there are 15, and 20 must be"):
        incremental.find(made_up_early.table(n=15), OUTCOME)
    with pytest.raises(UnknownName, match="sed"):
        incremental.find(table, OUTCOME, group="sed")
    table = made_up.as_hunt(table)
    for module in (incremental, transfer):
        with pytest.raises(HuntTableError):
            module.find(table, OUTCOME)


def test_what_settings_say_together_is_news_to_ridge_regression_and_none_to_trees():
    """The outcome is a product of two settings, which the third exponent repeats: all of it is in the settings."""
    rng = np.random.default_rng(1)
    frame = made_up_early.frame(n=150)
    width = dict(zip(sorted(set(frame["run"])), rng.uniform(-1, 1, 150), strict=True))
    frame["width"] = frame["run"].map(width)
    together = np.log10(frame["lr"]).add(3) * frame["width"]
    last = frame["epoch"] == made_up_early.LAST
    frame.loc[last, "val_loss"] = np.exp(together[last])
    frame["le_2"] = np.where(frame["epoch"] == 10, -0.6 + together / 20, frame["le_2"])
    table = from_frame(
        frame, trial="run", step="epoch", settings=["lr", "width"], outcomes="val_loss", exponents="le_*"
    )
    linear, trees = (
        incremental.find(table, OUTCOME, learner=learner, repeats=1, folds=5, permutations=0).gains.value[0]
        for learner in ("ridge", "trees")
    )
    assert linear > 0.5
    assert trees < 0.15


@pytest.mark.parametrize("learner", ["ridge", "trees"])
def test_where_nothing_but_seeds_was_varied_settings_foretell_nothing(learner):
    frame = made_up_early.frame(n=100, effect=2.0)
    table = from_frame(frame, trial="run", step="epoch", settings=[], outcomes="val_loss", exponents="le_*")
    found = incremental.find(table, OUTCOME, form="quantiles", learner=learner, repeats=1, folds=5, permutations=0)
    assert score(found, "settings") == pytest.approx(0, abs=1e-9)
    assert score(found, "spectrum") > 0.4


def test_it_is_seeded():
    table = made_up_early.table(n=30)
    a, b, c = (incremental.find(table, OUTCOME, **QUICK, seed=s) for s in (0, 0, 1))
    np.testing.assert_array_equal(a.gains.low, b.gains.low)
    assert (a.gains.low != c.gains.low).any()


PUBLISHED = {  # Spearman's rho of held-out predictions, ten by ten folds of ridge regression
    "settings": 0.809,
    "early scores": 0.802,
    "spectrum": 0.735,
    "early scores + spectrum": 0.842,
    "settings + spectrum": 0.857,
    "settings + early scores": 0.866,
    ALL: 0.861,
}


def test_the_published_sweep_says_what_was_computed_of_it_by_other_means():
    found = incremental.find(
        grid(), OUTCOME, 0.29, repeats=40, permutations=0
    )  # with 10, seeds of the folds differ by 0.005
    for name, value in PUBLISHED.items():
        assert score(found, name) == pytest.approx(value, abs=0.015), name
    assert found.gains.low[-1] < 0 < found.gains.high[-1]
    assert "No significant gain by the spectrum" in incremental.sentence(found)


def test_components_of_the_whole_published_spectra_say_as_much_as_their_summaries():
    found = incremental.find(grid(), OUTCOME, 0.29, form="components", repeats=4, resamples=100, permutations=0)
    assert score(found, "spectrum") == pytest.approx(0.727, abs=0.025)
    assert found.gains.low[-1] < 0 < found.gains.high[-1]


FINDINGS = {
    "incremental": (incremental, lambda t: incremental.find(t, OUTCOME, **QUICK)),
    "incremental, grouped": (incremental, lambda t: incremental.find(t, OUTCOME, group="cell", score="AUC", **QUICK)),
    "partial": (partial_correlation, lambda t: partial_correlation.find(t, OUTCOME, resamples=20)),
    "transfer": (transfer, lambda t: transfer.find(t, OUTCOME, "cell", permutations=39, repeats=2)),
}


@pytest.mark.parametrize("name", FINDINGS)
def test_a_stored_finding_draws_the_same_figure(name):
    module, find = FINDINGS[name]
    found = find(made_up_early.table(n=60, lost=3, cells=("gru", "lstm", "vanilla")))
    figure = module.draw(found)
    assert module.draw(pickle.loads(pickle.dumps(found))).to_json() == figure.to_json()
    assert len(figure.data) > 0
    assert html.unescape(figure.layout.title.text).replace("<br>", " ") == module.sentence(found)
    assert found.rows.lost == 3
