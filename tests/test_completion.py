"""Completion in the shell, as the shell asks for it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = "{'torch', 'numpy', 'scipy', 'yaml', 'ray', 'mlflow', 'optuna', 'pandas'}"


def completed(line, folder, code="main()"):
    """The words that bash is offered for a line whose last word is begun."""
    words = line.split(" ")
    asked = {"_LYAPSWEEP_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
    command = [sys.executable, "-c", f"import sys; from lyapsweep.cli import main; sys.argv[0] = 'lyapsweep'; {code}"]
    done = subprocess.run(command, cwd=folder, env={**os.environ, **asked}, capture_output=True, text=True)
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    ("line", "offered"),
    {
        "lyapsweep sweep fo": ["plain,forcing_interval", "file,fo"],
        "lyapsweep run lorenz": ["plain,lorenz63", "file,lorenz"],
        "lyapsweep sweep --base lorenz": ["plain,lorenz63", "file,lorenz"],
        "lyapsweep sweep --base lorenz63 --objective prediction_t": ["plain,prediction_time"],
        "lyapsweep list sw": ["plain,sweeps"],
        "lyapsweep status m": ["plain,mine", "file,m"],
        "lyapsweep simulate hen": ["plain,henon"],
        "lyapsweep sweep forcing_interval --res": ["plain,--results", "plain,--resume"],
    }.items(),
)
def test_names_are_completed(tmp_path, monkeypatch, line, offered):
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))
    (tmp_path / "results/mine/records").mkdir(parents=True)
    (tmp_path / "results/my_notes").mkdir()
    assert completed(line, tmp_path) == offered


def test_completion_loads_nothing_heavy(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))
    code = f"import atexit; atexit.register(lambda: print(sorted({HEAVY} & set(sys.modules)))); main()"
    assert completed("lyapsweep sweep fo", tmp_path, code)[-1] == "[]"
