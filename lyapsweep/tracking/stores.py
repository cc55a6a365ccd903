"""MLflow stores: the address of an experiment's server or SQLite file, and the connection to it."""

import os
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

from mlflow import MlflowClient
from mlflow.entities import Experiment
from mlflow.exceptions import MlflowException

from lyapsweep.redaction import redact
from lyapsweep.registry import unknown
from lyapsweep.results.experiment import MLFLOW_DATABASE, ExperimentPaths
from lyapsweep.tracking import sqlite_store
from lyapsweep.tracking.errors import TrackingError

SERVER_SCHEMES = ("http://", "https://")
HEALTH_TIMEOUT = 5.0  # seconds


def default_uri(results: Path | str) -> str:
    """The tracking URI used if none is given: MLFLOW_TRACKING_URI, or an SQLite file in the results folder.

    Args:
        results: The folder that holds the folders of all experiments.

    Returns:
        A tracking URI.

    Example:
        >>> os.environ.pop("MLFLOW_TRACKING_URI", None) and None
        >>> default_uri("/shared/results")
        'sqlite:////shared/results/mlflow.db'
    """
    file = Path(results).resolve() / MLFLOW_DATABASE
    return os.environ.get("MLFLOW_TRACKING_URI") or sqlite_store.address(file)


def is_server(uri: str) -> bool:
    """Whether the store is an MLflow server, which shows its pages itself."""
    return uri.startswith(SERVER_SCHEMES)


def sqlite_file(uri: str) -> Path | None:
    """The file of an SQLite store.

    Args:
        uri: The tracking URI.

    Returns:
        The file; None for any other store.

    Example:
        >>> sqlite_file("sqlite:///results/mlflow.db"), sqlite_file("http://mlflow:5000")
        (PosixPath('results/mlflow.db'), None)
    """
    return Path(unquote(uri.removeprefix("sqlite:///"))) if uri.startswith("sqlite:///") else None


def connect(uri: str) -> MlflowClient:
    """Create a client, after one short request to a server: any response counts, an error page included.

    Args:
        uri: The tracking URI. `user:password@` in a server's address is handed to MLflow by MLFLOW_TRACKING_USERNAME
            and MLFLOW_TRACKING_PASSWORD, so that no message of MLflow's holds it.

    Returns:
        A client of the store.

    Raises:
        TrackingError: If the server does not respond, or `uri` is not a tracking URI.

    Example:
        >>> connect("http://localhost:9")
        Traceback (most recent call last):
        ...
        lyapsweep.tracking.errors.TrackingError: http://localhost:9: no tracking server responds ...
    """
    if is_server(uri):
        try:
            uri = without_credentials(uri)
            urllib.request.urlopen(uri.rstrip("/") + "/health", timeout=HEALTH_TIMEOUT).close()
        except urllib.error.HTTPError:
            pass
        except (OSError, ValueError) as error:
            raise TrackingError(
                f"{uri}: no tracking server responds ({error}). Start it, or unset MLFLOW_TRACKING_URI to log into "
                "the results folder."
            ) from error
    if (file := sqlite_file(uri)) and file.parent.is_dir() and "?" not in uri:
        sqlite_store.ensure(file)
    try:
        return MlflowClient(tracking_uri=uri)
    except MlflowException as error:
        if "database schema" in error.message:
            raise TrackingError(
                f"{uri}: another version of MLflow made this store. Copy it and run `mlflow db upgrade {uri}`, or move "
                "it away: `lyapsweep sync` logs the records into a new one."
            ) from error
        raise TrackingError(
            f"{uri}: not a tracking URI ({error.message}). Write sqlite:///PATH or http://HOST:PORT."
        ) from error


def without_credentials(uri: str) -> str:
    """Return a server's address without `user:password@`, which goes into the variables that MLflow's client reads.

    Args:
        uri: The address of a tracking server.

    Returns:
        The address; MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD are set if it had a user.

    Example:
        >>> without_credentials("http://mlflow:5000/")
        'http://mlflow:5000/'
    """
    parts = urlsplit(uri)
    user, at, host = parts.netloc.rpartition("@")
    if at:
        name, _, password = user.partition(":")
        os.environ |= {"MLFLOW_TRACKING_USERNAME": unquote(name), "MLFLOW_TRACKING_PASSWORD": unquote(password)}
    return urlunsplit(parts._replace(netloc=host))


def check_active(experiment: Experiment, uri: str) -> None:
    """Raise `TrackingError` if the experiment was deleted: MLflow keeps its name, and lists none of its runs."""
    if experiment.lifecycle_stage != "active":
        raise TrackingError(
            f"{uri}: experiment '{experiment.name}' was deleted there. Restore it with `mlflow experiments restore "
            f"--experiment-id {experiment.experiment_id}`, or choose another name."
        )


def find_experiment(name: str, uri: str) -> Experiment:
    """Find an experiment by its name.

    Args:
        name: The name of the experiment.
        uri: The tracking URI.

    Returns:
        MLflow's experiment.

    Raises:
        UnknownName: If the store has no such experiment; the message suggests the closest name.
        TrackingError: If the store cannot be used, or the experiment was deleted.

    Example:
        >>> find_experiment("forcing_interval", "sqlite:///results/mlflow.db").experiment_id  # doctest: +SKIP
        '1'
    """
    client = connect(uri)
    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        raise unknown("experiment", name, sorted(e.name for e in client.search_experiments()), redact(uri))
    check_active(experiment, uri)
    file = sqlite_file(uri)
    if file is not None and sqlite_store.relocate(file, experiment, ExperimentPaths(file.parent / name).artifacts):
        return client.get_experiment(experiment.experiment_id)
    return experiment
