"""Packs that are lost: in which form they go out again, to whom, and how many at a time."""

from pathlib import Path

import pytest
from made_up_sweeps import TINY

from lyapsweep.config import Config
from lyapsweep.sweep.execute.failures import RETRIES, PackFailure, explanation
from lyapsweep.sweep.execute.pack import PackSettings, PackSpec
from lyapsweep.sweep.execute.searcher import PackSearcher
from lyapsweep.sweep.plan.points import Point
from lyapsweep.training.checkpoint import name

SETTINGS = PackSettings("loss", "cpu", Path("records"), Path("checkpoints"))


@pytest.fixture
def points(tmp_path):
    file = tmp_path / "tiny.yaml"
    file.write_text(TINY)
    return [Point(Config.load(file, {"seed": seed}), {}, {}) for seed in range(8)]


def lost_until_alone(points, guilty, why):
    """Hand a pack out until every pack is over; packs with the guilty member are lost each time."""
    packs, given_up, trained, losses = PackSearcher(iter([points]), SETTINGS, lambda: 1), [], [], 0
    while isinstance(handed := packs.suggest(""), dict):
        pack = packs.packs[handed["number"]]
        if guilty in pack:
            losses += 1
            given_up += packs.resubmit(handed["number"], pack, why)
        else:
            trained += pack
            packs.release(handed["number"])
    assert handed == PackSearcher.FINISHED
    return given_up, trained, losses


@pytest.mark.parametrize(
    ("why", "losses"), [(PackFailure.WORKER, RETRIES + 4), (PackFailure.MEMORY, 4), (PackFailure.TIME, 4)]
)
def test_a_member_that_costs_workers_is_found_and_its_neighbours_train(points, why, losses):
    """Halved three times, 8 are 1. A lost worker is tried whole RETRIES times before."""
    given_up, trained, lost = lost_until_alone(points, points[5], why)
    assert given_up == [points[5]]
    assert sorted(c.config.seed for c in trained) == [0, 1, 2, 3, 4, 6, 7]
    assert lost == losses


def test_a_pack_that_goes_out_again_is_the_same_pack_and_says_who_has_ended(points):
    ended = {points[2].key}
    packs = PackSearcher(iter([points]), SETTINGS, lambda: 1, ended.__contains__)
    first = packs.suggest("")
    assert packs.resubmit(first["number"], [c for c in points if c.key not in ended], PackFailure.WORKER) == []
    again = packs.suggest("")
    assert (again["number"], again["configs"]) == (1, first["configs"])
    assert again["ended"] == [points[2].key]


def test_a_pack_that_comes_further_each_time_is_lost_as_often_as_it_takes(points):
    """On machines that are taken away; one that comes no further, or begins anew, is at fault."""
    packs = PackSearcher(iter([points]), SETTINGS, lambda: 1)
    number = packs.suggest("")["number"]
    for step in range(0, 3000, 300):
        packs.advance(number, step)
        assert packs.resubmit(number, points, PackFailure.WORKER) == []
        handed = packs.suggest("")
        number = handed["number"]
        assert len(handed["configs"]) == 8
    for sizes in [8] * (RETRIES - 1) + [4]:
        packs.advance(number, 300)  # which it had reached before
        packs.resubmit(number, points, PackFailure.WORKER)
        handed = packs.suggest("")
        number = handed["number"]
        assert len(handed["configs"]) == sizes


def test_halves_know_whose_checkpoints_they_may_go_on_from(points):
    """The nearest first; a whole pack that goes out again has its own."""
    named = lambda pack: name([c.key for c in pack])  # noqa: E731
    packs = PackSearcher(iter([points]), SETTINGS, lambda: 9)
    assert packs.suggest("")["parents"] == []
    packs.resubmit(0, points, PackFailure.WORKER)
    assert packs.suggest("")["parents"] == []
    packs.resubmit(1, points[:6], PackFailure.TIME)  # the last two have ended
    halves = [packs.suggest("") for _ in range(2)]
    assert [len(h["configs"]) for h in halves] == [3, 3]
    assert [h["parents"] for h in halves] == [[named(points)]] * 2
    packs.resubmit(halves[0]["number"], points[:3], PackFailure.TIME)
    assert packs.suggest("")["parents"] == [named(points[:3]), named(points)]


def test_a_planned_pack_that_is_cut_to_what_fits_knows_the_whole(points):
    """As a driver that was resumed cuts it, whose first one had not."""
    packs = PackSearcher(iter([points[:4], points]), SETTINGS, lambda: 9)
    packs.suggest("")
    packs.limit_size(0, 4)
    assert packs.suggest("")["parents"] == packs.suggest("")["parents"] == [name([c.key for c in points])]


def test_later_packs_of_a_shape_are_cut_to_what_fits(points):
    other = [Point(c.config.changed({"cell/units": 5}), {}, {}) for c in points]
    packs = PackSearcher(iter([points, points[::-1], other]), SETTINGS, lambda: 9)
    packs.suggest("")
    packs.limit_size(0, 3)
    packs.limit_size(0, 1)  # of the member alone for which no memory suffices
    sizes = []
    while isinstance(handed := packs.suggest(""), dict):
        sizes.append(len(handed["configs"]))
        packs.release(handed["number"])
    assert sorted(sizes) == [2, 3, 3, 8]


def test_there_are_never_more_packs_out_than_there_is_room(points):
    room = iter([1, 1, 2, 0, 2])
    packs = PackSearcher(iter([[c] for c in points]), SETTINGS, lambda: next(room))
    assert [isinstance(packs.suggest(""), dict) for _ in range(4)] == [True, False, True, False]
    packs.release(0)
    assert isinstance(packs.suggest(""), dict)


def test_a_lost_worker_is_tried_twice_more():
    assert RETRIES == 2


def test_a_suggestion_is_a_spec_with_the_keys_of_its_points(points):
    old = Point(points[0].config, {}, {}, recorded_as="old")
    spec = PackSpec.from_dict(
        PackSearcher(iter([[old, points[1]]]), SETTINGS, lambda: 1, {"old"}.__contains__).suggest("")
    )
    assert spec == PackSpec(0, [old.config, points[1].config], ["old", points[1].key], ["old"], [], SETTINGS)


def test_what_is_left_of_a_pack_that_ran_out_of_memory_is_halved_and_so_are_later_packs(points):
    searcher = PackSearcher(iter([points, points[:6]]), SETTINGS, lambda: 9)
    number = searcher.suggest("")["number"]
    assert searcher.resubmit(number, points[3:], PackFailure.MEMORY) == []
    sizes = [len(searcher.suggest("")["configs"]) for _ in range(4)]
    assert sizes == [3, 2, 3, 3]


def test_an_empty_pack_is_waited_for_while_others_train_and_ends_the_sweep_otherwise(points):
    searcher = PackSearcher(iter([points[:2], [], points[2:3], []]), SETTINGS, lambda: 9)
    number = searcher.suggest("")["number"]
    assert searcher.suggest("") is None
    assert searcher.suggest("")["keys"] == [points[2].key]
    searcher.release(number), searcher.release(1)
    assert searcher.suggest("") == PackSearcher.FINISHED


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        ("ray.exceptions.OutOfMemoryError: Task was killed", PackFailure.MEMORY),
        ("The node is running low on memory", PackFailure.MEMORY),
        ("x" * 5000 + "killed due to the node running low on memory" + "y" * 5000, PackFailure.MEMORY),
        ("Task was killed by Ray's memory monitor", PackFailure.MEMORY),
        ("The actor died", PackFailure.WORKER),
        (MemoryError("x"), PackFailure.WORKER),
    ],
)
def test_the_cause_of_a_loss_is_read_off_rays_error(error, failure):
    assert PackFailure.of(error) is failure


@pytest.mark.parametrize(
    ("error", "said"),
    [
        ("The actor died unexpectedly.\n\tclass_name: X\n\tpid: 3", "The actor died unexpectedly."),
        (
            "Traceback (most recent call last):\n  File x\nValueError: no http://me:pw@host",
            "ValueError: no http://me:***@host",
        ),
        ("x" * 5000, "x" * 300),
        ("", ""),
    ],
)
def test_a_record_holds_one_line_of_rays_description(error, said):
    assert explanation(error) == said
