"""Where the runs of an experiment are shown: what an atlas links to."""

from dataclasses import replace

from mlflow.exceptions import MlflowException

from lyapsweep.registry import UnknownName
from lyapsweep.table import Table
from lyapsweep.tracking.stores import TrackingError, connect, find

PORT = 5000
LOCAL = f"http://127.0.0.1:{PORT}"  # where `lyapsweep open` shows a store that is a file


def linked(table: Table, experiment: str, uri: str) -> Table:
    """The table with `about["runs"]`, {trial: address}, and the command that shows them, if one must run, as "serve".

    As it was where the store does not answer or does not know the experiment.
    """
    try:
        runs = addresses(experiment, uri)
    except (MlflowException, TrackingError, UnknownName):
        return table
    serve = {} if served(uri) else {"serve": f"lyapsweep open {experiment} --port {PORT}"}
    return replace(table, about=table.about | {"runs": runs} | serve)


def served(uri: str) -> bool:
    """Whether the store is a server, which shows its pages itself."""
    return uri.startswith(("http://", "https://"))


def addresses(experiment: str, uri: str) -> dict[str, str]:
    """{trial: address of its run}, on the tracking server, or where `lyapsweep open` shows a file."""
    client, found, token, shown = connect(uri), find(experiment, uri), None, {}
    server = uri.rstrip("/") if served(uri) else LOCAL
    while True:
        page = client.search_runs([found.experiment_id], page_token=token)
        for run in page:
            if trial := run.data.tags.get("trial_key"):
                shown[trial] = f"{server}/#/experiments/{found.experiment_id}/runs/{run.info.run_id}"
        if not (token := page.token):
            return shown
