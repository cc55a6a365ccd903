"""The Optuna study: the state of every end, and the repair of what a killed driver left."""

import math
from dataclasses import replace

import pytest
from made_up_sweeps import TINY, a_sweep, lr_space, states
from optuna.samplers import RandomSampler, TPESampler
from optuna.trial import TrialState

from lyapsweep.config import Config
from lyapsweep.results.constraints import UNKNOWN
from lyapsweep.results.record import Outcome
from lyapsweep.sweep import Sweep, SweepError
from lyapsweep.sweep.execute import optuna_storage, optuna_study, samplers
from lyapsweep.sweep.execute.optuna_study import OptunaStudy, recorded_params
from lyapsweep.sweep.plan.hunt_settings import SAMPLERS
from lyapsweep.sweep.plan.points import Point
from lyapsweep.sweep.plan.sampling import draw
from lyapsweep.sweep.plan.space import evaluate_space


@pytest.fixture
def base(tmp_path):
    file = tmp_path / "tiny.yaml"
    file.write_text(TINY)
    return file


def journal(tmp_path, intent="map", name="a"):
    return OptunaStudy(tmp_path / "optuna.journal", name, a_sweep(intent), seed=0)


def test_every_end_has_its_state_and_none_is_left_running(base, tmp_path):
    points = draw(Sweep(base=base, objective="loss", grid={"seed": list(range(6))}))
    study = journal(tmp_path)
    for p in points:
        study.add(p)
    keys = [p.config.id for p in points]
    study.finish(keys[0], Outcome.FINISHED, 0.5)
    study.finish(keys[1], Outcome.FINISHED, math.nan)
    study.finish(keys[2], Outcome.DIVERGED, 7.0)
    study.finish(keys[3], Outcome.FAILED, math.nan)
    study.report(keys[4], 2, 0.7)
    study.finish(keys[4], Outcome.STOPPED, 0.7)
    study.finish(keys[0], Outcome.FINISHED, 0.5)  # told again by a worker that was restarted
    assert states(tmp_path) == ["COMPLETE", "FAIL", "FAIL", "FAIL", "PRUNED", "RUNNING"]
    study.close()
    assert states(tmp_path)[5] == "WAITING"  # for a resumed sweep
    assert [t.user_attrs["trial_key"] for t in study.study.trials] == keys
    assert [t.params["seed"] for t in study.study.trials] == list(range(6))


def test_what_a_dead_driver_left_waits_and_is_continued_as_the_same_trial(base, tmp_path):
    points = draw(Sweep(base=base, objective="loss", grid={"seed": [0, 1]}))
    dead = journal(tmp_path)
    dead.add(points[0])
    dead.study.enqueue_trial({"seed": 1})
    assert states(tmp_path) == ["RUNNING", "WAITING"]
    dead.report(points[0].key, 2, 0.25)
    study = journal(tmp_path)
    assert study.reconcile({}) == []
    assert states(tmp_path) == ["WAITING", "FAIL"]
    study.add(points[0])
    assert states(tmp_path) == ["RUNNING", "FAIL"]
    study.finish(points[0].key, Outcome.FINISHED, 0.5)
    assert states(tmp_path) == ["COMPLETE", "FAIL"]
    assert study.study.trials[0].intermediate_values == {2: 0.25}


def test_a_hunt_that_was_interrupted_asks_for_the_same_trials_again(base, tmp_path):
    sweep = Sweep(base=base, objective="loss", space=lr_space, trials=2, intent="hunt")

    def make(trial):
        return evaluate_space(sweep, sweep.config(), trial)

    first = journal(tmp_path, "hunt")
    points = [first.ask(make) for _ in range(3)]
    first.finish(points[1].key, Outcome.STOPPED, 0.5)
    first.postpone(points[0].key)
    first.close()
    assert states(tmp_path) == ["WAITING", "PRUNED", "WAITING"]
    second = journal(tmp_path, "hunt")
    assert second.reconcile({points[1].key: (Outcome.STOPPED, 0.5)}) == []
    assert [second.ask(make).key for _ in range(2)] == [points[0].key, points[2].key]
    assert second.ask(make).key not in {point.key for point in points}
    assert states(tmp_path) == ["RUNNING", "PRUNED", "RUNNING", "RUNNING"]


def test_what_a_dead_driver_had_saved_but_not_told_is_told(base, tmp_path):
    (point,) = draw(Sweep(base=base, objective="loss", grid={"seed": [0]}))
    journal(tmp_path).add(point)
    assert journal(tmp_path).reconcile({point.config.id: (Outcome.FINISHED, 0.5)}) == []
    assert states(tmp_path) == ["COMPLETE"]


def test_only_finite_objectives_of_finished_trials_complete(base, tmp_path):
    assert optuna_study.optuna_result(Outcome.FINISHED, 0.5) == {"values": (0.5,)}
    assert optuna_study.optuna_result(Outcome.FINISHED, 0.5, 2.0) == {"values": (0.5, 2.0)}
    assert optuna_study.optuna_result(Outcome.FINISHED, 0.5, math.nan) == {"state": TrialState.FAIL}
    for outcome, value in ((Outcome.FINISHED, math.inf), (Outcome.DIVERGED, 1.0), (Outcome.FAILED, 1.0)):
        assert optuna_study.optuna_result(outcome, value) == {"state": TrialState.FAIL}
    assert optuna_study.optuna_result(Outcome.STOPPED, 0.5) == {"state": TrialState.PRUNED}


def test_trials_are_known_by_the_key_of_their_point(base, tmp_path):
    (point,) = draw(Sweep(base=base, objective="loss", grid={"seed": [3]}))
    study = journal(tmp_path)
    study.add(Point(point.config, point.params, point.distributions, recorded_as="old"))
    study.report("old", 2, 0.25)
    study.report("old", 3, math.nan)
    study.finish("old", Outcome.STOPPED, 0.25)
    (trial,) = study.study.trials
    assert trial.user_attrs == {"trial_key": "old", "outcome": "stopped"}
    assert trial.intermediate_values == {2: 0.25}
    assert recorded_params(tmp_path / "optuna.journal", "a") == {"old": {"seed": 3}}
    assert recorded_params(tmp_path / "optuna.journal", "b") == recorded_params(tmp_path / "no.journal", "a") == {}


def test_hunts_have_a_sampler_that_learns_and_that_a_resume_seeds_anew(base, tmp_path, monkeypatch):
    seeds = []
    monkeypatch.setattr(optuna_study, "make_sampler", lambda sweep, seed: seeds.append(seed) or TPESampler(seed=seed))
    assert isinstance(journal(tmp_path).study.sampler, RandomSampler)
    study = OptunaStudy(tmp_path / "hunt.journal", "a", a_sweep("hunt", "accuracy"), seed=7)
    assert isinstance(study.study.sampler, TPESampler)
    assert study.study.direction.name == "MAXIMIZE"
    study.study.ask(), study.study.ask()
    OptunaStudy(tmp_path / "hunt.journal", "a", a_sweep("hunt", "accuracy"), seed=7)
    assert seeds == [7, 9]


@pytest.mark.parametrize("name", SAMPLERS)
def test_every_sampler_draws_points_and_is_seeded(tmp_path, name):
    if name == "cmaes":
        pytest.importorskip("cmaes")
    drawn = []
    for n in range(2):
        study = OptunaStudy(tmp_path / f"{n}.journal", "a", a_sweep("hunt", sampler=name), seed=3).study
        values = []
        for i in range(3):
            trial = study.ask()
            lr_space(trial)
            values.append(trial.params["training/lr"])
            study.tell(trial, float(i))
        drawn.append(values)
    assert drawn[0] == drawn[1]
    assert len(set(drawn[0])) == 3


def test_a_sampler_that_needs_what_is_missing_says_so(monkeypatch):
    def missing(seed):
        raise ImportError("no", name="cmaes")

    monkeypatch.setitem(samplers.MAKERS, "cmaes", missing)
    with pytest.raises(SweepError, match="needs the package cmaes"):
        samplers.make_sampler(a_sweep("hunt", sampler="cmaes"), 0)
    with pytest.raises(SweepError, match="one objective only"):
        samplers.make_sampler(a_sweep("hunt", ["loss", "accuracy"], sampler="cmaes"), 0)
    own = RandomSampler()
    assert samplers.make_sampler(a_sweep("hunt", sampler=own), 0) is own


def test_several_objectives_and_constraints_reach_optuna(base, tmp_path):
    sweep = a_sweep("hunt", ["loss", "accuracy"], constraints=["accuracy >= 0.5", "lambda_max <= 0"])
    study = OptunaStudy(tmp_path / "optuna.journal", "a", sweep, seed=0)
    for n, scores in enumerate(({"accuracy": 0.75, "lambda_max": -1.0}, {"accuracy": 0.25, "lambda_max": math.nan})):
        point = study.ask(lambda trial: evaluate_space(replace(sweep, base=base), Config.load(base), trial))
        study.finish(point.key, Outcome.FINISHED, 0.5 * n, scores)
    assert [direction.name for direction in study.study.directions] == ["MINIMIZE", "MAXIMIZE"]
    good, bad = study.study.trials
    assert (good.values, bad.values) == ([0.0, 0.75], [0.5, 0.25])
    assert good.constraints == {"accuracy >= 0.5": -0.25, "lambda_max <= 0": -1.0}
    assert bad.constraints == {"accuracy >= 0.5": 0.25, "lambda_max <= 0": UNKNOWN}
    assert study.study.best_trials == [good]


def test_what_a_dead_driver_did_not_tell_keeps_its_scores(base, tmp_path):
    sweep = a_sweep("hunt", ["loss", "accuracy"], constraints=["accuracy >= 0.5"])
    first = OptunaStudy(tmp_path / "optuna.journal", "a", sweep, seed=0)
    point = first.ask(lambda trial: evaluate_space(replace(sweep, base=base), Config.load(base), trial))
    again = OptunaStudy(tmp_path / "optuna.journal", "a", sweep, seed=0)
    again.reconcile({point.key: (Outcome.FINISHED, 0.5)}, {point.key: {"accuracy": 0.75}})
    (trial,) = again.study.trials
    assert (trial.values, trial.constraints) == ([0.5, 0.75], {"accuracy >= 0.5": -0.25})


def test_a_point_that_cannot_be_made_leaves_no_trial_running(base, tmp_path):
    study = journal(tmp_path)
    with pytest.raises(SweepError):
        study.ask(lambda trial: (_ for _ in ()).throw(SweepError("no")))
    assert states(tmp_path) == ["FAIL"]
    assert study.running == {}


def test_a_point_that_ended_before_has_its_result_at_once(base, tmp_path):
    sweep = Sweep(base=base, objective="loss", space=lr_space, trials=2)
    (point, other) = draw(sweep)
    study = journal(tmp_path)
    study.reconcile({point.key: (Outcome.FINISHED, 0.5)})
    assert study.ask(lambda trial: point) is point
    study.ask(lambda trial: other)
    assert states(tmp_path) == ["COMPLETE", "RUNNING"]
    assert study.running == {other.key: [1]}
    assert study.study.trials[0].value == 0.5


def test_a_database_that_restarts_is_tried_again_with_growing_pauses(monkeypatch):
    class Dialect:
        class loaded_dbapi:
            OperationalError = ConnectionError

        calls = 0

        def connect(self):
            self.calls += 1
            raise ConnectionError

    pauses, dialect = [], Dialect()
    monkeypatch.setattr(optuna_storage.time, "sleep", pauses.append)
    with pytest.raises(ConnectionError):
        optuna_storage.reconnect(dialect, None, (), {})
    assert pauses == [0.5, 1, 2, 4, 8, 16, 30]
    assert dialect.calls == 8
