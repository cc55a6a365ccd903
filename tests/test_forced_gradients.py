"""What theory says of gradients through time, on networks whose answer is known in closed form.

Mikhaeil et al. 2022: gradients vanish where orbits settle, explode at lambda_max on chaos, stay below any exponential
in between; sparse forcing cuts them. Hess et al. 2023: generalised forcing shrinks them by 1 - alpha a step.
"""

import math

import numpy as np
import pytest
import torch

from lyapsweep.cells import CELLS
from lyapsweep.cells.unrolled import unroll
from lyapsweep.dynamics import lyapunov_spectra, tangent_growth
from lyapsweep.forcing import Generalised, Sparse
from lyapsweep.inits import gaussian
from lyapsweep.maps import AbstractMap, Forced, autodiff_push
from lyapsweep.readouts import READOUTS
from lyapsweep.rollout import forced


def drawn(kind, gain=1.0, seeds=(0,), **knobs):
    cell = CELLS[kind](inputs=0, population=len(seeds), **knobs)
    cell.build([(lambda r, c, g: gaussian(r, c, g, gain=gain), torch.Generator().manual_seed(s)) for s in seeds])
    return cell


def fixed(kind, weights, **knobs):
    """One network with the weights given; those not given are zero."""
    cell = drawn(kind, **knobs).requires_grad_(False)
    for name, w in cell.named_parameters():
        w.copy_(torch.as_tensor(weights.get(name, 0.0)).expand_as(w))
    return cell


def tent(kind, s):
    """z' = 1 - s |z| = 1 + s z - 2 s relu(z), slope +-s everywhere: lambda = ln s exactly."""
    return {
        "shallow_plrnn": lambda: fixed(kind, {"A": s, "W1": -2 * s, "W2": 1.0, "h1": 1.0}, units=1, hidden=1),
        "dendritic_plrnn": lambda: fixed(kind, {"A": s, "W": -2 * s, "alpha": 1.0, "h": 1.0}, units=1, bases=1),
        "alrnn": lambda: fixed(kind, {"A": s, "W": -2 * s, "h": 1.0}, units=1, rectified=1),
    }[kind]()


tents = pytest.mark.parametrize("kind", ["shallow_plrnn", "dendritic_plrnn", "alrnn"])


@tents
def test_gradients_of_a_tent_map_are_powers_of_its_slope(kind):
    s = 1.99  # at 2 every binary number ends on the fixed point -1
    cell, z, lags = tent(kind, s), torch.tensor([[[0.3], [-0.71]]]), [1, 10, 1000]
    np.testing.assert_allclose(tangent_growth(cell, z, lags)[0], np.array(lags) * math.log(s), rtol=1e-12)
    spectrum = lyapunov_spectra(cell, z, steps=500)[0]
    assert spectrum.maximum == pytest.approx(math.log(s), rel=1e-12)
    assert spectrum.predictability_time == pytest.approx(math.log(2) / math.log(s), rel=1e-12)


@tents
def test_inside_one_predictability_time_gradients_double(kind):
    tau = 8
    cell, z = tent(kind, 2 ** (1 / tau)), torch.tensor([[[0.3]]], requires_grad=True)
    (gradient,) = torch.autograd.grad(unroll(cell, z, tau)[-1].sum(), z)
    assert abs(gradient.item()) == pytest.approx(2.0, rel=1e-12)


CONTRACTING = {  # what makes cells contract that are built not to
    "antisymmetric": {"gamma": 4.0},
    "sbo": {"eta": 0.5, "coupling": "sparse"},
    "scornn": {"bias": -0.5},
}


@pytest.mark.parametrize("kind", list(CELLS))
def test_at_a_stable_fixed_point_the_gradient_is_a_geometric_series(kind):
    """dz_T/dtheta -> (I - J*)^-1 d^+F/dtheta, bounded in T, and ||prod J|| shrinks at ln of J*'s spectral radius."""
    cell = drawn(kind, gain=0.4, units=4, **CONTRACTING.get(kind, {}))
    weights = [w for w in cell.parameters() if w.numel()]
    with torch.no_grad():
        rest = unroll(cell, torch.zeros(1, 1, cell.state), 3000)[-1]
        torch.testing.assert_close(cell.step(rest), rest, atol=1e-13, rtol=0)
        J = autodiff_push(cell.step, rest, None, torch.eye(cell.state)[None, None])[1][0, 0].mT
    radius = torch.linalg.eigvals(J).abs().max().item()
    assert radius < 0.98
    v = torch.randn(cell.state, generator=torch.Generator().manual_seed(1))
    u = torch.linalg.solve((torch.eye(cell.state) - J).mT, v)
    limit = torch.autograd.grad(cell.step(rest)[0, 0] @ u, weights)
    for T in (1000, 2000):
        for got, want in zip(torch.autograd.grad(unroll(cell, rest, T)[-1, 0, 0] @ v, weights), limit):
            torch.testing.assert_close(got, want, rtol=1e-6, atol=1e-9)
    early, late = tangent_growth(cell.requires_grad_(False), rest, [1000, 3000])[0]
    assert (late - early) / 2000 == pytest.approx(math.log(radius), abs=2e-3)


def test_on_a_stable_two_cycle():
    """z' = 1 + 0.5 z below 0 and 1 - 1.6 z above: the cycle 5/6, -1/3 with multiplier -0.8."""
    cell = fixed("alrnn", {"A": 0.5, "W": -2.1, "h": 1.0}, units=1, rectified=1)
    z = torch.tensor([[[5 / 6]]])
    torch.testing.assert_close(unroll(cell, z, 2)[:, 0, 0, 0], torch.tensor([-1 / 3, 5 / 6]))
    cell.requires_grad_(True)
    for T, slope in ((400, 0.5), (401, -1.6)):  # the slope of the step that leads to z_T
        (gradient,) = torch.autograd.grad(unroll(cell, z, T)[-1].sum(), cell.h)
        assert gradient.item() == pytest.approx((slope + 1) / (1 + 0.8), rel=1e-9)
    growth = tangent_growth(cell.requires_grad_(False), z, [2, 2000])[0]
    np.testing.assert_allclose(growth, [math.log(0.8), 1000 * math.log(0.8)], rtol=1e-9)


def test_a_rotation_neither_grows_nor_shrinks():
    angle = math.sqrt(2)
    turn = [[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]
    cell = fixed("alrnn", {"W": turn}, units=2, rectified=0)
    z = torch.tensor([[[1.0, 0.0]]])
    np.testing.assert_allclose(tangent_growth(cell, z, [1, 1000])[0], 0.0, atol=1e-12)
    np.testing.assert_allclose(lyapunov_spectra(cell, z, steps=300)[0].exponents, 0.0, atol=1e-12)


class Torus(AbstractMap):
    """x' = x + w + 0.5 sin x, y' = y + x: a quasi-periodic drive and what it shears, so that gradients grow like T."""

    population, state = 1, 2

    def step(self, z, x=None):
        angle, other = z.unbind(-1)
        return torch.stack((angle + 2.3 + 0.5 * angle.sin(), other + angle), dim=-1)

    def push(self, z, x, V):
        first, second = V.unbind(-1)
        stretch = 1 + 0.5 * z[..., :1].cos()
        return self.step(z), torch.stack((stretch * first, first + second), dim=-1)


def test_on_a_torus_gradients_grow_slower_than_any_exponential():
    """(1 - e)^T < ||prod J|| < (1 + e)^T for long T, for smaller e the longer: here ||prod J|| grows like T."""
    z = torch.tensor([[[0.1, 0.0]]])
    for T, e in ((100, 0.1), (1000, 0.02), (4000, 0.004)):
        (growth,) = tangent_growth(Torus(), z, [T])[0]
        assert T * math.log(1 - e) < growth < T * math.log(1 + e)
        assert growth > 0.5 * math.log(T)


def test_the_gradient_of_a_loss_explodes_at_the_largest_exponent():
    """log ||dL_T/dW|| against the length T of the series: its slope is the network's own lambda_1."""
    cell = drawn("vanilla", gain=2.0, seeds=(3,) * 48, units=40)  # one network, 48 orbits
    cell.b.data.zero_()
    with torch.no_grad():
        z = torch.randn(48, 1, 40, generator=torch.Generator().manual_seed(2))
        z = unroll(cell, z, 300)[-1]
    lags, logs = [100, 200, 300, 400, 500, 600, 700], []
    for T in lags:
        (gradient,) = torch.autograd.grad(unroll(cell, z, T)[-1, ..., 0].square().sum(), cell.W)
        logs.append(gradient.flatten(1).norm(dim=1).log().mean().item())
    exponents = lyapunov_spectra(cell.requires_grad_(False), z, steps=700, warmup=100, k=1)
    exponent = np.mean([s.maximum for s in exponents])
    assert exponent > 0.05
    assert np.polyfit(lags, logs, 1)[0] == pytest.approx(exponent, rel=0.05)


def sensitivity(cell, readout, forcing, steps=16):
    """|d x_hat_t / d x_s|, (steps, steps): rows are predictions, columns the observations that they were forced by."""
    x = torch.randn(steps + 1, 1, 1, 2, generator=torch.Generator().manual_seed(4), requires_grad=True)
    predicted = forced(cell, readout, x, forcing.strengths(steps)[:, None])
    rows = [torch.autograd.grad(p.sum(), x, retain_graph=True)[0][:-1].abs().amax((1, 2, 3)) for p in predicted]
    return torch.stack(rows)


@pytest.mark.parametrize("kind", list(CELLS))
def test_no_gradient_passes_a_forced_step(kind):
    """Under sparse forcing each prediction depends on the last forced observation and on no other, exactly."""
    cell = drawn(kind, units=5)
    readout = READOUTS["linear"](2, cell.units, cell.state, 1)
    readout.build([torch.Generator().manual_seed(1)])
    seen = sensitivity(cell, readout, Sparse(interval=5))
    depends = torch.zeros(16, 16, dtype=torch.bool)
    for t in range(16):
        depends[t, t - t % 5] = True
    assert torch.equal(seen > 0, depends)


@pytest.mark.parametrize("alpha", [0.1, 0.6])
def test_generalised_forcing_shrinks_gradients_by_its_leak(alpha):
    """Along a linear network d z_t / d z_s = ((1 - alpha) J)^(t - s), in the backward pass and in the push."""
    angle = 0.7
    turn = 1.2 * torch.tensor([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    cell = fixed("alrnn", {"W": turn}, units=2, rectified=0)
    readout = READOUTS["identity"](2, 2, 2, 1)
    readout.build([torch.Generator()])
    x = torch.randn(13, 1, 1, 2, generator=torch.Generator().manual_seed(4), requires_grad=True)
    predicted = forced(cell, readout, x, Generalised(alpha=alpha).strengths(12)[:, None])
    J = torch.stack([torch.autograd.grad(p, x, retain_graph=True)[0][0, 0, 0] for p in predicted[-1, 0, 0]])
    power = torch.linalg.matrix_power((1 - alpha) * turn, 11) @ turn  # the start is pulled with a = 1 and passes on all
    torch.testing.assert_close(J, power)
    V, inputs = torch.eye(2)[None, None], torch.tensor([[[alpha, 0.0, 0.0]]])
    for _ in range(11):
        _, V = Forced(cell, torch.ones(2)).push(torch.zeros(1, 1, 2), inputs, V)
    torch.testing.assert_close(V[0, 0].mT, torch.linalg.matrix_power((1 - alpha) * turn, 11))
    bound = 1 - 1 / 1.2  # alpha* = 1 - 1 / sigma_max
    assert (torch.linalg.matrix_norm(V[0, 0], 2) <= 1) == (alpha >= bound)
