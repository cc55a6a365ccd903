"""Open an MLflow experiment for logging, and read one back as a `Table`."""

import tempfile
from pathlib import Path

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from sqlalchemy.exc import SQLAlchemyError

from lyapsweep import __version__
from lyapsweep.results.table import Table
from lyapsweep.tracking import sqlite_store
from lyapsweep.tracking.addresses import is_server
from lyapsweep.tracking.mlflow_logger import MLflowLogger
from lyapsweep.tracking.stores import TrackingError, check_active, connect, find_experiment, sqlite_file

VERSION_TAG = "lyapsweep.version"  # of an experiment


def prepare(experiment: str, uri: str, artifacts: Path | None = None) -> MLflowLogger:
    """Open an experiment for logging; create the store and the experiment if they do not exist.

    Args:
        experiment: The name of the experiment.
        uri: The tracking URI, for example `sqlite:///results/mlflow.db` or `http://mlflow:5000`.
        artifacts: Folder of the artifacts of a new experiment in an SQLite store; a server has its own.

    Returns:
        A logger for the experiment.

    Raises:
        TrackingError: Within seconds, if the store cannot be used, its server refuses this user, or the experiment was
            deleted.

    Example:
        >>> prepare("forcing_interval", "sqlite:///results/mlflow.db").log_record(record, file)  # doctest: +SKIP
    """
    client = connect(uri)
    try:
        found = client.get_experiment_by_name(experiment)
        if found is None:
            location = artifacts.resolve().as_uri() if artifacts is not None and uri.startswith("sqlite:") else None
            return MLflowLogger(client, create_experiment(client, experiment, location), experiment)
        if is_server(uri) and found.lifecycle_stage == "active":
            client.set_experiment_tag(found.experiment_id, VERSION_TAG, __version__)  # needs the right that runs need
    except (MlflowException, SQLAlchemyError) as error:
        raise TrackingError(
            f"{uri}: MLflow cannot open experiment '{experiment}' ({first_line(error)}). {remedy(error)}"
        ) from error
    file = sqlite_file(uri)
    if file is not None and artifacts is not None and file.resolve().parent == artifacts.resolve().parent.parent:
        sqlite_store.relocate(file, found, artifacts)
    check_active(found, uri)
    return MLflowLogger(client, found.experiment_id, experiment)


def create_experiment(client: MlflowClient, name: str, location: str | None) -> str:
    """Create an experiment and return its id; another process may create it at the same time."""
    try:
        return client.create_experiment(name, artifact_location=location)
    except MlflowException:
        found = client.get_experiment_by_name(name)
        if found is None:
            raise
        return found.experiment_id


def remedy(error: Exception) -> str:
    """What to do about an experiment that cannot be opened."""
    status = error.get_http_status_code() if isinstance(error, MlflowException) else 0
    if "error code 401" in str(error) or status == 401:
        return "Set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD to a user of this server."
    if "error code 403" in str(error) or status == 403:
        return "This user may not write there: ask the experiment's owner for EDIT rights, or give another --name."
    return "Choose another name or store."


def first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def read(experiment: str, uri: str, trust: bool = False) -> Table:
    """Read an experiment as a `Table` from the record files of its runs, as from its results folder.

    Args:
        experiment: The name of the experiment.
        uri: The tracking URI.
        trust: Whether Python files that the records name may be executed whoever wrote them.

    Returns:
        The table of all records.

    Raises:
        UnknownName: If the store has no such experiment.
        TrackingError: If the store cannot be used.

    Example:
        >>> read("forcing_interval", "sqlite:///results/mlflow.db").finals.frame  # doctest: +SKIP
    """
    found = find_experiment(experiment, uri)
    with tempfile.TemporaryDirectory() as folder:
        MLflowLogger(connect(uri), found.experiment_id, experiment).download(Path(folder))
        return Table.read(folder, trust)
