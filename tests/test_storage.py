"""The Optuna study in a database: who may use it, what it says after a driver was killed; and no password is read."""

import math

import pytest
from driving import in_order, slow_sweep, start, wait_for
from made_up_sweeps import TINY, a_sweep, states
from test_nodes import postgres  # noqa: F401  a fixture
from waiting import HANGS

from lyapsweep.results.record import Outcome
from lyapsweep.sweep import Sweep, SweepError
from lyapsweep.sweep.execute.optuna_study import OptunaStudy
from lyapsweep.sweep.execute.results_folder import ResultsFolder
from lyapsweep.sweep.observe.summary import command_line
from lyapsweep.sweep.plan.sampling import draw
from lyapsweep.tracking import redact, without_credentials

SECRET = "correct-horse"


@pytest.fixture
def points(tmp_path):
    (tmp_path / "tiny.yaml").write_text(TINY)
    return draw(Sweep(base=tmp_path / "tiny.yaml", objective="loss", grid={"seed": [0, 1, 2, 3]}))


def test_a_study_in_a_database_has_the_states_of_one_in_a_file(points, tmp_path):
    url = f"sqlite:///{tmp_path / 'optuna.db'}"
    study = OptunaStudy(url, "a", a_sweep(), 0, owner="this one")
    for point in points:
        study.add(point)
    keys = [p.config.id for p in points]
    study.finish(keys[0], Outcome.FINISHED, 0.5)
    study.report(keys[1], 2, 0.7)
    study.finish(keys[1], Outcome.STOPPED, 0.7)
    study.finish(keys[2], Outcome.DIVERGED, math.nan)
    study.finish(keys[0], Outcome.FINISHED, 0.5)
    assert states(None, "a", url) == ["COMPLETE", "PRUNED", "FAIL", "RUNNING"]
    again = OptunaStudy(url, "a", a_sweep(), 0, owner="this one")
    assert again.reconcile({}) == [{"seed": 1}, {"seed": 2}]  # which have no record
    again.study.ask(), again.study.ask()  # the waiting one, and one that a database made whose answer was lost
    again.close()
    assert states(None, "a", url) == ["COMPLETE", "PRUNED", "FAIL", "WAITING", "FAIL"]


def test_two_folders_of_one_name_do_not_share_a_study(points, tmp_path):
    url = f"sqlite:///{tmp_path / 'optuna.db'}"
    OptunaStudy(url, "a", a_sweep(), 0, owner="this one").add(points[0])
    with pytest.raises(SweepError, match=r"another results folder.*--name"):
        OptunaStudy(url, "a", a_sweep(), 0, owner="that one")
    OptunaStudy(url, "b", a_sweep(), 0, owner="that one")
    assert states(None, "a", url) == ["RUNNING"]


def test_a_folder_has_one_id_for_ever(tmp_path):
    folder, other = ResultsFolder(tmp_path, "a"), ResultsFolder(tmp_path, "b")
    folder.acquire(), other.acquire()
    assert folder.id() == folder.id() == ResultsFolder(tmp_path, "a").id() != other.id()


def test_a_database_that_cannot_be_used_is_named_without_its_password(tmp_path):
    for url in (f"postgresql+nothing://me:{SECRET}@host/db", f"mysql+nothing://host/db?password={SECRET}"):
        with pytest.raises(SweepError, match=r"--storage .* cannot be used") as raised:
            OptunaStudy(url, "a", a_sweep(), 0)
        assert SECRET not in str(raised.value)
        assert raised.value.__suppress_context__  # nor in a traceback


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (f"postgresql+psycopg2://me:{SECRET}@host:5432/db", "postgresql+psycopg2://me:***@host:5432/db"),
        (f"--storage 'postgresql://me:{SECRET}@host/db' --jobs 2", "--storage 'postgresql://me:***@host/db' --jobs 2"),
        (f"postgresql://host/db?user=me&password={SECRET}", "postgresql://host/db?user=me&password=***"),
        (f"http://me:p@{SECRET}@host:5000", "http://me:***@host:5000"),
        ("sqlite:////tmp/mlflow.db", "sqlite:////tmp/mlflow.db"),
        ("http://host:5000/a@b:c@d", "http://host:5000/a@b:c@d"),
        ("postgresql://me@host/db", "postgresql://me@host/db"),
    ],
)
def test_passwords_are_hidden_and_nothing_else_is(said, shown):
    assert redact(said) == shown


def test_neither_the_command_nor_the_atlas_tells_a_password(monkeypatch):
    words = ["lyapsweep", "sweep", "a.py", "--storage", f"postgresql://me:{SECRET}@host/db"]
    monkeypatch.setattr("sys.argv", words)
    assert command_line().endswith("--storage postgresql://me:***@host/db")
    for name in ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"):
        monkeypatch.setenv(name, "")  # undone at the end
    assert without_credentials(f"https://me:{SECRET}@host:5000/") == "https://host:5000/"


# A real server


@pytest.fixture
def url(postgres):  # noqa: F811
    return f"postgresql+psycopg2://mlflow:{SECRET}@127.0.0.1:{postgres.port}/postgres"


def all_bytes(folder) -> bytes:
    return b"".join(file.read_bytes() for file in folder.rglob("*") if file.is_file())


@pytest.mark.cluster
def test_a_driver_that_is_killed_leaves_a_study_that_the_next_one_puts_in_order(url, tmp_path):
    sweep, results = slow_sweep(tmp_path), tmp_path / "results"
    process = start(tmp_path, sweep, storage=url)
    wait_for(process, "PROGRESS 1 1")
    process.kill()
    process.wait()
    assert "RUNNING" in states(None, "question", url)
    output, _ = start(tmp_path, sweep, storage=url, resume=True).communicate(timeout=HANGS)
    assert "SUMMARY False 3" in output, output
    in_order(results, "question", trials=3, url=url)
    assert not (results / "question" / "optuna.journal").exists()
    assert SECRET not in output
    assert SECRET.encode() not in all_bytes(results)


@pytest.mark.cluster
def test_a_database_that_restarts_is_waited_for(postgres, url, tmp_path):  # noqa: F811
    process = start(tmp_path, slow_sweep(tmp_path), storage=url)
    wait_for(process, "PROGRESS 1 1")
    postgres.stop()
    postgres.start()
    output, _ = process.communicate(timeout=HANGS)
    assert "SUMMARY False 3" in output, output
    in_order(tmp_path / "results", "question", trials=3, url=url)


@pytest.mark.cluster
@pytest.mark.slow
def test_a_database_that_stays_away_ends_the_sweep_in_words_and_a_resume_finishes(postgres, url, tmp_path):  # noqa: F811
    sweep = slow_sweep(tmp_path)
    process = start(tmp_path, sweep, storage=url)
    wait_for(process, "PROGRESS 1 1")
    postgres.stop()
    output, _ = process.communicate(timeout=HANGS)
    assert "SUMMARY True" in output, output
    assert "Optuna's storage cannot be written" in output
    assert "--resume" in output
    postgres.start()
    output, _ = start(tmp_path, sweep, storage=url, resume=True).communicate(timeout=HANGS)
    assert "SUMMARY False 3" in output, output
    in_order(tmp_path / "results", "question", trials=3, url=url)
