"""The exam that every cell sits, and what single cells promise."""

import pytest
import torch

from lyapsweep.cells import CELLS
from lyapsweep.cells.unrolled import AbstractFusedCell, AbstractUnrolledCell, drive, unroll, visible
from lyapsweep.inits import INITS
from lyapsweep.maps import AbstractMap, Forced, autodiff_push
from lyapsweep.readouts import READOUTS

SIZES = {
    "vanilla": {"units": 5},
    "lstm": {"units": 4},
    "gru": {"units": 4},
    "plrnn": {"units": 5},
    "shallow_plrnn": {"units": 4, "hidden": 7},
    "dendritic_plrnn": {"units": 4, "bases": 3},
    "alrnn": {"units": 5, "rectified": 2},
    "antisymmetric": {"units": 5},
    "cornn": {"units": 4, "dt": 0.3},
    "scornn": {"units": 5, "bias": 0.3},
    "scurnn": {"units": 3, "bias": 0.3},
    "sbo": {"units": 4, "rank": 2, "eta": 0.1},
}
VARIANTS = [(kind, SIZES.get(kind, {"units": 4})) for kind in CELLS] + [
    ("vanilla", SIZES["vanilla"] | {"nonlinearity": "relu"}),
    ("shallow_plrnn", SIZES["shallow_plrnn"] | {"clipped": True}),
    ("dendritic_plrnn", SIZES["dendritic_plrnn"] | {"clipped": True}),
    ("alrnn", SIZES["alrnn"] | {"rectified": 0}),
    ("alrnn", SIZES["alrnn"] | {"rectified": 5}),
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
def test_drive_is_the_derivative_by_the_inputs(kind, knobs):
    cell = make(kind, knobs, inputs=2)
    z, x, _ = some(cell)
    X = torch.randn(3, 3, 5, 2, generator=torch.Generator().manual_seed(4))
    moved = [torch.func.jvp(lambda driven: cell.step(z, driven), (x,), (X[:, :, i],))[1] for i in range(5)]
    expected = torch.stack(moved, dim=2)
    torch.testing.assert_close(cell.drive(z, x, X), expected, atol=1e-12, rtol=0)


@exam
@pytest.mark.parametrize(("strength", "inputs"), [(0.0, 0), (0.3, 0), (1.0, 0), (0.3, 2)])
def test_push_under_forcing_is_autodiff(kind, knobs, strength, inputs):
    cell = make(kind, knobs, inputs=inputs)
    z, driving, V = some(cell)
    mask = (torch.arange(cell.state) < 3).double()
    target = torch.randn_like(z)
    x = torch.cat((torch.full((*z.shape[:2], 1), strength), target, *([driving] if inputs else [])), dim=-1)
    pulled = z + strength * mask * (target - z)
    torch.testing.assert_close(Forced(cell, mask).step(z, x), cell.step(pulled, driving if inputs else None))
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


@exam
@pytest.mark.parametrize("inputs", [0, 2])
def test_driving_is_stepping_and_back_is_autodiff(kind, knobs, inputs):
    """Inputs fed to all steps at once are inputs given step by step: states, and gradients of all that they follow."""
    cell = make(kind, knobs, inputs=inputs).requires_grad_(True)
    g = torch.Generator().manual_seed(2)
    x = torch.randn(7, 3, 3, inputs, generator=g, requires_grad=True)
    z = some(cell)[0].requires_grad_(True)
    given = [v for v in (z, x, *cell.parameters()) if v.numel()]
    stepped, driven = AbstractMap.orbit(cell, z, x, 7), drive(cell, z, x)
    torch.testing.assert_close(driven, stepped, atol=1e-13, rtol=1e-12)
    assert torch.equal(cell.orbit(z, x, 7), driven)
    error = torch.randn(driven.shape, generator=g)
    expected = torch.autograd.grad(stepped, given, error, materialize_grads=True)
    for got, want in zip(torch.autograd.grad(driven, given, error, materialize_grads=True), expected):
        torch.testing.assert_close(got, want, atol=1e-12, rtol=1e-10)
    if inputs:
        assert expected[1].abs().amax(dim=(1, 2, 3)).all()


@exam
def test_driving_with_zeros_is_unrolling(kind, knobs):
    cell = make(kind, knobs, inputs=2).requires_grad_(True)
    z = some(cell)[0].requires_grad_(True)
    driven, undriven = drive(cell, z, torch.zeros(7, 3, 3, 2)), unroll(cell, z, 7)
    torch.testing.assert_close(driven, undriven, atol=1e-13, rtol=1e-12)
    inner = [z, *cell.parameters()]
    sums = [torch.autograd.grad(states.square().sum(), inner, materialize_grads=True) for states in (driven, undriven)]
    for got, want in zip(*sums):
        torch.testing.assert_close(got, want, atol=1e-11, rtol=1e-9)


@exam
def test_a_driven_member_is_a_population_of_one(kind, knobs):
    """With its own inputs and start, it is where it would be alone; so are inputs that all members share."""
    together = make(kind, knobs, seeds=(4, 5, 6), inputs=2)
    z, x = some(together)[0], torch.randn(7, 3, 3, 2, generator=torch.Generator().manual_seed(2))
    shared = together.orbit(z, x[:, :1], 5)
    for p, seed in enumerate((4, 5, 6)):
        alone = make(kind, knobs, seeds=(seed,), inputs=2)
        got = alone.orbit(z[p : p + 1], x[:, p : p + 1], 7)
        torch.testing.assert_close(got, together.orbit(z, x, 7)[:, p : p + 1], atol=1e-12, rtol=1e-12)
        got = alone.orbit(z[p : p + 1], x[:, :1], 5)
        torch.testing.assert_close(got, shared[:, p : p + 1], atol=1e-12, rtol=1e-12)


UNROLLED = [kind for kind, cell in CELLS.items() if issubclass(cell, AbstractUnrolledCell)]


@pytest.mark.parametrize("kind", UNROLLED)
def test_an_orbit_wants_as_many_inputs_as_steps(kind):
    """Where there are fewer, its last states would be memory that nobody wrote to."""
    cell = make(kind, SIZES[kind], inputs=2)
    z, x, _ = some(cell)
    with pytest.raises(ValueError, match="orbit: 7 inputs are fewer than 8 steps"):
        cell.orbit(z, x.expand(7, -1, -1, -1), 8)


FUSED = [kind for kind, cell in CELLS.items() if issubclass(cell, AbstractFusedCell)]


@pytest.mark.parametrize("kind", FUSED)
@pytest.mark.parametrize("inputs", [0, 2])
def test_the_fused_call_is_unrolling(kind, inputs):
    """Single precision on a CPU, where training takes it: the same states and gradients, for every member."""
    cell = make(kind, SIZES[kind], inputs=inputs).float().requires_grad_(True)
    generator = torch.Generator().manual_seed(1)
    z = some(cell)[0].float().requires_grad_(True)
    x = torch.randn(7, 3, 3, inputs, generator=generator, dtype=torch.float32, requires_grad=True) if inputs else None
    given = [v for v in (z, x, *cell.parameters()) if v is not None and v.numel()]
    ours = (unroll(cell, z, 7) if x is None else drive(cell, z, x))[..., : cell.units]
    fused = cell.fused(z, 7, x)
    g = torch.randn(ours.shape, generator=generator, dtype=torch.float32)
    torch.testing.assert_close(fused, ours)
    torch.testing.assert_close(visible(cell, z, 7, x), fused if torch.backends.mkldnn.is_available() else ours)
    if x is not None:
        torch.testing.assert_close(cell.fused(z, 7, x[:, :1]), drive(cell, z, x[:, :1])[..., : cell.units])
    expected = torch.autograd.grad(ours, given, g, materialize_grads=True)
    for got, want in zip(torch.autograd.grad(fused, given, g, materialize_grads=True), expected):
        torch.testing.assert_close(got, want, atol=1e-5, rtol=1e-5)


def test_lstm_is_torchs_lstm():
    cell = make("lstm", {"units": 4}, seeds=(3,), inputs=2)
    theirs = torch.nn.LSTMCell(2, 4)
    theirs.load_state_dict(
        {"weight_ih": cell.U[0], "weight_hh": cell.W[0], "bias_ih": cell.b[0], "bias_hh": 0 * cell.b[0]}
    )
    z, x, _ = some(cell)
    h, c = theirs(x[0], (z[0, :, :4], z[0, :, 4:]))
    torch.testing.assert_close(cell.step(z, x)[0], torch.cat((h, c), dim=-1))


def test_gru_is_torchs_gru():
    """Both biases of the candidate included: b_n inside the product with r, d outside."""
    cell = make("gru", {"units": 4}, seeds=(3,), inputs=2)
    theirs = torch.nn.GRUCell(2, 4)
    outside = torch.cat((torch.zeros(8), cell.d[0]))
    theirs.load_state_dict({"weight_ih": cell.U[0], "weight_hh": cell.W[0], "bias_ih": outside, "bias_hh": cell.b[0]})
    z, x, _ = some(cell)
    torch.testing.assert_close(cell.step(z, x)[0], theirs(x[0], z[0]), atol=1e-14, rtol=0)


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


@pytest.mark.parametrize("clipped", [False, True])
def test_dendritic_plrnn_is_its_definition(clipped):
    """The sorted thresholds give what the sum over bases says, with its gradients, at kinks and behind all of them."""
    cell = make("dendritic_plrnn", {"units": 4, "bases": 3, "clipped": clipped}, seeds=(0, 1)).requires_grad_(True)
    z = 2 * some(cell, batch=30)[0]
    z[0, 0], z[0, 1] = cell.H[0, :, 1].detach(), 0.0
    z[:, 2:4] = torch.tensor([1e6, -1e6])[:, None]
    z.requires_grad_(True)
    bases = (z.unsqueeze(-1) - cell.H.unsqueeze(1)).relu() - clipped * z.unsqueeze(-1).relu()
    phi = (bases * cell.alpha[:, None, None]).sum(-1)
    direct = phi @ cell.W.mT + cell.A.unsqueeze(1) * z + cell.h.unsqueeze(1)
    torch.testing.assert_close(cell.step(z), direct, rtol=1e-9, atol=1e-12)
    inputs = [z, *(w for w in cell.parameters() if w.numel())]
    for got, want in zip(*(torch.autograd.grad(f.square().mean(), inputs) for f in (cell.step(z), direct))):
        torch.testing.assert_close(got, want, rtol=1e-9, atol=1e-9 * want.abs().max().item())


def test_clipped_dendritic_plrnn_stays_bounded():
    cell = make("dendritic_plrnn", {"units": 4, "bases": 5, "clipped": True}, init="gaussian", gain=3.0)
    cell.A.copy_(torch.full_like(cell.A, 0.9))
    bend = (cell.alpha.abs().unsqueeze(1) * cell.H.abs()).sum(-1)  # each basis is off by at most its own threshold
    bound = (cell.h.abs() + (cell.W.abs() @ bend.unsqueeze(-1)).squeeze(-1)).amax() / 0.1
    z = 100 * some(cell)[0]
    for _ in range(500):
        z = cell.step(z)
    assert z.abs().amax() <= bound * 1.01


@pytest.mark.parametrize(
    ("kind", "knobs", "readout", "features", "published"),
    [
        ("shallow_plrnn", {"units": 5, "hidden": 250, "clipped": True}, "linear", 5, 2785),
        ("shallow_plrnn", {"units": 16, "hidden": 512, "clipped": True}, "linear", 64, 17952),
        ("dendritic_plrnn", {"units": 35, "bases": 50}, "identity", 5, 3245),
        ("dendritic_plrnn", {"units": 105, "bases": 40}, "identity", 64, 18099),
    ],
)
def test_networks_are_of_the_published_size(kind, knobs, readout, features, published):
    """Trainable parameters of the networks in table 1 of Hess et al. 2023 (ECG and EEG)."""
    cell = CELLS[kind](inputs=0, population=1, **knobs)
    seer = READOUTS[readout](features, cell.units, cell.state, 1)
    cell.build([(INITS["uniform"], torch.Generator())])
    seer.build([torch.Generator()])
    assert sum(w.numel() for module in (cell, seer) for w in module.parameters()) == published


@pytest.mark.parametrize(
    ("kind", "knobs"), [("alrnn", {"units": 3, "rectified": 4}), ("dendritic_plrnn", {"bases": 0})]
)
def test_impossible_sizes_are_refused(kind, knobs):
    with pytest.raises(ValueError, match=f"cell/{list(knobs)[-1]}"):
        CELLS[kind](inputs=0, population=1, **knobs)
