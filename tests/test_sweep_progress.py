"""Progress, heartbeat and summary of a sweep."""

import json
import math

import pytest
from made_up_sweeps import TINY

from lyapsweep.config import Config
from lyapsweep.results.experiment import HEARTBEAT
from lyapsweep.results.record import Outcome, Record
from lyapsweep.sweep.observe import progress, status
from lyapsweep.sweep.observe.heartbeat import Heartbeat, HeartbeatWriter, read_heartbeat
from lyapsweep.sweep.observe.progress import ProgressCounter
from lyapsweep.sweep.observe.summary import Recoveries, command_line, outcome_counts, summary_metrics, versions
from lyapsweep.sweep.plan.points import Point


@pytest.fixture
def base(tmp_path):
    file = tmp_path / "tiny.yaml"
    file.write_text(TINY)
    return file


@pytest.fixture
def clock(monkeypatch):
    """Seconds that all modules of this test see."""
    now = [1000.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(progress.time, "time", lambda: now[0])
    return now


def test_the_counter_counts_and_knows_the_best(base):
    points = [Point(Config.load(base, {"seed": s}), {}, {}) for s in range(4)]
    counter = ProgressCounter(asked=4, direction="minimise")
    assert counter.progress(str).left is None
    counter.update(points[0], Outcome.FINISHED, 3.0, 1.0)
    counter.update(points[1], Outcome.DIVERGED, 1.0, 1.0)  # not best, however low
    counter.update(points[2], Outcome.FINISHED, 2.0, 1.0)
    counter.update(points[3], Outcome.RUNNING, 0.5, 0.25)
    now = counter.progress(lambda c: f"seed={c.seed}")
    assert (now.done, now.finished, now.diverged, now.running, now.best) == (3, 2, 1, 1, (2.0, "seed=2"))
    assert now.left is not None
    assert now.left < now.seconds
    counter.update(points[3], Outcome.FINISHED, math.nan, 1.0)
    assert counter.progress(str).left == 0
    higher = ProgressCounter(asked=2, direction="maximise")
    for point, value in zip(points, (1.0, 2.0, 0.0)):
        higher.update(point, Outcome.FINISHED, value, 1.0)
    assert higher.best == (2.0, points[1].config)
    assert higher.best_key == points[1].key


def test_the_best_settings_so_far_and_losses_and_pace(base, clock):
    """Settings are ranked by the median over the seeds that have ended; a lost seed counts as the worst."""
    scores = {1e-3: (0.3, 0.5, 0.4), 1e-2: (0.1, None, None), 1e-1: (0.2, 0.25, None)}
    counter = ProgressCounter(asked=9, direction="minimise")
    for lr, seeds in scores.items():
        for seed, value in enumerate(seeds):
            point = Point(Config.load(base, {"training/lr": lr, "seed": seed}), {}, {})
            counter.update(point, Outcome.RUNNING, 9.0, 0.5)
            clock[0] += 1
            outcome = Outcome.DIVERGED if value is None else Outcome.FINISHED
            counter.update(point, outcome, math.nan if value is None else value, 1.0)
    counter.note_loss(2, 0.5)
    counter.note_loss(1, 0.25)
    now = counter.progress(str, setting_of=lambda c: f"lr={c.training.lr:g}")
    assert [(each.name, each.median, each.seeds) for each in now.leading] == [("lr=0.1", 0.25, 2), ("lr=0.001", 0.4, 3)]
    assert (now.leading[1].low, now.leading[1].high) == (0.3, 0.5)
    assert now.losses == ((1, 0.25), (2, 0.5))
    assert now.pace == pytest.approx(9 * point.config.training.steps / 9)
    counter.note_loss(2, None)
    counter.update(Point(Config.load(base, {"training/lr": 1.0}), {}, {}), Outcome.FINISHED, 0.01, 1.0)
    now = counter.progress(str, phase="writing the atlas", setting_of=lambda c: f"lr={c.training.lr:g}")
    assert (now.leading[0].name, now.losses, now.phase) == ("lr=1", ((1, 0.25),), "writing the atlas")


def points_of(base, n):
    return [Point(Config.load(base, {"seed": s}), {}, {}, recorded_as=f"k{s}") for s in range(n)]


def test_the_remaining_time_follows_the_pace_of_this_driver(base, clock):
    points = points_of(base, 4)
    counter = ProgressCounter(asked=10, direction="minimise", started=1000.0)
    counter.add_recorded({"k0": Record(points[0].config, 4, Outcome.FINISHED, measures={"loss": 2.0})}, "loss")
    assert (counter.best, counter.best_key, counter.done, counter.ended("k0")) == (
        (2.0, points[0].config),
        "k0",
        1,
        True,
    )
    assert counter.remaining_seconds() is None
    clock[0] = 1100.0
    counter.update(points[1], Outcome.RUNNING, math.nan, 0.0)
    assert counter.remaining_seconds() is None  # nothing is trained yet
    clock[0] = 1160.0
    counter.update(points[1], Outcome.FINISHED, 1.0, 1.0)
    counter.update(points[2], Outcome.RUNNING, math.nan, 0.5)
    assert counter.remaining_seconds() == pytest.approx(60 * 7.5 / 1.5)
    counter.exclude(0.5)  # which an earlier driver had trained
    assert counter.remaining_seconds() == pytest.approx(60 * 7.5 / 1.0)
    counter.exclude(-3)
    assert counter.excluded == 1.5
    now = counter.progress(lambda config: "best", message="note")
    assert (now.seconds, now.best, now.message, now.asked) == (160.0, (1.0, "best"), "note", 10)


def test_an_outcome_that_changes_is_counted_once(base):
    (point,) = points_of(base, 1)
    counter = ProgressCounter(asked=1, direction="minimise")
    for outcome in (Outcome.RUNNING, Outcome.RUNNING, Outcome.STOPPED, Outcome.RUNNING):
        counter.update(point, outcome, math.nan, 0.5)
    now = counter.progress(str)
    assert (now.running, now.stopped, now.done) == (1, 0, 0)
    assert not counter.ended("k0")
    assert not counter.ended("unknown")


def test_heartbeats_come_every_five_seconds_and_the_last_one_always(tmp_path, clock):
    writer, seen = HeartbeatWriter(tmp_path), []
    for clock[0], over in ((1000.0, False), (1004.9, False), (1005.0, False), (1006.0, True)):
        writer.write(running=int(clock[0]), behind=2, over=over)
        seen.append(read_heartbeat(tmp_path))
    assert [beat.running for beat in seen] == [1000, 1000, 1005, 1006]
    assert [beat.over for beat in seen] == [False, False, False, True]
    assert [beat.behind for beat in seen] == [2] * 4
    assert seen[1].age == pytest.approx(4.9)
    assert not list(tmp_path.glob("*.part"))


def test_a_driver_is_gone_after_a_minute_without_a_heartbeat():
    assert Heartbeat("a", 1, 59.9, over=False).alive
    assert not Heartbeat("a", 1, 60.0, over=False).alive
    assert not Heartbeat("a", 1, 1.0, over=True).alive


def test_a_broken_heartbeat_is_none(tmp_path):
    assert read_heartbeat(tmp_path) is None
    (tmp_path / HEARTBEAT).write_text("{")
    assert read_heartbeat(tmp_path) is None
    (tmp_path / HEARTBEAT).write_text(json.dumps({"host": "a", "pid": 1, "time": 0.0, "over": False}))
    assert read_heartbeat(tmp_path).running == 0


@pytest.mark.parametrize(
    ("ends", "now", "pace"),
    [
        ([], None, math.nan),
        ([10.0], None, math.nan),
        ([0.0, 60.0], None, 1.0),
        ([0.0, 60.0], 120.0, 1.0),
        ([0.0, 0.0], None, math.nan),
        ([0.0] * 5 + [100.0, 110.0, 120.0, 130.0, 140.0], None, 6.0),  # the latest five
        ([float(i) for i in range(100)], None, 60.0),
        ([0.0] * 80 + [float(2 * i) for i in range(20)], None, 30.0),  # the latest fifth
    ],
)
def test_the_pace_is_that_of_the_latest_trials(ends, now, pace):
    assert status.trials_per_minute(ends, now) == pytest.approx(pace, nan_ok=True)


def test_what_was_recovered_from_in_words():
    text = Recoveries({"its worker was lost": 2}, resumed=1, restarted=3, outages=1).text
    assert text == (
        "2 packs came back unfinished because its worker was lost. 1 pack resumed from the last report. "
        "3 packs restarted: a checkpoint did not fit. MLflow did not answer 1 time."
    )
    assert Recoveries({}).text == ""


def test_the_summary_counts_final_outcomes_and_knows_the_best(base):
    counter = ProgressCounter(asked=5, direction="minimise")
    outcomes = (Outcome.FINISHED, Outcome.DIVERGED, Outcome.STOPPED, Outcome.FAILED, Outcome.RUNNING)
    for point, outcome in zip(points_of(base, 5), outcomes):
        counter.update(point, outcome, 0.5, 1.0)
    now = counter.progress(str)
    assert outcome_counts(now) == {"finished": 1, "unbounded": 0, "diverged": 1, "stopped": 1, "failed": 1}
    metrics = summary_metrics(now, "loss")
    assert (metrics["trials/failed"], metrics["trials/asked"], metrics["best/loss"]) == (1.0, 5.0, 0.5)
    assert metrics["seconds"] == now.seconds
    assert "best/loss" not in summary_metrics(ProgressCounter(1, "minimise").progress(str), "loss")


def test_how_a_sweep_was_started(monkeypatch):
    monkeypatch.setattr("sys.argv", ["/somewhere/__main__.py", "sweep", "a b.py"])
    assert command_line() == "lyapsweep sweep 'a b.py'"
    assert versions()["ray"].count(".") == 2
    monkeypatch.setattr("sys.argv", ["/somewhere/lyap", "sweep"])
    assert command_line() == "lyap sweep"
