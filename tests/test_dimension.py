"""The Kaplan-Yorke dimension with its interval, exponents that count as zero, and bounds from a part of a spectrum."""

import json
import math

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from lyapsweep.analysis.shared.spectrum_features import determined, summaries
from lyapsweep.cli import main
from lyapsweep.cli.printing import derived_lines
from lyapsweep.dynamics.dimension import dimension_interval, kaplan_yorke
from lyapsweep.dynamics.spectrum import Spectrum


def made(exponents, stderr=None, state=None, flow=False):
    e = np.array(exponents, float)
    errors = np.full(len(e), 1e-9) if stderr is None else np.array(stderr, float)
    checks = {"zero": float(np.abs(e).min())} if flow else {}
    return Spectrum(e, errors, 100, 4, "system", state or len(e), 0.01 if flow else None, checks=checks)


# N7: measured exponents of three limit cycles, and the sign that rounding gives the zero of a map's
CYCLES = [
    made([-2.36e-4, -0.01131, -0.12513], [8.9e-5, 1.7e-4, 2.3e-4], flow=True),
    made([-5.6e-5, -0.00784, -0.5399], [4.4e-5, 1.3e-4, 1.3e-3], flow=True),
    made([1.106e-4, -0.00838, -0.3673], [3.3e-5, 1.2e-4, 1e-3], flow=True),
    made([1e-6, -1.7]),
    made([-1e-6, -1.7]),
    made([0.003, -0.4, -1.0], [0.002, 0.01, 0.01]),
    made([-0.003, -0.4, -1.0], [0.002, 0.01, 0.01]),
]


@pytest.mark.parametrize("cycle", CYCLES)
def test_the_dimension_of_a_limit_cycle_is_1_whichever_sign_rounding_gave_its_zero(cycle):
    assert cycle.kaplan_yorke == 1.0
    assert cycle.kaplan_yorke_interval == (1.0, 1.0)
    assert cycle.zeros.tolist() == [True] + [False] * (len(cycle.exponents) - 1)
    assert (cycle.chaotic, cycle.positive, cycle.entropy_rate) == (False, 0, 0.0)
    assert cycle.predictability_time == math.inf
    assert cycle.gap == cycle.exponents[0] - cycle.exponents[1]


def test_a_fixed_point_has_dimension_0_and_no_gap():
    for flow in (True, False):
        rest = made([-0.001, -0.02, -1.0], [1e-12, 1e-9, 1e-9], flow=flow)  # its rates vary by rounding alone
        assert (rest.kaplan_yorke, rest.kaplan_yorke_interval) == (0.0, (0.0, 0.0))
        assert not rest.zeros.any()
        assert math.isnan(rest.gap)


def test_a_torus_and_chaos_keep_their_zeros():
    for first, second in ((1e-5, -2e-5), (2e-5, 1e-5), (-1e-5, -2e-5)):
        assert made([first, second, -1.0], [2e-5, 2e-5, 1e-3]).kaplan_yorke == 2.0
    lorenz = made([0.00906, -2e-5, -0.1457], [1e-4, 1e-4, 1e-4], flow=True)
    assert lorenz.zeros.tolist() == [False, True, False]
    assert lorenz.kaplan_yorke == pytest.approx(2 + 0.00906 / 0.1457)
    low, high = lorenz.kaplan_yorke_interval
    assert (low, high) == pytest.approx((2 + 0.00886 / 0.1459, 2 + 0.00926 / 0.1455))
    assert made([-0.1, -0.2, -0.3], [0.2, 0.3, 0.4]).kaplan_yorke == 0.0  # errors too large to name a zero
    assert made([-0.1, -0.2, -0.3], [0.2, 0.3, 0.4]).kaplan_yorke_interval == (0.0, 3.0)


def test_an_unknown_error_gives_no_interval():
    s = made([0.5, -1.0], [math.nan, 0.1])
    assert all(map(math.isnan, s.kaplan_yorke_interval))
    assert made([0.5, -math.inf], [0.1, math.nan]).kaplan_yorke_interval == (1.0, 1.0)
    assert dict(derived_lines(s))["Kaplan-Yorke dimension"] == "1.5"
    assert dict(derived_lines(made([0.5, -1.0], [0.1, 0.1])))["Kaplan-Yorke dimension"].startswith("1.5 (1.25 to 1.87")


@given(st.lists(st.floats(-2, 1), min_size=1, max_size=6), st.lists(st.floats(0, 0.5), min_size=6, max_size=6))
def test_every_spectrum_within_the_errors_has_a_dimension_within_the_interval(exponents, errors):
    e = np.sort(np.array(exponents))[::-1]
    half = np.array(errors[: len(e)])
    low, high = dimension_interval(e, half, len(e), partial=False)
    for signs in np.random.default_rng(0).uniform(-1, 1, (20, len(e))):
        inside = kaplan_yorke(np.sort(e + signs * half)[::-1], float(len(e)))
        assert low - 1e-9 <= inside <= high + 1e-9


def test_a_part_of_a_spectrum_gives_bounds_named_as_bounds():
    part = made([0.3, 0.1, 0.05], [0.01, 0.01, 0.01], state=8)
    assert math.isnan(part.kaplan_yorke)
    assert part.kaplan_yorke_interval == (3.0, 8.0)
    assert math.isnan(part.entropy_rate)
    assert part.entropy_bound == pytest.approx(0.45)
    written = part.to_dict()
    assert math.isnan(written["sum_per_step"])
    assert math.isnan(written["entropy_rate_per_step"])
    assert written["entropy_rate_at_least_per_step"] == written["leading_sum_per_step"] == pytest.approx(0.45)
    lines = dict(derived_lines(part))
    assert lines["entropy rate"] == ">= 0.45 per step (from 3 of 8 exponents)"
    assert lines["Kaplan-Yorke dimension"] == ">= 3 (from 3 of 8 exponents)"
    assert lines["sum"] == "0.45 per step, of the leading 3 of 8"
    enough = made([0.3, 0.1, -1.0], state=8)
    assert enough.kaplan_yorke == pytest.approx(2.4)
    assert enough.entropy_rate == pytest.approx(0.4)
    assert dict(derived_lines(enough))["entropy rate"] == "0.4 per step (sum of the positive exponents)"


def test_rows_that_do_not_determine_a_dimension_have_none():
    rows = np.array([[0.3, 0.1, -1.0], [0.3, 0.1, 0.05], [0.3, np.nan, np.nan]])
    found = summaries(rows)
    assert found["kaplan_yorke"].tolist() == [pytest.approx(2.4), *[pytest.approx(math.nan, nan_ok=True)] * 2]
    assert found["entropy_rate"].isna().tolist() == [False, True, True]
    assert {"kaplan_yorke", "entropy_rate"} <= set(determined(rows[:1]))
    assert not {"kaplan_yorke", "entropy_rate"} & set(determined(rows))


def test_no_zero_exponent_is_missed_where_it_is_not_among_those_asked_for():
    """N8."""
    runner = CliRunner()
    sizes = ["--steps", "400", "--orbits", "8", "--warmup", "100"]
    text = runner.invoke(main, ["spectrum", "lorenz63", "--exponents", "1", *sizes]).output
    assert "No exponent of this flow" not in text
    assert "zero " not in text
    assert "entropy rate            >= " in text
    told = json.loads(runner.invoke(main, ["spectrum", "lorenz63", "--exponents", "1", "--json", *sizes]).stdout)
    assert (told["entropy_rate_per_step"], told["kaplan_yorke"], told["sum_per_step"]) == (None, None, None)
    assert told["entropy_rate_at_least_per_step"] > 0
    flow = Spectrum(np.array([0.5, -0.4]), np.zeros(2), 9, 1, "system", 3, 0.1, checks={"zero": 0.4})
    assert any("No exponent of this flow is zero" in warning for warning in flow.warnings)
