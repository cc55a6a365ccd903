"""What MLflow is told, and that reading it back is reading the folder."""

import math
import socket
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient
from waiting import patience

from lyapsweep import tracking
from lyapsweep.config import Config
from lyapsweep.dynamics.spectrum import Spectrum
from lyapsweep.registry import UnknownName
from lyapsweep.results.description import SweepDescription
from lyapsweep.results.provenance import Provenance
from lyapsweep.results.record import Outcome, Record
from lyapsweep.results.table import Table
from lyapsweep.tracking.run_names import MAX_PARAM_LENGTH

EXPONENTS = np.array([0.9, 0.0, -1.5, -np.inf])


@pytest.fixture(scope="module")
def uri(tmp_path_factory):
    """One store for all tests of this file: making its tables takes seconds."""
    return f"sqlite:///{tmp_path_factory.mktemp('store') / 'mlflow.db'}"


@pytest.fixture
def ledger(uri, tmp_path, request):
    return tracking.prepare(request.node.name, uri, tmp_path / "artifacts")


def config(seed=0, kind="vanilla"):
    return Config.of(
        {
            "dataset": {"kind": "simulated", "system": "lorenz63", "length": 600},
            "cell": {"kind": kind, "units": 4},
            "training": {"steps": 4, "report_every": 2},
            "measures": ["loss"],
            "seed": seed,
        }
    )


def record(step, outcome=Outcome.RUNNING, of=None, loss=0.25, **provenance):
    spectrum = Spectrum(EXPONENTS / (step + 1), np.full(4, 0.01), 20, 2, "closed loop", 4, dt=0.5)
    return Record(
        of or config(), step, outcome, {"closed loop": spectrum}, {"loss": loss}, {"loss": 0.1},
        {"loss": np.arange(step)}, provenance=Provenance.from_json({"seed": 0} | provenance),
    )  # fmt: skip


def trial(of=None, end=Outcome.FINISHED):
    return [record(0, of=of), record(2, of=of), record(4, end, of=of)]


def log(ledger, folder, records):
    for r in records:
        ledger.log_record(r, r.save(folder / "records"))


def everything(ledger):
    """All that the store holds of an experiment, as plain values."""
    told = []
    for run in ledger.search():
        history = {
            key: [(m.step, m.value, m.timestamp) for m in ledger.client.get_metric_history(run.info.run_id, key)]
            for key in run.data.metrics
        }
        files = sorted(f.path for f in ledger.client.list_artifacts(run.info.run_id, "records"))
        told.append((run.info.run_id, run.info.status, run.data.params, run.data.tags, history, files))
    return told


def test_reading_back_is_reading_the_folder(ledger, uri, tmp_path):
    log(ledger, tmp_path, trial() + trial(config(1), Outcome.DIVERGED))
    (tmp_path / "sweep.json").write_text('{"intent": "map", "question": "Why?"}')
    ledger.log_summary(Table.read(tmp_path), [tmp_path / "sweep.json"], {"seconds": 1.0})
    here, there = Table.read(tmp_path), tracking.read(ledger.name, uri)
    pd.testing.assert_frame_equal(there.frame, here.frame)
    np.testing.assert_array_equal(there.spectra["closed loop"], here.spectra["closed loop"])
    assert np.isneginf(there.spectra["closed loop"][:, 3]).all()  # which MLflow's own numbers cannot hold
    assert there.description == here.description == SweepDescription(intent="map", question="Why?")


def test_the_artifact_is_the_record_byte_for_byte(ledger, tmp_path):
    log(ledger, tmp_path, trial())
    (run,) = ledger.search()
    for file in (tmp_path / "records").glob("*.npz"):
        copy = ledger.client.download_artifacts(run.info.run_id, f"records/{file.name}")
        assert Path(copy).read_bytes() == file.read_bytes()


def test_writing_twice_changes_nothing(ledger, uri, tmp_path):
    log(ledger, tmp_path, trial())
    before = everything(ledger)
    log(ledger, tmp_path, trial())
    again = tracking.prepare(ledger.name, uri)  # another process, which knows the store only
    log(again, tmp_path, trial())
    assert again.sync(tmp_path) == 0
    assert everything(ledger) == before
    assert len(before) == 1


def test_layout_of_a_run(ledger, tmp_path):
    ledger.varied, ledger.labels = ["cell/kind", "seed"], {"intent": "map"}
    lstm = config(3, "lstm")
    ledger.start_run(lstm)
    log(ledger, tmp_path, trial(lstm))
    (run,) = ledger.search()
    assert run.info.run_name == "lstm seed=3"
    assert run.info.status == "FINISHED"
    tags = {k: v for k, v in run.data.tags.items() if not k.startswith("mlflow.")}
    assert tags == {
        "sweep": ledger.name, "trial_key": lstm.id, "attempt": "1", "outcome": "finished", "intent": "map",
        "cell": "lstm", "dataset": "simulated", "system": "lorenz63", "forcing": "none", "chaotic": "yes",
    }  # fmt: skip
    assert "mlflow.parentRunId" not in run.data.tags
    assert set(run.data.params) == {*lstm.flat, "1 cell/kind"}  # by which MLflow orders what it compares
    assert run.data.params["cell/units"] == "4"
    history = ledger.client.get_metric_history(run.info.run_id, "measures/loss")
    assert [(m.step, m.value) for m in history] == [(0, 0.25), (2, 0.25), (4, 0.25)]
    assert run.data.metrics["lambda_max/closed loop"] == pytest.approx(0.9 / 5 / 0.5)  # per unit time
    assert run.data.metrics["spectra/closed loop/maximum"] == pytest.approx(0.9 / 5)  # per step


def test_the_spectrum_is_one_curve_over_the_index_from_the_final_record_only(ledger, tmp_path):
    log(ledger, tmp_path, trial()[:2])
    (run,) = ledger.search()
    assert "spectrum by index/closed loop" not in run.data.metrics
    log(ledger, tmp_path, trial()[2:])
    curve = ledger.client.get_metric_history(run.info.run_id, "spectrum by index/closed loop")
    assert [m.step for m in curve] == [1, 2, 3]  # -inf is left to the file
    np.testing.assert_allclose([m.value for m in curve], EXPONENTS[:3] / 5 / 0.5)
    values = [m.value for key in run.data.metrics for m in ledger.client.get_metric_history(run.info.run_id, key)]
    assert max(abs(v) for v in values if not math.isnan(v)) < 1e6


@pytest.mark.parametrize(
    ("end", "status"),
    [("finished", "FINISHED"), ("diverged", "FINISHED"), ("failed", "FAILED"), ("stopped", "FINISHED")],
)
def test_how_a_run_ends(ledger, tmp_path, end, status):
    log(ledger, tmp_path, [record(2, Outcome(end), error="ValueError: no" if end == "failed" else "")])
    (run,) = ledger.search()
    assert (run.info.status, run.data.tags["outcome"]) == (status, end)
    assert run.data.tags.get("error") == ("ValueError: no" if end == "failed" else None)


def test_an_interrupted_trial_goes_on_in_the_same_run_as_its_next_attempt(ledger, uri, tmp_path):
    log(ledger, tmp_path, [record(0), record(2, Outcome.STOPPED, interrupted=True)])
    (run,) = ledger.search()
    assert (run.info.status, run.data.tags["outcome"]) == ("KILLED", "stopped")
    assert "spectrum by index/closed loop" not in run.data.metrics  # the finished trial's is yet to come
    again = tracking.prepare(ledger.name, uri)
    again.start_run(config())
    (run,) = again.search()
    assert (run.info.status, run.data.tags["attempt"], run.data.tags["outcome"]) == ("RUNNING", "2", "running")
    log(again, tmp_path, trial())
    (run,) = again.search()
    assert run.info.status == "FINISHED"
    steps = [m.step for m in again.client.get_metric_history(run.info.run_id, "measures/loss")]
    assert steps == [0, 2, 4]  # the repeated part left no second points


def test_reconcile_ends_what_nobody_owns(ledger, uri):
    ledger.start_run(config(0))
    ledger.start_run(config(1))
    again = tracking.prepare(ledger.name, uri)
    assert again.reconcile() == 2
    assert again.reconcile() == 0
    assert {r.info.status for r in again.search()} == {"KILLED"}


def test_sync_logs_what_is_missing_and_only_that(ledger, uri, tmp_path):
    log(ledger, tmp_path, trial()[:1])
    for r in trial()[1:] + trial(config(1)):
        r.save(tmp_path / "records")
    again = tracking.prepare(ledger.name, uri)
    assert again.sync(tmp_path) == 5
    assert again.sync(tmp_path) == 0
    assert sorted(r.info.status for r in again.search()) == ["FINISHED", "FINISHED"]
    pd.testing.assert_frame_equal(tracking.read(ledger.name, uri).frame, Table.read(tmp_path).frame)


def test_sync_ends_a_run_whose_driver_died_after_saving_the_last_record(ledger, uri, tmp_path):
    log(ledger, tmp_path, trial())
    run_id = ledger.runs[config().id].run_id
    ledger.client.update_run(run_id, status="RUNNING")
    again = tracking.prepare(ledger.name, uri)
    again.reconcile()
    assert again.sync(tmp_path) == 1
    assert (next(again.search()).info.status, next(again.search()).data.tags["outcome"]) == ("FINISHED", "finished")


def test_the_summary_is_one_flat_run_however_often_it_is_written(ledger, tmp_path):
    file = tmp_path / "atlas.html"
    file.write_text("<p>atlas</p>")
    for trials in (2, 3):
        description = SweepDescription(question="Why?\n\nBecause.", intent="map", trials=trials)
        ledger.log_summary(Table.of([], description), [file], {"best/loss": 0.1, "x": -math.inf})
    (run,) = ledger.search()
    assert run.info.run_name == f"summary of {ledger.name}"
    assert run.data.tags["mlflow.note.content"] == "Why?\n\nBecause."
    assert run.data.tags["about/trials"] == "3"
    assert run.data.metrics == {"best/loss": 0.1}
    assert [f.path for f in ledger.client.list_artifacts(run.info.run_id)] == ["atlas.html"]
    assert run.info.status == "FINISHED"


def test_run_names_say_what_differs():
    one = config(1).changed({"forcing": {"kind": "sparse", "interval": 30}, "init": {"kind": "gaussian", "gain": 0.5}})
    assert tracking.run_name(one, ["cell/kind", "forcing/interval", "seed"]) == "vanilla interval=30 seed=1"
    assert tracking.run_name(one, ["cell/kind", "init/kind"]) == "vanilla gaussian"
    assert tracking.run_name(one, ["dataset/length", "windows/length"]) == "dataset/length=600 windows/length=200"
    assert tracking.run_name(one, ["cell/hidden"]) == ""  # a setting that this cell does not have
    assert tracking.run_name(one, []) == "vanilla seed=1"


def test_a_hundred_and_more_parameters_and_long_ones_pass(ledger):
    long = config()
    extra = {f"extra/{i}": "x" * 7000 for i in range(150)}
    object.__setattr__(long, "flat", long.flat | extra)  # fill the cache: no real config is that large
    ledger.start_run(long)
    ledger._log_batch(ledger.runs[long.id], long)
    (run,) = ledger.search()
    assert len(run.data.params) == len(long.flat) + 1  # and the swept setting once more
    assert len(run.data.params["extra/0"]) == MAX_PARAM_LENGTH


def test_a_dead_server_is_one_clear_error_within_seconds():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
    began = time.monotonic()
    with pytest.raises(tracking.TrackingError, match="no tracking server responds"):
        tracking.prepare("any", address)
    assert time.monotonic() - began < patience(6)


def test_wrong_names_are_told_with_what_there_is(ledger, uri):
    with pytest.raises(UnknownName, match=f"Did you mean '{ledger.name}'"):
        tracking.read(ledger.name + "s", uri)
    with pytest.raises(tracking.TrackingError, match="not a tracking URI"):
        tracking.prepare("any", "gopher://x")


def test_a_deleted_experiment_is_not_written_to(ledger, uri):
    MlflowClient(tracking_uri=uri).delete_experiment(ledger.experiment_id)
    with pytest.raises(tracking.TrackingError, match="was deleted there"):
        tracking.prepare(ledger.name, uri)


def test_nan_is_kept_and_infinity_left_out(ledger, tmp_path):
    diverged = replace(record(2, Outcome.DIVERGED), measures={"loss": math.nan, "other": math.inf})
    log(ledger, tmp_path, [diverged])
    (run,) = ledger.search()
    assert math.isnan(run.data.metrics["measures/loss"])
    assert "measures/other" not in run.data.metrics
