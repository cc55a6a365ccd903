"""Oscillators and unitary networks: cells whose spectra are known before they are measured."""

import copy
import math

import pytest
import torch
from test_cells import make, some

from lyapsweep.cells.cayley import cayley, skew, skew_hermitian
from lyapsweep.cells.unrolled import unroll
from lyapsweep.config import Config
from lyapsweep.dynamics import lyapunov_spectra
from lyapsweep.maps import ClosedLoop, autodiff_push
from lyapsweep.problems.network import build_network
from lyapsweep.problems.series import forcing_schedule
from lyapsweep.training import train
from lyapsweep.training.objectives import ForcedWindows

CAYLEY = [("scornn", {"units": 7}), ("scurnn", {"units": 6})]
EXACT = {"units": 6, "epsilon": 0.0}


def driving(steps, batch=2, inputs=2, seed=3, scale=1.0):
    return scale * torch.randn(steps, 1, batch, inputs, generator=torch.Generator().manual_seed(seed))


def exponents(cell, x=None, steps=400, **settings):
    """Of two orbits from random states, with their spectrum."""
    z = torch.randn(1, 2, cell.state, generator=torch.Generator().manual_seed(5))
    (spectrum,) = lyapunov_spectra(cell, z, x, steps=steps, **settings)
    return torch.from_numpy(spectrum.exponents.copy()), spectrum


def complex_matrix(cell):
    """W of scurnn as a complex matrix."""
    n, M = cell.complex_units, cell.recurrent()
    return torch.complex(M[:, :n, :n], M[:, n:, :n])


def test_antisymmetric_turns_about_its_fixed_point():
    """b = 0, z = 0: J = (1 - e g) I + e (W - W^T), eigenvalues 1 - e g +- i e w, a normal matrix."""
    for gamma in (0.0, 0.3):
        cell = make("antisymmetric", {"units": 6, "gamma": gamma, "epsilon": 0.2}, seeds=(0,))
        cell.b.zero_()
        turns = torch.linalg.eigvals(cell.W[0] - cell.W[0].mT).imag
        expected = torch.hypot(torch.full_like(turns, 1 - 0.2 * gamma), 0.2 * turns).log().sort(descending=True)[0]
        (spectrum,) = lyapunov_spectra(cell, torch.zeros(1, 1, 6), steps=1000, warmup=1000)
        torch.testing.assert_close(torch.from_numpy(spectrum.exponents.copy()), expected, atol=1e-10, rtol=0)
        assert (spectrum.maximum > 0) == bool((turns.square().max() + gamma**2) * 0.2 > 2 * gamma)  # Euler's price


def test_cornn_without_coupling_is_a_row_of_damped_oscillators():
    dt, gamma, epsilon = 0.1, 2.0, 0.5
    cell = make("cornn", {"units": 3, "dt": dt, "gamma": gamma, "epsilon": epsilon}, seeds=(0,), inputs=2)
    cell.W.zero_()
    found, spectrum = exponents(cell, driving(2000), steps=2000)
    oscillator = torch.tensor([[1 - dt * dt * gamma, dt * (1 - dt * epsilon)], [-dt * gamma, 1 - dt * epsilon]])
    expected = torch.linalg.eigvals(oscillator).abs().log().repeat_interleave(3)
    torch.testing.assert_close(found, expected.sort(descending=True)[0], atol=1e-3, rtol=0)
    assert spectrum.sum == pytest.approx(3 * math.log(1 - dt * epsilon), abs=1e-9)


def test_cornn_loses_volume_through_its_velocities_alone():
    """W_z = 0: sum of exponents = n log(1 - dt e), whatever W_y and the drive."""
    cell = make("cornn", {"units": 5}, seeds=(0,), inputs=2)
    cell.W[:, :, 5:] = 0
    _, spectrum = exponents(cell, driving(300), steps=300)
    assert spectrum.sum == pytest.approx(5 * math.log(1 - 0.042 * 4.7), abs=1e-9)


@pytest.mark.parametrize(("kind", "knobs"), CAYLEY)
def test_the_cayley_transform_is_unitary(kind, knobs):
    cell = make(kind, knobs, seeds=(0, 1))
    cell.A += torch.randn(cell.A.shape, generator=torch.Generator().manual_seed(1))
    M = cell.recurrent()
    torch.testing.assert_close(M.mT @ M, torch.eye(cell.state).expand_as(M), atol=1e-12, rtol=0)


@pytest.mark.parametrize(("kind", "knobs"), CAYLEY)
def test_training_in_single_precision_leaves_it_unitary(kind, knobs):
    cell = make(kind, knobs, seeds=(0,)).float().requires_grad_(True)
    optimizer = torch.optim.Adam(cell.parameters(), lr=1e-2)
    target = torch.randn(1, 4, cell.state, dtype=torch.float32, generator=torch.Generator().manual_seed(1))
    before = cell.recurrent().detach()
    for _ in range(200):
        optimizer.zero_grad()
        (cell.orbit(torch.ones_like(target), None, 3)[-1] - target).square().mean().backward()
        optimizer.step()
    M = cell.recurrent().detach()
    assert (M - before).abs().max() > 0.1
    torch.testing.assert_close(M.mT @ M, torch.eye(cell.state, dtype=torch.float32)[None], atol=1e-5, rtol=0)


def test_the_initial_angles_are_the_ones_drawn():
    """Eigenvalues exp(+-it) of K with 0 < t < `angle`; K itself has determinant 1, the signs of D make it -1."""
    cell = make("scornn", {"units": 7, "angle": 0.3, "rho": 3 / 7}, seeds=(0,))
    K = cayley(skew(cell.A, 7))
    angles = torch.linalg.eigvals(K[0]).angle().sort()[0]
    torch.testing.assert_close(angles, -angles.flip(0), atol=1e-12, rtol=0)
    drawn = 2 * torch.atan(cell.A[0][cell.A[0] != 0]).sort()[0]
    torch.testing.assert_close(angles[-3:], drawn, atol=1e-12, rtol=0)
    assert drawn.max() < 0.3
    assert torch.linalg.det(K).item() == pytest.approx(1)
    assert torch.linalg.det(cell.recurrent()).item() == pytest.approx(-1)


def test_the_transforms_gradients_are_the_published_ones():
    """C = (I + A)^-T dL/dW (D + W^T), dL/dA = C^T - conj C; a number beside the diagonal stands for two entries of A.

    dL/dtheta_j = 2 Re(i d_j (dL/dW^T K)_jj), d = exp(i theta). dL/dW is (d/dRe - i d/dIm) / 2, dL/dA d/dRe + i d/dIm.
    """
    cell = make("scurnn", {"units": 5}, seeds=(0,)).requires_grad_(True)
    G = torch.randn(1, 10, 10, generator=torch.Generator().manual_seed(1))
    by_A, by_theta = torch.autograd.grad((cell.parametrise() * G).sum(), [cell.A, cell.theta])
    A, D = skew_hermitian(cell.A.detach()), torch.polar(torch.ones(1, 5), cell.theta.detach())
    K = cayley(A)
    W, unit = K * D.unsqueeze(1), torch.eye(5, dtype=A.dtype)
    by_real, by_imaginary = G[:, :5, :5] + G[:, 5:, 5:], G[:, 5:, :5] - G[:, :5, 5:]
    by_W = torch.complex(by_real, -by_imaginary) / 2
    C = torch.linalg.inv(unit + A).mT @ by_W @ (torch.diag_embed(D) + W.mT)
    published = C.mT - C.conj()
    expected = torch.where(torch.ones(5, 5).tril(-1) > 0, published.real, published.imag) * (2 - torch.eye(5))
    torch.testing.assert_close(by_A, expected, atol=1e-12, rtol=0)
    expected = 2 * (1j * D * (by_W.mT @ K).diagonal(dim1=1, dim2=2)).real
    torch.testing.assert_close(by_theta, expected, atol=1e-12, rtol=0)


def test_scurnn_is_the_complex_network():
    cell = make("scurnn", {"units": 4, "bias": 0.3, "epsilon": 1e-5}, seeds=(0,), inputs=2)
    z, x, _ = some(cell)
    h, U = torch.complex(z[..., :4], z[..., 4:]), torch.complex(cell.U[:, :4], cell.U[:, 4:])
    a = h @ complex_matrix(cell).mT + x.to(U.dtype) @ U.mT
    m = (a.abs().square() + 1e-5).sqrt()
    expected = a * (torch.relu(m + cell.b) / (m + 1e-5))
    torch.testing.assert_close(cell.step(z, x), torch.cat((expected.real, expected.imag), dim=-1))


@pytest.mark.parametrize("driven", [False, True])
@pytest.mark.parametrize(
    ("kind", "knobs"), [("scornn", {"units": 7}), ("scornn", {"units": 7, "bias": 0.2}), ("scurnn", EXACT)]
)
def test_every_exponent_of_a_unitary_network_is_zero(kind, knobs, driven):
    """No bias, or in the real network none below zero."""
    cell = make(kind, knobs, seeds=(0,), inputs=2 if driven else 0)
    cell.b.copy_(cell.b.abs() if kind == "scornn" else 0 * cell.b)
    found, spectrum = exponents(cell, driving(400) if driven else None)
    torch.testing.assert_close(found, torch.zeros_like(found), atol=1e-12, rtol=0)
    assert spectrum.rank_losses == 0


def test_the_softened_modulus_costs_about_epsilon():
    """e = 1e-5: exponents a little below zero, by about e / |h|."""
    cell = make("scurnn", {"units": 6, "bias": 0.0, "epsilon": 1e-5}, seeds=(0,), inputs=2)
    found, _ = exponents(cell, driving(400))
    assert (found < 0).all()
    assert (found > -1e-4).all()


def test_a_bias_shows_in_the_sum_alone():
    """sum = mean of sum_j log(1 + b_j / |a_j|), no unit dead; |a| grows, so the exponents stay small."""
    cell = make("scurnn", EXACT | {"bias": 0.0}, seeds=(0,), inputs=2)
    cell.b.fill_(0.05)
    x, z = driving(400), torch.randn(1, 2, 12, generator=torch.Generator().manual_seed(5))
    before = torch.cat((z.unsqueeze(0), cell.orbit(z, x, 400)[:-1]))
    m = torch.stack([cell.activation(s, given, cell.recurrent())[1] for s, given in zip(before, x)])
    _, spectrum = exponents(cell, x)
    assert spectrum.sum == pytest.approx((1 + 0.05 / m).log().sum(-1).mean().item(), abs=1e-6)
    assert spectrum.sum > 1e-3


def test_one_complex_unit_by_hand():
    """|h| grows by b a step: exponents 0 along it and log((|h_0| + T b) / |h_0|) / T across."""
    cell = make("scurnn", EXACT | {"units": 1}, seeds=(0,))
    cell.b.fill_(0.05)
    z = torch.tensor([[[0.6, -0.8]]])
    (spectrum,) = lyapunov_spectra(cell, z, steps=1000)
    across = math.log(1 + 1000 * 0.05) / 1000
    assert spectrum.sum == pytest.approx(across, abs=1e-9)
    assert spectrum.exponents.tolist() == pytest.approx([across, 0.0], abs=1e-3)


@pytest.mark.parametrize(
    ("kind", "bias", "scale"), [("scornn", -0.02, 0.1), ("scornn", -0.1, 0.1), ("scurnn", -0.05, 0.1)]
)
def test_dead_units_are_minus_infinity_with_a_count(kind, bias, scale):
    cell = make(kind, {"units": 6, "bias": 0.0}, seeds=(0,), inputs=2)
    cell.b.fill_(bias)
    found, spectrum = exponents(cell, driving(400, scale=scale))
    assert found[-1] == -math.inf
    assert spectrum.rank_losses == 2 * int((found == -math.inf).sum())  # counted in each of the two orbits
    assert spectrum.finite
    if kind == "scornn":
        assert found[0] < 0


@pytest.mark.parametrize(("kind", "knobs"), [("scornn", {"units": 7}), ("scurnn", EXACT | {"bias": 0.0})])
def test_gradients_neither_grow_nor_fade(kind, knobs):
    """|dL/dh_0| = |dL/dh_T| over a thousand steps."""
    cell = make(kind, knobs, seeds=(0,)).requires_grad_(True)
    z = some(cell)[0].requires_grad_(True)
    g = torch.randn(z.shape, generator=torch.Generator().manual_seed(1))
    (start,) = torch.autograd.grad(unroll(cell, z, 1000)[-1], z, g)
    torch.testing.assert_close(start.norm(dim=-1), g.norm(dim=-1), atol=0, rtol=1e-9)


@pytest.mark.parametrize(
    ("kind", "units", "start", "visible", "published"),
    [
        ("scurnn", 116, 232, 232, 16482),
        ("scurnn", 250, 500, 500, 69010),
        ("scornn", 170, 170, 170, 16585),
        ("scornn", 360, 360, 360, 69310),
        ("scornn", 512, 512, 512, 137482),
    ],
)
def test_sizes_are_the_published_ones(kind, units, start, visible, published):
    """Pixel by pixel MNIST: one input, ten classes with a bias, an initial state that is counted with the weights."""
    cell = make(kind, {"units": units}, seeds=(0,), inputs=1)
    assert sum(w.numel() for w in cell.parameters()) + start + 10 * (visible + 1) == published


@pytest.mark.parametrize(("kind", "knobs"), [*CAYLEY, ("sbo", {"units": 5, "rank": 2})])
def test_what_follows_from_weights_follows_their_changes(kind, knobs):
    """The matrix that steps keep is never that of other weights, precision or copies; orbits are steps."""
    cell = make(kind, knobs, seeds=(0, 1), inputs=2)
    name = cell.depends[0]
    z, x, V = some(cell)
    before, kept = cell.step(z, x), cell.recurrent()
    assert cell.recurrent() is kept
    weight = getattr(cell, name)
    weight.data = weight.data + 0.1  # as training does, behind the back of version counters
    assert not torch.equal(cell.step(z, x), before)
    fresh = make(kind, knobs, seeds=(0, 1), inputs=2)
    getattr(fresh, name).copy_(weight)
    torch.testing.assert_close(cell.step(z, x), fresh.step(z, x), atol=0, rtol=0)
    assert copy.deepcopy(cell).float().step(z.float(), x.float()).dtype == torch.float32
    ClosedLoop(fresh.requires_grad_(True), lambda s: s[..., :2]).push(z, None, V)
    inputs = torch.stack([x, 2 * x, -x])
    steps = cell.step(cell.step(cell.step(z, inputs[0]), inputs[1]), inputs[2])
    torch.testing.assert_close(cell.orbit(z, inputs, 3)[-1], steps, atol=1e-14, rtol=0)


def test_a_matrix_made_inside_a_transform_is_not_kept():
    cell = make("scornn", {"units": 7}, seeds=(0,))
    z, x, V = some(cell)
    autodiff_push(cell.step, z, x, V)
    cell.kept = None
    torch.func.jvp(cell.step, (z,), (V[:, :, 0],))
    assert cell.kept is None


def test_driven_orbits_give_gradients_to_every_weight():
    for kind, knobs in [*CAYLEY, ("sbo", {"units": 5, "rank": 2, "method": "nesterov", "eta": 0.1})]:
        cell = make(kind, knobs, seeds=(0,), inputs=2).requires_grad_(True)
        x = driving(6)
        z = torch.zeros(1, 2, cell.state)
        states = []
        for given in x:
            z = cell.step(z, given)
            states.append(z)
        weights = list(cell.parameters())
        expected = torch.autograd.grad(torch.stack(states).square().sum(), weights)
        found = torch.autograd.grad(cell.orbit(torch.zeros_like(z), x, 6).square().sum(), weights)
        for got, want in zip(found, expected):
            torch.testing.assert_close(got, want, atol=1e-12, rtol=1e-9)
            assert want.abs().max() > 0


def test_a_cells_rates_are_relative_to_the_trials():
    """Adam's first update moves every weight by its rate."""
    settings = {"kind": "scurnn", "units": 4, "skew_rate": 0.5, "phase_rate": 0.0}
    config = Config.of(
        {
            "dataset": {"kind": "simulated", "system": "lorenz63", "length": 300, "dt": 0.02},
            "cell": settings,
            "windows": {"length": 10, "batch": 4},
            "training": {"steps": 1, "lr": 1e-3},
        }
    )
    series = torch.randn(200, 3, generator=torch.Generator().manual_seed(0))
    before, network = build_network([config], 3), build_network([config], 3)
    objective = ForcedWindows(network, forcing_schedule([config]), series, config.windows, [torch.Generator()])
    for _ in train(network, objective, [config.training]):
        pass
    for name, rate in (("A", 0.5), ("theta", 0.0), ("b", 1.0)):
        moved = (getattr(network.cell, name) - getattr(before.cell, name)).abs()
        torch.testing.assert_close(moved, torch.full_like(moved, rate * 1e-3), rtol=1e-3, atol=0)
    moved = (network.readout.B - before.readout.B).abs()
    torch.testing.assert_close(moved, torch.full_like(moved, 1e-3), rtol=1e-3, atol=0)
