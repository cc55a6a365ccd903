"""Where the runs of an experiment are shown: what an atlas links to."""

from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import urlsplit, urlunsplit

from mlflow.exceptions import MlflowException

from lyapsweep.registry import UnknownName
from lyapsweep.results.table import RunLinks, Table
from lyapsweep.tracking.stores import TrackingError, connect, find

PORT = 5000
LOCAL = f"http://127.0.0.1:{PORT}"  # where `lyapsweep open` shows a store that is a file


def linked(table: Table, experiment: str, uri: str) -> Table:
    """`shown`, of the runs that the store knows now.

    As it was where the store does not answer or does not know the experiment.
    """
    try:
        found = find(experiment, uri)
        return shown(table, experiment, uri, found.experiment_id, run_ids(found.experiment_id, uri))
    except (MlflowException, TrackingError, UnknownName):
        return table


def shown(table: Table, experiment: str, uri: str, experiment_id: str, runs: Mapping[str, str]) -> Table:
    """The table with `links` to its runs, and the command that shows them, if one must run.

    Addresses are on the tracking server, or where `lyapsweep open` shows a file; they hold no password.
    """
    server = plain(uri) if served(uri) else LOCAL
    addresses = {trial: f"{server}/#/experiments/{experiment_id}/runs/{run}" for trial, run in runs.items() if trial}
    command = "" if served(uri) else f"lyapsweep open {experiment} --port {PORT}"
    return replace(table, links=RunLinks(addresses, command))


def served(uri: str) -> bool:
    """Whether the store is a server, which shows its pages itself."""
    return uri.startswith(("http://", "https://"))


def plain(uri: str) -> str:
    """A server's address without the user and the password that may stand before its name."""
    parts = urlsplit(uri.rstrip("/"))
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def run_ids(experiment_id: str, uri: str) -> dict[str, str]:
    """{trial: id of its run}."""
    client, token, found = connect(uri), None, {}
    while True:
        page = client.search_runs([experiment_id], page_token=token)
        for run in page:
            if trial := run.data.tags.get("trial_key"):
                found[trial] = run.info.run_id
        if not (token := page.token):
            return found
