"""Errors in the code of users name file and line; values of NumPy and pathlib are values; nothing stays behind."""

import re
from pathlib import Path

import made_up
import numpy as np
import pytest
from click.testing import CliRunner
from made_up_sweeps import TINY

from lyapsweep.cells import CELLS
from lyapsweep.cli import main
from lyapsweep.config import Config
from lyapsweep.registry import BrokenMember
from lyapsweep.sweep import Sweep, SweepError, load
from lyapsweep.sweep.execute.results_folder import ResultsFolder
from lyapsweep.sweep.execute.trainable import train_pack
from lyapsweep.sweep.plan.sampling import draw
from lyapsweep.user_code import described

SPACE = """from lyapsweep.sweep import Sweep
def space(trial):
    {}
SWEEP = Sweep(base="c.yaml", objective="loss", space=space, trials=3)
"""
SPACES = {
    "raise ZeroDivisionError('mine')": r"s\.py, line 3: ZeroDivisionError: mine\.",
    "trial.suggest_int('seed', 9, 5)": r"s\.py, line 3: ValueError: .*9",
    "trial.suggest_categorical('seed', [])": r"s\.py, line 3: ValueError: .*choices",
    "import optuna; raise optuna.TrialPruned()": r"s\.py, line 3: TrialPruned\.",
    "trial.suggest_float('training/lr', 0, 1, log=True)": r"s\.py, line 3: ValueError: .*log",
    "return {'cell/units': trial.params['nope']}": r"s\.py, line 3: KeyError: 'nope'\.",
    "raise SystemExit(0)": r"s\.py, line 3: SystemExit: 0\.",
    "import helper; helper.fail()": r"helper\.py, line 2: LookupError: theirs\.",
    "return {3: 4}": r"s: space must return \{path: value\}.*\{3: 4\}",
    "return 3": r"s: space must return \{path: value\}.*but got 3",
    "return {'training/lr': float('nan')}": r"training/lr must be a finite number > 0, but got nan",
}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    Path("c.yaml").write_text(TINY)
    Path("helper.py").write_text("def fail():\n    raise LookupError('theirs')\n")


def refused(*args: str) -> str:
    """The error of a command that is refused: one line, status 2, nothing left behind."""
    result = CliRunner().invoke(main, list(args))
    assert result.exit_code == 2, (result.output, result.exception)
    assert re.fullmatch(r"Error: .+\n", result.stderr), result.stderr
    assert not Path("results").exists()
    return result.stderr


@pytest.mark.parametrize(("body", "message"), SPACES.items())
def test_an_error_in_a_space_names_file_and_line(body, message):
    Path("s.py").write_text(SPACE.format(body))
    assert re.search(message, refused("sweep", "s.py", "--tracking-uri", "none"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import sys\nsys.exit()\n", r"s\.py, line 2: SystemExit\. A sweep file must not exit; remove the call\."),
        ("import sys\nsys.exit(0)\n", r"s\.py, line 2: SystemExit: 0\. A sweep file must not exit"),
        ("import helper\nhelper.fail()\n", r"helper\.py, line 2: LookupError: theirs"),
        (
            SPACE.replace("space=space, trials=3", "grid={{3: [1]}}"),
            "line 4: SweepError: grid: a path must be text.*got 3",
        ),
        (
            SPACE.replace("space=space, trials=3", "grid=[1]"),
            r"line 4: .*grid: \{path: values\} is needed, but got \[1\]",
        ),
        (SPACE.replace("trials=3", "trials=2.5"), "line 4: .*trials >= 1 must hold, a whole number, but got 2.5"),
        (
            SPACE.replace("trials=3", "trials=3, threshold=float('nan')"),
            "line 4: .*threshold: a finite number is needed",
        ),
    ],
)
def test_a_sweep_file_that_cannot_be_used_is_refused(text, message):
    Path("s.py").write_text(text.format("pass"))
    assert re.search(message, refused("sweep", "s.py"))


@pytest.mark.parametrize("name", ["..", ".", ".hidden", "a/b", "", "../x", 3])
def test_names_that_are_no_folder_of_their_own_are_refused(name):
    with pytest.raises(SweepError, match="name: only letters, digits"):
        Sweep(base="c.yaml", objective="loss", grid={"seed": [0]}, name=name)
    if isinstance(name, str):
        assert "--name may hold" in refused("run", "c.yaml", "--name", name)


@pytest.mark.parametrize("kind", ["x.py:X", "y.py:X", "z.py:X", "w.py:X", "v.py:X"])
def test_an_error_in_the_file_of_a_member_names_file_and_line(kind):
    Path("x.py").write_text("raise RuntimeError('boom')\n")
    Path("y.py").write_text("x = 1\ndef f(:\n")
    Path("z.py").write_text("X = 3\n")
    Path("w.py").write_text("import sys\nsys.exit(0)\n")
    cell = (
        "from lyapsweep.cells import Vanilla\nclass X(Vanilla):\n    def __init__(self, inputs, population):\n        "
    )
    Path("v.py").write_text(f"{cell}int('mine')\n")
    expected = {
        "x.py:X": r"cell 'x\.py:X': x\.py, line 1: RuntimeError: boom\.",
        "y.py:X": r"cell 'y\.py:X': y\.py, line 2: SyntaxError: ",
        "z.py:X": r"cell 'z\.py:X': X must be a class or a function, but is 3\.",
        "w.py:X": r"cell 'w\.py:X': w\.py, line 2: SystemExit: 0",
        "v.py:X": r"v\.py, line 4: ValueError: invalid literal .*'mine'",
    }
    assert re.search(expected[kind], refused("run", "c.yaml", "--set", f"cell={{kind: '{kind}'}}"))


def failing_cell() -> str:
    Path("mine.py").write_text(
        "from lyapsweep.cells import Vanilla\nclass Mine(Vanilla):\n    def draw(self, init, generator):\n"
        "        return {}['W']\n"
    )
    return "mine.py:Mine"


def test_an_error_of_a_cell_at_work_names_file_and_line_also_in_records():
    changes = {"cell": {"kind": failing_cell(), "units": 3}}
    result = CliRunner().invoke(main, ["run", "c.yaml", "--set", "cell={kind: 'mine.py:Mine'}"])
    assert result.exit_code == 1
    assert result.stderr == "Error: mine.py, line 4: KeyError: 'W' (--debug shows the traceback).\n"
    assert not Path("results").exists()
    [[record]] = train_pack([Config.load("c.yaml", changes)])
    assert record.provenance.error == "mine.py, line 4: KeyError: 'W'"


def test_a_library_error_has_no_place_of_a_user():
    with pytest.raises(ValueError, match="dataset needs a kind") as caught:
        Config.of({})
    caught.value.__traceback__ = caught.tb.tb_next  # without this file
    assert not described(caught.value).startswith("test_user_code")
    Path("x.py").write_text("1 / 0\n")
    with pytest.raises(BrokenMember, match=r"^cell 'x\.py:X': x\.py, line 1: ZeroDivisionError: division by zero\."):
        CELLS["x.py:X"]


def test_numpy_numbers_and_paths_in_grids_are_values(tmp_path):
    for name in ("a.csv", "b.csv"):
        Path(name).write_text("x,y\n" + "\n".join(f"{np.sin(i / 3)},{np.cos(i / 5)}" for i in range(200)))
    grid = {
        "dataset": [{"kind": "recorded", "path": p} for p in sorted(Path().glob("*.csv"))],
        "cell/units": np.arange(2, 4),
        "training/lr": list(np.geomspace(1e-3, 1e-1, 3)),
        "seed": range(np.int64(2)),
    }
    sweep = Sweep(base="c.yaml", objective="loss", grid=grid, where={"cell/units": np.int64(2)}, seeds=np.int64(1))
    points = draw(sweep)
    assert len(points) == 2 * 1 * 3 * 2
    assert {type(point.config.cell["units"]) for point in points} == {int}
    assert {point.config.dataset["path"] for point in points} == {"a.csv", "b.csv"}
    plain = {"dataset": {"kind": "recorded", "path": "a.csv"}, "cell/units": 2, "training/lr": 1e-3}
    assert points[0].key == Config.load("c.yaml").changed(plain).id
    Path("p.py").write_text("from pathlib import Path\n" + SPACE.format("return {'dataset/system': Path('henon')}"))
    assert {p.config.dataset["system"] for p in draw(load("p.py"))} == {"henon"}


def test_a_folder_that_is_refused_is_removed_and_one_with_files_is_kept(tmp_path):
    folder = ResultsFolder(tmp_path / "results", "a")
    folder.acquire()
    folder.release()
    assert not (tmp_path / "results").exists()
    (tmp_path / "results").mkdir()
    folder.acquire()
    folder.describe(name="a")
    folder.release()
    assert {p.name for p in (tmp_path / "results" / "a").iterdir()} == {"records", ".lock", "sweep.json"} - {"records"}


@pytest.mark.parametrize("engine", ["scipy", "netcdf4"])
def test_tables_are_written_as_netcdf_and_read_again(tmp_path, engine):
    xarray = pytest.importorskip("xarray")
    if engine not in xarray.backends.list_engines():
        pytest.skip(f"{engine} is not installed")
    finals = made_up.table(refined=None).finals
    for dims in (("cell/kind", "forcing/interval", "seed"), ("trial",), ()):
        finals.to_xarray(*dims).to_netcdf(tmp_path / "x.nc", engine=engine)
        with xarray.open_dataset(tmp_path / "x.nc", engine=engine) as back:
            assert back.attrs["varied"] == '["cell", "forcing/interval", "seed"]'
            assert float(back["measures.loss"].sum()) == pytest.approx(float(finals.frame["measures/loss"].sum()))
            assert "spectra.closed loop" in back
