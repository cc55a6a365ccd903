"""Which engine trains: the setting, why it falls back to torch, what is recorded, and that a fallback works."""

import logging
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from filelock import FileLock

from lyapsweep.compiled import engine
from lyapsweep.config import Config
from lyapsweep.problems import problem_of
from lyapsweep.problems.network import build_network
from lyapsweep.registry import UnknownName
from lyapsweep.training.compiled_support import obstacle
from lyapsweep.trial import run_trial

HENON = {
    "dataset": {"kind": "simulated", "system": "henon", "length": 300},
    "windows": {"length": 20, "batch": 4},
    "training": {"steps": 4, "report_every": 2},
    "lyapunov": {"steps": 10, "warmup": 2},
    "measures": ["loss"],
}
PROGRAM = """
import sys
{before}
from lyapsweep.config import Config
from lyapsweep.trial import run_trial
config = Config.of({content!r})
print([record.provenance.engine for record in run_trial(config)][-1])
"""


@pytest.fixture(autouse=True)
def _auto(monkeypatch):
    torch.set_default_dtype(torch.float32)  # as outside of tests
    monkeypatch.setenv(engine.VARIABLE, "auto")
    engine.tell.cache_clear()


def content(kind="plrnn", **sections):
    return {**HENON, "cell": {"kind": kind, "units": 4}, **sections}


def last_record(**settings):
    return [*run_trial(Config.of(content(**settings)))][-1]


def in_a_new_process(before="", **environment):
    """The engine that a training in a new process ran on, and what it wrote to standard error."""
    program = PROGRAM.format(before=before, content=content())
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env={**os.environ, **environment}, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_an_engine_is_one_of_three(monkeypatch):
    monkeypatch.setenv(engine.VARIABLE, "numpy")
    with pytest.raises(UnknownName, match="engine"):
        engine.chosen_engine()


def test_the_engine_is_recorded_and_is_no_setting_of_a_config():
    pytest.importorskip("numba")
    compiled = last_record()
    engine.choose_engine("torch")
    on_torch = last_record()
    assert (compiled.provenance.engine, on_torch.provenance.engine) == ("compiled", "torch")
    assert compiled.trial == on_torch.trial
    assert compiled.measures["loss"] == pytest.approx(on_torch.measures["loss"], rel=1e-4)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"kind": "sbo"}, "Sbo states no compiled loops"),
        ({"regularisation": {"observation": 0.1}}, "not a sum of squares"),
    ],
)
def test_what_compiled_updates_do_not_cover_trains_on_torch_and_says_so_once(caplog, settings, reason):
    pytest.importorskip("numba")
    with caplog.at_level(logging.INFO, "lyapsweep"):
        assert [last_record(**settings).provenance.engine for _ in range(2)] == ["torch", "torch"]
    assert [reason in record.message for record in caplog.records].count(True) == 1
    engine.choose_engine("compiled")
    with pytest.raises(engine.EngineError, match=reason):
        last_record(**settings)


def test_a_rank_deficient_readout_trains_on_torch():
    config = Config.of(content())
    problem = problem_of(config)
    network = build_network([config] * 2, *problem.size)
    objective = problem.objective(network, [config] * 2)
    assert obstacle(network, objective, None) is None
    with torch.no_grad():
        network.readout.B[1, 1] = network.readout.B[1, 0]
    assert "rank-deficient" in (obstacle(network, objective, None) or "")


def test_double_precision_trains_on_torch():
    torch.set_default_dtype(torch.float64)
    assert last_record().provenance.engine == "torch"


def test_a_blas_of_64_bit_integers_is_not_called(monkeypatch):
    blas = pytest.importorskip("lyapsweep.compiled.blas")
    engine.missing.cache_clear()
    monkeypatch.setattr(blas, "integer_type", lambda: "int64_t")
    try:
        assert "integers of type int64_t" in (engine.missing() or "")
        assert last_record().provenance.engine == "torch"
    finally:
        engine.missing.cache_clear()


def test_without_numba_all_runs_on_torch():
    assert in_a_new_process("sys.modules['numba'] = None") == "torch"


def test_a_cache_that_cannot_be_written_leaves_torch():
    pytest.importorskip("numba")
    nowhere = "import numba.core.caching as c; c.CacheImpl._locator_classes = []"  # an administrator writes anywhere
    assert in_a_new_process(nowhere) == "torch"


@pytest.mark.slow
def test_four_processes_may_compile_at_once_into_an_empty_cache(tmp_path):
    program, environment = (
        PROGRAM.format(before="", content=content()),
        {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)},
    )
    running = [
        subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, env=environment)
        for _ in range(4)
    ]
    assert [process.communicate()[0].strip() for process in running] == ["compiled"] * 4
    assert [*Path(tmp_path).rglob("*.nbc")]


def test_one_process_compiles_and_the_others_wait(tmp_path, monkeypatch):
    pytest.importorskip("numba")
    from lyapsweep.compiled.caching import compiled, is_cached, sources_digest
    from lyapsweep.compiled.descent import penalise

    monkeypatch.setattr("numba.core.config.CACHE_DIR", str(tmp_path))
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    function, digest = penalise.py_func, sources_digest("penalise")
    first = compiled(function)
    held = FileLock(Path(first.stats.cache_path) / f"{function.__module__}.penalise_{digest}.lock")
    row, calls = np.ones(3, np.float32), []
    with held:
        waiting = threading.Thread(target=lambda: calls.append(first(row, row, row, row)))
        waiting.start()
        waiting.join(0.3)
        assert not calls
        assert not is_cached("penalise", digest)
    waiting.join()
    assert len(calls) == 1
    assert is_cached("penalise", digest)
