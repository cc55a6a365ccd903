"""What a finished run holds beside its records: images of the network, and of the best ones a forecasting model."""

import logging
import tempfile
from pathlib import Path

from mlflow import MlflowClient

from lyapsweep.results.experiment import RECORDS
from lyapsweep.results.record import Record

log = logging.getLogger("lyapsweep")
IMAGES = "images"  # the folder of a run's images


def log_images(client: MlflowClient, run_id: str, record: Record) -> None:
    """Log orbit, power spectrum and spectrum of a trial that has ended as images; best-effort: its record is logged.

    Args:
        client: The client of the store.
        run_id: The run of the trial.
        record: The trial's last record.
    """
    from lyapsweep.tracking import images  # loads torch

    try:
        drawn = images.images(record)
    except (ValueError, ArithmeticError) as error:  # of numbers that cannot be drawn
        log.warning("Trial %s has no images in MLflow: %s", record.trial, error)
        return
    if not drawn:
        return
    with tempfile.TemporaryDirectory() as folder:
        for name, document in drawn.items():
            Path(folder, name).write_text(document, "utf-8")
        client.log_artifacts(run_id, folder, IMAGES)


def log_model(client: MlflowClient, experiment_id: str, run_id: str) -> None:
    """Log the network of a run's last record as a model, if it can forecast.

    Args:
        client: The client of the store.
        experiment_id: MLflow's id of the experiment.
        run_id: The run of the trial.
    """
    from lyapsweep.tracking import forecast_models  # loads torch

    files = sorted(f.path for f in client.list_artifacts(run_id, RECORDS))
    if not files:
        return
    with tempfile.TemporaryDirectory() as folder:
        record = Record.load(client.download_artifacts(run_id, files[-1], folder))
        if forecast_models.can_forecast(record):
            forecast_models.log_model(client, experiment_id, run_id, record)
