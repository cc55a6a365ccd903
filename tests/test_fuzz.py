"""Damaged inputs of every kind are read or refused in words: no traceback, no hang, no file left.

`pytest tests/test_fuzz.py -m slow` draws 20 000 inputs, other ones each time; the fast tests always draw the same.
"""

import pytest
from fuzzed_kinds import KINDS
from hypothesis import HealthCheck, given, settings

FAST = 50  # inputs per kind
SHARES = {"mappings": 4000, "yaml": 3000, "texts": 2500, "arrays": 2000, "records": 3000, "sweep_files": 1500}
SHARES |= {"state_dicts": 2000, "checkpoints": 500, "commands": 1500}


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def explore(name, folder, examples, same=False):
    kind = KINDS[name](folder)
    run = settings(
        max_examples=examples, deadline=None, database=None, derandomize=same, suppress_health_check=list(HealthCheck)
    )
    run(given(kind.inputs)(kind.check))()


@pytest.mark.parametrize("name", KINDS)
def test_damaged_inputs_are_read_or_refused(name, here):
    explore(name, here, FAST, same=True)


@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS)
def test_20_000_damaged_inputs_are_read_or_refused(name, here):
    assert sum(SHARES.values()) == 20_000
    explore(name, here, SHARES[name])
