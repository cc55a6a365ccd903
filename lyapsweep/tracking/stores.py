"""MLflow stores: the connection to a server or an SQLite file, and the experiments in it."""

import logging
import os

from mlflow import MlflowClient
from mlflow.entities import Experiment
from mlflow.exceptions import MlflowException

from lyapsweep.redaction import redact
from lyapsweep.registry import unknown
from lyapsweep.results.experiment import ExperimentPaths
from lyapsweep.tracking import sqlite_store
from lyapsweep.tracking.addresses import reachable, sqlite_file
from lyapsweep.tracking.errors import TrackingError

os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")  # two lines for every run on a server
for name in ("mlflow", "alembic"):  # their levels are set when MLflow is imported
    logging.getLogger(name).setLevel(logging.WARNING)


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
    uri = reachable(uri)
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
