"""MLflow tracking: log records, read an experiment back as a `Table`, show it.

The only package that imports MLflow, and not before it is used: that takes seconds.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING

# Set before MLflow is imported: telemetry reads its switch then, and the default settings retry a dead server for
# minutes.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
try:
    Path.home()
except RuntimeError:  # a container's user without an entry in /etc/passwd: MLflow cannot be imported without a home
    os.environ["HOME"] = "/nonexistent"
if (around := os.environ.get("no_proxy", os.environ.get("NO_PROXY", ""))) != "*":  # a proxy reaches no server here
    os.environ["no_proxy"] = ",".join(dict.fromkeys(filter(None, [*around.split(","), "localhost", "127.0.0.1"])))

from lyapsweep.lazy import imported_at_use
from lyapsweep.redaction import redact
from lyapsweep.tracking.addresses import default_uri, sqlite_file, without_credentials
from lyapsweep.tracking.async_logger import AsyncLogger
from lyapsweep.tracking.errors import TrackingError
from lyapsweep.tracking.null_logger import NullLogger
from lyapsweep.tracking.opening_thread import OpeningThread
from lyapsweep.tracking.run_names import run_name

if TYPE_CHECKING:
    from lyapsweep.tracking.forecast_models import Forecaster
    from lyapsweep.tracking.mlflow_logger import MLflowLogger
    from lyapsweep.tracking.opening import prepare, read
    from lyapsweep.tracking.stores import connect, find_experiment

__all__ = [
    "AsyncLogger",
    "Forecaster",
    "MLflowLogger",
    "NullLogger",
    "OpeningThread",
    "TrackingError",
    "connect",
    "default_uri",
    "find_experiment",
    "prepare",
    "read",
    "redact",
    "run_name",
    "sqlite_file",
    "without_credentials",
]


IMPORTED_AT_USE = {  # their modules import MLflow, the first one torch as well
    "Forecaster": "lyapsweep.tracking.forecast_models",
    "MLflowLogger": "lyapsweep.tracking.mlflow_logger",
    "connect": "lyapsweep.tracking.stores",
    "find_experiment": "lyapsweep.tracking.stores",
    "prepare": "lyapsweep.tracking.opening",
    "read": "lyapsweep.tracking.opening",
}

__getattr__, __dir__ = imported_at_use(__name__, IMPORTED_AT_USE)
