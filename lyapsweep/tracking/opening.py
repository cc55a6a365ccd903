"""Open an MLflow experiment for logging, and read one back as a `Table`."""

import tempfile
from pathlib import Path

from mlflow.exceptions import MlflowException

from lyapsweep.results.table import Table
from lyapsweep.tracking.mlflow_logger import MLflowLogger
from lyapsweep.tracking.stores import TrackingError, connect, find_experiment


def prepare(experiment: str, uri: str, artifacts: Path | None = None) -> MLflowLogger:
    """Open an experiment for logging; create the store and the experiment if they do not exist.

    Args:
        experiment: The name of the experiment.
        uri: The tracking URI, for example `sqlite:///results/mlflow.db` or `http://mlflow:5000`.
        artifacts: Folder of the artifacts of a new experiment in an SQLite store; a server has its own.

    Returns:
        A logger for the experiment.

    Raises:
        TrackingError: Within seconds, if the store cannot be used or the experiment was deleted.

    Example:
        >>> prepare("forcing_interval", "sqlite:///results/mlflow.db").log_record(record, file)  # doctest: +SKIP
    """
    client = connect(uri)
    try:
        found = client.get_experiment_by_name(experiment)
        if found is None:
            location = artifacts.resolve().as_uri() if artifacts is not None and uri.startswith("sqlite:") else None
            return MLflowLogger(client, client.create_experiment(experiment, artifact_location=location), experiment)
    except MlflowException as error:
        raise TrackingError(
            f"{uri}: MLflow cannot open experiment '{experiment}' ({error.message}). Choose another name or store."
        ) from error
    if found.lifecycle_stage != "active":
        raise TrackingError(f"{uri}: experiment '{experiment}' was deleted there. Restore it or choose another name.")
    return MLflowLogger(client, found.experiment_id, experiment)


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
