"""One call for anything that moves: torch's networks against QR of autodiff Jacobians, closed forms, clear errors."""

import math

import numpy as np
import pytest
import torch
from torch import nn

import lyapsweep
from lyapsweep import lyapunov_spectrum
from lyapsweep.cells import CELLS, from_torch
from lyapsweep.dynamics import lyapunov_spectra
from lyapsweep.dynamics.lyapunov import random_frame
from lyapsweep.inits import gaussian
from lyapsweep.maps import AbstractMap, Forced
from lyapsweep.systems import build


def seeded(make, *args, seed=0, **settings):
    torch.manual_seed(seed)
    return make(*args, **settings)


def noise(*shape, seed=1):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def drawn(kind, inputs=2, units=6, gain=1.0, seed=0):
    cell = CELLS[kind](inputs=inputs, population=1, units=units)
    cell.build([(lambda r, c, g: gaussian(r, c, g, gain=gain), torch.Generator().manual_seed(seed))])
    return cell.requires_grad_(False)


def by_hand(step, frame, series, warmup):
    """QR at every step with dense Jacobians by autodiff: step(z, x) of one state; sorted nats per step."""
    z, Q, logs = torch.zeros(len(frame)), frame, torch.zeros(len(frame))
    for t, x in enumerate(series):
        Q, R = torch.linalg.qr(torch.func.jacrev(step)(z, x) @ Q)
        z = step(z, x)
        if t >= warmup:
            logs += R.diagonal().abs().log() / (len(series) - warmup)
    return logs.sort(descending=True).values.numpy()


@pytest.mark.parametrize("make", [nn.RNN, nn.LSTM, nn.GRU], ids=lambda make: make.__name__)
@pytest.mark.parametrize("layers", [1, 2])
def test_spectrum_of_a_torch_module_is_qr_of_its_autodiff_jacobians(make, layers):
    """The module itself is stepped and differentiated, with no word of ours in between but the first frame."""
    module = seeded(make, 2, 4, layers).requires_grad_(False)
    parts = 2 if make is nn.LSTM else 1

    def step(z, x):  # torch's state: [h of all layers] and, for an LSTM, [c of all layers]; ours: [h, c] of each layer
        h = z.unflatten(0, (layers, parts, 4)).unbind(1)
        _, after = module(x.unsqueeze(0), h if parts == 2 else h[0])
        return torch.stack(after if parts == 2 else (after,), dim=1).flatten()

    series, size = noise(200, 2), layers * 4 * parts
    spectrum = lyapunov_spectrum(module, series, warmup=50)
    expected = by_hand(step, random_frame(torch.zeros(1, 1, size), size, seed=0)[0, 0].mT, series, 50)
    assert (spectrum.map, spectrum.steps, spectrum.state) == ("driven", 150, size)
    np.testing.assert_allclose(spectrum.exponents, expected, atol=1e-8)


@pytest.mark.parametrize("layers", [1, 2])
def test_every_way_of_carrying_tangents_agrees_on_torchs_layers(layers):
    """LU frames read the Jacobian, QR the push; segments start from frames of their own."""
    module, x = seeded(nn.LSTM, 2, 4, layers), noise(400, 2)
    by_qr, by_lu = (lyapunov_spectrum(module, x, warmup=100, method=m) for m in ("qr", "lu"))
    np.testing.assert_allclose(by_lu.exponents, by_qr.exponents, atol=1e-9)
    assert by_lu.checks["sum_rule"] < 1e-9
    assert [w for w in by_lu.warnings if "no standard error" not in w] == []
    cut = lyapunov_spectrum(module, x, warmup=100, segments=3)
    np.testing.assert_allclose(cut.exponents, by_qr.exponents, atol=2e-2)
    assert cut.sum == pytest.approx(by_qr.sum, abs=1e-6)


def test_sum_rule_of_a_driven_tanh_network():
    """sum of exponents = log |det W| + mean sum log(1 - h'^2)."""
    cell, x = drawn("vanilla", gain=1.3), noise(400, 2)
    spectrum = lyapunov_spectrum(cell, x, warmup=100)
    z, total = torch.zeros(1, 1, 6), 0.0
    for t, row in enumerate(x):
        z = cell.step(z, row.expand(1, 1, 2))
        total += (1 - z**2).log().sum().item() / 300 if t >= 100 else 0.0
    assert spectrum.sum == pytest.approx(total + torch.linalg.slogdet(cell.W[0])[1].item(), abs=1e-9)


def test_sum_rule_of_a_driven_lstm():
    """sum of exponents of [h, c] = log |det W_o| + mean sum log |o (1 - o) tanh c'| + log f."""
    cell, x = drawn("lstm", gain=1.3), noise(400, 2)
    spectrum = lyapunov_spectrum(cell, x, warmup=100)
    z, total = torch.zeros(1, 1, 12), 0.0
    for t, row in enumerate(x):
        _, f, _, o = (a.sigmoid() for a in cell.activations(z[..., :6], row.expand(1, 1, 2)))
        z = cell.step(z, row.expand(1, 1, 2))
        now = ((o * (1 - o) * z[..., 6:].tanh()).abs().log() + f.log()).sum().item()
        total += now / 300 if t >= 100 else 0.0
    assert spectrum.sum == pytest.approx(total + torch.linalg.slogdet(cell.W[0, 18:])[1].item(), abs=1e-9)


def test_a_gru_without_recurrent_weights_forgets_at_its_gates():
    """Every exponent is E log z_i."""
    cell, x = drawn("gru", gain=0.0), noise(4000, 2)
    spectrum = lyapunov_spectrum(cell, x, warmup=500)
    _, keep, *_ = cell.activations(torch.zeros(1, 3500, 6), x[None, 500:])
    expected = keep.sigmoid().log().mean(dim=1)[0].sort(descending=True).values
    np.testing.assert_allclose(spectrum.exponents, expected, atol=9e-3)


def test_an_lstm_without_recurrent_weights_remembers_in_its_cell_alone():
    cell, x = drawn("lstm", gain=0.0), noise(3500, 2)
    spectrum = lyapunov_spectrum(cell, x, warmup=500)
    f = cell.activations(torch.zeros(1, 3000, 6), x[None, 500:])[1].sigmoid()
    np.testing.assert_allclose(spectrum.exponents[:6], f.log().mean(dim=1)[0].sort(descending=True).values, atol=5e-3)
    assert (spectrum.exponents[6:] < -30).all()


def test_a_scalar_network_is_its_own_sum():
    cell, x = drawn("vanilla", inputs=1, units=1), noise(500, 1)
    cell.W.fill_(1.7)
    spectrum, h, logs = lyapunov_spectrum(cell, x, warmup=0), 0.0, []
    for row in x[:, 0].tolist():
        h = math.tanh(1.7 * h + cell.U.item() * row + cell.b.item())
        logs.append(math.log(1.7 * (1 - h * h)))
    assert spectrum.maximum == pytest.approx(np.mean(logs), abs=1e-12)


def test_arrays_batches_and_dtypes():
    module, x = seeded(nn.GRU, 2, 4), noise(3, 200, 2)
    batch = lyapunov_spectrum(module, x.numpy(), k=2, dt=0.5)
    assert (batch.orbits, batch.steps, batch.settings["warmup"], batch.dt) == (3, 180, 20, 0.5)
    assert len(batch.exponents) == 2
    alone = [lyapunov_spectrum(module, one, k=2) for one in x]
    np.testing.assert_allclose(batch.exponents, np.mean([s.exponents for s in alone], axis=0), atol=5e-3)
    single = lyapunov_spectrum(module.float(), x.float(), k=2, dtype=torch.float32)
    np.testing.assert_allclose(single.exponents, batch.exponents, atol=1e-4)
    assert all(
        w.dtype == torch.float32 and w.requires_grad for w in module.parameters()
    )  # the caller's stay as they are


def test_without_inputs_it_runs_by_itself():
    henon = lyapunov_spectrum(build("henon"), steps=3000, orbits=16)
    np.testing.assert_allclose(henon.exponents, [0.4192, -1.6232], atol=5e-3)
    assert (henon.map, henon.orbits) == ("system", 16)
    module = seeded(nn.RNN, 2, 5)
    rest = lyapunov_spectrum(module, steps=200)
    assert (rest.map, rest.settings["warmup"]) == ("zero input", 500)
    zeros = lyapunov_spectrum(module, torch.zeros(4, 700, 2), warmup=500)
    np.testing.assert_allclose(rest.exponents, zeros.exponents, atol=1e-4)
    free = drawn("vanilla", inputs=0)
    assert lyapunov_spectrum(free, steps=50).map == "closed loop"
    started = lyapunov_spectrum(free, steps=50, warmup=0, start=noise(3, 6))
    expected = lyapunov_spectra(free, noise(3, 6)[None], steps=50, kind="closed loop")[0]
    np.testing.assert_array_equal(started.exponents, expected.exponents)


def test_a_forced_map_says_so():
    cell = drawn("vanilla", inputs=0)
    pull = torch.cat((torch.full((60, 1), 0.3), torch.zeros(60, 6)), dim=1)
    assert lyapunov_spectrum(Forced(cell, torch.ones(6)), pull).map == "forced"


def test_published_convention_comes_with_a_warning():
    module, x = seeded(nn.LSTM, 2, 4), noise(100, 2)
    with pytest.warns(UserWarning, match="not Lyapunov exponents"):
        published = lyapunov_spectrum(module, x, compat="vogt")
    assert published.settings["unit"] == "bits per step"
    assert len(published.exponents) == published.state == 4
    assert "published convention" in published.map


def test_dropout_is_left_out_with_a_word():
    module = seeded(nn.GRU, 2, 3, 2, dropout=0.4)
    with pytest.warns(UserWarning, match="dropout=0.4"):
        noisy = lyapunov_spectrum(module, noise(50, 2))
    np.testing.assert_array_equal(noisy.exponents, lyapunov_spectrum(module.eval(), noise(50, 2)).exponents)


def poisoned():
    module = seeded(nn.GRU, 2, 3)
    module.weight_ih_l0.data[0, 0] = torch.nan
    return module


def poisoned_map():
    cell = drawn("vanilla")
    cell.W[0, 0, 0] = torch.inf
    return cell


def hole(t=7):
    x = noise(2, 50, 2)
    x[1, t, 1] = torch.nan
    return x


GRU = seeded(nn.GRU, 2, 3)
WRONG = {
    "nothing to go on": ((GRU,), {}, r"Give inputs \(time, features\).* or steps"),
    "features": ((GRU, noise(50, 3)), {}, r"takes 2 inputs.*has 3 features"),
    "column": ((GRU, noise(50)), {}, r"\(time, features\).*but are \(50,\)"),
    "too short": ((GRU, noise(5, 2)), {"warmup": 5}, r"warmup \+ steps <= 5"),
    "empty": ((GRU, noise(0, 2)), {}, r"warmup \+ steps <= 0"),
    "too many steps": ((GRU, noise(50, 2)), {"steps": 51}, "steps=51"),
    "hole": ((GRU, hole()), {}, "1 inputs are not finite, the first at batch 1, time 7, feature 1"),
    "weights": ((poisoned(), noise(50, 2)), {}, "not finite"),
    "weights of a map": ((poisoned_map(), noise(50, 2)), {}, "W holds values that are not finite"),
    "k": ((GRU, noise(50, 2)), {"k": 4}, "1 <= k <= 3"),
    "convention": ((GRU, noise(50, 2)), {"compat": "vogd"}, "Did you mean 'vogt'"),
    "segments": ((GRU, noise(50, 2)), {"segments": 0}, "segments=0"),
    "segments of a convention": ((GRU, noise(50, 2)), {"segments": 2, "compat": "vogt"}, "without segments"),
    "inputs of a system": ((build("henon"), noise(50, 2)), {}, "Henon runs by itself"),
    "orbits": ((GRU, noise(50, 2)), {"orbits": 3}, "the batch says"),
    "start": ((GRU, noise(50, 2)), {"start": torch.zeros(4)}, r"start must be \(3,\) or \(1, 3\)"),
    "population": ((CELLS["vanilla"](inputs=2, population=2),), {"steps": 5}, "population of 2: lyapunov_spectra"),
    "dtype of a system": ((build("henon"),), {"steps": 5, "dtype": torch.float32}, "settings of networks"),
    "other module": ((nn.Linear(2, 2), noise(50, 2)), {}, "Linear is not a recurrent layer"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_be_is_said(case):
    args, settings, message = WRONG[case]
    with pytest.raises(ValueError, match=message):
        lyapunov_spectrum(*args, **settings)


def test_something_else_altogether():
    with pytest.raises(TypeError, match="list"):
        lyapunov_spectrum([1, 2], steps=5)


def test_a_map_of_somebodys_own():
    class Doubling(AbstractMap):
        population, state = 1, 1

        def step(self, z, x=None):
            return 2 * z % 1.0 if x is None else 2 * z % 1.0 + 0 * x

        def push(self, z, x, V):
            return self.step(z, x), 2 * V

    assert lyapunov_spectrum(Doubling(), steps=30).maximum == pytest.approx(math.log(2))
    assert lyapunov_spectrum(Doubling(), noise(30, 1)).map == "driven"


def test_it_is_the_packages():
    assert lyapsweep.lyapunov_spectrum is lyapunov_spectrum
    assert from_torch(GRU).state == 3
