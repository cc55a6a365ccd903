"""SBO-RNN: descent of a cost with a known Hessian, so that spectra are known before they are measured."""

import math

import pytest
import torch
from test_cells import make

from lyapsweep.dynamics import lyapunov_spectra

DRIVEN = {"units": 12, "rank": 5}


def driving(steps, population=1, batch=2, inputs=2, seed=3):
    return torch.rand(steps, population, batch, inputs, generator=torch.Generator().manual_seed(seed))


def orbit(cell, steps, **settings):
    """(states before each step, inputs), from the zero state."""
    x = driving(steps, cell.population, inputs=cell.inputs, **settings)
    z = torch.zeros(*x.shape[1:3], cell.state)
    return torch.cat((z.unsqueeze(0), cell.orbit(z, x, steps)[:-1])), x


def hessians(cell, states, x):
    U = cell.recurrent()
    return torch.stack([cell.hessian(z[..., : cell.units], given, U) for z, given in zip(states, x)])


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_descent_and_hessian_are_those_of_the_cost(activation):
    cell = make("sbo", DRIVEN | {"activation": activation, "alpha": 0.8, "eta": 0.5}, seeds=(0,), inputs=2)
    h, x = torch.randn(1, 1, 12, generator=torch.Generator().manual_seed(1)), driving(1, batch=1)[0]
    U, phi = cell.recurrent(), getattr(torch, activation)
    cost = lambda h: (0.8 * h - phi(h @ U.mT + x @ cell.V.mT + cell.b)).square().sum() / 2  # noqa: E731
    gradient = torch.func.grad(cost)(h)
    torch.testing.assert_close(cell.descent(h, x, U), -0.5 * gradient, atol=1e-12, rtol=0)
    by_autograd = torch.func.hessian(cost)(h).view(1, 1, 12, 12)
    torch.testing.assert_close(cell.hessian(h, x, U), by_autograd, atol=1e-12, rtol=0)


def test_nesterov_is_its_textbook_scheme():
    """y' = h - eta g(h), h' = y' + mu (y' - y), with y = h - v."""
    cell = make("sbo", DRIVEN | {"method": "nesterov", "mu": 0.7, "eta": 0.1}, seeds=(0,), inputs=2)
    z, x = torch.randn(1, 2, 24, generator=torch.Generator().manual_seed(1)), driving(1)[0]
    h, y = z[..., :12], z[..., :12] - z[..., 12:]
    y1 = h + cell.descent(h, x, cell.recurrent())
    h1 = y1 + 0.7 * (y1 - y)
    torch.testing.assert_close(cell.step(z, x), torch.cat((h1, h1 - y1), dim=-1), atol=1e-14, rtol=0)


def test_inner_steps_are_steps_under_one_input():
    settings = DRIVEN | {"method": "heavy_ball", "eta": 0.1}
    once, thrice = (make("sbo", settings | {"inner_steps": k}, seeds=(0,), inputs=2) for k in (1, 3))
    z, x = torch.randn(1, 2, 24, generator=torch.Generator().manual_seed(1)), driving(1)[0]
    torch.testing.assert_close(thrice.step(z, x), once.step(once.step(once.step(z, x), x), x), atol=1e-14, rtol=0)


def test_gradient_descent_contracts_no_faster_than_its_curvature():
    """eta lambda_max(H_t) <= 1: exponents in [log(1 - eta max_t lambda_max), 0], and singular values bounded."""
    cell = make("sbo", {"units": 32, "rank": 16, "eta": 1e-3}, seeds=(0,), inputs=1)
    states, x = orbit(cell, 784)
    largest = torch.linalg.eigvalsh(hessians(cell, states, x)).amax(dim=-1).squeeze(1)  # (steps, batch)
    (spectrum,) = lyapunov_spectra(cell, states[0], x, steps=784, kind="driven")
    assert spectrum.exponents.min() >= math.log(1 - 1e-3 * float(largest.max()))
    assert spectrum.maximum <= 0
    product = torch.eye(32).expand(2, -1, -1)
    for z, given in zip(states, x):
        product = cell.jacobian(z, given)[0] @ product
    sizes, floor = torch.linalg.svdvals(product), (1 - 1e-3 * largest).prod(dim=0)
    assert (sizes <= 1 + 1e-12).all()
    assert (sizes >= floor.unsqueeze(1)).all()
    assert floor.max() < 0.5  # 784 steps are long enough to tell


def test_the_published_initialisation_stands_on_the_edge():
    """128 units, rank 50, 784 steps: curvatures of 0 ... 1.18, exponents of 0 ... -1.18e-3 with mean -5.4e-4.

    784 steps align no frame with rates as slow as these (singular values of the product say what a frame cannot), but
    the sum of the exponents does not depend on the frame.
    """
    knobs = {"units": 128, "rank": 50, "eta": 1e-3}
    cell = make("sbo", knobs, seeds=(0,), inputs=1, init="uniform", bound=128**-0.5)
    states, x = orbit(cell, 784, batch=1)
    assert torch.linalg.eigvalsh(hessians(cell, states[:5], x)).max() == pytest.approx(1.18, rel=0.2)
    (spectrum,) = lyapunov_spectra(cell, states[0], x, steps=784, kind="driven")
    assert spectrum.mean == pytest.approx(-5.4e-4, rel=0.2)
    product = torch.eye(128)
    for z, given in zip(states, x):
        product = cell.jacobian(z, given)[0, 0] @ product
    rates = torch.linalg.svdvals(product).log() / 784
    assert rates[0] == pytest.approx(0, abs=1e-5)
    assert rates[-1] == pytest.approx(-1.18e-3, rel=0.2)


@pytest.mark.parametrize("method", ["gradient_descent", "heavy_ball", "nesterov"])
@pytest.mark.parametrize("coupling", ["dense", "sparse"])
def test_the_sum_of_exponents_is_known(method, coupling):
    """n log mu with momentum, mean log |det(I - eta H)| without or by Nesterov."""
    knobs = DRIVEN | {"method": method, "coupling": coupling, "eta": 0.05, "mu": 0.6}
    cell = make("sbo", knobs, seeds=(0,), inputs=2)
    states, x = orbit(cell, 300)
    (spectrum,) = lyapunov_spectra(cell, states[0], x, steps=300, kind="driven")
    expected = 0.0 if method == "gradient_descent" else 12 * math.log(0.6)
    if method != "heavy_ball":
        H = hessians(cell, states, x)
        E = torch.eye(12) - 0.05 * (torch.diag_embed(H) if coupling == "sparse" else H)
        expected += torch.linalg.slogdet(E)[1].mean().item()
    assert spectrum.sum == pytest.approx(expected, abs=1e-9)
    assert spectrum.checks["sum_rule"] < 1e-9


def test_sparse_coupling_moves_each_unit_alone():
    """J is diagonal: exponent i is the mean of log |1 - eta (alpha - w d_i)^2|, d_i = 1 where the unit is active."""
    cell = make("sbo", DRIVEN | {"coupling": "sparse", "eta": 0.05, "alpha": 0.9}, seeds=(0,), inputs=2)
    cell.w.fill_(0.7)
    states, x = orbit(cell, 1000, batch=1)
    d = torch.stack([cell.residual(z, given, cell.recurrent())[1] for z, given in zip(states, x)])
    expected = (1 - 0.05 * (0.9 - 0.7 * d).square()).log().mean(dim=0).flatten()
    product = torch.stack([cell.jacobian(z, given)[0, 0].diagonal() for z, given in zip(states, x)])
    torch.testing.assert_close(product.log().mean(dim=0), expected, atol=1e-12, rtol=0)
    assert 0 < d.mean() < 1
    (spectrum,) = lyapunov_spectra(cell, states[0], x, steps=1000, kind="driven")
    torch.testing.assert_close(
        torch.from_numpy(spectrum.exponents.copy()), expected.sort(descending=True)[0], atol=5e-3, rtol=0
    )


def test_the_heavy_ball_on_a_parabola_has_two_exponents():
    """H = alpha^2 I where w = 0: log |roots of z^2 - (1 + mu - eta q) z + mu|, each n times."""
    for eta in (0.02, 0.5):  # overdamped, and a pair of complex roots
        knobs = {"units": 4, "coupling": "sparse", "method": "heavy_ball", "eta": eta, "mu": 0.5, "alpha": 1.2}
        cell = make("sbo", knobs, seeds=(0,))
        (spectrum,) = lyapunov_spectra(cell, torch.zeros(1, 1, 8), steps=2000)
        middle = (1 + 0.5 - eta * 1.44) / 2
        roots = torch.tensor([middle + s * complex(middle**2 - 0.5) ** 0.5 for s in (1, -1)]).abs().log()
        expected = roots.sort(descending=True)[0].repeat_interleave(4)
        torch.testing.assert_close(torch.from_numpy(spectrum.exponents.copy()), expected, atol=1e-3, rtol=0)


def test_a_step_beyond_the_curvature_is_flagged():
    """eta lambda_max = 8: the state runs away, exponents of such an orbit are NaN and never a number."""
    cell = make("sbo", DRIVEN | {"eta": 1.0}, seeds=(0,), inputs=2)
    states, x = orbit(cell, 1)
    cell.eta = 8 / torch.linalg.eigvalsh(hessians(cell, states, x)).max().item()
    (spectrum,) = lyapunov_spectra(cell, states[0], driving(2000), steps=2000, kind="driven")
    assert not spectrum.finite


def test_unknown_choices_are_named():
    with pytest.raises(ValueError, match=r"cell/method: No method .* mean 'nesterov'"):
        make("sbo", {"method": "nestorov"})


def adding(batch, steps, generator):
    """Two inputs, a uniform number and a marker; the sum of the two marked numbers, one in each half."""
    numbers, rows = torch.rand(steps, 1, batch, 1, generator=generator), torch.arange(batch)
    markers = torch.zeros(steps, 1, batch, 1)
    for first, last in ((0, steps // 2), (steps // 2, steps)):
        markers[torch.randint(first, last, (batch,), generator=generator), 0, rows] = 1
    return torch.cat((numbers, markers), dim=-1), (numbers * markers).sum(dim=0)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("coupling", "eta", "updates"), [("dense", 1e-3, 1000), ("dense", 1e-2, 1000), ("sparse", 1e-2, 2400)]
)
def test_the_adding_problem_is_learned(coupling, eta, updates):
    """Mean squared error 0.05, where predicting 1 without looking scores 1/6; U has to be trained for that."""
    knobs = {"units": 64, "rank": 50, "coupling": coupling, "eta": eta}
    cell = make("sbo", knobs, seeds=(0,), inputs=2, init="uniform", bound=0.125).float().requires_grad_(True)
    head, generator = torch.nn.Linear(64, 1, dtype=torch.float32), torch.Generator().manual_seed(0)
    optimizer, losses = torch.optim.Adam([*cell.parameters(), *head.parameters()], lr=1e-2), []
    for _ in range(updates):
        x, target = (part.float() for part in adding(32, 100, generator))
        loss = (head(cell.orbit(torch.zeros(1, 32, cell.state, dtype=x.dtype), x, 100)[-1]) - target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        if sum(losses[-20:]) / 20 < 0.05 and len(losses) >= 20:
            return
    pytest.fail(f"mean squared error {sum(losses[-20:]) / 20:.3f} after {updates} updates")
