"""What happens to users: output that nobody reads, odd paths, foreign files, two terminals, code that moves around."""

import errno
import importlib
import io
import json
import os
import shutil
import sys
import time
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from sqlalchemy.engine import make_url

from lyapsweep import Config, Table, tracking, trust
from lyapsweep.cli import main, printing
from lyapsweep.cli.errors import explained, open_standard_streams
from lyapsweep.registry import from_file
from lyapsweep.results.experiment import ExperimentPaths
from lyapsweep.results.record import Outcome, Record
from lyapsweep.results.record_files import files_by_trial
from lyapsweep.single_trial import SingleTrial, TrialRunning, only_process
from lyapsweep.sweep.execute.results_folder import ResultsFolder
from lyapsweep.sweep.observe.heartbeat import read_heartbeat
from lyapsweep.timeseries.coordinates import NoExponent
from lyapsweep.timeseries.preprocessing import prepared
from tests.test_process import SMALL


def test_work_goes_on_when_nobody_reads_its_output(monkeypatch, capsys):
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as pipe:
        monkeypatch.setattr(sys, "stdout", pipe)
        out = printing.console(optional=True)
        for _ in range(2):
            out.print("step")
    assert capsys.readouterr().err.splitlines() == [
        "The output cannot be written (Broken pipe). The work continues without it."
    ]


def test_commands_print_on_any_terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "0")
    assert printing.console().width == printing.WIDTH
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="ascii"))
    open_standard_streams()
    print("0.5 ± 0.1", flush=True)
    assert written.getvalue() == b"0.5 ? 0.1\n"
    monkeypatch.setattr(sys, "stdout", None)  # `>&-`
    open_standard_streams()
    printing.console().print("into the null device")


def test_a_full_disk_is_told_without_an_unexpected_error():
    error = explained(OSError(errno.ENOSPC, "No space left on device"))
    assert (error.exit_code, error.message) == (
        1,
        "A file or the output cannot be written: No space left on device. Free space there.",
    )


def test_a_link_to_a_missing_folder_is_named(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "missing")
    with pytest.raises(FileExistsError) as raised:
        ExperimentPaths(tmp_path / "link").folder.mkdir(exist_ok=True)
    assert "a link to a missing one" in explained(raised.value).message


def test_a_user_without_a_home_can_run(monkeypatch):
    def nobody():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setenv("HOME", "before")
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setattr(Path, "home", nobody)
    trust.named_by_user("mine.py:Mine")
    trust.remember()
    assert trust.remembered() == set()
    importlib.reload(tracking)
    assert os.environ["HOME"] == "/nonexistent"


def test_no_proxy_stands_between_this_machine_and_its_own_servers(monkeypatch):
    monkeypatch.setenv("http_proxy", "http://proxy.example:3128")
    for before, after in (
        (None, "localhost,127.0.0.1"),
        ("own.example", "own.example,localhost,127.0.0.1"),
        ("*", "*"),
    ):
        monkeypatch.delenv("no_proxy", raising=False)
        if before:
            monkeypatch.setenv("no_proxy", before)
        importlib.reload(tracking)
        assert os.environ["no_proxy"] == after
        assert urllib.request.proxy_bypass("127.0.0.1")


def test_a_clock_that_was_set_back_keeps_no_driver_alive(tmp_path):
    heartbeat = ExperimentPaths(tmp_path).heartbeat
    for ahead, alive in ((5, True), (86400, False)):
        state = {"host": "a", "pid": 1, "time": time.time() + ahead, "over": False}
        heartbeat.write_text(json.dumps(state))
        found = read_heartbeat(tmp_path)
        assert found is not None
        assert found.alive is alive


@pytest.mark.parametrize("name", ["plain", "a b#c", "my%20data", "100%", "why?", "ü中;&+'"])
def test_the_store_lies_in_its_folder_whatever_the_folder_is_called(tmp_path, monkeypatch, name):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    uri, file = tracking.default_uri(tmp_path / name), tmp_path / name / "mlflow.db"
    assert tracking.sqlite_file(uri) == file
    assert make_url(uri).database == str(file)  # what MLflow opens


def test_hidden_files_beside_records_are_no_records(tmp_path):
    paths = ExperimentPaths(tmp_path)
    file = Record(Config.of(SMALL), 4, Outcome.FINISHED, measures={"loss": 0.5}).save(paths.records)
    for name in (f"._{file.name}", ".DS_Store", ".nfs0001"):
        (paths.records / name).write_bytes(b"\0\5\26\7 of macOS")
    assert len(Table.read(tmp_path)) == 1
    assert list(files_by_trial(paths.records).values()) == [[file]]
    assert len(ResultsFolder(tmp_path.parent, tmp_path.name).last_records()) == 1
    file.unlink()
    assert not paths.has_records()


def test_results_stay_together_when_the_current_folder_changes(tmp_path, monkeypatch):
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "here")
    SingleTrial(Config.of(SMALL), Path("results/x")).train(lambda record: os.chdir(tmp_path / "there"))
    assert len(list((tmp_path / "here/results/x/records").iterdir())) == 3
    assert not list((tmp_path / "there").iterdir())


def test_code_that_changes_the_folder_does_not_move_the_command(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text("import os\nos.chdir('/')\nclass Mine: pass\n")
    assert from_file("cell", f"{tmp_path}/mine.py:Mine").__name__ == "Mine"
    assert Path.cwd() == tmp_path


def test_a_trial_is_trained_by_one_process(tmp_path):
    folder = tmp_path / "x"
    refused = pytest.raises(TrialRunning, match="another process trains trial one")
    with only_process(folder, "one"), only_process(folder, "two"), refused, only_process(folder, "one"):
        pass
    assert not folder.exists()


def test_the_checkpoint_of_a_process_that_trains_is_not_removed(tmp_path, monkeypatch):
    config = Config.of(SMALL)
    with only_process(tmp_path, config.id):
        trial = SingleTrial(config, tmp_path)
        removed = []
        monkeypatch.setattr(trial.checkpoints, "remove", removed.append)
        with pytest.raises(TrialRunning):
            trial.train()
    assert not removed


def test_a_config_whose_name_names_no_folder_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copy(Path(__file__).parent.parent / "configs/lorenz63.yaml", "...yaml")
    found = CliRunner().invoke(main, ["run", "...yaml", "--no-tracking"])
    assert found.exit_code == 2
    assert "Give one with --name" in found.output
    assert [file.name for file in tmp_path.iterdir()] == ["...yaml"]


def test_rounded_and_overflowing_series_have_no_exponent():
    x = np.empty(2000)
    x[0] = 0.3
    for i in range(1999):
        x[i + 1] = 3.9 * x[i] * (1 - x[i])
    with pytest.raises(NoExponent, match="rounded to 15 different"):
        prepared(np.floor(16 * x)[:, None], ("x",))
    prepared(np.floor(64 * x)[:, None], ("x",))
    prepared(np.c_[x, np.floor(4 * x)], ("x", "level"))  # one column of the state is fine
    with pytest.raises(NoExponent, match="'y' has values whose squares overflow"):
        prepared(np.c_[x, 1e200 * x], ("x", "y"))
