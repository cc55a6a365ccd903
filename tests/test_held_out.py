"""Held-out predictions use nothing of held-out trials; scores agree with scipy and weights count trials."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from lyapsweep.analysis.prediction.held_out import (
    PENALTIES,
    block,
    bootstrap_weights,
    held_out,
    prepared,
    random_folds,
    ridge,
    scored,
)
from lyapsweep.analysis.shared.ranks import weighted_ranks

RHO, AUC = "rank correlation", "AUC"


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def made(rng, n=60):
    x = rng.normal(size=(n, 6))
    return pd.DataFrame(x, columns=list("abcdef")), x[:, 0] + rng.normal(size=n)


def test_predictions_are_those_of_scikit_learns_pipeline(rng):
    linear_model = pytest.importorskip("sklearn.linear_model")
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    x, y = made(rng)
    folds = random_folds(np.arange(60), 5, rng)
    mine = held_out({"x": block(x)}, [["x"]], y, folds)[0]
    for fold in range(5):
        train = folds != fold
        target = stats.rankdata(y[train]) / train.sum()
        model = make_pipeline(StandardScaler(), linear_model.RidgeCV(PENALTIES * train.sum()))
        theirs = model.fit(x[train], target).predict(x[~train]) - target.mean()
        np.testing.assert_allclose(mine[~train], theirs, atol=1e-10)


@pytest.mark.parametrize("options", [{}, {"squares": True}, {"ranked": True}, {"components": 2}])
def test_nothing_of_a_held_out_trial_reaches_the_fit(rng, options):
    x, y = made(rng)
    x["name"] = ["p", "q", "r"] * 20
    folds = random_folds(np.arange(60), 5, rng)
    out = folds == 2
    before = prepared(block(x, **options), ~out)
    spoilt, wrong = x.copy(), np.where(out, rng.normal(size=60), y)
    spoilt.loc[out, "a"], spoilt.loc[out, "name"] = 40.0, "s"
    after = prepared(block(spoilt, **options), ~out)
    kept = [0, 1, 2] if "name" not in x else range(before.shape[1] - 3)
    np.testing.assert_allclose(before[~out][:, kept], after[~out][:, kept])
    sets = {"x": block(x, **options)}
    a, b = (held_out(sets, [["x"]], target, folds)[0][out] for target in (y, wrong))
    np.testing.assert_array_equal(a, b)


def test_a_name_that_was_never_seen_says_nothing(rng):
    names = pd.DataFrame({"name": ["p"] * 20 + ["q"] * 20 + ["new"] * 20})
    train = np.repeat([True, True, False], 20)
    columns = prepared(block(names), train)
    assert np.ptp(columns[40:], axis=0).max() == 0
    fitted = ridge([columns], np.repeat([0.0, 1.0, 5.0], 20), train)
    assert fitted[0] == pytest.approx(-0.5, abs=0.01)
    assert fitted[-1] == pytest.approx(0, abs=0.01)


def test_missing_and_infinite_numbers_are_those_of_the_training_rows():
    frame = pd.DataFrame({"loss": [1.0, 2.0, 3.0, np.inf, np.nan, -np.inf, 9.0]})
    plain = pd.DataFrame({"loss": [1.0, 2.0, 3.0, 3.0, 2.0, 1.0, 9.0]})
    train = np.array([True] * 6 + [False])
    np.testing.assert_allclose(prepared(block(frame), train), prepared(block(plain), train))


def test_positive_numbers_over_more_than_a_decade_are_logarithms():
    frame = pd.DataFrame({"wide": [0.001, 0.01, 0.1], "decade": [1.0, 3.0, 10.0], "signed": [-1.0, 0.1, 50.0]})
    made = block(frame)
    np.testing.assert_allclose(made.numbers, np.column_stack([np.log(frame["wide"]), frame["decade"], frame["signed"]]))


def test_an_optimum_in_the_middle_is_seen_by_squares(rng):
    x = pd.DataFrame({"lr": rng.uniform(-1, 1, 80)})
    y = np.abs(x["lr"].to_numpy())
    folds, one = random_folds(np.arange(80), 5, rng), np.ones(80)
    score = [scored(held_out({"x": block(x, squares=s)}, [["x"]], y, folds)[0], y, one, RHO) for s in (False, True)]
    assert score[0] < 0.3
    assert score[1] > 0.95


def test_scores_are_scipys_and_weights_count(rng):
    y, p = np.round(rng.normal(size=50), 1), np.round(rng.normal(size=50), 1)
    label = (y > 0.3).astype(float)
    w = rng.integers(0, 4, (3, 50)).astype(float)
    for i, row in enumerate(w):
        again = np.repeat(np.arange(50), row.astype(int))
        assert scored(p, y, w, RHO)[i] == pytest.approx(stats.spearmanr(p[again], y[again]).statistic)
        up, down = p[again][label[again] == 1], p[again][label[again] == 0]
        area = stats.mannwhitneyu(up, down).statistic / (len(up) * len(down))
        assert scored(p, label, w, AUC)[i] == pytest.approx(area)
    np.testing.assert_allclose(weighted_ranks(y, np.ones(50)) * 50 + 0.5, stats.rankdata(y))
    assert scored(np.zeros(50), y, np.ones(50), RHO) == 0
    assert scored(np.zeros(50), label, np.ones(50), AUC) == 0.5


def test_folds_are_even_and_keep_groups_whole(rng):
    assert np.bincount(random_folds(np.arange(43), 10, rng)).tolist() == [5, 5, 5, *[4] * 7]
    units = rng.integers(0, 12, 100)
    folds = random_folds(units, 4, rng)
    assert all(len(set(folds[units == u])) == 1 for u in set(units))
    assert set(folds) == {0, 1, 2, 3}
    drawn = bootstrap_weights(units, 5, rng)
    assert all(np.ptp(drawn[:, units == u], axis=1).max() == 0 for u in set(units))


def test_predictors_that_say_nothing_are_shrunk_to_nothing(rng):
    x, y = rng.normal(size=(80, 30)), rng.normal(size=80)
    every = np.ones(80, bool)
    assert np.abs(ridge([x - x.mean(0)], y, every)).max() < 0.1
    assert np.abs(ridge([np.empty((80, 0))], y, every)).max() == 0
