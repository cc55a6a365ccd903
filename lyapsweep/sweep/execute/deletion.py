"""Deletion of an experiment: its results folder, its Optuna study in a database, its MLflow experiment."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import optuna

from lyapsweep import tracking
from lyapsweep.results.description import SweepDescription
from lyapsweep.results.experiment import ExperimentPaths
from lyapsweep.results.record_files import latest_files
from lyapsweep.sweep.execute.optuna_study import open_storage
from lyapsweep.sweep.execute.results_folder import ResultsFolder
from lyapsweep.sweep.observe.heartbeat import read_heartbeat
from lyapsweep.sweep.observe.inventory import Experiment, experiment, is_experiment
from lyapsweep.sweep.plan.errors import SweepError
from lyapsweep.tracking.null_logger import NONE
from lyapsweep.tracking.removal import StoredExperiment, find_stored, remove_stored


@dataclass(frozen=True)
class Deletion:
    """What is deleted together.

    Args:
        experiment: The experiment and its results folder.
        stored: Its experiment in MLflow; None without one.
        study: URL of the database that holds its Optuna study; "" if the study is a file of the folder.
    """

    experiment: Experiment
    stored: StoredExperiment | None
    study: str

    @property
    def foreign(self) -> int:
        """Number of MLflow's runs whose trials the folder does not hold."""
        if self.stored is None:
            return 0
        return len(self.stored.trials - set(latest_files(ExperimentPaths(self.experiment.folder).records)))


def plan_deletion(folder: Path, tracking_uri: str | None = None, storage: str | None = None) -> Deletion:
    """Find what belongs to the experiment in a results folder; nothing is changed.

    Args:
        folder: The results folder of the experiment.
        tracking_uri: By default MLFLOW_TRACKING_URI, else `mlflow.db` beside the folder; "none" leaves MLflow alone.
        storage: URL of a database that holds Optuna's study; None if it is a file of the folder.

    Returns:
        What `delete` removes.

    Raises:
        SweepError: If the folder is not that of an experiment, or its sweep is running.
        TrackingError: If MLflow does not respond.
    """
    folder = folder.resolve()
    if not is_experiment(folder):
        raise SweepError(f"{folder}: it holds no experiment. Name one that `lyapsweep experiments` lists.")
    heartbeat = read_heartbeat(folder)
    if heartbeat is not None and heartbeat.alive:
        raise SweepError(f"{folder}: its sweep runs on {heartbeat.host} (process {heartbeat.pid}). Stop it first.")
    uri = tracking_uri or tracking.default_uri(folder.parent)
    stored = None if uri == NONE else find_stored(folder.name, uri)  # a copied folder keeps the name in sweep.json
    return Deletion(experiment(folder), stored, storage if storage and owns_study(folder, storage) else "")


def owns_study(folder: Path, storage: str) -> bool:
    """Whether a database has the study of this folder, and not one of another folder under the same name."""
    mark = SweepDescription.load(ExperimentPaths(folder).description).mark
    try:
        study = optuna.load_study(study_name=folder.name, storage=open_storage(storage))
    except KeyError:
        return False
    return bool(mark) and study.user_attrs.get("results") == mark


def delete(deletion: Deletion) -> None:
    """Delete an experiment: first from MLflow, then its study, then its folder, so that a failure can be repeated.

    Args:
        deletion: What `plan_deletion` found.

    Raises:
        SweepError: If another process runs the sweep.
        TrackingError: If MLflow refuses.
        OSError: If a file cannot be removed.
    """
    folder = deletion.experiment.folder
    lock = ResultsFolder(folder.parent, folder.name)
    lock.acquire()
    try:
        if deletion.stored is not None:
            remove_stored(deletion.stored)
        if deletion.study:
            optuna.delete_study(study_name=folder.name, storage=open_storage(deletion.study))
        shutil.rmtree(folder)
    finally:
        if folder.exists():
            lock.release()
