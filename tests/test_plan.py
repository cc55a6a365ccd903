"""`lyapsweep plan` and `sweep --dry-run`: the packs of the sweep, and what an update of them asks for."""

import pytest
from click.testing import CliRunner
from made_up_sweeps import TINY

from lyapsweep.cli import main
from lyapsweep.config import Config
from lyapsweep.sweep import load
from lyapsweep.sweep.plan.footprint import Footprint, footprint
from lyapsweep.sweep.plan.packing import packs
from lyapsweep.sweep.plan.sampling import draw

MAP = "grid={'forcing': [{'kind': 'sparse', 'interval': i} for i in (2, 4)], 'cell/units': [4, 6]}, seeds=5"


@pytest.fixture
def sweep(tmp_path):
    (tmp_path / "tiny.yaml").write_text(TINY)

    def write(text):
        file = tmp_path / "small.py"
        lines = ["from lyapsweep.sweep import Sweep, spaces"]
        lines += ["def space(trial):", "    spaces.log_float(trial, 'training/lr', 1e-4, 1e-2)"]
        lines += [f"SWEEP = Sweep(base={str(tmp_path / 'tiny.yaml')!r}, objective='loss', {text})"]
        file.write_text("\n".join(lines))
        return file

    return write


def shown(*words):
    result = CliRunner().invoke(main, [*map(str, words)], env={"COLUMNS": "160"})
    assert result.exit_code == 0, result.output
    return result.output


def rows(output):
    """The table of packs, as dicts."""
    lines = output.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("packs"))
    end = next(i for i in range(start, len(lines)) if not lines[i].strip())
    names = lines[start].split()
    return [
        dict(zip(names, line.replace("sparse ", "sparse-").split()))
        for line in lines[start + 1 : end]
        if line[0] == " "
    ]


@pytest.mark.parametrize(("device", "options"), [("cpu", ["--jobs", 2]), ("cuda", ["--gpus", 1, "--memory", 80])])
def test_the_plan_has_the_packs_that_the_sweep_trains(sweep, tmp_path, device, options):
    file = sweep(MAP)
    output = shown("plan", file, "--pack", 4, "--results", tmp_path, *options)
    expected = [len(pack) for pack in packs(draw(load(file)), 4, device)]
    assert f"20 trials in {len(expected)} packs of at most 4" in output
    found = [int(row["members"]) for row in rows(output) for _ in range(int(row["packs"]))]
    assert sorted(found) == sorted(expected)
    assert ("largest pack" in output) == (device == "cuda")


def test_a_dry_run_prints_the_same_plan(sweep, tmp_path):
    file = sweep(MAP)
    same = ["--pack", 4, "--jobs", 2, "--results", tmp_path]
    assert shown("sweep", file, "--dry-run", *same) == shown("plan", file, *same)


def test_a_card_that_is_too_small_is_named_with_the_pack_that_fits(sweep, tmp_path):
    output = shown("plan", sweep(MAP), "--gpus", 1, "--memory", 0.0001, "--results", tmp_path)
    assert "Set --pack " in output


def test_a_hunt_has_bounds(sweep, tmp_path):
    output = shown("plan", sweep("intent='hunt', space=space, trials=10"), "--pack", 4, "--results", tmp_path)
    assert "10 trials in 3 to 10 packs of at most 4" in output
    assert "the best 1/3 go on after" in output


def config(**changes):
    henon = {"kind": "simulated", "system": "henon", "length": 300}
    content = {"dataset": henon, "forcing": {"kind": "sparse"}, "windows": {"length": 32, "batch": 4}}
    content |= {"cell": {"kind": "vanilla", "units": 6}, "training": {"steps": 10}, "lyapunov": {"orbits": 1}}
    return Config.of(content).changed(changes)


def test_footprints_follow_the_depth_and_the_size():
    short, long = (footprint([config(**{"forcing/interval": i})]) for i in (4, 16))
    assert long.launches - short.launches == 5 * 12  # two forward, three back
    assert footprint([config(**{"windows/batch": 16})]).member_bytes > 2 * short.member_bytes
    mixed = footprint([config(**{"forcing/interval": i}) for i in (3, 4)])
    assert mixed.launches > 2 * short.launches
    assert not footprint([config(**{"training/optimizer": "radam"})]).graph


def test_what_limits_an_update():
    asked = Footprint(launches=100, member_bytes=1.0, traffic=3.9e6, operations=4.9e5, graph=False)
    assert (asked.limit(1), asked.seconds(1)) == ("launches", pytest.approx(7.5e-4))
    assert (asked.limit(1000), asked.seconds(1000)) == ("memory", pytest.approx(1e-3))
