"""MLflow tracking: log records, read an experiment back as a `Table`, show it. The only package that imports MLflow."""

import importlib
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

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

from lyapsweep.redaction import redact
from lyapsweep.tracking.async_logger import AsyncLogger
from lyapsweep.tracking.mlflow_logger import MLflowLogger
from lyapsweep.tracking.mlflow_names import run_name
from lyapsweep.tracking.null_logger import NullLogger
from lyapsweep.tracking.opening import prepare, read
from lyapsweep.tracking.stores import (
    TrackingError,
    connect,
    default_uri,
    find_experiment,
    sqlite_file,
    without_credentials,
)

if TYPE_CHECKING:
    from lyapsweep.tracking.forecast_models import Forecaster

for name in ("mlflow", "alembic"):
    logging.getLogger(name).setLevel(logging.WARNING)

__all__ = [
    "AsyncLogger",
    "Forecaster",
    "MLflowLogger",
    "NullLogger",
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


def __getattr__(name: str) -> Any:
    if name == "Forecaster":  # its module loads torch
        return importlib.import_module("lyapsweep.tracking.forecast_models").Forecaster
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
