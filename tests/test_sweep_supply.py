"""Where packs come from: a plan, the rounds of a refinement, or a sampler."""

import pytest
from made_up_sweeps import TINY, a_sweep, lr_space, states

from lyapsweep.config import Config
from lyapsweep.results.record import Outcome
from lyapsweep.sweep import Sweep, spaces
from lyapsweep.sweep.execute.optuna_study import OptunaStudy
from lyapsweep.sweep.execute.pack_source import PackSupply
from lyapsweep.sweep.plan.refinement import Refinement
from lyapsweep.sweep.plan.sampling import draw


@pytest.fixture
def base(tmp_path):
    file = tmp_path / "tiny.yaml"
    file.write_text(TINY)
    return file


def journal(tmp_path, intent="map", name="a"):
    return OptunaStudy(tmp_path / "optuna.journal", name, a_sweep(intent), seed=0)


def test_a_resumed_sweep_trains_the_packs_of_its_first_plan(tmp_path, base):
    """Whole where a member was interrupted; those that failed by themselves; extensions in packs of their own."""
    points = draw(Sweep(base=base, objective="loss", grid={"seed": list(range(12))}))
    keys = [p.key for p in points]
    study, ended, failed = journal(tmp_path), {*keys[:4], keys[6]}, {keys[7]}
    supply = PackSupply(study, 3, "cpu", ended, failed)
    packs = supply.planned([points[:8], points[8:]])
    assert [[p.config.seed for p in pack] for pack in packs] == [[3, 4, 5], [7], [8, 9], [10, 11]]
    assert [t.user_attrs["trial_key"] for t in study.study.trials] == [keys[i] for i in (4, 5, 7, 8, 9, 10, 11)]


def test_a_pack_with_one_member_that_failed_and_one_that_was_interrupted_is_whole(tmp_path, base):
    points = draw(Sweep(base=base, objective="loss", grid={"seed": [0, 1, 2]}))
    supply = PackSupply(journal(tmp_path), 3, "cpu", {points[0].key}, {points[1].key})
    assert list(supply.planned([points])) == [points]


def few(trial):
    spaces.seed(trial, 3)


def test_a_hunt_asks_for_distinct_points_and_ends_where_there_are_no_more(base, tmp_path):
    sweep = Sweep(base=base, objective="loss", space=few, trials=5, intent="hunt")
    study = journal(tmp_path, "hunt")
    packs = PackSupply(study, 1, "cpu").hunted(sweep, sweep.config(), 5)
    supply = [p.config.seed for pack in packs for p in pack]
    assert sorted(supply) == [0, 1, 2]
    for key in list(study.running):
        study.finish(key, Outcome.FINISHED, 1.0)
    assert set(states(tmp_path)) == {"COMPLETE"}  # a point drawn twice is told both times


def test_a_resumed_hunt_first_trains_what_was_lost_and_then_new_points(base, tmp_path):
    sweep = Sweep(base=base, objective="loss", space=lr_space, trials=4, intent="hunt")
    first = journal(tmp_path, "hunt")
    begun = [pack[0].config for pack in PackSupply(first, 1, "cpu").hunted(sweep, sweep.config(), 4)]
    first.finish(begun[0].id, Outcome.FINISHED, 0.5)
    second = journal(tmp_path, "hunt")
    lost = second.reconcile({begun[0].id: (Outcome.FINISHED, 0.5)})
    again = [pack[0].config for pack in PackSupply(second, 1, "cpu").hunted(sweep, sweep.config(), 5, lost)]
    assert [c.id for c in again[:3]] == [c.id for c in begun[1:]]
    assert len({c.id for c in begun} | {c.id for c in again}) == 6


def test_a_resumed_hunt_trains_failed_and_interrupted_trials_again_instead_of_new_points(base, tmp_path):
    sweep = Sweep(base=base, objective="loss", space=lr_space, trials=3, intent="hunt")
    first = journal(tmp_path, "hunt")
    begun = [pack[0].config.id for pack in PackSupply(first, 1, "cpu").hunted(sweep, sweep.config(), 3)]
    for trial, outcome in zip(begun, (Outcome.FAILED, Outcome.FINISHED, Outcome.FAILED)):
        first.finish(trial, outcome, 0.5)
    ended = {begun[1]: (Outcome.FINISHED, 0.5)}
    for _ in range(2):  # the second time after both failed again
        study = journal(tmp_path, "hunt")
        lost = study.reconcile(ended)
        again = [pack[0].config.id for pack in PackSupply(study, 1, "cpu").hunted(sweep, sweep.config(), 2, lost)]
        assert sorted(again) == sorted([begun[0], begun[2]])
        for trial in again:
            study.finish(trial, Outcome.FAILED, 0.5)


def test_a_hunt_fills_its_packs_and_asks_for_no_more_than_is_wanted(tmp_path, base):
    sweep = Sweep(base=base, objective="loss", space=lr_space, trials=7, intent="hunt")
    packs = list(PackSupply(journal(tmp_path, "hunt"), 3, "cpu").hunted(sweep, sweep.config(), 7))
    assert [len(pack) for pack in packs] == [3, 3, 1]
    assert states(tmp_path) == ["RUNNING"] * 7


def test_the_packs_of_a_hunt_have_one_shape_and_one_forcing_on_a_cpu(base, tmp_path):
    def space(trial):
        trial.suggest_int("cell/units", 2, 9)
        trial.suggest_int("forcing/interval", 1, 9)
        lr_space(trial)

    sweep = Sweep(base=base, objective="loss", space=space, trials=24, intent="hunt")
    config = sweep.config({"forcing/kind": "sparse"})
    packs = list(PackSupply(journal(tmp_path, "hunt"), 8, "cpu").hunted(sweep, config, 24))
    assert [len(pack) for pack in packs] == [8, 8, 8]
    for pack in packs:
        assert len({(p.config.cell["units"], p.config.forcing["interval"]) for p in pack}) == 1
        assert len({p.config.training.lr for p in pack}) == 8
    assert len({pack[0].config.cell["units"] for pack in packs}) > 1
    mixed = list(PackSupply(journal(tmp_path, "hunt", "b"), 8, "cuda").hunted(sweep, config, 8))
    assert len({p.config.forcing["interval"] for pack in mixed for p in pack}) > 1


def test_a_pack_of_a_hunt_takes_another_shape_where_one_has_no_further_point(base, tmp_path):
    def space(trial):
        trial.suggest_int("cell/units", 2, 4)
        trial.suggest_categorical("training/lr", [1e-3, 1e-2])

    sweep = Sweep(base=base, objective="loss", space=space, trials=6, intent="hunt")
    packs = list(PackSupply(journal(tmp_path, "hunt"), 6, "cpu").hunted(sweep, sweep.config(), 6))
    assert sum(len(pack) for pack in packs) == 6


def test_a_hunt_trains_a_recorded_trial_under_its_old_id(tmp_path, base, monkeypatch):
    monkeypatch.setattr(Config, "legacy_ids", property(lambda self: (f"old{self.seed}",)))
    sweep = Sweep(base=base, objective="loss", space=few, trials=3, intent="hunt")
    packs = PackSupply(journal(tmp_path, "hunt"), 1, "cpu").hunted(sweep, sweep.config(), 3, recorded={"old1"})
    keys = {p.config.seed: p.key for pack in packs for p in pack}
    assert keys[1] == "old1"
    assert [len(keys[s]) for s in (0, 2)] == [12, 12]


def test_the_next_round_waits_for_the_results_of_the_last(tmp_path, base):
    grid = {"training/lr": spaces.log_points(1e-3, 1e-1, 9), "training/clip": spaces.points(1, 2, 9)}
    sweep = Sweep(base=base, objective="loss", grid=grid, threshold=0.5)
    points = draw(sweep)
    study, counts, refinement = journal(tmp_path), [], Refinement(sweep, points)
    packs = PackSupply(study, 32, "cpu").refined(refinement, 4, counts.append)
    first = [next(packs) for _ in range(4)]
    assert [len(pack) for pack in first] == [7, 7, 7, 4]  # 25 points for four slots
    assert counts == [25]
    assert next(packs) == next(packs) == []
    for point in (p for pack in first for p in pack):
        study.finish(point.key, Outcome.FINISHED, 0.1 if point.config.training.lr < 0.01 else 1.0)
    assert next(packs)
    assert counts[1] > 25
