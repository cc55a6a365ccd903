"""Points of a sweep: grids, spaces, parts of grids, seeds."""

import math
from dataclasses import FrozenInstanceError
from functools import partial

import numpy as np
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from lyapsweep.sweep import Sweep, SweepError, spaces
from lyapsweep.sweep.plan.grid import distribution
from lyapsweep.sweep.plan.points import refuse_overridden, varied_paths
from lyapsweep.sweep.plan.sampling import draw
from lyapsweep.sweep.plan.space import SobolSampler, replay, value_at

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
    points = draw(Sweep(base=base, objective="loss", grid=grid))
    values = [tuple(p.config.flat[k] for k in ("forcing/interval", "cell/units", "seed")) for p in points]
    assert values == [(i, u, s) for i in (2, 8) for u in (4, 6) for s in (0, 1, 2)]


def test_a_part_of_a_grid(base):
    grid = {"forcing": [{"kind": "sparse", "interval": i} for i in (2, 8)], "cell/units": [4, 6], "seed": [0, 1, 2]}
    part = Sweep(base=base, objective="loss", grid=grid, where={"forcing/interval": 8, "seed": [0, 2]})
    values = [tuple(p.config.flat[k] for k in ("forcing/interval", "cell/units", "seed")) for p in draw(part)]
    assert values == [(8, u, s) for u in (4, 6) for s in (0, 2)]
    with pytest.raises(
        SweepError, match=r"no point of the grid has forcing/interval = 9\. Available forcing/interval: 2, 8\."
    ):
        draw(Sweep(base=base, objective="loss", grid=grid, where={"forcing/interval": 9}))


def test_some_of_the_seeds_of_a_sweep(base):
    part = partial(Sweep, base=base, objective="loss", grid={"cell/units": [4, 6]}, seeds=5)
    drawn = draw(part(where={"seed": [1, 4]}))
    assert [(p.config.cell["units"], p.config.seed) for p in drawn] == [(4, 1), (4, 4), (6, 1), (6, 4)]
    with pytest.raises(SweepError, match=r"has seed = 7\. Available seed: 0, 1, 2, 3, 4\.$"):
        draw(part(where={"seed": 7}))


def test_a_value_that_is_a_list_is_asked_for_in_a_list(base):
    columns = {"dataset/observe": [None, ["y", "z"]]}
    part = partial(Sweep, base=base, objective="loss", grid=columns)
    drawn = draw(part(where={"dataset/observe": [["y", "z"]]}))
    assert [p.config.dataset["observe"] for p in drawn] == [["y", "z"]]
    with pytest.raises(SweepError, match=r"None, \['y', 'z'\]\. A list names several values: write \[\[...\]\]"):
        draw(part(where={"dataset/observe": ["y", "z"]}))


def test_linked_settings_are_swept_as_sections(base):
    cells = [{"kind": "vanilla", "units": 5}, {"kind": "shallow_plrnn", "units": 3, "hidden": 8}]
    points = draw(Sweep(base=base, objective="loss", grid={"cell": cells, "seed": [0, 1]}))
    assert [(p.config.cell["kind"], p.config.cell["units"]) for p in points] == [
        ("vanilla", 5), ("vanilla", 5), ("shallow_plrnn", 3), ("shallow_plrnn", 3)
    ]  # fmt: skip
    assert varied_paths([p.config for p in points]) == ["cell/kind", "seed"]  # units follow from the kind


def test_settings_may_be_varied_inside_a_varied_section(base):
    grid = {"forcing": [{"kind": "sparse"}], "forcing/interval": [2, 4]}
    points = draw(Sweep(base=base, objective="loss", grid=grid))
    assert [p.config.forcing["interval"] for p in points] == [2, 4]


def test_fifty_draws_of_a_conditional_space_are_valid_distinct_and_repeatable(base):
    sweep = Sweep(base=base, objective="loss", space=conditional, trials=50)
    points = draw(sweep)
    assert len({p.config.id for p in points}) == 50
    assert {p.config.cell["kind"] for p in points} == {"vanilla", "shallow_plrnn"}
    assert all(p.config.cell["hidden"] == 8 for p in points if p.config.cell["kind"] == "shallow_plrnn")
    assert [p.config.id for p in draw(sweep)] == [p.config.id for p in points]
    assert [p.config.id for p in draw(sweep, 10)] == [p.config.id for p in points[:10]]
    assert [p.config.id for p in draw(sweep, seed=1)] != [p.config.id for p in points]


def three_seeds(trial):
    spaces.seed(trial, 3)


def test_a_space_smaller_than_asked_gives_each_point_once(base):
    sweep = Sweep(base=base, objective="loss", space=three_seeds, trials=10)
    assert sorted(p.config.seed for p in draw(sweep)) == [0, 1, 2]


def test_a_space_that_returns_something_else_is_refused(base):
    sweep = Sweep(base=base, objective="loss", space=lambda trial: spaces.seed(trial, 3) + 1, trials=2)
    with pytest.raises(SweepError, match="must return"):
        draw(sweep)


def test_seeds_train_every_point_from_several(base):
    points = draw(Sweep(base=base, objective="loss", grid={"cell/units": [4, 6]}, seeds=3))
    assert [(p.config.cell["units"], p.config.seed) for p in points] == [(u, s) for u in (4, 6) for s in (0, 1, 2)]
    with pytest.raises(SweepError, match="varies the seed too"):
        draw(Sweep(base=base, objective="loss", grid={"seed": [0, 1]}, seeds=2))


def test_a_point_that_is_no_config_says_which_and_why(base):
    with pytest.raises(SweepError, match=r"forcing/intervall.*Did you mean forcing/interval\?"):
        draw(Sweep(base=base, objective="loss", grid={"forcing/kind": ["sparse"], "forcing/intervall": [3]}))


# The values that a sampler chooses


@pytest.mark.parametrize(
    ("distribution", "values"),
    [
        (FloatDistribution(1, 3), {0.0: 1.0, 0.5: 2.0, 0.75: 2.5}),
        (FloatDistribution(1e-4, 1e-2, log=True), {0.0: 1e-4, 0.5: 1e-3, 0.75: 10**-2.5}),
        (FloatDistribution(0, 1, step=0.25), {0.0: 0.0, 0.19: 0.0, 0.21: 0.25, 0.99: 1.0}),
        (IntDistribution(2, 6), {0.0: 2, 0.19: 2, 0.21: 3, 0.99: 6}),
        (IntDistribution(0, 8, step=4), {0.0: 0, 0.3: 0, 0.34: 4, 0.99: 8}),
        (IntDistribution(1, 64, log=True), {0.0: 1, 0.5: 6, 0.9999: 64}),
        (CategoricalDistribution(["a", "b", "c"]), {0.0: "a", 0.3: "a", 0.34: "b", 0.99: "c"}),
    ],
)
def test_quantiles_are_mapped_to_values(distribution, values):
    for u, value in values.items():
        found = value_at(distribution, u)
        assert found == (value if isinstance(value, str) else pytest.approx(value))
        assert isinstance(found, type(value))


def test_every_integer_of_a_logarithmic_range_gets_its_share():
    drawn = [value_at(IntDistribution(1, 3, log=True), (i + 0.5) / 1000) for i in range(1000)]
    shares = [math.log((n + 0.5) / (n - 0.5)) / math.log(3.5 / 0.5) for n in (1, 2, 3)]
    assert [drawn.count(n) / 1000 for n in (1, 2, 3)] == pytest.approx(shares, abs=0.002)


def test_a_space_is_covered_more_evenly_than_by_chance(base):
    """Each of 16 intervals of each setting, and each of 4 x 4 boxes of both, has its share of 64 points."""
    points = draw(Sweep(base=base, objective="loss", space=square, trials=64))
    x = np.array([[math.log10(p.config.training.lr) / 2 + 2, p.config.training.clip / 4] for p in points])
    for axis in range(2):
        assert (np.histogram(x[:, axis], 16, (0, 1))[0] == 4).all()
    assert (np.histogram2d(*x.T, bins=4, range=[(0, 1), (0, 1)])[0] == 4).all()


def square(trial):
    spaces.log_float(trial, "training/lr", 1e-4, 1e-2)
    trial.suggest_float("training/clip", 1e-12, 4)


def test_settings_of_one_branch_are_covered_evenly_too(base):
    points = draw(Sweep(base=base, objective="loss", space=conditional, trials=128))
    of = [p.config.training.lr for p in points if p.config.forcing["kind"] == "sparse"]
    assert len(of) == 64
    counts, _ = np.histogram(np.log10(of), 8, (-4, -2))
    assert counts.min() >= 6
    assert {p.config.forcing["interval"] for p in points if p.config.forcing["kind"] == "sparse"} >= {1, 2, 4, 60}


def test_planned_points_come_first_and_are_not_drawn_again(base):
    sweep = Sweep(base=base, objective="loss", space=conditional, trials=6)
    points = draw(sweep)
    again = draw(sweep, planned=points[3:5])
    assert [p.key for p in again] == [points[i].key for i in (3, 4, 0, 1, 2, 5)]
    assert draw(sweep, 2, planned=points) == points[:2]


def test_a_space_that_asks_for_what_was_not_recorded_cannot_be_rebuilt(base):
    sweep = Sweep(base=base, objective="loss", space=square, trials=1)
    values = {"training/lr": 1e-3, "training/clip": 2.0, "other": 3}
    point = replay(sweep, sweep.config(), values)
    assert (point.params, point.distributions.keys()) == (
        {"training/lr": 1e-3, "training/clip": 2.0},
        {"training/lr", "training/clip"},
    )
    assert replay(sweep, sweep.config(), {"training/lr": 1e-3}) is None


def test_a_space_of_too_many_settings_is_refused():
    sampler = SobolSampler(0)
    for i in range(64):
        sampler.sample_independent(None, None, str(i), FloatDistribution(0, 1))
    with pytest.raises(SweepError, match="more than 64 parameters, the next is '64'"):
        sampler.sample_independent(None, None, "64", FloatDistribution(0, 1))


def test_axes_as_optuna_knows_them(base):
    assert distribution([3, 1, 2]) == IntDistribution(1, 3)
    assert distribution([3, 1.5]) == FloatDistribution(1.5, 3)
    assert distribution(["a", "b"]) == CategoricalDistribution(["a", "b"])
    assert distribution([True, False]) == CategoricalDistribution([True, False])
    (point,) = draw(Sweep(base=base, objective="loss", grid={"cell": [{"units": 5, "kind": "vanilla"}]}))
    assert point.params == {"cell": '{"kind": "vanilla", "units": 5}'}


def test_seeds_count_up_from_the_bases_and_are_parameters(base):
    sweep = Sweep(base=base, objective="loss", grid={"cell/units": [4]}, seeds=3)
    points = draw(sweep, base=sweep.config({"seed": 5}))
    assert [p.params["seed"] for p in points] == [p.config.seed for p in points] == [5, 6, 7]
    assert points[0].distributions["seed"] == IntDistribution(5, 7)


def test_the_seed_is_the_last_of_the_varied_settings_and_kinds_are_the_first(base):
    grid = {
        "seed": [0, 1],
        "training/lr": [1e-3, 1e-2],
        "forcing": [{"kind": "none"}, {"kind": "sparse", "interval": 4}],
    }
    points = draw(Sweep(base=base, objective="loss", grid=grid))
    assert varied_paths([p.config for p in points]) == ["forcing/kind", "training/lr", "seed"]
    grid["forcing/interval"] = [2, 4]
    grid["forcing"] = [{"kind": "sparse"}]
    points = draw(Sweep(base=base, objective="loss", grid=grid))
    assert varied_paths([p.config for p in points]) == ["forcing/interval", "training/lr", "seed"]
    assert varied_paths([points[0].config]) == []


def test_points_are_values_and_do_not_change(base):
    (point,) = draw(Sweep(base=base, objective="loss", grid={"seed": [7]}))
    with pytest.raises(FrozenInstanceError):
        point.recorded_as = "0123456789ab"


def test_a_change_of_a_varied_setting_is_an_error(base, caplog):
    def refuse(changes, **varied):
        sweep = Sweep(base=base, objective="loss", name="named", **varied)
        with_changes = sweep.config(changes)
        refuse_overridden(sweep, with_changes, changes, draw(sweep, base=with_changes))

    rates = {"training/lr": [1e-3, 1e-2]}
    expected = r"named: the sweep varies training/lr \(0.001, 0.01\), so that setting it to 0.01 has no effect.*--where"
    with pytest.raises(SweepError, match=expected):
        refuse({"training/lr": 1e-2}, grid=rates)
    with pytest.raises(SweepError, match="the sweep varies cell/units"):
        refuse({"cell/units": 8}, grid={"cell": [{"kind": "vanilla", "units": 3}, {"kind": "plrnn", "units": 3}]})
    with pytest.raises(SweepError, match=r"the sweep varies seed .*Change its space"):
        refuse({"seed": 7}, space=three_seeds, trials=3)
    refuse({"training/clip": 2.0, "seed": 7}, grid=rates, seeds=2)
    assert not caplog.records
    refuse({"training": {"steps": 3, "lr": 1e-2}}, grid=rates)
    assert "varies training/lr: what training says of it has no effect" in caplog.text
