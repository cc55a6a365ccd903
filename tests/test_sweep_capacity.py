"""How many packs train at a time, and which trials of a hunt train on."""

import threading

import pytest
from ray.tune.schedulers import FIFOScheduler

from lyapsweep.config.sections import Training
from lyapsweep.sweep import SweepError
from lyapsweep.sweep.execute import ray_cluster
from lyapsweep.sweep.execute.failures import Interrupted
from lyapsweep.sweep.execute.halving import scheduler


def test_room_follows_the_nodes_and_waits_for_the_first(monkeypatch):
    nodes, asked = iter([{}, {}, {"CPU": 3.0}, {"CPU": 8.0, "GPU": 1.0}]), []
    monkeypatch.setattr(ray_cluster.ray, "cluster_resources", lambda: next(nodes))
    monkeypatch.setattr(ray_cluster, "request_resources", lambda bundles: asked.append(bundles))
    monkeypatch.setattr(ray_cluster.ClusterCapacity, "INTERVAL", 0.0)
    room = ray_cluster.ClusterCapacity(None, 0.0)
    room.wait(5, 30.0, threading.Event())
    assert asked == [[{"CPU": 1.0}] * 5]
    assert (room.packs, room()) == (3, 8)


@pytest.mark.parametrize(("gpus", "packs"), [(1.0, 2), (0.25, 8), (0.3, 6), (2.0, 1)])
def test_packs_share_gpus(monkeypatch, gpus, packs):
    monkeypatch.setattr(ray_cluster.ray, "cluster_resources", lambda: {"CPU": 16.0, "GPU": 2.0})
    assert ray_cluster.ClusterCapacity(None, gpus)() == packs
    assert ray_cluster.ClusterCapacity(1, gpus)() == 1
    with pytest.raises(SweepError, match="has 16 CPUs and 2 GPUs"):
        ray_cluster.ClusterCapacity(None, 3.0).wait(1, 0.0, threading.Event())


def test_capacity_is_asked_for_every_two_seconds_and_never_above_the_jobs(monkeypatch):
    now, answers = [100.0], iter([{"CPU": 2.0}, {"CPU": 8.0}, {"CPU": 1.0}])
    monkeypatch.setattr(ray_cluster.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(ray_cluster.ray, "cluster_resources", lambda: next(answers))
    capacity, seen = ray_cluster.ClusterCapacity(4, 0.0), []
    for now[0] in (100.0, 101.9, 102.0, 103.9, 104.0):
        seen.append(capacity())
    assert seen == [2, 2, 4, 4, 1]


def test_a_signal_ends_the_wait_for_nodes(monkeypatch):
    monkeypatch.setattr(ray_cluster.ray, "cluster_resources", lambda: {})
    monkeypatch.setattr(ray_cluster, "request_resources", lambda bundles: None)
    stop = threading.Event()
    stop.set()
    with pytest.raises(Interrupted):
        ray_cluster.ClusterCapacity(None, 0.0).wait(1, 30.0, stop)


def test_only_clusters_are_waited_for(monkeypatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    assert ray_cluster.node_timeout(None) == 0
    assert ray_cluster.node_timeout("head:6379") == 900
    monkeypatch.setenv("RAY_ADDRESS", "head:6379")
    assert ray_cluster.node_timeout(None) == 900


# Successive halving


@pytest.mark.parametrize(
    ("steps", "report_every", "rungs"),
    [
        (900, 10, [100, 300]),
        (5000, 500, [555, 1665, 4995]),
        (900, 200, [200, 600]),  # not before the first report
        (900, 900, []),
        (900, None, []),
        (4, 1, [1, 3]),
    ],
)
def test_a_hunt_compares_at_a_ninth_and_a_third_of_training(steps, report_every, rungs):
    asha = scheduler("hunt", Training(steps=steps, report_every=report_every))
    (bracket,) = asha._brackets
    assert [rung for rung, _ in reversed(bracket._rungs) if rung < steps] == rungs
    assert (asha._max_t, asha._time_attr) == (steps, "step")


def test_one_of_three_trains_on():
    asha = scheduler("hunt", Training(steps=900, report_every=10))
    assert asha._reduction_factor == 3
    assert asha.set_search_properties("objective", "min")
    bracket = asha._brackets[0]
    decisions = [bracket.on_result(FakeTrial(str(i)), 100, -value) for i, value in enumerate((3, 6, 9, 1, 2, 8))]
    assert decisions == ["CONTINUE", "STOP", "STOP", "CONTINUE", "CONTINUE", "STOP"]


class FakeTrial:
    def __init__(self, trial_id):
        self.trial_id = trial_id


def test_a_map_stops_nobody():
    assert type(scheduler("map", Training(steps=900, report_every=10))) is FIFOScheduler
