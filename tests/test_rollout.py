"""Forced training as segments equals the step-by-step definition: predictions, loss and gradient."""

import pytest
import torch

from lyapsweep.cells import CELLS
from lyapsweep.forcing import FORCINGS, Full, Generalised, NoForcing, Sparse
from lyapsweep.inits import gaussian
from lyapsweep.readouts import READOUTS
from lyapsweep.rollout import forced, free, segmented, shared_cuts, stepwise

T, POPULATION, BATCH, FEATURES = 23, 3, 4, 2


def network(cell_kind, readout_kind="linear"):
    cell = CELLS[cell_kind](inputs=0, population=POPULATION, units=5)
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


def gradients(loss, *modules):
    weights = [w for m in modules for w in m.parameters() if w.numel()]
    return torch.autograd.grad(loss, weights, allow_unused=True)


@pytest.mark.parametrize("cell_kind", list(CELLS))
@pytest.mark.parametrize("forcing", [Sparse(interval=1), Sparse(interval=5), Sparse(interval=T), Full(), NoForcing()])
def test_segments_equal_steps(cell_kind, forcing):
    cell, readout = network(cell_kind)
    x, a = observations(), forcing.strengths(T).double()[:, None].expand(-1, POPULATION)
    cuts = shared_cuts(readout, a)
    assert cuts is not None
    pieces, steps = segmented(cell, readout, x, cuts), stepwise(cell, readout, x, a)
    torch.testing.assert_close(pieces, steps, atol=1e-12, rtol=0)
    losses = [(p - x[1:]).square().mean() for p in (pieces, steps)]
    for got, want in zip(*(gradients(loss, cell, readout) for loss in losses)):
        assert (got is None) == (want is None)
        if got is not None:
            torch.testing.assert_close(got, want, atol=1e-12, rtol=1e-9)


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
    for kind in READOUTS:
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


@pytest.mark.parametrize("kind", list(FORCINGS))
def test_strengths_are_strengths(kind):
    a = FORCINGS[kind]().strengths(40)
    assert a.shape == (40,)
    assert a[0] == 1
    assert ((a >= 0) & (a <= 1)).all()


def test_sparse_forces_every_interval():
    assert Sparse(interval=7).strengths(20).nonzero().flatten().tolist() == [0, 7, 14]


@pytest.mark.parametrize(
    ("make", "text"), [(lambda: Sparse(interval=0), "interval >= 1"), (lambda: Generalised(alpha=1.5), "alpha <= 1")]
)
def test_impossible_forcings_are_refused(make, text):
    with pytest.raises(ValueError, match=text):
        make()
