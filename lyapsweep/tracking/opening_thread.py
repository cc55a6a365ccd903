"""Opening an MLflow experiment in a thread, so that importing MLflow and making a store delay nothing."""

import threading
from pathlib import Path
from typing import TYPE_CHECKING

from lyapsweep.tracking.addresses import reachable

if TYPE_CHECKING:
    from lyapsweep.tracking.mlflow_logger import MLflowLogger


class OpeningThread:
    """Opens an experiment for logging while the caller does other work.

    Args:
        experiment: The name of the experiment.
        uri: The tracking URI.
        artifacts: Folder of the artifacts of a new experiment in an SQLite store.

    Raises:
        TrackingError: If `uri` is the address of a server that does not respond.

    Example:
        >>> opening = OpeningThread("forcing_interval", "sqlite:///results/mlflow.db")  # doctest: +SKIP
        >>> opening.result().log_record(record, file)  # doctest: +SKIP
    """

    def __init__(self, experiment: str, uri: str, artifacts: Path | None = None):
        self.logger: MLflowLogger | None = None
        self.error: Exception | None = None
        arguments = experiment, reachable(uri), artifacts
        self.thread = threading.Thread(target=self._open, args=arguments, name="open-mlflow", daemon=True)
        self.thread.start()

    def _open(self, experiment: str, uri: str, artifacts: Path | None) -> None:
        try:
            from lyapsweep.tracking.opening import prepare

            self.logger = prepare(experiment, uri, artifacts)
        except Exception as error:
            self.error = error

    def result(self) -> "MLflowLogger":
        """Wait for the logger.

        Returns:
            The logger.

        Raises:
            TrackingError: If the store cannot be used or the experiment was deleted.
        """
        self.thread.join()
        if self.error is not None:
            raise self.error
        assert self.logger is not None, "an opening ends with a logger or an error"
        return self.logger
