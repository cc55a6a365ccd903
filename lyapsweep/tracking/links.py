"""Addresses of the runs of an experiment, to which its atlas links."""

from collections.abc import Mapping
from dataclasses import replace

from mlflow.exceptions import MlflowException

from lyapsweep.registry import UnknownName
from lyapsweep.results.table import RunLinks, Table
from lyapsweep.tracking.addresses import is_server, without_credentials
from lyapsweep.tracking.stores import TrackingError, connect, find_experiment

PORT = 5000
LOCAL = f"http://127.0.0.1:{PORT}"  # where `lyapsweep open` shows an SQLite store


def find_addresses(table: Table, experiment: str, uri: str) -> Table:
    """Add the addresses of the runs that a store holds; the table is unchanged if the store has none."""
    try:
        experiment_id = find_experiment(experiment, uri).experiment_id
        return with_addresses(table, experiment, uri, experiment_id, run_ids(experiment_id, uri))
    except (MlflowException, TrackingError, UnknownName):
        return table


def with_addresses(table: Table, experiment: str, uri: str, experiment_id: str, runs: Mapping[str, str]) -> Table:
    """Add the addresses of runs, and the command that must run to show an SQLite store.

    The addresses are on the tracking server, or where `lyapsweep open` shows a file; they hold no password.
    """
    server = without_credentials(uri).rstrip("/") if is_server(uri) else LOCAL
    addresses = {trial: f"{server}/#/experiments/{experiment_id}/runs/{run}" for trial, run in runs.items()}
    command = "" if is_server(uri) else f"lyapsweep open {experiment} --port {PORT}"
    return replace(table, links=RunLinks(addresses, command))


def run_ids(experiment_id: str, uri: str) -> Mapping[str, str]:
    """The id of the run of each trial."""
    client, token, found = connect(uri), None, {}
    while True:
        page = client.search_runs([experiment_id], page_token=token)
        found |= {trial: run.info.run_id for run in page if (trial := run.data.tags.get("trial_key"))}
        if not (token := page.token):
            return found
