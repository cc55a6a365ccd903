"""What cells state unit by unit is what their torch code computes: states and vector-Jacobian products."""

import numpy as np
import pytest
import torch

from lyapsweep.cells import CELLS
from lyapsweep.compiled.elementwise import statement_of
from lyapsweep.inits import gaussian

loops, scalars = (pytest.importorskip(f"lyapsweep.compiled.{name}") for name in ("loops", "scalars"))
UNITS = 5
STATED = ("vanilla", "plrnn", "gru", "lstm")


def made(kind, **settings):
    """A cell in double precision, a state and a gradient of the next state."""
    cell = CELLS[kind](inputs=0, population=1, units=UNITS, **settings)
    cell.build([(gaussian, torch.Generator().manual_seed(1))])
    cell.double()
    generator = torch.Generator().manual_seed(2)
    return cell, *(torch.randn(1, 1, cell.state, generator=generator, dtype=torch.float64) for _ in range(2))


def rows(cell, names):
    """Weights of one member, one row of units per name."""
    found = [getattr(cell, name).detach()[0].numpy().reshape(-1, UNITS) for name in names]
    return np.concatenate(found) if found else np.zeros((1, UNITS))


@pytest.mark.parametrize("kind", STATED)
def test_loops_are_the_cells_step_and_its_way_back(kind):
    cell, z, e = made(kind)
    s = statement_of(cell)
    made_of = loops.make_loops(s, scalars.DOUBLE, scalars.OPTIONS)
    Z, E, Y, D = (v.reshape(s.parts, UNITS).copy() for v in (z.numpy(), e.numpy(), 0 * z.numpy(), 0 * z.numpy()))
    W, b, p, q = rows(cell, [s.matrix]), rows(cell, s.biases), rows(cell, s.parameters), np.zeros((1, 1, UNITS))
    if s.form == "hollow":
        np.fill_diagonal(W, 0)
    u, A = Z[0].copy(), np.zeros((max(s.rows, s.kept), UNITS))
    if s.bend:
        made_of.bend_terms(Z[0], 0, q, u, 0, UNITS, 1)
    A[: s.gates] = (W @ u).reshape(s.gates, UNITS)
    made_of.forward(Z, 0, A, 0, b, p, Y, 0, UNITS)
    made_of.backward(Z, 0, A, 0, p, E, 0, D, 0, 0 * p, UNITS)
    g = W.T @ A[: s.gates].flatten()
    if s.bend:
        made_of.bend_terms_back(g, 0, Z[0], 0, q, D[0], 0, 0 * q, UNITS, 1)
    else:
        D[0] += g
    z.requires_grad_()
    after = cell.step(z)
    np.testing.assert_allclose(Y.flatten(), after.detach().flatten(), atol=1e-12)
    (expected,) = torch.autograd.grad(after, z, e)
    np.testing.assert_allclose(D.flatten(), expected.flatten(), atol=1e-12)


def test_a_subclass_that_may_change_the_equation_has_no_statement():
    class Doubled(CELLS["vanilla"]):
        def step(self, z, x=None):
            return 2 * super().step(z, x)

    assert statement_of(Doubled(inputs=0, population=1)) is None
    assert statement_of(CELLS["vanilla"](inputs=0, population=1)) is not None
