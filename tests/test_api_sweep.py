"""A sweep from a script: everything in memory, on two workers of Ray."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from waiting import HANGS

import lyapsweep
from lyapsweep.api.base import Arrays
from lyapsweep.api.sweeping import conclude, defined
from lyapsweep.config import ConfigError
from lyapsweep.registry import UnknownName
from lyapsweep.sweep import Sweep, SweepError
from lyapsweep.sweep.observe.progress import SweepProgress
from lyapsweep.sweep.observe.summary import SweepSummary

ROOT = Path(__file__).resolve().parents[1]
X = np.stack([np.sin(0.1 * np.arange(300)), np.cos(0.1618 * np.arange(300))], axis=1)
SMALL = {
    "cell": {"kind": "vanilla", "units": 3},
    "windows": {"length": 20, "batch": 4},
    "training": {"steps": 3},
    "lyapunov": {"steps": 20, "warmup": 5, "orbits": 2},
    "measures": ["loss"],
}
SCRIPT = """
import json
import numpy as np, pandas as pd, torch
import lyapsweep
from lyapsweep.cells import AbstractCell

SCALE = 0.5

class Leaky(AbstractCell):
    def __init__(self, inputs, population, *, units: int = 3, leak: float = 0.5):
        super().__init__(inputs, units, population, state=units)
        self.leak = leak

    def draw(self, init, generator):
        return {"W": init(self.units, self.units, generator)}

    def step(self, z, x=None):
        return (1 - self.leak) * z + self.leak * torch.tanh(torch.bmm(z, self.W.mT))

def small(rows, columns, generator):
    return SCALE * torch.eye(rows, columns, dtype=torch.float64)

def misfit(evidence):
    return abs(evidence.generated.std() - evidence.truth.std())

class Recorder(lyapsweep.Callback):
    def __init__(self):
        self.told = []
    def on_sweep_start(self, progress):
        self.told.append(["sweep start", progress.asked])
    def on_trial_start(self, config):
        self.told.append(["start", config.id])
    def on_report(self, record):
        self.told.append(["report", record.trial])
    def on_trial_end(self, record):
        self.told.append(["end", record.trial])
        raise RuntimeError("of the user")
    def on_sweep_end(self, summary):
        self.told.append(["sweep end", summary.progress.done])

if __name__ == "__main__":
    t = 0.1 * np.arange(300)
    frame = pd.DataFrame({"a": np.sin(t), "b": np.cos(1.618 * t)}, index=pd.Index(t, name="t"))
    base = {"cell": {"kind": Leaky}, "init": {"kind": small}, "windows": {"length": 20, "batch": 4}}
    base |= {"training": {"steps": 3}, "lyapunov": {"steps": 20, "warmup": 5, "orbits": 2}, "measures": ["loss"]}
    recorder = Recorder()
    cells = [{"kind": Leaky, "leak": 0.2}, {"kind": "vanilla", "units": 3}]
    grid = {"cell": cells, "training/lr": np.logspace(-3, -2, 2)}
    result = lyapsweep.run_sweep(
        base, grid=grid, data=frame, objective=misfit, callbacks=[recorder], jobs=2, pack=1, tracking_uri="none"
    )
    best = result.best
    frame = result.table.finals.frame
    print("ANSWER", json.dumps({
        "told": recorder.told,
        "cells": sorted(frame["cell/kind"]),
        "outcomes": sorted(frame["outcome"]),
        "dt": best.record.provenance.data.dt,
        "best": best.measures[result.objective.removeprefix("measures/")],
        "scores": sorted(frame[result.objective]),
        "forecast": list(best.forecast(np.ones((1, 2)), 4).shape),
        "spectrum": len(best.spectrum.exponents),
        "atlas": result.atlas.is_file(),
    }))
"""


@pytest.mark.cluster
def test_a_sweep_of_a_script_with_everything_in_memory(tmp_path):
    (tmp_path / "study.py").write_text(SCRIPT)
    environment = os.environ | {"PYTHONPATH": str(ROOT), "LYAPSWEEP_ENGINE": "torch"}
    done = subprocess.run(
        [sys.executable, "study.py"], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=HANGS
    )
    assert done.returncode == 0, done.stderr
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("ANSWER")]
    answer = json.loads(line.removeprefix("ANSWER"))
    assert answer["outcomes"] == ["finished"] * 4
    assert [kind.partition(":")[0] for kind in answer["cells"]] == ["Leaky", "Leaky", "vanilla", "vanilla"]
    assert answer["dt"] == pytest.approx(0.1)
    assert answer["best"] == answer["scores"][0]
    assert (answer["forecast"], answer["spectrum"], answer["atlas"]) == ([4, 2], 3, True)
    told = answer["told"]
    assert (told[0], told[-1]) == (["sweep start", 4], ["sweep end", 4])
    trials = {trial for event, trial in told if event == "start"}
    assert len(trials) == 4
    for event, count in (("report", 2), ("end", 1)):
        assert sorted(t for e, t in told if e == event) == sorted([*trials] * count)
    assert done.stderr.count("Recorder.on_trial_end failed") == 1
    assert "study.py, line" in done.stderr


def made(base, data=None, tmp_path=Path("results"), **varied):
    return defined(base, Arrays(data), tmp_path, varied)


def test_a_base_may_be_settings_a_config_a_file_or_a_whole_sweep(tmp_path):
    grid = {"training/lr": np.logspace(-3, -1, 3)}
    sweep = made(SMALL, X, tmp_path, grid=grid)
    assert (sweep.name, sweep.objective) == ("sweep", "loss")
    config = sweep.config()
    assert made(config, None, tmp_path, grid=grid).config() == config
    again = made(sweep, X + 1, tmp_path, name="again")
    assert (again.name, again.grid) == ("again", sweep.grid)
    assert again.config() != config
    from_file = made(ROOT / "configs/lorenz63.yaml", None, tmp_path, grid=grid)
    assert (from_file.name, from_file.base) == ("lorenz63-lr", ROOT / "configs/lorenz63.yaml")
    assert made(ROOT / "sweeps/forcing_interval.py", None, tmp_path).name == "forcing_interval"
    assert (
        made("forcing_interval", None, tmp_path).grid == made(ROOT / "sweeps/forcing_interval.py", None, tmp_path).grid
    )
    assert made("lorenz63", None, tmp_path, grid=grid).name == "lorenz63-lr"
    with pytest.raises(ConfigError, match=r"Did you mean 'lorenz63"):
        made("lorenz64", None, tmp_path, grid=grid)


def test_the_objective_joins_the_measures(tmp_path):
    sweep = made(SMALL, X, tmp_path, grid={"seed": [0]}, objective="lambda_max")
    assert sweep.config().measures == ["loss", "lambda_max"]
    assert sweep.direction == "maximise"
    space = {"space": lambda trial: trial.suggest_float("training/lr", 0.1, 0.2), "trials": 2, "intent": "hunt"}
    hunt = made(SMALL, X, tmp_path, objective=["loss", "lambda_max"], **space)
    assert hunt.config().measures == ["loss", "lambda_max"]


def test_what_is_no_argument_is_refused_by_name():
    with pytest.raises(UnknownName, match="No argument of run_sweep is called 'bounds'"):
        lyapsweep.run_sweep(SMALL, data=X, grid={"seed": [0]}, bounds=())


@pytest.mark.parametrize(
    "values",
    [np.arange(2), range(2), (0, 1), [np.int64(0), 1], {0: "a", 1: "b"}.keys()],
    ids=lambda v: type(v).__name__,
)
def test_values_of_a_grid_are_any_sequence(values):
    assert Sweep(base=SMALL, objective="loss", grid={"seed": values}).grid == {"seed": [0, 1]}


def test_values_that_are_no_sequence_are_refused():
    with pytest.raises(SweepError, match="'seed' needs a list of values, but got 'ab'"):
        Sweep(base=SMALL, objective="loss", grid={"seed": "ab"})


def ended(**changes):
    progress = SweepProgress(4, 2, 2, 0, 0, 0, 0, None, 1.0, None)
    given = {"name": "a", "folder": Path("a"), "tracking_uri": "none", "progress": progress, "best_trial": None}
    return SweepSummary(**given | {"atlas": None, "interrupted": True, "message": "continue with --resume."} | changes)


def test_an_interrupted_sweep_raises_what_python_raises(caplog):
    with pytest.raises(KeyboardInterrupt, match="continue with resume=True"):
        conclude(ended())
    with pytest.raises(SweepError, match="resume=True"):
        conclude(ended(cause="the disk is full"))
    caplog.clear()
    conclude(ended(interrupted=False, message="", budget="2 of 4 trials; --resume goes on"))
    assert [record.getMessage() for record in caplog.records] == ["2 of 4 trials; resume=True goes on"]


def test_a_base_without_a_file_is_written_beside_the_results(tmp_path):
    from lyapsweep.config import Config
    from lyapsweep.sweep.execute.planning import base_config
    from lyapsweep.sweep.execute.results_folder import ResultsFolder

    sweep = made(SMALL, X, tmp_path, grid={"seed": [0]})
    folder = ResultsFolder(tmp_path, "sweep")
    described = base_config(sweep, folder)
    assert Config.load(described.path).id == sweep.config().id
    assert described.config == sweep.config().to_dict()


def test_results_without_a_winner_say_so(tmp_path):
    from lyapsweep.results.description import BadTable, SweepDescription
    from lyapsweep.results.table import Table

    result = lyapsweep.SweepResult(tmp_path, Table.of((), SweepDescription(objective="loss")))
    with pytest.raises(BadTable, match="no trial finished with a finite measures/loss"):
        result.best
    with pytest.raises(BadTable, match="there is no trial 4b1f"):
        result.trial("4b1f")
