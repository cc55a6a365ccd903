"""The command line as a user meets it: help, lists, bad input, and how numbers are shown."""

import json
import math
import re
import shlex
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import made_up
import pytest
from command_line import TINY, call, complaint, double_precision, folder, ok  # noqa: F401

from lyapsweep import datasets
from lyapsweep.cli import main, options, printing, registered

# Help, version, and a quick start


@pytest.mark.parametrize("command", [None, *main.commands])
def test_help_has_a_sentence_and_an_example_that_parses(command):
    text = ok(*filter(None, (command, "--help")))
    examples = re.findall(r"^ +lyapsweep (.+)$", text.partition("Example:")[2], re.MULTILINE)
    assert examples
    for example in examples:
        name, *args = shlex.split(example)
        assert command in (None, name)
        main.commands[name].make_context(name, args)


def test_version():
    assert re.search(r"\d+\.\d+", ok("--version"))


def test_no_option_takes_an_infinite_number():
    floats = [(name, p) for name, command in main.commands.items() for p in command.params if "float" in p.type.name]
    assert len(floats) >= 8
    for name, option in floats:
        assert isinstance(option.type, options.FiniteRange) or option.callback is options.time_step, (name, option.name)
    for value in ("inf", "nan"):
        result = call("fixed-points", "henon", "--slow", value)
        assert (result.exit_code, f"'--slow': {value} is not a finite number." in result.stderr) == (2, True)


HEAVY = ("torch", "scipy", "yaml", "ray", "mlflow", "optuna", "pandas", "plotly", "dysts")


@pytest.mark.parametrize(
    "args", ["list", "list systems --json", "list sweeps", "status tiny", "--help", "sweep --help"]
)
def test_little_is_loaded_for_little_work(args):
    if args.startswith("status"):
        ok("run", "tiny.yaml", "--no-tracking")
    code = f"import sys; from lyapsweep.cli import main; main({args.split()!r}, standalone_mode=False); "
    code += f"print('loaded:', *(m for m in {HEAVY!r} if m in sys.modules))"
    out = subprocess.check_output([sys.executable, "-c", code], text=True)
    assert out.splitlines()[-1] == "loaded:"


# list


def test_list_names_every_member_with_its_settings():
    listed = json.loads(ok("list", "--json"))
    families = ["cells", "systems", "datasets", "measures", "inits", "forcings", "readouts", "configs", "sweeps"]
    assert list(listed) == families
    assert all(member["sentence"] for family in listed.values() for member in family)
    forcings = {member["name"]: member["knobs"] for member in listed["forcings"]}
    assert forcings["sparse"] == {"interval": 16}
    assert {"lorenz63", "Halvorsen"} <= {member["name"] for member in listed["systems"]}
    simulated = listed["datasets"][0]
    assert simulated["needed"] == ["system"]
    assert {m["name"]: m["direction"] for m in listed["measures"]}["prediction_time"] == "maximise"


def test_the_listed_members_are_the_registered_ones():
    assert registered.FILE.read_text() == registered.as_text(), "run registered.write() (lyapsweep/cli/registered.py)"


def test_list_of_one_family_is_that_family():
    text = ok("list", "systems")
    assert "rho=28.0" in text
    assert "Halvorsen" in text
    assert "vanilla" not in text
    assert "vanilla" in ok("list")


# Bad input: status 2 and one line that names place, value and remedy


def broken(name, text):
    Path(name).write_text(textwrap.dedent(text))
    return name


WRONG = {
    "unknown key": (
        ["run", "tiny.yaml", "--set", "forcing/intervall=8"],
        r"forcing/intervall is not known.*interval\?",
    ),
    "bad type": (["run", "tiny.yaml", "--set", "cell/units=many"], "cell/units must be int, but got 'many'"),
    "long interval": (["run", "tiny.yaml", "--set", "forcing/interval=21"], "interval=21, length=20"),
    "no config": (["run", "none.yaml"], "none.yaml: there is no such config file"),
    "form of --set": (["run", "tiny.yaml", "--set", "foo"], r"--set foo: .* for example --set forcing/interval=8"),
    "yaml of --set": (["run", "tiny.yaml", "--set", "measures=[loss"], "not YAML"),
    "name": (["run", "tiny.yaml", "--name", "../up"], r"--name may hold.*'\.\./up'"),
    "device": (["run", "tiny.yaml", "--device", "gpu9"], "--device gpu9"),
    "no sweep": (["sweep", "none.py"], "none.py: there is no such sweep file.*ask.py"),
    "trials of a grid": (["sweep", "ask.py", "--trials", "3", "--dry-run"], "whole, but got trials=3"),
    "change of a sweep": (["sweep", "ask.py", "--set", "trainin/steps=3", "--dry-run"], "trainin.*training"),
    "form of --zoom": (["sweep", "ask.py", "--zoom", "seed=1-2"], r"--zoom seed=1-2: write --zoom init/gain=1.2..1.6"),
    "axis of --zoom": (["sweep", "ask.py", "--zoom", "sed=0..1"], "No axis is called 'sed'. Did you mean 'seed'"),
    "nothing to refine": (["sweep", "ask.py", "--refine", "--dry-run"], "--refine needs a whole grid with two axes"),
    "family": (["list", "cell"], "No family is called 'cell'. Did you mean 'cells'"),
    "experiment": (["atlas", "none"], "No records in none or results/none.*mlflow.db"),
    "store": (["atlas", "none", "--tracking-uri", "sqlite:///none.db"], "no MLflow store at none.db"),
}


@pytest.mark.parametrize("case", WRONG)
def test_bad_input_is_one_line_that_helps(case):
    args, message = WRONG[case]
    assert re.search(message, complaint(2, *args))
    assert not Path("results").exists()


def test_usage_errors_end_with_2_as_well():
    assert call("run").exit_code == call("spectrum", "henon", "--steps", "0").exit_code == call("rum").exit_code == 2


def test_a_bad_cell_in_a_recording_is_named():
    rows = [f"{t},{math.sin(t)}" for t in range(200)]
    rows[76] = "76,nan"
    Path("data.csv").write_text("t,x\n" + "\n".join(rows))
    text = TINY.replace("{kind: simulated, system: lorenz63, length: 600}", "{kind: recorded, path: data.csv}")
    assert re.search(r"data.csv: .*row 78, column 'x'", complaint(2, "run", broken("own.yaml", text)))
    assert not Path("results").exists()


def test_files_that_are_something_else():
    assert "is not YAML" in complaint(2, "run", broken("bad.yaml", "cell: {kind: [}\n"))
    assert re.search(r"line 2: NameError", complaint(2, "sweep", broken("bad.py", "x = 1\nSWEEP = missing\n")))


def test_an_error_that_nobody_foresaw_is_one_line_too_and_debug_shows_where(monkeypatch):
    burst = eval("lambda **settings: {}['out of luck']")  # which no file of a user holds
    monkeypatch.setattr(datasets, "build", burst)
    line = complaint(1, "run", "tiny.yaml", "--no-tracking")
    assert "KeyError: 'out of luck' (unexpected; --debug shows the traceback)" in line
    for args in (["--debug", "run", "tiny.yaml"], ["run", "tiny.yaml", "--debug"]):
        result = call(*args, "--no-tracking")
        assert result.exit_code == 1
        assert "in <lambda>\nKeyError: 'out of luck'" in result.stderr


# Numbers


@pytest.mark.parametrize(
    ("floor", "text"),
    [
        (11.0, "(floor 11, saturation 10: blind, it cannot tell a network at rest from the attractor on these data)"),
        (2.0, "(floor 2, saturation 10)"),
    ],
)
def test_a_score_that_tells_nothing_is_said_to(floor, text):
    record = replace(made_up.records()[0], floors={"state_space": floor}, saturations={"state_space": 10.0})
    assert dict(printing.scores(record))["state_space"].endswith(text)


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (0.018123, 0.00042, "0.01812 ± 0.00042"),
        (-14.5723, 0.0096, "-14.5723 ± 0.0096"),
        (2.0, math.nan, "2"),
        (-math.inf, math.nan, "-inf"),
        (0.5, 0.0, "0.5 ± 0"),
        (1.0, 3e-17, "1.00000000 ± 0.00000000"),
        (-644.0, 39.0, "-644 ± 39"),
    ],
)
def test_a_value_is_shown_to_the_digits_that_its_error_leaves(value, error, text):
    assert printing.together(value, error) == text
