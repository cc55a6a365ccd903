"""Tracking URIs: the address of an experiment's server or SQLite file, without importing MLflow."""

import os
import re
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

from lyapsweep.results.experiment import MLFLOW_DATABASE
from lyapsweep.tracking.errors import TrackingError

SERVER_SCHEMES = ("http://", "https://")
HEALTH_TIMEOUT = 5.0  # seconds
ENCODED = re.compile("%(?=[0-9A-Fa-f]{2})")


def default_uri(results: Path | str) -> str:
    """The tracking URI used if none is given: MLFLOW_TRACKING_URI, or an SQLite file in the results folder.

    Args:
        results: The folder that holds the folders of all experiments.

    Returns:
        A tracking URI.

    Example:
        >>> os.environ.pop("MLFLOW_TRACKING_URI", None) and None
        >>> default_uri("/shared/results")
        'sqlite:////shared/results/mlflow.db'
    """
    file = Path(results).resolve() / MLFLOW_DATABASE
    return os.environ.get("MLFLOW_TRACKING_URI") or address(file)


def is_server(uri: str) -> bool:
    """Whether the store is an MLflow server, which shows its pages itself."""
    return uri.startswith(SERVER_SCHEMES)


def sqlite_file(uri: str) -> Path | None:
    """The file of an SQLite store.

    Args:
        uri: The tracking URI.

    Returns:
        The file; None for any other store.

    Example:
        >>> sqlite_file("sqlite:///results/mlflow.db"), sqlite_file("http://mlflow:5000")
        (PosixPath('results/mlflow.db'), None)
    """
    return Path(unquote(uri.removeprefix("sqlite:///"))) if uri.startswith("sqlite:///") else None


def address(file: Path) -> str:
    """Return the tracking URI of an SQLite file.

    Args:
        file: The file; `%20` and `?` in its path are encoded, because MLflow decodes the URI.

    Example:
        >>> address(Path("/shared/my%20data/mlflow.db"))
        'sqlite:////shared/my%2520data/mlflow.db'
    """
    return f"sqlite:///{ENCODED.sub('%25', str(file)).replace('?', '%3F')}"


def without_credentials(uri: str) -> str:
    """Return a server's address without `user:password@`, which goes into the variables that MLflow's client reads.

    Args:
        uri: The address of a tracking server.

    Returns:
        The address; MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD are set if it had a user.

    Example:
        >>> without_credentials("http://mlflow:5000/")
        'http://mlflow:5000/'
    """
    parts = urlsplit(uri)
    user, at, host = parts.netloc.rpartition("@")
    if at:
        name, _, password = user.partition(":")
        os.environ |= {"MLFLOW_TRACKING_USERNAME": unquote(name), "MLFLOW_TRACKING_PASSWORD": unquote(password)}
    return urlunsplit(parts._replace(netloc=host))


def reachable(uri: str) -> str:
    """Send one short request to a server: any response counts, an error page included.

    Args:
        uri: The tracking URI.

    Returns:
        The URI; a server's without `user:password@`, which is handed to MLflow (`without_credentials`).

    Raises:
        TrackingError: If the server does not respond.

    Example:
        >>> reachable("sqlite:///results/mlflow.db")
        'sqlite:///results/mlflow.db'
    """
    if not is_server(uri):
        return uri
    try:
        uri = without_credentials(uri)
        urllib.request.urlopen(uri.rstrip("/") + "/health", timeout=HEALTH_TIMEOUT).close()
    except urllib.error.HTTPError:
        pass
    except (OSError, ValueError) as error:
        raise TrackingError(
            f"{uri}: no tracking server responds ({error}). Start it, or unset MLFLOW_TRACKING_URI to log into "
            "the results folder."
        ) from error
    return uri
