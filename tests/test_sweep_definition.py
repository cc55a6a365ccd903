"""Sweep files, and sweeps that are refused."""

import dataclasses
import subprocess
import sys

import pytest
from made_up_sweeps import TINY, lr_space, written

from lyapsweep.config import ConfigError
from lyapsweep.measures import MEASURES
from lyapsweep.registry import UnknownName
from lyapsweep.sweep import Halving, Sweep, SweepError, load, spaces
from lyapsweep.sweep.execute.runner import run


@pytest.fixture
def base(tmp_path):
    file = tmp_path / "tiny.yaml"
    file.write_text(TINY)
    return file


def test_a_sweep_file_gives_name_question_and_base(base):
    file = written(
        base.parent,
        '''
        """What is asked?

        What is expected.
        """
        from lyapsweep.sweep import Sweep
        SWEEP = Sweep(base="tiny.yaml", objective="loss", grid={"seed": [0, 1]})
        ''',
    )
    sweep = load(file)
    assert (sweep.name, sweep.question) == ("question", "What is asked?\n\nWhat is expected.")
    assert sweep.config().cell["units"] == 4  # found beside the file
    assert sweep.config({"cell/units": 6}).cell["units"] == 6


HUNT = {"objective": "loss", "space": lr_space, "trials": 3, "intent": "hunt"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1\n", "is needed, but the file defines none"),
        ("SWEEP = 3\n", "has a int"),
        ("import os\n\nSWEEP = missing\n", r"question.py, line 3: NameError"),
        ("x = 1\nSWEEP = (\n", r"question.py, line 2: SyntaxError"),
        (
            "from lyapsweep.sweep import Sweep\nSWEEP = Sweep(base='b.yaml', objective='los', grid={'seed': [0]})\n",
            r"line 2: .*Did you mean 'loss'",
        ),
    ],
)
def test_a_sweep_file_that_cannot_be_used_says_why_and_where(tmp_path, text, message):
    with pytest.raises(SweepError, match=message):
        load(written(tmp_path, text))


def test_missing_files_are_named(tmp_path):
    with pytest.raises(SweepError, match="there is no such sweep file"):
        load(tmp_path / "none.py")
    text = "from lyapsweep.sweep import Sweep\nSWEEP = Sweep(base='none.yaml', objective='loss', grid={'seed': [0]})\n"
    with pytest.raises(ConfigError, match=r"no config none\.yaml"):
        load(written(tmp_path, text))


def test_what_a_base_config_must_have(base):
    with pytest.raises(SweepError, match="'state_space' is not among its measures"):
        Sweep(base=base, objective="state_space", grid={"seed": [0]}).config()
    base.write_text(TINY.replace(", report_every: 2", ""))
    with pytest.raises(SweepError, match="Set training/report_every"):
        Sweep(base=base, objective="loss", space=spaces.seed, trials=2, intent="hunt").config()


def test_importing_sweeps_loads_neither_optuna_nor_mlflow_nor_ray_and_workers_only_ray():
    code = (
        "import sys, lyapsweep.sweep{}; print([m for m in ('ray', 'optuna', 'mlflow', 'plotly') if m in sys.modules])"
    )
    seen = [
        subprocess.check_output([sys.executable, "-c", code.format(m)], text=True) for m in ("", ".execute.trainable")
    ]
    assert [s.strip() for s in seen] == ["[]", "['ray']"]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"objective": "los", "grid": {"seed": [0]}}, "Did you mean 'loss'"),
        ({"objective": "loss"}, "either grid"),
        ({"objective": "loss", "grid": {"seed": [0]}, "space": lr_space}, "either grid"),
        ({"objective": "loss", "grid": {"seed": 3}}, "list of values"),
        ({"objective": "loss", "grid": {"seed": []}}, "list of values"),
        ({"objective": "loss", "grid": {"seed": [0]}, "trials": 3}, "trained whole"),
        ({"objective": "loss", "grid": {"seed": [0]}, "intent": "hunt"}, "draws from a space"),
        ({"objective": "loss", "space": lr_space}, "Pass trials="),
        ({"objective": "loss", "space": lr_space, "trials": 0}, "trials >= 1"),
        ({"objective": "loss", "space": lr_space, "trials": 3, "intent": "survey"}, "'map' or 'hunt'"),
        ({"objective": "loss", "grid": {"seed": [0]}, "name": "a/b"}, "only letters, digits"),
        ({"objective": ["loss", "accuracy"], "grid": {"seed": [0]}}, "no sampler uses"),
        ({"objective": "loss", "grid": {"seed": [0]}, "halving": Halving()}, "trains every trial"),
        (HUNT | {"objective": ["loss", "los"]}, "los"),
        (HUNT | {"objective": ["loss", "accuracy"], "halving": Halving()}, "compares one objective"),
        (HUNT | {"halving": 3}, "Halving"),
        (HUNT | {"halving": Halving(), "scheduler": object()}, "not both"),
        (HUNT | {"sampler": "tpee"}, "'tpe'"),
        (HUNT | {"sampler": 3}, "Optuna sampler"),
        (HUNT | {"constraints": "loss <= 1"}, "a list"),
        (HUNT | {"constraints": ["loss < 1"]}, "a bound such as"),
        (HUNT | {"constraints": ["loss <= 1e"]}, "a bound such as"),
    ],
)
def test_sweeps_that_cannot_be_are_refused(base, wrong, message):
    with pytest.raises((SweepError, ValueError), match=message):
        Sweep(base=base, **wrong)


def test_a_part_of_a_space_is_refused(base):
    with pytest.raises(SweepError, match="draws from a space"):
        Sweep(base=base, objective="loss", space=lr_space, trials=3, where={"seed": 1})


def test_a_hunt_of_several_seeds_is_refused(base):
    with pytest.raises(SweepError, match="needs seeds=1"):
        Sweep(base=base, objective="loss", space=lr_space, trials=3, seeds=2, intent="hunt")


@pytest.mark.parametrize("what", ["trials", "seeds", "pack"])
def test_the_smallest_numbers(base, what):
    least = {"trials": 1, "seeds": 1, "pack": 1}
    Sweep(base=base, objective="loss", space=lr_space, **least)
    with pytest.raises(SweepError, match=f"{what} >= 1"):
        Sweep(base=base, objective="loss", space=lr_space, **least | {what: 0})


def test_the_error_of_a_sweep_file_names_the_line_in_that_file(tmp_path):
    (tmp_path / "helper_of_a_sweep.py").write_text("def fail():\n\n\n    raise KeyError('x')\n")
    text = f"import sys\nsys.path.insert(0, {str(tmp_path)!r})\nimport helper_of_a_sweep\nhelper_of_a_sweep.fail()\n"
    with pytest.raises(SweepError, match="line 4: KeyError"):
        load(written(tmp_path, text))


def test_a_base_config_is_found_above_the_sweep_file(base):
    folder = base.parent / "a" / "b"
    folder.mkdir(parents=True)
    text = "from lyapsweep.sweep import Sweep\nSWEEP = Sweep(base='tiny.yaml', objective='loss', grid={'seed': [0]}, "
    assert load(written(folder, f"{text}name='n', question='why')")).base == base
    assert load(folder / "question.py").name == "n"
    assert load(folder / "question.py").question == "why"


def test_constraints_name_what_is_measured(base):
    assert Sweep(base=base, constraints=["lambda_max >= 0"], **HUNT).config()
    with pytest.raises(SweepError, match="needs state_space, which is not among its measures"):
        Sweep(base=base, constraints=["state_space <= 1"], **HUNT).config()
    with pytest.raises(SweepError, match="objective 'accuracy' is not among"):
        Sweep(base=base, **HUNT | {"objective": ["loss", "accuracy"]}).config()
    with pytest.raises(SweepError, match="needs prediction_time, which is not among its measures"):
        Sweep(base=base, constraints=["prediction_time/samples >= 9"], **HUNT).config()


def test_constraints_and_criteria_name_scores_as_records_do(base, monkeypatch):
    sweep = Sweep(base=base, constraints=["D_stsp <= 0.5"], criteria=["D_H <= 0.2"], **HUNT)
    assert (sweep.constraints, sweep.bounds[0].score) == (("state_space <= 0.5",), "state_space")
    assert sweep.criteria == ("power_spectrum <= 0.2",)
    monkeypatch.setattr(MEASURES, "aliases", {})
    MEASURES.register("mine", lambda evidence: 1.0)
    own = MEASURES.full_name("mine")
    sweep = Sweep(base=base, criteria=["mine <= 2"], constraints=["x.py:score >= 1"], **HUNT)
    assert (sweep.criteria, sweep.bounds[0].score) == ((f"{own} <= 2",), "x.py:score")
    assert dataclasses.replace(sweep, trials=9).criteria == sweep.criteria
    for what in ("constraints", "criteria"):
        with pytest.raises(UnknownName, match=f"{what}: No measure is called 'D_stp'"):
            Sweep(base=base, **HUNT | {what: ["D_stp <= 0.5"]})


def test_what_nothing_would_use_is_refused(base):
    with pytest.raises(SweepError, match="sampler: a map covers its region"):
        Sweep(base=base, **HUNT | {"intent": "map", "sampler": "gp"})
    with pytest.raises(SweepError, match="candidates: no setting is confirmed"):
        run(Sweep(base=base, **HUNT), candidates=3, results=base.parent)
