"""What published spectra are, and that they are not the exponents."""

import math

import numpy as np
import pytest
import torch

from lyapsweep.cells import CELLS, from_torch
from lyapsweep.dynamics import lyapunov_spectra
from lyapsweep.dynamics.vogt2022 import UNIT, vogt_spectra
from lyapsweep.inits import gaussian
from lyapsweep.systems import build


def on_lorenz(orbits=64):
    lorenz = build("lorenz63", 0.01)
    z = lorenz.start(orbits, torch.Generator().manual_seed(0))
    for _ in range(1000):
        z = lorenz.step(z)
    return lorenz, z


def test_lorenz_in_the_published_convention():
    """About (0.66, 0.135, -14.462) per unit time where the exponents are (0.906, 0, -14.572).

    Single orbits scatter: 600 units of time gave (0.623, 0.174, -14.463) once and (0.654, 0.137, -14.457) here; the
    numbers above are those of 16 orbits of 200 units, +- 0.009.
    """
    lorenz, z = on_lorenz()
    published = vogt_spectra(lorenz, z, steps=3000, warmup=500)[0]
    truth = lyapunov_spectra(lorenz, z, steps=3000, warmup=500)[0]
    assert published.settings["unit"] == UNIT
    np.testing.assert_allclose(published.per_time * math.log(2), [0.660, 0.135, -14.462], atol=0.05)
    np.testing.assert_allclose(truth.per_time, [0.9056, 0.0, -14.5723], atol=0.02)
    assert published.sum * math.log(2) == pytest.approx(truth.sum, abs=1e-9)


def lstm(U_scale=1.0, units=8, seed=0, gain=1.0):
    cell = CELLS["lstm"](inputs=2, population=1, units=units)
    cell.build([(lambda r, c, g: U_scale * gaussian(r, c, g, gain=gain), torch.Generator().manual_seed(seed))])
    return cell.requires_grad_(False)


def noise(steps, inputs=2, batch=1, seed=1):
    return torch.randn(steps, 1, batch, inputs, generator=torch.Generator().manual_seed(seed))


def test_an_lstm_that_only_its_cell_remembers():
    """Without recurrent weights h has no memory: published -inf throughout, truly E log f_i and -inf."""
    cell, x = lstm(0.0), noise(3000)
    start = torch.zeros(1, 1, 16)
    published = vogt_spectra(cell, start, x, steps=2900, warmup=100, visible=cell.visible)[0]
    assert (published.exponents == -np.inf).all()
    truth = lyapunov_spectra(cell, start, x, steps=2900, warmup=100)[0]
    forget = cell.activations(torch.zeros(1, 2900, 8), x[100:, 0].transpose(0, 1))[1].sigmoid()
    expected = forget.log().mean(dim=1)[0].sort(descending=True).values
    np.testing.assert_allclose(truth.exponents[:8], expected, atol=5e-3)
    assert (truth.exponents[8:] < -30).all()


def test_a_random_lstm_parts_from_its_published_numbers():
    """Two trajectories part at the largest exponent of [h, c], not at the published number."""
    torch.manual_seed(0)
    cell, x = from_torch(torch.nn.LSTM(2, 8)).requires_grad_(False), noise(1400)
    z, plan = torch.zeros(1, 1, 16), {"steps": 1000, "warmup": 400}
    truth = lyapunov_spectra(cell, z, x, **plan)[0]
    published = vogt_spectra(cell, z, x, visible=cell.visible, **plan)[0]
    distance, log, other = 1e-7, 0.0, z + 1e-7 / 4
    for t, row in enumerate(x):
        z, other = cell.step(z, row), cell.step(other, row)
        stretch = (other - z).norm() / distance
        other = z + (other - z) / stretch
        log += stretch.log().item() / 1000 if t >= 400 else 0.0
    assert truth.maximum == pytest.approx(log, abs=2e-4)
    assert published.maximum * math.log(2) < log - 0.2


def test_frames_are_multiplied_by_transposed_jacobians():
    """Against the formula with dense Jacobians by autodiff, on h alone and from the identity."""
    cell, x = lstm(units=3), noise(6)
    h, c = torch.zeros(3), torch.zeros(3)
    Q, logs = torch.eye(3), torch.zeros(3)
    for row in x[:, 0, 0]:
        f = lambda h, c=c, row=row: cell.step(torch.cat((h, c))[None, None], row[None, None])[0, 0]  # noqa: E731
        Q, R = torch.linalg.qr(torch.func.jacrev(lambda h, f=f: f(h)[:3])(h).mT @ Q)
        logs += R.diagonal().abs().log2() / 6
        h, c = f(h).split(3)
    got = vogt_spectra(cell, torch.zeros(1, 1, 6), x, steps=6, visible=cell.visible)[0]
    np.testing.assert_allclose(got.exponents, logs.sort(descending=True).values, atol=1e-10)
    leading = vogt_spectra(cell, torch.zeros(1, 1, 6), x, steps=6, visible=cell.visible, k=1)[0]
    np.testing.assert_allclose(leading.exponents, logs[:1], atol=1e-10)


def test_what_is_refused():
    cell = lstm()
    with pytest.raises(ValueError, match=r"1 <= k <= 8, the visible part"):
        vogt_spectra(cell, torch.zeros(1, 1, 16), noise(5), steps=5, k=9, visible=cell.visible)
    with pytest.raises(ValueError, match="5 inputs"):
        vogt_spectra(cell, torch.zeros(1, 1, 16), noise(5), steps=5, warmup=1)
