"""Exponents that are known, the order of factors, and the growth of gradients."""

import math

import numpy as np
import pytest
import torch

from lyapsweep.cells import CELLS
from lyapsweep.dynamics import Spectrum, lyapunov_spectra, tangent_growth
from lyapsweep.inits import gaussian, orthogonal
from lyapsweep.maps import AbstractMap, ClosedLoop, Forced, autodiff_push


class Product(AbstractMap):
    """z' = A_t z with matrices that come in a cycle: the map that can tell one order of factors from the other."""

    def __init__(self, matrices):
        self.matrices, self.population, self.state, self.t = matrices, 1, matrices.shape[-1], 0

    def step(self, z, x=None):
        return z @ self.matrices[int(x[0, 0, 0])].mT

    def push(self, z, x, V):
        return self.step(z, x), V @ self.matrices[int(x[0, 0, 0])].mT


def chaotic(population=1, units=40, gain=2.0, seed=0):
    cell = CELLS["vanilla"](inputs=0, population=population, units=units)
    draw = lambda r, c, g: gaussian(r, c, g, gain=gain)  # noqa: E731
    cell.build([(draw, torch.Generator().manual_seed(seed + p)) for p in range(population)])
    cell.b.data.zero_()
    return cell.requires_grad_(False)


def settle(map, batch=4, steps=300, seed=1):
    z = 0.1 * torch.randn(map.population, batch, map.state, generator=torch.Generator().manual_seed(seed))
    for _ in range(steps):
        z = map.step(z)
    return z


def test_order_of_factors():
    """Period-3 product: lambda = log |eig(A3 A2 A1)| / 3; the transposed order gives other numbers."""
    A = torch.randn(3, 3, 3, generator=torch.Generator().manual_seed(11))
    exact = np.sort(torch.linalg.eigvals(A[2] @ A[1] @ A[0]).abs().log().numpy() / 3)[::-1]
    inputs = (torch.arange(3100) % 3).double()[:, None, None, None]
    spectrum = lyapunov_spectra(Product(A), torch.zeros(1, 1, 3), inputs, steps=3000, warmup=100)[0]
    np.testing.assert_allclose(spectrum.exponents, exact, atol=1e-3)
    wrong = lyapunov_spectra(Product(A.mT.contiguous()), torch.zeros(1, 1, 3), inputs, steps=3000, warmup=100)[0]
    assert np.abs(wrong.exponents - exact).max() > 1e-2


def test_orthogonal_network_is_zero():
    """tanh at rest is the identity to first order: an orthogonal network at the origin has exponents log(gain)."""
    for gain in (1.0, 0.7):
        cell = CELLS["vanilla"](inputs=0, population=1, units=12)
        cell.build([(lambda r, c, g, gain=gain: orthogonal(r, c, g, gain=gain), torch.Generator().manual_seed(0))])
        cell.requires_grad_(False).b.zero_()
        spectrum = lyapunov_spectra(cell, torch.zeros(1, 1, 12), steps=50)[0]
        np.testing.assert_allclose(spectrum.exponents, math.log(gain), atol=1e-12)


def test_sum_rule_of_the_tanh_network():
    """sum of exponents = log |det W| + mean sum log(1 - h'^2), whatever the order of factors."""
    cell = chaotic(units=20)
    z = settle(cell, batch=2)
    spectrum = lyapunov_spectra(cell, z, steps=200)[0]
    logs, steps = 0.0, z
    for _ in range(200):
        steps = cell.step(steps)
        logs += (1 - steps**2).log().sum(-1).mean().item() / 200
    assert spectrum.sum == pytest.approx(logs + torch.linalg.slogdet(cell.W[0])[1].item(), abs=1e-9)


@pytest.mark.parametrize("kind", list(CELLS))
def test_two_trajectories_part_at_the_largest_exponent(kind):
    """The oldest check of all: two orbits 1e-7 apart, pulled together again at each step."""
    cell = CELLS[kind](inputs=0, population=1, units=8)
    draw = lambda r, c, g: gaussian(r, c, g, gain=0.9)  # noqa: E731
    cell.build([(draw, torch.Generator().manual_seed(3))])
    z = settle(cell.requires_grad_(False), batch=1, steps=5)
    warmup, steps = 3000, 1000  # cells at the edge of stability forget their first direction slowly
    spectrum = lyapunov_spectra(cell, z, steps=steps, warmup=warmup, k=1)[0]
    distance, log = 1e-7, 0.0
    apart = torch.randn(z.shape, generator=torch.Generator().manual_seed(4), dtype=z.dtype)
    other = z + distance * torch.nn.functional.normalize(apart, dim=-1)
    for t in range(warmup + steps):
        z, other = cell.step(z), cell.step(other)
        stretch = (other - z).norm() / distance
        other = z + (other - z) / stretch
        log += stretch.log().item() / steps if t >= warmup else 0.0
    assert spectrum.maximum == pytest.approx(log, abs=2e-4)


def test_gradients_grow_at_the_largest_exponent():
    """Mean log ||dz_{t+T}/dz_t|| over T = 1000 steps grows at lambda_1, within 3 %."""
    cell = chaotic(units=40, gain=2.0)
    z = settle(cell, batch=8)
    exponent = lyapunov_spectra(cell, z, steps=1000, warmup=100, k=2)[0].maximum
    lags = list(range(100, 1001, 100))
    slope = np.polyfit(lags, tangent_growth(cell, z, lags)[0], 1)[0]
    assert exponent > 0.05
    assert slope == pytest.approx(exponent, rel=0.03)


def test_loss_gradient_grows_at_the_largest_exponent():
    """The gradient of a loss at step T with respect to the first state, by backpropagation, grows at lambda_1."""
    cell = chaotic(units=40, gain=2.0)
    z = settle(cell, batch=16)
    exponent = lyapunov_spectra(cell, z, steps=1000, warmup=100, k=2)[0].maximum
    lags, logs = [50, 100, 150, 200, 250, 300], []
    for lag in lags:
        first = z.clone().requires_grad_(True)
        last = first
        for _ in range(lag):
            last = cell.step(last)
        (gradient,) = torch.autograd.grad(last[..., 0].sum(), first)
        logs.append(gradient.norm(dim=-1).log().mean().item())
    assert np.polyfit(lags, logs, 1)[0] == pytest.approx(exponent, rel=0.1)


def test_growth_survives_annihilated_and_exploding_gradients():
    dead = chaotic(units=5, gain=0.0)
    growth = tangent_growth(dead, torch.zeros(1, 2, 5), [1, 10])
    assert (growth == -np.inf).all()
    wild = chaotic(units=5, gain=1e60)
    assert np.isfinite(tangent_growth(wild, torch.zeros(1, 1, 5), [1, 2])[:, 0]).all()


def test_alone_and_in_a_pack_agree():
    cell = chaotic(population=3, units=12, gain=1.5, seed=5)
    z = settle(cell)
    together = lyapunov_spectra(cell, z, steps=100, warmup=10)
    for p in range(3):
        alone = lyapunov_spectra(chaotic(units=12, gain=1.5, seed=5 + p), z[p : p + 1], steps=100, warmup=10)[0]
        np.testing.assert_allclose(together[p].exponents, alone.exponents, atol=1e-12)


def test_leading_exponents_are_those_of_the_whole():
    cell = chaotic(units=12)
    z = settle(cell)
    whole, leading = (lyapunov_spectra(cell, z, steps=2000, warmup=200, k=k)[0] for k in (None, 3))
    np.testing.assert_allclose(leading.exponents, whole.exponents[:3], atol=2e-3)
    assert whole.complete
    assert not leading.complete


def test_forced_exponents():
    """Full forcing annihilates every tangent; a leak alpha shifts a linear network's exponents by log(1 - alpha)."""
    cell = CELLS["plrnn"](inputs=0, population=1, units=4)
    cell.build([(lambda r, c, g: 0.9 * torch.eye(r), torch.Generator())])
    cell.requires_grad_(False)
    for a, expected in ((1.0, -np.inf), (0.25, math.log(0.9 * 0.75))):
        inputs = torch.cat((torch.full((60, 1, 1, 1), a), torch.zeros(60, 1, 1, 4)), dim=-1)
        spectrum = lyapunov_spectra(Forced(cell, torch.ones(4)), torch.ones(1, 1, 4), inputs, steps=60, kind="forced")[
            0
        ]
        np.testing.assert_allclose(spectrum.exponents, expected, atol=1e-12)
        assert spectrum.rank_losses == (0 if a < 1 else 4)
        assert spectrum.map == "forced"


def test_closed_loop_feeds_a_map_with_its_readout():
    """h' = tanh(W h + U B h + b) is the tanh network with W + U B."""
    cell = CELLS["vanilla"](inputs=2, population=1, units=5)
    cell.build([(gaussian, torch.Generator().manual_seed(0))])
    cell.requires_grad_(False)
    B = torch.randn(2, 5, generator=torch.Generator().manual_seed(1))
    z, V = settle_once(cell), torch.randn(1, 3, 2, 5)
    joined = CELLS["vanilla"](inputs=0, population=1, units=5)
    joined.build([(gaussian, torch.Generator().manual_seed(0))])
    joined.requires_grad_(False)
    joined.W.copy_(cell.W + cell.U @ B)
    joined.b.copy_(cell.b)
    for got, want in zip(ClosedLoop(cell, lambda z: z @ B.mT).push(z, None, V), joined.push(z, None, V)):
        torch.testing.assert_close(got, want, atol=1e-12, rtol=0)


def settle_once(cell):
    return torch.randn(1, 3, cell.state, generator=torch.Generator().manual_seed(2))


def test_an_orbit_that_leaves_the_numbers_is_nan_and_spares_its_neighbour():
    cell = CELLS["plrnn"](inputs=0, population=2, units=3)
    cell.build(
        [
            (lambda r, c, g: 1e30 * torch.eye(r), torch.Generator()),
            (lambda r, c, g: 0.5 * torch.eye(r), torch.Generator()),
        ]
    )
    gone, fine = lyapunov_spectra(cell.requires_grad_(False), torch.ones(2, 2, 3), steps=40)
    assert not gone.finite
    assert math.isnan(gone.kaplan_yorke)
    np.testing.assert_allclose(fine.exponents, math.log(0.5), atol=1e-9)


@pytest.mark.parametrize("k", [0, 13])
def test_impossible_k(k):
    with pytest.raises(ValueError, match="1 <= k <= 12"):
        lyapunov_spectra(chaotic(units=12), torch.zeros(1, 1, 12), steps=3, k=k)


def test_too_few_inputs():
    with pytest.raises(ValueError, match="5 inputs"):
        lyapunov_spectra(chaotic(units=3), torch.zeros(1, 1, 3), torch.zeros(5, 1, 1, 0), steps=5, warmup=1)


def spectrum(*exponents, state=None, dt=None):
    e = np.array(exponents, dtype=float)
    return Spectrum(e, np.zeros_like(e), 100, 1, "system", state or len(e), dt)


def test_numbers_read_off_a_spectrum():
    lorenz = spectrum(0.9056, 0.0, -14.5723, dt=1.0)
    assert lorenz.kaplan_yorke == pytest.approx(2.0621, abs=1e-4)
    assert lorenz.entropy_rate == 0.9056
    assert lorenz.predictability_time == pytest.approx(math.log(2) / 0.9056)
    assert spectrum(-1.0, -2.0).kaplan_yorke == 0.0
    assert spectrum(0.3, 0.1).kaplan_yorke == 2.0
    assert math.isnan(spectrum(0.3, 0.1, state=5).kaplan_yorke)
    assert spectrum(0.5, -np.inf).kaplan_yorke == 1.0
    assert spectrum(-0.1).predictability_time == math.inf
    assert spectrum(0.02, dt=0.01).per_time[0] == pytest.approx(2.0)


def test_a_spectrum_survives_json():
    import json

    before = spectrum(0.5, np.nan, -np.inf, dt=0.1)
    after = Spectrum.from_dict(json.loads(before.to_json()))
    np.testing.assert_array_equal(after.exponents, before.exponents)
    assert (after.map, after.dt, after.state) == (before.map, before.dt, before.state)


def test_standard_error_is_that_of_the_mean():
    """Twenty independent estimates scatter by about the standard error that each of them states."""
    cell = chaotic(units=60, gain=3.0)
    runs = [lyapunov_spectra(cell, settle(cell, batch=4, seed=s), steps=300, warmup=50, k=1)[0] for s in range(20)]
    stated, seen = np.mean([r.stderr[0] for r in runs]), np.std([r.maximum for r in runs])
    assert 0.5 < seen / stated < 2.0


def test_autodiff_push_is_the_jacobian():
    f = lambda z, x: torch.sin(z) * z.flip(-1)  # noqa: E731
    z, V = torch.randn(2, 3, 4), torch.randn(2, 3, 5, 4)
    J = torch.func.vmap(torch.func.vmap(torch.func.jacrev(lambda s: f(s, None))))(z)
    torch.testing.assert_close(autodiff_push(f, z, None, V)[1], V @ J.mT)
