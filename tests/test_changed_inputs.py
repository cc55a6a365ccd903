"""A trial is its data and its code, not their paths: a file that changed under the same name is told."""

import logging
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner

from lyapsweep.atlas import report
from lyapsweep.cli import main
from lyapsweep.config import Config
from lyapsweep.problems.changed_inputs import changed_inputs
from lyapsweep.results.provenance import Provenance
from lyapsweep.results.record import Record
from lyapsweep.results.record_files import files_by_trial
from lyapsweep.results.table import Table
from lyapsweep.sweep import Sweep, SweepError
from lyapsweep.sweep.execute.planning import plan_sweep
from lyapsweep.sweep.execute.results_folder import ResultsFolder
from lyapsweep.sweep.execute.runner import SweepRunner
from lyapsweep.trial import run_trial

BASE = """
dataset: {kind: recorded, path: my.csv}
cell: {kind: vanilla, units: 2}
windows: {length: 20, batch: 4}
training: {steps: 2, report_every: 1}
lyapunov: {steps: 10, warmup: 2, orbits: 2}
measures: [loss, "own.py:Size"]
"""
CODE = """
from lyapsweep.measures import Measure
Size = Measure("size", lambda evidence: {factor}, "minimise", worst=0.0, unit="1", title="Size")
"""


def write_data(seed):
    np.savetxt("my.csv", np.random.default_rng(seed).normal(size=(120, 2)), delimiter=",", header="x,y", comments="")


def write_code(factor):
    with open("own.py", "w") as file:
        file.write(CODE.format(factor=factor))


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "base.yaml").write_text(BASE)
    write_data(0)
    write_code(1.0)
    return tmp_path


def run(*arguments):
    return CliRunner().invoke(main, ["run", "base.yaml", "--no-tracking", *arguments])


def losses():
    return {round(float(r.measures["loss"]), 9) for r in map(Record.load, sorted_files())}


def sorted_files():
    return [files[-1] for files in files_by_trial(ResultsFolder("results", "base").records).values()]


def test_a_replaced_file_is_not_answered_with_the_old_numbers():
    assert run().exit_code == 0
    old = losses()
    again = run()
    assert (again.exit_code, "has been trained before" in again.output) == (0, True)
    write_data(1)
    refused = run()
    assert refused.exit_code == 2
    assert "my.csv changed since trial" in refused.output
    assert "--again to replace the trial, --name to keep both" in " ".join(refused.output.split())
    assert losses() == old
    assert run("--again").exit_code == 0
    assert losses().isdisjoint(old)
    write_data(0)
    assert "my.csv changed since" in run().output
    assert run("--name", "other").exit_code == 0


def test_code_counts_as_data_do():
    assert run().exit_code == 0
    (record,) = map(Record.load, sorted_files())
    assert list(record.provenance.code) == ["own.py"]
    write_code(2.0)
    assert "own.py changed since trial" in run().output
    assert changed_inputs([record]) == {record.trial: "own.py"}
    assert changed_inputs([replace(record, provenance=replace(record.provenance, code={}))]) == {}  # as 0.1 wrote
    write_code(1.0)
    assert changed_inputs([record]) == {}


def test_trials_that_are_trained_again_leave_nothing_of_the_old():
    """A later step of the old training would count as the end of the trial."""
    assert run().exit_code == 0
    (file,) = sorted_files()
    record = Record.load(file)
    replace(record, step=9).save(file.parent)
    assert run("--again").exit_code == 0
    assert [Record.load(f).step for f in sorted(file.parent.iterdir())] == [0, 1, 2]


def test_what_cannot_be_compared_is_unchanged(caplog):
    record = list(run_trial(Config.load("base.yaml")))[-1]
    data = record.provenance.data
    assert data is not None
    assert changed_inputs([record]) == {}
    assert changed_inputs([replace(record, provenance=Provenance())]) == {}
    slower = replace(record, provenance=replace(record.provenance, data=replace(data, dt=0.5)))
    assert changed_inputs([slower]) == {record.trial: "my.csv"}
    with open("my.csv", "w") as file:
        file.write("x,y\n1,2\n")
    with caplog.at_level(logging.WARNING, "lyapsweep"):
        assert changed_inputs([record, record]) == {}
    assert caplog.text.count("cannot be compared with their data: my.csv: 1 rows are too few") == 1


def sweep_of(seeds, **changes):
    return Sweep(base="base.yaml", objective="loss", grid={"seed": seeds}, name="base", **changes)


def trained(seeds):
    """Records of a sweep's first trials, as its workers write them."""
    for seed in seeds:
        for record in run_trial(Config.load("base.yaml", {"seed": seed})):
            record.save(ResultsFolder("results", "base").records)


def plan(sweep, **settings):
    return plan_sweep(sweep, sweep.config(), ResultsFolder("results", "base"), **settings)


def test_a_resumed_sweep_keeps_no_trials_of_other_data(caplog):
    trained([0, 1])
    assert plan(sweep_of([0, 1, 2]), resume=True).remaining == 1
    write_data(1)
    with pytest.raises(
        SweepError, match=r"my.csv changed since; 2 trials keep the old. Use another --name, train them again"
    ):
        plan(sweep_of([0, 1, 2]), resume=True)
    with caplog.at_level(logging.WARNING, "lyapsweep"):
        assert plan(sweep_of([0, 1])).remaining == 0  # nothing to mix with
    assert "2 trials keep the old" in caplog.text
    planned = plan(sweep_of([0, 1, 2]), resume=True, again=True)
    assert (planned.remaining, len(planned.replaced)) == (3, 2)
    space = {"grid": None, "space": lambda trial: {"seed": trial.suggest_int("seed", 0, 9)}, "trials": 4}
    hunt, said = replace(sweep_of([0, 1]), intent="hunt", **space), r"2 trials keep the old\..*: a hunt's study"
    for again in (False, True):
        with pytest.raises(SweepError, match=said):
            plan(hunt, resume=True, again=again)


def test_replaced_trials_are_removed_when_the_sweep_starts():
    trained([0])
    write_data(1)
    sweep = sweep_of([0, 1])
    runner = SweepRunner(sweep, sweep.config(), ResultsFolder("results", "base"), tracking_uri="none")
    runner.plan(resume=True, again=True)
    assert len(sorted_files()) == 1
    runner.open_storage()
    assert len(sorted_files()) == 1  # the tracking store may turn out to be unusable
    runner.open_logger()
    assert sorted_files() == []


def test_a_mixed_table_is_told_in_the_log_and_on_the_page(caplog):
    trained([0, 1])
    write_data(1)
    write_code(2.0)
    trained([2])
    with caplog.at_level(logging.WARNING, "lyapsweep"):
        table = Table.read("results/base")
    for file in ("my.csv", "own.py"):
        said = f"{file} changed between trials: 2 versions were used, by 2 and 1 trials. Compare within one."
        assert said in caplog.text
        assert said in report.render_page(report.prepared(table, None, ()))
    caplog.clear()
    Table.of(r for r in map(Record.load, sorted_files()) if r.config.seed != 2)
    assert caplog.text == ""
