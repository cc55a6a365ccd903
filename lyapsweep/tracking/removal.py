"""Removal of an experiment from an MLflow store."""

from dataclasses import dataclass
from datetime import datetime

from mlflow.exceptions import MlflowException

from lyapsweep.tracking.addresses import is_server, sqlite_file
from lyapsweep.tracking.errors import TrackingError
from lyapsweep.tracking.links import run_ids
from lyapsweep.tracking.stores import connect


@dataclass(frozen=True)
class StoredExperiment:
    """An experiment of an MLflow store.

    Args:
        uri: The tracking URI.
        id: MLflow's id of the experiment.
        name: Its name.
        trials: Ids of the trials that have a run.
    """

    uri: str
    id: str
    name: str
    trials: frozenset[str]


def find_stored(name: str, uri: str) -> StoredExperiment | None:
    """Find an active experiment of a store.

    Args:
        name: The name of the experiment.
        uri: The tracking URI.

    Returns:
        The experiment; None if the store has none of this name, or is a file that does not exist.

    Raises:
        TrackingError: If the store does not respond.
    """
    if (file := sqlite_file(uri)) and not file.is_file():
        return None
    found = connect(uri).get_experiment_by_name(name)
    if found is None or found.lifecycle_stage != "active":
        return None
    return StoredExperiment(uri, found.experiment_id, name, frozenset(run_ids(found.experiment_id, uri)))


def remove_stored(experiment: StoredExperiment) -> None:
    """Mark an experiment with its runs as deleted, under another name, so that its own name is free again.

    MLflow keeps the entries until `mlflow gc`.

    Args:
        experiment: The experiment.

    Raises:
        TrackingError: If the store refuses.
    """
    client = connect(experiment.uri)
    moment = datetime.now().strftime("%Y-%m-%d %H.%M.%S")
    try:
        client.rename_experiment(experiment.id, f"{experiment.name} (deleted {moment})")
        client.delete_experiment(experiment.id)
    except MlflowException as error:
        what = "server" if is_server(experiment.uri) else "store"
        raise TrackingError(
            f"{experiment.uri}: the {what} did not delete experiment '{experiment.name}' ({error.message})."
        ) from error
