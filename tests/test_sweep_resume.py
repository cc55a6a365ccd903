"""Maps that were started before keep their points, whatever sampler draws today; version 0.1 is continued."""

import gzip
import json
import shutil
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest
from driving import run, runs_of
from made_up_sweeps import TINY, lr_space, states

import lyapsweep
from lyapsweep.config import Config
from lyapsweep.results.provenance import Provenance
from lyapsweep.results.record import Outcome, Record
from lyapsweep.sweep import Sweep, SweepError, load
from lyapsweep.sweep.execute.planning import plan_sweep
from lyapsweep.sweep.execute.results_folder import ResultsFolder
from lyapsweep.sweep.plan.points import Point, match_recorded
from lyapsweep.sweep.plan.resume import StoredPoint, plan_parts, requested_counts, store_parts
from lyapsweep.sweep.plan.sampling import draw

OLD = Path(__file__).parent / "data" / "v0_1"


@pytest.fixture
def base(tmp_path):
    file = tmp_path / "tiny.yaml"
    file.write_text(TINY)
    return file


def space_of(base, trials=4, **settings):
    return Sweep(base=base, objective="loss", space=lr_space, trials=trials, **settings)


def keys(parts):
    return [[point.key for point in part] for part in parts]


def test_what_an_extension_asks_for(base):
    space = space_of(base, 3)
    assert requested_counts(space, None, 0) == [3]
    assert requested_counts(space, [2], 0) == [3, 2]
    assert requested_counts(space, [2], 4) == [3, 2, 4]
    with pytest.raises(SweepError, match="Run it first"):
        requested_counts(space, None, 4)
    grid = Sweep(base=base, objective="loss", grid={"seed": [0, 1]})
    assert requested_counts(grid, None, 0) == []
    with pytest.raises(SweepError, match="Give it more values"):
        requested_counts(grid, [], 4)


def test_a_point_has_the_id_under_which_it_was_recorded(base, monkeypatch):
    monkeypatch.setattr(Config, "legacy_ids", property(lambda self: (f"older{self.seed}", f"old{self.seed}")))
    points = [Point(Config.load(base, {"seed": s}), {}, {}) for s in range(4)]
    ids = [point.config.id for point in points]
    matched = match_recorded(points, {"old1", "older2", "old3", ids[3]})
    assert [point.key for point in matched] == [ids[0], "old1", "older2", ids[3]]
    assert [point.config for point in matched] == [point.config for point in points]


def test_stored_points_are_rebuilt_whatever_the_seed_and_extensions_follow_them(base):
    sweep = space_of(base)
    config = sweep.config()
    first = plan_parts(sweep, config, 0, [], ())
    assert keys(first) == [[p.key for p in draw(sweep)]]
    stored = store_parts(first)
    assert [point.part for point in stored] == [0] * 4
    assert plan_parts(sweep, config, 9, stored, ()) == first
    more = plan_parts(replace(sweep, trials=6), config, 0, stored, ())
    assert keys(more) == [[p.key for p in draw(sweep)], [p.key for p in draw(sweep, 6)[4:]]]
    again = plan_parts(replace(sweep, trials=7), config, 0, store_parts(more), ())
    assert [len(part) for part in again] == [4, 2, 1]
    assert keys(plan_parts(replace(sweep, trials=3), config, 0, stored, ())) == [keys(first)[0][:3]]


def test_points_that_the_sweep_no_longer_holds_are_drawn_anew(base):
    sweep = space_of(base)
    stored = store_parts(plan_parts(sweep, sweep.config(), 0, [], ()))
    changed = sweep.config({"training/steps": 5})
    parts = plan_parts(sweep, changed, 0, stored, ())
    assert [len(part) for part in parts] == [4]
    assert not {p.key for p in parts[0]} & {point.key for point in stored}
    missing = [replace(point, params={}) for point in stored]
    assert keys(plan_parts(sweep, sweep.config(), 1, missing, ())) == [[p.key for p in draw(sweep, seed=1)]]


def test_each_seed_of_a_stored_point_is_rebuilt(base):
    sweep = space_of(base, 6, seeds=3)
    stored = store_parts(plan_parts(sweep, sweep.config(), 0, [], ()))
    (part,) = plan_parts(sweep, sweep.config(), 5, stored, ())
    assert [p.config.seed for p in part] == [0, 1, 2, 0, 1, 2]
    assert [p.key for p in part] == [point.key for point in stored]


def test_stored_points_keep_their_old_keys(base, monkeypatch):
    monkeypatch.setattr(Config, "legacy_ids", property(lambda self: (f"old{self.training.lr}",)))
    sweep = space_of(base, 2)
    first = draw(sweep)
    stored = [StoredPoint(f"old{p.config.training.lr}", p.params) for p in first] + [
        StoredPoint("strange", first[0].params)
    ]
    ((one, two),) = plan_parts(sweep, sweep.config(), 0, stored, ())
    assert (one.key, two.key) == (stored[0].key, stored[1].key)
    assert (one.config, two.config) == (first[0].config, first[1].config)


def test_a_map_that_died_before_its_points_were_stored_is_planned_from_its_records(base, tmp_path):
    sweep = replace(space_of(base), name="a")
    folder = ResultsFolder(tmp_path, "a")
    folder.acquire()
    other = draw(sweep, 2, seed=77)  # of another sampler
    ends = ((Outcome.FINISHED, {}), (Outcome.STOPPED, {"interrupted": True}))
    for point, (outcome, provenance) in zip(other, ends):
        Record(point.config, 4, outcome, measures={"loss": 0.5}, provenance=Provenance(**provenance)).save(
            folder.records
        )
    planned = plan_sweep(sweep, sweep.config(), folder, resume=True)
    assert {p.key for p in planned.parts[0]} == {p.key for p in other}
    assert [len(part) for part in planned.parts] == [2, 2]
    assert len({p.key for p in planned.points}) == planned.asked == 4
    assert (planned.ended.keys(), planned.ended_before.keys()) == ({other[0].key}, {other[1].key})
    assert (planned.remaining, planned.results) == (3, {other[0].key: (Outcome.FINISHED, 0.5)})


def test_a_plan_refuses_the_folder_of_another_sweep_and_one_that_is_not_resumed(base, tmp_path):
    sweep = replace(space_of(base), name="a")
    folder = ResultsFolder(tmp_path, "a")
    folder.acquire()
    Record(sweep.config({"cell/units": 9}), 4, Outcome.FINISHED).save(folder.records)
    with pytest.raises(SweepError, match="not points of this sweep"):
        plan_sweep(sweep, sweep.config(), folder, resume=True)
    with pytest.raises(SweepError, match="--resume"):
        plan_sweep(replace(sweep, intent="hunt"), sweep.config(), folder)


def test_the_plan_of_a_hunt(base, tmp_path):
    sweep = replace(space_of(base, 7, intent="hunt"), name="a")
    planned = plan_sweep(sweep, sweep.config(), ResultsFolder(tmp_path, "a"), resume=False)
    assert (planned.asked, planned.remaining, planned.points, planned.varied) == (7, 7, [], ["training/lr"])


# Version 0.1


def relocated(to: Path) -> Path:
    """A copy of what 0.1 left, with an MLflow store that knows where it is; its `results`."""
    shutil.copytree(OLD, to)
    store = to / "results" / "mlflow.db"
    store.write_bytes(gzip.decompress((to / "results" / "mlflow.db.gz").read_bytes()))
    database = sqlite3.connect(store)
    for table, column in (("experiments", "artifact_location"), ("runs", "artifact_uri")):
        database.execute(f"UPDATE {table} SET {column} = REPLACE({column}, '/v0_1/', ?)", (f"{to.resolve()}/",))
    database.commit()
    database.close()
    return to / "results"


def plan_of(name, results, changes=None, **settings):
    sweep = load(results.parent / f"{name}.py")
    folder = ResultsFolder(results, name)
    return plan_sweep(sweep, sweep.config(changes), folder, resume=True, **settings), folder


def test_a_map_of_0_1_keeps_its_recorded_points_and_gets_new_ones(tmp_path):
    planned, folder = plan_of("space_map", relocated(tmp_path / "v0_1"))
    recorded = folder.last_records().keys()
    assert len(recorded) == 6
    old, new = planned.parts[0], planned.parts[-1]
    assert recorded <= {p.key for p in old}
    assert all(p.key != p.config.id for p in old if p.key in recorded)  # the ids of 0.1 stay
    assert all(p.key == p.config.id for p in new)
    assert len({p.config.id for p in planned.points}) == planned.asked == 10
    assert (len(planned.ended), planned.remaining) == (4, 6)


def test_the_interrupted_pack_of_0_1_finds_its_checkpoint(tmp_path):
    from lyapsweep.sweep.execute.searcher import checkpoint_name
    from lyapsweep.sweep.plan.packing import packs

    planned, folder = plan_of("space_map", relocated(tmp_path / "v0_1"))
    (file,) = folder.checkpoints.iterdir()
    names = {checkpoint_name(pack): pack for part in planned.parts for pack in packs(part, 2)}
    assert {p.key for p in names[file.name]} == planned.ended_before.keys()


@pytest.mark.parametrize(("name", "trials"), [("grid_map", 8), ("task", 4)])
def test_finished_maps_of_0_1_are_complete(tmp_path, name, trials):
    planned, folder = plan_of(name, relocated(tmp_path / "v0_1"))
    assert (planned.asked, planned.remaining) == (trials, 0)
    assert {p.key for p in planned.points} == folder.last_records().keys()


def test_what_a_map_drew_is_stored_and_read_when_it_is_resumed(base, tmp_path):
    from lyapsweep.sweep.execute.runner import SweepRunner

    sweep, drawn = replace(space_of(base), name="a"), []
    for seed in (0, 5, 7):
        runner = SweepRunner(sweep, sweep.config(), ResultsFolder(tmp_path, "a"), seed, tracking_uri="none")
        runner.folder.records.mkdir(parents=True, exist_ok=True)
        runner.plan(resume=True)
        runner.open_storage()
        drawn.append([p.key for p in runner.planned.points])
        if seed == 5:
            Record(runner.planned.points[0].config, 4, Outcome.FINISHED).save(runner.folder.records)
    assert drawn[0] != drawn[1]  # nothing was trained yet
    assert drawn[1] == drawn[2] == [point.key for point in runner.folder.stored_points()]


def stamps(folder: Path) -> dict[str, int]:
    return {file.name: file.stat().st_mtime_ns for file in (folder / "records").glob("*.npz")}


def trial_keys(results: Path, name: str) -> list[str]:
    return [run.data.tags["trial_key"] for run in runs_of(results, name)]


@pytest.mark.cluster
def test_a_map_of_0_1_is_resumed_to_its_end(tmp_path):
    results = relocated(tmp_path / "v0_1")
    folder, sweep = results / "space_map", load(tmp_path / "v0_1" / "space_map.py")
    last = ResultsFolder(results, "space_map").ended()
    before = {name: at for name, at in stamps(folder).items() if name.partition("-")[0] in last}
    there = {"results": results, "jobs": 1, "models": False, "tracking_uri": f"sqlite:///{results / 'mlflow.db'}"}
    summary = run(sweep, resume=True, **there)
    assert (summary.progress.finished + summary.progress.diverged, summary.progress.asked) == (10, 10), summary.message
    assert before.items() <= stamps(folder).items()
    keys = {file.partition("-")[0] for file in stamps(folder)}
    assert len(keys) == 10
    assert sorted(trial_keys(results, "space_map")) == sorted(keys)
    assert {"RUNNING", "WAITING"}.isdisjoint(states(folder, "space_map"))
    assert len(lyapsweep.load("space_map", results=results).finals) == 10
    assert len((folder / "points.jsonl").read_text().splitlines()) == 10
    again = run(sweep, resume=True, **there)
    assert (again.progress.asked, stamps(folder).keys()) == (10, set(stamps(folder)))


@pytest.mark.cluster
@pytest.mark.parametrize("name", ["grid_map", "task"])
def test_finished_maps_of_0_1_train_nothing(tmp_path, name):
    results = relocated(tmp_path / "v0_1")
    before, sweep = stamps(results / name), load(tmp_path / "v0_1" / f"{name}.py")
    run(sweep, results=results, resume=True, models=False, tracking_uri=f"sqlite:///{results / 'mlflow.db'}")
    assert stamps(results / name) == before
    assert len(trial_keys(results, name)) == len({file.partition("-")[0] for file in before})


@pytest.mark.cluster
def test_a_hunt_of_0_1_is_extended(tmp_path):
    results = relocated(tmp_path / "v0_1")
    before, sweep = stamps(results / "hunt"), load(tmp_path / "v0_1" / "hunt.py")
    there = {"jobs": 1, "seed": 1, "models": False, "tracking_uri": f"sqlite:///{results / 'mlflow.db'}"}
    summary = run(sweep, results=results, changes={"training/report_every": 4}, extend=2, **there)
    assert (summary.progress.asked, summary.progress.done) == (8, 8), summary.message
    assert before.items() <= stamps(results / "hunt").items()
    assert len(trial_keys(results, "hunt")) == 8


@pytest.mark.parametrize("name", ["grid_map", "imported"])
def test_what_0_1_left_is_drawn(tmp_path, name):
    from click.testing import CliRunner

    from lyapsweep.cli import main

    results = relocated(tmp_path / "v0_1")
    drawn = CliRunner().invoke(main, ["atlas", name, "--results", str(results)], catch_exceptions=False)
    assert drawn.exit_code == 0, drawn.output
    assert (results / name / "atlas.html").stat().st_size > 10_000


def test_points_are_stored_as_one_line_each(base, tmp_path):
    folder = ResultsFolder(tmp_path, "a")
    folder.acquire()
    folder.store_points(store_parts([draw(space_of(base, 2))]))
    lines = [json.loads(line) for line in folder.paths.points.read_text().splitlines()]
    assert [line.keys() for line in lines] == [{"key", "params", "part"}] * 2


def test_only_a_sweep_that_was_started_can_be_extended(base, tmp_path):
    """A fresh folder refuses; one with a description counts the points asked for so far."""
    sweep = Sweep(base=base, objective="loss", space=lambda trial: trial.suggest_int("seed", 0, 99) and None, trials=3)
    folder = ResultsFolder(tmp_path, "a")
    with pytest.raises(SweepError, match="there is no sweep to extend by 2"):
        plan_sweep(sweep, sweep.config(), folder, extend=2)
    folder.path.mkdir(parents=True, exist_ok=True)
    folder.describe(name="a", trials=3)
    assert plan_sweep(sweep, sweep.config(), folder, extend=2).sweep.trials == 5
