"""Opening an experiment for logging, reading one back, and experiments that version 0.1 wrote."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
import yaml
from made_up_sweeps import TINY
from mlflow.exceptions import MlflowException
from test_sweep_resume import relocated

import lyapsweep
from lyapsweep import tracking
from lyapsweep.config import Config
from lyapsweep.results.record import Record
from lyapsweep.results.table import Table
from lyapsweep.single_trial import SingleTrial
from lyapsweep.tracking import OpeningThread, TrackingError, opening

FIXTURES = Path(__file__).parent / "data" / "v0_1"


class Client:
    """A client that knows the experiment `known`, and remembers where it made another one."""

    tracking_uri = "sqlite:///x.db"

    def __init__(self, known=None, error=None):
        self.known, self.error, self.created = known, error, []

    def get_experiment_by_name(self, name):
        if self.error:
            raise self.error
        return self.known

    def create_experiment(self, name, artifact_location):
        self.created.append((name, artifact_location))
        return "9"

    def search_runs(self, *args, **options):
        return type("Page", (list,), {"token": None})()


def prepared(monkeypatch, client, uri="sqlite:///x.db", artifacts=None):
    monkeypatch.setattr(opening, "connect", lambda uri: client)
    return tracking.prepare("which", uri, artifacts)


def test_an_experiment_that_is_there_is_opened(monkeypatch):
    client = Client(SimpleNamespace(experiment_id="3", lifecycle_stage="active"))
    logger = prepared(monkeypatch, client)
    assert (logger.experiment_id, logger.name, logger.client, client.created) == ("3", "which", client, [])


def test_one_that_is_not_is_made_with_its_artifacts_beside_a_local_store_only(monkeypatch, tmp_path):
    client = Client()
    logger = prepared(monkeypatch, client, artifacts=tmp_path)
    assert (logger.experiment_id, logger.name) == ("9", "which")
    prepared(monkeypatch, client, "http://server", tmp_path)
    prepared(monkeypatch, client)
    assert client.created == [("which", tmp_path.as_uri()), ("which", None), ("which", None)]


def test_what_cannot_be_opened_is_an_error_with_the_remedy(monkeypatch):
    with pytest.raises(TrackingError, match=r"uri: MLflow cannot open experiment 'which' \(no\). Choose another"):
        prepared(monkeypatch, Client(error=MlflowException("no")), "uri")
    deleted = Client(SimpleNamespace(name="which", experiment_id="3", lifecycle_stage="deleted"))
    with pytest.raises(TrackingError, match=r"'which' was deleted there. Restore it .*or choose another name"):
        prepared(monkeypatch, deleted, "uri")


# Version 0.1


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """A copy of what 0.1 wrote, with an MLflow store that knows where it lies."""
    return relocated(tmp_path_factory.mktemp("v0_1") / "v0_1")


@pytest.fixture(scope="module")
def uri(results):
    return f"sqlite:///{results}/mlflow.db"


def same_tables(one, other):
    pd.testing.assert_frame_equal(one.frame, other.frame)
    assert one.description == other.description
    assert one.spectra.keys() == other.spectra.keys()


@pytest.mark.parametrize("name", ["space_map", "hunt", "run"])
def test_an_experiment_of_0_1_reads_the_same_from_mlflow_and_from_the_folder(results, uri, name):
    there = lyapsweep.load(name, tracking_uri=uri)
    assert len(there) > 3
    same_tables(there, Table.read(results / name))


def test_runs_of_0_1_are_continued_without_duplicates(results, uri):
    """Its runs carry the ids of 0.1 as `trial_key`; its records keep them."""
    logger = tracking.prepare("grid_map", uri)
    runs = {trial: run.run_id for trial, run in logger.runs.items()}
    assert len(runs) == 8
    assert logger.sync(results / "grid_map") == 0
    files = sorted((results / "grid_map" / "records").glob("*.npz"))
    records = {record.trial: record for record in map(Record.load, files)}
    assert records.keys() == runs.keys()
    for trial, record in records.items():
        assert trial != record.config.id
        logger.start_run(record.config)
        assert logger.runs[trial].tags["attempt"] == "2"
    logger.log_record(record, files[-1])
    logger.refresh()
    assert {trial: run.run_id for trial, run in logger.runs.items()} == runs
    assert logger.runs[records[files[-1].name.partition("-")[0]].trial].status == "FINISHED"
    logger.log_summary(Table.read(results / "grid_map"), [], {}, models=False)
    assert len(list(logger.search("tags.summary = 'yes'"))) == 1
    best = {run.data.tags["trial_key"] for run in logger.search() if "best" in run.data.tags}
    assert best
    assert best <= runs.keys()


def test_a_results_folder_that_was_moved_is_the_same_experiment(results, tmp_path):
    """Nothing is read from, or written to, the place that it was moved from."""
    first, moved = tmp_path / "first" / "results", tmp_path / "moved" / "results"
    shutil.copytree(results, first)
    uri = f"sqlite:///{first}/mlflow.db"
    tracking.prepare("hunt", uri, first / "hunt" / "artifacts")  # knows that it lies there
    moved.parent.mkdir()
    shutil.move(first, moved)
    uri = f"sqlite:///{moved}/mlflow.db"
    same_tables(lyapsweep.load("hunt", tracking_uri=uri), Table.read(moved / "hunt"))
    same_tables(lyapsweep.load("run", tracking_uri=uri), Table.read(moved / "run"))
    logger = tracking.prepare("grid_map", uri, moved / "grid_map" / "artifacts")
    file = sorted((moved / "grid_map" / "records").glob("*.npz"))[-1]
    logger.start_run(Record.load(file).config)
    logger.log_record(Record.load(file), file)
    assert not first.exists()


def test_a_store_elsewhere_keeps_its_artifacts(results, tmp_path):
    shutil.copy(results / "mlflow.db", tmp_path / "mlflow.db")
    before = tracking.find_experiment("hunt", f"sqlite:///{tmp_path}/mlflow.db").artifact_location
    assert Path(before.removeprefix("file://")) == results / "hunt" / "artifacts"


def test_a_thread_opens_an_experiment_or_says_why_not(tmp_path, monkeypatch):
    monkeypatch.setattr(opening, "prepare", lambda *arguments: arguments)
    assert OpeningThread("which", "sqlite:///a.db", tmp_path).result() == ("which", "sqlite:///a.db", tmp_path)

    def refused(*arguments):
        raise TrackingError("no store")

    monkeypatch.setattr(opening, "prepare", refused)
    failed = OpeningThread("which", "sqlite:///a.db")
    with pytest.raises(TrackingError, match="no store"):
        failed.result()
    with pytest.raises(TrackingError, match="no tracking server responds"):
        OpeningThread("which", "http://127.0.0.1:9")  # at once


def test_a_store_that_cannot_be_used_ends_a_trial_before_anything_is_written(tmp_path, monkeypatch):
    def refused(*arguments):
        raise TrackingError("no store")

    monkeypatch.setattr(opening, "prepare", refused)
    with pytest.raises(TrackingError, match="no store"):
        SingleTrial(Config.of(yaml.safe_load(TINY)), tmp_path / "x", "sqlite:///a.db").train()
    assert list(tmp_path.iterdir()) == []
