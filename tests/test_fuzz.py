"""Damaged inputs of every kind are read or refused in words: no traceback, no hang, no file left.

`pytest tests/test_fuzz.py -m slow` draws 20 000 inputs, other ones each time; the fast tests always draw the same.
"""

import json
import math
import os
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from fuzzed_kinds import KINDS
from fuzzed_results import CheckpointFiles, trained
from fuzzed_series import SERIES
from fuzzing import TooSlow, npz, read_or_refused
from hypothesis import HealthCheck, given, settings

from lyapsweep import systems
from lyapsweep.cells.errors import BadWeights
from lyapsweep.cells.torch_files import load_network
from lyapsweep.cli import main
from lyapsweep.cli.errors import explained
from lyapsweep.config import Config, ConfigError
from lyapsweep.datasets import BadSeries
from lyapsweep.datasets.cell_table import to_number
from lyapsweep.datasets.driving import read_inputs
from lyapsweep.datasets.recording import read_recording
from lyapsweep.registry import unknown
from lyapsweep.results.description import BadTable, SweepDescription
from lyapsweep.results.header import BadRecord
from lyapsweep.results.record import Record
from lyapsweep.sweep.execute.results_folder import ResultsFolder
from lyapsweep.sweep.observe.heartbeat import read_heartbeat
from lyapsweep.sweep.plan.definition import SweepError

SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example]
FAST = 50  # inputs per kind
SHARES = {"mappings": 4000, "yaml": 3000, "texts": 2500, "arrays": 2000, "records": 3000, "sweep_files": 1500}
SHARES |= {"state_dicts": 2000, "checkpoints": 500, "commands": 1500}


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def explore(name, folder, examples, same=False):
    kind = KINDS[name](folder)
    run = settings(max_examples=examples, deadline=None, database=None, derandomize=same, suppress_health_check=SLOW)
    run(given(kind.inputs)(kind.check))()


@pytest.mark.parametrize("name", KINDS)
def test_damaged_inputs_are_read_or_refused(name, here):
    explore(name, here, FAST, same=True)


@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS)
def test_20_000_damaged_inputs_are_read_or_refused(name, here):
    assert sum(SHARES.values()) == 20_000
    explore(name, here, SHARES[name])


RECORD_DAMAGE = {
    "no object": lambda header: 0,
    "an outcome that is none": lambda header: header | {"outcome": {"kind": "finished"}},
    "a missing step": lambda header: {k: v for k, v in header.items() if k != "step"},
    "a negative step": lambda header: header | {"step": -1},
    "an id that leaves the folder": lambda header: header | {"id": "../x"},
    "a list as a score": lambda header: header | {"measures": {"loss": [1]}},
    "text as seconds": lambda header: header | {"provenance": {"seconds": "long"}},
    "a list as the data": lambda header: header | {"provenance": {"data": [1]}},
    "a spectrum without exponents": lambda header: changed_spectrum(header, "exponents_per_step", []),
    "fewer errors than exponents": lambda header: changed_spectrum(header, "stderr_per_step", [0.1]),
    "a mapping as an error": lambda header: changed_spectrum(header, "stderr_per_step", [{}, 1, 1]),
    "text as orbits": lambda header: changed_spectrum(header, "orbits", "4"),
}


def changed_spectrum(header, name, value):
    return header | {"spectra": {kind: each | {name: value} for kind, each in header["spectra"].items()}}


@pytest.mark.parametrize("damage", RECORD_DAMAGE.values(), ids=RECORD_DAMAGE)
def test_a_damaged_record_is_refused_with_its_path(damage, here):
    header, arrays = trained()[0]
    npz(here / "a.npz", arrays | {"header": np.array(json.dumps(damage(header)))})
    with pytest.raises(BadRecord, match=r"a\.npz is not a lyapsweep record \(.+\)\.$"):
        Record.load("a.npz")


def test_infinite_numbers_of_a_record_are_read(here):
    header, arrays = trained()[0]
    data = header["provenance"]["data"] | {"predictability_time": "inf", "lambda_max": None, "std": [None, 1.0]}
    header = header | {"provenance": header["provenance"] | {"data": data}, "measures": {"loss": "inf"}}
    npz(here / "a.npz", arrays | {"header": np.array(json.dumps(header))})
    assert Record.load("a.npz").measures == {"loss": math.inf}


def test_settings_that_a_record_may_not_have_are_refused_with_its_path(here):
    header, arrays = trained()[0]
    header = header | {"config": header["config"] | {"training": {"pace": 3}}}
    npz(here / "a.npz", arrays | {"header": np.array(json.dumps(header))})
    with pytest.raises(ConfigError, match=r"^a\.npz: training/pace is not known"):
        Record.load("a.npz")


DESCRIPTIONS = ["[" * 3000, '{"varied": [["seed"]]}', '{"intent": "x"}', '{"outcomes": {"failed": "1"}}']


@pytest.mark.parametrize("text", DESCRIPTIONS)
def test_a_damaged_description_is_refused(text, here):
    (here / "sweep.json").write_text(text)
    with pytest.raises(BadTable, match=r"sweep\.json .+ Remove it; a sweep that is resumed writes it again\.$"):
        SweepDescription.load(here / "sweep.json")


@pytest.mark.parametrize("line", ["[" * 3000, '{"key": 3, "params": {}}', '{"key": "a", "params": 1}'])
def test_a_damaged_point_is_refused(line, here):
    folder = ResultsFolder(here, "x")
    folder.path.mkdir()
    folder.paths.points.write_text(line)
    with pytest.raises(SweepError, match="line 1: no stored point"):
        folder.stored_points()


def test_a_nested_heartbeat_is_none(here):
    (here / "driver.json").write_text("[" * 3000)
    assert read_heartbeat(here) is None


@pytest.mark.parametrize("value", [np.array("x"), {1, 2}, b"x"])
def test_values_that_are_no_settings_are_refused(value):
    with pytest.raises(ConfigError, match="flossing must be a section of settings"):
        Config.of(trained()[0][0]["config"] | {"flossing": value})


def test_arrays_whose_header_is_no_header_are_refused(here):
    np.save("a.npy", np.ones((40, 2)))
    (here / "a.npy").write_bytes((here / "a.npy").read_bytes().replace(b"(40, 2), }", b"(40, 2),  "))
    with zipfile.ZipFile("a.npz", "w") as archive:
        archive.writestr("weight_hh_l0", b"text")
    for name in ("a.npy", "a.npz"):
        with pytest.raises(BadSeries, match=rf"^{name}: "):
            read_inputs(Path(name))
    with pytest.raises(BadWeights, match=r"^a\.npz holds no arrays of numbers"):
        load_network(Path("a.npz"))


def test_cells_and_names_of_any_length_are_read_at_once(here):
    """Time once grew with the square of their length."""
    Path("a.csv").write_text(f"t,x\n0,{'9' * 100_000}x\n1,2\n")
    for read in (lambda: read_recording("a.csv"), lambda: systems.build("9" * 100_000)):
        with read_or_refused(here):
            read()
    assert len(str(unknown("cell", "x" * 10_000, ["y" * 10_000] * 100))) < 5000
    assert len(explained(BadSeries(f"a.csv: {'9' * 100_000}. Rename it.")).message) < 6100
    assert to_number("1.5D+03") == to_number("1500.") == to_number("1.5e3")


COMMANDS = {
    "suggest a.csv --columns ²": "No column is called '²'",
    "suggest a.csv --seed -1": "-1 is not in the range",
    "spectrum henon --seed 999999999999999999999999999": "is not in the range",
    "import a.csv --settings x --outcome y --set cell/kind=[1]": r"'cell/kind' must be one value .+ but is \[1\]",
}


@pytest.mark.parametrize("line", COMMANDS)
def test_values_on_the_command_line_are_refused(line, here):
    Path("a.csv").write_text(SERIES)
    result = CliRunner().invoke(main, line.split())
    assert result.exit_code == 2, result.output
    assert re.search(COMMANDS[line], result.stderr)
    assert os.listdir() == ["a.csv"]


@pytest.mark.parametrize("damage", [{"members": 0}, {"seconds": "x"}, {"continued": [None]}])
def test_a_damaged_checkpoint_is_not_used(damage, here):
    kind = CheckpointFiles(here)
    tree = kind.tree
    kind.write(tree | {"header": tree["header"] | damage})
    assert not kind.checkpoints.latest(["a"], kind.conditions).state
    assert next(iter(damage)) in kind.checkpoints.note
    kind.write(tree)
    assert kind.checkpoints.latest(["a"], kind.conditions).step == 3


def leave():
    Path("left").touch()
    raise BadSeries("refused")


def hang():
    while True:
        pass


def test_the_rule_finds_what_it_forbids(here, monkeypatch):
    for call in (lambda: json.dumps(object()), lambda: int("x"), lambda: {}["x"]):
        with pytest.raises((TypeError, ValueError, KeyError)), read_or_refused(here):
            call()
    with pytest.raises(AssertionError, match="left"), read_or_refused(here):
        leave()
    monkeypatch.setattr("fuzzing.LONGEST", 0.05)
    with pytest.raises(TooSlow), read_or_refused(here):
        hang()
