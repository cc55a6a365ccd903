"""NeuroView: the known answers of its algebra, and what it does to gradients that vanish."""

import numpy as np
import pytest
import torch

from lyapsweep.cells import CELLS
from lyapsweep.cells.unrolled import drive
from lyapsweep.dynamics import lyapunov_spectra
from lyapsweep.inits import INITS
from lyapsweep.readouts import Affine, Neuroview
from lyapsweep.readouts.neuroview import spread
from lyapsweep.rollout import Network, across_time, driven

T, UNITS, CLASSES, POPULATION = 12, 5, 3, 2


def neuroview(units=UNITS, state=UNITS, steps=T, population=POPULATION, features=CLASSES):
    readout = Neuroview(features, units, state, population, steps)
    readout.build([torch.Generator().manual_seed(s) for s in range(population)])
    return readout


def states(batch=4):
    return torch.randn(T, POPULATION, batch, UNITS, generator=torch.Generator().manual_seed(9))


def concatenated(h):
    return h.movedim(0, 2).flatten(2)


def test_attributions_sum_to_the_logit():
    readout, h = neuroview(), states()
    s = readout.attribution(h)
    assert s.shape == (POPULATION, 4, CLASSES, T, UNITS)
    torch.testing.assert_close(readout(concatenated(h)), readout.b[:, None] + s.sum(dim=(-2, -1)), atol=1e-12, rtol=0)
    by_hand = (readout.V[1, 2, 7] * h[7, 1, 3]).detach()
    torch.testing.assert_close(s[1, 3, 2, 7], by_hand, atol=1e-15, rtol=0)


def test_with_the_last_step_alone_it_is_the_ordinary_head():
    readout, h = neuroview(), states()
    head = Affine(CLASSES, UNITS, UNITS, POPULATION)
    head.build([torch.Generator().manual_seed(s) for s in range(POPULATION)])
    with torch.no_grad():
        readout.V.zero_()[:, :, -1] = head.B
        readout.b.copy_(head.b)
    torch.testing.assert_close(readout(concatenated(h)), head(h[-1]), atol=1e-14, rtol=0)


def test_the_norm_splits_over_steps():
    V = neuroview().V.detach()
    torch.testing.assert_close(V.norm() ** 2, sum(V[:, :, t].norm() ** 2 for t in range(T)), rtol=1e-12, atol=0)


def test_importance_is_a_share_of_the_weights_and_spread_one_of_what_varies():
    readout = neuroview()
    torch.testing.assert_close(readout.importance.sum(dim=-1), torch.ones(POPULATION, CLASSES))
    h = states().clone()
    h[4] = 1.0  # a step that is the same in every sequence tells nothing, whatever its weight
    assert (spread(readout.attribution(h))[..., 4].abs() < 1e-12).all()
    step = (readout.V[0, 1, 6] * h[6, 0]).sum(dim=-1)
    torch.testing.assert_close(spread(readout.attribution(h))[0, 1, 6], step.std())


def contracting(gain: float, units=32, steps=60):
    """A tanh network without bias whose Jacobian at rest has spectral radius near `gain`, driven weakly."""
    cell = CELLS["vanilla"](inputs=1, population=1, units=units)
    cell.build([(lambda r, c, g: INITS["orthogonal"](r, c, g) * gain, torch.Generator().manual_seed(0))])
    with torch.no_grad():
        cell.b.zero_()
    x = 0.3 * torch.randn(steps, 1, 1, 1, generator=torch.Generator().manual_seed(1))
    return cell, x


def gradient_at_the_start(cell, readout, x) -> float:
    z = torch.zeros(1, 1, cell.state, requires_grad=True)
    h = drive(cell, z, x)
    answer = readout(concatenated(h)) if readout.whole else readout(h[-1])
    return float(torch.autograd.grad(answer[..., 0].sum(), z)[0].norm())


def test_a_contracting_network_speaks_to_the_answer_all_the_same():
    """Exponent -0.70, 60 steps: through the last step the gradient vanishes as exp(-42), through all steps it lives."""
    cell, x = contracting(gain=np.exp(-0.68))
    with torch.no_grad():
        exponent = lyapunov_spectra(cell, torch.zeros(1, 1, 32), x, steps=50, warmup=10)[0].maximum
    assert exponent == pytest.approx(-0.70, abs=0.04)
    last = Affine(1, 32, 32, 1)
    last.build([torch.Generator().manual_seed(0)])
    vanished = gradient_at_the_start(cell, last, x)
    assert abs(np.log(vanished) - 60 * exponent) < np.log(10)
    assert gradient_at_the_start(cell, neuroview(32, 32, 60, 1, 1), x) > 1e15 * vanished


def test_an_expanding_network_makes_both_gradients_explode():
    """Exponent +0.11, 60 steps: a factor of hundreds or more through the last step, and no less through all."""
    cell, x = contracting(gain=np.exp(0.6))
    with torch.no_grad():
        exponent = lyapunov_spectra(cell, torch.zeros(1, 1, 32), x, steps=50, warmup=10)[0].maximum
    last = Affine(1, 32, 32, 1)
    last.build([torch.Generator().manual_seed(0)])
    through_last = gradient_at_the_start(cell, last, x)
    through_all = gradient_at_the_start(cell, neuroview(32, 32, 60, 1, 1), x)
    assert exponent == pytest.approx(0.11, abs=0.01)
    assert abs(np.log(through_last) - 60 * exponent) < np.log(100)
    assert 0.1 < through_all / through_last < 10


def test_what_happened_at_step_17_is_found_there():
    """A frozen contracting network, labels set by the input of step 17, ridge on all states: V is largest there."""
    steps, generator = 30, torch.Generator().manual_seed(3)
    cell, _ = contracting(gain=0.4, units=16)
    x = torch.randn(steps, 1, 2000, 1, generator=generator)
    with torch.no_grad():
        h = cell.orbit(torch.zeros(1, 2000, 16), x, steps)
    H, label = concatenated(h)[0], x[17, 0, :, 0].sign()
    H = H - H.mean(dim=0)
    V = torch.linalg.solve(H.T @ H + torch.eye(H.shape[1]), H.T @ label)
    readout = neuroview(16, 16, steps, 1, 1)
    with torch.no_grad():
        readout.V.copy_(V.view(1, 1, steps, 16))
    assert int(readout.importance[0, 0].argmax()) == 17
    assert int(spread(readout.attribution(h))[0, 0].argmax()) == 17


def test_a_driven_network_reads_visible_states_of_all_steps():
    cell = CELLS["lstm"](inputs=2, population=POPULATION, units=UNITS)
    generators = [torch.Generator().manual_seed(s) for s in range(POPULATION)]
    cell.build([(INITS["uniform"], g) for g in generators])
    network = Network(cell, neuroview(state=2 * UNITS))
    x = torch.randn(T, POPULATION, 4, 2, generator=generators[0])
    h = cell.orbit(torch.zeros(POPULATION, 4, 2 * UNITS), x, T)[..., :UNITS]
    wanted = network.readout.b[:, None] + torch.einsum("pctn,tpbn->pbc", network.readout.V, h)
    torch.testing.assert_close(driven(network, x, "last"), wanted, atol=1e-12, rtol=0)


def test_there_is_no_way_back():
    with pytest.raises(ValueError, match="has no inverse"):
        neuroview().back(torch.zeros(POPULATION, 4, CLASSES))


def test_affine_back_is_observed_as_what_it_came_from():
    readout = Affine(2, UNITS, 2 * UNITS, POPULATION)
    readout.build([torch.Generator().manual_seed(s) for s in range(POPULATION)])
    x = torch.randn(3, POPULATION, 4, 2, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(across_time(readout, across_time(readout.back, x)), x, atol=1e-12, rtol=0)
