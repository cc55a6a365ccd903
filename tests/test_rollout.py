"""Forced training as segments equals the step-by-step definition: predictions, loss and gradient."""

import pytest
import torch

from lyapsweep.cells import CELLS
from lyapsweep.forcing import Full, Generalised, NoForcing, Schedule, Sparse, Truncated
from lyapsweep.inits import gaussian
from lyapsweep.readouts import READOUTS
from lyapsweep.rollout import forced, free, segmented, shared_cuts, stepwise

T, POPULATION, BATCH, FEATURES = 23, 3, 4, 2


def network(cell_kind, readout_kind="linear", inputs=0):
    cell = CELLS[cell_kind](inputs=inputs, population=POPULATION, units=5)
    generators = [torch.Generator().manual_seed(s) for s in range(POPULATION)]
    cell.build([(gaussian, g) for g in generators])
    readout = READOUTS[readout_kind](FEATURES, cell.units, cell.state, POPULATION)
    readout.build(generators)
    return cell, readout


def observations():
    return torch.randn(T + 1, POPULATION, BATCH, FEATURES, generator=torch.Generator().manual_seed(5))


def definition(cell, readout, x, a, p, b):
    """One sequence of one member, written as the papers write it."""
    visible = cell.units
    B = readout.B[p]
    inverse = B.mT @ torch.linalg.inv(B @ B.mT)
    predictions = []
    for t in range(T):
        start = torch.cat((inverse @ x[t, p, b], torch.zeros(cell.state - visible)))
        z = start if t == 0 else (1 - a[t]) * z + a[t] * start
        full = torch.zeros(POPULATION, 1, cell.state)
        full[p, 0] = z
        z = cell.step(full)[p, 0]
        predictions.append(B @ z[:visible])
    return torch.stack(predictions)


def slowly(cell, readout, x, a, truncations=None, inputs=None):
    """The whole population by its definition, one step of the cell and of autograd at a time."""
    z, predictions = torch.zeros(POPULATION, BATCH, cell.state), []
    for t in range(len(x) - 1):
        if t and truncations is not None:
            z = torch.where(truncations[t, :, None, None], z.detach(), z)
        pull = a[t, :, None, None] * (readout.mask if t else torch.ones(cell.state))
        z = cell.step((1 - pull) * z + pull * readout.back(x[t]), None if inputs is None else inputs[t])
        predictions.append(readout(z))
    return torch.stack(predictions)


def plan(*forcings):
    """Strengths and truncations of one forcing for all members, or of one each."""
    return Schedule(forcings * (POPULATION if len(forcings) == 1 else 1), T, updates=1).at(0)


def agree(predictions, x, *modules):
    """Two ways to predict agree in every prediction and in every gradient of the loss."""
    got, want = predictions
    torch.testing.assert_close(got, want, atol=1e-12, rtol=1e-9)
    for one, other in zip(*(gradients((p - x[1:]).square().mean(), *modules) for p in predictions)):
        assert (one is None) == (other is None) or not (one if other is None else other).any()
        if one is not None and other is not None:
            torch.testing.assert_close(one, other, atol=1e-11, rtol=1e-8)


def gradients(loss, *modules):
    weights = [w for m in modules for w in m.parameters() if w.numel()]
    return torch.autograd.grad(loss, weights, allow_unused=True, retain_graph=True)


@pytest.mark.parametrize("cell_kind", list(CELLS))
@pytest.mark.parametrize("forcing", [Sparse(interval=1), Sparse(interval=5), Sparse(interval=T), Full(), NoForcing()])
def test_segments_and_steps_are_the_definition(cell_kind, forcing):
    cell, readout = network(cell_kind)
    x, (a, _) = observations(), plan(forcing)
    cuts = shared_cuts(readout, a)
    assert cuts is not None
    slow = slowly(cell, readout, x, a)
    agree((segmented(cell, readout, x, cuts), slow), x, cell, readout)
    agree((stepwise(cell, readout, x, a), slow), x, cell, readout)


@pytest.mark.parametrize("cell_kind", list(CELLS))
@pytest.mark.parametrize("readout_kind", [kind for kind in READOUTS if not READOUTS[kind].whole])
@pytest.mark.parametrize(
    "forcings",
    [
        (Generalised(alpha=0.3),),
        (Sparse(interval=5), Generalised(alpha=0.2), NoForcing()),
        (Truncated(interval=6),),
        (Truncated(interval=6, start="zero"), NoForcing(start="zero"), Sparse(interval=4)),
    ],
)
def test_whatever_is_no_segment_is_the_definition_too(cell_kind, readout_kind, forcings):
    cell, readout = network(cell_kind, readout_kind)
    x, (a, truncations) = observations(), plan(*forcings)
    fast, slow = (f(cell, readout, x, a, truncations) for f in (forced, slowly))
    agree((fast, slow), x, cell, readout)


@pytest.mark.parametrize("cell_kind", list(CELLS))
def test_a_truncated_gradient_is_that_of_windows_begun_at_a_given_state(cell_kind):
    """d loss / d weights of truncation = the sum over pieces that each begin at the same state as at a constant."""
    cell, readout = network(cell_kind)
    x, (a, truncations) = observations(), plan(Truncated(interval=6))
    whole = forced(cell, readout, x, a, truncations)
    got = gradients((whole - x[1:]).square().sum(), cell, readout)
    z, loss = readout.back(x[0]), torch.zeros(())
    for t in range(T):
        z = cell.step(z if t % 6 or not t else z.detach())
        loss = loss + (readout(z) - x[t + 1]).square().sum()
    for one, other in zip(got, gradients(loss, cell, readout)):
        torch.testing.assert_close(one, other, atol=1e-10, rtol=1e-8)
    untruncated = forced(cell, readout, x, a)
    torch.testing.assert_close(whole, untruncated, atol=0, rtol=0)
    through = gradients((untruncated - x[1:]).square().sum(), cell, readout)
    assert any(not torch.allclose(g, h) for g, h in zip(got, through))


def drives(population=POPULATION, dtype=torch.float64):
    return torch.randn(T, population, BATCH, 2, generator=torch.Generator().manual_seed(6), dtype=dtype)


@pytest.mark.parametrize("cell_kind", list(CELLS))
@pytest.mark.parametrize(
    ("readout_kind", "forcings"),
    [
        ("linear", (Sparse(interval=5),)),
        ("linear", (Sparse(interval=1),)),
        ("identity", (Sparse(interval=4),)),
        ("linear", (Sparse(interval=5), Generalised(alpha=0.2), NoForcing())),
        ("linear", (Truncated(interval=6, start="zero"), NoForcing(start="zero"), Sparse(interval=4))),
    ],
)
def test_driven_segments_and_steps_are_the_definition(cell_kind, readout_kind, forcings):
    cell, readout = network(cell_kind, readout_kind, inputs=2)
    x, s, (a, truncations) = observations(), drives(), plan(*forcings)
    slow = slowly(cell, readout, x, a, truncations, s)
    agree((forced(cell, readout, x, a, truncations, s), slow), x, cell, readout)
    agree((stepwise(cell, readout, x, a, truncations, s), slow), x, cell, readout)
    assert not torch.allclose(slow, slowly(cell, readout, x, a, truncations, s.roll(1, dims=0)))


@pytest.mark.parametrize("cell_kind", ["lstm", "gru", "vanilla"])
def test_driven_segments_of_single_precision_are_the_definition(cell_kind):
    """Where a processor has one call for all steps; inputs of one population serve all members."""
    cell, readout = (part.float() for part in network(cell_kind, inputs=2))
    x, s, (a, _) = observations().float(), drives(1, torch.float32), plan(Sparse(interval=5))
    fast, slow = segmented(cell, readout, x, list(range(0, T, 5)), s), stepwise(cell, readout, x, a.float(), None, s)
    torch.testing.assert_close(fast, slow, atol=1e-5, rtol=1e-5)
    for one, other in zip(*(gradients((p - x[1:]).square().mean(), cell, readout) for p in (fast, slow))):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)


def test_a_window_may_start_from_zero():
    cell, readout = network("lstm")
    x, (a, _) = observations(), plan(NoForcing(start="zero"))
    run, _ = free(cell, readout, torch.zeros(POPULATION, BATCH, cell.state), T)
    torch.testing.assert_close(forced(cell, readout, x, a), run, atol=1e-14, rtol=0)
    assert shared_cuts(readout, a) is None


@pytest.mark.parametrize("cell_kind", list(CELLS))
@pytest.mark.parametrize("forcing", [Sparse(interval=4), Generalised(alpha=0.3)])
def test_steps_are_the_papers_definition(cell_kind, forcing):
    cell, readout = network(cell_kind)
    x, a = observations(), forcing.strengths(T).double()
    predicted = forced(cell, readout, x, a[:, None].expand(-1, POPULATION))
    for p, b in ((0, 0), (2, 3)):
        torch.testing.assert_close(predicted[:, p, b], definition(cell, readout, x, a, p, b), atol=1e-10, rtol=0)


def test_members_may_be_forced_differently():
    cell, readout = network("plrnn")
    x = observations()
    kinds = [Sparse(interval=3), Generalised(alpha=0.2), NoForcing()]
    a = torch.stack([k.strengths(T) for k in kinds], dim=1).double()
    assert shared_cuts(readout, a) is None
    together = forced(cell, readout, x, a)
    for p, kind in enumerate(kinds):
        alone = forced(cell, readout, x, kind.strengths(T).double()[:, None].expand(-1, POPULATION))
        torch.testing.assert_close(together[:, p], alone[:, p], atol=1e-12, rtol=0)


def test_identity_readout_forces_the_observed_units_only():
    cell, readout = network("plrnn", "identity")
    x, a = observations(), Sparse(interval=4).strengths(T).double()[:, None].expand(-1, POPULATION)
    assert shared_cuts(readout, a) is None
    z = readout.back(x[0])
    for t in range(T):
        if t % 4 == 0:
            z = torch.cat((x[t], z[..., FEATURES:]), dim=-1) if t else readout.back(x[0])
        z = cell.step(z)
        torch.testing.assert_close(forced(cell, readout, x, a)[t], z[..., :FEATURES], atol=1e-12, rtol=0)


def test_back_is_observed_as_what_it_came_from():
    for kind in (k for k in READOUTS if not READOUTS[k].whole):
        _, readout = network("lstm", kind)
        x = observations()[0]
        torch.testing.assert_close(readout(readout.back(x)), x, atol=1e-10, rtol=0)
        assert torch.equal(readout.back(x)[..., 5:], torch.zeros(POPULATION, BATCH, 5))


def test_a_free_run_continues_itself():
    cell, readout = network("lstm")
    whole, end = free(cell, readout, z := torch.randn(POPULATION, BATCH, cell.state), 9)
    first, middle = free(cell, readout, z, 4)
    second, end_again = free(cell, readout, middle, 5)
    torch.testing.assert_close(torch.cat((first, second)), whole)
    torch.testing.assert_close(end, end_again)
