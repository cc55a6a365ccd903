"""Standard errors of correlated blocks cover as often as they say; orbits of several attractors are told apart."""

import numpy as np
import pytest
import torch
from scipy.stats import t
from torch import nn

from lyapsweep import lyapunov_spectrum, systems
from lyapsweep.dynamics import lyapunov_spectra
from lyapsweep.dynamics.attractors import groups_of_orbits
from lyapsweep.dynamics.errors import standard_errors
from lyapsweep.dynamics.frames import adaptive, householder
from lyapsweep.dynamics.lu import lu
from lyapsweep.dynamics.spectrum import Spectrum
from lyapsweep.exponents import system_spectrum

STARTS = 400


def white(shape, rng):
    return rng.normal(size=shape)


def bounded(shape, rng):
    """Differences of a bounded function and a little diffusion, as of a flow."""
    u = rng.normal(size=(*shape[:-1], shape[-1] + 1))
    return np.diff(u, axis=-1) + 0.05 * rng.normal(size=shape)


def slow(shape, rng):
    """An autoregression with a coefficient of 0.5."""
    noise, y = rng.normal(size=(*shape[:-1], shape[-1] + 50)), 0.0
    out = np.empty(noise.shape)
    for i in range(noise.shape[-1]):
        out[..., i] = y = 0.5 * y + noise[..., i]
    return out[..., 50:]


@pytest.mark.parametrize("orbits", [1, 4, 32])
@pytest.mark.parametrize("process", [white, bounded, slow])
def test_intervals_cover_whatever_the_correlation_of_blocks(process, orbits):
    blocks = process((STARTS, orbits, 40), np.random.default_rng(0))
    errors = standard_errors(blocks)
    means = blocks.mean(axis=(1, 2))
    covered = np.abs(means) <= t.ppf(0.975, errors.dof) * errors.stderr
    assert np.isnan(errors.stderr).mean() <= 0.12
    covered = covered[np.isfinite(errors.stderr)]
    assert 0.85 <= covered.mean() <= 1.0
    assert 0.7 <= np.nanmean(errors.stderr) / means.std() <= 1.35


def test_independent_blocks_would_be_wrong_by_more_than_twice():
    blocks = bounded((STARTS, 4, 40), np.random.default_rng(0))
    naive = blocks.reshape(STARTS, -1).std(axis=1) / np.sqrt(160)
    assert naive.mean() / blocks.mean(axis=(1, 2)).std() > 2.5


@pytest.mark.parametrize(("orbits", "blocks", "known"), [(1, 31, False), (1, 32, True), (3, 31, False), (4, 1, True)])
def test_too_few_blocks_and_orbits_give_no_error(orbits, blocks, known):
    errors = standard_errors(white((1, orbits, blocks), np.random.default_rng(1)))
    assert np.isfinite(errors.stderr).all() == np.isfinite(errors.dof).all() == known


def test_series_that_are_constant_or_not_finite():
    constant = standard_errors(np.full((1, 4, 40), 0.4))
    assert constant.stderr[0] < 1e-12
    assert np.isnan(standard_errors(np.full((1, 4, 40), -np.inf)).stderr[0])


@pytest.mark.parametrize("method", ["adaptive", "householder", "lu"])
def test_parts_of_a_block_add_up(method):
    carry = {"adaptive": adaptive, "householder": householder, "lu": lu}[method]
    map = systems.build("tanh_map", units=6)
    V = torch.eye(6, dtype=torch.float64).expand(1, 2, 6, 6).contiguous()
    run = carry(map, map.start(2, torch.Generator().manual_seed(0)), None, V, 100)
    torch.testing.assert_close(run.parts.sum(dim=0), run.growth)
    assert sum(run.lengths) == 100
    assert min(run.lengths) > 0


@pytest.mark.slow
def test_errors_of_lorenz_are_the_spread_of_its_starts():
    """Four orbits of 1000 steps; ten independent blocks would give 2.5 to 3.2 times the spread."""
    flow = systems.build("lorenz63")
    z = flow.start(120, torch.Generator().manual_seed(5))
    with torch.no_grad():
        for _ in range(500):
            z = flow.step(z)
    runs = [lyapunov_spectra(flow, z[:, i : i + 4], steps=1000, warmup=200)[0] for i in range(0, 120, 4)]
    values, errors = np.array([s.exponents for s in runs]), np.array([s.stderr for s in runs])
    ratio = errors.mean(axis=0) / values.std(axis=0, ddof=1)
    assert ((ratio > 0.65) & (ratio < 1.6)).all()


def test_one_orbit_of_one_step_has_no_error_and_is_not_called_chaotic():
    spectrum = lyapunov_spectrum(systems.build("henon"), steps=1, orbits=1)
    assert np.isnan(spectrum.stderr).all()
    assert not spectrum.chaotic
    assert "have no standard error: 1 orbits of 1 steps" in spectrum.warnings[0]


@pytest.fixture(scope="module")
def two_attractors():
    """A network with a slow and a fast attractor (lambda_1 = -0.033 and -0.592), and states on them."""
    torch.manual_seed(0)
    net = nn.RNN(1, 20, bias=False).double()
    with torch.no_grad():
        net.weight_hh_l0.copy_(torch.randn(20, 20).double() * 2.5 / 20**0.5)
        net.weight_ih_l0.copy_(torch.randn(20, 1).double())
        h = torch.randn(4, 20, generator=torch.Generator().manual_seed(1001), dtype=torch.float64)
        for _ in range(300):
            h = torch.tanh(h @ net.weight_hh_l0.T)
    return net, h


def test_attractors_are_reported_apart(two_attractors):
    net, h = two_attractors
    alone = [lyapunov_spectrum(net, np.zeros((300, 1)), start=z, warmup=50, k=1).maximum for z in h]
    together = lyapunov_spectrum(net, np.zeros((4, 300, 1)), start=h, warmup=50)
    near = np.isclose(alone, together.maximum, atol=0.01)
    assert np.ptp(alone) > 0.1
    assert [a.orbits for a in together.attractors] == [near.sum(), (~near).sum()]
    assert together.attractors[0].exponents.tolist() == together.exponents.tolist()
    assert together.attractors[1].exponents[0] == pytest.approx(np.array(alone)[~near].mean(), abs=0.01)
    assert "The orbits end on 2 attractors" in together.warnings[0]
    assert together.summary()["attractors"] == 2.0
    again = Spectrum.from_dict(together.to_dict())
    assert again.to_json() == together.to_json()


def test_orbits_of_one_attractor_are_not_told_apart():
    rng = np.random.default_rng(2)
    split = [groups_of_orbits(process((3, 8, 40), rng), 4000).max() for process in (white, bounded, slow) * 30]
    assert np.mean(split) <= 0.02


def test_the_attractor_of_most_orbits_comes_first():
    blocks = white((1, 5, 40), np.random.default_rng(0))
    blocks[:, [0, 3]] += 10
    assert groups_of_orbits(blocks, 4000).tolist() == [1, 0, 0, 1, 0]
    assert groups_of_orbits(blocks, 0.4).tolist() == [0] * 5  # differences that first and last states explain


def test_a_system_is_prolonged_until_its_error_is_small():
    flow = systems.build("henon")
    found = system_spectrum(flow, orbits=8, k=2)
    assert found.settings["converged"] or found.steps == 16_000
    assert found.steps > 2000
    again = system_spectrum(flow, orbits=8, k=2, steps=found.steps)
    assert again.exponents.tolist() == found.exponents.tolist()
    assert "converged" not in again.settings
