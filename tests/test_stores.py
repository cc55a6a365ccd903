"""Addresses of stores, and the question that a server is asked first."""

import io
import urllib.error
from types import SimpleNamespace

import pytest
from mlflow.exceptions import MlflowException

from lyapsweep.registry import UnknownName
from lyapsweep.tracking import TrackingError, addresses, redact, stores


def test_the_default_is_the_environments_or_a_file_beside_the_results(tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert addresses.default_uri(tmp_path / "x" / "..") == f"sqlite:///{tmp_path}/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://somewhere")
    assert addresses.default_uri(tmp_path) == "http://somewhere"


def test_files_and_servers():
    assert str(addresses.sqlite_file("sqlite:////a/b.db")) == "/a/b.db"
    assert addresses.sqlite_file("postgresql://host/base") is None
    assert addresses.is_server("http://x")
    assert addresses.is_server("https://x")
    assert not addresses.is_server("sqlite:///x")


def answers(monkeypatch, response):
    asked = []

    def urlopen(address, timeout):
        asked.append((address, timeout))
        if isinstance(response, Exception):
            raise response
        return response

    monkeypatch.setattr(addresses.urllib.request, "urlopen", urlopen)
    return asked


def test_a_server_is_asked_once_whether_it_is_there(monkeypatch):
    response = io.BytesIO(b"OK")
    asked = answers(monkeypatch, response)
    client = stores.connect("http://host:1/")
    assert asked == [("http://host:1/health", 5.0)]
    assert response.closed
    assert client.tracking_uri == "http://host:1/"


def test_an_error_page_is_an_answer_and_silence_is_an_error(monkeypatch):
    answers(monkeypatch, urllib.error.HTTPError("http://host", 404, "no", None, None))
    assert stores.connect("https://host") is not None
    for silence in (OSError("refused"), ValueError("no port")):
        answers(monkeypatch, silence)
        with pytest.raises(TrackingError, match=r"http://host: no tracking server responds .*Start it"):
            stores.connect("http://host")


def test_a_file_is_not_asked(monkeypatch, tmp_path):
    asked = answers(monkeypatch, OSError("refused"))
    monkeypatch.setattr(stores.sqlite_store, "ensure", lambda file: None)
    stores.connect(f"sqlite:///{tmp_path}/x.db")
    assert asked == []
    with pytest.raises(TrackingError, match=r"gopher://x: not a tracking URI .*Write sqlite"):
        stores.connect("gopher://x")


def test_a_store_of_another_version_of_mlflow_names_the_remedy(monkeypatch):
    def refuse(tracking_uri):
        raise MlflowException("Detected out-of-date database schema (found version a, but expected b).")

    monkeypatch.setattr(stores, "MlflowClient", refuse)
    with pytest.raises(
        TrackingError, match=r"another version of MLflow made this store.*db upgrade postgresql://host/a"
    ):
        stores.connect("postgresql://host/a")


def test_an_experiment_is_found_or_the_nearest_named(monkeypatch):
    stages = {"one": "active", "two": "active", "old": "deleted"}
    known = {name: SimpleNamespace(name=name, experiment_id="7", lifecycle_stage=stages[name]) for name in stages}
    client = SimpleNamespace(get_experiment_by_name=known.get, search_experiments=lambda: known.values())
    monkeypatch.setattr(stores, "connect", lambda uri: client)
    assert stores.find_experiment("one", "uri") is known["one"]
    with pytest.raises(
        UnknownName, match=r"uri: No experiment is called 'onee'. Did you mean 'one'\? Known: old, one, two"
    ):
        stores.find_experiment("onee", "uri")
    with pytest.raises(TrackingError, match=r"'old' was deleted there. Restore it .*--experiment-id 7`, or choose"):
        stores.find_experiment("old", "uri")


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("postgresql://me:secret@host/base", "postgresql://me:***@host/base"),
        ("http://host:5000/a@b", "http://host:5000/a@b"),
        ("x?password=1&sslpassword=2&user=3", "x?password=***&sslpassword=***&user=3"),
        ("TOKEN=a b", "TOKEN=*** b"),
        ("http://:secret@host", "http://:***@host"),
        ("one://a:b@c two://d:e@f", "one://a:***@c two://d:***@f"),
        ("nothing to hide", "nothing to hide"),
    ],
)
def test_passwords_and_tokens_are_redacted(text, redacted):
    assert redact(text) == redacted
