"""Runs of one setting are no independent evidence: false findings are as rare as they say, and effects are found."""

import html
import re

import made_up_early
import numpy as np
import pandas as pd
import pytest
from lifelines import KaplanMeierFitter
from lifelines.statistics import multivariate_logrank_test
from scipy import stats

from benchmarks.independence import DESIGNS, STATISTICS, draw, rates
from lyapsweep.analysis.prediction import incidence
from lyapsweep.analysis.prediction.time_to_event import EventTimes
from lyapsweep.analysis.settings import importance, optimum, phase_plane
from lyapsweep.analysis.shared.rank_correlation import jackknifed, rank_correlation
from lyapsweep.analysis.shared.units import UnitCount, Units
from lyapsweep.analysis.spectra import correlation
from lyapsweep.atlas import sections
from lyapsweep.atlas.view import AtlasView
from lyapsweep.results.imported import from_frame
from lyapsweep.results.table import Table

CLUSTERED = [name for name in DESIGNS if name != "1 seed"]


def most(tables: int, share: float = 0.05) -> int:
    """More rejections than this occur once in a thousand times if each has the probability `share`."""
    return int(stats.binom.ppf(0.999, tables, share))


def least(tables: int, share: float = 0.03) -> int:
    return int(stats.binom.ppf(0.001, tables, share))


def units_of(settings: np.ndarray, sources: np.ndarray | None = None) -> Units:
    frame = pd.DataFrame({"trial": np.arange(len(settings)), "lr": settings, "seed": np.arange(len(settings))})
    return Units.of(Table(frame if sources is None else frame.assign(**{"dataset/system": sources})))


def test_repeated_seeds_do_not_make_a_correlation():
    """Input N1: 21 settings x 3 seeds whose effects on the spectrum and on the score are unrelated."""
    rng, hits, tables = np.random.default_rng(0), 0, 60
    for _ in range(tables):
        x, y = rng.standard_normal((2, 21, 1)) + 0.3 * rng.standard_normal((2, 21, 3))
        rows = {"point": np.repeat(np.arange(21), 3), "seed": np.tile(np.arange(3), 21)}
        frame = pd.DataFrame(rows | {"le_1": x.ravel(), "score": y.ravel()})
        table = from_frame(frame, settings=["point", "seed"], outcomes="score", exponents=["le_1"])
        found = correlation.find(table, ["measures/score"], resamples=300)
        hits += found.p[found.statistics.index("spectra/driven/maximum")] < 0.05
        assert (found.settings[0], found.n[0]) == (21, 63)
    assert hits <= 7


@pytest.mark.parametrize("name", CLUSTERED)
def test_rank_correlations_reject_five_per_cent_and_find_a_planted_one(name):
    found = {0.0: 0, 1.5: 0}
    for effect, tables in ((0.0, 200), (1.5, 40)):
        for seed in range(tables):
            runs = draw(seed, DESIGNS[name], effect)
            units = Units.of(Table(runs.settings))
            found[effect] += rank_correlation(runs.exponents[:, 2], runs.outcome, units).p < 0.05
    assert least(200) <= found[0.0] <= most(200)
    assert found[1.5] >= 32


@pytest.mark.parametrize("name", CLUSTERED[1:])
def test_log_rank_tests_reject_five_per_cent_and_find_a_planted_difference(name):
    found = {0.0: 0, 3.0: 0}
    for effect, tables in ((0.0, 100), (3.0, 20)):
        for seed in range(tables):
            runs = draw(seed, DESIGNS[name], effect)
            time = 10 * np.ceil(5 * np.exp(runs.outcome))
            index = np.searchsorted(np.quantile(runs.exponents[:, 2], (1 / 3, 2 / 3)), runs.exponents[:, 2])
            units = Units.of(Table(runs.settings))
            found[effect] += incidence.log_rank(times_of(np.minimum(time, 100), time <= 100), index, units) < 0.05
    assert found[0.0] <= most(100)
    assert found[3.0] >= 16


@pytest.mark.slow
@pytest.mark.parametrize("name", STATISTICS)
def test_every_statistic_rejects_about_five_per_cent_of_tables(name):
    shares = rates(name, DESIGNS["3 seeds"], range(200))
    assert max(shares.values()) <= most(200, 0.07) / 200, shares


def test_the_unit_is_the_setting_with_its_seeds_on_all_data_sets():
    settings, sources = np.tile(np.repeat(np.arange(9), 2), 2), np.repeat(["henon", "lorenz63"], 18)
    units = units_of(settings, sources)
    np.testing.assert_array_equal(units.index, settings)
    assert str(units.count) == "9 settings, 36 runs, 2 data sets"
    ranked = units.comparable(np.arange(36.0))
    np.testing.assert_allclose(ranked[:18], ranked[18:])
    assert str(units_of(np.repeat(np.arange(21), 3)).count) == "21 settings, 63 runs"
    assert str(UnitCount(1, 1)) == "1 setting, 1 run"


def test_fewer_than_eight_settings_are_compared_within_each():
    units = units_of(np.repeat([1, 2], 30))
    assert (units.number, units.stratum.max()) == (60, 1)
    x = np.repeat([0.0, 100.0], 30) + np.tile(np.arange(30.0), 2)
    apart = np.repeat([0.0, 100.0], 30) + np.random.default_rng(0).normal(size=60)
    assert rank_correlation(x, x, units).rho == pytest.approx(1)
    assert abs(rank_correlation(x, apart, units).rho) < 0.3


def test_permuted_units_keep_their_runs_together():
    index = np.repeat(np.arange(10), [1, 2, 3, 4, 5] * 2)
    units, generator = units_of(index), np.random.default_rng(0)
    for _ in range(20):
        other = index[units.permuted(generator)]
        of = [set(other[index == u]) for u in range(10)]
        assert all(len(o) == 1 for o in of)
        assert {o.pop() for o in of} == set(range(10))
    equal = units_of(np.repeat(np.arange(8), 3))
    assert sorted(equal.permuted(generator)) == list(range(24))
    assert sorted(units_of(np.arange(20)).permuted(generator)) == list(range(20))


def test_resampled_units_keep_their_runs_together():
    index = np.repeat(np.arange(10), [1, 2, 3, 4, 5] * 2)
    drawn = units_of(index).resampled(np.random.default_rng(0))
    count = np.bincount(drawn, minlength=len(index))
    assert all(len(set(count[index == u])) == 1 for u in range(10))
    assert sum(count[index == u][0] for u in range(10)) == 10


def test_runs_that_are_units_trade_places_within_their_setting():
    units = units_of(np.repeat([1, 2, 3], 10))
    np.testing.assert_array_equal(units.permuted(np.random.default_rng(0)) // 10, np.repeat([0, 1, 2], 10))


def test_a_jackknife_of_a_mean_is_the_textbooks():
    """Of z = artanh(rho) that is a mean of n values, the jackknife's variance is (n - 3) / (n - 1) s^2 / n."""
    z = np.random.default_rng(0).normal(size=12) / 5
    left = (z.sum() - z) / 11
    found = jackknifed(np.tanh(z.mean()), np.tanh(left), np.ones(12))
    error = stats.sem(z) * np.sqrt(9 / 11)
    low, high = np.tanh(stats.t.interval(0.95, 11, z.mean(), error))
    np.testing.assert_allclose([found.low, found.high], [low, high])
    assert found.p == pytest.approx(2 * stats.t.sf(abs(z.mean()) / error, 11))


def test_controls_and_settings_with_unequal_numbers_of_runs_cost_degrees_of_freedom():
    left, rho = np.random.default_rng(0).normal(0.3, 0.05, size=12), np.array(0.3)
    error = np.sqrt((12 - 3 - 2) * np.arctanh(left).var())
    found = jackknifed(rho, left, np.ones(12), controls=2)
    np.testing.assert_allclose(np.arctanh(found.high) - np.arctanh(0.3), error * stats.t.ppf(0.975, 12 - 1 - 2))
    sizes = np.array([1, 2, 3, 4, 5, 1, 2, 3, 4, 5, 3, 3])
    found = jackknifed(rho, left, sizes)
    half = np.sqrt(9 * np.arctanh(left).var()) * stats.t.ppf(0.975, 36**2 / (sizes**2).sum() - 1)
    np.testing.assert_allclose(np.arctanh(found.high) - np.arctanh(0.3), half)


def test_a_correlation_that_rests_on_one_setting_is_none():
    index = np.repeat(np.arange(10), 3)
    x = (index == 4).astype(float)
    assert rank_correlation(x, x, units_of(index)).p > 0.1


def test_a_test_that_cannot_reject_is_refused_with_the_permutations_that_it_needs():
    table = made_up_early.table(n=50)
    with pytest.raises(ValueError, match=r"permutations: must be at least 19 for a test at level 0\.05, but is 10"):
        importance.find(table, made_up_early.OUTCOME, permutations=10)


def times_of(time: np.ndarray, reached: np.ndarray) -> EventTimes:
    no = np.zeros(len(time), bool)
    return EventTimes(np.arange(len(time)), time, reached, no, np.arange(len(time)), 0, "")


def test_log_rank_and_band_of_single_runs_are_those_of_lifelines():
    rng = np.random.default_rng(0)
    time = np.ceil(rng.exponential(5, 80))
    times = times_of(np.minimum(time, 9), time <= 9)
    residuals = incidence.martingale_residuals(times, np.zeros(80, int))
    index = rng.integers(3, size=80)
    reference = multivariate_logrank_test(times.time, index, times.reached)
    units = units_of(np.arange(80))
    assert incidence.log_rank(times, index, units) == pytest.approx(reference.p_value, abs=0.06)
    assert residuals.sum() == pytest.approx(0, abs=1e-9)
    steps = np.unique(np.append(0.0, times.time))
    fitter = KaplanMeierFitter().fit(times.time, times.reached, timeline=steps)
    survival = fitter.survival_function_.to_numpy()[:, 0]
    band = incidence.clustered_band(times, survival, steps, np.arange(80))
    np.testing.assert_allclose(
        band[:, 1:-1], fitter.confidence_interval_survival_function_.to_numpy().T[:, 1:-1], atol=0.01
    )


def test_a_band_of_few_settings_is_wider_than_that_of_as_many_single_runs():
    time = np.repeat([1.0, 2, 3, 4, 5, 6, 7, 8, 9, 10], 5)
    times, steps = times_of(time, np.full(50, True)), np.arange(11.0)
    survival = 1 - steps / 10
    few, many = (
        incidence.clustered_band(times, survival, steps, unit) for unit in (np.repeat(np.arange(10), 5), np.arange(50))
    )
    assert ((few[1] - few[0])[1:-1] > 1.8 * (many[1] - many[0])[1:-1]).all()


def test_the_optimum_resamples_settings_where_a_place_has_several():
    """Scores differ between the settings of a place and hardly between their seeds: more seeds say nothing more."""
    rng = np.random.default_rng(0)
    values, setting = np.repeat(rng.normal(size=6), 20) + 0.01 * rng.normal(size=120), np.repeat(np.arange(6), 20)
    medians = optimum.resampled_medians(values, setting, np.random.default_rng(0))
    single = optimum.resampled_medians(values, np.zeros(120), np.random.default_rng(0))
    assert medians.std() > 2 * single.std()


@pytest.mark.parametrize(("ends", "interval"), [(160, [1, 1]), (240, [0, 2])])
def test_an_interval_of_few_places_takes_half_of_the_share_of_its_ends(ends, interval):
    """8 % of the resamples at either end: half of them is less than 5 %; 12 %: it is more."""
    best = np.repeat([0, 1, 2], [ends, optimum.DRAWS - 2 * ends, ends])
    np.testing.assert_array_equal(optimum.middle_ends(np.append(1, best)), interval)
    assert optimum.middle_ends(np.append(2, best))[1] == 2, "it holds the best place"


def test_copies_of_correlated_columns_are_correlated(monkeypatch):
    seen = []
    monkeypatch.setattr(importance, "importances", lambda columns, y, judge: seen.append(columns))
    x = np.random.default_rng(0).normal(size=30)
    columns, units = pd.DataFrame({"a": x, "b": 2 * x}), units_of(np.arange(30))
    importance.with_copies(columns, x, units, importance.make_evaluator("impurity", 0), np.random.default_rng(0))
    np.testing.assert_array_equal(seen[0]["b permuted"], 2 * seen[0]["a permuted"])
    assert (seen[0]["a permuted"] != x).any()


@pytest.fixture(scope="module")
def planted():
    """The loss follows the learning rate: 12 settings x 9 seeds, with spectra at step 10."""
    rng, (settings, seeds) = np.random.default_rng(0), (12, 9)
    rate, width = np.repeat(np.arange(settings) % 6, seeds), np.repeat(np.arange(settings) // 6, seeds)
    loss = np.exp(rate + 0.2 * rng.normal(size=settings * seeds))
    frames = [pd.DataFrame({"run": np.arange(len(loss)), "epoch": e, "val_loss": loss}) for e in (0, 10, 100)]
    frame = pd.concat([f.assign(lr=10.0 ** (rate - 5), width=width) for f in frames], ignore_index=True)
    frame[["le_1", "le_2"]] = rng.normal(size=(len(frame), 2)) - [0, 9]
    columns = {"settings": ["lr", "width"], "outcomes": "val_loss", "exponents": "le_*"}
    return from_frame(frame, trial="run", step="epoch", **columns)


def test_the_atlas_finds_the_planted_setting_and_none_of_the_unrelated_statistics(planted):
    said = html.unescape(re.sub("<[^>]+>", "", sections.settings_that_matter(AtlasView(planted))))
    assert "of the settings, lr" in said
    assert re.search("of the statistics of the .*, none is significant", said)
    assert "12 settings, 108 runs" in said


def test_a_plane_tells_settings_from_runs(planted):
    found = phase_plane.find(planted, "lr", "width", made_up_early.OUTCOME)
    assert "(n = 1 setting, 9 runs)" in phase_plane.sentence(found, 0)
