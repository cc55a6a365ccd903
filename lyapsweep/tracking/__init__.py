"""MLflow: write a Record, read an experiment back as a Table, and show it. The only package that speaks to MLflow."""

import logging
import os

# Before the import: telemetry reads its switch there, and the stock settings retry a dead server for minutes.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")

from lyapsweep.tracking.metric_names import LONGEST_PARAM, interrupted, run_name
from lyapsweep.tracking.mlflow_logger import MLflowLogger, prepare, read
from lyapsweep.tracking.redaction import hidden
from lyapsweep.tracking.stores import TrackingError, connect, file_of, find, store

for chatty in ("mlflow", "alembic"):
    logging.getLogger(chatty).setLevel(logging.WARNING)

__all__ = [
    "LONGEST_PARAM",
    "MLflowLogger",
    "TrackingError",
    "connect",
    "file_of",
    "find",
    "hidden",
    "interrupted",
    "prepare",
    "read",
    "run_name",
    "store",
]
