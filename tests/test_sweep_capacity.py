"""How many packs train at a time."""

import threading
from types import SimpleNamespace

import pytest

from lyapsweep.sweep import SweepError
from lyapsweep.sweep.execute import ray_cluster, ray_monitor
from lyapsweep.sweep.execute.failures import Interrupted
from lyapsweep.sweep.execute.ray_cluster import Execution


def test_room_follows_the_nodes_and_waits_for_the_first(monkeypatch):
    nodes, asked = iter([{}, {}, {"CPU": 3.0}, {"CPU": 8.0, "GPU": 1.0}]), []
    monkeypatch.setattr(ray_cluster.ray, "cluster_resources", lambda: next(nodes))
    monkeypatch.setattr(ray_cluster, "request_resources", lambda bundles: asked.append(bundles))
    monkeypatch.setattr(ray_cluster.ClusterCapacity, "INTERVAL", 0.0)
    room = ray_cluster.ClusterCapacity(Execution(address="head:6379", node_timeout=30.0))
    room.wait(5, threading.Event())
    assert asked == [[{"CPU": 1.0}] * 5]
    assert (room.packs, room()) == (3, 8)


@pytest.mark.parametrize(("gpus", "packs"), [(1.0, 2), (0.25, 8), (0.3, 6), (2.0, 1)])
def test_packs_share_gpus(monkeypatch, gpus, packs):
    monkeypatch.setattr(ray_cluster.ray, "cluster_resources", lambda: {"CPU": 16.0, "GPU": 2.0})
    assert ray_cluster.ClusterCapacity(Execution(gpus=gpus))() == packs
    assert ray_cluster.ClusterCapacity(Execution(1, gpus))() == 1
    with pytest.raises(SweepError, match="has 16 CPUs and 2 GPUs"):
        ray_cluster.ClusterCapacity(Execution(gpus=3.0)).wait(1, threading.Event())


def test_capacity_is_asked_for_every_two_seconds_and_never_above_the_jobs(monkeypatch):
    now, answers = [100.0], iter([{"CPU": 2.0}, {"CPU": 8.0}, {"CPU": 1.0}])
    monkeypatch.setattr(ray_cluster.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(ray_cluster.ray, "cluster_resources", lambda: next(answers))
    capacity, seen = ray_cluster.ClusterCapacity(Execution(4)), []
    for now[0] in (100.0, 101.9, 102.0, 103.9, 104.0):
        seen.append(capacity())
    assert seen == [2, 2, 4, 4, 1]


def test_a_signal_ends_the_wait_for_nodes(monkeypatch):
    monkeypatch.setattr(ray_cluster.ray, "cluster_resources", lambda: {})
    monkeypatch.setattr(ray_cluster, "request_resources", lambda bundles: None)
    stop = threading.Event()
    stop.set()
    with pytest.raises(Interrupted):
        ray_cluster.ClusterCapacity(Execution(address="head:6379")).wait(1, stop)


def test_only_clusters_are_waited_for(monkeypatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    assert (Execution().first_node, Execution().patience) == (0, 60)
    assert (Execution(address="head:6379").first_node, Execution(address="head:6379").patience) == (900, 900)
    monkeypatch.setenv("RAY_ADDRESS", "head:6379")
    assert (Execution().first_node, Execution(node_timeout=5.0).patience) == (900, 5)


def test_a_ray_without_nodes_ends_the_sweep_after_its_patience(monkeypatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    now, nodes = [0.0], [{"CPU": 2.0}]
    monkeypatch.setattr(ray_cluster.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(ray_cluster.ray, "cluster_resources", lambda: nodes[0])
    for execution, patience, whose in (
        (Execution(), 60, "this machine's Ray"),
        (Execution(address="head:6379", node_timeout=7.0), 7, "the cluster"),
    ):
        now[0], nodes[0] = now[0] + 10, {"CPU": 2.0}
        capacity = ray_cluster.ClusterCapacity(execution)
        assert capacity() == 2
        began, nodes[0] = now[0], {}
        now[0] = began + patience
        assert capacity() == 0
        now[0] = began + patience + 3
        with pytest.raises(Interrupted, match=f"{whose} has had no node to train on for {patience} s"):
            capacity()


def test_a_node_that_comes_back_in_time_is_waited_for(monkeypatch):
    now, nodes = [0.0], [{"CPU": 2.0}]
    monkeypatch.setattr(ray_cluster.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(ray_cluster.ray, "cluster_resources", lambda: nodes[0])
    capacity, seen = ray_cluster.ClusterCapacity(Execution()), []
    for now[0], nodes[0] in ((0.0, {"CPU": 1}), (50.0, {}), (60.0, {"CPU": 1}), (110.0, {}), (119.0, {})):
        seen.append(capacity())
    assert seen == [1, 0, 1, 0, 0]


def test_the_death_of_ray_is_seen(monkeypatch):
    ended = []
    monkeypatch.setattr(ray_monitor, "INTERVAL", 0.01)
    monkeypatch.setattr(ray_monitor, "GRACE", 0.01)
    monkeypatch.setattr(ray_monitor.os, "_exit", ended.append)
    deaths = iter([[], [], ["raylet"]])
    monkeypatch.setattr(ray_monitor, "dead_processes", lambda: next(deaths))
    monitor = ray_monitor.RayMonitor()
    monitor.check()
    monitor.look()
    assert ended == [1]
    with pytest.raises(Interrupted, match=r"Ray on this machine ended \(its raylet died\)"):
        ray_cluster.ClusterCapacity(Execution(), monitor)()


def test_a_sweep_that_ends_is_not_killed(monkeypatch):
    monkeypatch.setattr(ray_monitor.os, "_exit", None)
    monkeypatch.setattr(ray_monitor, "dead_processes", lambda: ["gcs_server"])
    monitor = ray_monitor.RayMonitor()
    monitor.end()
    monitor.look()
    assert monitor.dead == ""


def test_only_vital_processes_count(monkeypatch):
    died = [("gcs_server", None), ("log_monitor", None), ("raylet", None)]
    node = SimpleNamespace(dead_processes=lambda: died)
    monkeypatch.setattr(ray_monitor.ray._private.worker, "_global_node", node)
    assert ray_monitor.dead_processes() == ["gcs_server", "raylet"]
    monkeypatch.setattr(ray_monitor.ray._private.worker, "_global_node", None)
    assert ray_monitor.dead_processes() == []


@pytest.mark.parametrize("address", ["127.0.0.1:9", "ray://127.0.0.1:9", "nowhere.invalid:6379", "127.0.0.1:x"])
def test_a_wrong_address_is_an_error_at_once(monkeypatch, address):
    monkeypatch.setattr(ray_cluster.ray, "init", None)
    with pytest.raises(SweepError, match=f"Ray cannot be reached at {address}: .* Check the address"):
        ray_cluster.connect(address)


def test_ray_is_started_twice_before_it_is_given_up(monkeypatch):
    calls = []

    def init(**settings):
        calls.append(settings["num_cpus"])
        raise Exception("timed out")

    monkeypatch.setattr(ray_cluster.ray, "init", init)
    monkeypatch.setattr(ray_cluster.ray, "shutdown", lambda: calls.append("shutdown"))
    with pytest.raises(SweepError, match=r"did not start on this machine, in 2 attempts: timed out"):
        ray_cluster.start(3)
    assert calls == [3, "shutdown", 3, "shutdown"]


def test_a_temporary_folder_with_a_long_path_is_said_at_once(monkeypatch):
    calls = []

    def init(**settings):
        calls.append(settings["num_cpus"])
        raise OSError("validate_socket_filename failed: AF_UNIX path length cannot exceed 107 bytes: /a/long/path")

    monkeypatch.setattr(ray_cluster.ray, "init", init)
    monkeypatch.setattr(ray_cluster.ray, "shutdown", lambda: None)
    with pytest.raises(SweepError, match=r"107 bytes: /a/long/path\. Set RAY_TMPDIR to a folder with a shorter path"):
        ray_cluster.start(3)
    assert calls == [3]
