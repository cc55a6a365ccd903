"""Where experiments are: an MLflow server, or a file."""

import os
import urllib.error
import urllib.request
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Experiment
from mlflow.exceptions import MlflowException

from lyapsweep.registry import unknown
from lyapsweep.results.experiment import MLFLOW_DATABASE


class TrackingError(RuntimeError):
    """The tracking server cannot be used; the message says which and what to do."""


def store(results: Path | str) -> str:
    """The tracking URI where none is given: MLFLOW_TRACKING_URI, else an SQLite file in the results folder."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{Path(results).resolve() / MLFLOW_DATABASE}"


def file_of(uri: str) -> Path | None:
    """The file of an SQLite store; None of any other."""
    return Path(uri.removeprefix("sqlite:///")) if uri.startswith("sqlite:///") else None


def connect(uri: str) -> MlflowClient:
    """A client, after one quick question to the server: any answer will do, even an error page."""
    if uri.startswith(("http://", "https://")):
        try:
            urllib.request.urlopen(uri.rstrip("/") + "/health", timeout=5).close()
        except urllib.error.HTTPError:
            pass
        except (OSError, ValueError) as error:
            raise TrackingError(
                f"No tracking server answers at {uri} ({error}). Start it, or unset MLFLOW_TRACKING_URI to log into "
                "the results folder."
            ) from error
    try:
        return MlflowClient(tracking_uri=uri)
    except MlflowException as error:
        raise TrackingError(f"{uri} is not a tracking URI ({error.message}).") from error


def find(experiment: str, uri: str) -> Experiment:
    """The experiment of that name. Raises `UnknownName` with the nearest one, `TrackingError` where nothing answers."""
    client = connect(uri)
    found = client.get_experiment_by_name(experiment)
    if found is None:
        raise unknown("experiment", experiment, sorted(e.name for e in client.search_experiments()), uri)
    return found
