"""The band that was planted is found in held-out trials, others are not, and shuffled outcomes have none."""

import pickle
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import spectral
from scipy import stats

from lyapsweep.analysis.prediction import band_importance, cross_validation
from lyapsweep.analysis.shared.selection import HuntTableError, TooFew
from lyapsweep.registry import UnknownName
from lyapsweep.results.description import SweepDescription
from lyapsweep.results.table import Table

SIZES = {"points": spectral.EXPONENTS, "bands": 6}


@pytest.fixture(scope="module")
def found():
    return band_importance.find(spectral.table(), spectral.COLUMN, **SIZES)


def test_the_third_exponent_alone_matters(found):
    band = spectral.THIRD // 2
    assert np.flatnonzero(band_importance.significant(found)).tolist() == [band]
    others = np.arange(6) != band
    assert (found.importance.low[others] < 0).all()
    assert np.abs(found.rho.rho).argmax() == spectral.THIRD
    assert found.rho.low[spectral.THIRD] > 0
    assert np.allclose(found.edges[band], [1 / 6, 1 / 3])
    assert (found.count.runs, found.lost, found.without) == (77, 4, 3)
    assert "permuting a band reduces it: quantiles 0.167 to 0.333 by" in band_importance.sentence(found)
    assert "1 setting, 77 runs, 4 of them lost; 3 without a spectrum left out" in band_importance.sentence(found)


def test_the_score_is_what_the_noise_allows(found):
    """ln loss = z + n / 2: corr(z, ln loss) = 1 / sqrt(1.25) = 0.89, 6 / pi asin(0.89 / 2) = 0.88 of ranks, less what
    four lost trials at the worst rank and a fit of twelve weights to 54 trials take: about (1 - 12 / 54)^(1/2)."""
    most = 6 / np.pi * np.arcsin(1 / np.sqrt(1.25) / 2)
    assert 0.7 * most < found.score.mean < most
    assert found.score.low < found.score.mean < found.score.high <= 1


def test_a_forest_finds_it_too():
    found = band_importance.find(spectral.table(trials=100), spectral.COLUMN, model="trees", permutations=5, **SIZES)
    assert np.flatnonzero(band_importance.significant(found)).tolist() == [spectral.THIRD // 2]


def test_early_spectra_are_those_of_early_records():
    """The last spectra belong to other trials, the first ones to their own: only early in training is there a band."""
    made = spectral.table(bare=0)
    other = np.random.default_rng(0).permutation(made.spectra[spectral.MAP])
    start = made.frame.assign(step=0, outcome="running", final=False)
    frame = pd.concat([start, made.frame]).reset_index(drop=True)
    spectra = np.concatenate([made.spectra[spectral.MAP], other])
    order = np.lexsort([frame["step"], frame["trial"]])
    table = Table(frame, {spectral.MAP: spectra}, description=made.description).take(order)
    early, last = (band_importance.find(table, spectral.COLUMN, fraction=f, **SIZES) for f in (0.05, None))
    assert band_importance.significant(early).sum() == 1
    assert band_importance.significant(last).sum() == 0
    assert "The driven spectrum at 5 % of training predicts" in band_importance.sentence(early)
    np.testing.assert_allclose(
        early.importance.mean, band_importance.find(made, spectral.COLUMN, **SIZES).importance.mean
    )


def covered(tables: int) -> tuple[np.ndarray, int]:
    """In how many shuffled tables the intervals of the score and of four bands hold 0; in how many a band matters."""
    held, matter = np.zeros(5, int), 0
    for seed in range(tables):
        made = spectral.shuffled(spectral.table(seed, trials=60), seed)
        sizes = {
            "points": spectral.EXPONENTS,
            "bands": 4,
            "permutations": 5,
            "chance": 79,
            "resamples": 20,
            "splits": 6,
        }
        found = band_importance.find(made, spectral.COLUMN, seed=seed, **sizes)
        low, high = np.append(found.importance.low, found.score.low), np.append(found.importance.high, found.score.high)
        held += (low <= 0) & (high >= 0)
        matter += bool(band_importance.significant(found).any())
    return held, matter


def test_intervals_hold_zero_where_outcomes_are_shuffled():
    """Of 40 intervals at 95 %, fewer than 33 hold 0 once in a thousand times (binomial), and bands are said to matter
    in more than 7 tables as seldom."""
    tables = 40
    held, matter = covered(tables)
    assert (held >= stats.binom.ppf(0.001, tables, 0.95)).all()
    assert matter <= stats.binom.ppf(0.999, tables, 0.05)


def test_nothing_found_is_said_in_words():
    found = band_importance.find(spectral.shuffled(spectral.table(), 0), spectral.COLUMN, resamples=20, **SIZES)
    assert band_importance.sentence(found).startswith(
        "No band of the final driven spectrum has a significant importance for Held-out loss"
    )


def test_a_stored_finding_draws_the_same_figure(found):
    figure = band_importance.draw(found)
    assert band_importance.draw(pickle.loads(pickle.dumps(found))).to_json() == figure.to_json()
    filled = [c != "#d9d9d9" for c in figure.data[2].marker.color]
    assert filled == band_importance.significant(found).tolist()


def test_a_seed_decides_everything():
    one, same, other = (band_importance.find(spectral.table(), spectral.COLUMN, seed=s, **SIZES) for s in (0, 0, 1))
    np.testing.assert_array_equal(one.importance.mean, same.importance.mean)
    assert (one.importance.mean != other.importance.mean).any()


def test_what_cannot_be_asked_is_said():
    table = spectral.table()
    with pytest.raises(UnknownName, match="Did you mean 'driven'"):
        band_importance.find(table, spectral.COLUMN, "drivn")
    with pytest.raises(TooFew, match="there are 36, and 40 must be"):
        band_importance.find(table.take(np.arange(36)), spectral.COLUMN)
    with pytest.raises(ValueError, match="between 1 and points = 4, but is 6"):
        band_importance.find(table, spectral.COLUMN, points=4)
    with pytest.raises(ValueError, match=r"permutations: must be at least 119 for a test at level 0\.00833"):
        band_importance.find(table, spectral.COLUMN, chance=100, **SIZES)
    with pytest.raises(HuntTableError):
        band_importance.find(replace(table, description=SweepDescription(intent="hunt")), spectral.COLUMN)


def test_annihilated_directions_count_as_the_lowest_that_was_learned():
    spectra = np.array([[-1.0, -2.0], [-1.0, -np.inf], [-1.0, -9.0]])
    axis = cross_validation.quantile_axis(spectra, 2, np.array([True, True, False]))
    np.testing.assert_array_equal(axis, [[-1, -2], [-1, -2], [-1, -9]])


def test_parts_are_disjoint_and_groups_stay_together():
    table = spectral.table(trials=100)
    frame = table.frame.assign(**{"cell/units": np.arange(100) // 4})
    split = cross_validation.random_splits(replace(table, frame=frame), 7, 0, "cell/units")
    assert all(len(set(row[4 * g : 4 * g + 4])) == 1 for row in split for g in range(25))
    assert {tuple(np.bincount(row, minlength=3)) for row in split} == {(48, 20, 32)}
    assert len({tuple(row) for row in split}) == 7
    with pytest.raises(TooFew, match="groups of trials"):
        cross_validation.random_splits(table, 7, 0, "seed")


def test_ranks_put_lost_trials_at_the_end_and_ties_together():
    np.testing.assert_allclose(
        cross_validation.scaled_ranks(np.array([1, 2, 2, np.inf]), np.array([1, 2, 2, np.inf])), [-0.75, 0, 0, 0.75]
    )
    np.testing.assert_allclose(cross_validation.scaled_ranks(np.array([0.0, np.inf]), np.array([1.0, 2.0])), [-1, 1])


def test_a_constant_prediction_agrees_with_nothing():
    assert cross_validation.rank_score(np.ones(5), np.arange(5)) == 0
    np.testing.assert_allclose(cross_validation.rank_score(np.array([[1, 2, 3], [3, 2, 1]]), np.arange(3)), [1, -1])
