"""--json and --quiet: what every command reports to programs."""

import json
import math
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from command_line import call, complaint, double_precision, folder, ok  # noqa: F401

from lyapsweep.cli import main, reporting
from lyapsweep.results.outcome import Outcome

PAGE = Path(__file__).parents[1] / "docs/json.md"
SHORT = ("--steps", "50", "--warmup", "5", "--orbits", "2")
COMMANDS = {  # command: its arguments, and where its result lies
    "run": (["tiny.yaml", "--no-tracking"], r"results/tiny/records/\w+-00000004.npz"),
    "plan": (["ask.py"], None),
    "status": (["tiny"], "results/tiny"),
    "suggest": (["henon"], None),
    "spectrum": (["henon", *SHORT, "--plot", "p.html"], "p.html"),
    "fixed-points": (["henon", "--candidates", "16"], None),
    "import": (["theirs.csv", "--settings", "lr", "--outcome", "loss", "--trial", "t"], "results/theirs"),
    "simulate": (["henon", "series.npy", "--samples", "300"], "series.npy"),
    "experiments": ([], "results/tiny"),
    "compare": (["tiny", "tiny"], None),
    "list": (["sweeps"], "architectures\nborder\n.*"),
}
OTHERS = {  # keys of other arguments than these
    "suggest": {"embedding", "curves", "surrogates", "noise", "samples", "models"},
    "fixed-points": {"trials", "counts", "values", "relation"},
    "list": {"direction", "unit"},
    "status": {"host", "pid", "time"},
    "run": {"null"},
}


@pytest.fixture(scope="module")
def documented():
    """The keys of the page by command."""
    rows = re.findall(r"^\| (`.+?) \| (.+) \|$", PAGE.read_text(), re.MULTILINE)
    return {name: re.findall("`(.+?)`", keys) for names, keys in rows for name in re.findall("`(.+?)`", names)}


def keys(content):
    """All keys of nested JSON."""
    if isinstance(content, dict):
        return set(content).union(*map(keys, content.values()))
    return set().union(*map(keys, content)) if isinstance(content, list) else set()


def prepared(command):
    Path("theirs.csv").write_text("t,lr,loss\na,0.1,0.5\nb,0.2,0.25\n")
    if command in ("status", "experiments", "compare"):
        ok("run", "tiny.yaml", "--no-tracking")
    return COMMANDS[command]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_prints_one_document_with_the_keys_of_the_page(command, documented):
    arguments, _ = prepared(command)
    given = call(command, *arguments, "--json")
    assert (given.exit_code, given.stderr) == (0, "")
    assert set(documented[command]) - OTHERS.get(command, set()) <= keys(json.loads(given.stdout))


@pytest.mark.parametrize("command", COMMANDS)
def test_a_quiet_command_prints_the_path_of_its_result(command):
    arguments, path = prepared(command)
    assert re.fullmatch(f"{path}\n" if path else "", ok(command, *arguments, "--quiet"), re.DOTALL)


def test_every_command_that_reports_has_both_options(documented):
    having = {name for name, c in main.commands.items() if {"json", "quiet"} <= {p.name for p in c.params}}
    assert having == {name for name in documented if name in main.commands} == {*COMMANDS, "sweep", "fit"}


def test_errors_stay_on_stderr_with_their_status():
    assert "none.yaml" in complaint(2, "run", "none.yaml", "--json")
    assert "Give one of them" in complaint(2, "list", "--json", "--quiet")
    given = call("run", "tiny.yaml", "--no-tracking", "--set", "training/lr=1e30", "--set", "cell/kind=plrnn", "--json")
    assert given.exit_code == 1
    assert json.loads(given.stdout)["outcome"] == "diverged"
    assert re.fullmatch("Error: Training diverged .+\n", given.stderr)


def test_values_are_strict_json():
    @dataclass
    class Found:
        values: np.ndarray
        place: Path
        end: Outcome

    found = Found(np.array([1.0, math.nan, -math.inf, 2 + 1j]), Path("a/b"), Outcome.FINISHED)
    said = json.dumps(reporting.plain({"found": found, "all": (np.int64(3), None)}), allow_nan=False)
    expected = {"values": [[1.0, 0.0], [None, 0.0], ["-inf", 0.0], [2.0, 1.0]], "place": "a/b", "end": "finished"}
    assert json.loads(said) == {"found": expected, "all": [3, None]}
