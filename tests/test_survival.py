"""Times to a threshold: who is censored when, the planted rate is found, and no difference is found where none is."""

import pickle
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import spectral
from lifelines import AalenJohansenFitter
from scipy import stats

from lyapsweep.analysis.prediction import survival, time_to_event
from lyapsweep.analysis.shared.selection import HuntTableError, TooFew
from lyapsweep.registry import UnknownName
from lyapsweep.results.description import SweepDescription
from lyapsweep.results.table import Table

THIRD, FIRST = f"spectra/{spectral.MAP}/third", f"spectra/{spectral.MAP}/maximum"
ASKED = {"by": THIRD, "covariates": [THIRD, FIRST]}


def find(table: Table, **changes):
    return survival.find(table, spectral.COLUMN, 0.5, **{**ASKED, **changes})


@pytest.fixture(scope="module")
def found():
    return find(spectral.learning())


def trial(name: str, outcome: str, losses: dict[int, float], planned: int = 100) -> pd.DataFrame:
    steps = list(losses)
    frame = pd.DataFrame({"trial": name, "step": steps, "outcome": "running", "final": False})
    frame["training/steps"], frame["measures/loss"] = planned, list(losses.values())
    frame.loc[len(frame) - 1, ["outcome", "final"]] = outcome, True
    return frame.astype({"final": bool})


def few(*trials: pd.DataFrame) -> Table:
    return Table(pd.concat(trials, ignore_index=True))


FEW = few(
    trial("reached", "finished", {0: 1.0, 10: 0.6, 20: 0.5, 30: 0.7, 100: 0.4}),
    trial("never", "finished", {0: 1.0, 50: 0.9, 100: 0.8}),
    trial("lost", "diverged", {0: 1.0, 10: 0.9, 30: 2.0}),
    trial("lost after", "diverged", {0: 1.0, 10: 0.3, 30: np.inf}),
    trial("failed", "failed", {0: np.nan}, planned=200),
    trial("stopped", "stopped", {0: 1.0, 10: 0.9}),
    trial("running", "running", {0: 1.0, 10: 0.1}),
    trial("silent", "finished", {0: np.nan, 100: np.nan}),
)


def test_a_time_is_the_first_record_at_the_threshold():
    times = time_to_event.event_times(FEW, "measures/loss", 0.5)
    kept = dict(zip(times.trials, zip(times.time, times.reached, times.lost)))
    assert kept["reached"] == (20, True, False)  # and not 30, where the loss was higher again
    assert kept["never"] == (100, False, False)  # censored at the end of training


def test_a_lost_trial_never_gets_there_and_stays_at_risk_to_its_planned_end():
    times = time_to_event.event_times(FEW, "measures/loss", 0.5)
    kept = dict(zip(times.trials, zip(times.time, times.reached, times.lost)))
    assert kept["lost"] == (100, False, True)
    assert kept["lost after"] == (10, True, True)  # it had learned
    assert kept["failed"] == (200, False, True)
    assert set(kept) == {"reached", "never", "lost", "lost after", "failed"}
    assert times.without == 1  # the silent one; stopped and running trials did not end on their own


def test_a_threshold_of_its_own_is_the_median_of_final_values_and_direction_is_the_measures():
    times = time_to_event.event_times(FEW, "measures/loss")
    assert times.event == "Held-out loss ≤ 0.800"
    frame = FEW.frame.rename(columns={"measures/loss": "measures/accuracy"})
    high = time_to_event.event_times(replace(FEW, frame=frame), "measures/accuracy", 0.95)
    assert dict(zip(high.trials, high.time))["reached"] == 0
    assert high.event.endswith("≥ 0.950")


def test_the_measures_own_crossing_knows_the_update_and_what_is_censored():
    own, told = time_to_event.OWN, f"{time_to_event.OWN}/censored"
    frame = pd.DataFrame({"trial": list("abcd"), "step": 100, "outcome": ["finished"] * 2 + ["diverged"] * 2})
    frame["final"], frame["training/steps"] = True, [100, 100, 100, 150]
    frame[own], frame[told] = [37.0, 100.0, 1e9, 42.0], [0.0, 1.0, 1.0, 0.0]
    times = time_to_event.event_times(Table(frame), own)
    assert times.time.tolist() == [37, 100, 100, 42]
    assert times.reached.tolist() == [True, False, False, True]
    with pytest.raises(ValueError, match=r"threshold=3\. Leave threshold out"):
        time_to_event.event_times(Table(frame), own, 3)


def test_the_planted_rate_and_order_are_found(found):
    """The rate of learning is exp(-0.8 z), so that one standard deviation multiplies it by exp(-0.8) = 0.45."""
    ratio = np.exp(-spectral.RATE)
    assert found.hazard.low[0] < ratio < found.hazard.high[0] < 1
    assert found.joint.low[0] < ratio < found.joint.high[0] < 1
    assert found.hazard.low[1] < 1 < found.hazard.high[1]
    assert found.p <= 0.001
    assert (np.diff(found.median) > 0).all()
    assert (found.n.sum(), found.at, found.without) == (90, 0, 0)
    assert "Median steps by third, driven at step 0: " in survival.sentence(found)
    assert "Of 2 covariates third, driven is the most significant" in survival.sentence(found)


def test_predictors_are_of_the_first_record():
    """Later records of the made-up trials hold the same exponent in all of them: it could tell nothing apart."""
    assert find(spectral.learning()).hazard.ratio[0] < 0.7
    late = spectral.learning()
    late = late.take((late.frame["step"] > 0).to_numpy())
    with pytest.raises(TooFew, match=f"groups of {THIRD}: there is 1"):
        find(late)


def test_what_happened_before_the_predictor_was_measured_is_no_prediction():
    """The first records are those of step 50 here: trials that had got there by then are left out."""
    late = spectral.learning()
    frame = late.frame.copy()
    frame.loc[frame["step"] == spectral.REPORTS, [THIRD, FIRST]] = frame.loc[
        frame["step"] == 0, [THIRD, FIRST]
    ].to_numpy()
    late = replace(late, frame=frame).take((frame["step"] > 0).to_numpy())
    there = late.frame.groupby("trial")[spectral.COLUMN].first() < 0.5
    assert there.sum() > 5
    found = find(late)
    assert (found.at, found.early) == (spectral.REPORTS, there.sum())
    assert found.n.sum() == 90 - there.sum()
    assert found.hazard.low[0] < np.exp(-spectral.RATE) < found.hazard.high[0]


def test_shares_are_the_cumulative_incidence_with_loss_as_a_competing_outcome(found):
    """Aalen and Johansen's estimate, divergence being another cause of exit; nothing is censored before the end."""
    table = spectral.learning(lost=30)
    found, times = find(table), time_to_event.event_times(table, spectral.COLUMN, 0.5)
    assert found.lost.sum() > 10
    first = table.take(times.first)
    index, _ = survival.grouped(first, THIRD, 3)
    left = np.where(times.reached, times.time, np.where(times.lost, 300.0, 1000.0))
    cause = np.where(times.reached, 1, np.where(times.lost, 2, 0))
    for g in range(3):
        mine = index == g
        other = AalenJohansenFitter(jitter_level=1e-9, seed=0, calculate_variance=False)
        other.fit(left[mine], cause[mine], event_of_interest=1)
        at = np.searchsorted(other.cumulative_density_.index, found.steps + 1e-3, side="right") - 1
        expected = other.cumulative_density_.to_numpy()[at, 0]
        np.testing.assert_allclose(found.share[g], expected, atol=1e-12)


def test_groups_of_few_values_keep_their_names(found):
    cells = find(spectral.learning(), by="cell/kind")
    assert cells.groups == ("lstm", "vanilla")
    assert cells.n.tolist() == [45, 45]
    assert cells.at == 0
    many = find(spectral.learning(), groups=2)
    assert many.n.tolist() == [45, 45]


def test_bands_hold_their_share_and_medians_lie_where_the_share_is_a_half(found):
    known = np.isfinite(found.low)
    assert (found.low[known] <= found.share[known]).all()
    assert (found.share[known] <= found.high[known]).all()
    for g in range(3):
        if np.isfinite(found.median[g]):
            at = np.searchsorted(found.steps, found.median[g])
            assert found.share[g, at] >= 0.5 > found.share[g, at - 1]
        assert found.median_low[g] <= found.median[g] <= found.median_high[g]


def test_without_an_effect_nothing_is_found_more_often_than_chance_has_it():
    """Of 200 tables without an effect, a ratio's 95 % interval misses 1 and p is below 0.05 in 10, each in more than 21
    once in a thousand times (binomial)."""
    tables, missed, refused = 200, np.zeros(2, int), 0
    for seed in range(tables):
        found = find(spectral.learning(seed, trials=60, rate=0.0), groups=2)
        missed += (found.hazard.low > 1) | (found.hazard.high < 1)
        refused += found.p < 0.05
    most = stats.binom.ppf(0.999, tables, 0.05)
    assert (missed <= most).all()
    assert refused <= most


def test_trials_in_the_order_of_a_covariate_have_no_ratio():
    """Where each that gets there has the highest value of those still at risk, the likelihood grows without end."""
    table = spectral.learning()
    times = time_to_event.event_times(table, spectral.COLUMN, 0.5)
    frame = table.frame.assign(**{THIRD: table.frame["trial"].map(dict(zip(times.trials, -times.time)))})
    found = find(replace(table, frame=frame))
    assert np.isnan([found.hazard.ratio[0], found.joint.ratio[0], found.hazard.proportional[0]]).all()
    assert np.isfinite(found.hazard.ratio[1])
    assert "third, driven is the most significant" not in survival.sentence(found)
    assert survival.draw(found).data


def test_a_covariate_that_does_not_vary_leaves_the_others_their_ratios():
    table = spectral.learning()
    idle = "spectra/driven/positive"
    found = find(replace(table, frame=table.frame.assign(**{idle: 0.0})), covariates=[THIRD, idle])
    assert np.isnan([found.hazard.ratio[1], found.joint.ratio[1]]).all()
    assert found.joint.ratio[0] == pytest.approx(found.hazard.ratio[0])


def test_a_stored_finding_draws_the_same_figure_and_says_the_same(found):
    stored = pickle.loads(pickle.dumps(found))
    assert survival.draw(stored).to_json() == survival.draw(found).to_json()
    assert survival.sentence(stored) == survival.sentence(found)
    assert "lost before and never will" in survival.sentence(found)


def test_what_cannot_be_asked_is_said():
    table = spectral.learning()
    with pytest.raises(UnknownName, match="Did you mean"):
        find(table, by="spectra/driven/thirds")
    with pytest.raises(TooFew, match=r"trials that reached Held-out loss ≤ 0.100: there are 0, and 5 must be"):
        survival.find(table, spectral.COLUMN, 0.1, **ASKED)
    with pytest.raises(TooFew, match="there are 10, and 20 must be"):
        find(table.take(table.frame["trial"].isin([f"t{i:04d}" for i in range(10)]).to_numpy()))
    with pytest.raises(HuntTableError):
        find(replace(table, description=SweepDescription(intent="hunt")))
