"""Commands in a folder of their own: fixtures, and what a command says and leaves."""

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

import lyapsweep
from lyapsweep.cli import main
from lyapsweep.results.record import Record

TINY = """
dataset:  {kind: simulated, system: lorenz63, length: 600}
cell:     {kind: vanilla, units: 4}
forcing:  {kind: sparse, interval: 5}
windows:  {length: 20, batch: 4}
training: {steps: 4, report_every: 2}
lyapunov: {steps: 20, warmup: 5, orbits: 2}
measures: [loss, state_space]
"""
SWEEP = '''
"""Which interval?"""
from lyapsweep.sweep import Sweep
SWEEP = Sweep(base="tiny.yaml", objective="loss", grid={"cell": [{"kind": "lstm", "units": 3}, {"kind": "vanilla"}],
                                                         "forcing/interval": [2, 5], "seed": [0, 1]})
'''


@pytest.fixture(autouse=True)
def double_precision():
    """Off: networks are trained here as users train them."""
    torch.set_default_dtype(torch.float32)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(Path(lyapsweep.__file__).parent.parent))  # of the commands typed in
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    Path("tiny.yaml").write_text(TINY)
    Path("ask.py").write_text(SWEEP)
    return tmp_path


def call(*args):
    return CliRunner().invoke(main, [str(a) for a in args])


def ok(*args):
    result = call(*args)
    assert result.exit_code == 0, result.stderr
    return result.stdout


def complaint(status, *args):
    """The one line on stderr of a command that must end with this status."""
    result = call(*args)
    assert result.exit_code == status, (result.output, result.exception)
    assert re.fullmatch(r"Error: .+\n", result.stderr), result.stderr
    return result.stderr


def typed_in(*args, **options):
    """A process that hears Ctrl-C, as in a terminal: a shell's background jobs inherit that it is ignored."""
    command = [sys.executable, "-u", "-m", "lyapsweep", *map(str, args)]
    heard = lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)  # noqa: E731
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, **pipes, preexec_fn=heard, **options)


def records(name="tiny"):
    return [Record.load(file) for file in sorted(Path("results", name, "records").glob("*.npz"))]
