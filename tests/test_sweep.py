"""Sweeps, from the file that defines one to the results of one that was killed and resumed."""

import collections
import json
import math
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import optuna
import pytest
from mlflow import MlflowClient

from lyapsweep.config import Config, ConfigError
from lyapsweep.record import Outcome, Record
from lyapsweep.sweep import Sweep, SweepError, load, spaces, trainable
from lyapsweep.sweep.folder import Folder
from lyapsweep.sweep.journal import Journal
from lyapsweep.sweep.progress import Board
from lyapsweep.sweep.supply import hunted
from lyapsweep.sweep.trainable import outlast

TINY = """
dataset:  {kind: simulated, system: lorenz63, length: 600}
cell:     {kind: vanilla, units: 4}
windows:  {length: 20, batch: 4}
training: {steps: 4, report_every: 2}
lyapunov: {steps: 20, warmup: 5, orbits: 2}
measures: [loss]
"""


@pytest.fixture
def base(tmp_path):
    file = tmp_path / "tiny.yaml"
    file.write_text(TINY)
    return file


# Loading a sweep file


def written(tmp_path, text):
    file = tmp_path / "question.py"
    file.write_text(textwrap.dedent(text))
    return file


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
    seen = [subprocess.check_output([sys.executable, "-c", code.format(m)], text=True) for m in ("", ".trainable")]
    assert [s.strip() for s in seen] == ["[]", "['ray']"]


# Optuna


def journal(tmp_path, intent="map", name="a"):
    return Journal(tmp_path / "optuna.journal", name, "minimise", intent, seed=0)


def states(tmp_path, name="a"):
    storage = optuna.storages.JournalStorage(
        optuna.storages.journal.JournalFileBackend(str(tmp_path / "optuna.journal"))
    )
    return [t.state.name for t in optuna.load_study(study_name=name, storage=storage).trials]


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


def lr_space(trial):
    spaces.log_float(trial, "training/lr", 1e-4, 1e-2)


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

    def sick(pack, device):
        for step in (0, 2, 4):
            if step == 2 and any(c.seed == 3 for c in pack):
                raise FloatingPointError("seed 3 is not well")
            yield [Record(c, step, Outcome.FINISHED if step == 4 else Outcome.RUNNING) for c in pack]

    monkeypatch.setattr(trainable, "run_trials", sick)
    finals = {r.config.seed: r for records in outlast(configs, "cpu") for r in records if r.outcome.final}
    assert {seed: r.outcome.value for seed, r in finals.items()} == {
        0: "finished", 1: "finished", 2: "finished", 3: "failed", 4: "finished"
    }  # fmt: skip
    assert finals[3].provenance["error"] == "FloatingPointError: seed 3 is not well"
    assert "sick" in finals[3].provenance["traceback"]
    assert finals[3].step == 0


def test_training_that_just_ends_is_a_failure(base, monkeypatch):
    monkeypatch.setattr(trainable, "run_trials", lambda pack, device: iter(()))
    ((record,),) = outlast([Config.load(base)], "cpu")
    assert record.outcome is Outcome.FAILED
    assert "without a final record" in record.provenance["error"]


# The folder and the count


def saved(folder, config, step, outcome, **provenance):
    return Record(config, step, outcome, measures={"loss": 1.0}, provenance=provenance).save(folder.records)


def test_what_needs_no_more_work(base, tmp_path):
    folder, configs = Folder(tmp_path, "a"), [Config.load(base, {"seed": s}) for s in range(6)]
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
    folder = Folder(tmp_path, "a")
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
        Folder(tmp_path, "a").hold()
    folder.release()
    Folder(tmp_path, "a").hold()


def test_the_first_start_is_kept_in_sweep_json(tmp_path):
    folder = Folder(tmp_path, "a")
    folder.hold()
    folder.tell({"command": "first", "trials": 2})
    assert folder.tell({"command": "second", "trials": 3}) == {"command": "first", "trials": 3}
    assert json.loads(folder.about.read_text()) == {"command": "first", "trials": 3}


def test_the_board_counts_and_knows_the_best(base):
    configs = [Config.load(base, {"seed": s}) for s in range(4)]
    board = Board(asked=4, direction="minimise")
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
    higher = Board(asked=2, direction="maximise")
    for config, value in zip(configs, (1.0, 2.0, 0.0)):
        higher.note(config, Outcome.FINISHED, value, 1.0)
    assert higher.best == (2.0, configs[1])


# On Ray


SCRIPT = """
import sys
from lyapsweep.sweep import load
from lyapsweep.sweep.driver import run

def listen(progress):
    print("PROGRESS", progress.done, progress.running, flush=True)

summary = run(load(sys.argv[1]), results=sys.argv[2], jobs=1, pack=1, resume="--resume" in sys.argv, listen=listen)
print("SUMMARY", summary.interrupted, summary.progress.finished, summary.message, flush=True)
"""


def slow_sweep(folder: Path) -> Path:
    """Three trials of a second or more each, one after another."""
    (folder / "tiny.yaml").write_text(TINY.replace("steps: 4, report_every: 2", "steps: 1500, report_every: 300"))
    text = "SWEEP = Sweep(base='tiny.yaml', objective='loss', grid={'seed': [0, 1, 2]})"
    return written(folder, f"from lyapsweep.sweep import Sweep\n{text}\n")


def start(folder: Path, sweep: Path, *flags: str) -> subprocess.Popen:
    (folder / "script.py").write_text(SCRIPT)
    command = [sys.executable, str(folder / "script.py"), str(sweep), str(folder / "results"), *flags]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parent.parent)}
    environment.pop("MLFLOW_TRACKING_URI", None)
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment, start_new_session=True
    )


def wait_for_second(process: subprocess.Popen) -> None:
    """Until one trial has ended and the next one trains."""
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("PROGRESS 1 1"):
            return
    raise AssertionError("no trial was seen to run after the first had ended")


def runs_of(results: Path, name: str) -> list:
    client = MlflowClient(tracking_uri=f"sqlite:///{results / 'mlflow.db'}")
    experiment = client.get_experiment_by_name(name)
    assert experiment is not None
    return [r for r in client.search_runs([experiment.experiment_id]) if "summary" not in r.data.tags]


def last_outcomes(folder: Path) -> dict[int, str]:
    last = {}
    for file in sorted(folder.glob("records/*.npz")):
        record = Record.load(file)
        last[record.config.seed] = record.outcome.value
    return last


def resumed(folder: Path, sweep: Path) -> set[str]:
    """Resume, see that every trial has finished once, and return the attempts that MLflow counts."""
    output, _ = start(folder, sweep, "--resume").communicate(timeout=120)
    assert "SUMMARY False 3" in output, output
    results = folder / "results"
    assert last_outcomes(results / "question") == dict.fromkeys(range(3), "finished")
    runs = runs_of(results, "question")
    assert len(runs) == 3
    assert {r.info.status for r in runs} == {"FINISHED"}
    assert collections.Counter(states(results / "question", "question"))["COMPLETE"] == 3
    assert "RUNNING" not in states(results / "question", "question")
    assert (results / "question" / "atlas.html").exists()
    return {r.data.tags["attempt"] for r in runs}


@pytest.mark.cluster
def test_ctrl_c_ends_within_seconds_and_a_resume_finishes(tmp_path):
    sweep = slow_sweep(tmp_path)
    process = start(tmp_path, sweep)
    wait_for_second(process)
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert time.monotonic() - began < 30  # a few seconds, on a machine with nothing else to do
    assert "SUMMARY True" in output, output
    assert "--resume" in output
    assert "Traceback" not in output
    results = tmp_path / "results"
    assert "running" not in last_outcomes(results / "question").values()
    assert "RUNNING" not in {r.info.status for r in runs_of(results, "question")}
    assert "KILLED" in {r.info.status for r in runs_of(results, "question")}
    assert "RUNNING" not in states(results / "question", "question")
    refused, _ = start(tmp_path, sweep).communicate(timeout=60)
    assert "Go on with --resume" in refused
    assert resumed(tmp_path, sweep) == {"1", "2"}  # those that had ended were not begun again


@pytest.mark.cluster
def test_a_killed_driver_is_resumed(tmp_path):
    sweep = slow_sweep(tmp_path)
    process = start(tmp_path, sweep)
    wait_for_second(process)
    process.kill()
    process.wait()
    assert "RUNNING" in states(tmp_path / "results" / "question", "question")
    resumed(tmp_path, sweep)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Eight trials: two packs of two that train, and two whose windows are longer than their data."""
    from lyapsweep.sweep.driver import run

    folder = tmp_path_factory.mktemp("sweep")
    (folder / "tiny.yaml").write_text(TINY)
    grid = {"windows/length": [20, 5000], "cell/units": [3, 4], "seed": [0, 1]}
    sweep = Sweep(base=folder / "tiny.yaml", objective="loss", grid=grid, name="eight", question="Does it run?")
    told = []
    summary = run(
        sweep, results=folder, jobs=2, pack=2, tracking_uri=f"sqlite:///{folder / 'mlflow.db'}", listen=told.append
    )
    return sweep, summary, told


@pytest.mark.cluster
def test_a_sweep_end_to_end(finished):
    from lyapsweep import tracking
    from lyapsweep.table import Table

    _, summary, told = finished
    assert (summary.progress.asked, summary.progress.finished, summary.progress.failed) == (8, 4, 4)
    assert not summary.interrupted
    assert summary.atlas == summary.folder / "atlas.html"
    assert "Does it run?" in summary.atlas.read_text()
    assert [p.done for p in told] == sorted(p.done for p in told)
    here, there = Table.read(summary.folder), tracking.read("eight", summary.tracking_uri)
    assert here.frame.equals(there.frame)
    assert here.about == there.about
    finals = here.frame[here.frame["final"]]
    assert len(finals) == 8
    trained = finals[finals["outcome"] == "finished"]
    assert set(trained["provenance/pack"]) == {2}  # they did train side by side
    best = trained.loc[trained["measures/loss"].idxmin()]
    assert (best["trial"], best["measures/loss"]) == (summary.best_trial, summary.progress.best[0])
    runs = runs_of(summary.folder.parent, "eight")
    assert collections.Counter(r.info.status for r in runs) == {"FINISHED": 4, "FAILED": 4}
    assert collections.Counter(states(summary.folder, "eight")) == {"COMPLETE": 4, "FAIL": 4}


@pytest.mark.cluster
def test_an_error_inside_a_trial_is_in_its_record_and_the_sweep_goes_on(finished):
    _, summary, _ = finished
    failed = [r for r in map(Record.load, summary.folder.glob("records/*.npz")) if r.outcome is Outcome.FAILED]
    assert len(failed) == 4
    assert all("windows/length" in r.provenance["error"] for r in failed)


@pytest.mark.cluster
def test_a_complete_sweep_run_again_trains_nothing_and_a_resume_tries_the_failed_again(finished):
    from lyapsweep.sweep.driver import run

    sweep, summary, _ = finished
    before = {f: f.stat().st_mtime for f in summary.folder.glob("records/*.npz")}
    with pytest.raises(SweepError, match="--resume"):  # four trials failed: that is not complete
        run(sweep, results=summary.folder.parent, tracking_uri=summary.tracking_uri)
    again = run(sweep, results=summary.folder.parent, jobs=2, resume=True, tracking_uri=summary.tracking_uri)
    assert (again.progress.finished, again.progress.failed) == (4, 4)
    after = {f: f.stat().st_mtime for f in summary.folder.glob("records/*.npz")}
    assert sum(after[f] != before[f] for f in before) == 4
    runs = runs_of(summary.folder.parent, "eight")
    assert collections.Counter(r.data.tags["attempt"] for r in runs) == {"1": 4, "2": 4}


@pytest.mark.cluster
def test_a_hunt_stops_what_is_worse_and_says_so(tmp_path):
    from lyapsweep.sweep.driver import run

    (tmp_path / "tiny.yaml").write_text(TINY.replace("steps: 4, report_every: 2", "steps: 90, report_every: 10"))
    sweep = Sweep(base=tmp_path / "tiny.yaml", objective="loss", space=lr_space, trials=8, intent="hunt", name="hunt")
    summary = run(sweep, results=tmp_path, jobs=2, tracking_uri=f"sqlite:///{tmp_path / 'mlflow.db'}")
    told = summary.progress
    assert told.finished + told.stopped == told.done == 8
    assert told.stopped >= 1
    counted = collections.Counter(states(summary.folder, "hunt"))
    assert counted == {"COMPLETE": told.finished, "PRUNED": told.stopped}
    stopped = [r for r in map(Record.load, summary.folder.glob("records/*.npz")) if r.outcome is Outcome.STOPPED]
    assert len(stopped) == told.stopped
    assert {r.provenance["stopped_by"] for r in stopped} == {"scheduler"}
    assert json.loads((summary.folder / "sweep.json").read_text())["intent"] == "hunt"


def workers_of(driver: int) -> list[int]:
    """The processes below a driver that train packs."""
    table = [
        line.split(None, 2) for line in subprocess.check_output(["ps", "-eo", "pid,ppid,args"], text=True).split("\n")
    ]
    rows = [(int(pid), int(parent), args) for pid, parent, args in (row for row in table[1:] if len(row) == 3)]
    below = {driver}
    while more := {pid for pid, parent, _ in rows if parent in below} - below:
        below |= more
    return [pid for pid, _, args in rows if pid in below and args.startswith(("ray::Pack", "ray::ResourceTrainable"))]


@pytest.mark.cluster
@pytest.mark.parametrize("moment", ["PROGRESS 1 0", "PROGRESS 1 1"])
def test_a_worker_that_is_killed_costs_no_trial(tmp_path, moment):
    """Between two packs, where Ray itself would forget the next one, and inside a pack."""
    sweep = slow_sweep(tmp_path)
    process = start(tmp_path, sweep)
    assert process.stdout is not None
    seen = next(line for line in process.stdout if line.startswith(moment))
    workers = workers_of(process.pid)
    assert workers, seen
    for worker in workers:
        os.kill(worker, signal.SIGKILL)
    output, _ = process.communicate(timeout=120)
    assert "SUMMARY False 3" in output, output
    assert last_outcomes(tmp_path / "results" / "question") == dict.fromkeys(range(3), "finished")
    assert {r.info.status for r in runs_of(tmp_path / "results", "question")} == {"FINISHED"}
    assert "RUNNING" not in states(tmp_path / "results" / "question", "question")
