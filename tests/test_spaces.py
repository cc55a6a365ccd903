"""Points of a region, and who is packed with whom."""

from functools import partial

import pytest

from lyapsweep.problems.network import build_network
from lyapsweep.problems.series import forcing_schedule
from lyapsweep.rollout import shared_cuts
from lyapsweep.sweep import Sweep, SweepError, spaces
from lyapsweep.sweep.plan.packing import packs

TINY = """
dataset:  {kind: simulated, system: lorenz63, length: 600}
cell:     {kind: vanilla, units: 4}
windows:  {length: 64, batch: 4}
training: {steps: 4, report_every: 2}
lyapunov: {steps: 20, warmup: 5, orbits: 2}
measures: [loss]
"""


@pytest.fixture
def base(tmp_path):
    file = tmp_path / "tiny.yaml"
    file.write_text(TINY)
    return file


def conditional(trial):
    drawn = spaces.cell(trial, {"vanilla": {"units": 4}, "shallow_plrnn": {"units": 3, "hidden": 8}})
    if trial.suggest_categorical("forcing/kind", ["none", "sparse"]) == "sparse":
        spaces.log_int(trial, "forcing/interval", 1, 64)
    spaces.log_float(trial, "training/lr", 1e-4, 1e-2)
    return drawn


def test_a_grid_is_every_combination_in_the_order_of_its_mapping(base):
    grid = {"forcing": [{"kind": "sparse", "interval": i} for i in (2, 8)], "cell/units": [4, 6], "seed": [0, 1, 2]}
    points = spaces.draw(Sweep(base=base, objective="loss", grid=grid))
    values = [tuple(p.config.flat[k] for k in ("forcing/interval", "cell/units", "seed")) for p in points]
    assert values == [(i, u, s) for i in (2, 8) for u in (4, 6) for s in (0, 1, 2)]


def test_a_part_of_a_grid(base):
    grid = {"forcing": [{"kind": "sparse", "interval": i} for i in (2, 8)], "cell/units": [4, 6], "seed": [0, 1, 2]}
    part = Sweep(base=base, objective="loss", grid=grid, where={"forcing/interval": 8, "seed": [0, 2]})
    values = [tuple(p.config.flat[k] for k in ("forcing/interval", "cell/units", "seed")) for p in spaces.draw(part)]
    assert values == [(8, u, s) for u in (4, 6) for s in (0, 2)]
    with pytest.raises(
        SweepError, match=r"No point of the grid has forcing/interval = 9\. Its forcing/interval: 2, 8\."
    ):
        spaces.draw(Sweep(base=base, objective="loss", grid=grid, where={"forcing/interval": 9}))


def test_some_of_the_seeds_of_a_sweep(base):
    part = partial(Sweep, base=base, objective="loss", grid={"cell/units": [4, 6]}, seeds=5)
    drawn = spaces.draw(part(where={"seed": [1, 4]}))
    assert [(p.config.cell["units"], p.config.seed) for p in drawn] == [(4, 1), (4, 4), (6, 1), (6, 4)]
    with pytest.raises(SweepError, match=r"has seed = 7\. Its seed: 0, 1, 2, 3, 4\.$"):
        spaces.draw(part(where={"seed": 7}))


def test_a_value_that_is_a_list_is_asked_for_in_a_list(base):
    columns = {"dataset/observe": [None, ["y", "z"]]}
    part = partial(Sweep, base=base, objective="loss", grid=columns)
    drawn = spaces.draw(part(where={"dataset/observe": [["y", "z"]]}))
    assert [p.config.dataset["observe"] for p in drawn] == [["y", "z"]]
    with pytest.raises(SweepError, match=r"None, \['y', 'z'\]\. A list names several values: write \[\[...\]\]"):
        spaces.draw(part(where={"dataset/observe": ["y", "z"]}))


def test_a_part_of_a_space_is_refused(base):
    with pytest.raises(SweepError, match="draws from a space"):
        Sweep(base=base, objective="loss", space=conditional, trials=3, where={"seed": 1})


def test_linked_settings_are_swept_as_sections(base):
    cells = [{"kind": "vanilla", "units": 5}, {"kind": "shallow_plrnn", "units": 3, "hidden": 8}]
    points = spaces.draw(Sweep(base=base, objective="loss", grid={"cell": cells, "seed": [0, 1]}))
    assert [(p.config.cell["kind"], p.config.cell["units"]) for p in points] == [
        ("vanilla", 5), ("vanilla", 5), ("shallow_plrnn", 3), ("shallow_plrnn", 3)
    ]  # fmt: skip
    assert spaces.varied([p.config for p in points]) == ["cell/kind", "seed"]  # units follow from the kind


def test_settings_may_be_varied_inside_a_varied_section(base):
    grid = {"forcing": [{"kind": "sparse"}], "forcing/interval": [2, 4]}
    points = spaces.draw(Sweep(base=base, objective="loss", grid=grid))
    assert [p.config.forcing["interval"] for p in points] == [2, 4]


def test_fifty_draws_of_a_conditional_space_are_valid_distinct_and_repeatable(base):
    sweep = Sweep(base=base, objective="loss", space=conditional, trials=50)
    points = spaces.draw(sweep)
    assert len({p.config.id for p in points}) == 50
    assert {p.config.cell["kind"] for p in points} == {"vanilla", "shallow_plrnn"}
    assert all(p.config.cell["hidden"] == 8 for p in points if p.config.cell["kind"] == "shallow_plrnn")
    assert [p.config.id for p in spaces.draw(sweep)] == [p.config.id for p in points]
    assert [p.config.id for p in spaces.draw(sweep, 10)] == [p.config.id for p in points[:10]]
    assert [p.config.id for p in spaces.draw(sweep, seed=1)] != [p.config.id for p in points]


def three_seeds(trial):
    spaces.seed(trial, 3)


def test_a_space_smaller_than_asked_gives_each_point_once(base):
    sweep = Sweep(base=base, objective="loss", space=three_seeds, trials=10)
    assert sorted(p.config.seed for p in spaces.draw(sweep)) == [0, 1, 2]


def test_a_space_that_returns_something_else_is_refused(base):
    sweep = Sweep(base=base, objective="loss", space=lambda trial: spaces.seed(trial, 3) + 1, trials=2)
    with pytest.raises(SweepError, match="must return"):
        spaces.draw(sweep)


def test_seeds_train_every_point_from_several(base):
    points = spaces.draw(Sweep(base=base, objective="loss", grid={"cell/units": [4, 6]}, seeds=3))
    assert [(p.config.cell["units"], p.config.seed) for p in points] == [(u, s) for u in (4, 6) for s in (0, 1, 2)]
    with pytest.raises(SweepError, match="varied twice"):
        spaces.draw(Sweep(base=base, objective="loss", grid={"seed": [0, 1]}, seeds=2))


def test_a_point_that_is_no_config_says_which_and_why(base):
    with pytest.raises(SweepError, match=r"forcing/intervall.*Did you mean forcing/interval\?"):
        spaces.draw(Sweep(base=base, objective="loss", grid={"forcing/kind": ["sparse"], "forcing/intervall": [3]}))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"objective": "los", "grid": {"seed": [0]}}, "Did you mean 'loss'"),
        ({"objective": "loss"}, "either grid"),
        ({"objective": "loss", "grid": {"seed": [0]}, "space": conditional}, "either grid"),
        ({"objective": "loss", "grid": {"seed": 3}}, "list of values"),
        ({"objective": "loss", "grid": {"seed": []}}, "list of values"),
        ({"objective": "loss", "grid": {"seed": [0]}, "trials": 3}, "trained whole"),
        ({"objective": "loss", "grid": {"seed": [0]}, "intent": "hunt"}, "draws from a space"),
        ({"objective": "loss", "space": conditional}, "say trials"),
        ({"objective": "loss", "space": conditional, "trials": 0}, "trials >= 1"),
        ({"objective": "loss", "space": conditional, "trials": 3, "intent": "survey"}, "'map' or 'hunt'"),
        ({"objective": "loss", "grid": {"seed": [0]}, "name": "a/b"}, "name may hold"),
    ],
)
def test_sweeps_that_cannot_be_are_refused(base, wrong, message):
    with pytest.raises((SweepError, ValueError), match=message):
        Sweep(base=base, **wrong)


def configs(base, **axes):
    return [p.config for p in spaces.draw(Sweep(base=base, objective="loss", grid=axes["grid"]))]


def test_packs_share_shape_and_on_a_cpu_forcing(base):
    grid = {"cell/units": [4, 6], "forcing": [{"kind": "sparse", "interval": i} for i in (2, 8, 64)], "seed": [0, 1, 2]}
    everything = configs(base, grid=grid)
    on_cpu, on_gpu = packs(everything, 32), packs(everything, 32, "cuda")
    assert sorted(len(p) for p in on_cpu) == [3] * 6
    assert sorted(len(p) for p in on_gpu) == [9] * 2
    for pack in on_cpu + on_gpu:
        assert len({c.shape for c in pack}) == 1
    assert all(len({c.forcing["interval"] for c in pack}) == 1 for pack in on_cpu)
    assert sorted(c.id for pack in on_cpu for c in pack) == sorted(c.id for c in everything)
    assert [pack[0].forcing["interval"] for pack in on_cpu] == [64, 64, 8, 8, 2, 2]  # the longest work first


def test_members_that_draw_their_intervals_share_a_pack_where_they_draw_the_same(base):
    drawn = configs(
        base, grid={"training/lr": [1e-3, 1e-2], "forcing": [{"kind": "random", "interval": 8}], "seed": [0, 1, 2]}
    )
    assert [[c.seed for c in pack] for pack in packs(drawn, 32)] == [[0, 0], [1, 1], [2, 2]]
    assert [len(pack) for pack in packs(drawn, 32, "cuda")] == [6]
    first = packs(drawn, 32)[0]
    plans = forcing_schedule(first)
    readout = build_network(first, 3).readout
    cuts = [shared_cuts(readout, plans.at(update).strengths) for update in range(20)]
    assert None not in cuts
    assert len({len(c) for c in cuts}) > 1  # they are drawn


def test_packs_are_cut_evenly_and_keep_their_order(base):
    everything = configs(base, grid={"seed": list(range(7))})
    assert [[c.seed for c in p] for p in packs(everything, 4)] == [[0, 1, 2, 3], [4, 5, 6]]
    assert [len(p) for p in packs(everything, 1)] == [1] * 7
    assert packs([], 4) == []
