"""Successive halving inside packs: who trains on, in which pack, with which numbers."""

import math

import numpy as np
import pytest
import torch
from made_up_sweeps import TINY, lr_space

from lyapsweep.compiled.engine import choose_engine, chosen_engine
from lyapsweep.config import Config
from lyapsweep.config.sections import Training
from lyapsweep.results.description import Confirmation
from lyapsweep.results.record import Outcome, Record
from lyapsweep.sweep import Halving, Sweep, SweepError
from lyapsweep.sweep.execute.halving import SuccessiveHalving, halving_of
from lyapsweep.sweep.execute.pack import PackSettings
from lyapsweep.sweep.execute.planning import SweepPlan
from lyapsweep.sweep.execute.searcher import PackSearcher
from lyapsweep.sweep.plan.points import Point
from lyapsweep.training.checkpoint import Checkpoints, SavedState, name, saved_states
from lyapsweep.trial import run_trials


@pytest.fixture
def base(tmp_path):
    file = tmp_path / "tiny.yaml"
    file.write_text(TINY.replace("steps: 4, report_every: 2", "steps: 6, report_every: 2"))
    return file


@pytest.mark.parametrize(
    ("halving", "steps", "report_every", "rungs"),
    [
        (Halving(), 900, 10, [300]),  # not before a third
        (Halving(grace=1 / 9), 900, 10, [100, 300]),
        (Halving(grace=1 / 9), 900, 200, [200, 400]),  # at reports
        (Halving(rungs=(0.2, 0.5)), 1000, 100, [200, 500]),
        (Halving(rungs=(0.2, 0.21)), 1000, 500, [500]),
        (Halving(), 900, 900, []),
        (Halving(reduction=2, grace=0.25), 800, 100, [200, 400]),
    ],
)
def test_rungs_lie_at_reports(halving, steps, report_every, rungs):
    assert halving.steps(Training(steps=steps, report_every=report_every)) == rungs


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"reduction": 1}, "greater than 1"),
        ({"reduction": "3"}, "greater than 1"),
        ({"grace": 0}, "between 0 and 1"),
        ({"rungs": 3}, "between 0 and 1"),
        ({"rungs": (0.5, 0.2)}, "must increase"),
        ({"brackets": 3}, "at most 2 brackets"),
        ({"patience": 0}, "whole number"),
    ],
)
def test_settings_out_of_range_are_refused(settings, said):
    with pytest.raises(SweepError, match=said):
        Halving(**settings)


TRAINING = Training(steps=900, report_every=100)


def test_the_best_third_of_all_that_reached_a_rung_trains_on():
    halving = SuccessiveHalving(Halving(), "minimise")
    pack = {f"a{i}": float(i) for i in range(6)}
    assert halving.going_on(TRAINING, 300, pack) == {"a0", "a1"}
    assert halving.going_on(TRAINING, 300, {f"b{i}": 10.0 + i for i in range(3)}) == set()  # worse than the first pack
    assert halving.going_on(TRAINING, 300, {"c": 0.5, "d": math.nan}) == {"c"}
    assert halving.going_on(TRAINING, 300, {"c": 0.5}) == {"c"}  # reported again by a restarted worker
    assert len(halving.reached[0, 0]) == 11


def test_equal_values_do_not_all_train_on_and_a_lost_network_never_does():
    halving = SuccessiveHalving(Halving(), "maximise")
    assert len(halving.going_on(TRAINING, 300, {f"a{i}": 1.0 for i in range(9)})) == 3
    assert SuccessiveHalving(Halving(), "maximise").going_on(TRAINING, 300, {"a": math.nan}) == set()


def test_brackets_get_equal_shares_of_updates_and_pass_their_first_rungs():
    settings = Halving(grace=1 / 9, brackets=3)
    keys = [f"trial {i}" for i in range(3000)]
    updates = [0.0] * 3
    for key in keys:
        updates[settings.bracket(key)] += settings.cost(settings.bracket(key))
    assert max(updates) < 1.15 * min(updates)
    halving = SuccessiveHalving(settings, "minimise")
    values = {key: float(i) for i, key in enumerate(keys[:90])}
    going_on = halving.going_on(TRAINING, 100, values)
    exempt = {key for key in values if settings.bracket(key) > 0}
    assert exempt < going_on
    compared = len(values) - len(exempt)
    assert len(going_on - exempt) == math.ceil(compared / 3)


def test_a_trial_that_does_not_improve_stops_after_its_patience():
    halving = SuccessiveHalving(Halving(patience=2, rungs=(2 / 3,)), "minimise")
    losses = {"a": [3, 2, 1, 1, 1, 1], "b": [1, 2, 2, 2, 2, 2], "c": [3, 3, 2, math.nan, 0.5, 1]}
    training, going_on = Training(steps=600, report_every=100), set(losses)
    left = {}
    for step in range(0, 600, 100):
        values = {key: losses[key][step // 100] for key in going_on}
        for key, value in values.items():
            halving.observe(key, step, value)
        if halving.next_rung(training, step - 1) == step:
            left[step] = going_on = halving.going_on(training, step, values)
    assert left == {200: {"a", "c"}, 300: {"a", "c"}, 400: {"c"}, 500: {"c"}}


def test_a_resumed_hunt_knows_who_reached_which_rung(base, tmp_path):
    configs = [Config.load(base, {"seed": seed}) for seed in range(4)]
    for i, config in enumerate(configs[:3]):
        for step in (0, 2):
            Record(config, step, Outcome.RUNNING, measures={"loss": float(i)}).save(tmp_path)
    halving = SuccessiveHalving(Halving(), "minimise")
    halving.restore([Record(config, 4, Outcome.STOPPED) for config in configs], tmp_path, "loss")
    assert [value for value, _ in halving.reached[0, 0]] == [0, 1, 2]


def test_trials_of_a_confirmation_are_no_rivals_at_a_rung(base, tmp_path):
    configs = [Config.load(base, {"seed": seed}) for seed in range(3)]
    for i, config in enumerate(configs):
        Record(config, 2, Outcome.RUNNING, measures={"loss": float(i)}).save(tmp_path)
    sweep = Sweep(base=base, objective="loss", space=lr_space, trials=1, intent="hunt")
    records = {config.id: Record(config, 4, Outcome.FINISHED) for config in configs}
    fresh = Confirmation(trials={configs[2].id: [configs[0].id, configs[1].id]})
    planned = SweepPlan(sweep, sweep.config(), 0, [], [], [], records, None, None, fresh)
    halving = halving_of(planned, tmp_path)
    assert [value for value, _ in halving.reached[0, 0]] == [2]


def searcher(points, folder, device, size=4, supply=(), states=None):
    settings = PackSettings("loss", device, folder, folder)
    halving = SuccessiveHalving(Halving(), "minimise")
    return PackSearcher(iter([points, *supply]), settings, lambda: 9, size=size, halving=halving, states=states)


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_members_that_pass_a_rung_form_packs_of_their_own(base, tmp_path, device):
    """On a CPU at once; on a GPU they wait for a full pack, and fresh points train meanwhile."""
    points = [Point(Config.load(base, {"seed": s}), {}, {}) for s in range(8)]
    search = searcher(points[:4], tmp_path, device, supply=[points[4:]])
    packs = []
    while isinstance(pack := search.suggest(""), dict):
        packs.append(pack)
        if pack["until"] is not None:
            going_on = search.packs[pack["number"]][:1]
            search.promote(pack["number"], going_on, pack["until"], f"of {pack['number']}")
        search.release(pack["number"])
    assert pack == PackSearcher.FINISHED
    sizes = [len(pack["keys"]) for pack in packs]
    if device == "cpu":
        assert [(p["start"], p["until"]) for p in packs] == [(0, 2), (2, None), (0, 2), (2, None)]
        assert sizes == [4, 1, 4, 1]
    else:
        assert [(p["start"], p["until"]) for p in packs] == [(0, 2), (0, 2), (2, None)]
        assert sizes == [4, 4, 2]
        assert packs[-1]["parents"] == ["of 0", "of 1"]


def test_a_lost_pack_begins_where_it_began(base, tmp_path):
    from lyapsweep.sweep.execute.failures import PackFailure

    points = [Point(Config.load(base, {"seed": s}), {}, {}) for s in range(4)]
    search = searcher(points, tmp_path, "cpu")
    first = search.suggest("")
    search.promote(first["number"], points[:2], 2, "file")
    search.release(first["number"])
    second = search.suggest("")
    search.resubmit(second["number"], points[:2], PackFailure.MEMORY)
    halves = [search.suggest(""), search.suggest("")]
    assert [(p["start"], p["until"], len(p["keys"])) for p in halves] == [(2, None, 1)] * 2
    assert all(p["parents"][-1] == "file" for p in halves)


def test_members_that_an_earlier_run_left_go_on_in_packs_of_equal_steps_and_count_as_resumed(base, tmp_path):
    points = [Point(Config.load(base, {"seed": s}), {}, {}) for s in range(4)]
    states = {points[0].key: SavedState("a", 2), points[2].key: SavedState("b", 4), points[3].key: SavedState("a", 2)}
    search = searcher(points, tmp_path, "cpu", states=states)
    packs = [search.suggest("") for _ in range(3)]
    seeds = [[config["seed"] for config in pack["configs"]] for pack in packs]
    assert seeds == [[1], [0, 3], [2]]
    assert [(pack["start"], pack["until"], pack["parents"]) for pack in packs] == [
        (0, 2, [name([p.key for p in points])]),
        (0, None, [name([p.key for p in points]), "a"]),
        (0, None, [name([p.key for p in points]), "b"]),
    ]
    assert [search.starts[pack["number"]] for pack in packs] == [0, 2, 4]


def test_the_states_of_members_are_found_in_the_checkpoints_of_a_folder(base, tmp_path):
    configs = [Config.load(base, {"seed": s}) for s in range(3)]
    list(run_trials(configs, checkpoints=Checkpoints(tmp_path), until=2))
    whole = name([config.id for config in configs])
    list(run_trials(configs[:1], checkpoints=Checkpoints(tmp_path, [whole], start=2), until=4))
    (tmp_path / f"{'0' * 12}.checkpoint").write_text("broken")
    found = saved_states(tmp_path)
    assert found == {
        configs[0].id: SavedState(name([configs[0].id]), 4),
        configs[1].id: SavedState(whole, 2),
        configs[2].id: SavedState(whole, 2),
    }


def test_a_checkpoint_is_kept_while_a_member_resumes_from_it(base, tmp_path):
    points = [Point(Config.load(base, {"seed": s}), {}, {}) for s in range(4)]
    ended: set[str] = set()
    search = searcher(points, tmp_path, "cpu")
    search.ended = ended.__contains__
    first = search.suggest("")
    own = name(first["keys"])
    search.promote(first["number"], points[:2], 2, own)
    ended |= {point.key for point in points[2:]}
    assert search.obsolete(first["number"]) == set()
    second = search.suggest("")
    ended |= {point.key for point in points[:2]}
    assert search.obsolete(second["number"]) == {own, name(second["keys"])}


@pytest.fixture(params=["compiled", "torch"])
def engine(request):
    before = chosen_engine()
    choose_engine(request.param)
    if request.param == "compiled":
        torch.set_default_dtype(torch.float32)  # as outside of tests
    yield request.param
    choose_engine(before)


def test_a_member_of_packs_that_stop_and_join_has_the_numbers_of_one_alone(base, tmp_path, engine):
    """Rows of two packs train on in a third: weights, moments, windows and curves go with them."""
    changes = [{"seed": s, "training/lr": 1e-3 * (s + 1), "training/lr_end": 1e-4} for s in range(4)]
    configs = [Config.load(base, each) for each in changes]
    alone = [list(run_trials([config]))[-1][0] for config in configs]
    halves = configs[:2], configs[2:]
    for half in halves:
        last = list(run_trials(half, checkpoints=Checkpoints(tmp_path), until=2))[-1]
        assert {record.step for record in last} == {2}
    joined = [configs[3], configs[1], configs[0]]
    files = [name([config.id for config in half]) for half in halves]
    checkpoints = Checkpoints(tmp_path, files, start=2)
    records = list(run_trials(joined, checkpoints=checkpoints, until=4))
    assert [[r.step for r in each] for each in records] == [[4, 4, 4]]
    last = Checkpoints(tmp_path, [name([config.id for config in joined])], start=4)
    ends = list(run_trials(joined[:2], checkpoints=last))[-1]
    assert (checkpoints.taken, checkpoints.note, last.taken) == (None, "", None)
    for record in ends:
        expected = alone[configs.index(record.config)]
        assert record.provenance.continued == ()
        assert record.provenance.engine == engine
        curves = {key: record.traces[key] for key in ("loss", "gradient_norm")}
        for key, value in (expected.weights | {key: expected.traces[key] for key in curves}).items():
            found = (record.weights | curves)[key]
            if engine == "compiled":
                np.testing.assert_array_equal(found, value)
            else:
                np.testing.assert_allclose(found, value, rtol=1e-9, atol=1e-12)


def test_checkpoints_of_different_steps_are_not_joined(base, tmp_path):
    configs = [Config.load(base, {"seed": s}) for s in range(2)]
    for config, until in zip(configs, (2, 4)):
        list(run_trials([config], checkpoints=Checkpoints(tmp_path), until=until))
    checkpoints = Checkpoints(tmp_path, [name([config.id]) for config in configs], start=4)
    records = next(run_trials(configs, checkpoints=checkpoints))
    assert [record.step for record in records] == [0, 0]
    assert "have made [2, 4] updates" in checkpoints.note
