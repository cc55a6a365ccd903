"""Triton's kernels of many steps, in Triton's interpreter, against the cells' own loops."""

import os

import pytest
import torch

from lyapsweep.cells import CELLS, unrolled
from lyapsweep.inits import INITS

os.environ["TRITON_INTERPRET"] = "1"  # before the kernels are read
pytest.importorskip("triton", reason="needs triton, which torch's builds for CUDA bring")
from lyapsweep.cells import triton_steps

KINDS = [
    ("vanilla", {}),
    ("vanilla", {"nonlinearity": "relu"}),
    ("plrnn", {}),
    ("alrnn", {"rectified": 2}),
]


@pytest.mark.parametrize(("kind", "settings"), KINDS)
def test_states_and_gradients_are_those_of_the_loop(kind, settings):
    cell = CELLS[kind](inputs=0, population=2, units=5, **settings)
    draw = torch.Generator().manual_seed(0)
    cell.build([(INITS["gaussian"], draw), (INITS["gaussian"], draw)])
    cell = cell.float()
    z = torch.randn(2, 20, 5, generator=draw, dtype=torch.float32).requires_grad_(True)  # two tiles, one of them cut
    g = torch.randn(6, 2, 20, 5, generator=draw, dtype=torch.float32)
    weights = [z, *(w for w in cell.parameters() if w.numel())]
    loop, kernels = unrolled.unroll(cell, z, 6), triton_steps.one_matrix_steps(cell.one_matrix(), z, 6)
    torch.testing.assert_close(kernels, loop, rtol=2e-6, atol=2e-6)
    for ours, theirs in zip(torch.autograd.grad(kernels, weights, g), torch.autograd.grad(loop, weights, g)):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


def test_kernels_are_tried_before_they_are_used(monkeypatch):
    assert triton_steps.works(torch.device("cpu"))
    monkeypatch.setattr(triton_steps, "KINDS", {"relu": 0})  # tanh instead
    triton_steps.works.cache_clear()
    assert not triton_steps.works(torch.device("cpu"))
