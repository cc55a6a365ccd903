"""The exam that every cell sits, and what single cells promise."""

import pytest
import torch

from lyapsweep.cells import CELLS
from lyapsweep.cells.unrolled import unroll
from lyapsweep.inits import INITS
from lyapsweep.maps import Forced, autodiff_push

SIZES = {
    "vanilla": {"units": 5},
    "lstm": {"units": 4},
    "plrnn": {"units": 5},
    "shallow_plrnn": {"units": 4, "hidden": 7},
    "antisymmetric": {"units": 5},
    "cornn": {"units": 4, "dt": 0.3},
    "scornn": {"units": 5, "bias": 0.3},
    "scurnn": {"units": 3, "bias": 0.3},
    "sbo": {"units": 4, "rank": 2, "eta": 0.1},
}
VARIANTS = [
    *((kind, SIZES.get(kind, {"units": 4})) for kind in CELLS),
    ("shallow_plrnn", SIZES["shallow_plrnn"] | {"clipped": True}),
    ("sbo", SIZES["sbo"] | {"method": "heavy_ball", "inner_steps": 2}),
    ("sbo", SIZES["sbo"] | {"method": "nesterov", "activation": "tanh", "inner_steps": 3}),
    ("sbo", SIZES["sbo"] | {"method": "nesterov", "coupling": "sparse"}),
]
exam = pytest.mark.parametrize(("kind", "knobs"), VARIANTS, ids=lambda v: str(v))


def make(kind, knobs, seeds=(0, 1, 2), inputs=0, init="gaussian", **settings):
    cell = CELLS[kind](inputs=inputs, population=len(seeds), **knobs)
    draw = lambda r, c, g: INITS[init](r, c, g, **settings)  # noqa: E731
    cell.build([(draw, torch.Generator().manual_seed(s)) for s in seeds])
    return cell.requires_grad_(False)


def some(cell, batch=3, rows=4, seed=9):
    g = torch.Generator().manual_seed(seed)
    z = torch.randn(cell.population, batch, cell.state, generator=g)
    x = torch.randn(cell.population, batch, cell.inputs, generator=g) if cell.inputs else None
    return z, x, torch.randn(cell.population, batch, rows, cell.state, generator=g)


@exam
@pytest.mark.parametrize("inputs", [0, 2])
def test_push_is_autodiff(kind, knobs, inputs):
    cell = make(kind, knobs, inputs=inputs)
    z, x, V = some(cell)
    stepped, pushed = cell.push(z, x, V)
    expected_z, expected_V = autodiff_push(cell.step, z, x, V)
    torch.testing.assert_close(stepped, expected_z, atol=1e-12, rtol=0)
    torch.testing.assert_close(pushed, expected_V, atol=1e-10, rtol=0)


@exam
@pytest.mark.parametrize("inputs", [0, 2])
def test_jacobian_is_the_push_of_the_unit_vectors(kind, knobs, inputs):
    cell = make(kind, knobs, inputs=inputs)
    z, x, _ = some(cell)
    unit = torch.eye(cell.state).expand(*z.shape[:2], -1, -1)
    J = cell.jacobian(z, x)
    torch.testing.assert_close(J, cell.push(z, x, unit)[1].mT, atol=1e-12, rtol=0)
    torch.testing.assert_close(cell.log_det(z, x), torch.linalg.slogdet(J)[1], atol=1e-9, rtol=0)


@exam
@pytest.mark.parametrize("strength", [0.0, 0.3, 1.0])
def test_push_under_forcing_is_autodiff(kind, knobs, strength):
    cell = make(kind, knobs)
    z, _, V = some(cell)
    mask = (torch.arange(cell.state) < 3).double()
    x = torch.cat((torch.full((*z.shape[:2], 1), strength), torch.randn_like(z)), dim=-1)
    forced = Forced(cell, mask)
    pushed = forced.push(z, x, V)
    expected = autodiff_push(forced.step, z, x, V)
    for got, want in zip(pushed, expected):
        torch.testing.assert_close(got, want, atol=1e-10, rtol=0)
    unit = torch.eye(cell.state).expand(*z.shape[:2], -1, -1)
    torch.testing.assert_close(forced.jacobian(z, x), forced.push(z, x, unit)[1].mT, atol=1e-12, rtol=0)


@exam
def test_a_member_is_a_population_of_one(kind, knobs):
    together = make(kind, knobs, seeds=(4, 5, 6), inputs=2)
    z, x, V = some(together)
    for p, seed in enumerate((4, 5, 6)):
        alone = make(kind, knobs, seeds=(seed,), inputs=2)
        for got, want in zip(alone.push(z[p : p + 1], x[p : p + 1], V[p : p + 1]), together.push(z, x, V)):
            torch.testing.assert_close(got, want[p : p + 1], atol=1e-13, rtol=1e-13)


@exam
def test_seeds_decide_the_weights(kind, knobs):
    first, again, other = make(kind, knobs, (7,)), make(kind, knobs, (7,)), make(kind, knobs, (8,))
    pairs = list(zip(first.parameters(), again.parameters(), other.parameters()))
    assert all(torch.equal(a, b) for a, b, _ in pairs)
    assert any(not torch.equal(a, c) for a, _, c in pairs if a.numel())


@exam
def test_finite_after_a_thousand_steps(kind, knobs):
    cell = make(kind, knobs, init="gaussian", gain=0.5)
    z, _, _ = some(cell)
    for _ in range(1000):
        z = cell.step(z)
    assert z.isfinite().all()
    assert z.shape[-1] == cell.state >= cell.units


@exam
def test_unrolling_is_stepping_and_back_is_autodiff(kind, knobs):
    """Backpropagation through time as the cell writes it is autograd's through its steps, for states and weights."""
    cell = make(kind, knobs).requires_grad_(True)
    z = some(cell)[0].requires_grad_(True)
    inputs = [z, *(w for w in cell.parameters() if w.numel())]
    g = torch.randn(7, *z.shape, generator=torch.Generator().manual_seed(1))
    states, after = [], z
    for _ in range(7):
        after = cell.step(after)
        states.append(after)
    unrolled = unroll(cell, z, 7)
    torch.testing.assert_close(unrolled, torch.stack(states), atol=1e-12, rtol=0)
    expected = torch.autograd.grad(torch.stack(states), inputs, g, materialize_grads=True)
    for got, want in zip(torch.autograd.grad(unrolled, inputs, g, materialize_grads=True), expected):
        torch.testing.assert_close(got, want, atol=1e-11, rtol=1e-9)


def test_lstm_is_torchs_lstm():
    cell = make("lstm", {"units": 4}, seeds=(3,), inputs=2)
    theirs = torch.nn.LSTMCell(2, 4)
    theirs.load_state_dict(
        {"weight_ih": cell.U[0], "weight_hh": cell.W[0], "bias_ih": cell.b[0], "bias_hh": 0 * cell.b[0]}
    )
    z, x, _ = some(cell)
    h, c = theirs(x[0], (z[0, :, :4], z[0, :, 4:]))
    torch.testing.assert_close(cell.step(z, x)[0], torch.cat((h, c), dim=-1))


def test_plrnn_keeps_its_diagonal_apart():
    cell = make("plrnn", {"units": 5}, seeds=(0,))
    cell.W += 1.0  # what an optimizer may do
    assert torch.equal(cell.coupling().diagonal(dim1=1, dim2=2), torch.zeros(1, 5))


def test_clipped_shallow_plrnn_stays_bounded():
    cell = make("shallow_plrnn", {"units": 4, "hidden": 7, "clipped": True}, init="gaussian", gain=3.0)
    cell.A.copy_(torch.full_like(cell.A, 0.9))
    bound = (cell.h1.abs() + (cell.W1.abs() @ cell.h2.abs().unsqueeze(-1)).squeeze(-1)).amax() / 0.1
    z = 100 * some(cell)[0]
    for _ in range(500):
        z = cell.step(z)
    assert z.abs().amax() <= bound * 1.01
