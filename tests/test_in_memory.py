"""Classes and functions of a notebook as members of a family: their names, their workers, their records."""

import pickle
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch

from lyapsweep import TrialResult, in_memory, register, trust
from lyapsweep.cells import Lstm
from lyapsweep.config import Config
from lyapsweep.in_memory import NotPickled, is_in_memory, name_of
from lyapsweep.measures import MEASURES, Measure
from lyapsweep.measures.measure import WORST_VALUE
from lyapsweep.registry import UnknownName
from lyapsweep.results.record import Outcome, Record
from lyapsweep.results.table import Table
from lyapsweep.sweep import Sweep
from lyapsweep.trial import restore_network, run_trial
from lyapsweep.trust import UntrustedCode

SMALL = {
    "dataset": {"kind": "simulated", "system": "henon", "length": 400},
    "cell": {"kind": "vanilla", "units": 4},
    "windows": {"length": 20, "batch": 4},
    "training": {"steps": 2},
    "lyapunov": {"steps": 20, "warmup": 5, "orbits": 2},
    "measures": ["loss"],
}
CELL = """
import torch
from lyapsweep.cells import AbstractCell

LEAK = {leak}

def bend(a):
    return torch.tanh({gain} * a)

class Leaky(AbstractCell):
    def __init__(self, inputs, population, *, units: int = 30):
        super().__init__(inputs, units, population, state=units)

    def draw(self, init, generator):
        return {{"W": init(self.units, self.units, generator)}}

    def step(self, z, x=None):
        {comment}
        return (1 - LEAK) * z + LEAK * bend(torch.bmm(z, self.W.mT))
"""


def defined(leak=0.5, gain=1.0, comment="pass"):
    """The class of a notebook's cell, defined anew."""
    cell = {"__name__": "__main__"}
    exec(compile(CELL.format(leak=leak, gain=gain, comment=comment), "<a cell>", "exec"), cell)
    return cell["Leaky"]


@pytest.fixture(autouse=True)
def empty_memory(monkeypatch):
    """A process that holds no objects."""
    monkeypatch.setattr(in_memory, "_objects", {})


def test_the_same_source_has_the_same_name():
    assert name_of(defined()) == name_of(defined())
    assert is_in_memory(name_of(defined()))


@pytest.mark.parametrize("change", [{"leak": 0.25}, {"gain": 2.0}, {"comment": "z = 2 * z"}])
def test_a_constant_or_a_helper_or_the_source_changes_the_name(change):
    assert name_of(defined(**change)) != name_of(defined())


def test_comments_and_docstrings_of_functions_that_are_read_from_files_do_not_count(tmp_path, monkeypatch):
    """In a file, whose source is known; it is no module that can be imported."""
    names = []
    for text in ("def f(evidence):\n    return 1.0\n", "def f(evidence):  # the best\n\n    return 1.0\n"):
        file = tmp_path / f"script_{len(names)}.py"
        file.write_text(text)
        found = {"__name__": "__main__"}
        exec(compile(text, str(file), "exec"), found)
        names.append(name_of(found["f"]))
    assert names[0] == names[1]


def test_closures_lambdas_and_arrays_count():
    def scaled(by):
        return lambda evidence: by * evidence.losses.mean()

    assert name_of(scaled(2.0)) != name_of(scaled(3.0))
    assert name_of(scaled(np.ones(2))) != name_of(scaled(np.zeros(2)))
    assert name_of(scaled(torch.ones(2))) == name_of(scaled(torch.ones(2)))
    frames = [pd.DataFrame({"a": [1.0, value]}) for value in (2.0, 3.0, 2.0)]
    assert [name_of(scaled(frame)) == name_of(scaled(frames[0])) for frame in frames] == [True, False, True]
    assert name_of(lambda e: e * 2) != name_of(lambda e: e * 3)
    assert name_of(lambda e: e).startswith("function:")


def test_members_of_the_library_and_of_modules_keep_their_names(tmp_path, monkeypatch):
    assert name_of(Lstm) == "lstm"
    assert Config.of(SMALL | {"cell": {"kind": Lstm}}).id == Config.of(SMALL | {"cell": {"kind": "lstm"}}).id
    (tmp_path / "cells_of_mine.py").write_text(CELL.format(leak=0.5, gain=1.0, comment="pass"))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    import cells_of_mine

    assert name_of(cells_of_mine.Leaky) == "cells_of_mine.py:Leaky"


def test_a_class_trains_and_its_record_says_that_it_needs_it(tmp_path, monkeypatch):
    config = Config.of(SMALL | {"cell": {"kind": defined(), "units": 3}})
    *_, record = run_trial(config)
    assert record.outcome is Outcome.FINISHED
    name = config.cell["kind"]
    assert record.provenance.code == {name: name.partition(":")[2]}
    file = record.save(tmp_path / "mine/records")
    monkeypatch.setattr(in_memory, "_objects", {})  # as in another process
    monkeypatch.setattr(trust, "_everything", True)  # --trust cannot bring it back: no file holds it
    found = Record.load(file, trust=True)
    assert (found.config.id, found.config.cell["kind"]) == (config.id, name)
    assert Table.read(tmp_path / "mine").column("cell/kind").tolist() == [name]
    with pytest.raises(UntrustedCode, match=r"memory of another process.*Define it again"):
        restore_network(found.config, found.weights)
    name_of(defined())
    restore_network(found.config, found.weights)
    with pytest.raises(UntrustedCode):
        restore_network(Config.of(SMALL | {"cell": {"kind": "Other:0123456789ab"}}))
    monkeypatch.setattr(in_memory, "_objects", {})
    with pytest.raises(UntrustedCode, match="Define it again"):
        TrialResult(found, tmp_path).forecast(np.zeros((3, 2)), 5)


def test_nothing_of_it_is_remembered_as_trusted_code(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr(trust, "_by_user", set())
    Config.of(SMALL | {"cell": {"kind": defined()}})
    trust.remember()
    assert not list(tmp_path.rglob("trusted"))


WORKER = """
import pickle, sys
from lyapsweep.sweep.execute.pack import PackSpec
from lyapsweep.trial import run_trials
spec = PackSpec.from_dict(pickle.load(sys.stdin.buffer))
*_, (record,) = run_trials(spec.configs, keys=spec.keys, final_measures=spec.settings.final_measures)
print(record.outcome.value, record.config.cell["kind"], sorted(record.measures))
"""


def test_workers_get_what_their_configs_name(tmp_path):
    """A pack's specification in another process, as Ray carries it there."""
    from lyapsweep.sweep.execute.pack import PackSettings, PackSpec

    def narrow(rows, columns, generator, *, width: float = 0.1):
        return width * torch.randn(rows, columns, generator=generator, dtype=torch.float64)

    def spread(evidence):
        return float(evidence.generated.std())

    def width(evidence):
        return float(np.ptp(evidence.generated))

    content = SMALL | {"cell": {"kind": defined()}, "init": {"kind": narrow}, "measures": ["loss", spread]}
    config, criterion = Config.of(content), name_of(width)
    settings = PackSettings(config.measures[1], "cpu", tmp_path, tmp_path, final_measures=(criterion,))
    spec = PackSpec(0, [config], [config.id], [], [], settings).to_dict()
    done = subprocess.run([sys.executable, "-c", WORKER], input=pickle.dumps(spec), capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout.decode().split()[:2] == ["finished", config.cell["kind"]]
    assert config.measures[1] in done.stdout.decode()
    assert criterion in done.stdout.decode()


def test_what_cannot_be_sent_is_refused_with_its_name(tmp_path):
    handle = (tmp_path / "open").open("w")

    def noisy(evidence):
        return handle.write("x")

    with pytest.raises(NotPickled, match=r"noisy:\w+: it cannot be sent to workers"):
        in_memory.pickled([name_of(noisy)])
    handle.close()


def test_a_registered_name(monkeypatch):
    from lyapsweep.config import FAMILIES

    monkeypatch.setattr(FAMILIES["cell"], "aliases", {})
    register("cell", "mine")(defined())
    config = Config.of(SMALL | {"cell": {"kind": "mine", "units": 3}})
    assert config.cell["kind"].startswith("mine:")
    assert Config.of(config.to_dict()).id == config.id
    assert Config.of(SMALL).changed({"cell/kind": "mine"}).cell["kind"] == config.cell["kind"]
    register("cell", "mine")(defined(leak=0.25))
    assert Config.of(SMALL | {"cell": {"kind": "mine", "units": 3}}).id != config.id
    with pytest.raises(ValueError, match="the library has one"):
        register("cell", "lstm")(defined())
    with pytest.raises(UnknownName, match="cell"):
        register("cel", "mine")
    with pytest.raises(UnknownName, match="Did you mean 'mine'"):
        FAMILIES["cell"]["mien"]


def test_a_function_is_a_measure_that_is_minimised():
    def farthest(run, power=2):
        return abs(run.orbit).max() ** power if run.orbit.size else 0.0

    sweep = Sweep(base=SMALL, objective=farthest, grid={"training/lr": np.logspace(-3, -1, 3)})
    assert sweep.direction == "minimise"
    measure = MEASURES[sweep.objective]
    assert (measure.needs, measure.worst) == (("orbit",), WORST_VALUE)
    config = Config.of(SMALL | {"measures": ["loss", {"kind": farthest, "power": 3}]})
    *_, record = run_trial(config)
    assert 0 < record.measures[sweep.objective] < WORST_VALUE


def test_a_measure_object_keeps_its_direction():
    best = Measure("tallest", lambda e: e.generated.max(), "maximise", worst=-10.0, unit="1", title="Tallest")
    sweep = Sweep(base=SMALL, objective=best, grid={"seed": range(2)})
    assert (sweep.direction, sweep.objective.partition(":")[0]) == ("maximise", "tallest")


def test_a_forcing_defined_inside_of_a_function():
    from lyapsweep.forcing import AbstractForcing

    class Fading(AbstractForcing):
        """a = rate^t."""

        def __init__(self, *, rate: float = 0.9):
            self.rate = rate

        def strengths(self, length, moment=None):
            return self.rate ** torch.arange(length, dtype=torch.get_default_dtype())

    *_, record = run_trial(Config.of(SMALL | {"forcing": {"kind": Fading, "rate": 0.5}}))
    assert record.outcome is Outcome.FINISHED


def test_a_compiled_cell_without_a_file():
    """Its functions are compiled though no file holds them."""
    from lyapsweep.compiled.caching import sources_digest

    functions = [{}, {}]
    for namespace, power in zip(functions, (2, 3)):
        exec(compile(f"def f(z):\n    return z ** {power}\n", "/nowhere/1.py", "exec"), namespace)
    digests = {sources_digest("a", namespace["f"]) for namespace in functions}
    assert len(digests) == 2
