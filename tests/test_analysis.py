"""Every analysis sits one exam: a planted effect is found, shuffled rows find none, drawing needs the Finding alone."""

import math
import pickle
from dataclasses import replace

import made_up
import numpy as np
import pandas as pd
import pytest
from scipy import stats

from lyapsweep.analysis.networks import orbit
from lyapsweep.analysis.settings import phase_plane, setting_curve
from lyapsweep.analysis.shared import theme
from lyapsweep.analysis.shared.axis import places
from lyapsweep.analysis.shared.rank_correlation import rank_correlation
from lyapsweep.analysis.shared.selection import HuntTableError, TooFew, digits
from lyapsweep.analysis.shared.units import Units
from lyapsweep.analysis.spectra import correlation, spectra_by_outcome
from lyapsweep.registry import UnknownName
from lyapsweep.results.description import SweepDescription
from lyapsweep.results.table import Table

AXIS, SCORE = "forcing/interval", "measures/state_space"


@pytest.fixture(scope="module")
def table():
    return made_up.table()


def shuffled(table: Table, seed: int) -> Table:
    """The scores permuted among the finished trials, in the order of their settings, which ids do not change."""
    finals = table.finals
    frame = finals.frame[finals.frame["outcome"] == "finished"]
    frame = frame.sort_values(["cell/kind", AXIS, "seed"]).reset_index(drop=True)
    columns = [c for c in frame if c.startswith("measures/")]
    frame[columns] = frame[columns].to_numpy()[np.random.default_rng(seed).permutation(len(frame))]
    return replace(finals, frame=frame, spectra={}, spectra_stderr={}, traces=[])


FINDINGS = {
    "curve": (setting_curve, lambda t: setting_curve.find(t, AXIS, SCORE)),
    "curve of names": (setting_curve, lambda t: setting_curve.find(t, "cell/kind", SCORE, "init/kind")),
    "curve of exponents": (setting_curve, lambda t: setting_curve.find(t, AXIS, "spectra/closed loop/maximum")),
    "phase plane": (phase_plane, lambda t: phase_plane.find(t, AXIS, "cell/kind", SCORE, "init/kind")),
    "spectra": (spectra_by_outcome, lambda t: spectra_by_outcome.find(t, SCORE)),
    "correlation": (correlation, lambda t: correlation.find(t, resamples=50)),
    "orbit": (orbit, lambda t: orbit.find(t, made_up.config("lstm", 80, 0).id)),
}


@pytest.mark.parametrize("name", FINDINGS)
def test_a_stored_finding_draws_the_same_figure(table, name):
    module, find = FINDINGS[name]
    finding = find(table)
    figure = module.draw(finding)
    assert module.draw(pickle.loads(pickle.dumps(finding))).to_json() == figure.to_json()
    assert len(figure.data) > 0


@pytest.mark.parametrize("name", [n for n in FINDINGS if n != "orbit"])
def test_a_misspelt_column_knows_its_neighbour(table, name):
    module, _ = FINDINGS[name]
    arguments = {
        setting_curve: [AXIS, SCORE + "x"],
        phase_plane: [AXIS, "cell/kind", SCORE + "x"],
        spectra_by_outcome: [SCORE + "x"],
    }
    with pytest.raises(UnknownName, match="Did you mean 'measures/state_space'"):
        module.find(table, *arguments.get(module, [[SCORE + "x"]]))


def test_curve_finds_the_planted_interval_for_every_cell(table):
    found = setting_curve.find(table, AXIS, SCORE)
    best = {g: found.points[np.argmin(found.median[i])] for i, g in enumerate(found.groups)}
    assert best == dict.fromkeys(made_up.CELLS, made_up.BEST)
    assert found.log_axis
    assert found.log_value
    assert found.floor == pytest.approx(0.06)
    assert found.verticals[0][1] == pytest.approx(np.log(2) / made_up.LAMBDA_MAX, rel=1e-4)


def test_curve_statistics_are_those_of_the_seeds(table):
    found = setting_curve.find(table, AXIS, SCORE)
    g, i = found.groups.index("lstm"), list(found.points).index(20)
    scores = [r.measures["state_space"] for r in made_up.records() if r.config == made_up.config("lstm", 20, 0)]
    scores += [r.measures["state_space"] for r in made_up.records() if r.config == made_up.config("lstm", 20, 1)]
    assert found.median[g, i] == pytest.approx(np.median(scores))
    assert (found.low[g, i], found.high[g, i]) == (np.percentile(scores, 25), np.percentile(scores, 75))
    assert found.count[g, i] == 2
    mine = (found.seed_group == g) & (found.seed_point == 20)
    assert sorted(found.seed_value[mine]) == sorted(scores)


def test_a_lost_trial_counts_as_the_worst_and_is_not_drawn_as_a_score(table):
    found = setting_curve.find(table, AXIS, SCORE)
    at = {(g, x): (i, j) for i, g in enumerate(found.groups) for j, x in enumerate(found.points)}
    for place in (("lstm", 5.0), ("vanilla", 200.0)):
        assert found.median[at[place]] == np.inf
        assert found.lost[at[place]] == 1
        assert np.isfinite(found.mean[at[place]])
    assert found.lost.sum() == 2
    assert len(found.seed_value) == 40


def test_a_maximised_measure_loses_downward(table):
    frame = table.frame.rename(columns={SCORE: "measures/prediction_time"})
    found = setting_curve.find(
        replace(table, frame=frame, description=SweepDescription()), AXIS, "measures/prediction_time"
    )
    assert found.direction == "maximise"
    assert np.isneginf(found.median).sum() == 2


def test_running_and_stopped_trials_are_no_scores(table):
    frame = table.frame.copy()
    frame.loc[frame["forcing/interval"] == made_up.BEST, "outcome"] = "stopped"
    assert made_up.BEST not in setting_curve.find(replace(table, frame=frame), AXIS, SCORE).points


def test_many_values_are_binned_and_all_trials_kept():
    rng = np.random.default_rng(0)
    frame = made_up.table().finals.frame
    frame = frame.loc[np.tile(np.flatnonzero(frame["outcome"] == "finished"), 5)].reset_index(drop=True)
    frame[AXIS] = np.exp(rng.uniform(0, np.log(256), len(frame)))
    where = places(frame[AXIS])
    assert where.binned
    assert where.log
    assert len(where.centres) <= 10
    assert np.array_equal(np.unique(where.index), np.arange(len(where.centres)))
    found = setting_curve.find(Table(frame), AXIS, SCORE)
    assert found.count.sum() == len(frame) == len(found.seed_value)


@pytest.mark.parametrize(
    ("values", "log"),
    [([1, 2, 4, 8, 16], True), ([5, 10, 20, 40, 80, 160, 200], True), ([1, 4, 7, 10, 13], False), ([0, 1, 100], False)],
)
def test_an_axis_is_logarithmic_where_its_values_are_spaced_so(values, log):
    assert places(pd.Series(values)).log is log


def test_phase_plane_finds_the_planted_place_and_tells_lost_from_bad_and_from_empty(table):
    rows = ~((table.frame["cell/kind"] == "lstm") & (table.frame[AXIS] == 40)).to_numpy()
    found = phase_plane.find(table.take(rows), AXIS, "cell/kind", SCORE, "init/kind")
    median, count, lost = found.median[0], found.count[0], found.lost[0]
    at = lambda cell, x: (found.y_labels.index(cell), found.x_labels.index(str(x)))  # noqa: E731
    assert np.unravel_index(np.nanargmin(median), median.shape) == at("shallow_plrnn", made_up.BEST)
    assert (count[at("lstm", 40)], lost[at("lstm", 40)]) == (0, 0)
    assert (count[at("lstm", 5)], lost[at("lstm", 5)]) == (2, 1)
    assert np.isnan(median[at("lstm", 5)])
    assert np.isnan(median[at("lstm", 40)])
    assert set(zip(*np.nonzero(lost))) == {at("lstm", 5), at("vanilla", 200)}
    grey = np.array(phase_plane.draw(found).data[0].z)
    assert grey[at("lstm", 5)] == 1
    assert np.isnan(grey[at("lstm", 40)])


def test_correlation_is_scipys_and_its_interval_and_p_agree(table):
    found = correlation.find(table)
    k = list(zip(found.statistics, found.measures)).index(("spectra/closed loop/maximum", SCORE))
    frame = table.finals.frame
    frame = frame[frame["outcome"] != "failed"]  # the failed trial has no spectrum
    scores = np.where(frame["outcome"] == "diverged", np.inf, frame[SCORE])
    expected = stats.spearmanr(frame["spectra/closed loop/maximum"], scores)
    assert found.rho[k] == pytest.approx(expected.statistic)
    np.testing.assert_array_equal(found.p < 0.05, (found.low > 0) | (found.high < 0))
    assert (found.n[k], found.settings[k], found.lost[k]) == (41, 21, 1)
    assert (found.q >= found.p).all()
    assert np.all(np.diff(np.abs(found.rho)) <= 0)


def test_shuffled_rows_have_no_correlation(table):
    pair = ("spectra/closed loop/maximum", SCORE)
    covered = 0
    for seed in range(60):  # of intervals at 95 %
        found = correlation.find(shuffled(table, seed), [SCORE])
        k = list(zip(found.statistics, found.measures)).index(pair)
        covered += found.low[k] <= 0 <= found.high[k]
    assert covered >= 51


def test_shuffled_rows_have_no_best_interval(table):
    best = [setting_curve.find(shuffled(table, s), AXIS, SCORE) for s in range(10)]
    right = [(f.points[np.nanargmin(f.median, axis=1)] == made_up.BEST).all() for f in best]
    assert sum(right) <= 1


def test_divergent_exponents_and_scores_take_the_worst_ranks():
    x = np.array([-np.inf, 1, 2, 3, 4, 5, 6, 7])
    y = np.array([0, 1, 2, 3, 4, 5, 6, np.inf])
    rho, low, high, p = rank_correlation(x, y, Units.of(Table(pd.DataFrame({"trial": np.arange(8)}))))
    assert rho == pytest.approx(1)
    assert low == pytest.approx(1)
    assert high == pytest.approx(1)
    assert p == pytest.approx(2 / math.factorial(8))  # of an exact permutation test


def test_blocks_of_more_settings_than_resamples_are_seeded(table):
    a, b, c = (correlation.find(table, [SCORE], seed=s, resamples=10) for s in (0, 0, 1))
    np.testing.assert_array_equal(a.low, b.low)
    assert (a.low != c.low).any()


def test_a_hunt_is_refused_unless_the_caller_says_so():
    hunt = made_up.table(intent="hunt")
    with pytest.raises(HuntTableError, match="biased toward success"):
        correlation.find(hunt)
    assert correlation.find(hunt, hunted=True, resamples=10).hunted


def test_too_few_rows_say_how_many_there_are(table):
    with pytest.raises(TooFew, match="Too few trials with a spectrum and a measure: there are 5, and 8 must be"):
        correlation.find(table.take(np.flatnonzero(table.frame["outcome"] == "finished")[:5]))
    one = table.take((table.frame[AXIS] == 80).to_numpy())
    with pytest.raises(TooFew, match="Too few values of forcing/interval: there is 1, and 2 must be"):
        setting_curve.find(one, AXIS, SCORE)


def test_spectra_are_per_unit_time_with_the_truth_beside_them_and_better_is_lighter(table):
    found = spectra_by_outcome.find(table, SCORE)
    assert found.unit == "nats per unit time"
    assert found.truth == pytest.approx([made_up.LAMBDA_MAX / made_up.DT])
    assert found.quality[np.argmin(found.values)] == 1
    assert np.isnan(found.quality[np.isinf(found.values)]).all()
    first = dict(zip(found.trials, found.exponents[:, 0]))
    record = made_up.record("lstm", 80, 0)
    assert first[record.trial] == pytest.approx(record.spectra["closed loop"].per_time[0])
    timeless = replace(table, frame=table.frame.drop(columns="data/dt"))
    assert spectra_by_outcome.find(timeless, SCORE).unit == "nats per step"


def test_strong_contraction_bends_the_axis_and_its_ticks_say_the_exponents(table):
    found = spectra_by_outcome.find(table, SCORE)
    assert np.isinf(found.linear)
    far = found._replace(exponents=np.array([[0.9, -1.0, -500.0, -np.inf]]), truth=np.array([0.9]), linear=0.1)
    assert theme.linear_limit(far.exponents, far.truth) == pytest.approx(0.1)
    axis = spectra_by_outcome.draw(far._replace(trials=("a",), values=np.ones(1), quality=np.full(1, 0.5))).layout.yaxis
    assert list(axis.ticktext) == ["−100", "−10", "−1", "−0.100", "0", "0.100"]
    assert axis.tickvals[0] == pytest.approx(-np.log10(1001))


def test_an_unknown_map_is_named(table):
    with pytest.raises(UnknownName, match="Did you mean 'closed loop'"):
        spectra_by_outcome.find(table, SCORE, "closed lop")


@pytest.mark.parametrize(("features", "drawn"), [(1, 1), (2, 2), (3, 3), (5, 2)])
def test_orbits_share_the_frame_of_the_truth_and_count_what_left_it(features, drawn):
    made = made_up.record("lstm", 80, 0)
    rng = np.random.default_rng(0)
    truth = rng.uniform(-1, 1, (3000, features))
    generated = truth.copy()
    generated[10], generated[20] = 50.0, np.nan
    made.traces.update(truth=truth, generated=generated)
    found = orbit.find(Table.of([made]), made.trial)
    assert found.truth.shape == (2000, drawn)
    assert found.escaped == 2
    for which in ("truth", "generated"):
        assert orbit.draw(found, which).data


def test_a_trial_without_orbits_says_so(table):
    with pytest.raises(TooFew, match="holds no orbits"):
        orbit.find(table, made_up.config("lstm", 5, 0).id)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.12345, "0.123"),
        (123.456, "123"),
        (1234.5, "1230"),
        (5000, "5000"),
        (9.999, "10.0"),
        (0.000123, "0.000123"),
        (1.2345e-5, "1.23e−5"),
        (1e7, "1.00e7"),
        (0, "0"),
        (-0.5, "−0.500"),
        (np.nan, "–"),
        (-np.inf, "−∞"),
    ],
)
def test_three_significant_digits(value, text):
    assert digits(value) == text
