"""The Optuna study: the state of every end, and the repair of what a killed driver left."""

import math

import pytest
from made_up_sweeps import TINY, lr_space, states
from optuna.samplers import RandomSampler, TPESampler
from optuna.trial import TrialState

from lyapsweep.results.record import Outcome
from lyapsweep.sweep import Sweep, SweepError
from lyapsweep.sweep.execute import optuna_study
from lyapsweep.sweep.execute.optuna_study import OptunaStudy, recorded_params
from lyapsweep.sweep.plan.points import Point
from lyapsweep.sweep.plan.sampling import draw
from lyapsweep.sweep.plan.space import evaluate_space


@pytest.fixture
def base(tmp_path):
    file = tmp_path / "tiny.yaml"
    file.write_text(TINY)
    return file


def journal(tmp_path, intent="map", name="a"):
    return OptunaStudy(tmp_path / "optuna.journal", name, "minimise", intent, seed=0)


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
    assert optuna_study.optuna_result(Outcome.FINISHED, 0.5) == {"values": 0.5}
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
    monkeypatch.setattr(optuna_study, "tpe_sampler", lambda seed: seeds.append(seed) or TPESampler(seed=seed))
    assert isinstance(journal(tmp_path).study.sampler, RandomSampler)
    study = OptunaStudy(tmp_path / "hunt.journal", "a", "maximise", "hunt", seed=7)
    assert isinstance(study.study.sampler, TPESampler)
    assert study.study.direction.name == "MAXIMIZE"
    study.study.ask(), study.study.ask()
    OptunaStudy(tmp_path / "hunt.journal", "a", "maximise", "hunt", seed=7)
    assert seeds == [7, 9]


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
    monkeypatch.setattr(optuna_study.time, "sleep", pauses.append)
    with pytest.raises(ConnectionError):
        optuna_study.reconnect(dialect, None, (), {})
    assert pauses == [0.5, 1, 2, 4, 8, 16, 30]
    assert dialect.calls == 8
