"""What is varied, said on the command line: axes of grids and spaces, sweeps without a file, and what is resumed."""

import dataclasses
import json
import re
from pathlib import Path

import pytest
from command_line import complaint, double_precision, folder, ok  # noqa: F401

from lyapsweep.results.description import SweepDescription, SweepOptions
from lyapsweep.sweep import Sweep, SweepError
from lyapsweep.sweep.plan.axis_changes import SpaceAxis, parse_values, space_of, with_grid, with_space
from lyapsweep.sweep.plan.sampling import draw

CELLS = [{"kind": "lstm", "units": 3}, {"kind": "vanilla"}]


def sweep(**changes):
    return Sweep(**{"base": "tiny.yaml", "objective": "loss", "grid": {"cell": CELLS, "seed": [0, 1]}, **changes})


def test_values_are_separated_by_commas_outside_of_brackets_and_quotes():
    assert parse_values("4,8,1e-3", "") == parse_values("[4, 8, 1e-3]", "") == [4, 8, 0.001]
    assert parse_values('{kind: gru, units: 3},[a, b],"x,y",null', "") == [
        {"kind": "gru", "units": 3},
        ["a", "b"],
        "x,y",
        None,
    ]
    assert parse_values("cells.py:Mine,gru", "") == ["cells.py:Mine", "gru"]


def test_an_axis_of_kinds_and_one_of_sections_replace_each_other():
    kinds = with_grid(sweep(), {"cell/kind": ["gru"]}, {})
    assert list(kinds.grid.items()) == [("cell/kind", ["gru"]), ("seed", [0, 1])]  # in its place
    assert with_grid(kinds, {"cell": CELLS}, {}).grid == sweep().grid
    assert with_grid(sweep(), {"seed": [5], "training/lr": [1]}, {}).grid == {
        "cell": CELLS,
        "seed": [5],
        "training/lr": [1],
    }


def test_values_are_added_once():
    more = with_grid(sweep(), {}, {"cell/kind": ["gru", "vanilla"], "seed": [1, 2]})
    assert more.grid == {"cell": [*CELLS, {"kind": "gru"}], "seed": [0, 1, 2]}
    with pytest.raises(SweepError, match=r"no axis init/gain to add to \(its axes: cell, seed\)"):
        with_grid(sweep(), {}, {"init/gain": [1]})


def test_a_space_on_the_command_line_replaces_parameters_of_the_sweeps_own():
    def own(trial):
        trial.suggest_float("training/lr", 1, 2)
        return {"seed": trial.suggest_int("seed", 0, 3)}

    axes = {"training/lr": SpaceAxis.parse("log(1e-4, 1e-3)"), "cell": SpaceAxis("choice", tuple(CELLS))}
    points = draw(with_space(sweep(grid=None, space=own, trials=16), axes))
    assert len(points) == 16
    assert all(1e-4 <= point.config.training.lr <= 1e-3 for point in points)
    assert {(point.config.cell["kind"], point.config.cell["units"]) for point in points} == {
        ("lstm", 3),
        ("vanilla", 30),
    }
    assert {point.config.seed for point in points} == {0, 1, 2, 3}
    alone = draw(sweep(grid=None, space=space_of({"forcing/interval": SpaceAxis.parse("logint(1,8)")}), trials=4))
    assert {point.config.forcing["interval"] for point in alone} <= set(range(1, 9))


@pytest.mark.parametrize(
    ("text", "message"),
    {
        "4,8": "p: '4,8' is no distribution. Write one of uniform",
        "lg(1,2)": r"p: No distribution is called 'lg'. Did you mean 'log'\?",
        "log(0,1)": r"p: 0 < low < high must hold, but got log\(0,1\). Write it as in log",
        "uniform(2,1)": r"p: low < high must hold, but got uniform\(2,1\)",
        "int(1,2.5)": r"p: two whole numbers are needed, but got int\(1,2.5\)",
        "uniform(1)": "two finite numbers",
        "uniform(1,.inf)": "two finite numbers",
        "choice()": "there is no value",
        "choice({a)": "not YAML.*Write a,b,c",
    }.items(),
)
def test_a_wrong_distribution_is_refused_with_its_place(text, message):
    with pytest.raises(ValueError, match=message):
        SpaceAxis.parse(text, "p")


WRONG = {
    "form of --grid": (["ask.py", "--grid", "seed"], "--grid seed: write --grid path=..., .*interval=4,8,16"),
    "no value": (["ask.py", "--grid", "seed="], "--grid seed: there is no value"),
    "setting": (["ask.py", "--grid", "forcing/intervall=4"], "ask: .*intervall.*not a valid point.*interval"),
    "value": (
        ["ask.py", "--grid", "forcing/interval=many"],
        "forcing/interval must be a whole number .* but got 'many'",
    ),
    "space of a grid": (["ask.py", "--space", "training/lr=log(1,2)"], "ask: the sweep has a grid.*--grid path=a,b,c"),
    "nothing": ([], "neither a sweep nor --base is given"),
    "no points": (["--base", "tiny.yaml", "--space", "seed=int(0,9)"], "--space: the number of points .*--trials"),
    "both": (
        ["--base", "tiny.yaml", "--space", "seed=int(0,9)", "--trials", "2", "--grid", "cell/units=3"],
        "not both",
    ),
    "base": (["--base", "tinny.yaml"], "--base tinny.yaml: .*Did you mean 'tiny.yaml'"),
    "objective": (["ask.py", "--objective", "lose"], "objective: No measure is called 'lose'. Did you mean 'loss'"),
    "adding to nothing": (["--base", "tiny.yaml", "--grid", "seed+=1"], r"no axis seed to add to \(its axes: none\)"),
    "trials of a grid": (["--base", "tiny.yaml", "--grid", "seed=1", "--trials", "2"], "whole, but got trials=2"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_axes_get_one_line(case):
    words, message = WRONG[case]

    assert re.search(message, complaint(2, "sweep", *words, "--dry-run"))


def test_a_sweep_without_a_file():
    said = ok(
        "sweep",
        "--base",
        "tiny.yaml",
        "--objective",
        "D_stsp",
        "--grid",
        "forcing/interval=2,5",
        "--seeds",
        "3",
        "--dry-run",
    )
    assert "sweep      tiny-interval\n" in said
    assert "objective  state_space\n" in said
    assert "6 trials" in said
    assert "2 trials" in ok("plan", "--base", "tiny", "--seeds", "2")
    hunt = ("--intent", "hunt", "--space", "training/lr=log(1e-4,1e-1)", "--trials", "7", "--name", "mine", "--dry-run")
    said = ok("sweep", "--base", "tiny.yaml", *hunt)
    assert "intent     hunt" in said
    assert "plan  7 trials" in said


def test_a_resumed_sweep_keeps_the_options_of_its_start_and_says_so():
    options = SweepOptions(base="tiny.yaml", seeds=2, grid={"forcing/interval": [2, 5]}, changes={"training/lr": 0.5})
    path = Path("results/tiny-interval/sweep.json")
    path.parent.mkdir(parents=True)
    SweepDescription(options=options).save(path)
    assert json.loads(path.read_text())["options"].keys() == {"base", "seeds", "grid", "changes"}
    assert SweepDescription.load(path).options == options
    said = ok("sweep", "tiny-interval", "--resume", "--seeds", "3", "--dry-run")  # its name is enough
    assert "6 trials" in said
    assert "--grid forcing/interval=2,5: as the sweep was started.\n" in said
    assert "--set training/lr=0.5: as the sweep was started.\n" in said
    assert "--seeds 3: the sweep was started with 2.\n" in said
    said = ok(
        "sweep", "tiny-interval", "--resume", "--grid", "forcing/interval+=5,9", "--grid", "cell/units=4", "--dry-run"
    )
    assert "6 trials" in said  # three intervals, two seeds
    SweepDescription(options=dataclasses.replace(options, added={"forcing/interval": [9]})).save(path)
    assert "8 trials" in ok("sweep", "tiny-interval", "--resume", "--grid", "forcing/interval+=11", "--dry-run")
    assert "8 trials" in ok("sweep", "ask.py", "--dry-run")  # another sweep takes over nothing
