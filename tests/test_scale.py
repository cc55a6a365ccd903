"""What a trial costs the driver is the same for the tenth and the ten thousandth: work is counted, not timed."""

import dataclasses
import math
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from made_up_sweeps import TINY, a_sweep, lr_space, states
from work import lines

from benchmarks.scale import PARTS, Meter, alone, growth, rows, storage
from lyapsweep.config import Config
from lyapsweep.results.provenance import Provenance
from lyapsweep.results.record import Outcome, Record
from lyapsweep.results.table import Table
from lyapsweep.sweep import Sweep, spaces
from lyapsweep.sweep.execute import optuna_storage
from lyapsweep.sweep.execute.optuna_study import OptunaStudy
from lyapsweep.sweep.execute.results_folder import ResultsFolder
from lyapsweep.sweep.observe.progress import ProgressCounter
from lyapsweep.sweep.plan import space
from lyapsweep.sweep.plan.points import Point
from lyapsweep.sweep.plan.sampling import draw
from lyapsweep.tracking.async_logger import AsyncLogger

FEW, MANY = 5, 205


@pytest.fixture
def base(tmp_path):
    file = tmp_path / "tiny.yaml"
    file.write_text(TINY)
    return file


@pytest.fixture
def points(base):
    return draw(Sweep(base=base, objective="loss", grid={"seed": list(range(MANY + 1))}))


def entered_and_told(study: OptunaStudy, point: Point) -> None:
    study.add(point)
    study.report(point.key, 2, 0.5)
    study.finish(point.key, Outcome.FINISHED, 0.5)


def test_lines_are_counted_in_loops_and_comprehensions():
    assert lines(lambda: [i + 1 for i in range(100)]) > 100
    assert lines(lambda: None) < 5


def test_the_journal_does_as_much_for_the_last_trial_as_for_the_first(points, tmp_path):
    study = OptunaStudy(tmp_path / "optuna.journal", "a", a_sweep(), seed=0)
    work = {}
    for i, point in enumerate(points):
        if i in (FEW, MANY):
            work[i] = lines(lambda point=point: entered_and_told(study, point))
        else:
            entered_and_told(study, point)
    assert work[MANY] == pytest.approx(work[FEW], rel=0.02)
    assert states(tmp_path) == ["COMPLETE"] * len(points)
    assert [t.params["seed"] for t in study.study.trials] == list(range(len(points)))


def test_a_trial_takes_as_much_of_the_journal_on_a_fine_grid_as_on_a_coarse_one(base, tmp_path):
    sizes = []
    for values in (5, 500):
        grid = {"training/lr": spaces.points(0.001, 0.002, values), "seed": [0], "cell/kind": ["vanilla"]}
        drawn = draw(Sweep(base=base, objective="loss", grid=grid), 5)
        file = tmp_path / f"{values}.journal"
        study = OptunaStudy(file, "a", a_sweep(), seed=0)
        before = file.stat().st_size
        for point in drawn:
            entered_and_told(study, point)
        sizes.append(file.stat().st_size - before)
        assert [t.params["training/lr"] for t in study.study.trials] == [p.config.training.lr for p in drawn]
    assert sizes[1] == pytest.approx(sizes[0], rel=0.1)


def test_a_map_is_drawn_with_as_much_work_for_the_last_point_as_for_the_first(base):
    sweep = Sweep(base=base, objective="loss", space=lr_space, trials=MANY + 1)
    stream = space.sobol_points(sweep, sweep.config(), 0)
    work = {i: lines(lambda: next(stream)) for i in range(MANY + 1)}
    assert work[MANY] == pytest.approx(work[FEW], rel=0.02)


class Unread(dict):
    """A dictionary of which nobody may ask for everything."""

    def refuse(self, *_):
        raise AssertionError("looked at every trial")

    __iter__ = keys = values = items = refuse


def test_an_event_does_not_make_the_counter_count_every_trial(base):
    points = [Point(Config.load(base, {"seed": s}), {}, {}) for s in range(3)]
    counter = ProgressCounter(asked=3, direction="minimise", outcomes=Unread())
    for point in points:
        counter.update(point, Outcome.RUNNING, math.nan, 0.5)
    counter.update(points[0], Outcome.FINISHED, 1.0, 1.0)
    counter.update(points[0], Outcome.FINISHED, 1.0, 1.0)  # reported again
    now = counter.progress(str)
    assert (now.done, now.finished, now.running) == (1, 1, 2)
    assert now.left is not None


def test_the_latest_records_of_many_trials_are_found_in_one_look(base, tmp_path, monkeypatch):
    folder, configs = ResultsFolder(tmp_path, "a"), [Config.load(base, {"seed": s}) for s in range(4)]
    for config in configs[:3]:
        for step in (0, 2):
            Record(config, step, Outcome.RUNNING).save(folder.records)
    looks, glob = [], Path.glob
    monkeypatch.setattr(Path, "glob", lambda self, what: looks.append(what) or glob(self, what))
    found = folder.latest_files([c.id for c in configs[1:]])
    assert {file.name for file in found.values()} == {f"{c.id}-00000002.npz" for c in configs[1:3]}
    assert found.keys() == {c.id for c in configs[1:3]}
    assert len(looks) == 1
    assert folder.latest_files([]) == {}
    assert len(looks) == 1


def test_a_resumed_sweep_reads_all_of_a_record_but_its_arrays(base, tmp_path):
    folder, config = ResultsFolder(tmp_path, "a"), Config.load(base)
    record = Record(
        config,
        4,
        Outcome.FINISHED,
        measures={"loss": 1.0},
        weights={"W": np.ones((3, 3))},
        provenance=Provenance(seed=0),
    )
    whole, light = Record.load(record.save(folder.records)), folder.last_records()[config.id]
    assert whole.weights.keys() == {"W"}
    assert light == dataclasses.replace(whole, weights={}, traces={})


def test_records_of_one_trial_share_their_config(base, tmp_path):
    config = Config.load(base)
    first, last = (Record.load(Record(config, step, Outcome.RUNNING).save(tmp_path)) for step in (0, 4))
    assert first.config is last.config
    assert first.config == config
    assert Record.load(Record(config.changed({"seed": 1}), 0, Outcome.RUNNING).save(tmp_path)).config.seed == 1


def test_a_table_reads_no_record_twice_where_mlflow_keeps_copies(base, tmp_path, monkeypatch):
    configs = [Config.load(base, {"seed": s}) for s in range(3)]
    for config in configs:
        for place in (tmp_path / "artifacts" / config.id / "artifacts" / "records", tmp_path / "records"):
            Record(config, 4, Outcome.FINISHED, measures={"loss": 1.0}).save(place)
    loaded, load = [], Record.load
    monkeypatch.setattr(Record, "load", lambda path, **_: loaded.append(path.parent) or load(path))
    assert len(Table.read(tmp_path)) == 3
    assert loaded == [tmp_path / "records"] * 3


@pytest.mark.parametrize("rest", [b"", b'{"op', b"x" * 3000])
def test_the_end_of_a_long_journal_is_mended_without_reading_it(tmp_path, monkeypatch, rest):
    monkeypatch.setattr(optuna_storage, "BLOCK", 100)
    file, whole = tmp_path / "optuna.journal", b'{"op_code": 0}\n' * 50
    file.write_bytes(whole + rest)
    optuna_storage.remove_partial_line(file)
    assert file.read_bytes() == whole
    file.write_bytes(rest)
    optuna_storage.remove_partial_line(file)
    assert file.read_bytes() == b""


class Slow:
    """A ledger that cannot log anything before it is let."""

    def __init__(self, gate):
        self.gate, self.calls = gate, []

    def start_run(self, config, trial=None):
        self.gate.wait(10)

    def refresh(self):
        pass

    def log_records(self, files):
        self.calls.append([(file.trial, file.load().step) for file in files])
        if len(self.calls) == 1:
            raise ConnectionError("once")


def test_records_that_wait_for_mlflow_are_logged_with_those_of_their_trial(base, tmp_path):
    one, other = (Config.load(base, {"seed": s}) for s in range(2))
    ledger = Slow(threading.Event())
    scribe = AsyncLogger(ledger)
    scribe.start_run(one)
    for config, step in ((one, 0), (other, 0), (one, 2), (one, 4)):
        scribe.log_record(Record(config, step, Outcome.RUNNING).save(tmp_path))
    ledger.gate.set()
    for _ in range(1000):
        if len(ledger.calls) < 3:
            time.sleep(0.01)
    scribe.log_record(Record(one, 6, Outcome.RUNNING).save(tmp_path))
    scribe.close()
    together = [(one.id, 0), (one.id, 2), (one.id, 4)]
    assert ledger.calls == [together, together, [(other.id, 0)], [(one.id, 6)]]  # the first try failed
    assert scribe.dropped == 0


# The benchmark


def busy() -> None:
    until = time.thread_time() + 0.05
    while time.thread_time() < until:
        pass


def test_a_part_is_metered_without_what_it_calls():
    meter = Meter()
    inner = meter("inner", busy)
    outer = meter("outer", inner)
    outer()
    assert meter.cpu["inner"] >= 0.05
    assert meter.cpu["outer"] < 0.01


def test_growth_is_the_power_of_the_last_two_sweeps():
    found = [{"trials": n} for n in (1, 10, 100)]
    assert growth(found, [7.0, 2.0, 2.0]) == 0
    assert growth(found, [7.0, 1.0, 10.0]) == pytest.approx(1)
    assert growth(found, [7.0, 0.0, 10.0]) is None


@pytest.mark.cluster
@pytest.mark.parametrize(("points", "pack", "tracking"), [("grid", 25, "sqlite"), ("hunt", 1, "later")])
def test_a_sweep_of_toys_is_measured_in_all_its_parts(points, pack, tracking):
    trials = 100 if points == "grid" else 12
    found = alone(trials, points, pack, tracking, 2)
    told = {row["ms a trial"]: row[str(trials)] for row in rows([found])}
    unused = set() if tracking == "sqlite" else {part for part in PARTS.values() if part.startswith("MLflow")}
    assert {part for part in PARTS.values() if not told[part] > 0} <= unused
    assert told["afterwards: record: read"] > 0
    left = {row[""]: row[str(trials)] for row in storage([found])}
    assert left["records, files"] == 2 * trials
    assert left["MLflow's artifacts, files"] >= 2 * trials
