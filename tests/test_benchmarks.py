"""A benchmark compares with what it says: peers compute what we compute, or what is wrong with them is named."""

import json
from importlib import import_module
from pkgutil import walk_packages

import pytest
import torch
from torch.func import jacrev, vmap

import benchmarks
from benchmarks import regression
from benchmarks.peers import JACOBIANS, PEERS, STEPS, module, weights
from benchmarks.problems import problem
from benchmarks.timing import markdown, verdict
from benchmarks.training import UNITS, configs, gradient_difference, ours
from lyapsweep.cells import CELLS
from lyapsweep.dynamics.lyapunov import random_frame

kinds = pytest.mark.parametrize("kind", [kind for kind in STEPS if kind in CELLS])


@pytest.fixture(autouse=True)
def single_precision():
    torch.set_default_dtype(torch.float32)  # as the benchmarks run


@kinds
def test_peers_step_as_the_cell_does(kind):
    p = problem(kind, 6, 2)
    w, z, x = weights(p.cell), p.z[0].float(), p.inputs[0, 0].float()
    torch.testing.assert_close(STEPS[kind](w, z, x).double(), p.cell.step(p.z, p.inputs[0])[0], atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(module(kind, w)(z, x).detach(), STEPS[kind](w, z, x), atol=1e-6, rtol=1e-5)


@kinds
def test_the_formulas_are_the_derivative(kind):
    """Of h' by h for an LSTM, whose c they hold."""
    p = problem(kind, 6, 2)
    w, z, x = weights(p.cell), p.z[0].float(), p.inputs[0, 0].float()
    J = vmap(jacrev(lambda z, x: STEPS[kind](w, z, x)))(z, x)[:, :6, :6]
    torch.testing.assert_close(JACOBIANS[kind](w, z, x), J, atol=1e-6, rtol=1e-5)


@kinds
@pytest.mark.parametrize("name", ["jacrev", "autograd"])
def test_in_double_precision_peers_find_our_exponents(kind, name):
    p = problem(kind, 6, 1)
    w, Q = weights(p.cell, torch.float64), random_frame(p.z, p.cell.state, 0)[0].mT
    found = PEERS[name](kind, w, p.z[0], p.inputs[:40, 0], Q)[0].sort(descending=True).values
    torch.testing.assert_close(found, torch.from_numpy(p.ours(40)), atol=1e-10, rtol=0)


@pytest.mark.parametrize("kind", list(UNITS))
def test_the_references_gradient_is_ours(kind):
    series = torch.randn(1000, 3, generator=torch.Generator().manual_seed(0)).cumsum(dim=0) / 30
    assert gradient_difference(kind, 30, series) < 1e-5


def test_training_pauses_after_so_many_updates():
    series = torch.randn(1000, 3, generator=torch.Generator().manual_seed(0))
    run = ours(configs("plrnn", 50, range(2)), series, 3)
    assert [next(run).step, next(run).step] == [3, 6]


def test_tables():
    rows = [verdict("a", 2.0, least=3), verdict("b", 2.0, most=2)]
    assert [row[""] for row in rows] == ["MISSED", "met"]
    assert verdict("c", float("nan"), most=1)[""] == "MISSED"
    assert markdown([{"x": 1.23456}, {"y": None}]).splitlines()[2:] == ["| 1.23 | - |", "| - | - |"]


def test_a_figure_that_grew_by_a_quarter_is_slower():
    rows = regression.compared({"a": 1.25, "b": 1.2, "c": 0.7, "d": 3.0}, {"a": 1.0, "b": 1.0, "c": 1.0})
    assert [row["verdict"] for row in rows] == ["slower", "", "faster", "new"]
    assert set(json.loads(regression.KEPT.read_text())) <= set(regression.JOBS)


def test_the_floor_of_a_frame_runs_its_calls():
    pytest.importorskip("numba")
    from benchmarks.floors import frame_floor

    for kind in ("vanilla", "shallow_plrnn"):
        cell = problem(kind, 12, 1).cell
        frame_floor(cell)(3)
        frame_floor(cell, only_copies=True)(3)


@pytest.mark.parametrize("name", [module.name for module in walk_packages(benchmarks.__path__, "benchmarks.")])
def test_every_benchmark_imports(name):
    if name == "benchmarks.jax_peer":
        pytest.importorskip("jax")
    import_module(name)
