"""Imports that were documented or used with version 0.1 still work, with a warning that names the new place."""

import importlib
import re
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

import lyapsweep
from lyapsweep import compat

HOWTO = (Path(__file__).resolve().parents[1] / "docs/howto.md").read_text()
IN_HOWTO = sorted(set(re.findall(r"^from lyapsweep.*$", HOWTO, re.MULTILINE)))
IN_SCRIPTS = """
from lyapsweep import Config, load, lyapunov_spectrum
from lyapsweep import datasets, foreign, systems, training
from lyapsweep import evaluation, trial
from lyapsweep.analysis import correlation
from lyapsweep.analysis import boundary, incremental, partial, transfer
from lyapsweep.cells import CELLS
from lyapsweep.cells.unrolled import unroll
from lyapsweep.checkpoint import Checkpoints
from lyapsweep.cli import main
from lyapsweep.config import Config
from lyapsweep.dynamics import lyapunov_spectra
from lyapsweep.evaluation import FORECASTS, HORIZON_LYAPUNOV_TIMES, LONGEST_LAG, in_double, on_attractor
from lyapsweep.flossing import Flossing, refuse_low_rank
from lyapsweep.foreign import from_frame
from lyapsweep.inits import INITS
from lyapsweep.measures import MEASURES
from lyapsweep.measures.power_spectrum import spectral_distance
from lyapsweep.objectives import ForcedWindows
from lyapsweep.readouts import inverse
from lyapsweep.readouts.inverse import Inferred
from lyapsweep.record import load_folder
from lyapsweep.regularisation import penalty
from lyapsweep.sweep import Sweep, spaces
from lyapsweep.sweep.trainable import outlast
from lyapsweep.table import Table
from lyapsweep.training import Clip, Descent, Progress, Rates, collect, flatten, train
from lyapsweep.trial import aim, build, data, force, network_spectrum, run_trial, run_trials, sizes
import lyapsweep.evaluation, lyapsweep.driven
""".strip().splitlines()


@pytest.mark.parametrize("statement", [*IN_SCRIPTS, *IN_HOWTO])
def test_old_imports_work(statement):
    exec(statement, {})


@pytest.mark.parametrize("old", compat.MOVED_MODULES)
def test_moved_modules_are_the_new_ones(old, monkeypatch):
    monkeypatch.delitem(sys.modules, old, raising=False)
    with pytest.warns(DeprecationWarning, match=f"{old} was moved. Import {compat.MOVED_MODULES[old]}"):
        module = importlib.import_module(old)
    new = importlib.import_module(compat.MOVED_MODULES[old])
    assert not Path(lyapsweep.__file__).parent.joinpath(*old.split(".")[1:]).with_suffix(".py").exists()
    names = [name for name in vars(new) if not name.startswith("__")]
    assert all(getattr(module, name) is getattr(new, name) for name in names)


def test_the_warning_names_the_line_that_imports(tmp_path):
    program = tmp_path / "old.py"
    program.write_text("x = 1\nfrom lyapsweep.record import load_folder\n")
    run = [sys.executable, "-W", "default::DeprecationWarning", program]
    complaint = subprocess.run(run, capture_output=True, text=True, check=True, cwd=Path.cwd()).stderr
    assert "old.py:2: DeprecationWarning: lyapsweep.record was moved. Import lyapsweep.results.record." in complaint


def test_what_is_set_in_an_old_module_is_set_in_the_new_one(monkeypatch):
    import lyapsweep.driven

    from lyapsweep.evaluation import task

    monkeypatch.setattr(task, "NUMBERS", task.NUMBERS)
    lyapsweep.driven.NUMBERS = 6
    assert task.NUMBERS == 6


def test_renamed_names_are_found(monkeypatch):
    monkeypatch.setitem(compat.RENAMED, "lyapsweep.record.Register", "Record")
    from lyapsweep.record import Register  # type: ignore[import-not-found]

    assert Register is lyapsweep.Record


def test_unknown_names_are_errors():
    for statement in ("from lyapsweep.record import nothing", "from lyapsweep.evaluation import nothing"):
        with pytest.raises(ImportError):
            exec(statement, {})
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("lyapsweep.nothing")
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        lyapsweep.nothing


def test_the_hook_is_installed_once():
    compat.install()
    assert sum(isinstance(finder, compat.MovedModuleFinder) for finder in sys.meta_path) == 1


def test_public_names_are_listed_and_found():
    assert set(lyapsweep.__all__) == set(lyapsweep.MODULES) <= set(dir(lyapsweep))
    with warnings.catch_warnings():
        warnings.simplefilter("error", DeprecationWarning)
        assert all(getattr(lyapsweep, name).__name__ == name for name in lyapsweep.__all__)
