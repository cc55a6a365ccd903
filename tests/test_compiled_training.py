"""The exam of compiled updates: loss and gradient are torch's for every cell, forcing, head and readout."""

import re
from pathlib import Path

import pytest
import torch

from lyapsweep.cells import CELLS
from lyapsweep.compiled.elementwise import statement_of
from lyapsweep.compiled.engine import choose_engine
from lyapsweep.config import Config
from lyapsweep.problems import problem_of
from lyapsweep.problems.network import build_network
from lyapsweep.regularisation import penalty
from lyapsweep.training import train

pytest.importorskip("numba")
HOWTO = Path(__file__).resolve().parents[1] / "docs/howto.md"
RATE = 2.0**20  # of one step of gradient descent: the weights become the gradient
SERIES = {
    "dataset": {"kind": "simulated", "system": "lorenz63", "length": 400},
    "windows": {"length": 20, "batch": 3},
    "training": {"steps": 1, "lr": RATE, "optimizer": "sgd"},
    "measures": ["loss"],
}
TASK = {**SERIES, "windows": {"batch": 3}, "training": {**SERIES["training"], "report_at": []}}
STREAM = {**TASK, "dataset": {"kind": "buckets"}, "readout": {"kind": "affine"}}
FORCINGS = [
    {"kind": "none"},
    {"kind": "none", "start": "zero"},
    {"kind": "full"},
    {"kind": "sparse", "interval": 7},
    {"kind": "annealed", "interval": 7},
    {"kind": "random", "interval": 6, "spread": 2},
    {"kind": "generalised", "alpha": 0.3},
    {"kind": "adaptive"},
    {"kind": "truncated", "interval": 8},
]
STATED = [name for name, cell in CELLS.items() if statement_of(cell(inputs=0, population=1))]
QUICK = ("plrnn", "lstm")  # the others compile for seconds each
KINDS = [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in STATED]


@pytest.fixture(autouse=True)
def _single_precision():
    torch.set_default_dtype(torch.float32)  # as outside of tests


def trained(engine, content, seeds=2):
    """Curves, and how far weights moved, of a population."""
    choose_engine(engine)
    configs = [Config.of({**content, "seed": seed}) for seed in range(seeds)]
    problem = problem_of(configs[0])
    network = build_network(configs, *problem.size)
    before = {name: w.detach().clone() for name, w in network.named_parameters()}
    added = penalty(network, [c.regularisation for c in configs])
    *_, last = train(network, problem.objective(network, configs), [c.training for c in configs], added)
    assert last.engine == engine
    return last, {name: (w.detach() - before[name]) / RATE for name, w in network.named_parameters()}


def compare(monkeypatch, content):
    """First losses agree to 1e-6, gradients to 1e-5 of the largest entry."""
    monkeypatch.setenv("LYAPSWEEP_ENGINE", "auto")
    (expected, theirs), (found, ours) = trained("torch", content), trained("compiled", content)
    torch.testing.assert_close(found.losses, expected.losses, rtol=1e-6, atol=0)
    torch.testing.assert_close(found.gradient_norms, expected.gradient_norms, rtol=1e-5, atol=0)
    largest = max(float(g.abs().max()) for g in theirs.values() if g.numel())
    for name, gradient in theirs.items():
        torch.testing.assert_close(ours[name], gradient, rtol=0, atol=1e-5 * largest, msg=lambda m, n=name: f"{n}: {m}")


@pytest.mark.parametrize("forcing", FORCINGS, ids=lambda f: "-".join(map(str, f.values())))
@pytest.mark.parametrize("kind", KINDS)
def test_losses_and_gradients_on_a_series_are_those_of_torch(monkeypatch, kind, forcing):
    for readout in ("linear", "affine", "identity"):
        cell = {"kind": kind, "units": 6}
        compare(monkeypatch, {**SERIES, "cell": cell, "forcing": forcing, "readout": {"kind": readout}})


@pytest.mark.parametrize("kind", KINDS)
def test_losses_and_gradients_on_tasks_are_those_of_torch(monkeypatch, kind):
    cell = {"kind": kind, "units": 10}
    adding = {"kind": "adding", "length": 12, "train": 20, "test": 4}
    for readout in ("linear", "affine", "identity", "neuroview"):  # one answer, squared error
        compare(monkeypatch, {**TASK, "dataset": adding, "cell": cell, "readout": {"kind": readout}})
    for task in ({"kind": "flip_flop"}, {"kind": "copying", "delay": 5}):  # every step; classes and symbols
        compare(monkeypatch, {**TASK, "dataset": task, "cell": cell})
    for windows in ({"policy": "conditional"}, {"spin_up": 3}):
        compare(monkeypatch, {**STREAM, "cell": cell, "windows": {"length": 10, "batch": 3, **windows}})


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        pytest.param("vanilla", {"nonlinearity": "relu"}, marks=pytest.mark.slow),
        pytest.param("shallow_plrnn", {"clipped": True}, marks=pytest.mark.slow),
        pytest.param("dendritic_plrnn", {"clipped": True}, marks=pytest.mark.slow),
        pytest.param("alrnn", {"rectified": 2}, marks=pytest.mark.slow),
    ],
)
def test_variants_of_cells(monkeypatch, kind, settings):
    compare(monkeypatch, {**SERIES, "cell": {"kind": kind, "units": 6, **settings}, "forcing": FORCINGS[3]})


@pytest.mark.parametrize(
    "training",
    [
        {"optimizer": "sgd", "clip": 0.5},
        {"optimizer": "adam", "clip_value": 1e-3, "lr_end": 1e-5},
        {"optimizer": "radam"},
    ],
    ids=lambda t: t["optimizer"],
)
def test_optimizers_clips_rates_and_penalties_are_those_of_torch(monkeypatch, training):
    monkeypatch.setenv("LYAPSWEEP_ENGINE", "auto")
    content = {**SERIES, "cell": {"kind": "plrnn", "units": 6}, "forcing": {"kind": "sparse"}}
    content |= {"training": {"steps": 20, "lr": 1e-3, **training}, "regularisation": {"latent": 1e-2, "attractor": 0.1}}
    (expected, theirs), (found, ours) = trained("torch", content), trained("compiled", content)
    torch.testing.assert_close(found.losses, expected.losses, rtol=1e-5, atol=0)
    for name, moved in theirs.items():
        torch.testing.assert_close(ours[name] * RATE, moved * RATE, rtol=0, atol=3e-5, msg=name)


@pytest.mark.slow
def test_the_cell_of_the_how_to_trains_on_both_engines(monkeypatch, tmp_path):
    (program,) = [b for b in re.findall(r"```python\n(.*?)```", HOWTO.read_text(), re.S) if "my_fast_cell.py" in b]
    (tmp_path / "my_fast_cell.py").write_text(program)
    monkeypatch.chdir(tmp_path)
    cell = {"kind": "my_fast_cell.py:FastLeaky", "units": 6, "leak": 0.3}
    compare(monkeypatch, {**SERIES, "cell": cell, "forcing": FORCINGS[3]})


def test_a_driven_series(monkeypatch):
    forced = {"kind": "simulated", "system": "duffing", "length": 400}
    for forcing in (FORCINGS[3], FORCINGS[6]):
        compare(monkeypatch, {**SERIES, "dataset": forced, "cell": {"kind": "plrnn", "units": 6}, "forcing": forcing})
