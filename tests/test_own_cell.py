"""A cell of the user's own, in a file of their own: the exam, a trial, its spectrum, a sweep and the atlas take it."""

import pytest
import test_cells
import torch
import yaml
from driving import run

from lyapsweep.cells import CELLS
from lyapsweep.config import Config, ConfigError
from lyapsweep.dynamics import lyapunov_spectra
from lyapsweep.registry import UnknownName
from lyapsweep.results.table import Table
from lyapsweep.sweep import Sweep
from lyapsweep.trial import network_spectrum, run_trial

LEAKY = '''
import torch
from lyapsweep.cells import AbstractCell
from lyapsweep.inits import bounded


class Leaky(AbstractCell):
    """z' = (1 - leak) z + leak tanh(W z + U x): a leaky tanh network."""

    def __init__(self, inputs: int, population: int, *, units: int = 30, leak: float = 0.5):
        super().__init__(inputs, units, population, state=units)
        self.leak = leak

    def draw(self, init, generator):
        n, m = self.units, self.inputs
        return {"W": init(n, n, generator), "U": bounded(n, m, units=n, generator=generator)}

    def step(self, z, x=None):
        a = torch.bmm(z, self.W.mT)
        a = a if x is None else a + x @ self.U.mT
        return (1 - self.leak) * z + self.leak * torch.tanh(a)
'''


@pytest.fixture
def kind(tmp_path):
    file = tmp_path / "leaky.py"
    file.write_text(LEAKY)
    return f"{file}:Leaky"


def content(kind, **cell):
    return {
        "dataset": {"kind": "simulated", "system": "lorenz63", "length": 600, "dt": 0.02},
        "cell": {"kind": kind, "units": 5, **cell},
        "windows": {"length": 20, "batch": 4},
        "training": {"steps": 4},
        "lyapunov": {"steps": 50, "warmup": 5, "orbits": 2},
        "measures": ["loss", "state_space"],
    }


EXAM = [
    test_cells.test_push_is_autodiff,
    test_cells.test_jacobian_is_the_push_of_the_unit_vectors,
]


@pytest.mark.parametrize("exam", EXAM, ids=lambda exam: exam.__name__)
@pytest.mark.parametrize("inputs", [0, 2])
def test_it_sits_the_exam(kind, exam, inputs):
    exam(kind, {"units": 6}, inputs)


def test_its_spectrum_is_what_algebra_says(kind):
    """leak = 0: the identity. leak = 1 at rest: log |eig W|."""
    still = CELLS[kind](inputs=0, population=1, units=4, leak=0.0)
    still.W = torch.nn.Parameter(torch.randn(1, 4, 4), requires_grad=False)
    assert lyapunov_spectra(still, torch.randn(1, 1, 4), steps=20)[0].exponents == pytest.approx([0.0] * 4, abs=1e-14)
    whole = CELLS[kind](inputs=0, population=1, units=4, leak=1.0)
    whole.W = torch.nn.Parameter(torch.diag(torch.tensor([0.9, 0.5, 0.3, 0.1]))[None], requires_grad=False)
    found = lyapunov_spectra(whole, torch.zeros(1, 1, 4), steps=200, warmup=100)[0].exponents
    assert found == pytest.approx([-0.1053605, -0.6931472, -1.2039728, -2.3025851], abs=1e-6)


def test_a_trial_and_its_spectrum(kind):
    config = Config.of(content(kind, leak=0.25))
    assert config.cell["leak"] == 0.25
    *_, record = run_trial(config)
    assert record.outcome == "finished"
    assert record.spectra["closed loop"].state == 5
    again = network_spectrum(config, record.weights)
    assert again.exponents == pytest.approx(record.spectra["closed loop"].exponents, abs=1e-5)


def test_what_is_wrong_with_it_is_said(kind, tmp_path):
    with pytest.raises(ConfigError, match="cell/laek"):
        Config.of(content(kind, laek=0.25))
    with pytest.raises(UnknownName, match=r"No cell in .*leaky.py is called 'Laeky'. Did you mean 'Leaky'"):
        CELLS[kind.replace("Leaky", "Laeky")]
    with pytest.raises((UnknownName, ConfigError), match="there is no file"):
        Config.of(content(f"{tmp_path}/nothing.py:Leaky"))


@pytest.mark.cluster
def test_a_sweep_and_its_atlas(kind, tmp_path):
    base = tmp_path / "base.yaml"
    base.write_text(yaml.safe_dump(content("vanilla")))
    cells = [{"kind": kind, "units": 5, "leak": leak} for leak in (0.2, 0.8)] + [{"kind": "vanilla", "units": 5}]
    sweep = Sweep(base=base, objective="state_space", grid={"cell": cells}, seeds=2, name="own")
    summary = run(sweep, results=tmp_path / "results", jobs=1)
    assert summary.progress.finished == 6
    assert {len(s) for s in Table.read(summary.folder).finals.spectra["closed loop"]} == {5}
    assert summary.atlas is not None
    assert "leaky.py:Leaky" in summary.atlas.read_text()
