"""The parts of the exponent engine and of the fixed-point search, each against numbers worked out by hand."""

import inspect
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from test_fixed_points import Custom

from lyapsweep.dynamics import (
    Points,
    Search,
    Spectrum,
    failed_checks,
    fixed_points,
    frames,
    jacobians,
    lu,
    lu_frames,
    lyapunov,
    newton,
    pivoting,
)
from lyapsweep.dynamics.checks import SAMPLED_STEPS, agreement, gap, largest_difference, sampled_sum_rule, sum_rule
from lyapsweep.dynamics.fixed_points import classify, distinct, draw_candidates, extent, mask_escaped
from lyapsweep.dynamics.frames import Accumulator, FrameResult, adaptive, cancellation, householder
from lyapsweep.dynamics.growth import tangent_growth
from lyapsweep.dynamics.line_attractor import line_scores, orthonormal, principal
from lyapsweep.dynamics.linearisation import MARGIN
from lyapsweep.dynamics.lyapunov import choose_method, lyapunov_spectra, mean_exponent, random_frame
from lyapsweep.dynamics.newton import FirstSlow, descend, fixed_threshold, newton_step, refine, row_chunks
from lyapsweep.dynamics.run import Run, to_spectrum
from lyapsweep.dynamics.spectrum import strict
from lyapsweep.maps import AbstractMap


class Diagonal(AbstractMap):
    """z' = diag(factors) z; driven, the factors are the inputs."""

    population = 1

    def __init__(self, *factors):
        self.factors, self.state, self.batches = torch.tensor(factors), len(factors), []

    def at(self, x):
        return self.factors if x is None else x

    def step(self, z, x=None):
        return z * self.at(x)

    def push(self, z, x, V):
        return self.step(z, x), V * (self.at(x) if x is None else x.unsqueeze(2))

    def jacobian(self, z, x=None):
        self.batches.append(z.shape[1])
        return torch.diag_embed(self.at(x).expand_as(z))


class Known(Diagonal):
    """With a closed form of log |det J|."""

    def log_det(self, z, x=None):
        return self.at(x).abs().log().sum(-1).expand(z.shape[:2])


def test_constants_are_the_documented_ones():
    """Exponents and points depend on them; changing one changes published numbers."""
    assert (frames.MAX_INTERVAL, frames.SAFETY, frames.KEPT_DIGITS, SAMPLED_STEPS) == (64, 0.85, 0.7, 4)
    assert (lyapunov.BLOCKS, lyapunov.LU_FROM, lyapunov.LU_FROM_ALONE) == (10, 48, 16)
    assert (jacobians.CHUNK_ENTRIES, jacobians.MIN_JACOBIANS, jacobians.FACTORS) == (131072, 4, 6)
    assert (jacobians.COMPILED_ENTRIES, jacobians.SMALL) == (524288, 16)
    assert (lu_frames.STRIP, lu_frames.SUSPICIOUS) == (64, 1e-10)
    assert (newton.BETA1, newton.BETA2, newton.EPSILON, newton.FINAL_RATE) == (0.9, 0.999, 1e-12, 1e-4)
    assert (newton.DAMPING, newton.DAMPING_DECREASE, newton.DAMPING_INCREASE) == (1e-3, 0.1, 10.0)
    assert (newton.MAX_DAMPING, newton.MIN_DECREASE, newton.ROUNDING) == (1e3, 1e-4, 16)
    assert (newton.MAX_ENTRIES, fixed_points.ESCAPED, MARGIN) == (8388608, 1e3, 1e-6)
    assert (failed_checks.TOLERANCE, failed_checks.AGREEMENT) == (1e-3, 1e-6)
    search = [p.default for p in inspect.signature(Search).parameters.values()]
    assert search == [256, 0.0, 1e-20, 1e-8, 0.01, 1e-4, 10.0, 300, 0.05, 1.0, 100, 0]
    defaults = {n: p.default for n, p in inspect.signature(lyapunov_spectra).parameters.items()}
    numbers = {n: defaults[n] for n in ("warmup", "k", "kind", "seed", "method", "interval", "segments")}
    assert list(numbers.values()) == [0, None, "system", 0, "auto", 1, 1]


# The spectrum


def made(exponents, stderr=None, state=None, dt=None, **checks):
    e = np.array(exponents, dtype=float)
    return Spectrum(
        e,
        np.zeros_like(e) if stderr is None else np.array(stderr),
        100,
        2,
        "system",
        state or len(e),
        dt,
        checks=checks,
    )


def test_numbers_at_their_edges():
    assert made([0.0, -1.0]).kaplan_yorke == 1.0
    assert made([0.3, 0.1, -0.8]).kaplan_yorke == pytest.approx(2 + 0.4 / 0.8)
    assert made([0.0]).predictability_time == math.inf
    assert made([0.19, 0.5], [0.1, 0.1]).positive == 1  # beyond the 95 % interval
    assert made([0.2], [math.nan]).positive == 1
    assert made([0.5, 0.25, -1.0]).entropy_rate == 0.75
    assert made([0.5, 0.25, -1.5]).mean == pytest.approx(-0.25)
    assert (made([0.5]).finite, made([math.nan]).finite) == (True, False)
    assert math.isnan(made([math.nan]).entropy_rate)
    assert (made([0.5]).complete, made([0.5], state=2).complete) == (True, False)
    assert made([0.3], [0.2], dt=0.1).stderr_per_time[0] == pytest.approx(2.0)
    assert made([0.3], [0.2]).stderr_per_time[0] == 0.2
    assert made([0.3]).per_time[0] == 0.3
    assert made([0.3]).rank_losses == 0


def test_the_gap_lies_behind_the_last_exponent_of_the_attractor():
    assert made([1.0, 0.5, -3.0, -7.0]).gap == 4.0  # D = 2.5
    assert made([1.0, -1.0, -7.0]).gap == 6.0  # D = 2
    assert math.isnan(made([-1.0, -2.0]).gap)
    assert math.isnan(made([1.0, -4.0]).gap)
    assert math.isnan(made([1.0, 0.5], state=4).gap)


def test_each_check_warns_beyond_its_threshold_alone():
    noise = 10 * 0.5 + 1e-6
    edges = {"resolution": 1e-3, "sum_rule": 1e-3, "halves": noise, "orbits": noise}
    words = {
        "resolution": "Rounding",
        "sum_rule": "log |det Df|",
        "halves": "halves",
        "orbits": "orbits",
    }
    for name, edge in edges.items():
        assert made([0.3, -0.1], [0.5, 0.2], **{name: edge}).warnings == []
        (message,) = made([0.3, -0.1], [0.5, 0.2], **{name: edge * (1 + 1e-9)}).warnings
        assert words[name] in message
    assert made([0.3], [0.1]).warnings == []
    assert "1 of 2 exponents have no standard error" in made([0.3, -0.1], [math.nan, 0.2], halves=1.0).warnings[0]


@pytest.mark.parametrize(
    ("exponents", "stderr", "found"),
    [
        ([0.3, 0.0029, -1.0], [0.0, 0.0, 0.0], True),  # within 1 % of the largest
        ([0.3, 0.0031, -1.0], [0.0, 0.0, 0.0], False),
        ([0.3, -0.09, -1.0], [0.01, 0.05, 0.05], True),  # within its interval
        ([0.3, -0.09, -1.0], [0.05, 0.04, 0.05], False),
        ([0.0, -0.1], [0.5, 0.2], True),  # at rest
        ([0.3, -0.09], [0.05, math.nan], True),  # cannot be told
    ],
)
def test_the_zero_exponent_of_a_flow_is_within_its_own_interval(exponents, stderr, found):
    spectrum = made(exponents, stderr, zero=min(np.abs(exponents)))
    assert spectrum.zero_found == found
    assert any("No exponent of this flow is zero" in sentence for sentence in spectrum.warnings) == (not found)


def test_intervals_follow_the_degrees_of_freedom():
    few = replace(made([0.5, 0.2], [0.1, math.nan]), dof=np.array([4.0, math.nan]))
    np.testing.assert_allclose(few.interval(), [[0.5 - 0.27764, 0.5 + 0.27764], [math.nan] * 2], atol=1e-4)
    assert (made([0.25], [0.1]).chaotic, replace(made([0.25], [0.1]), dof=np.array([4.0])).chaotic) == (True, False)
    assert (made([0.25], [math.nan]).chaotic, made([0.25], [math.nan]).positive) == (False, 1)
    assert Spectrum.from_dict(few.to_dict()).dof.tolist()[0] == 4.0


def test_what_a_spectrum_writes():
    s = made([0.5, -1.0], [0.1, 0.2], dt=0.5, halves=0.25)
    assert s.summary() == {
        "maximum": 0.5, "sum": -0.5, "mean": -0.25, "kaplan_yorke": 1.5, "entropy_rate": 0.5, "positive": 1.0,
        "attractors": 1.0,
    }  # fmt: skip
    assert s.to_dict() == {
        "map": "system",
        "exponents_per_step": [0.5, -1.0],
        "stderr_per_step": [0.1, 0.2],
        "degrees_of_freedom": None,
        "exponents_per_time": [1.0, -2.0],
        "stderr_per_time": [0.2, 0.4],
        "dt": 0.5,
        "steps": 100,
        "orbits": 2,
        "state": 2,
        "rank_losses": 0,
        "escaped": 0,
        "unbounded": False,
        "kaplan_yorke": 1.5,
        "kaplan_yorke_interval": [pytest.approx(1 + 0.3 / 1.4), 2.0],
        "entropy_rate_per_step": 0.5,
        "entropy_rate_at_least_per_step": 0.5,
        "sum_per_step": -0.5,
        "leading_sum_per_step": -0.5,
        "predictability_time_steps": math.log(2) / 0.5,
        "attractors": [],
        "settings": {},
        "checks": {"halves": 0.25},
        "warnings": [],
    }
    again = Spectrum.from_dict(s.to_dict())
    assert again.to_dict() == s.to_dict()
    older = s.to_dict()
    del older["checks"]
    assert Spectrum.from_dict(older).checks == {}
    values = {"a": [1, math.nan], "b": (math.inf, -math.inf), "c": "text", "d": 2.5}
    assert strict(values) == {"a": [1, None], "b": ["inf", "-inf"], "c": "text", "d": 2.5}


# Checks


def test_agreement_compares_halves_and_drops_the_middle():
    rates = np.array([0.0, 100.0, 1.0])
    assert agreement(rates.reshape(3, 1, 1)) == {"halves": 1.0}
    assert agreement(rates.reshape(1, 3, 1)) == {"orbits": 1.0}
    assert agreement(np.array([1.0, 4.0]).reshape(2, 1, 1)) == {"halves": 3.0}
    assert agreement(np.zeros((1, 1, 2))) == {}
    four = np.array([[[1.0], [2.0]], [[3.0], [8.0]]])
    assert agreement(four) == {"halves": 4.0, "orbits": 3.0}
    a, b = np.array([[[1.0, -np.inf]]]), np.array([[[1.5, -np.inf]]])
    assert largest_difference(a, b) == 0.5
    assert largest_difference(a[..., 1:], b[..., 1:]) == 0.0
    assert gap(torch.tensor([-2.0, math.nan, -math.inf])).tolist() == [2.0, 0.0, math.inf]


def frame_result(growth, steps, state=2):
    z = torch.ones(steps, 1, len(growth), state)
    return FrameResult(z[0], torch.empty(0), torch.tensor([growth]), z, torch.zeros(1), torch.empty(0), [])


def test_the_sum_rule_is_the_distance_per_step():
    """Blocks of 2 and 1 steps with determinants 6, 12 and 2 and growths that miss their logarithms by 0.3 in all."""
    inputs = torch.tensor([[2.0, 3.0], [3.0, 4.0], [1.0, 2.0]])[:, None, None].expand(-1, 1, 2, -1)
    blocks = [frame_result([[math.log(72), 0.1]] * 2, 2), frame_result([[math.log(2), 0.2]] * 2, 1)]
    assert sum_rule(Known(1.0, 1.0), blocks, inputs).tolist() == pytest.approx([0.1])
    still = [frame_result([[math.log(36), 0.2]] * 2, 2)]
    assert sum_rule(Known(2.0, 3.0), still, None).tolist() == pytest.approx([0.1])
    off = lambda *a, **k: householder(*a, **k)._replace(growth=torch.full((1, 1, 2), 1.0))  # noqa: E731
    z, V = torch.ones(1, 1, 2), torch.eye(2)[None, None]
    found = sampled_sum_rule(Diagonal(2.0, 3.0), z, None, V, off, 4)
    assert found.tolist() == pytest.approx([(4 * math.log(6) - 2) / 4])
    driven = sampled_sum_rule(Diagonal(1.0, 1.0), z, inputs[:, :, :1], V, householder, 3)
    assert driven.tolist() == pytest.approx([0.0], abs=1e-12)


# Frames


def test_cancellation_is_the_rounding_of_the_worst_vector():
    W = torch.tensor([[[[3.0, 4.0], [0.0, 2.0]]], [[[0.0, 0.0], [6.0, 8.0]]]])
    stretch = torch.tensor([[[math.log(2.5), math.log(2.0)]], [[-math.inf, math.log(5.0)]]])
    assert (cancellation(W, stretch) / torch.finfo(W.dtype).eps).tolist() == pytest.approx([2.0, 2.0])
    zero = torch.zeros(1, 1, 1, 2)
    assert cancellation(zero, torch.full((1, 1, 1), -math.inf)).item() == torch.finfo(zero.dtype).eps
    assert cancellation(zero + torch.inf, torch.full((1, 1, 1), math.inf)).item() == math.inf


def test_sums_along_an_orbit_are_in_double_precision():
    sums = Accumulator(torch.zeros(2, 1, 1, 3, dtype=torch.float32), steps=4)
    sums.before.append(torch.zeros(2, 1, 3))
    for steps, error in ((1, torch.tensor([0.1, 0.4])), (2, None), (1, torch.tensor([0.3, 0.2]))):
        sums.add(torch.full((2, 1, 1), 0.5), steps, error)
    result = sums.result(torch.zeros(2, 1, 3), torch.zeros(2, 1, 1, 3))
    assert (result.growth.dtype, result.error.dtype) == (torch.float64, torch.float64)
    assert result.growth.flatten().tolist() == [1.5, 1.5]
    assert (result.lengths, result.parts[:, 0].flatten().tolist()) == ([1, 2, 0, 1], [0.5, 0.5, 0.0, 0.5])
    assert result.error.tolist() == pytest.approx([0.3, 0.4])
    assert result.before.shape == (1, 2, 1, 3)


def factorised_at(monkeypatch, carry, map, steps, **settings):
    """The steps after which a frame was orthonormalised, and the result."""
    pushed, at = [0], []
    original, push = frames.householder_qr, map.push

    def counted(z, x, V):
        pushed[0] += 1
        return push(z, x, V)

    def noted(V):
        at.append(pushed[0])
        return original(V)

    monkeypatch.setattr(map, "push", counted)
    monkeypatch.setattr(frames, "householder_qr", noted)
    V = torch.eye(map.state)[None, None]
    return at, carry(map, torch.zeros(1, 1, map.state), None, V, steps, **settings)


def test_householder_factorises_every_interval_and_at_the_end(monkeypatch):
    at, result = factorised_at(monkeypatch, householder, Diagonal(2.0, 0.5), 7, interval=3)
    assert at == [3, 6, 7]
    assert result.growth.flatten().tolist() == pytest.approx([7 * math.log(2), -7 * math.log(2)])
    assert result.error.item() == pytest.approx(torch.finfo(torch.float64).eps)
    assert len(result.before) == 7


def test_adaptive_intervals_double_up_to_their_limit(monkeypatch):
    at, result = factorised_at(monkeypatch, adaptive, Diagonal(1.0, -1.0), 200)
    assert np.diff([0, *at]).tolist() == [1, 2, 4, 8, 16, 32, 64, 64, 9]
    assert result.growth.abs().max() < 1e-12
    assert len(result.before) == 200


def test_adaptive_intervals_are_halved_where_digits_are_lost(monkeypatch):
    """A frame turned by 45 degrees whose directions part by 8 nats a step: 10.8 nats fit into the tolerance."""
    map = Diagonal(math.exp(4.0), math.exp(-4.0))
    turned = torch.tensor([[1.0, 1.0], [-1.0, 1.0]]) / math.sqrt(2)
    result = adaptive(map, torch.zeros(1, 1, 2), None, turned[None, None], 9)
    assert result.growth.flatten().tolist() == pytest.approx([36 - math.log(2) / 2, -36 + math.log(2) / 2], abs=1e-6)
    assert result.error.item() <= torch.finfo(torch.float64).eps ** 0.7
    assert len(result.before) == 9


def test_tangents_grow_by_their_factors():
    map, z = Diagonal(2.0, 0.5), torch.zeros(1, 2, 2)
    np.testing.assert_allclose(tangent_growth(map, z, [1, 3]), [[math.log(2), 3 * math.log(2)]])
    x = torch.tensor([2.0, 3.0, 5.0])[:, None, None, None].expand(-1, 1, 2, 2)
    np.testing.assert_allclose(tangent_growth(map, z, [1, 3], x), [[math.log(2), math.log(30)]])


# Lyapunov spectra


@pytest.mark.parametrize(
    ("shape", "state", "k", "method"),
    [
        ((1, 2), 47, 47, "adaptive"),
        ((1, 2), 48, 48, "lu"),
        ((2, 1), 48, 47, "adaptive"),
        ((1, 1), 15, 15, "adaptive"),
        ((1, 1), 16, 16, "lu"),
        ((2, 1), 47, 47, "adaptive"),
    ],
)
def test_the_fastest_method_is_chosen(shape, state, k, method):
    assert choose_method(Diagonal(*[1.0] * state), torch.zeros(*shape, state), k) == method


def test_means_and_errors_are_weighted_by_the_length_of_blocks():
    rates = np.array([[[[1.0, 5.0]], [[2.0, 5.0]]], [[[4.0, -np.inf]], [[8.0, 5.0]]]]).transpose(0, 2, 1, 3)
    run = Run(rates, np.array([3, 1]), rates[:1], np.array([1]), [{"resolution": 0.5}], np.zeros((1, 2), bool))
    map = Diagonal(1.0, 1.0, 1.0)
    map.dt = 0.1
    s = to_spectrum(run, 0, map, "system", 2, {"method": "qr"})
    assert s.exponents.tolist() == [(3 * 1.5 + 6) / 4, -np.inf]
    assert np.isnan(s.stderr).all()  # of two orbits and one part
    assert (s.steps, s.orbits, s.state, s.dt, s.rank_losses) == (4, 2, 3, 0.1, 1)
    assert s.checks == {"resolution": 0.5, "halves": math.inf, "orbits": math.inf, "zero": 2.625}
    assert "zero" not in to_spectrum(run, 0, map, "driven", 2, {}).checks
    assert to_spectrum(run, 0, map, "system", 1, {}).steps == 8  # two segments of one orbit
    one = np.array([[[[1.0, 2.0]]]])
    ordered = Run(one, np.array([5]), one, np.array([5]), [{}], np.zeros((1, 1), bool))
    alone = to_spectrum(ordered, 0, map, "system", 1, {})
    assert alone.exponents.tolist() == [2.0, 1.0]
    assert np.isnan(alone.stderr).all()


def test_arguments_at_their_limits_are_allowed():
    map, z = Known(2.0, 0.5), torch.zeros(1, 1, 2)
    x = torch.full((4, 1, 1, 2), 2.0)
    for k in (1, 2):
        (s,) = lyapunov_spectra(map, z, x, steps=3, warmup=1, k=k)
        np.testing.assert_allclose(s.exponents, math.log(2))
        assert (s.steps, len(s.exponents)) == (3, k)
    assert lyapunov_spectra(map, z, steps=3, segments=3)[0].settings["segments"] == 3
    assert lyapunov_spectra(map, z, steps=3, method="qr", interval=2)[0].settings["interval"] == 2
    for settings in ({"interval": 0, "method": "qr"}, {"interval": 2}, {"segments": 0}, {"segments": 4}, {"k": 0}):
        with pytest.raises(ValueError, match=r"outside|not possible"):
            lyapunov_spectra(map, z, steps=3, **settings)
    with pytest.raises(ValueError, match="fewer than warmup"):
        lyapunov_spectra(map, z, x, steps=4, warmup=1)


def test_settings_and_checks_of_a_run():
    (s,) = lyapunov_spectra(Known(2.0, 0.5), torch.zeros(1, 2, 2), steps=25, warmup=3, seed=4)
    expected = {"warmup": 3, "seed": 4, "method": "adaptive", "segments": 1, "dtype": "float64"}
    assert s.settings == expected
    assert sorted(s.checks) == ["halves", "orbits", "resolution", "sum_rule"]
    assert s.checks["sum_rule"] < 1e-12
    assert sorted(lyapunov_spectra(Diagonal(2.0, 0.5), torch.zeros(1, 1, 2), steps=25, k=1)[0].checks) == [
        "halves",
        "resolution",
    ]
    assert lyapunov_spectra(Diagonal(2.0, 0.5), torch.zeros(1, 1, 2), steps=2)[0].checks["sum_rule"] < 1e-12


def test_members_share_a_random_frame():
    z = torch.zeros(2, 3, 4)
    frame = random_frame(z, 2, seed=1)
    assert frame.shape == (2, 3, 2, 4)
    assert torch.equal(frame[0], frame[1])
    assert not torch.equal(frame[0, 0], frame[0, 1])
    assert not torch.equal(frame, random_frame(z, 2, seed=2))
    torch.testing.assert_close(frame @ frame.mT, torch.eye(2).expand(2, 3, -1, -1))


def test_the_mean_exponent_takes_every_step(monkeypatch):
    x = torch.tensor([[2.0, 3.0], [3.0, 4.0], [1.0, 2.0]])[:, None, None]
    expected = math.log(6 * 12 * 2) / 3 / 2
    assert mean_exponent(Diagonal(1.0, 1.0), torch.ones(1, 1, 2), x, steps=3).tolist() == pytest.approx([expected])
    large = Known(*[2.0] * 600)  # three Jacobians fit into 2**20 entries: two chunks
    assert mean_exponent(large, torch.ones(1, 1, 600), steps=5).tolist() == pytest.approx([math.log(2)])
    map = Diagonal(*[2.0] * 600)
    mean_exponent(map, torch.ones(1, 1, 600), steps=5)
    assert map.batches == [2, 2, 1]


def test_lu_forms_jacobians_in_chunks(monkeypatch):
    """Two orbits of 3 x 3: 18 entries a step."""
    z, V = torch.ones(1, 2, 3), torch.eye(3).expand(1, 2, 3, 3).contiguous()
    for entries, minimum, batches in ((72, 0, [8, 6]), (0, 4, [4, 4, 4, 2]), (10**6, 0, [14]), (0, 0, [2] * 7)):
        monkeypatch.setattr(jacobians, "CHUNK_ENTRIES", entries)
        monkeypatch.setattr(jacobians, "COMPILED_ENTRIES", entries)
        monkeypatch.setattr(jacobians, "MIN_JACOBIANS", minimum)
        map = Diagonal(2.0, 3.0, 0.5)
        result = lu.lu(map, z, None, V, 7)
        assert map.batches == batches
        assert result.growth.tolist() == pytest.approx(7 * torch.tensor([2.0, 3.0, 0.5]).log().expand(1, 2, 3).numpy())
        assert (len(result.before), result.z[0, 0, 0].item()) == (7, 128.0)
        assert result.error.item() < 1e-15


def test_factors_estimate_their_rounding_as_pivot_does():
    W = torch.randn(1, 1, 130, 130, generator=torch.Generator().manual_seed(0))
    factors = lu_frames.ScipyFrame(W[0, 0].numpy(), 0, 0, 1)
    size = factors.begin(np.eye(130))
    Y, logs, error = pivoting.pivot(W)
    np.testing.assert_allclose(size, logs[0, 0].exp().numpy(), rtol=1e-12)
    assert factors.error() == pytest.approx(error.item(), rel=1e-6)
    Q = np.empty((130, 130))
    factors.orthonormal(Q)
    np.testing.assert_allclose(Q @ Q.T, np.eye(130), atol=1e-12)
    span = np.linalg.qr(Y[0, 0, :3].numpy().T)[0]
    np.testing.assert_allclose(np.linalg.svd(span.T @ Q[:3].T)[1], 1, atol=1e-12)


def test_a_pivot_that_is_rounding_is_zero():
    singular = torch.tensor([[[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]]]])
    _, logs, error = pivoting.pivot(singular)
    assert logs[0, 0, 2] == -math.inf
    assert 0 < error.item() < 1e-14
    factors = lu_frames.ScipyFrame(singular[0, 0].numpy().astype(float), 0, 0, 1)
    size = factors.begin(np.eye(3))
    assert size[2] == 0.0
    assert size[:2] == pytest.approx(logs[0, 0, :2].exp().numpy())
    diagonal = torch.tensor([[[[2.0, 0.0], [0.0, 1e-200]]]])
    assert pivoting.pivot(diagonal)[1].flatten().tolist() == pytest.approx([math.log(2), math.log(1e-200)])
    eps = torch.finfo(torch.float64).eps
    assert pivoting.pivot(torch.tensor([[[[2.0, 1.0], [1.0, 4.0]]]]))[2].item() == pytest.approx(eps * 4.5 / 3.5)


# Fixed points


def test_escaped_states_are_masked():
    z = torch.tensor([[[3.0, 4.0], [6.0, 8.0], [9.0, 12.0], [1e5, 0.0], [9.9e3, 0.0], [math.inf, 0.0]]])
    masked = mask_escaped(z)[0]
    assert masked.isnan().any(dim=-1).tolist() == [False, False, False, True, False, True]
    small = mask_escaped(torch.tensor([[[1e-9], [1e-9], [1000.0], [1001.0]]]))
    assert small.isnan().flatten().tolist() == [False, False, False, True]


def test_the_extent_of_visited_states():
    z = torch.tensor([[[0.0, 1.0], [2.0, 5.0], [math.nan, 7.0]]])
    centre, spread = extent(z)
    assert centre.tolist() == [[[1.0, 3.0]]]
    assert spread.item() == pytest.approx(math.sqrt((1 + 4 + 1 + 4) / 4))
    assert extent(torch.ones(1, 3, 2))[1].item() == 1.0


def test_candidates_are_drawn_without_replacement_unless_there_is_noise():
    z, spread = torch.arange(5.0).view(1, 5, 1), torch.full((1, 1, 1), 2.0)
    assert sorted(draw_candidates(z, spread, Search(candidates=9)).flatten().tolist()) == [0, 1, 2, 3, 4]
    assert draw_candidates(z, spread, Search(candidates=3)).shape == (1, 3, 1)
    generator = torch.Generator().manual_seed(7)
    order, noise = torch.randperm(5, generator=generator), torch.randn(7, 1, generator=generator, dtype=torch.float64)
    expected = z[0, order.repeat(2)[:7]] + 0.5 * 2.0 * noise
    torch.testing.assert_close(draw_candidates(z, spread, Search(candidates=7, noise=0.5, seed=7))[0], expected)


def test_of_states_within_a_radius_the_slowest_is_kept():
    z, q = torch.tensor([[0.0], [1.0], [1.9], [5.0]]), torch.tensor([3.0, 2.0, 1.0, 0.5])
    chosen = torch.tensor([True, True, True, False])
    kept, slowness = distinct(z, q, chosen, 1.0)
    assert (kept.flatten().tolist(), slowness.tolist()) == ([1.9, 0.0], [1.0, 3.0])
    assert distinct(z[:2], q[:2], chosen[:2], 1.0)[0].flatten().tolist() == [1.0]  # at the radius they are one
    assert len(distinct(z, q, chosen, 0.5)[0]) == 3


def test_states_are_classified_as_fixed_slow_near_and_far():
    visited = torch.tensor([[-1.0], [1.0]])
    search = Search(reach=10.0, near=0.1, slow=1e-8, tolerance=1e-20)
    z, q = torch.tensor([[0.0], [10.0], [10.5]]), torch.tensor([1e-21, 1e-21, 1e-21])
    slow_z = torch.tensor([[0.05], [0.1], [0.2], [5.0], [11.0], [6.0]])
    slow_q = torch.tensor([1e-9, 1e-9, 1e-8, 2e-8, 1e-9, 1e-32])
    found = classify(search, visited, torch.zeros(1, 1), torch.ones(1, 1), z, q, slow_z, slow_q)
    assert found.fixed[0].flatten().tolist() == [0.0, 10.0]
    assert found.far == 1
    assert found.slow[0].flatten().tolist() == [0.2]
    assert found.slow[1].tolist() == [1e-8]
    one = classify(search, torch.zeros(2, 1), torch.zeros(1, 1), torch.ones(1, 1), z, q, slow_z, slow_q)
    assert one.far == 0


def test_a_state_counts_as_fixed_up_to_the_rounding_of_its_size():
    eps = torch.finfo(torch.float64).eps
    z = torch.tensor([[0.1, 0.0], [3.0, 4.0]])
    expected = [0.5 * (16 * eps) ** 2, 0.5 * (16 * eps * 5) ** 2]
    assert fixed_threshold(z, Search(tolerance=1e-40)).tolist() == pytest.approx(expected, rel=1e-12)
    assert fixed_threshold(z, Search(tolerance=1e-20)).tolist() == [1e-20, 1e-20]


def test_the_first_slow_state_is_kept():
    first = FirstSlow(torch.zeros(1, 3, 1), 1.0)
    for value, q in ((1.0, [2.0, 1.0, 0.5]), (2.0, [1.0, 0.1, 0.1])):
        first.update(torch.full((1, 3, 1), value), torch.tensor([q]))
    assert first.z.flatten().tolist() == [2.0, 1.0, 1.0]
    assert first.q.flatten().tolist() == [1.0, 1.0, 0.5]


def test_descent_is_adam_with_a_geometric_rate():
    """q = |f(z) - z|^2 / 2 with f(z) = z + A z, minimised by torch's Adam, each candidate at its own rate."""
    A = torch.tensor([[1.0, 0.5], [0.0, 2.0]])
    map = Custom(lambda z: z + z @ A.mT, 2)
    start = torch.tensor([[[3.0, -4.0], [5.0, 2.0], [30.0, 40.0]]])
    search, spread, steps = Search(adam=25, rate=0.01, fastest=0.04), torch.full((1, 1, 1), 3.0), []
    told = lambda *stage: steps.append(stage)  # noqa: E731
    best, least = descend(map, start, None, spread, search, FirstSlow(start, 0.0), told)
    for c, rate in enumerate((0.01, 0.02, 0.04)):
        z = start[0, c].clone().requires_grad_()
        optimizer, lowest = torch.optim.Adam([z], lr=1.0, eps=1e-12), math.inf
        for t in range(26):
            q = 0.5 * (A @ z).square().sum()
            if q.item() < lowest:
                lowest, kept = q.item(), z.detach().clone()
            optimizer.param_groups[0]["lr"] = 3.0 * rate * 1e-4 ** (t / 25)
            optimizer.zero_grad()
            q.backward()
            optimizer.step()
        torch.testing.assert_close(best[0, c], kept, rtol=1e-9, atol=1e-12)
        assert least[0, c].item() == pytest.approx(lowest, rel=1e-9)
    assert steps == [("adam", t, 25) for t in range(26)]


def test_descent_ends_where_all_candidates_are_slow_enough():
    steps, z = [], torch.tensor([[[1.0], [2.0]]])
    told = lambda *stage: steps.append(stage)  # noqa: E731
    search = Search(tolerance=2.0)  # q = 0.5 and 2
    descend(Custom(lambda z: 2 * z, 1), z, None, torch.ones(1, 1, 1), search, FirstSlow(z, 0.0), told)
    assert steps == [("adam", 0, 300)]


@pytest.mark.parametrize("damping", [0.0, 0.3])
def test_a_newton_step_is_the_damped_least_squares_step(damping, monkeypatch):
    A = torch.tensor([[1.0, 0.5], [0.2, 2.0]])
    map = Custom(lambda z: z + z @ A.mT - 1, 2)
    z = torch.tensor([[[3.0, -4.0], [5.0, 2.0]]])
    step = newton_step(map, z, None, torch.full((1, 2), damping))
    mu = damping * A.square().sum()
    for c in range(2):
        right = A.mT @ (A @ z[0, c] - 1)
        torch.testing.assert_close(step[0, c], -torch.linalg.solve(A.mT @ A + mu * torch.eye(2), right))
    monkeypatch.setattr(newton, "MAX_ENTRIES", 1)
    torch.testing.assert_close(newton_step(map, z, None, torch.full((1, 2), damping)), step)


def test_rows_are_split_by_the_memory_of_their_jacobians(monkeypatch):
    monkeypatch.setattr(newton, "MAX_ENTRIES", 13)
    assert [len(part[0]) for part in row_chunks(Diagonal(1.0, 1.0), torch.zeros(1, 7, 2))] == [3, 3, 1]
    monkeypatch.setattr(newton, "MAX_ENTRIES", 1)
    assert [len(part[0]) for part in row_chunks(Diagonal(1.0, 1.0), torch.zeros(1, 2, 2))] == [1, 1]


def test_newton_takes_no_step_that_makes_a_candidate_faster():
    """f(z) - z = z^2 + 1 has no zero: the slowest state is 0, and damping grows until no step is left to take."""
    z, told = torch.tensor([[[0.7], [math.nan]]]), []
    q = 0.5 * (z[..., 0].square() + 1).square()
    search = Search(newton=60)
    after, least = refine(
        Custom(lambda z: z + z**2 + 1, 1), z, q, None, search, FirstSlow(z, 0.0), lambda *s: told.append(s)
    )
    assert (least <= q)[0, 0]
    assert abs(after[0, 0, 0].item()) < 0.05
    assert least[0, 0].item() == pytest.approx(0.5, abs=2e-3)
    assert after[0, 1].isnan().all()
    assert told[0] == ("newton", 0, 60)


@pytest.mark.parametrize(
    ("setting", "word"),
    [
        ({"adam": -1}, "adam >= 0"),
        ({"newton": -1}, "newton >= 0"),
        ({"radius": -1.0}, "radius >= 0"),
        ({"near": -1.0}, "near >= 0"),
        ({"slow": 0.0}, "slow > 0"),
        ({"slow": math.inf}, "slow must be finite"),
        ({"noise": math.nan}, "noise >= 0 must hold, but got nan"),
        ({"reach": 0.0}, "reach > 0"),
        ({"rate": 0.0}, "rate > 0"),
        ({"rate": 2.0}, "rate=2.0 is above"),
        ({"fastest": math.inf}, "fastest"),
    ],
)
def test_a_search_refuses_settings_out_of_range(setting, word):
    with pytest.raises(ValueError, match=word):
        Search(**setting)


def test_a_search_allows_its_limits():
    Search(candidates=1, noise=0.0, adam=0, newton=0, radius=0.0, near=0.0, rate=1.0, fastest=1.0)


# Linearisation and line attractors


def points(*eigenvalues, dt=None):
    J = np.stack([np.diag(e) for e in eigenvalues])
    return Points(np.arange(J.shape[0] * J.shape[1], dtype=float).reshape(J.shape[:2]), np.full(len(J), 0.5), J, dt)


def test_numbers_read_off_the_eigenvalues():
    p = points([0.5, -2.0], [1.0, 1 + 2e-6], dt=0.5)
    assert len(p) == 2
    assert p.speed.tolist() == [1.0, 1.0]
    assert p.eigenvalues[0].real.tolist() == [-2.0, 0.5]
    assert (p.unstable.tolist(), p.marginal.tolist(), p.kinds) == ([1, 1], [0, 1], ("saddle", "saddle"))
    np.testing.assert_allclose(p.rates[0], [math.log(2), -math.log(2)])
    np.testing.assert_allclose(p.time_constants_in_time[0], 0.5 / math.log(2))
    np.testing.assert_allclose(p.frequencies[0], [0.5, 0.0])
    np.testing.assert_allclose(p.frequencies_in_time[0], [1.0, 0.0])
    assert points([0.5, 0.9, -1.2]).slowest.tolist() == [2 - 1]
    assert points([0.5, 1.0]).kinds == ("marginal",)
    assert points([3.0, 2.0]).kinds == ("repeller",)
    edge = points([1 + MARGIN, 0.1])
    assert (edge.unstable.tolist(), edge.marginal.tolist()) == ([0], [1]) or abs(1 + MARGIN - 1) > MARGIN


def test_scores_of_a_made_up_line():
    z = np.array([[-1.0, 0.1], [0.0, -0.2], [1.0, 0.1]])
    p = Points(z, np.zeros(3), np.tile(np.diag([0.9, 0.5]), (3, 1, 1)))
    e = np.array([2.0, 0.06])
    scores = line_scores(p, np.array([[3.0, 4.0]]))
    assert scores.points == 3
    assert scores.participation_ratio == pytest.approx(e.sum() ** 2 / (e**2).sum())
    assert scores.first_share == pytest.approx(2.0 / 2.06)
    assert scores.along_slow == pytest.approx(1.0)
    assert (scores.along_readout, scores.slow_along_readout) == pytest.approx((0.6, 0.6))
    assert (scores.rate, scores.second) == pytest.approx((math.log(0.9), math.log(0.5)))
    assert scores.gap == pytest.approx(math.log(2) - math.log(1 / 0.9))
    assert scores.time_constant == pytest.approx(-1 / math.log(0.9))
    still = line_scores(Points(z[:, :1], np.zeros(3), np.ones((3, 1, 1))))
    assert (still.rate, still.time_constant) == (0.0, math.inf)
    assert np.isnan([still.second, still.gap, still.along_readout]).all()
    assert np.isnan(principal(np.ones((4, 3)))[0])
    assert orthonormal(np.array([[1.0, 2.0], [0.0, 0.0], [0.0, 0.0]])).shape == (3, 1)


def test_rounding_of_a_large_state_raises_the_threshold_of_fixed_points():
    """q = (ROUNDING eps max(|z|, 1))^2 / 2, at least the tolerance."""
    from lyapsweep.dynamics import Search, newton

    z = torch.tensor([[[3e6, 4e6], [0.1, 0.0]]], dtype=torch.float64)
    q = newton.fixed_threshold(z, Search(tolerance=1e-40))
    eps = torch.finfo(torch.float64).eps
    expected = [0.5 * (newton.ROUNDING * eps * size) ** 2 for size in (5e6, 1.0)]
    torch.testing.assert_close(q, torch.tensor([expected], dtype=torch.float64), rtol=1e-12, atol=0.0)
