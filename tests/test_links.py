"""The atlas's links lead to the run of the trial, wherever the store is; without a store there are none."""

import made_up
import pytest

from lyapsweep import tracking
from lyapsweep.results.table import Table
from lyapsweep.tracking import links


@pytest.fixture
def store(tmp_path):
    """A store with the runs of two trials."""
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    ledger = tracking.prepare("planted", uri, tmp_path / "artifacts")
    for record in (made_up.record("lstm", 5, 0), made_up.record("lstm", 80, 0)):
        ledger.log_record(record, record.save(tmp_path))
    return uri


def test_every_trial_leads_to_its_run(store):
    table = Table.of([made_up.record("lstm", x, 0) for x in (5, 80)], made_up.DESCRIPTION)
    found = links.find_addresses(table, "planted", store).links
    runs = found.addresses
    assert found.command == "lyapsweep open planted --port 5000"
    assert runs.keys() == set(table.frame["trial"])
    client = tracking.connect(store)
    for trial, address in runs.items():
        assert address.startswith(f"{links.LOCAL}/#/experiments/")
        assert client.get_run(address.rpartition("/")[2]).data.tags["trial_key"] == trial
    assert table.links is None


def test_a_store_that_does_not_know_the_experiment_changes_nothing(store):
    table = made_up.table()
    assert links.find_addresses(table, "planned", store) is table


def test_links_need_no_password_and_no_command_where_a_server_shows_the_pages():
    table = made_up.table()
    found = links.with_addresses(table, "which", "https://me:secret@host:1/", "4", {"a": "run"}).links
    assert found.addresses == {"a": "https://host:1/#/experiments/4/runs/run"}
    assert found.command == ""
    assert links.LOCAL == "http://127.0.0.1:5000"


def test_runs_are_read_page_by_page(monkeypatch):
    from types import SimpleNamespace

    def run(number, **tags):
        return SimpleNamespace(info=SimpleNamespace(run_id=f"run{number}"), data=SimpleNamespace(tags=tags))

    pages = {None: ([run(0, trial_key="a"), run(1, summary="yes")], "next"), "next": ([run(2, trial_key="b")], None)}

    def search_runs(experiments, page_token):
        assert experiments == ["4"]
        runs, token = pages[page_token]
        page = type("Page", (list,), {"token": token})
        return page(runs)

    monkeypatch.setattr(links, "connect", lambda uri: SimpleNamespace(search_runs=search_runs))
    assert links.run_ids("4", "uri") == {"a": "run0", "b": "run2"}
