"""A server that refuses this user says so before anything is trained, and what to do."""

import pytest
from mlflow.entities import Experiment
from mlflow.exceptions import MlflowException
from mlflow.store.entities import PagedList

from lyapsweep.tracking import TrackingError, opening

URI = "http://mlflow:5000"


class Server:
    """A client of a server that answers every writing request with a status."""

    def __init__(self, status: int, reading: int | None = None):
        self.status, self.reading, self.tags = status, reading, {}

    def refuse(self, status):
        raise MlflowException(
            f"API request to endpoint /api/2.0/x failed with error code {status} != 200. Response ..."
        )

    def get_experiment_by_name(self, name):
        if self.reading:
            self.refuse(self.reading)
        return Experiment("7", name, "artifacts", "active", tags=[])

    def set_experiment_tag(self, experiment, key, value):
        if self.status != 200:
            self.refuse(self.status)
        self.tags[experiment, key] = value

    def search_runs(self, *args, **kwargs):
        return PagedList([], None)


def prepare(monkeypatch, server):
    monkeypatch.setattr(opening, "connect", lambda uri: server)
    return opening.prepare("shared", URI)


def test_a_user_who_may_only_read_is_told_before_training(monkeypatch):
    with pytest.raises(TrackingError, match=r"shared.*403.*EDIT rights, or give another --name"):
        prepare(monkeypatch, Server(403))


def test_a_user_without_a_password_is_told_which_variables_to_set(monkeypatch):
    with pytest.raises(TrackingError, match=r"401.*MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"):
        prepare(monkeypatch, Server(200, reading=401))


def test_a_user_who_may_write_leaves_one_tag(monkeypatch):
    server = Server(200)
    assert prepare(monkeypatch, server).experiment_id == "7"
    assert list(server.tags) == [("7", opening.VERSION_TAG)]
