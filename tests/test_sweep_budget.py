"""Budgets of a sweep: what starts, and when what has started is interrupted."""

import math

import pytest
from made_up_sweeps import TINY, lr_space

from lyapsweep.config.sections import Training
from lyapsweep.sweep import Halving, Sweep, SweepError
from lyapsweep.sweep.execute import budget
from lyapsweep.sweep.execute.budget import BudgetMeter
from lyapsweep.sweep.execute.halving import SuccessiveHalving
from lyapsweep.sweep.plan.budget import Budget
from lyapsweep.sweep.plan.sampling import draw


@pytest.mark.parametrize(
    ("text", "amount"), [("90s", 90), ("30m", 1800), ("1.5h", 5400), ("2000000u", 2e6), ("2e6u", 2e6)]
)
def test_amounts(text, amount):
    assert (Budget.parse(text).amount, Budget.parse(text).of_time) == (amount, text[-1] != "u")


@pytest.mark.parametrize("text", ["30", "m", "0m", "-3m", "1.2.3s", "3 days", "nanu"])
def test_what_is_no_amount_is_refused(text):
    with pytest.raises(SweepError, match="30m"):
        Budget.parse(text)


@pytest.fixture
def points(tmp_path):
    (tmp_path / "tiny.yaml").write_text(TINY.replace("steps: 4, report_every: 2", "steps: 900, report_every: 100"))
    return draw(Sweep(base=tmp_path / "tiny.yaml", objective="loss", space=lr_space, trials=40))


@pytest.fixture
def clock(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(budget.time, "monotonic", lambda: now[0])
    return now


def test_trials_start_as_long_as_their_updates_fit(points, clock):
    meter = BudgetMeter(Budget.parse("10000u"))
    assert meter.admit(points[:8]) == 8
    meter.start(0, points[:8], 0)
    assert meter.admit(points[8:16]) == 3  # 10000 - 7200 are three trials of 900
    assert meter.reached
    meter.advance(0, {point.key: 300 for point in points[:8]})
    for point in points[:6]:
        meter.end(point.key)  # stopped at a third
    assert meter.admit(points[8:16]) == 7  # 10000 - 2400 - 2 * 600
    assert meter.used == 2400
    assert not meter.exceeded


def test_a_pack_of_a_map_starts_whole_or_not_at_all(points, clock):
    meter = BudgetMeter(Budget.parse("10000u"), whole=True)
    assert (meter.admit(points[:11]), meter.admit(points[:12])) == (11, 0)


def test_halving_is_expected(points, clock):
    halving = SuccessiveHalving(Halving(), "minimise")
    assert halving.expected(Training(steps=900, report_every=100), 0) == 300 + 600 / 3
    assert halving.expected(Training(steps=900, report_every=100), 300) == 600
    meter = BudgetMeter(Budget.parse("10000u"), expected=halving.expected)
    assert meter.admit(points) == 20


def test_time_is_that_of_what_was_trained(points, clock):
    meter = BudgetMeter(Budget.parse("100s"), started=0.0, slots=lambda: 2)
    assert meter.admit(points) == 40  # nothing is known
    meter.start(0, points[:2], 0)
    clock[0] = 9.0
    meter.advance(0, {point.key: 450 for point in points[:2]})
    assert meter.seconds_per_update(points[0].config.shape) == pytest.approx(0.01)
    assert meter.admit(points) == 10  # 91 s of one worker, of 9 s each
    clock[0] = 92.0
    assert meter.admit(points) == 0  # of which the first would end after 101 s
    assert not meter.exceeded
    clock[0] = 106.0
    assert meter.exceeded
    assert meter.sentence(3, 9) == "1.8 min of 100s used; 3 of 9 trials; --resume goes on"


def test_without_a_budget_everything_starts(points, clock):
    meter = BudgetMeter(None)
    assert (meter.admit(points), meter.exceeded, meter.sentence(1, 2)) == (40, False, "")
    clock[0] = math.inf
    assert not meter.exceeded
