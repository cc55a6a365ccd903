"""Configs and sweeps without a clone: found by name, and carried by the wheel."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import complaint, ok

from lyapsweep import packaged
from lyapsweep.cli import main
from lyapsweep.config import Config, ConfigError
from lyapsweep.sweep import SweepError, load

ROOT = Path(__file__).resolve().parents[1]
FAMILIES = tuple(packaged.SUFFIXES)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("family", FAMILIES)
def test_every_file_of_the_repository_is_packaged_and_says_what_it_is(family):
    files = packaged.packaged_files(family)
    assert {file.path for file in files} == set((ROOT / family).iterdir()) - {ROOT / family / "__pycache__"}
    for file in files:
        assert len(file.sentence.split()) >= 4, file
        assert file.sentence[-1] in ".?", file


def test_a_file_of_the_current_folder_comes_before_the_packaged_one(folder):
    name = "lorenz63.yaml"
    for place in (packaged.ROOT / "configs" / name, Path("configs", name), Path(name), Path("lorenz63")):
        if not place.is_absolute():
            place.parent.mkdir(exist_ok=True)
            place.write_text("")
        assert packaged.find_file("configs", "lorenz63") == place
    assert packaged.find_file("configs", f"elsewhere/{name}") is None  # a folder is meant


def test_configs_and_sweeps_are_loaded_by_name():
    assert Config.load("lorenz63", {"seed": 1}) == Config.load(ROOT / "configs/lorenz63.yaml", {"seed": 1})
    sweep = load("forcing_interval")
    assert (sweep.name, Path(sweep.base).name) == ("forcing_interval", "lorenz63.yaml")
    text = 'SWEEP = Sweep(base="configs/adding.yaml", objective="loss", grid={"seed": [1]})'
    Path("mine.py").write_text(f"from lyapsweep.sweep import Sweep\n{text}")
    assert load("mine").config() == Config.load("adding")  # its base is packaged


def test_an_unknown_name_gets_the_most_similar_one():
    with pytest.raises(ConfigError, match=r"lorenz36: there is no such config file.*Did you mean 'lorenz63'\?"):
        Config.load("lorenz36")
    with pytest.raises(SweepError, match=r"sweeps/borders.py: .*Did you mean 'border'\?"):
        load("sweeps/borders.py")


def test_a_command_names_a_packaged_config_as_a_user_does():
    path = packaged.ROOT / "configs/lorenz63.yaml"
    assert packaged.short_name(path) == "lorenz63"
    Path("lorenz63.yaml").write_text("")
    assert packaged.short_name(path) == str(path)  # the name now means another file
    assert packaged.short_name("configs/lorenz63.yaml") == "configs/lorenz63.yaml"


def test_a_new_folder_holds_files_that_come_before_the_packaged_ones(monkeypatch):
    said = ok("init", "new")
    assert "cd new && lyapsweep run lorenz63" in said
    for family in FAMILIES:
        assert len(list(Path("new", family).iterdir())) == len(packaged.packaged_files(family))
    assert "new/configs, new/sweeps, new/README.md: already there" in complaint(2, "init", "new")
    monkeypatch.chdir("new")
    assert Path(load("forcing_interval").base) == Path("configs/lorenz63.yaml")
    commands = re.findall(r"^lyapsweep (\w+)", Path("README.md").read_text(), re.MULTILINE)
    assert len(commands) == 3
    assert set(commands) <= main.commands.keys()


def test_packaged_files_are_listed_with_what_they_are_for():
    assert re.search("^  forcing_interval +Is the best forcing interval", ok("list", "sweeps"), re.MULTILINE)
    listed = json.loads(ok("list", "configs", "--json"))["configs"]
    assert "lorenz63" in [config["name"] for config in listed]


def test_a_wheel_works_in_an_empty_folder(folder):
    source, site = folder / "source", folder / "site"
    source.mkdir()
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for name in ("lyapsweep", "configs", "sweeps"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]
    subprocess.run([*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", folder, source], check=True)
    wheel = next(folder.glob("*.whl"))
    subprocess.run([*pip, "install", "--no-deps", "--no-compile", "--target", site, wheel], check=True)
    (empty := folder / "empty").mkdir()
    command = [sys.executable, "-m", "lyapsweep", "sweep", "forcing_interval", "--dry-run", "--where", "cell/units=30"]
    done = subprocess.run(
        command, cwd=empty, env={**os.environ, "PYTHONPATH": str(site)}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "42 trials" in done.stdout
    assert not list(empty.iterdir())
