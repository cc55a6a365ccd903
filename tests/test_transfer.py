"""The transfer matrix: what holds in every group carries over, what is turned round in one does not."""

from dataclasses import replace

import made_up_early
import numpy as np
import pytest
from made_up_early import OUTCOME
from published import BINOMIAL

from lyapsweep.analysis.prediction import transfer
from lyapsweep.analysis.shared.selection import TooFew

CELLS = ("gru", "lstm", "vanilla")
QUICK = {"repeats": 2, "permutations": 99}


def test_what_holds_everywhere_carries_over():
    found = transfer.find(made_up_early.table(n=180, effect=2.0, cells=CELLS), OUTCOME, "cell", **QUICK)
    assert found.groups == CELLS
    assert (found.low > 0).all()
    assert [n.runs for n in found.counts] == [60, 60, 60]
    assert "6 of 6 transfers have an interval above zero" in transfer.sentence(found)


def test_what_is_turned_round_in_one_group_is_seen_off_the_diagonal_alone():
    table = made_up_early.table(n=180, effect=2.0, cells=CELLS)
    turned = ((table.frame["cell"] == "lstm") & table.frame["final"]).to_numpy(bool)
    values = table.frame[OUTCOME].to_numpy(copy=True)
    values[turned] = -values[turned]
    found = transfer.find(replace(table, frame=table.frame.assign(**{OUTCOME: values})), OUTCOME, "cell", **QUICK)
    sign = np.array([[1, -1, 1], [-1, 1, -1], [1, -1, 1]])
    assert (sign * found.rho > 0.3).all()
    assert "4 below it" in transfer.sentence(found)


def test_what_is_known_without_the_spectrum_may_be_asked():
    table = made_up_early.table(n=120, effect=0.0, cells=("gru", "lstm"))
    known, spectrum = (transfer.find(table, OUTCOME, "cell", predictors=p, **QUICK) for p in ("known", "spectrum"))
    assert (known.low > 0.3).all()
    assert (spectrum.rho < known.rho).all()
    with pytest.raises(ValueError, match="predictors: must be one of spectrum, known, all, but is 'loss'"):
        transfer.find(table, OUTCOME, "cell", predictors="loss")


def test_shuffled_outcomes_do_not_carry_over():
    """Of 200 tables the 95 % intervals hold 0 as often as they say, on the diagonal and off it."""
    held = np.zeros((2, 2), int)
    for seed in range(200):
        table = made_up_early.table(n=60, cells=("gru", "lstm"), shuffle=True, seed=seed)
        found = transfer.find(table, OUTCOME, "cell", repeats=2, permutations=79, seed=seed)
        held += (found.low <= 0) & (found.high >= 0)
    assert (held >= BINOMIAL).all()


def test_small_groups_are_left_out_and_named():
    table = made_up_early.table(n=33, cells=(*CELLS, "gru", "lstm"))
    found = transfer.find(table, OUTCOME, "cell", **QUICK)
    assert (found.groups, found.small) == (("gru", "lstm"), ("vanilla",))
    with pytest.raises(TooFew, match="values of cell with 10 trials"):
        transfer.find(made_up_early.table(n=24, cells=CELLS), OUTCOME, "cell", **QUICK)


def test_a_fit_does_not_see_the_group_that_it_is_tried_on():
    table = made_up_early.table(n=90, effect=1.0, cells=CELLS)
    other = ((table.frame["cell"] == "vanilla") & table.frame["final"]).to_numpy(bool)
    values = table.frame[OUTCOME].to_numpy(copy=True)
    values[other] = np.random.default_rng(0).permutation(values[other])
    shuffled = replace(table, frame=table.frame.assign(**{OUTCOME: values}))
    a, b = (transfer.find(t, OUTCOME, "cell", **QUICK).rho for t in (table, shuffled))
    np.testing.assert_array_equal(a[:2, :2], b[:2, :2])
