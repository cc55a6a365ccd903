"""Packs: who is trained with whom, in which order, and how large they are."""

import pytest
from made_up_sweeps import TINY

from lyapsweep.config import Config
from lyapsweep.problems.network import build_network
from lyapsweep.problems.series import forcing_schedule
from lyapsweep.rollout import shared_cuts
from lyapsweep.sweep import Sweep
from lyapsweep.sweep.plan.packing import pack_size, packs, sequential_steps, split_evenly
from lyapsweep.sweep.plan.points import Point
from lyapsweep.sweep.plan.sampling import draw


@pytest.fixture
def base(tmp_path):
    file = tmp_path / "tiny.yaml"
    file.write_text(TINY.replace("length: 20", "length: 64"))
    return file


def points(base, grid):
    return draw(Sweep(base=base, objective="loss", grid=grid))


def packed(points, size, device="cpu"):
    return [[point.config for point in pack] for pack in packs(points, size, device)]


def test_packs_share_shape_and_on_a_cpu_forcing(base):
    grid = {"cell/units": [4, 6], "forcing": [{"kind": "sparse", "interval": i} for i in (2, 8, 64)], "seed": [0, 1, 2]}
    everything = points(base, grid)
    on_cpu, on_gpu = packed(everything, 32), packed(everything, 32, "cuda")
    assert sorted(len(p) for p in on_cpu) == [3] * 6
    assert sorted(len(p) for p in on_gpu) == [9] * 2
    for pack in on_cpu + on_gpu:
        assert len({c.shape for c in pack}) == 1
    assert all(len({c.forcing["interval"] for c in pack}) == 1 for pack in on_cpu)
    assert sorted(c.id for pack in on_cpu for c in pack) == sorted(c.id for c in (p.config for p in everything))
    assert [pack[0].forcing["interval"] for pack in on_cpu] == [64, 64, 8, 8, 2, 2]  # the longest work first


def test_members_that_draw_their_intervals_share_a_pack_where_they_draw_the_same(base):
    grid = {"training/lr": [1e-3, 1e-2], "forcing": [{"kind": "random", "interval": 8}], "seed": [0, 1, 2]}
    drawn = points(base, grid)
    assert [[c.seed for c in pack] for pack in packed(drawn, 32)] == [[0, 0], [1, 1], [2, 2]]
    assert [len(pack) for pack in packed(drawn, 32, "cuda")] == [6]
    first = packed(drawn, 32)[0]
    plans = forcing_schedule(first)
    readout = build_network(first, 3).readout
    cuts = [shared_cuts(readout, plans.at(update).strengths) for update in range(20)]
    assert None not in cuts
    assert len({len(c) for c in cuts}) > 1  # they are drawn


def test_only_forcings_of_few_members_share_a_pack_on_a_gpu(base):
    many = points(base, {"forcing": [{"kind": "sparse", "interval": 8}], "seed": list(range(64))})
    few = points(base, {"forcing": [{"kind": "sparse", "interval": i} for i in (2, 4)], "seed": list(range(5))})
    found = packed([*few[:5], *many, *few[5:]], 512, "cuda")
    assert sorted([c.forcing["interval"] for c in pack] for pack in found) == [[2] * 5 + [4] * 5, [8] * 64]


def test_packs_are_cut_evenly_and_keep_their_order(base):
    everything = points(base, {"seed": list(range(7))})
    assert [[c.seed for c in p] for p in packed(everything, 4)] == [[0, 1, 2, 3], [4, 5, 6]]
    assert [len(p) for p in packed(everything, 1)] == [1] * 7
    assert packed([], 4) == []


@pytest.mark.parametrize(
    ("n", "size", "lengths"),
    [(7, 4, [4, 3]), (8, 4, [4, 4]), (9, 4, [3, 3, 3]), (1, 4, [1]), (65, 32, [22, 22, 21]), (5, 1, [1] * 5)],
)
def test_parts_are_as_equal_as_can_be_and_keep_the_order(n, size, lengths):
    parts = split_evenly(range(n), size)
    assert [len(part) for part in parts] == lengths
    assert [item for part in parts for item in part] == list(range(n))


@pytest.mark.parametrize(
    ("changes", "steps"),
    [
        ({"forcing": {"kind": "none"}}, 4 * 64),
        ({"forcing": {"kind": "sparse", "interval": 8}}, 4 * 8),
        ({"forcing": {"kind": "sparse", "interval": 8}, "training/steps": 10}, 10 * 8),
        ({"forcing": {"kind": "full"}}, 4),
    ],
)
def test_the_steps_that_follow_one_another(base, changes, steps):
    assert sequential_steps(Config.load(base, changes)) == steps


def test_a_task_without_windows_takes_its_whole_sequences():
    task = {"dataset": {"kind": "adding", "length": 12}, "cell": {"kind": "gru", "units": 3}, "training": {"steps": 5}}
    assert sequential_steps(Config.of(task)) == 60


@pytest.mark.parametrize(
    ("requested", "intent", "points", "slots", "device", "size"),
    [
        (None, "map", 1000, 4, "cpu", 32),
        (None, "map", 40, 4, "cpu", 10),
        (None, "map", 41, 4, "cpu", 11),
        (None, "map", 40, 4, "cuda", 32),
        (None, "map", 40, 0, "cpu", 32),
        (None, "map", 1000, 4, "cuda", 250),
        (None, "map", 9000, 4, "cuda", 512),
        (8, "map", 9000, 4, "cuda", 8),
        (None, "hunt", 9000, 4, "cuda", 512),
        (None, "hunt", 900, 4, "cuda", 57),
        (None, "hunt", 100, 4, "cuda", 32),
        (None, "hunt", 40, 4, "cpu", 1),
        (None, "hunt", 640, 4, "cpu", 10),
        (None, "hunt", 9000, 4, "cpu", 32),
        (16, "map", 40, 4, "cpu", 16),
        (3, "hunt", 40, 4, "cpu", 3),
    ],
)
def test_packs_are_large_but_leave_no_cpu_idle(requested, intent, points, slots, device, size):
    assert pack_size(requested, intent, points, slots, device) == size


def test_packs_of_a_sweep_with_a_budget_come_in_the_order_of_their_points(base):
    grid = {"seed": [0, 1, 2, 3], "forcing": [{"kind": "sparse", "interval": i} for i in (8, 64, 2)]}
    found = packs(points(base, grid), 2, in_order=True)
    assert [(p[0].config.forcing["interval"], p[0].config.seed) for p in found] == [
        *((8, 0), (64, 0), (2, 0)),
        *((8, 2), (64, 2), (2, 2)),
    ]


def test_members_keep_their_keys(base):
    old = [Point(Config.load(base, {"seed": s}), {}, {}, recorded_as=f"old{s}") for s in range(3)]
    assert [[point.key for point in pack] for pack in packs(old, 2)] == [["old0", "old1"], ["old2"]]
