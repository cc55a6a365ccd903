"""Flossing moves the leading exponents to their target, each member alone, and says where it cannot."""

import numpy as np
import pytest
import torch

from lyapsweep.cells import CELLS
from lyapsweep.config import Config, ConfigError
from lyapsweep.dynamics import lyapunov_spectra
from lyapsweep.flossing import Flossing, floss, short
from lyapsweep.inits import gaussian
from lyapsweep.trial import network_spectrum, run_trials

QUICK = {"exponents": 4, "steps": 60, "length": 25, "lr": 1e-2}


def drawn(kind="vanilla", units=12, gain=0.6, seeds=(0,), **knobs):
    cell = CELLS[kind](inputs=0, population=len(seeds), units=units, **knobs)
    draw = lambda r, c, g: gaussian(r, c, g, gain=gain)  # noqa: E731
    cell.build([(draw, torch.Generator().manual_seed(s)) for s in seeds])
    return cell


def leading(cell, k=4):
    z = torch.randn(cell.population, 3, cell.state, generator=torch.Generator().manual_seed(9))
    return np.array([s.exponents for s in lyapunov_spectra(cell, z, steps=200, warmup=100, k=k)])


@pytest.mark.parametrize(("kind", "target"), [("vanilla", 0.0), ("vanilla", -0.1), ("lstm", 0.0), ("gru", -0.1)])
def test_leading_exponents_move_to_the_target(kind, target):
    """Measured on orbits of their own, longer than those that they were moved on."""
    cell = drawn(kind)
    before = leading(cell)
    losses = floss(cell, [Flossing(**QUICK, target=target)])
    after = leading(cell)
    assert np.abs(before - target).mean() > 0.15
    assert np.abs(after - target).mean() < 0.06
    assert losses.shape == (60, 1)
    assert losses[-5:].mean() < 0.05 * losses[0]


def test_sixteen_exponents_of_eighty_units():
    """The published setting in small: within fifty updates the loss falls a hundredfold."""
    losses = floss(drawn(units=80, gain=1.0), [Flossing(exponents=16, steps=50)])
    assert losses[-5:].mean() < 0.02 * losses[0].item()


def test_the_gradient_is_that_of_the_exponents():
    """Through the QR of every step, against central differences in a single weight."""
    cell, plan = drawn("lstm", units=5), Flossing(**QUICK)
    exponents = lambda: short(cell, plan, torch.Generator().manual_seed(3))[0].sum()  # noqa: E731
    (gradient,) = torch.autograd.grad(exponents(), cell.W)
    for place in ((0, 1, 2), (0, 7, 0), (0, 19, 4)):
        with torch.no_grad():
            cell.W[place] += 1e-5
            above = exponents().item()
            cell.W[place] -= 2e-5
            below = exponents().item()
            cell.W[place] += 1e-5
        assert gradient[place].item() == pytest.approx((above - below) / 2e-5, rel=1e-5, abs=1e-8)


def test_a_member_alone_is_the_member_in_its_pack():
    plans = [Flossing(**QUICK), Flossing(**{**QUICK, "lr": 3e-3}, target=-0.2), Flossing(**QUICK, clip=0.1)]
    pack = drawn(seeds=(0, 1, 2))
    together = floss(pack, plans)
    for p, plan in enumerate(plans):
        alone = drawn(seeds=(p,))
        torch.testing.assert_close(floss(alone, [plan])[:, 0], together[:, p], atol=1e-9, rtol=1e-7)
        for mine, theirs in zip(alone.parameters(), pack.parameters()):
            torch.testing.assert_close(mine[0], theirs[p], atol=1e-8, rtol=0)


def test_a_member_that_explodes_stays_as_it_was_and_its_neighbour_does_not_notice():
    wild = drawn("plrnn", seeds=(0, 1))
    wild.A.data[0] = 1e200
    before = wild.A.data[0].clone()
    floss(wild, [Flossing(**QUICK)] * 2)
    assert torch.equal(wild.A.data[0], before)
    tame = drawn("plrnn", seeds=(1,))
    floss(tame, [Flossing(**QUICK)])
    torch.testing.assert_close(wild.W.data[1], tame.W.data[0], atol=1e-9, rtol=0)


def test_without_exponents_nothing_moves():
    cell = drawn()
    before = [w.clone() for w in cell.parameters()]
    assert floss(cell, [Flossing()]).shape == (0, 1)
    assert all(torch.equal(w, b) for w, b in zip(cell.parameters(), before))


def test_single_precision_weights_are_moved_in_double():
    single, double = drawn().float(), drawn()
    floss(single, [Flossing(**QUICK)])
    floss(double, [Flossing(**QUICK)])
    assert single.W.dtype == torch.float32
    torch.testing.assert_close(single.W.double(), double.W.data, atol=1e-4, rtol=0)


def test_more_exponents_than_the_rank_are_refused():
    cell = drawn(seeds=(0, 1))
    cell.W.data[1, 3:] = 0.0
    with pytest.raises(ValueError, match=r"flossing/exponents <= 3 must hold, the rank .* member 1, but got 4"):
        floss(cell, [Flossing(**QUICK)] * 2)
    with pytest.raises(ValueError, match="flossing/exponents <= 12"):
        floss(cell, [Flossing(exponents=13)] * 2)


TINY = {
    "dataset": {"kind": "simulated", "system": "lorenz63", "length": 600},
    "cell": {"kind": "vanilla", "units": 8},
    "init": {"kind": "gaussian", "gain": 0.4},
    "windows": {"length": 20, "batch": 4},
    "training": {"steps": 1},
    "lyapunov": {"steps": 100, "warmup": 50, "orbits": 2},
    "measures": ["loss"],
    "flossing": QUICK,
}


def test_a_trial_starts_flossed():
    flossed = Config.of(TINY)
    plain, slow = flossed.changed({"flossing/exponents": 0}), flossed.changed({"flossing/lr": 1e-4})
    assert flossed.shape == slow.shape != plain.shape
    first, *_ = run_trials([flossed, slow])
    mine, other = (r.spectra["closed loop"].exponents for r in first)
    assert np.abs(mine[:4]).mean() < 0.1 < 0.5 < np.abs(other[:4]).mean()
    np.testing.assert_allclose(network_spectrum(flossed).exponents, mine, atol=1e-6)
    assert network_spectrum(plain).exponents[3] < -0.5


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"exponents": 9}, "flossing/exponents <= 8 .* but got 9"),
        ({"exponents": -1}, "flossing/exponents must be an integer >= 0"),
        ({"length": 1}, "flossing/length must be an integer >= 2"),
        ({"lr": 0.0}, "flossing/lr must be a finite number > 0"),
        ({"exponent": 3}, "flossing/exponent is not known.*flossing/exponents"),
        ({"steps": 1.5}, "flossing/steps must be int"),
    ],
)
def test_settings_that_cannot_be(settings, message):
    with pytest.raises(ConfigError, match=message):
        Config.of(TINY | {"flossing": settings})
