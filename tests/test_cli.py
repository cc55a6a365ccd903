"""The command line as a user meets it: what it prints, what it leaves on disk, and how it ends."""

import contextlib
import json
import math
import re
import shlex
import signal
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import made_up
import pytest
import torch
import yaml
from click.testing import CliRunner
from same import same_to_the_bit
from waiting import HANGS

import lyapsweep
from lyapsweep import datasets, trial
from lyapsweep.cli import main, options, printing, registered
from lyapsweep.cli import sweep as sweep_command
from lyapsweep.cli.errors import CommandError
from lyapsweep.config import Config
from lyapsweep.config.command import run_command
from lyapsweep.results.record import Outcome, Record
from lyapsweep.sweep import load
from lyapsweep.sweep.observe.progress import SweepProgress

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


@pytest.mark.parametrize("args", ["list", "list systems --json", "status tiny", "--help", "sweep --help"])
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
    assert list(listed) == ["cells", "systems", "datasets", "measures", "inits", "forcings", "readouts"]
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
    "no config": (["run", "none.yaml"], "none.yaml: there is no such file"),
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


# run


def test_a_trial_leaves_records_and_says_what_it_found():
    text = ok("run", "tiny.yaml", "--no-tracking", "--set", "cell/units=12")
    made = records()
    assert [(r.step, r.outcome) for r in made] == [(0, "running"), (2, "running"), (4, "finished")]
    last, shown = made[-1], [line.split() for line in text.splitlines()]
    assert made[0].config == Config.load("tiny.yaml", {"cell/units": 12})
    reports = [line for line in shown if line[:1] in (["0"], ["2"], ["4"])][:3]
    assert [line[-2] for line in reports] == [printing.number(r.measures["loss"]) for r in made]
    assert printing.together(last.spectra["closed loop"].maximum, last.spectra["closed loop"].stderr[0]) in text
    assert ["state_space", *printing.scores(last)[1][1].split()] in shown
    assert str(Path("results/tiny/records", last.filename)) in text
    assert ["..."] in shown  # 12 exponents: the first ten and the last
    assert not Path("results/mlflow.db").exists()


def test_what_is_trained_is_not_trained_again_unless_asked(monkeypatch):
    trained = []
    stream = trial.run_trial
    monkeypatch.setattr(trial, "run_trial", lambda *args: trained.append(args[0].id) or stream(*args))
    args = ("run", "tiny.yaml", "--no-tracking")
    first = ok(*args)
    second = ok(*args)
    assert len(trained) == 1
    assert "has been trained before" in second
    assert second.splitlines()[-3:] == first.splitlines()[-3:]
    ok(*args, "--set", "seed=1")
    ok(*args, "--again")
    assert len(trained) == 3
    assert len(records()) == 6


def test_a_diverged_trial_is_recorded_and_ends_with_1():
    line = complaint(1, "run", "tiny.yaml", "--no-tracking", "--set", "training/lr=1e30", "--set", "cell/kind=plrnn")
    assert "Training diverged at step" in line
    assert [r.outcome for r in records()][-1] is Outcome.DIVERGED
    again = complaint(1, "run", "tiny.yaml", "--no-tracking", "--set", "training/lr=1e30", "--set", "cell/kind=plrnn")
    assert again == line


def test_an_error_on_the_way_is_recorded(monkeypatch):
    stream = trial.run_trial

    def breaks(*args):
        yield next(stream(*args))
        raise MemoryError("no room")

    monkeypatch.setattr(trial, "run_trial", breaks)
    assert "MemoryError: no room" in complaint(1, "run", "tiny.yaml", "--no-tracking")
    (only,) = records()
    assert only.outcome == "failed"
    assert only.provenance.error.endswith(": MemoryError: no room")  # after this file and its line
    assert "loss" in only.measures
    monkeypatch.setattr(trial, "run_trial", stream)
    ok("run", "tiny.yaml", "--no-tracking")  # a failed trial is no finished one
    assert [r.outcome for r in records()] == ["running", "running", "finished"]


def test_a_trial_that_was_cut_short_goes_on_from_its_last_report(monkeypatch):
    """The records are those of one that was not; without --resume it starts over."""
    stream, told = trial.run_trial, []

    def interrupted(*args):
        for record in stream(*args):
            if record.step == 4:
                raise KeyboardInterrupt
            yield record

    ok("run", "tiny.yaml", "--no-tracking", "--name", "whole")
    for resume in ((), ("--resume",)):
        monkeypatch.setattr(trial, "run_trial", interrupted)
        assert "Interrupted at step 2, " in complaint(130, "run", "tiny.yaml", "--no-tracking")
        assert [r.outcome for r in records()] == ["running", "stopped"]
        monkeypatch.setattr(trial, "run_trial", stream)
        told.append(ok("run", "tiny.yaml", "--no-tracking", *resume))
        for whole, cut in zip(records("whole"), records(), strict=True):
            same_to_the_bit(whole, cut)
        assert not list(Path("results/tiny/checkpoints").iterdir())
        if not resume:
            for file in Path("results/tiny/records").iterdir():
                file.unlink()
    assert "Resumed from" not in told[0]
    assert "Resumed from step 2." in told[1]
    assert records()[-1].provenance.continued == (2,)


def test_a_dead_tracking_server_is_told_before_any_work():
    line = complaint(1, "run", "tiny.yaml", "--tracking-uri", "http://127.0.0.1:9")
    assert "http://127.0.0.1:9: no tracking server responds" in line
    assert records() == []


def test_ctrl_c_keeps_what_was_reached_and_the_atlas_can_be_drawn_from_mlflow():
    from mlflow import MlflowClient

    process = typed_in("run", "tiny.yaml", "--set", "training/steps=1000000", "--set", "training/report_every=50")
    for line in process.stdout:
        if line.split()[:1] == ["100"]:
            process.send_signal(signal.SIGINT)
            break
    out, errors = process.communicate(timeout=HANGS)
    assert process.returncode == 130, errors
    *_, last = records()
    assert re.fullmatch(rf"Error: Interrupted at step {last.step}, which is recorded. .*\n", errors)
    assert (last.outcome, last.provenance.interrupted, last.step >= 100) == ("stopped", True, True)
    uri = f"sqlite:///{Path('results/mlflow.db').resolve()}"
    assert re.search("^MLflow +lyapsweep open results/tiny$", out, re.MULTILINE)
    client = MlflowClient(uri)
    (run,) = client.search_runs([client.get_experiment_by_name("tiny").experiment_id])
    assert (run.info.status, run.data.tags["outcome"]) == ("KILLED", "stopped")
    page = Path(ok("atlas", "tiny", "--tracking-uri", uri, "--output", "page.html").strip())
    assert last.trial in page.read_text()
    assert "Did you mean 'tiny'" in complaint(2, "atlas", "tinny")


# atlas


def test_atlas_of_a_folder_by_path_and_by_name():
    for record in made_up.records():
        record.save(Path("results/planted/records"))
    assert ok("atlas", "planted") == "results/planted/atlas.html\n"
    assert "shallow_plrnn" in Path("results/planted/atlas.html").read_text()
    assert ok("atlas", "results/planted", "--output", "other/page.html") == "other/page.html\n"
    assert Path("other/page.html").exists()


# sweep


def test_a_dry_run_says_what_would_be_trained_and_leaves_nothing():
    text = ok("sweep", "ask.py", "--dry-run", "--pack", "2", "--jobs", "1")
    assert "8 trials in 4 packs of at most 2" in text
    table = [line.split() for line in text.splitlines()]
    assert ["cell/kind", "forcing/interval", "seed"] in table
    assert ["lstm", "2", "0"] in table
    assert "... and 3 more" in text
    assert not Path("results").exists()


def progress(**changes):
    still = {"asked": 8, "done": 3, "finished": 1, "failed": 1, "diverged": 1, "stopped": 0, "running": 2}
    return SweepProgress(**{**still, "best": (0.25, "lstm seed=1"), "seconds": 61.0, "left": 3600.0, **changes})


def test_a_dry_run_of_a_zoomed_refined_map_names_it_and_its_first_points():
    grid = {"init": [{"kind": "gaussian"}], "init/gain": [0.5, 0.75, 1, 1.25, 1.5], "training/lr": [1, 2, 4, 8, 16.5]}
    Path("map.py").write_text(
        SWEEP.partition("SWEEP")[0] + f"SWEEP = Sweep(base='tiny.yaml', objective='loss', {grid=})"
    )
    zoom = ("--zoom", "init/gain=1.2..1.6", "--zoom", "training/lr=0.1..1e3")
    said = call("sweep", "map.py", "--dry-run", "--refine", *zoom).output
    assert "map-gain1.2-1.6-lr0.1-1000" in said
    assert "25 of 25 trials at first" in said
    assert re.search(r"1\.2 +0\.1\b.*\n1\.2 +1\b.*\n1\.2 +10\b", said)
    assert not Path("results").exists()


def test_progress_in_words_not_too_often(monkeypatch, capsys):
    now = [100.0]
    monkeypatch.setattr(sweep_command.time, "monotonic", lambda: now[0])
    lines = sweep_command.PlainProgress("loss", printing.console())
    lines(progress())
    now[0] += 1
    lines(progress(done=4, finished=2))
    now[0] += 5
    lines(progress(done=5, finished=3, best=None, left=None))
    lines(progress(done=8, finished=6, running=0))
    assert capsys.readouterr().out.splitlines() == [
        "3/8 trials (1 finished, 1 diverged, 1 failed, 2 running); best loss 0.25 (lstm seed=1); "
        "1:01 elapsed, about 1:00:00 remaining",
        "5/8 trials (3 finished, 1 diverged, 1 failed, 2 running); no loss yet; 1:01 elapsed",
        "8/8 trials (6 finished, 1 diverged, 1 failed); best loss 0.25 (lstm seed=1); 1:01 elapsed",
    ]


def test_the_command_that_trains_one_point_alone_trains_that_point():
    from lyapsweep.sweep.plan.sampling import draw

    sweep = load("ask.py")
    for point in draw(sweep, base=sweep.config({"training/lr": 1e-5, "training/clip": 2.0})):
        _, _, file, *args = shlex.split(run_command(point.config, sweep.base, Config.load(sweep.base).to_dict()))
        changes = main.commands["run"].make_context("run", [file, *args]).params["changes"]
        assert Config.load(file, changes).id == point.config.id


@pytest.mark.parametrize(
    ("ending", "status", "message"),
    [
        ({}, 1, "1 of 42 trials failed, the first with RuntimeError: .*out of memory. --resume trains them again"),
        ({"interrupted": True, "message": "Go on with --resume."}, 130, "Go on with --resume."),
        ({"failed": 0, "message": "The atlas could not be drawn."}, 1, "The atlas could not be drawn."),
        ({"failed": 0}, None, None),
    ],
)
def test_how_a_sweep_ends(tmp_path, capsys, ending, status, message):
    made = made_up.records()
    for record in made:
        record.save(tmp_path / "records")
    (tmp_path / "sweep.json").write_text(json.dumps({"varied": ["cell/kind", "forcing/interval", "seed"]}))
    best = min((r for r in made if r.outcome is Outcome.FINISHED), key=lambda r: r.measures["loss"])
    Path("tiny.yaml").write_text(yaml.safe_dump(made_up.config().to_dict()))
    summary = SimpleNamespace(
        folder=tmp_path,
        tracking_uri="http://server:5000",
        best_trial=best.trial,
        atlas=None,
        interrupted=ending.get("interrupted", False),
        message=ending.get("message", ""),
        notes="1 pack came back unfinished.",
        best_lines=(("setting", "validation 0.2, test 0.3"),),
        cause="",
        progress=progress(asked=42, failed=ending.get("failed", 1)),
    )
    with contextlib.nullcontext() if status is None else pytest.raises(CommandError, match=message) as problem:
        sweep_command.conclude(summary, load("ask.py"), printing.console())
    assert status is None or problem.value.exit_code == status
    shown = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["MLflow", "http://server:5000"] in shown
    assert ["recovered", "1", "pack", "came", "back", "unfinished."] in shown
    assert ["loss", printing.number(best.measures["loss"])] in shown
    assert ["setting", "validation", "0.2,", "test", "0.3"] in shown
    assert ["forcing/interval", str(best.config.forcing["interval"])] in shown


@pytest.mark.cluster
def test_a_sweep_from_start_to_atlas():
    process = typed_in("sweep", "ask.py", "--jobs", "2", "--set", "forcing/kind=sparse", "--name", "asked")
    out, errors = process.communicate(timeout=HANGS)
    assert process.returncode == 0, errors
    finals = [r for r in records("asked") if r.outcome is Outcome.FINISHED]
    assert len(finals) == 8
    best = min(finals, key=lambda r: r.measures["loss"])
    assert re.search(r"^8/8 trials \(8 finished\); best loss", out, re.MULTILINE)
    alone = re.search(r"^command +(.+)$", out, re.MULTILINE)[1]
    changes = main.commands["run"].make_context("run", shlex.split(alone)[2:]).params["changes"]
    assert Config.load("tiny.yaml", changes).id == best.trial
    assert Path(re.search(r"^atlas +(.+)$", out, re.MULTILINE)[1]).is_file()
    assert re.search(f"^MLflow +lyapsweep open {Path('results/asked').resolve()}$", out, re.MULTILINE)
    assert "8/8 trials (8 finished)" in ok("sweep", "ask.py", "--name", "asked")  # complete: nothing to train


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
