"""Rank-partial correlations: those of the textbook, of a planted table and of a published sweep."""

import made_up
import made_up_early
import numpy as np
import pytest
from made_up_early import OUTCOME
from published import BINOMIAL, grid
from scipy import stats

from lyapsweep.analysis.shared.selection import HuntTableError, TooFew
from lyapsweep.analysis.shared.units import Units
from lyapsweep.analysis.spectra import partial_correlation


def column(found, name):
    return found.statistics.index(name)


def test_the_exponent_that_matters_is_found_whatever_is_given_and_no_other():
    found = partial_correlation.find(made_up_early.table(n=150, effect=1.0), OUTCOME, 0.1, resamples=200)
    third = column(found, "exponent 3")
    assert (found.low[third] > 0.1).all()
    assert (found.q[third] < 0.01).all()
    others = [column(found, f"exponent {i}") for i in (2, 4, 5)] + [column(found, "minimum")]
    assert (found.q[others] > 0.05).all()
    assert "The strongest then: exponent 3" in partial_correlation.sentence(found)
    assert found.controls.tolist() == [0, 1, 1, 2]


def test_it_is_the_partial_correlation_of_ranks():
    """rho_xy.c = (r_xy - r_xc r_yc) / sqrt((1 - r_xc^2) (1 - r_yc^2)) for one control."""
    rng = np.random.default_rng(1)
    c = rng.normal(size=70)
    x, y = np.exp(c + rng.normal(size=70)), c**3 + rng.normal(size=70)
    r = stats.spearmanr(np.column_stack([x, y, c])).statistic
    expected = (r[0, 1] - r[0, 2] * r[1, 2]) / np.sqrt((1 - r[0, 2] ** 2) * (1 - r[1, 2] ** 2))
    assert partial_correlation.partial_correlations(x[:, None], y, c[:, None])[0] == pytest.approx(expected)
    assert partial_correlation.partial_correlations(x[:, None], y, np.empty((70, 0)))[0] == pytest.approx(r[0, 1])
    assert np.isnan(partial_correlation.partial_correlations(c[:, None], y, c[:, None])[0])


def test_shuffled_outcomes_are_covered_at_the_nominal_rate():
    """200 tables: the 95 % interval holds 0, and p < 0.05, as often as they say."""
    covered, units = 0, Units(*np.zeros((4, 50), int))._replace(index=np.arange(50))
    for seed in range(200):
        rng = np.random.default_rng(seed)
        control = rng.normal(size=(50, 2))
        x, y = control[:, :1] + rng.normal(size=(50, 1)), control[:, 0] + rng.normal(size=50)
        _, low, high, p = partial_correlation.with_intervals(x, rng.permutation(y), control, units, 50, 0)
        assert (low[0] <= 0 <= high[0]) == (p[0] >= 0.05)
        covered += int(low[0] <= 0 <= high[0])
    assert covered >= BINOMIAL


def test_lost_trials_take_the_worst_rank_and_names_are_indicators():
    table = made_up_early.table(n=60, effect=1.0, lost=6, cells=("gru", "lstm", "vanilla"))
    found = partial_correlation.find(table, OUTCOME, 0.1, resamples=50)
    assert (found.rows.count, found.rows.lost) == ((60, 60, 1), 6)
    assert found.controls.tolist() == [0, 1, 3, 4]
    assert found.low[column(found, "exponent 3"), 0] > 0


def test_controls_that_leave_too_few_trials_say_nothing():
    found = partial_correlation.find(made_up_early.table(n=9, effect=1.0), OUTCOME, 0.1, resamples=20)
    assert np.isnan(found.rho[:, 3]).all()
    assert not np.isnan(found.rho[:, 0]).all()
    assert "too few trials (n = 9 settings, 9 runs)" in partial_correlation.sentence(found)
    with pytest.raises(TooFew, match="there are 7, and 8 must be"):
        partial_correlation.find(made_up_early.table(n=7), OUTCOME, 0.1)


def test_a_hunt_is_refused():
    table = made_up_early.table(n=20)
    table = made_up.as_hunt(table)
    with pytest.raises(HuntTableError):
        partial_correlation.find(table, OUTCOME)


PUBLISHED = {  # rho of the epoch-4 spectrum with the final loss: given nothing, early loss, settings, both
    "maximum": (-0.458, 0.187, -0.076, 0.006),
    "mean": (0.526, -0.031, -0.191, 0.247),
    "std": (-0.545, 0.070, -0.010, -0.166),
    "top_mean": (-0.510, 0.266, -0.573, -0.002),
    "minimum": (0.534, -0.003, -0.119, 0.167),
    "above -0.5 bits": (-0.506, 0.258, -0.543, 0.018),
    "above -1 bits": (-0.409, 0.057, -0.651, -0.171),
    "above -3 bits": (0.420, 0.028, -0.305, 0.221),
    "slope 0.1-0.2": (0.281, 0.064, -0.401, 0.186),
    "slope 0.4-0.6": (0.521, -0.141, -0.037, 0.064),
}


def test_the_published_sweep_says_what_was_computed_of_it_by_other_means():
    found = partial_correlation.find(grid(), OUTCOME, 0.29, resamples=200)
    rho = np.array([found.rho[column(found, name)] for name in PUBLISHED])
    np.testing.assert_allclose(rho, np.array(list(PUBLISHED.values())), atol=0.02)
    low, high = (v[column(found, "maximum"), 0] for v in (found.low, found.high))
    assert low == pytest.approx(-0.607, abs=0.05)
    assert high == pytest.approx(-0.270, abs=0.05)
    assert found.rows.count.runs == 110
