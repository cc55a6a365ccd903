"""The sentences about a fitted network follow from rules."""

import math
from dataclasses import replace

import pytest

from lyapsweep.fitting.reliability import Facts, judge

GOOD = Facts(
    scores=(0.31, 0.29, 0.33),
    floor=(0.3, 0.35),
    objective="D_stsp",
    blind="",
    exponents=(0.9, 0.91, 0.92),
    lambda_max=0.905,
    lambda_low=0.89,
    lambda_high=0.92,
    verdict="chaotic",
    lost=0,
    training_times=200,
    beaten_by=(),
    coverage=0.9,
    has_test=True,
    favourite_lost=False,
    shortage="",
)


def test_a_network_at_the_floor_with_the_right_exponent_is_trusted():
    found = judge(GOOD)
    assert found.verdict == "yes"
    assert len(found.reasons) == 3
    assert "at the floor" in found.reasons[0]


@pytest.mark.parametrize(
    ("change", "verdict", "words"),
    [
        ({"scores": (0.8, 0.9, 0.7)}, "no", "2.7 times its floor"),
        ({"scores": (math.inf, math.inf, math.inf), "lost": 3}, "no", "ended bounded"),
        ({"scores": (0.31, 0.29, 0.9)}, "with reservations", "depends on the seed"),
        ({"scores": (0.31, 0.29, math.inf), "lost": 1}, "with reservations", "1 of 3 fresh seeds diverged"),
        ({"blind": "a network at rest"}, "with reservations", "cannot tell a network at rest"),
        ({"floor": (math.nan, math.nan)}, "with reservations", "no floor is known"),
        ({"floor": (0.0, 0.0)}, "with reservations", "no floor is known"),
        ({"exponents": (-0.1, -0.2, -0.3)}, "no", "not chaotic, as the data are"),
        ({"exponents": (0.7, 0.71, 0.72)}, "with reservations", "off by 22%"),
        ({"exponents": (0.3, 0.31, 0.32)}, "no", "off by 66%"),
        ({"exponents": (0.9, 0.91, -0.1)}, "with reservations", "1 of 3 fresh seeds ended without chaos"),
        ({"lambda_max": None, "verdict": "cannot tell"}, "with reservations", "'cannot tell'"),
        ({"lambda_max": None, "verdict": ""}, "with reservations", "allows no estimate"),
        ({"beaten_by": ("echo state network",)}, "with reservations", "at least as long: echo state network."),
        ({"beaten_by": ("persistence",)}, "no", "at least as long: persistence."),
        ({"coverage": 0.5}, "with reservations", "held 50% of the truth: it is too narrow"),
        ({"coverage": 0.995}, "with reservations", "too wide"),
        ({"training_times": 8}, "with reservations", "holds 8 predictability times"),
        ({"has_test": False}, "with reservations", "no test part"),
        ({"favourite_lost": True}, "yes", "favourite was not the best"),
        ({"shortage": "two networks"}, "with reservations", "budget was too small: two networks."),
        ({"driven": True}, "with reservations", "conditional"),
    ],
)
def test_every_rule_speaks(change, verdict, words):
    found = judge(replace(GOOD, **change))
    assert found.verdict == verdict
    assert any(words in sentence for sentence in found.sentences)
    assert not any(words in sentence for sentence in judge(GOOD).sentences)


def test_a_score_above_the_floor_but_close_is_a_reason_for_it():
    found = judge(replace(GOOD, scores=(0.42, 0.43, 0.44)))
    assert found.verdict == "yes"
    assert "1.4 times its floor" in found.reasons[0]


def test_an_exponent_outside_of_the_interval_but_within_ten_percent_agrees():
    assert judge(replace(GOOD, exponents=(0.83, 0.83, 0.83))).verdict == "yes"
