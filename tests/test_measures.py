"""The exam that every measure sits."""

import json
import math
import pickle
import time
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from made_up_evidence import columns_of, lorenz_itself, lost, spoilt, system_itself

from lyapsweep.measures import MEASURES, Evidence, Measure, Undefined
from lyapsweep.measures.measure import at_rest
from lyapsweep.registry import UnknownName

LADDER = (0.0, 0.03, 0.1, 0.3, 1.0, 3.0, 30.0)  # noise, in standard deviations; the last leaves ten ranges


@pytest.fixture(scope="module")
def plain() -> Evidence:
    return lorenz_itself()


@pytest.fixture(scope="module", params=["binned", "mixture"])
def perfect(request) -> Evidence:
    """The system seen through three features, or through six: the two forms of D_stsp."""
    if request.param == "binned":
        return lorenz_itself()
    whole = lorenz_itself()
    return system_itself(*(np.hstack([part, part**2])[:1500] for part in (whole.truth, whole.reference)))


def badness(measure: Measure, score: float) -> float:
    return score if measure.direction == "minimise" else -score


def slack(name: str) -> float:
    """Of the spread: what published conventions may be off by, with their Monte Carlo and spectra of no fixed sum."""
    return 0.01 if name.endswith(("mikhaeil2022", "hess2023")) else 0.0


# ---- the exam ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", list(MEASURES))
class TestExam:
    def test_says_what_it_is(self, name):
        measure = MEASURES[name]
        assert measure.name == name
        assert math.isfinite(measure.worst)
        assert measure.unit
        assert measure.title
        assert MEASURES.sentence(name).endswith(".")
        assert "Worst" in (measure.__doc__ or "")
        assert pickle.loads(pickle.dumps(measure)) == measure

    def test_truth_scores_best_and_more_noise_never_better(self, name, perfect):
        ladder = LADDER[:-1] if name == "state_space_hess2023" else LADDER  # it forgets the points out of range
        scores = [badness(MEASURES[name], MEASURES[name](spoilt(perfect, noise))) for noise in ladder]
        spread = max(scores) - min(scores)
        assert scores[0] <= min(scores) + slack(name) * spread
        assert all(later >= earlier - 0.01 * spread for earlier, later in pairwise(scores))
        assert spread > 0

    @pytest.mark.parametrize("value", [math.nan, math.inf])
    def test_lost_network_scores_finite_and_worse_than_any(self, name, perfect, value):
        measure = MEASURES[name]
        score = measure(lost(perfect, value))
        assert type(score) is float
        assert math.isfinite(score)
        others = [badness(measure, measure(spoilt(perfect, noise))) for noise in (*LADDER, 1e9)]
        assert badness(measure, score) >= max(others)
        assert badness(measure, score) <= badness(measure, measure.worst)

    def test_huge_but_finite_numbers_are_no_worse_than_worst(self, name, perfect):
        measure = MEASURES[name]
        score = measure(lost(perfect, 1e300))
        assert math.isfinite(score)
        assert badness(measure, score) <= badness(measure, measure.worst)

    def test_floor_is_near_the_truth(self, name, perfect):
        measure = MEASURES[name]
        floor = measure.floor(perfect)
        if not measure.has_floor:
            assert floor is None
            return
        best, worst = badness(measure, measure(perfect)), badness(measure, measure(lost(perfect, math.nan)))
        spread = worst - best
        assert floor is not None
        assert best - slack(name) * spread <= badness(measure, floor) <= best + 0.3 * spread

    def test_a_dead_network_scores_no_better_than_the_truth(self, name, perfect):
        measure = MEASURES[name]
        saturation, floor = measure.saturation(perfect), measure.floor(perfect)
        assert (saturation is None) == (floor is None)
        if saturation is None or floor is None:
            return
        assert math.isfinite(saturation)
        assert badness(measure, saturation) >= badness(measure, floor)
        assert name == "divergence" or badness(measure, saturation) > badness(measure, floor)  # it stays where it is
        assert saturation == measure.saturation(lost(perfect, math.nan))  # it knows the data alone
        middle = measure(at_rest(perfect, perfect.truth.mean(axis=0)))  # as a network before its first update
        assert badness(measure, saturation) <= badness(measure, middle)

    def test_single_precision_agrees(self, name, perfect):
        evidence = spoilt(perfect, 0.1)
        arrays = {k: v.astype(np.float32) for k, v in vars(evidence).items() if isinstance(v, np.ndarray)}
        single = MEASURES[name](replace(evidence, **arrays))
        assert single == pytest.approx(MEASURES[name](evidence), rel=0.02, abs=1e-6)

    def test_columns_are_scalars_under_its_name(self, name, perfect):
        columns = columns_of(name, perfect)
        assert all(k == name or k.startswith(f"{name}/") for k in columns)
        assert json.dumps(columns, allow_nan=False)
        assert columns_of(name, lost(perfect, math.nan)).keys() == columns.keys()


@pytest.mark.parametrize("name", ["state_space", "power_spectrum"])
def test_floor_is_the_score_of_the_reference(name, plain):
    floor = MEASURES[name].floor(spoilt(plain, 1.0))
    assert floor is not None
    assert floor == MEASURES[name](replace(plain, generated=plain.reference))
    assert floor > 0


def test_unknown_measure_is_named_with_its_neighbour():
    with pytest.raises(UnknownName, match="Did you mean 'state_space'"):
        MEASURES["statespace"]


def test_measure_without_a_finite_worst_is_refused():
    with pytest.raises(ValueError, match="worst=inf"):
        Measure("odd", lambda evidence: 0.0, "minimise", math.inf, "1", "odd")


def test_undefined_is_nan_and_defects_are_raised(plain):
    def undefined(evidence):
        raise Undefined("no reason")

    def overflown(evidence):
        raise OverflowError

    make = lambda function: Measure("odd", function, "minimise", 7.0, "1", "odd")  # noqa: E731
    assert math.isnan(make(undefined)(plain))
    assert make(undefined).floor(plain) is None
    assert make(overflown)(plain) == 7.0
    with pytest.raises(IndexError):
        make(lambda evidence: evidence.truth[0, 99])(plain)


@pytest.mark.parametrize("name", ["state_space", "power_spectrum"])
def test_ten_thousand_points_take_less_than_twenty_milliseconds(name, plain):
    evidence, seconds = replace(plain, generated=plain.reference), []
    for _ in range(10):
        start = time.process_time()
        MEASURES[name](evidence)
        seconds.append(time.process_time() - start)
    assert min(seconds) < 0.02


def test_several_runs_are_scored_together(plain):
    """Pooled points, spectra averaged over pieces, divergence as the mean over runs."""
    five = replace(plain, orbits=5)
    assert MEASURES["state_space"](five) == MEASURES["state_space"](plain)
    assert MEASURES["power_spectrum"](five) == pytest.approx(0.0, abs=1e-9)
    lost = plain.generated.copy()
    lost[len(lost) // 5 :: 1][: len(lost) // 5] = np.nan  # the second of five runs, from its first step
    assert MEASURES["divergence"](replace(five, generated=lost)) == pytest.approx(0.8)
    still = plain.generated.copy()
    still[: len(still) // 5] = still[0]
    assert 0 < MEASURES["power_spectrum"](replace(five, generated=still)) < 0.5
