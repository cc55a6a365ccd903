"""Packs that are lost: in which form they go out again, to whom, and how many at a time."""

import threading
import weakref

import pytest
import torch
from made_up_sweeps import TINY

from lyapsweep.config import Config
from lyapsweep.results.provenance import Provenance
from lyapsweep.results.record import Outcome, Record
from lyapsweep.sweep import Sweep, SweepError, spaces
from lyapsweep.sweep.execute import trainable
from lyapsweep.sweep.execute.failures import PackFailure
from lyapsweep.sweep.execute.optuna_study import OptunaStudy
from lyapsweep.sweep.execute.searcher import RETRIES, PackSearcher, planned
from lyapsweep.training.checkpoint import name


@pytest.fixture
def configs(tmp_path):
    file = tmp_path / "tiny.yaml"
    file.write_text(TINY)
    return [Config.load(file, {"seed": seed}) for seed in range(8)]


def lost_until_alone(configs, guilty, why):
    """Hand a pack out until every pack is over; packs with the guilty member are lost each time."""
    packs, given_up, trained, losses = PackSearcher(iter([configs]), {}, lambda: 1), [], [], 0
    while isinstance(handed := packs.suggest(""), dict):
        pack = packs.handed_out[handed["pack"]]
        if guilty in pack:
            losses += 1
            given_up += packs.lose(handed["pack"], pack, why)
        else:
            trained += pack
            packs.close(handed["pack"])
    assert handed == PackSearcher.FINISHED
    return given_up, trained, losses


@pytest.mark.parametrize(
    ("why", "losses"), [(PackFailure.WORKER, RETRIES + 4), (PackFailure.MEMORY, 4), (PackFailure.TIME, 4)]
)
def test_a_member_that_costs_workers_is_found_and_its_neighbours_train(configs, why, losses):
    """Halved three times, 8 are 1. A lost worker is tried whole RETRIES times before."""
    given_up, trained, lost = lost_until_alone(configs, configs[5], why)
    assert given_up == [configs[5]]
    assert sorted(c.seed for c in trained) == [0, 1, 2, 3, 4, 6, 7]
    assert lost == losses


def short_of_memory(pack, device, checkpoints):
    """Training for which memory suffices up to three members."""
    hoard = torch.zeros(1)
    hoards.append(weakref.ref(hoard))
    if len(pack) > 3:
        raise torch.OutOfMemoryError("CUDA out of memory")
    hoard = None
    assert not any(kept() is not None for kept in hoards)  # what the failed packs had taken is free again
    yield [Record(c, 4, Outcome.FINISHED, provenance=Provenance(pack=len(pack))) for c in pack]


hoards = []


def test_a_pack_too_large_for_the_memory_is_halved_and_the_memory_of_the_first_try_is_free(configs, monkeypatch):
    hoards.clear()
    monkeypatch.setattr(trainable, "run_trials", short_of_memory)
    starved = []
    records = [r for some in trainable.outlast(configs, "cpu", starved) for r in some]
    assert [r.config.seed for r in records] == list(range(8))
    assert {r.outcome for r in records} == {Outcome.FINISHED}
    assert starved == [8, 4, 4]


def test_a_pack_that_goes_out_again_is_the_same_pack_and_says_who_has_ended(configs):
    ended = {configs[2].id}
    packs = PackSearcher(iter([configs]), {}, lambda: 1, ended.__contains__)
    first = packs.suggest("")
    assert packs.lose(first["pack"], [c for c in configs if c.id not in ended], PackFailure.WORKER) == []
    again = packs.suggest("")
    assert (again["pack"], again["configs"]) == (1, first["configs"])
    assert again["known"] == [configs[2].id]


def test_a_pack_that_comes_further_each_time_is_lost_as_often_as_it_takes(configs):
    """On machines that are taken away; one that comes no further, or begins anew, is at fault."""
    packs = PackSearcher(iter([configs]), {}, lambda: 1)
    number = packs.suggest("")["pack"]
    for step in range(0, 3000, 300):
        packs.advance(number, step)
        assert packs.lose(number, configs, PackFailure.WORKER) == []
        handed = packs.suggest("")
        number = handed["pack"]
        assert len(handed["configs"]) == 8
    for sizes in [8] * (RETRIES - 1) + [4]:
        packs.advance(number, 300)  # which it had reached before
        packs.lose(number, configs, PackFailure.WORKER)
        handed = packs.suggest("")
        number = handed["pack"]
        assert len(handed["configs"]) == sizes


def test_halves_know_whose_checkpoints_they_may_go_on_from(configs):
    """The nearest first; a whole pack that goes out again has its own."""
    named = lambda pack: name([c.id for c in pack])  # noqa: E731
    packs = PackSearcher(iter([configs]), {}, lambda: 9)
    assert packs.suggest("")["cut_from"] == []
    packs.lose(0, configs, PackFailure.WORKER)
    assert packs.suggest("")["cut_from"] == []
    packs.lose(1, configs[:6], PackFailure.TIME)  # the last two have ended
    halves = [packs.suggest("") for _ in range(2)]
    assert [len(h["configs"]) for h in halves] == [3, 3]
    assert [h["cut_from"] for h in halves] == [[named(configs)]] * 2
    packs.lose(halves[0]["pack"], configs[:3], PackFailure.TIME)
    assert packs.suggest("")["cut_from"] == [named(configs[:3]), named(configs)]


def test_a_planned_pack_that_is_cut_to_what_fits_knows_the_whole(configs):
    """As a driver that was resumed cuts it, whose first one had not."""
    packs = PackSearcher(iter([configs[:4], configs]), {}, lambda: 9)
    packs.suggest("")
    packs.learn(0, 4)
    assert packs.suggest("")["cut_from"] == packs.suggest("")["cut_from"] == [name([c.id for c in configs])]


def test_a_resumed_sweep_trains_the_packs_of_its_first_plan(tmp_path, configs):
    """Whole where a member was cut short; those that failed by themselves; extensions in packs of their own."""
    sweep = Sweep(base=tmp_path / "tiny.yaml", objective="loss", grid={"seed": list(range(12))})
    points = spaces.draw(sweep)
    keys = [p.config.id for p in points]
    journal = OptunaStudy(tmp_path / "optuna.journal", "a", "minimise", "map", 0)
    ended, failed = {*keys[:4], keys[6]}, {keys[7]}
    plan = planned([points[:8], points[8:]], 3, "cpu", journal, ended, failed)
    assert [[c.seed for c in pack] for pack in plan] == [[3, 4, 5], [7], [8, 9], [10, 11]]
    entered = [t.user_attrs["trial_key"] for t in journal.study.trials]
    assert entered == [keys[i] for i in (4, 5, 7, 8, 9, 10, 11)]


def test_later_packs_of_a_shape_are_cut_to_what_fits(configs):
    other = [c.changed({"cell/units": 5}) for c in configs]
    packs = PackSearcher(iter([configs, configs[::-1], other]), {}, lambda: 9)
    packs.suggest("")
    packs.learn(0, 3)
    packs.learn(0, 1)  # of the member alone for which no memory suffices
    sizes = []
    while isinstance(handed := packs.suggest(""), dict):
        sizes.append(len(handed["configs"]))
        packs.close(handed["pack"])
    assert sorted(sizes) == [2, 3, 3, 8]


def test_there_are_never_more_packs_out_than_there_is_room(configs):
    room = iter([1, 1, 2, 0, 2])
    packs = PackSearcher(iter([[c] for c in configs]), {}, lambda: next(room))
    assert [isinstance(packs.suggest(""), dict) for _ in range(4)] == [True, False, True, False]
    packs.close(0)
    assert isinstance(packs.suggest(""), dict)


def test_room_follows_the_nodes_and_waits_for_the_first(monkeypatch):
    from lyapsweep.sweep.execute import ray_cluster

    nodes, asked = iter([{}, {}, {"CPU": 3.0}, {"CPU": 8.0, "GPU": 1.0}]), []
    monkeypatch.setattr(ray_cluster.ray, "cluster_resources", lambda: next(nodes))
    monkeypatch.setattr(ray_cluster, "request_resources", lambda bundles: asked.append(bundles))
    monkeypatch.setattr(ray_cluster.ClusterCapacity, "EVERY", 0.0)
    room = ray_cluster.ClusterCapacity(None, 0.0)
    room.wait(5, 30.0, threading.Event())
    assert asked == [[{"CPU": 1.0}] * 5]
    assert (room.packs, room()) == (3, 8)


@pytest.mark.parametrize(("gpus", "packs"), [(1.0, 2), (0.25, 8), (0.3, 6), (2.0, 1)])
def test_packs_share_gpus(monkeypatch, gpus, packs):
    from lyapsweep.sweep.execute import ray_cluster

    monkeypatch.setattr(ray_cluster.ray, "cluster_resources", lambda: {"CPU": 16.0, "GPU": 2.0})
    assert ray_cluster.ClusterCapacity(None, gpus)() == packs
    assert ray_cluster.ClusterCapacity(1, gpus)() == 1
    with pytest.raises(SweepError, match="has 16 CPUs and 2 GPUs"):
        ray_cluster.ClusterCapacity(None, 3.0).wait(1, 0.0, threading.Event())
