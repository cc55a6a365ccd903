"""Exponents that are known without measuring them: closed forms, mean-field theory, theorems about sums and symmetries.

Elsewhere: the order of factors (case 6), orthogonal networks (2) and the two trajectories of each cell (13) in
test_dynamics; sum rules of driven networks (11), degenerate gates and the scalar network (12) in test_exponents.
"""

import csv
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from lyapsweep.cells import CELLS
from lyapsweep.dynamics import Spectrum, lyapunov_spectra
from lyapsweep.dynamics.lyapunov import random_frame
from lyapsweep.inits import gaussian
from lyapsweep.maps import AbstractMap, log_abs_det
from lyapsweep.systems import SYSTEMS, build, dynamic_mean_field, mean_field

THEORY = Path(__file__).parents[2] / "shared" / "data" / "vogt2022" / "reference_tanh_map_theory.csv"
SETTINGS = {
    "linear": {"matrix": [[0.9, 0.5, 0.0], [-0.3, 0.8, 0.2], [0.1, 0.0, 0.4]]},
    "tanh_map": {"units": 30},
    "tanh_flow": {"units": 30},
}
CIRCLES = {"cat": 1.0, "duffing": 2 * math.pi}  # what is taken off some coordinate when it exceeds that


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def settled(system, batch=1, steps=500, seed=0):
    z = system.start(batch, seeded(seed))
    for _ in range(steps):
        z = system.step(z)
    return z


def spectrum(system, batch=1, transient=500, seed=0, **plan):
    return lyapunov_spectra(system, settled(system, batch, transient, seed), **plan)[0]


def network(units=12, gain=1.5, seed=0, dtype=torch.float64):
    """A tanh network without bias."""
    cell = CELLS["vanilla"](inputs=0, population=1, units=units)
    cell.build([(lambda r, c, g: gaussian(r, c, g, gain=gain), seeded(seed))])
    cell.requires_grad_(False).b.zero_()
    return cell.to(dtype)


def dimension_of(exponents):
    exponents = np.array(exponents)
    return Spectrum(exponents, np.zeros_like(exponents), 1, 1, "system", len(exponents)).kaplan_yorke


class DrivenLinear(AbstractMap):
    """z' = W z + B x."""

    population = 1

    def __init__(self, W, B):
        self.W, self.B, self.state = W, B, len(W)

    def step(self, z, x=None):
        return z @ self.W.mT + x @ self.B.mT

    def push(self, z, x, V):
        return self.step(z, x), V @ self.W.mT


class Seen(AbstractMap):
    """Another map in coordinates S z."""

    population = 1

    def __init__(self, inner, S):
        self.inner, self.S, self.back, self.state = inner, S, S.inverse(), inner.state

    def step(self, z, x=None):
        return self.inner.step(z @ self.back.mT) @ self.S.mT

    def push(self, z, x, V):
        z, V = self.inner.push(z @ self.back.mT, x, V @ self.back.mT)
        return z @ self.S.mT, V @ self.S.mT


class Beside(AbstractMap):
    """Two maps side by side that do not see each other: a block-diagonal Jacobian."""

    population = 1

    def __init__(self, one, other):
        self.parts, self.sizes, self.state = (one, other), [one.state, other.state], one.state + other.state

    def step(self, z, x=None):
        return torch.cat([part.step(piece) for part, piece in zip(self.parts, z.split(self.sizes, -1))], -1)

    def push(self, z, x, V):
        pieces = zip(self.parts, z.split(self.sizes, -1), V.split(self.sizes, -1))
        pushed = [part.push(piece, None, W) for part, piece, W in pieces]
        return torch.cat([p[0] for p in pushed], -1), torch.cat([p[1] for p in pushed], -1)


def test_linear_under_any_input():
    """Case 1: log |eig W| whatever drives it, within 1e-3 at T = 5000."""
    W, B = torch.randn(16, 16, generator=seeded(0)) / 4, torch.randn(16, 3, generator=seeded(1))
    exact = torch.linalg.eigvals(W).abs().log().sort(descending=True).values.numpy()
    map, z = DrivenLinear(W, B), torch.zeros(1, 1, 16)
    for scale in (0.0, 5.0):
        inputs = scale * torch.randn(5000, 1, 1, 3, generator=seeded(2))
        found = lyapunov_spectra(map, z, inputs, steps=5000, kind="driven")[0].exponents
        np.testing.assert_allclose(found, exact, atol=1e-3)


def test_cat_map():
    """Case 2: +-log((3 + sqrt 5) / 2), within 1e-10."""
    found = spectrum(build("cat"), batch=8, steps=500, warmup=50).exponents
    np.testing.assert_allclose(found, [0.9624236501192069, -0.9624236501192069], atol=1e-10)


def test_tent_map_is_exact_at_every_step():
    """log s, of every orbit: a ReLU map whose every step stretches alike."""
    found = spectrum(build("tent"), batch=8, steps=200)
    assert found.maximum == pytest.approx(math.log(1.99), abs=1e-14)
    assert found.stderr[0] < 1e-14


@pytest.mark.parametrize(
    ("r", "exact", "tolerance"),
    [(4.0, math.log(2), 1e-3), (3.2, math.log(0.16) / 2, 1e-6), (3.5, -0.872507, 1e-6), (3.9, 0.496, 3e-3)],
)
def test_logistic_map(r, exact, tolerance):
    """Case 3: log 2 at r = 4, log |4 + 2 r - r^2| / 2 on the two-cycle, published values at 3.5 and 3.9."""
    found = spectrum(build("logistic", r=r), batch=400, transient=1000, steps=2000)
    assert found.maximum == pytest.approx(exact, abs=tolerance)


def test_logistic_map_knows_its_cycles():
    for r, period in ((2.8, 1), (3.2, 2), (3.5, 4), (3.83, 3)):
        system = build("logistic", r=r)
        assert f"period {period} " in system.known.citation
        found = spectrum(system, batch=2, transient=2000, steps=12)
        assert found.maximum == pytest.approx(system.known.exponents[0], abs=1e-9)
    assert build("logistic", r=2.0).known.exponents == (-math.inf,)
    assert build("logistic", r=3.9).known is None


def test_henon_map():
    """Case 4: 0.4192 and -1.6232 within 2e-3, their sum log 0.3 within 1e-12, dimension 1.258."""
    found = spectrum(build("henon"), batch=256, steps=3000, warmup=100)
    np.testing.assert_allclose(found.exponents, [0.4192, -1.6232], atol=2e-3)
    assert found.sum == pytest.approx(math.log(0.3), abs=1e-12)
    assert found.kaplan_yorke == pytest.approx(1.258, abs=2e-3)


def test_lorenz_flow():
    """Case 5: 0.9056, 0, -14.5723 per unit time within 0.01, 0.002, 0.02; dimension 2.062."""
    found = spectrum(build("lorenz63"), batch=256, transient=2000, steps=6000, warmup=1000)
    largest, neutral, smallest = found.per_time
    assert largest == pytest.approx(0.9056, abs=0.01)
    assert neutral == pytest.approx(0, abs=0.002)
    assert smallest == pytest.approx(-14.5723, abs=0.02)
    assert found.kaplan_yorke == pytest.approx(2.062, abs=2e-3)


@pytest.mark.parametrize(
    ("name", "parameters", "samples"),
    [("lorenz63", {"rho": 38.0}, 62.8), ("roessler", {}, 78.8), ("duffing", {}, 30.3)],
)
def test_predictability_times_of_the_reconstruction_literature(name, parameters, samples):
    """ln 2 / lambda_1 of the data of Mikhaeil et al. 2022, from the equations: within 2 % and four standard errors."""
    system = build(name, **parameters)
    found = spectrum(system, batch=512, transient=1000, steps=2500, warmup=500, k=2)
    off = abs(found.per_time[0] - system.known.exponents[0])
    assert off < 4 * math.hypot(found.stderr_per_time[0], system.known.stderr)
    assert found.predictability_time == pytest.approx(samples, rel=0.03)
    assert found.per_time[1] == pytest.approx(0, abs=0.01 * found.per_time[0])


def test_network_at_rest():
    """Case 7: below a gain of 1 the spectrum is log |eig J|, top ten within 1e-3; circular law for the rest."""
    system = build("tanh_map", units=100, gain=0.8)
    found = spectrum(system, transient=2000, steps=4000, warmup=1000).exponents
    np.testing.assert_allclose(found[:10], system.known.exponents[:10], atol=1e-3)
    eigenvalues = torch.linalg.eigvals(system.J).abs().log().sort(descending=True).values.numpy()
    np.testing.assert_array_equal(system.known.exponents, eigenvalues)
    for level in (-0.4, -0.7, -1.0):
        assert (found < level).mean() == pytest.approx(math.exp(2 * level) / 0.64, abs=0.06)


@pytest.mark.parametrize("units", [20, pytest.param(50, marks=pytest.mark.slow)])
def test_products_of_gaussian_matrices(units):
    """Case 8: Newman's exponents within 0.05 at T = 4000; the largest's standard error is about 1 / sqrt(2 N T)."""
    system = build("ginibre", units=units, gain=1.3)
    found = spectrum(system, batch=4, transient=0, steps=1000)
    np.testing.assert_allclose(found.exponents, system.known.exponents, atol=0.05)
    assert found.stderr[0] == pytest.approx(1 / math.sqrt(2 * units * 4000), rel=0.4)


def test_ginibre_entries_are_independent_normal_numbers():
    z = build("ginibre", units=10).start(2000, seeded(0))
    system = build("ginibre", units=10, seed=1)
    now, next_one = system.matrices(z[0, :, 0]) * math.sqrt(10), system.matrices(z[0, :, 0] + 1) * math.sqrt(10)
    assert now.mean().item() == pytest.approx(0, abs=5 / math.sqrt(now.numel()))
    assert now.var().item() == pytest.approx(1, abs=5 * math.sqrt(2 / now.numel()))
    assert (now**4).mean().item() == pytest.approx(3, abs=5 * math.sqrt(96 / now.numel()))
    for other in (next_one, now.roll(1, -1), now.mT, build("ginibre", units=10).matrices(z[0, :, 0]) * math.sqrt(10)):
        off = (now != other).double()
        assert ((now * other) * off).sum().item() == pytest.approx(0, abs=5 * math.sqrt(off.sum().item()))


@pytest.mark.parametrize(
    ("gain", "largest", "unstable", "entropy", "dimension", "mean"),
    [
        (1.5, 0.0652, 0.0843, 0.00280, 0.1653, -0.7144),
        (2, 0.1547, 0.1334, 0.01068, 0.2572, -1.1490),
        (3, 0.3103, 0.1529, 0.02520, 0.2873, -2.2728),
        (5, 0.5324, 0.1341, 0.03908, 0.2457, -4.9068),
        (10, 0.8564, 0.0912, 0.04417, 0.1648, -12.161),
    ],
)
def test_mean_field_theory_of_the_tanh_map(gain, largest, unstable, entropy, dimension, mean):
    """Case 9: the theory's own numbers, independently tabulated to four digits."""
    assert mean_field.largest(gain) == pytest.approx(largest, abs=6e-5)
    assert mean_field.mean(gain) == pytest.approx(mean, abs=6e-4)
    curve = mean_field.spectrum(gain, 600)
    assert (curve > 0).mean() == pytest.approx(unstable, abs=1e-3)
    assert curve[curve > 0].sum() / 600 == pytest.approx(entropy, abs=2e-5)
    assert dimension_of(curve) / 600 == pytest.approx(dimension, abs=1e-3)
    assert np.all(np.diff(curve) < 0)


def test_mean_field_theory_agrees_with_the_reference_table():
    """Case 9: gains from 1.2 to 10, computed by others."""
    if not THEORY.exists():
        pytest.skip(f"{THEORY} is not here: reference values of the mean-field theory")
    with THEORY.open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) >= 5
    for row in rows:
        gain = float(row["g"])
        assert mean_field.variance(gain) == pytest.approx(float(row["Delta0"]), rel=1e-5, abs=6e-6)
        assert mean_field.largest(gain) == pytest.approx(float(row["lambda1"]), abs=6e-6)
        assert mean_field.mean(gain) == pytest.approx(float(row["mean_exponent"]), abs=6e-6)
        (median,) = mean_field.at(gain, np.array([0.5]))
        assert median == pytest.approx(float(row["median_exponent"]), abs=6e-3)


@pytest.mark.parametrize("gain", [3.0, *(pytest.param(g, marks=pytest.mark.slow) for g in (2.0, 5.0))])
def test_two_hundred_tanh_units_are_near_mean_field(gain):
    """Case 9: largest exponent within 0.025, D_KY / N within 0.02 of the theory; the mean within 2 %."""
    system = build("tanh_map", units=200, gain=gain)
    found = spectrum(system, batch=1, steps=1000, warmup=100)
    assert found.maximum == pytest.approx(mean_field.largest(gain), abs=0.025)
    assert found.maximum == pytest.approx(system.known.exponents[0], abs=2 * system.known.stderr)
    assert found.sum / 200 == pytest.approx(mean_field.mean(gain), rel=0.03)
    assert found.kaplan_yorke / 200 == pytest.approx(dimension_of(system.known.exponents) / 200, abs=0.02)


def test_tanh_flow_is_symmetric_about_minus_one():
    """Case 10: mean exactly -1 (up to the Runge-Kutta step), pairs that sum to -2 within 0.1 rms, one zero exponent."""
    found = spectrum(build("tanh_flow", units=60, gain=6.0, seed=2), transient=2000, steps=4000, warmup=500).per_time
    assert found.mean() == pytest.approx(-1, abs=1e-5)
    assert math.sqrt(np.mean((found + found[::-1] + 2) ** 2)) < 0.1
    assert found[0] > 0.03
    assert np.abs(found).min() < 0.01


def test_dynamic_mean_field_theory():
    """Case 10: (g - 1)^2 / 2 at the onset (Sompolinsky et al. 1988), about 0.22 and 0.42 published for g = 3 and 5."""
    near = [dynamic_mean_field.largest(1 + e) / e**2 for e in (0.02, 0.01)]
    assert 2 * near[1] - near[0] == pytest.approx(0.5, abs=0.005)
    assert dynamic_mean_field.largest(3.0) == pytest.approx(0.22, abs=0.02)
    assert dynamic_mean_field.largest(5.0) == pytest.approx(0.42, abs=0.02)


@pytest.mark.slow
def test_large_tanh_flow_is_near_dynamic_mean_field():
    """1500 units at g = 5: within 8 % of infinitely many."""
    found = spectrum(build("tanh_flow", units=1500, gain=5.0), batch=4, steps=1000, warmup=200, k=1)
    assert found.per_time[0] == pytest.approx(dynamic_mean_field.largest(5.0), rel=0.08)


@pytest.mark.parametrize("theory", [mean_field.variance, dynamic_mean_field.at_rest])
def test_no_mean_field_chaos_below_the_onset(theory):
    with pytest.raises(ValueError, match=r"gain > 1 must hold .* but got 0.9"):
        theory(0.9)


@pytest.mark.parametrize("name", list(SYSTEMS))
def test_sum_rule(name):
    """Case 11, generic: the exponents of every system sum to the mean log |det Df| along its orbit."""
    system = build(name, **SETTINGS.get(name, {}))
    z = settled(system, 2, 0 if name == "ginibre" else 300)
    found = lyapunov_spectra(system, z, steps=60)[0]
    before = torch.cat([z[None], system.orbit(z, None, 59)])
    dets = torch.stack([log_abs_det(system.jacobian(state)) for state in before])
    assert found.sum == pytest.approx(dets.mean().item(), abs=1e-8)


@pytest.mark.parametrize("name", list(SYSTEMS))
def test_two_trajectories(name):
    """Case 13: orbits 1e-7 apart, pulled together at each of 700 steps, part at the QR exponent within 1e-4."""
    system, distance = build(name, **SETTINGS.get(name, {})), 1e-7
    z = torch.zeros(1, 1, system.state) if name == "ginibre" else settled(system)
    found = lyapunov_spectra(system, z, steps=700, k=1)[0].maximum
    other, log = z + distance * random_frame(z, 1, seed=0)[:, :, 0], 0.0
    for _ in range(700):
        z, other = system.step(z), system.step(other)
        apart = other - z
        if name in CIRCLES:
            apart = apart - CIRCLES[name] * (apart / CIRCLES[name]).round()
        stretch = apart.norm() / distance
        other = z + apart / stretch
        log += stretch.log().item() / 700
    assert found == pytest.approx(log, abs=1e-4)


def test_other_coordinates_have_the_same_exponents():
    """Case 14: a similarity transform S moves finite-time exponents by at most 2 log cond(S) / T."""
    cell, S = network(), torch.randn(12, 12, generator=seeded(5)) / 12 + torch.eye(12)
    z = torch.randn(1, 1, 12, generator=seeded(6))
    for _ in range(300):
        z = cell.step(z)
    plain = lyapunov_spectra(cell, z, steps=3000, warmup=300)[0].exponents
    seen = lyapunov_spectra(Seen(cell, S), z @ S.mT, steps=3000, warmup=300)[0].exponents
    bound = 2 * math.log(torch.linalg.cond(S).item()) / 3000
    np.testing.assert_allclose(seen, plain, atol=bound)
    assert seen.sum() == pytest.approx(plain.sum(), abs=bound)


def test_blocks_have_the_union_of_their_exponents():
    """Case 14: networks side by side."""
    one, other = network(units=6, gain=2.0, seed=1), network(units=8, gain=0.7, seed=2)
    z = torch.randn(1, 4, 14, generator=seeded(3))
    together = Beside(one, other)
    for _ in range(300):
        z = together.step(z)
    plan = {"steps": 4000, "warmup": 500}
    found = lyapunov_spectra(together, z, **plan)[0].exponents
    parts = [
        lyapunov_spectra(m, p.contiguous(), **plan)[0].exponents for m, p in zip((one, other), z.split([6, 8], -1))
    ]
    np.testing.assert_allclose(found, np.sort(np.concatenate(parts))[::-1], atol=2e-3)


def test_intervals_between_factorisations():
    """Case 14: every second step as every step to 1e-10; every tenth keeps the top four; the default keeps them all."""
    cell, z = network(), torch.randn(1, 2, 12, generator=seeded(4))
    for _ in range(300):
        z = cell.step(z)
    plan = {"steps": 2000, "warmup": 100}
    every = lyapunov_spectra(cell, z, method="qr", **plan)[0].exponents
    second, tenth = (lyapunov_spectra(cell, z, method="qr", interval=n, **plan)[0].exponents for n in (2, 10))
    np.testing.assert_allclose(second, every, atol=1e-10)
    np.testing.assert_allclose(tenth[:4], every[:4], atol=1e-8)
    np.testing.assert_allclose(lyapunov_spectra(cell, z, **plan)[0].exponents, every, atol=1e-8)


def test_single_precision():
    """Case 14: float32, factorised at every step, within 5e-5 of float64 for a contracting network."""
    double, z = network(gain=0.9), torch.randn(1, 2, 12, generator=seeded(4))
    plan = {"method": "qr", "steps": 500, "warmup": 100}
    exact = lyapunov_spectra(double, z, **plan)[0].exponents
    single = lyapunov_spectra(network(gain=0.9, dtype=torch.float32), z.float(), **plan)[0].exponents
    np.testing.assert_allclose(single, exact, atol=5e-5)


@pytest.mark.parametrize(("delay", "dt"), [(17.0, 0.5), (31.8, 1.06)])
def test_mackey_glass(delay, dt):
    """The leading exponents, one of them zero, do not depend on how finely the history is cut."""
    system = build("mackey_glass", delay=delay, dt=dt)
    found = spectrum(system, batch=128, transient=4000, steps=4000, warmup=1000, k=4)
    known = np.array(system.known.exponents)
    np.testing.assert_allclose(found.per_time[: len(known)], known, atol=4 * found.stderr_per_time.max() + 1e-4)
