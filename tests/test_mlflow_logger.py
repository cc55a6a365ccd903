"""Which calls a logger makes, against a client in memory."""

import json
import os
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from fake_mlflow import FakeClient

from lyapsweep.config import Config
from lyapsweep.dynamics.spectrum import Spectrum
from lyapsweep.results.description import SweepDescription
from lyapsweep.results.provenance import Provenance
from lyapsweep.results.record import Outcome, Record
from lyapsweep.results.table import Table
from lyapsweep.tracking import MLflowLogger, experiment_view, images, mlflow_logger
from lyapsweep.tracking.queued_record import RecordFile

ABOUT = SweepDescription("which", "Which?", objective="loss", direction="minimise", varied=("seed",))


@pytest.fixture
def logger():
    return made(FakeClient())


def made(client):
    logger = MLflowLogger(client, "7", "which")
    logger.varied, logger.labels = ["seed"], {"intent": "map", "objective": "loss"}
    client.calls.clear()
    return logger


def config(seed=0, kind="vanilla"):
    data = {"kind": "simulated", "system": "lorenz63", "length": 600}
    return Config.of({"dataset": data, "cell": {"kind": kind, "units": 4}, "training": {"steps": 4}, "seed": seed})


def record(step=4, outcome=Outcome.FINISHED, seed=0, loss=0.25, of=None, **provenance):
    spectrum = Spectrum(np.array([0.02, -0.5]), np.full(2, 0.002), 20, 2, "closed loop", 2, dt=0.5)
    facts = {"seed": seed, "seconds": 2.5, "data": {"digest": "abc", "lambda_max": 0.02, "dt": 0.5}}
    measures = {"divergence": 3.0, "loss": loss}
    return Record(
        of or config(seed),
        step,
        outcome,
        {"closed loop": spectrum},
        measures,
        provenance=Provenance.from_json(facts | provenance),
    )


def files(folder, *records):
    return [RecordFile(r.save(folder / "records"), r) for r in records]


def test_constants_fit_mlflows_limits():
    assert (mlflow_logger.METRICS_PER_CALL, mlflow_logger.PARAMS_PER_CALL) == (800, 100)
    assert (mlflow_logger.MAX_TAG_LENGTH, mlflow_logger.MAX_MODELS) == (8000, 12)


def test_a_trials_first_record_makes_its_run_with_one_request_for_all_metrics_and_params(logger, tmp_path):
    (file,) = files(tmp_path, record(0, Outcome.RUNNING))
    os.utime(file.path, (1000.0, 1000.0))
    logger.log_records([file])
    client = logger.client
    assert client.names() == ["create_run", "log_artifact", "log_batch", "log_inputs"]
    _, experiment, start, tags, name = client.calls[0]
    assert (experiment, start, name) == ("7", 997_500, "seed=0")  # the file's time less the seconds of training
    assert tags == {
        "intent": "map", "objective": "loss", "sweep": "which", "attempt": "1", "outcome": "running",
        "trial_key": config().id, "cell": "vanilla", "dataset": "simulated", "forcing": "none", "system": "lorenz63",
    }  # fmt: skip
    assert client.calls[1] == ("log_artifact", "run0", f"records/{file.path.name}")
    logged = client.metrics["run0"]
    assert client.calls[2] == ("log_batch", "run0", len(logged), len(config().flat) + 1, {})
    assert logged[0] == ("measures/loss", 0.25, 0, 997_500)  # the objective first
    assert client.runs["run0"].params["cell/units"] == "4"
    assert client.runs["run0"].status == "RUNNING"


def test_params_and_data_are_logged_once_and_the_final_record_ends_the_run(logger, tmp_path):
    logger.log_records(files(tmp_path, record(0, Outcome.RUNNING)))
    logger.client.calls.clear()
    logger.log_record(record(), record().save(tmp_path))
    assert logger.client.names() == ["log_artifact", "log_artifacts", "log_batch", "set_terminated"]
    _, _, metrics, params, tags = logger.client.calls[2]
    assert (metrics > 0, params) == (True, 0)
    assert (tags["outcome"], tags["chaotic"]) == ("finished", "yes")
    start = logger.client.runs["run0"].start
    assert logger.client.calls[3] == ("set_terminated", "run0", "FINISHED", start + 2500)
    assert logger.runs[config().id].status == "FINISHED"
    assert logger.runs[config().id].tags["outcome"] == "finished"


def test_a_finished_run_holds_images_and_a_running_one_none(logger, tmp_path):
    logger.log_records(files(tmp_path, record(0, Outcome.RUNNING)))
    assert not logger.client.list_artifacts("run0", "images")
    logger.log_records(files(tmp_path, record(4)))
    assert [f.path for f in logger.client.list_artifacts("run0", "images")] == ["images/spectrum.svg"]


def test_an_orbit_that_cannot_be_drawn_costs_no_record(logger, tmp_path, monkeypatch):
    monkeypatch.setattr(images, "images", lambda record: 1 / 0)
    logger.log_records(files(tmp_path, record(4)))
    assert logger.client.runs["run0"].status == "FINISHED"


def test_records_of_a_trial_take_one_batch_together(logger, tmp_path):
    logger.log_records(files(tmp_path, record(0, Outcome.RUNNING), record(2, Outcome.RUNNING), record(4)))
    assert logger.client.names().count("log_batch") == 1
    assert [call[2][-8:-4] for call in logger.client.calls if call[0] == "log_artifact"] == ["0000", "0002", "0004"]
    assert {step for key, _, step, _ in logger.client.metrics["run0"] if key == "measures/loss"} == {0, 2, 4}


@pytest.mark.parametrize(
    ("outcome", "provenance", "status"),
    [
        (Outcome.FINISHED, {}, "FINISHED"),
        (Outcome.DIVERGED, {}, "FINISHED"),
        (Outcome.STOPPED, {}, "FINISHED"),
        (Outcome.STOPPED, {"interrupted": True}, "KILLED"),
        (Outcome.FAILED, {"error": "ValueError"}, "FAILED"),
    ],
)
def test_the_status_of_a_run_that_ended(logger, tmp_path, outcome, provenance, status):
    logger.log_records(files(tmp_path, record(4, outcome, **provenance)))
    assert logger.client.runs["run0"].status == status


def test_a_trial_of_unknown_duration_ends_when_it_is_logged(logger, tmp_path):
    (file,) = files(tmp_path, record(seconds=None))
    os.utime(file.path, (1000.0, 1000.0))
    logger.log_records([file])
    assert logger.client.calls[0][2] == 1_000_000
    assert logger.client.calls[-1] == ("set_terminated", "run0", "FINISHED", None)


def test_data_without_a_digest_are_not_logged(logger, tmp_path):
    logger.log_records(files(tmp_path, record(data={})))
    assert "log_inputs" not in logger.client.names()


def test_large_batches_are_cut(logger, tmp_path, monkeypatch):
    monkeypatch.setattr(mlflow_logger, "METRICS_PER_CALL", 5)
    monkeypatch.setattr(mlflow_logger, "PARAMS_PER_CALL", 30)
    logger.log_records(files(tmp_path, record()))
    sizes = [call[2:4] for call in logger.client.calls if call[0] == "log_batch"]
    metrics, params = sum(m for m, _ in sizes), sum(p for _, p in sizes)
    swept_once_more = 1
    assert (metrics, params) == (len(logger.client.metrics["run0"]), len(config().flat) + swept_once_more)
    assert len(set(logger.client.metrics["run0"])) == metrics
    assert [m for m, _ in sizes] == [5] * (metrics // 5) + [metrics % 5]
    assert [p for _, p in sizes][:3] == [30, 30, params - 60]
    assert all(call[4]["outcome"] == "finished" for call in logger.client.calls if call[0] == "log_batch")


def test_starting_a_run_again_counts_its_attempts(logger):
    logger.start_run(config())
    logger.start_run(config())
    assert logger.client.names() == ["create_run"]
    assert logger.client.calls[0][2] is None  # it starts now
    for attempt in ("2", "3"):
        logger.runs[config().id].status = "KILLED"
        logger.start_run(config())
        run = logger.client.runs["run0"]
        assert (run.status, run.tags["attempt"], run.tags["outcome"]) == ("RUNNING", attempt, "running")
        assert logger.runs[config().id].status == "RUNNING"
    assert len(logger.client.runs) == 1


def test_runs_are_listed_page_by_page_and_the_later_of_two_for_a_trial_deleted(logger):
    client = logger.client
    for trial in ("a", "b", "a", "c", "b"):
        client.create_run("7", tags={"trial_key": trial})
    client.create_run("7", tags={"summary": "yes"})
    client.calls.clear()
    logger.refresh()
    assert {trial: run.run_id for trial, run in logger.runs.items()} == {"a": "run0", "b": "run1", "c": "run3"}
    assert [call for call in client.calls if call[0] == "delete_run"] == [
        ("delete_run", "run2"),
        ("delete_run", "run4"),
    ]
    assert client.calls[0] == ("search_runs", ["7"], "", ["attributes.start_time ASC"])
    assert "run5" in client.runs


def test_a_known_run_is_remembered_as_it_is(logger, tmp_path):
    logger.log_records(files(tmp_path, record()))
    again = made(logger.client)
    run = again.runs[config().id]
    assert (run.run_id, run.status, run.has_params, run.has_dataset) == ("run0", "FINISHED", True, True)
    assert (run.start, run.tags["cell"]) == (logger.client.runs["run0"].start, "vanilla")
    empty = made(FakeClient())
    empty.start_run(config())
    fresh = made(empty.client).runs[config().id]
    assert (fresh.has_params, fresh.has_dataset) == (False, False)


def test_reconciling_ends_what_runs_and_says_how_much(logger):
    for seed in range(3):
        logger.start_run(config(seed))
    logger.client.runs["run1"].status = "FINISHED"
    assert logger.reconcile() == 2
    assert [run.status for run in logger.client.runs.values()] == ["KILLED", "FINISHED", "KILLED"]
    assert [run.tags["outcome"] for run in logger.client.runs.values()] == ["stopped", "running", "stopped"]
    assert logger.runs[config().id].status == "KILLED"
    assert logger.reconcile() == 0


# sync


def test_sync_logs_what_is_missing(logger, tmp_path):
    files(tmp_path, record(0, Outcome.RUNNING), record(4), record(4, seed=1))
    assert logger.sync(tmp_path) == 3
    logger.client.calls.clear()
    assert logger.sync(tmp_path) == 0
    assert logger.client.names() == []
    held = logger.client.artifacts["run0"]
    held.pop(next(name for name in held if name.endswith("-00000004.npz")))
    assert logger.sync(tmp_path) == 1


def test_sync_logs_the_last_record_again_where_its_outcome_is_not_the_runs(logger, tmp_path):
    files(tmp_path, record(0, Outcome.RUNNING), record(4))
    logger.sync(tmp_path)
    logger.runs[config().id].tags["outcome"] = "stopped"
    logger.client.calls.clear()
    assert logger.sync(tmp_path) == 1
    assert logger.client.names() == ["log_artifact", "log_artifacts", "log_batch", "set_terminated"]
    (path,) = [call[2] for call in logger.client.calls if call[0] == "log_artifact"]
    assert path.endswith("00000004.npz")


def test_sync_leaves_a_trial_alone_that_still_runs(logger, tmp_path):
    files(tmp_path, record(0, Outcome.RUNNING))
    logger.sync(tmp_path)
    logger.runs[config().id].tags["outcome"] = "stopped"
    assert logger.sync(tmp_path) == 0


def test_a_run_of_an_earlier_version_is_continued_under_its_id(logger, tmp_path):
    """Records keep the id under which they were written; new ones of the same settings find the same run."""
    then = config().changed({"dataset/validation": None})  # 0.1 had no validation part
    (old,) = then.legacy_ids
    logger.log_records(files(tmp_path, replace(record(0, Outcome.RUNNING, of=then), trial=old)))
    assert list(logger.runs) == [old]
    logger.start_run(then)
    logger.log_records(files(tmp_path, record(of=then)))
    assert (list(logger.runs), len(logger.client.runs)) == ([old], 1)
    assert logger.client.runs["run0"].tags["trial_key"] == old
    assert logger.client.runs["run0"].status == "FINISHED"
    assert logger.sync(tmp_path) == 0


def test_a_run_can_be_started_under_another_id(logger):
    logger.start_run(config(), "given")
    logger.start_run(config(1))
    assert list(logger.runs) == ["given", config(1).id]
    logger.start_run(config(), "given")
    assert len(logger.client.runs) == 2


# The summary


def sweep():
    return [record(seed=0, loss=0.3), record(seed=1, loss=0.2), record(loss=0.5, of=config(2, "lstm"))]


def logged(logger, folder, records=None, about=ABOUT, **options):
    records = sweep() if records is None else records
    for r in records:
        logger.log_records(files(folder, r))
    logger.client.calls.clear()
    logger.log_summary(Table.of(records, about), [], {"seconds": 3.0, "x": -np.inf}, **options)


def test_the_summary_is_one_run_with_metrics_tags_and_files(logger, tmp_path):
    (tmp_path / "atlas.html").write_text("<p>")
    for _ in range(2):
        logger.log_summary(Table.of(sweep(), ABOUT), [tmp_path / "atlas.html"], {"seconds": 3.0, "x": -np.inf})
    ((run_id, run),) = logger.client.runs.items()
    assert (run.name, run.status) == ("summary of which", "FINISHED")
    assert logger.client.metrics[run_id] == [("seconds", 3.0, 0, run.start)] * 2
    assert (run.tags["sweep"], run.tags["summary"], run.tags["about/objective"]) == ("which", "yes", "loss")
    assert run.tags["space/seed"] == "0, 1, 2"
    answer = "**The lowest Held-out loss is that of the only setting: test 0.25"
    assert run.tags["mlflow.note.content"].startswith(f"Which?\n\n{answer}")
    assert list(logger.client.artifacts[run_id]) == ["atlas.html"]
    assert logger.client.experiment_tags["mlflow.note.content"] == "Which?"
    assert json.loads(logger.client.experiment_tags[experiment_view.TAG])["orderByAsc"] is True


def test_long_tags_are_cut(logger, tmp_path):
    logger.log_summary(Table.of([], SweepDescription(question="?" * 9000)), [], {})
    (run,) = logger.client.runs.values()
    assert len(run.tags["mlflow.note.content"]) == 8000
    assert experiment_view.TAG not in logger.client.experiment_tags  # there is nothing to show


def best(logger):
    return {run.run_id: run.tags["best"] for run in logger.runs.values() if "best" in run.tags}


def test_the_best_trials_are_tagged_and_no_other(logger, tmp_path):
    logged(logger, tmp_path, models=False)
    assert best(logger) == {"run1": "of the sweep", "run2": "of its cell"}
    assert {i: run.tags.get("best") for i, run in logger.client.runs.items()} == {
        "run0": None, "run1": "of the sweep", "run2": "of its cell", "run3": None,
    }  # fmt: skip
    logger.client.calls.clear()
    logger.log_summary(Table.of(sweep(), ABOUT), [], {}, models=False)
    assert "set_tag" not in logger.client.names()
    assert "delete_tag" not in logger.client.names()
    better = [record(seed=0, loss=0.1), *sweep()[1:]]
    logger.log_summary(Table.of(better, ABOUT), [], {}, models=False)
    assert ("delete_tag", "run1", "best") in logger.client.calls
    assert best(logger) == {"run0": "of the sweep", "run2": "of its cell"}


def test_networks_of_the_best_trials_become_models(logger, tmp_path, monkeypatch):
    from lyapsweep.tracking import forecast_models

    kept = []
    monkeypatch.setattr(forecast_models, "log_model", lambda client, e, run, r: kept.append((e, run, r.trial)))
    logged(logger, tmp_path)
    assert kept == []  # no record holds weights
    monkeypatch.setattr(forecast_models, "can_forecast", lambda r: True)
    logger.log_summary(Table.of(sweep(), ABOUT), [], {}, models=False)
    assert kept == []
    logger.log_summary(Table.of(sweep(), ABOUT), [], {})
    assert kept == [("7", "run1", config(1).id), ("7", "run2", config(2, "lstm").id)]
    kept.clear()
    monkeypatch.setattr(mlflow_logger, "MAX_MODELS", 1)
    logger.log_summary(Table.of(sweep(), ABOUT), [], {})
    assert kept == [("7", "run1", config(1).id)]
    logger.client.artifacts["run1"].clear()
    del logger.runs[config(2, "lstm").id]
    monkeypatch.setattr(mlflow_logger, "MAX_MODELS", 9)
    logger.log_summary(Table.of(sweep(), ABOUT), [], {})
    assert len(kept) == 1  # of no file, and of no run


def test_the_model_is_that_of_the_last_record(logger, tmp_path, monkeypatch):
    from lyapsweep.tracking import forecast_models

    kept = []
    monkeypatch.setattr(forecast_models, "can_forecast", lambda r: True)
    monkeypatch.setattr(forecast_models, "log_model", lambda client, e, run, r: kept.append(r.step))
    both = [record(4), record(2, Outcome.RUNNING)]
    for r in both:  # in any order
        logger.log_records(files(tmp_path, r))
    logger.log_summary(Table.of(both, ABOUT), [], {})
    assert kept == [4]


def test_downloading_lays_the_files_out_as_a_results_folder(logger, tmp_path):
    logged(logger, tmp_path)
    (tmp_path / "sweep.json").write_text("{}")
    logger.log_summary(Table.of(sweep(), ABOUT), [tmp_path / "sweep.json"], {})
    logger.start_run(config(9))  # without a record
    (tmp_path / "copy").mkdir()
    logger.download(tmp_path / "copy")
    assert (tmp_path / "copy" / "sweep.json").read_text() == "{}"
    names = {file.name for file in (tmp_path / "records").iterdir()}
    assert {file.name for file in (tmp_path / "copy" / "records").iterdir()} == names
    empty = made(FakeClient())
    (tmp_path / "empty").mkdir()
    empty.download(tmp_path / "empty")
    assert list((tmp_path / "empty" / "records").iterdir()) == []


def test_links_are_made_without_a_request(logger, tmp_path):
    logged(logger, tmp_path)
    logger.client.calls.clear()
    found = logger.link_runs(Table.of(sweep(), ABOUT)).links
    assert found.addresses[config(1).id] == "http://127.0.0.1:5000/#/experiments/7/runs/run1"
    assert found.command == "lyapsweep open which --port 5000"
    assert logger.client.names() == []


def test_runs_of_other_clients_are_not_confused():
    run = SimpleNamespace(
        info=SimpleNamespace(run_id="r", start_time=1, status="RUNNING"),
        data=SimpleNamespace(tags={}, params={}),
        inputs=None,
    )
    assert not mlflow_logger.TrialRun.of(run).has_dataset
