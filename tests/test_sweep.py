"""Sweeps, from the file that defines one to the results of one that was killed and resumed."""

import json
import math
import subprocess
import sys

import pytest
from made_up_sweeps import TINY, lr_space, states, written

from lyapsweep.config import Config, ConfigError
from lyapsweep.results.description import SweepDescription
from lyapsweep.results.provenance import Provenance
from lyapsweep.results.record import Outcome, Record
from lyapsweep.sweep import Sweep, SweepError, load, spaces
from lyapsweep.sweep.execute import trainable
from lyapsweep.sweep.execute.optuna_study import OptunaStudy
from lyapsweep.sweep.execute.results_folder import ResultsFolder
from lyapsweep.sweep.execute.searcher import hunted
from lyapsweep.sweep.execute.trainable import outlast
from lyapsweep.sweep.observe.progress import ProgressCounter


@pytest.fixture
def base(tmp_path):
    file = tmp_path / "tiny.yaml"
    file.write_text(TINY)
    return file


# Loading a sweep file


def test_a_sweep_file_gives_name_question_and_base(base):
    file = written(
        base.parent,
        '''
        """What is asked?

        What is expected.
        """
        from lyapsweep.sweep import Sweep
        SWEEP = Sweep(base="tiny.yaml", objective="loss", grid={"seed": [0, 1]})
        ''',
    )
    sweep = load(file)
    assert (sweep.name, sweep.question) == ("question", "What is asked?\n\nWhat is expected.")
    assert sweep.config().cell["units"] == 4  # found beside the file
    assert sweep.config({"cell/units": 6}).cell["units"] == 6


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1\n", "needs SWEEP = Sweep"),
        ("SWEEP = 3\n", "has a int"),
        ("import os\n\nSWEEP = missing\n", r"question.py, line 3: NameError"),
        ("x = 1\nSWEEP = (\n", r"question.py, line 2: SyntaxError"),
        (
            "from lyapsweep.sweep import Sweep\nSWEEP = Sweep(base='b.yaml', objective='los', grid={'seed': [0]})\n",
            r"line 2: .*Did you mean 'loss'",
        ),
    ],
)
def test_a_sweep_file_that_cannot_be_used_says_why_and_where(tmp_path, text, message):
    with pytest.raises(SweepError, match=message):
        load(written(tmp_path, text))


def test_missing_files_are_named(tmp_path):
    with pytest.raises(SweepError, match="There is no sweep at"):
        load(tmp_path / "none.py")
    text = "from lyapsweep.sweep import Sweep\nSWEEP = Sweep(base='none.yaml', objective='loss', grid={'seed': [0]})\n"
    with pytest.raises(ConfigError, match=r"no config none\.yaml"):
        load(written(tmp_path, text))


def test_what_a_base_config_must_have(base):
    with pytest.raises(SweepError, match="'state_space' is not measured"):
        Sweep(base=base, objective="state_space", grid={"seed": [0]}).config()
    base.write_text(TINY.replace(", report_every: 2", ""))
    with pytest.raises(SweepError, match="set training/report_every"):
        Sweep(base=base, objective="loss", space=spaces.seed, trials=2, intent="hunt").config()


def test_importing_sweeps_loads_neither_optuna_nor_mlflow_nor_ray_and_workers_only_ray():
    code = (
        "import sys, lyapsweep.sweep{}; print([m for m in ('ray', 'optuna', 'mlflow', 'plotly') if m in sys.modules])"
    )
    seen = [
        subprocess.check_output([sys.executable, "-c", code.format(m)], text=True) for m in ("", ".execute.trainable")
    ]
    assert [s.strip() for s in seen] == ["[]", "['ray']"]


# Optuna


def journal(tmp_path, intent="map", name="a"):
    return OptunaStudy(tmp_path / "optuna.journal", name, "minimise", intent, seed=0)


def test_every_end_has_its_state_and_none_is_left_running(base, tmp_path):
    points = spaces.draw(Sweep(base=base, objective="loss", grid={"seed": list(range(6))}))
    books = journal(tmp_path)
    for p in points:
        books.enter(p)
    keys = [p.config.id for p in points]
    books.tell(keys[0], Outcome.FINISHED, 0.5)
    books.tell(keys[1], Outcome.FINISHED, math.nan)
    books.tell(keys[2], Outcome.DIVERGED, 7.0)
    books.tell(keys[3], Outcome.FAILED, math.nan)
    books.report(keys[4], 2, 0.7)
    books.tell(keys[4], Outcome.STOPPED, 0.7)
    books.tell(keys[0], Outcome.FINISHED, 0.5)  # told again by a worker that was restarted
    assert states(tmp_path) == ["COMPLETE", "FAIL", "FAIL", "FAIL", "PRUNED", "RUNNING"]
    books.close()
    assert states(tmp_path)[5] == "FAIL"
    assert [t.user_attrs["trial_key"] for t in books.study.trials] == keys
    assert [t.params["seed"] for t in books.study.trials] == list(range(6))


def test_what_a_dead_driver_left_is_failed_and_told(base, tmp_path):
    points = spaces.draw(Sweep(base=base, objective="loss", grid={"seed": [0, 1]}))
    dead = journal(tmp_path)
    dead.enter(points[0])
    dead.study.enqueue_trial({"seed": 1})
    assert states(tmp_path) == ["RUNNING", "WAITING"]
    assert journal(tmp_path).reconcile({}) == [{"seed": 0}]
    assert states(tmp_path) == ["FAIL", "FAIL"]


def test_what_a_dead_driver_had_saved_but_not_told_is_told(base, tmp_path):
    (point,) = spaces.draw(Sweep(base=base, objective="loss", grid={"seed": [0]}))
    journal(tmp_path).enter(point)
    assert journal(tmp_path).reconcile({point.config.id: (Outcome.FINISHED, 0.5)}) == []
    assert states(tmp_path) == ["COMPLETE"]


def few(trial):
    spaces.seed(trial, 3)


def test_a_hunt_asks_for_distinct_points_and_ends_where_there_are_no_more(base, tmp_path):
    sweep = Sweep(base=base, objective="loss", space=few, trials=5, intent="hunt")
    books = journal(tmp_path, "hunt")
    supply = [c.seed for pack in hunted(sweep, sweep.config(), 5, [], 1, "cpu", books) for c in pack]
    assert sorted(supply) == [0, 1, 2]
    for key in list(books.open):
        books.tell(key, Outcome.FINISHED, 1.0)
    assert set(states(tmp_path)) == {"COMPLETE"}  # a point drawn twice is told both times


def test_a_resumed_hunt_first_trains_what_was_lost_and_then_new_points(base, tmp_path):
    sweep = Sweep(base=base, objective="loss", space=lr_space, trials=4, intent="hunt")
    first = journal(tmp_path, "hunt")
    begun = [pack[0] for pack in hunted(sweep, sweep.config(), 4, [], 1, "cpu", first)]
    first.tell(begun[0].id, Outcome.FINISHED, 0.5)
    second = journal(tmp_path, "hunt")
    lost = second.reconcile({begun[0].id: (Outcome.FINISHED, 0.5)})
    again = [pack[0] for pack in hunted(sweep, sweep.config(), 5, lost, 1, "cpu", second)]
    assert [c.id for c in again[:3]] == [c.id for c in begun[1:]]
    assert len({c.id for c in begun} | {c.id for c in again}) == 6


# The worker


def test_an_error_ends_only_the_member_that_causes_it(base, monkeypatch):
    """A pack with one member that cannot be trained: its neighbours finish, and it says what was wrong."""
    configs = [Config.load(base, {"seed": s}) for s in range(5)]

    def sick(pack, device, checkpoints):
        for step in (0, 2, 4):
            if step == 2 and any(c.seed == 3 for c in pack):
                raise FloatingPointError("seed 3 is not well")
            yield [Record(c, step, Outcome.FINISHED if step == 4 else Outcome.RUNNING) for c in pack]

    monkeypatch.setattr(trainable, "run_trials", sick)
    finals = {r.config.seed: r for records in outlast(configs, "cpu") for r in records if r.outcome.final}
    assert {seed: r.outcome.value for seed, r in finals.items()} == {
        0: "finished", 1: "finished", 2: "finished", 3: "failed", 4: "finished"
    }  # fmt: skip
    assert finals[3].provenance.error == "FloatingPointError: seed 3 is not well"
    assert "sick" in finals[3].provenance.traceback
    assert finals[3].step == 0


def test_training_that_just_ends_is_a_failure(base, monkeypatch):
    monkeypatch.setattr(trainable, "run_trials", lambda pack, device, checkpoints: iter(()))
    ((record,),) = outlast([Config.load(base)], "cpu")
    assert record.outcome is Outcome.FAILED
    assert "without a final record" in record.provenance.error


# The folder and the count


def saved(folder, config, step, outcome, **provenance):
    record = Record(config, step, outcome, measures={"loss": 1.0}, provenance=Provenance(**provenance))
    return record.save(folder.records)


def test_what_needs_no_more_work(base, tmp_path):
    folder, configs = ResultsFolder(tmp_path, "a"), [Config.load(base, {"seed": s}) for s in range(6)]
    ends = [
        ("finished", {}),
        ("diverged", {}),
        ("failed", {}),
        ("running", {}),
        ("stopped", {}),
        ("stopped", {"interrupted": True}),
    ]
    for config, (outcome, told) in zip(configs, ends):
        saved(folder, config, 0, Outcome.RUNNING)
        saved(folder, config, 2, Outcome(outcome), **told)
    assert {r.config.seed for r in folder.ended().values()} == {0, 1, 4}


def test_a_used_folder_is_gone_on_with_only_when_that_is_meant(base, tmp_path):
    folder = ResultsFolder(tmp_path, "a")
    folder.hold()
    folder.check([], ["a"], resume=False)
    config = Config.load(base)
    saved(folder, config, 4, Outcome.FINISHED)
    with pytest.raises(SweepError, match="--resume"):
        folder.check([config.id], [config.id, "another"], resume=False)
    folder.check([config.id], [config.id, "another"], resume=True)
    folder.check([config.id], [config.id], resume=False)  # complete: nothing will be written
    with pytest.raises(SweepError, match="not points of this sweep"):
        folder.check([config.id], ["another"], resume=True)
    with pytest.raises(SweepError, match="another process"):
        ResultsFolder(tmp_path, "a").hold()
    folder.release()
    ResultsFolder(tmp_path, "a").hold()


def test_the_first_start_is_kept_in_sweep_json(tmp_path):
    folder = ResultsFolder(tmp_path, "a")
    folder.hold()
    folder.describe(command="first", trials=2)
    assert folder.describe(command="second", trials=3) == SweepDescription(command="first", trials=3)
    assert json.loads(folder.paths.description.read_text()) == {"schema": 1, "command": "first", "trials": 3}


def test_the_board_counts_and_knows_the_best(base):
    configs = [Config.load(base, {"seed": s}) for s in range(4)]
    board = ProgressCounter(asked=4, direction="minimise")
    assert board.progress(str).left is None
    board.note(configs[0], Outcome.FINISHED, 3.0, 1.0)
    board.note(configs[1], Outcome.DIVERGED, 1.0, 1.0)  # not best, however low
    board.note(configs[2], Outcome.FINISHED, 2.0, 1.0)
    board.note(configs[3], Outcome.RUNNING, 0.5, 0.25)
    now = board.progress(lambda c: f"seed={c.seed}")
    assert (now.done, now.finished, now.diverged, now.running, now.best) == (3, 2, 1, 1, (2.0, "seed=2"))
    assert now.left is not None
    assert now.left < now.seconds
    board.note(configs[3], Outcome.FINISHED, math.nan, 1.0)
    assert board.progress(str).left == 0
    higher = ProgressCounter(asked=2, direction="maximise")
    for config, value in zip(configs, (1.0, 2.0, 0.0)):
        higher.note(config, Outcome.FINISHED, value, 1.0)
    assert higher.best == (2.0, configs[1])
