"""Experiments are listed, compared, pruned and deleted."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import made_up
import numpy as np
import optuna
import pytest
from command_line import call, complaint, double_precision, folder, ok  # noqa: F401

from lyapsweep import tracking
from lyapsweep.cli.experiments import size_text
from lyapsweep.results.description import SweepDescription
from lyapsweep.results.experiment import ExperimentPaths
from lyapsweep.results.record import Outcome, Record
from lyapsweep.results.table import Table
from lyapsweep.sweep import load
from lyapsweep.sweep.execute.optuna_study import OptunaStudy
from lyapsweep.sweep.observe.heartbeat import HeartbeatWriter
from lyapsweep.sweep.observe.inventory import list_experiments
from lyapsweep.tracking.removal import find_stored

INTERVALS = (20, 80)


def made(name: str, factor: float = 1.0, **about) -> Path:
    """An experiment of two intervals and two seeds, with weights in the report before the last, too."""
    paths = ExperimentPaths(Path("results", name))
    for interval in INTERVALS:
        for seed in (0, 1):
            last = made_up.record("lstm", interval, seed)
            scores = {"state_space": factor * last.measures["state_space"]}
            weights = {"cell.weight": np.random.default_rng(seed).normal(size=2000)}
            last = replace(last, measures=scores, weights=weights)
            for step, worse in ((1, 2.0), (2, 0.5)):
                measures = {"state_space": worse * scores["state_space"]}
                replace(last, step=step, outcome=Outcome.RUNNING, measures=measures).save(paths.records)
            last.save(paths.records)
    known = SweepDescription(
        name, "Which?\nLong.", "map", "state_space", "minimise", ("forcing/interval", "seed"), trials=4
    )
    replace(known, **({"outcomes": {"finished": 4}} | about)).save(paths.description)
    return paths.folder


def weights(place: Path) -> dict[str, list[int]]:
    """The steps of each trial whose records hold weights."""
    table = Table.read(place)
    held = [bool(w) for _, w in table.networks]
    rows = zip(table.frame["trial"], table.frame["step"], held)
    found = {}
    for trial, step, holds in rows:
        found.setdefault(trial, []).extend([int(step)] if holds else [])
    return found


def test_experiments_are_listed_without_their_records():
    made("one", best="0.15, interval=80")
    made("two", trials=9, outcomes={})
    HeartbeatWriter(made("three", trials=9)).write(running=3)
    (Path("results") / "else").mkdir()
    for file in Path("results").rglob("*.npz"):
        file.write_bytes(b"unreadable")
    found = {each.name: each for each in list_experiments("results")}
    assert set(found) == {"one", "two", "three"}
    assert [found[name].state for name in ("one", "two", "three")] == ["ended", "interrupted", "running"]
    assert (found["one"].trials, found["one"].question) == (4, "Which?")
    text = ok("experiments")
    assert "state_space 0.15, interval=80" in text
    assert "4/9 interrupted" in text
    assert {each["name"] for each in json.loads(ok("experiments", "--json"))} == set(found)
    assert "holds no experiments" in complaint(2, "experiments", "--results", "nowhere")


def test_the_atlas_keeps_the_best_setting_for_the_list():
    place = made("one")
    ok("atlas", "one", "--json", "found.json")
    assert list_experiments("results")[0].best.endswith("interval=80")
    found = json.loads(Path("found.json").read_text())
    assert found["sources"][""]["verdict"]["name"] == "interval=80"
    assert ExperimentPaths(place).atlas.exists()


def test_two_experiments_stand_side_by_side():
    made("good")
    made("bad", factor=50.0)
    told = " ".join(ok("compare", "good", "bad").split())
    assert "best setting interval=80 interval=80" in told
    assert "good is better, beyond the quartiles of their seeds" in told
    assert "tied" in " ".join(ok("compare", "good", "good").split()).splitlines()[-1]
    found = json.loads(ok("compare", "bad", "good", "--json"))
    assert "good is better" in found["conclusion"]
    assert len(found["verdicts"][0]) > 1
    records = [Record.load(file) for file in Path("results/bad/records").glob("*.npz")]
    shutil.rmtree("results/bad/records")
    for record in records:
        changed = record.config.changed({"training/lr": 0.5})
        replace(record, config=changed, trial=changed.id).save("results/bad/records")
    found = json.loads(ok("compare", "bad", "good", "--json"))
    assert [row["quantity"] for row in found["differences"]] == ["training/lr"]


def test_pruning_keeps_the_best_and_the_last_weights_and_says_what_it_freed():
    place = made("one")
    before = Table.read(place)
    assert set(map(tuple, weights(place).values())) == {(1, 2, made_up.record("lstm", 80, 0).step)}
    told = ok("prune", "one")
    assert "4 records lost weights" in told
    assert "kB" in told
    last = made_up.record("lstm", 80, 0).step
    assert set(map(tuple, weights(place).values())) == {(2, last)}
    after = Table.read(place)
    assert after.frame.equals(before.frame)
    assert ok("prune", "one").startswith("Freed 0 B: 0 records")


def test_pruning_to_the_best_trials_keeps_those_of_the_best_setting():
    place = made("one")
    best = {made_up.config("lstm", 80, seed).id for seed in (0, 1)}
    ok("prune", "one", "--best-trials")
    assert {trial for trial, steps in weights(place).items() if steps} == best
    for trial, traces in zip(*(Table.read(place).finals.frame["trial"], Table.read(place).finals.traces)):
        assert ("truth" in traces) == (trial in best)


def test_copies_of_mlflow_become_links():
    place = made("one")
    copies = place / "artifacts" / "run" / "artifacts" / "records"
    shutil.copytree(place / "records", copies)
    assert "12 copies of MLflow's became links" in ok("prune", "one")
    assert all(file.samefile(place / "records" / file.name) for file in copies.iterdir())


def test_a_running_sweep_is_neither_pruned_nor_deleted():
    HeartbeatWriter(made("one")).write(running=1)
    assert "its sweep runs on" in complaint(2, "prune", "one")
    assert "its sweep runs on" in complaint(2, "delete", "one", "--yes")
    assert Path("results/one").exists()


def test_folder_study_and_mlflow_experiment_are_deleted_together(tmp_path):
    uri, storage = tracking.default_uri("results"), f"sqlite:///{tmp_path}/studies.db"
    place, other = made("one", mark="mine"), made("two")
    for each in (place, other):
        tracking.prepare(each.name, uri, ExperimentPaths(each).artifacts).sync(each)
    for name, mark in (("one", "mine"), ("two", "theirs")):
        OptunaStudy(storage, name, load("ask.py"), 0, mark)
    refused = call("delete", "one", "--storage", storage)
    assert refused.exit_code == 1
    assert place.exists()
    told = ok("delete", "one", "--yes", "--storage", storage)
    assert "MLflow experiment 'one'" in told
    assert "(4 runs)" in told or "4 runs" in told
    assert not place.exists()
    assert find_stored("one", uri) is None
    assert find_stored("two", uri) is not None
    assert optuna.get_all_study_names(storage) == ["two"]
    tracking.prepare("one", uri)  # its name is free
    ok("delete", "two", "--yes", "--storage", storage)
    assert optuna.get_all_study_names(storage) == ["two"], "the study of another folder"
    assert "holds no experiment" in complaint(2, "delete", "two", "--yes")


@pytest.mark.parametrize(("size", "text"), [(0, "0 B"), (999, "999 B"), (1000, "1 kB"), (2.5e12, "2.5 TB")])
def test_sizes(size, text):
    assert size_text(size) == text
