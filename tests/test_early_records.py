"""Early and final, side by side: the right record, nothing of later ones, and everybody who is left out is counted."""

import made_up
import made_up_early
import numpy as np
import pandas as pd
import pytest
from made_up_early import OUTCOME

from lyapsweep.analysis.shared.early_records import early_records
from lyapsweep.analysis.shared.selection import TooFew
from lyapsweep.registry import UnknownName
from lyapsweep.results.table import Table


@pytest.mark.parametrize(("fraction", "step"), [(0.0, 0), (0.099, 0), (0.1, 10), (0.9, 10)])
def test_the_record_nearest_below_the_moment_is_taken(fraction, step):
    rows = early_records(made_up_early.table(n=12), OUTCOME, fraction)
    assert set(rows.steps) == {step}
    frame = made_up_early.frame(n=12)
    there = frame[frame["epoch"] == step]
    np.testing.assert_allclose(rows.spectra[:, 0], there.filter(like="le_").max(axis=1))
    np.testing.assert_allclose(rows.values, frame[frame["epoch"] == 100]["val_loss"])
    if step:
        np.testing.assert_allclose(rows.scores[OUTCOME], there["val_loss"])
    else:
        assert rows.scores.shape == (12, 0)  # the loss before training is the same for all


def test_a_length_of_training_that_is_no_number_is_that_of_the_longest_trial():
    """Columns of imported tables may hold anything under any name."""
    plain, odd = made_up_early.table(n=12), made_up_early.table(n=12)
    for cell in ("lstm", pd.Timestamp("1973-12-19"), None):
        odd.frame["training/steps"] = [cell] * len(odd)
        rows = early_records(odd, OUTCOME, 0.1)
        np.testing.assert_array_equal(rows.steps, early_records(plain, OUTCOME, 0.1).steps)
    odd.frame["training/steps"] = 50
    assert set(early_records(odd, OUTCOME, 0.19).steps) == {0}


def test_later_records_do_not_reach_the_predictors():
    table = made_up_early.table(n=12)
    later = table.frame["step"].to_numpy() == 100
    changed = made_up_early.table(n=12)
    changed.spectra["driven"][later] = 99.0
    a, b = (early_records(t, OUTCOME, 0.1) for t in (table, changed))
    np.testing.assert_array_equal(a.statistics, b.statistics)
    np.testing.assert_array_equal(a.spectra, b.spectra)


def test_lost_trials_are_the_worst_and_stay():
    rows = early_records(made_up_early.table(n=20, lost=3), OUTCOME, 0.1)
    assert np.isposinf(rows.values).sum() == rows.lost.sum() == 3
    assert len(rows.steps) == 20


def test_who_ended_before_or_was_never_measured_is_left_out_and_said():
    table = made_up_early.table(n=20)
    frame, driven = table.frame, table.spectra["driven"]
    ended = ((frame["trial"] == "t0003") & (frame["step"] == 100)).to_numpy()
    frame.loc[ended, ["step", "outcome"]] = [11, "diverged"]
    driven[((frame["trial"] == "t0005") & (frame["step"] < 100)).to_numpy()] = np.nan
    frame.loc[(frame["trial"] == "t0007") & (frame["step"] == 100), OUTCOME] = np.nan
    rows = early_records(table, OUTCOME, 0.2)
    assert (rows.over, rows.without, rows.undefined, len(rows.values)) == (1, 1, 1, 17)
    assert rows.summary.omitted == "1 without an early spectrum, 1 that had ended by then, 1 without an outcome"
    assert early_records(made_up_early.table(n=9), OUTCOME).summary.omitted == ""


def test_settings_are_what_varies_seeds_aside():
    records = [made_up.record(c, i, s, made_up.Outcome.RUNNING, 0) for c, i, s in POINTS]
    records += [made_up.record(c, i, s) for c, i, s in POINTS]
    rows = early_records(Table.of(records, made_up.DESCRIPTION), "measures/state_space", 0.05)
    assert set(rows.settings) == {"cell/kind", "cell/units", "forcing/interval"}
    assert set(rows.scores) == {"measures/state_space", "measures/loss"}
    assert rows.map == "closed loop"


POINTS = [(c, i, s) for c in ("lstm", "shallow_plrnn") for i in (5, 80) for s in (0, 1)]


def test_what_is_not_there_is_said():
    table = made_up_early.table(n=9)
    with pytest.raises(UnknownName, match="Did you mean 'driven'"):
        early_records(table, OUTCOME, map="drivn")
    with pytest.raises(UnknownName, match="val_loss"):
        early_records(table, OUTCOME + "x")
    with pytest.raises(ValueError, match=r"fraction: must be at least 0 and below 1, but is 1\.5"):
        early_records(table, OUTCOME, 1.5)
    with pytest.raises(TooFew, match="at or before 10 % of training"):
        early_records(table.finals, OUTCOME)
