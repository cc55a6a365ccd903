"""What a sweep needs is compiled in the background, once per kind of cell, and only where no cache holds it."""

import numpy as np
import pytest

pytest.importorskip("numba")

from lyapsweep.compiled.engine import VARIABLE
from lyapsweep.config import Config
from lyapsweep.sweep.execute import compile_ahead


def config(kind):
    return Config.of(
        {
            "dataset": {"kind": "simulated", "system": "henon", "length": 300},
            "cell": {"kind": kind, "units": 4},
            "windows": {"length": 20, "batch": 4},
        }
    )


@pytest.fixture
def started(monkeypatch):
    configs = []
    monkeypatch.setattr(compile_ahead, "start", lambda found: configs.extend(found))
    return configs


def test_each_kind_of_cell_that_has_loops_is_compiled_once(started, monkeypatch):
    monkeypatch.setattr(compile_ahead, "is_cached", lambda *_: False)
    with compile_ahead.compiling_ahead(map(config, ["gru", "sbo", "gru", "plrnn"])):
        assert [c.cell["kind"] for c in started] == ["gru", "plrnn"]


def test_nothing_is_compiled_that_is_cached_or_runs_on_torch(started, monkeypatch):
    monkeypatch.setattr(compile_ahead, "is_cached", lambda *_: True)
    with compile_ahead.compiling_ahead([config("gru")]):
        assert not started
    monkeypatch.setattr(compile_ahead, "is_cached", lambda *_: False)
    monkeypatch.setenv(VARIABLE, "torch")
    with compile_ahead.compiling_ahead([config("gru")]):
        assert not started


@pytest.mark.slow
def test_what_is_compiled_ahead_is_all_that_a_trial_needs(tmp_path):
    """Run the process to its end, then a trial, which finds everything in the cache."""
    import os
    import subprocess
    import sys

    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path), VARIABLE: "compiled"}
    ahead = f"from tests.test_compile_ahead import config; from {compile_ahead.__name__} import compile_loops as c; "
    trial = (
        "from numba.core import event; compiled = event.RecordingListener(); "
        "event.register('numba:compile', compiled); from lyapsweep.trial import run_trials; "
        "from tests.test_compile_ahead import config; "
        "pack = [config('plrnn').changed({'training/steps': 2, 'seed': s}) for s in (0, 1)]; "
        "[*run_trials(pack)]; print(len(compiled.buffer))"
    )
    for program, expected in ((ahead + "c([config('plrnn')])", ""), (trial, "0")):
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment)
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip() == expected


def test_a_config_that_fails_leaves_the_others(monkeypatch):
    monkeypatch.setattr("lyapsweep.problems.problem_of", lambda c: np.testing.assert_equal(c.cell["kind"], "none"))
    compile_ahead.compile_loops([config("gru"), config("plrnn")])
