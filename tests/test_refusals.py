"""What cannot be trained is refused in one line, place, value and remedy, with status 2, before anything is written."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from lyapsweep.cli import main

RECORDING = """
dataset:  {kind: recorded, path: ok.npy}
cell:     {kind: vanilla, units: 4}
forcing:  {kind: sparse, interval: 5}
windows:  {length: 20, batch: 4}
training: {steps: 2}
lyapunov: {steps: 20, warmup: 5, orbits: 2}
measures: [loss, state_space]
"""
SIMULATED = RECORDING.replace("{kind: recorded, path: ok.npy}", "{kind: simulated, system: lorenz63, length: 600}")
SWEEP = """
from lyapsweep.sweep import Sweep
SWEEP = Sweep(base="recording.yaml", objective="loss", grid={"seed": [0, 1]})
"""


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    torch.set_default_dtype(torch.float32)
    monkeypatch.chdir(tmp_path)
    rows = np.sin(np.arange(300)[:, None] / np.array([7.0, 11.0, 13.0]))
    wrong = {
        "ok": rows,
        "cube": np.stack([rows, rows], axis=2),
        "none": rows[:0],
        "bare": rows[:, :0],
        "huge": rows * 1e300,
    }
    wrong |= {"complex": rows + 1j, "still": rows * [1, 1, 0], "nan": np.where(rows == rows[17], np.nan, rows)}
    for name, values in (wrong | {"half": rows.astype(np.float16), "whole": (1000 * rows).astype(np.int16)}).items():
        np.save(f"{name}.npy", values)
    np.save("sine.npy", np.sin(np.arange(1200) / 7))
    Path("words.npy").write_text("no array")
    for name, header in (("a", "x,y,z"), ("b", "x,y,w"), ("twice", "x,x,z")):
        np.savetxt(f"{name}.csv", rows, delimiter=",", header=header, comments="")
    Path("recording.yaml").write_text(RECORDING)
    Path("simulated.yaml").write_text(SIMULATED)
    Path("ask.py").write_text(SWEEP)


def refused(*args: str) -> str:
    result = CliRunner().invoke(main, list(args))
    assert result.exit_code == 2, (result.output, result.exception)
    assert result.stdout == ""
    assert re.fullmatch(r"Error: .+\n", result.stderr), result.stderr
    assert not Path("results").exists()
    return result.stderr


FORCINGS = {
    "interval beyond the window": ({"forcing/interval": 21}, "forcing/interval <= windows/length.*21, length=20"),
    "interval 0": ({"forcing/interval": 0}, "forcing/interval >= 1 must hold, but got 0"),
    "interval of a truncation": ({"forcing": "{kind: truncated, interval: 21}"}, "forcing/interval <= windows/length"),
    "alpha above 1": ({"forcing": "{kind: generalised, alpha: 1.5}"}, "0 <= forcing/alpha <= 1 .*1.5"),
    "alpha below 0": ({"forcing": "{kind: generalised, alpha: -0.1}"}, "0 <= forcing/alpha <= 1 .*-0.1"),
    "alpha no number": (
        {"forcing": "{kind: generalised, alpha: .nan}"},
        "forcing/alpha must be a finite number, but got nan",
    ),
    "alpha and interval": ({"forcing": "{kind: generalised, alpha: 0.1, interval: 5}"}, "interval is not known"),
    "alpha of sparse": ({"forcing/alpha": 0.1}, "forcing/alpha is not known for forcing 'sparse'"),
    "spread below 0": ({"forcing": "{kind: random, spread: -1}"}, "forcing/spread >= 0 must hold, but got -1"),
    "kind that is a section": ({"forcing/kind": "{sparse: 3}"}, "No forcing is called '{'sparse': 3}'"),
    "auto of a short series": (
        {"forcing/interval": "auto"},
        "auto cannot be computed: 500 samples.*Set forcing/interval",
    ),
    "auto without chaos": (
        {"forcing/interval": "auto", "dataset/path": "sine.npy"},
        "forcing/interval: auto needs chaotic data, but the verdict is no evidence of chaos.*choose another forcing",
    ),
    "fewer units than features": (
        {"readout/kind": "identity", "cell/units": 2},
        "readout/kind 'identity': cell/units=2 is below the 3 features of the series. Raise",
    ),
}
SETTINGS = {
    "no units": ({"cell/units": 0}, "cell/units must be an integer >= 1, but got 0"),
    "no hidden": ({"cell": "{kind: shallow_plrnn, hidden: 0}"}, "cell/hidden must be an integer >= 1, but got 0"),
    "no matrix to hold": ({"regularisation/attractor": 0.1}, "A z .* W phi.*, but got Vanilla. Set it to 0"),
    "infinite pull": (
        {"regularisation/latent": ".inf"},
        "regularisation/latent must be a finite number >= 0, but got inf",
    ),
    "infinite rate": ({"training/lr": ".inf"}, "training/lr must be a finite number > 0, but got inf"),
    "unknown measure": ({"measures": "[los]"}, "No measure is called 'los'. Did you mean 'loss'"),
    "measure twice": ({"measures": "[loss, loss]"}, "'loss' is listed twice"),
    "measures no list": (
        {"measures": "loss"},
        r"measures must be a list, such as \[loss, state_space\], but got 'loss'",
    ),
    "window beyond the series": ({"windows/length": 300}, "length=300 for a series of 225 steps. Shorten"),
}
FILES = {
    "absent": ({"dataset/path": "gone.csv"}, "gone.csv: there is no such file"),
    "no name": ({"dataset/path": "[null]"}, r"dataset/path must name a file, or list files, but got \[None\]"),
    "a cube": ({"dataset/path": "cube.npy"}, r"cube.npy: needs real numbers .*\(300, 3, 2\)"),
    "complex": ({"dataset/path": "complex.npy"}, "complex.npy: needs real numbers"),
    "no rows": ({"dataset/path": "none.npy"}, r"none.npy: needs real numbers .*\(0, 3\)"),
    "no columns": ({"dataset/path": "bare.npy"}, r"bare.npy: needs real numbers .*\(300, 0\)"),
    "words": ({"dataset/path": "words.npy"}, "words.npy: not a numpy array of numbers. Write one with"),
    "not a number": ({"dataset/path": "nan.npy"}, "nan.npy: 3 cells are missing.*row 17, column 'column 0'"),
    "no variance": ({"dataset/path": "huge.npy"}, "huge.npy: column 'column 0' has no finite variance. Give"),
    "a constant": ({"dataset/path": "still.npy"}, "still.npy: column 'column 2' is constant .* Leave it out"),
    "no such column": ({"dataset/columns": "[q]", "dataset/path": "a.csv"}, "a.csv: No column is called 'q'. Known: x"),
    "true as a column": ({"dataset/columns": "[true]"}, "ok.npy: No column is called 'True'"),
    "a column twice": ({"dataset/columns": "[x, 0]", "dataset/path": "a.csv"}, "column 'x' is named twice"),
    "a name of two": ({"dataset/columns": "[x]", "dataset/path": "twice.csv"}, "2 columns are called 'x'. Give pos"),
    "other columns": ({"dataset/path": "[a.csv, b.csv]"}, "b.csv: columns x, y, w are not those of a.csv, x, y, z"),
    "a file twice": ({"dataset/path": "[a.csv, a.csv]"}, "dataset/path lists a file twice: a.csv, a.csv"),
    "past before the start": ({"dataset/dimension": 5, "dataset/delay": 75}, "300 rows are too few .* takes 1241 rows"),
    "nothing held out": ({"dataset/test": 0}, "dataset/test must be a finite number > 0 and < 1, but got 0"),
    "all held out": ({"dataset/test": 1}, "dataset/test must be a finite number > 0 and < 1, but got 1"),
    "no time": ({"dataset/dt": 0}, "dataset/dt must be a finite number > 0, but got 0"),
    "endless time": ({"dataset/dt": ".inf"}, "dataset/dt must be a finite number > 0, but got inf"),
    "no exponent": ({"dataset/lambda_max": ".nan"}, "dataset/lambda_max must be a finite number or null, but got nan"),
}
EQUATIONS = {
    "noise below 0": ({"dataset/noise": -0.1}, "dataset/noise must be a finite number >= 0, but got -0.1"),
    "endless noise": ({"dataset/noise": ".inf"}, "dataset/noise must be a finite number >= 0, but got inf"),
    "no such column": ({"dataset/observe": "[w]"}, "No column is called 'w'. Known: x, y, z"),
    "a column twice": ({"dataset/observe": "[x, x]"}, "column 'x' is named twice"),
    "word for a number": ({"dataset/parameters": "{rho: many}"}, "system 'lorenz63': rho must be a number.*'many'"),
    "rest": ({"dataset/parameters": "{rho: 0.5}", "dataset/length": 20000}, "the trajectory comes to rest"),
    "too little held out": ({"dataset/test": 0.01}, "test . length >= 10 must hold, but got length=600"),
}
RECORDED = FORCINGS | SETTINGS | FILES


def changes(wanted: dict) -> list[str]:
    return [part for path, value in wanted.items() for part in ("--set", f"{path}={value}")]


@pytest.mark.parametrize("case", RECORDED)
def test_a_recording(case):
    wanted, message = RECORDED[case]
    assert re.search(message, refused("run", "recording.yaml", *changes(wanted)))


@pytest.mark.parametrize("case", EQUATIONS)
def test_a_simulation(case):
    wanted, message = EQUATIONS[case]
    assert re.search(message, refused("run", "simulated.yaml", *changes(wanted)))


@pytest.mark.parametrize("path", ["gone.csv", "nan.npy"])
def test_a_sweep_reads_its_files_before_it_starts(path):
    result = CliRunner().invoke(main, ["sweep", "ask.py", "--set", f"dataset/path={path}"])
    assert result.exit_code == 2, (result.output, result.exception)
    assert re.fullmatch(rf"Error: {path}: .+\n", result.stderr), result.stderr
    assert not list(Path("results").rglob("*.npz")) + list(Path("results").rglob("*.db"))


@pytest.mark.parametrize("path", ["half.npy", "whole.npy"])
def test_numbers_of_other_sizes_are_read(path):
    result = CliRunner().invoke(main, ["run", "recording.yaml", "--no-tracking", "--set", f"dataset/path={path}"])
    assert result.exit_code == 0, result.output


def test_recordings_too_short_for_a_window_are_told_of(caplog):
    """A window of 20 steps takes 21 rows."""
    rows = np.load("ok.npy")
    np.save("short.npy", rows[:20])
    args = ["run", "recording.yaml", "--no-tracking", "--set", "dataset/path=[short.npy, ok.npy]"]
    assert CliRunner().invoke(main, args).exit_code == 0
    assert "1 of 2 trajectories are not trained on, their lengths 20 do not exceed windows/length 20" in (caplog.text)
    caplog.clear()
    assert CliRunner().invoke(main, [*args[:-1], "dataset/path=[half.npy, ok.npy]"]).exit_code == 0
    assert "not trained on" not in caplog.text


def test_a_dry_run_reads_the_files():
    assert "gone.npy: there is no such file" in refused(
        "sweep", "ask.py", "--dry-run", "--set", "dataset/path=gone.npy"
    )
