"""The ways of carrying a frame: all give what QR at every step gives, and say so where digits are lost."""

import math

import numpy as np
import pytest
import torch

from lyapsweep.cells import CELLS
from lyapsweep.config import Config
from lyapsweep.dynamics import Spectrum, finite_time_exponents, lyapunov_spectra, mean_exponent
from lyapsweep.dynamics.frames import cholesky_qr, orthonormalise
from lyapsweep.dynamics.lyapunov import METHODS, random_frame
from lyapsweep.dynamics.pivoting import pivot
from lyapsweep.inits import gaussian
from lyapsweep.maps import AbstractMap, log_abs_det
from lyapsweep.problems.network import build_network as build_network
from lyapsweep.problems.network import load_weights
from lyapsweep.registry import UnknownName
from lyapsweep.systems import build
from lyapsweep.trial import run_trial

FAST = [name for name in METHODS if name != "qr"]
fast = pytest.mark.parametrize("method", FAST)


def network(kind="vanilla", units=16, gain=1.5, seed=0, population=1):
    cell = CELLS[kind](inputs=0, population=population, units=units)
    draw = lambda r, c, g: gaussian(r, c, g, gain=gain)  # noqa: E731
    cell.build([(draw, torch.Generator().manual_seed(seed + p)) for p in range(population)])
    return cell.requires_grad_(False)


def settled(map, batch=2, steps=100):
    z = 0.1 * torch.randn(map.population, batch, map.state, generator=torch.Generator().manual_seed(1))
    for _ in range(steps):
        z = map.step(z)
    return z


class Steps(AbstractMap):
    """A map without its shortcuts, so that every method walks the same orbit to the last bit."""

    def __init__(self, map):
        self.map, self.population, self.state = map, map.population, map.state

    def step(self, z, x=None):
        return self.map.step(z, x)

    def push(self, z, x, V):
        return self.map.push(z, x, V)

    def jacobian(self, z, x=None):
        return self.map.jacobian(z, x)


@fast
@pytest.mark.parametrize(
    ("kind", "units", "gain"),
    [
        ("vanilla", 20, 0.7),
        ("vanilla", 64, 1.5),
        ("lstm", 16, 1.5),
        ("plrnn", 30, 0.9),
        ("shallow_plrnn", 20, 0.9),
    ],
)
def test_fast_frames_are_qr_at_every_step(method, kind, units, gain):
    """At most 1e-8 from Householder QR at every step, contracting to chaotic."""
    map = Steps(network(kind, units, gain))
    z = settled(map)
    slow, quick = (lyapunov_spectra(map, z, steps=150, warmup=20, method=m)[0] for m in ("qr", method))
    np.testing.assert_allclose(quick.exponents, slow.exponents, atol=1e-8, rtol=0)
    assert quick.settings["method"] == method
    assert not [w for w in quick.warnings if "no standard error" not in w]


@fast
@pytest.mark.parametrize("k", [1, 4])
def test_leading_exponents(method, k):
    map = network(units=24)
    z = settled(map)
    slow, quick = (lyapunov_spectra(map, z, steps=100, k=k, method=m)[0] for m in ("qr", method))
    np.testing.assert_allclose(quick.exponents, slow.exponents, atol=1e-9)


@pytest.mark.parametrize("method", METHODS)
def test_annihilated_directions_are_infinitely_contracting(method):
    """An LSTM without recurrence forgets h: half of its exponents are -inf, the others the mean log forget gate."""
    cell = network("lstm", 6)
    cell.W.zero_()
    forget = torch.sigmoid(cell.b[0, 6:12]).log().sort(descending=True).values
    spectrum = lyapunov_spectra(cell, settled(cell), steps=400, warmup=50, method=method)[0]
    np.testing.assert_allclose(spectrum.exponents[:6], forget, atol=2e-2)
    if method != "qr":  # which cannot tell rounding from nothing, and says so
        assert (spectrum.exponents[6:] == -np.inf).all()
        assert spectrum.rank_losses == 12
    else:
        assert any("Rounding" in w for w in spectrum.warnings)


@pytest.mark.parametrize("method", METHODS)
def test_zero_tangents_are_counted(method):
    dead = network(units=5, gain=0.0)
    spectrum = lyapunov_spectra(dead, settled(dead, batch=3), steps=30, method=method)[0]
    assert (spectrum.exponents == -np.inf).all()
    assert spectrum.rank_losses == 15


@pytest.mark.parametrize("method", METHODS)
def test_an_orbit_at_infinity_spares_its_neighbour(method):
    cell = CELLS["plrnn"](inputs=0, population=2, units=3)
    scales = (1e30, 0.5)
    cell.build([(lambda r, c, g, s=s: s * torch.eye(r), torch.Generator()) for s in scales])
    gone, fine = lyapunov_spectra(cell.requires_grad_(False), torch.ones(2, 2, 3), steps=40, method=method)
    assert not gone.finite
    np.testing.assert_allclose(fine.exponents, math.log(0.5), atol=1e-9)


@fast
def test_saturated_units_contract_and_are_not_dead(method):
    """A gain of 20: exponents below -90 nats a step, where QR has lost them, and their sum still exact."""
    map = network(units=64, gain=20.0)
    z = settled(map)
    fine = lyapunov_spectra(map, z, steps=60, warmup=10, method=method)[0]
    assert fine.exponents[-1] < -80
    assert fine.rank_losses == 0
    assert fine.checks["sum_rule"] < 1e-9
    assert not [w for w in fine.warnings if "log |det Df|" in w or "Rounding" in w]
    lossy = lyapunov_spectra(map, z, steps=60, warmup=10, method="qr")[0]
    assert any("log |det Df|" in w for w in lossy.warnings)


@pytest.mark.parametrize(("kind", "gain"), [("vanilla", 1.5), ("lstm", 1.5), ("plrnn", 0.9)])
@pytest.mark.parametrize("interval", [1, 5, 20, 40])
def test_the_checks_notice_an_interval_that_is_too_long(kind, gain, interval):
    """Where exponents are off by 0.01 a warning is there; at every step it is not."""
    map = Steps(network(kind, 32, gain))
    z = settled(map)
    truth = lyapunov_spectra(map, z, steps=200, warmup=40, method="lu")[0]
    tested = lyapunov_spectra(map, z, steps=200, warmup=40, method="qr", interval=interval)[0]
    off = np.abs(tested.exponents - truth.exponents).max()
    assert tested.settings["interval"] == interval
    if off > 0.01:
        assert tested.checks["resolution"] > 1e-3
        assert any("Rounding" in w for w in tested.warnings)
    if interval == 1:
        assert off < 1e-8
        assert not [w for w in tested.warnings if "log |det Df|" in w or "Rounding" in w]
    if interval == 40:
        assert off > 0.01


@pytest.mark.parametrize("kind", ["plrnn", "lstm"])
def test_a_trained_network_is_as_far_from_qr_as_qr_is_from_itself(kind):
    """Neighbouring, strongly contracting exponents exchange growth by rounding: QR moved by 1e-14 is the yardstick."""
    config = Config.of(
        {
            "dataset": {"kind": "simulated", "system": "lorenz63", "dt": 0.03, "length": 3000},
            "cell": {"kind": kind, "units": 20},
            "forcing": {"kind": "sparse", "interval": 10},
            "windows": {"length": 50, "batch": 16},
            "training": {"steps": 300, "lr": 5e-3, "clip": 1.0},
            "lyapunov": {"steps": 10, "warmup": 5, "orbits": 1},
            "measures": ["loss"],
        }
    )
    *_, record = run_trial(config)
    network = build_network([config], 3).double()
    load_weights(network, record.weights)
    map = Steps(network.cell.requires_grad_(False))
    z = settled(map, batch=1)
    V = random_frame(z, map.state, 0)
    measured = lambda method, frame: METHODS[method](map, z, None, frame, 1000).growth / 1000  # noqa: E731
    exact, g = measured("qr", V), torch.Generator().manual_seed(0)
    moved = [orthonormalise(V + 1e-14 * torch.randn(V.shape, generator=g))[0] for _ in range(4)]
    yardstick = max((measured("qr", frame) - exact).abs().max().item() for frame in moved)
    for method in FAST:
        off = (measured(method, V) - exact).abs()
        assert off.max().item() <= max(10 * yardstick, 1e-10)  # or a hundredth of the bar of random networks
        assert off[..., 0].item() < 1e-12


@pytest.mark.parametrize("method", METHODS)
def test_single_precision_on_request(method):
    double = network(units=24)
    z = settled(double)
    exact = lyapunov_spectra(double, z, steps=60, warmup=10)[0]
    single = lyapunov_spectra(double.float(), z.float(), steps=60, warmup=10, method=method)[0]
    assert single.settings["dtype"] == "float32"
    assert single.exponents[0] == pytest.approx(exact.exponents[0], abs=1e-3)
    assert 1e-7 < single.checks["resolution"] < 1


def test_segments_side_by_side_are_one_long_orbit():
    """Sixteen segments with a burn-in: the same sum to rounding (it needs no frame), the same exponents to sampling."""
    map = network(units=24, gain=2.0)
    z = settled(map, batch=2)
    whole = lyapunov_spectra(map, z, steps=3200, warmup=40)[0]
    parts = lyapunov_spectra(map, z, steps=3200, warmup=40, segments=16)[0]
    assert parts.sum == pytest.approx(whole.sum, abs=1e-9)
    assert (parts.steps, parts.orbits, parts.settings["segments"]) == (3200, 2, 16)
    assert np.abs(parts.exponents - whole.exponents)[:5].max() < 4 * whole.stderr[:5].max()


def test_segments_see_their_own_inputs():
    cell = CELLS["vanilla"](inputs=2, population=1, units=6)
    cell.build([(gaussian, torch.Generator().manual_seed(0))])
    cell.requires_grad_(False)
    x = torch.randn(430, 1, 3, 2, generator=torch.Generator().manual_seed(1))
    z = torch.zeros(1, 3, 6)
    whole = lyapunov_spectra(cell, z, x, steps=400, warmup=30, kind="driven")[0]
    parts = lyapunov_spectra(cell, z, x, steps=400, warmup=30, segments=8, kind="driven")[0]
    assert parts.sum == pytest.approx(whole.sum, abs=1e-9)
    assert (np.abs(parts.exponents - whole.exponents) < 2 * whole.stderr).all()


@fast
def test_every_block_of_a_driven_run_takes_its_own_inputs(method):
    """More inputs than a block or a chunk has steps are there, and must not be mixed up."""
    cell = CELLS["vanilla"](inputs=2, population=2, units=6)
    cell.build([(gaussian, torch.Generator().manual_seed(p)) for p in range(2)])
    x = torch.randn(70, 2, 3, 2, generator=torch.Generator().manual_seed(1))
    run = lambda method: lyapunov_spectra(cell, torch.zeros(2, 3, 6), x, steps=40, warmup=7, method=method)  # noqa: E731
    for found, expected in zip(run(method), run("qr")):
        np.testing.assert_allclose(found.exponents, expected.exponents, atol=1e-9)


def test_finite_time_exponents_average_to_the_spectrum():
    map = network(units=10, gain=2.0)
    z = settled(map)
    found = finite_time_exponents(map, z, windows=20, length=25, warmup=50)
    assert found.shape == (20, 1, 2, 10)
    spectrum = lyapunov_spectra(map, z, steps=500, warmup=50)[0]
    np.testing.assert_allclose(np.sort(found.mean(axis=(0, 2))[0])[::-1], spectrum.exponents, atol=1e-9)
    longer = finite_time_exponents(map, z, windows=10, length=50, warmup=50)
    assert longer[..., 0].std() < found[..., 0].std()


@pytest.mark.parametrize("kind", list(CELLS))
def test_mean_exponent_without_tangents(kind):
    map = network(kind, 6, 0.9, population=2)
    z = settled(map)
    spectra = lyapunov_spectra(map, z, steps=50)
    np.testing.assert_allclose(mean_exponent(map, z, steps=50), [s.mean for s in spectra], atol=1e-9)


@pytest.mark.parametrize("threads", [1, 2])
def test_batches_of_large_matrices_are_factorised_right(threads):
    """torch's batched LU on several threads of a CPU returns wrong numbers from 151 rows on; ours never meets it."""
    A = torch.randn(1, 4, 200, 200, generator=torch.Generator().manual_seed(0))
    expected = np.linalg.slogdet(A.numpy())[1]
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        np.testing.assert_allclose(log_abs_det(A), expected, atol=1e-9)
        Y, sizes, _ = pivot(A.mT)
    finally:
        torch.set_num_threads(before)
    np.testing.assert_allclose(sizes.sum(-1), expected, atol=1e-9)
    U = torch.linalg.lstsq(Y.mT, A).solution
    torch.testing.assert_close(U.tril(-1), torch.zeros_like(U), atol=1e-9, rtol=0)


def test_cholesky_twice_is_qr():
    V = torch.randn(2, 3, 5, 9, generator=torch.Generator().manual_seed(0))
    (Q, stretch), (exact, logs) = cholesky_qr(V), orthonormalise(V)
    torch.testing.assert_close(Q @ Q.mT, torch.eye(5).expand(2, 3, -1, -1), atol=1e-12, rtol=0)
    torch.testing.assert_close(stretch, logs, atol=1e-12, rtol=0)
    torch.testing.assert_close((Q * exact).sum(-1).abs(), torch.ones(2, 3, 5), atol=1e-12, rtol=0)


def test_settings_that_cannot_be():
    map = network(units=3)
    z = torch.zeros(1, 1, 3)
    with pytest.raises(UnknownName, match="Did you mean 'adaptive'"):
        lyapunov_spectra(map, z, steps=3, method="adaptve")
    with pytest.raises(ValueError, match="interval"):
        lyapunov_spectra(map, z, steps=3, method="lu", interval=2)
    with pytest.raises(ValueError, match="segments"):
        lyapunov_spectra(map, z, steps=3, segments=4)


def test_a_flow_has_a_zero_exponent_and_a_gap():
    lorenz = build("lorenz63")
    z = lorenz.start(8, torch.Generator().manual_seed(0))
    for _ in range(500):
        z = lorenz.step(z)
    spectrum = lyapunov_spectra(lorenz, z, steps=3000, warmup=200)[0]
    assert spectrum.checks["zero"] == abs(spectrum.exponents[1]) < 1e-3
    assert not spectrum.warnings
    assert spectrum.mean == pytest.approx(spectrum.sum / 3)
    wrong = Spectrum(np.array([0.5, 0.2, -1.0]), np.zeros(3), 9, 1, "system", 3, 0.1, checks={"zero": 0.2})
    assert any("flow" in w for w in wrong.warnings)
    assert Spectrum(np.array([0.1, 0.0, -0.5, -2.0]), np.zeros(4), 9, 1, "closed loop", 4).gap == pytest.approx(1.5)
