"""`lyapsweep run` and `atlas` as a user meets them: what they print, what they leave on disk, and how they end."""

import re
import signal
from pathlib import Path

import made_up
from command_line import complaint, double_precision, folder, ok, records, typed_in  # noqa: F401
from same import same_to_the_bit
from waiting import HANGS

from lyapsweep import trial
from lyapsweep.cli import printing
from lyapsweep.config import Config
from lyapsweep.results.record import Outcome

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
