"""`lyapsweep sweep` as a user meets it: the dry run, progress, and how it ends."""

import contextlib
import io
import json
import re
import shlex
from pathlib import Path

import made_up
import pytest
import yaml
from command_line import SWEEP, TINY, call, complaint, double_precision, folder, ok, records, typed_in  # noqa: F401
from rich.console import Console
from waiting import HANGS

from lyapsweep.cli import main, printing, sweep_display
from lyapsweep.cli import sweep as sweep_command
from lyapsweep.cli.errors import CommandError
from lyapsweep.config import Config
from lyapsweep.config.command import run_command
from lyapsweep.results.record import Outcome
from lyapsweep.sweep import load
from lyapsweep.sweep.observe.progress import LeadingSetting, SweepProgress
from lyapsweep.sweep.observe.summary import SweepSummary

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
    leading = (LeadingSetting("lstm", 0.25, 0.2, 0.4, 3), LeadingSetting("vanilla", 0.5, 0.5, 0.5, 1))
    still |= {"best": (0.2, "lstm seed=1"), "seconds": 61.0, "left": 3600.0, "leading": leading, "pace": 1234.5}
    return SweepProgress(**{**still, **changes})


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
    monkeypatch.setattr(sweep_display.time, "monotonic", lambda: now[0])
    lines = sweep_display.PlainProgress("loss", printing.console())
    lines(progress())
    now[0] += 1
    lines(progress(done=4, finished=2))
    now[0] += 5
    lines(progress(done=5, finished=3, leading=(), left=None, pace=None))
    lines(progress(done=8, finished=6, running=0))
    for _ in range(2):
        lines(progress(done=8, finished=6, running=0, phase="writing the atlas"))
    assert capsys.readouterr().out.splitlines() == [
        "3/8 trials (1 finished, 1 diverged, 1 failed, 2 running); best loss 0.25 (lstm, 3 seeds); "
        "1234 updates per second; 1:01 elapsed, about 1:00:00 remaining",
        "5/8 trials (3 finished, 1 diverged, 1 failed, 2 running); no loss yet; 1:01 elapsed",
        "8/8 trials (6 finished, 1 diverged, 1 failed); best loss 0.25 (lstm, 3 seeds); 1234 updates per second; "
        "1:01 elapsed",
        "writing the atlas ...",
    ]


def test_a_terminal_shows_losses_of_packs_the_best_settings_and_the_phase():
    screen = sweep_display.LiveProgress("loss")
    screen(progress(losses=((0, 0.125), (3, 0.5)), phase="writing the atlas"))
    out = Console(width=100, record=True, file=io.StringIO())
    out.print(screen)
    shown = [line.split() for line in out.export_text().splitlines()]
    assert ["lstm", "0.25", "0.2", "to", "0.4", "3"] in shown
    assert ["vanilla", "0.5", "1"] in shown
    assert ["training", "loss", "of", "pack", "0:", "0.125,", "pack", "3:", "0.5"] in shown
    assert ["writing", "the", "atlas", "..."] in shown
    assert ["1234", "updates", "per", "second"] in shown


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
    summary = SweepSummary(
        name="made_up",
        folder=tmp_path,
        tracking_uri="http://server:5000",
        best_trial=best.trial,
        atlas=None,
        interrupted=ending.get("interrupted", False),
        message=ending.get("message", ""),
        notes="1 pack came back unfinished.",
        best_lines=(("setting", "validation 0.2, test 0.3"),),
        cause="",
        budget="",
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
    assert shown.count(["Next"]) == (not summary.interrupted)
    (of_data,) = (line for line in shown if line[:3] == ["of", "the", "data"])
    assert of_data[3:] == ["0.906", "per", "unit", "time"]
    value = best.spectrum.per_time[0]
    assert any(line[:1] == ["exponents"] and float(line[1]) == pytest.approx(value, abs=0.1) for line in shown)


@pytest.mark.cluster
def test_a_sweep_from_start_to_atlas():
    given = ("--set", "forcing/kind=sparse", "--grid", "forcing/interval=2,5", "--name", "asked")
    process = typed_in("sweep", "ask.py", "--jobs", "2", *given)
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
    assert re.search(r"^writing the atlas \.\.\.$", out, re.MULTILINE)
    assert re.search(r"^longer +lyapsweep run .* training/steps=8( --set seed=1)?$", out.replace("'", ""), re.MULTILINE)
    assert re.search(f"^MLflow +lyapsweep open {Path('results/asked').resolve()}$", out, re.MULTILINE)
    again = ok("sweep", "ask.py", "--name", "asked", "--resume")  # complete: nothing to train
    assert "8/8 trials (8 finished)" in again
    assert "--grid forcing/interval=2,5: as the sweep was started." in again
