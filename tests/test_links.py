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
        ledger.write(record, record.save(tmp_path))
    return uri


def test_every_trial_leads_to_its_run(store):
    table = Table.of([made_up.record("lstm", x, 0) for x in (5, 80)], made_up.DESCRIPTION)
    found = links.linked(table, "planted", store).links
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
    assert links.linked(table, "planned", store) is table
