"""Compiled frames give the exponents, partial sums and checks of the torch definitions, for every cell with factors."""

import math

import numpy as np
import pytest
import torch

from lyapsweep.cells import CELLS, Vanilla, single_orbits
from lyapsweep.dynamics import growth, lu, lyapunov_spectra
from lyapsweep.dynamics.frames import householder, random_frame
from lyapsweep.inits import gaussian
from lyapsweep.maps import AbstractMap, ClosedLoop, Forced, has_factors
from lyapsweep.systems import build

pytestmark = pytest.mark.skipif(not lu.compiled_available(), reason="numba is not installed")
KINDS = [kind for kind, cls in CELLS.items() if "jacobian_factors" in vars(cls)]
every_cell = pytest.mark.parametrize("kind", KINDS)


def network(kind, units=6, inputs=2, population=2, **settings):
    cell = CELLS[kind](inputs=inputs, population=population, units=units, **settings)
    gain = 1.1 if "plrnn" in kind or kind == "alrnn" else 1.5
    draw = lambda rows, columns, g: gaussian(rows, columns, g, gain=gain)  # noqa: E731
    cell.build([(draw, torch.Generator().manual_seed(p)) for p in range(population)])
    return cell.double().requires_grad_(False)


def problem(kind, steps=60, batch=3, **settings):
    cell, generator = network(kind, **settings), torch.Generator().manual_seed(5)
    z = 0.3 * torch.randn(cell.population, batch, cell.state, generator=generator, dtype=torch.float64)
    x = torch.randn(steps, cell.population, batch, cell.inputs, generator=generator, dtype=torch.float64)
    return cell, z, x


def forced(cell, x):
    """The cell under a forcing that pulls half of the time, and its inputs [a, target, x]."""
    a = (torch.arange(len(x)) % 2 * 0.3).double()[:, None, None, None].expand(*x.shape[:3], 1)
    target = torch.ones(*x.shape[:3], cell.state, dtype=torch.float64)
    return Forced(cell, torch.ones(cell.state).double()), torch.cat((a, target, x), dim=-1)


def carried(method, map, z, x, k, steps):
    return method(map, z, x, random_frame(z, k, 0), steps)


def same(a, b, tolerance=1e-10):
    assert a.lengths == b.lengths
    for name in ("z", "growth", "parts", "V"):
        mine, other = getattr(a, name), getattr(b, name)
        if name == "V":  # the signs of tangent vectors are arbitrary
            mine, other = mine * mine[..., :1].sign(), other * other[..., :1].sign()
        torch.testing.assert_close(mine, other, atol=tolerance, rtol=tolerance)


@every_cell
def test_factors_are_those_of_the_jacobian(kind):
    cell, z, x = problem(kind)
    unit = torch.eye(cell.state, dtype=torch.float64).expand(*z.shape[:2], -1, -1)
    assert has_factors(cell)
    torch.testing.assert_close(cell.jacobian(z, x[0]), cell.push(z, x[0], unit)[1].mT, atol=1e-13, rtol=0)
    map, pulls = forced(cell, x)
    factors = map.jacobian_factors(z, pulls[1])
    if kind != "shallow_plrnn":  # a product of two matrices has no place for columns
        torch.testing.assert_close(factors.matrix(), map.push(z, pulls[1], unit)[1].mT, atol=1e-13, rtol=0)
    else:
        assert factors is None


@every_cell
@pytest.mark.parametrize("k", [None, 3])
def test_compiled_frames_are_those_of_qr_at_every_step(kind, k):
    cell, z, x = problem(kind)
    for map, inputs in ((cell, x), (cell, None), forced(cell, x)):
        found = carried(lu.lu, map, z, inputs, k or cell.state, 60)
        same(found, carried(householder, map, z, inputs, k or cell.state, 60))
        assert 0 < found.error.max() < 1e-8


@pytest.mark.parametrize("kind", ["vanilla", "lstm"])
def test_scipy_gives_the_same_without_numba(kind, monkeypatch):
    cell, z, x = problem(kind)
    compiled = carried(lu.lu, cell, z, x, cell.state, 50)
    monkeypatch.setattr(lu, "compiled_available", lambda: False)
    plain = carried(lu.lu, cell, z, x, cell.state, 50)
    same(plain, compiled, 1e-12)
    torch.testing.assert_close(plain.error, compiled.error, rtol=1e-6, atol=0)
    same(plain, carried(householder, cell, z, x, cell.state, 50))


def test_frames_of_many_columns_take_blocked_lapack():
    cell, z, x = problem("gru", steps=12, batch=1, units=130, population=1)
    for k in (130, 70):
        same(carried(lu.lu, cell, z, x, k, 12), carried(householder, cell, z, x, k, 12))


def test_jacobians_of_a_map_without_factors_are_given_to_compiled_frames():
    lorenz = build("lorenz96")
    z = lorenz.start(2, torch.Generator().manual_seed(0))
    assert not has_factors(lorenz)
    same(carried(lu.lu, lorenz, z, None, lorenz.state, 40), carried(householder, lorenz, z, None, lorenz.state, 40))


def test_chunks_leave_every_bit_as_it_is(monkeypatch):
    cell, z, x = problem("lstm")
    whole = carried(lu.lu, cell, z, x, cell.state, 60)
    monkeypatch.setattr("lyapsweep.dynamics.jacobians.COMPILED_ENTRIES", 2000)
    monkeypatch.setattr("lyapsweep.dynamics.jacobians.MIN_JACOBIANS", 0)
    parts = carried(lu.lu, cell, z, x, cell.state, 60)
    torch.testing.assert_close(parts.parts, whole.parts, atol=1e-12, rtol=0)


def test_threads_leave_every_bit_as_it_is(monkeypatch):
    cell, z, x = problem("vanilla")
    alone = carried(lu.lu, cell, z, x, 6, 60)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    monkeypatch.setattr(lu, "WORTH_THREADS", 0)
    together = carried(lu.lu, cell, z, x, 6, 60)
    assert torch.equal(alone.parts, together.parts)
    assert torch.equal(alone.V, together.V)


def test_units_at_rest_annihilate_directions():
    """Of relu with all weights positive but one row: one unit is at rest at every step."""
    cell = Vanilla(inputs=0, population=1, units=4, nonlinearity="relu")
    cell.build([(gaussian, torch.Generator().manual_seed(0))])
    cell = cell.double().requires_grad_(False)
    cell.W.abs_()
    cell.W[0, 2] = -cell.W[0, 2]
    cell.b.fill_(0.0)
    (spectrum,) = lyapunov_spectra(cell, torch.ones(1, 1, 4).double(), steps=20)
    assert spectrum.settings["method"] == "lu"
    assert spectrum.rank_losses == 1
    assert spectrum.exponents[-1] == -math.inf
    assert np.isfinite(spectrum.exponents[:-1]).all()


def test_a_diverged_orbit_has_no_exponents_and_leaves_its_neighbours():
    cell, z, x = problem("plrnn")
    alone = lyapunov_spectra(cell, z, x, steps=60)
    cell.A[1] = 1e200
    both = lyapunov_spectra(cell, z, x, steps=60)
    assert np.isnan(both[1].exponents).all()
    np.testing.assert_array_equal(both[0].exponents, alone[0].exponents)


def test_another_step_does_not_inherit_factors():
    class Leaky(Vanilla):
        def step(self, z, x=None):
            return 0.5 * z + 0.5 * super().step(z, x)

        def push(self, z, x, V):
            return AbstractMap.push(self, z, x, V)

    assert has_factors(network("vanilla"))
    assert not has_factors(Leaky(inputs=0, population=1))
    assert not has_factors(build("henon"))


@every_cell
def test_automatic_is_lu_for_cells_with_factors(kind):
    cell, z, x = problem(kind)
    for k in (None, 2):
        found, truth = (lyapunov_spectra(cell, z, x, steps=60, k=k, method=m) for m in ("auto", "qr"))
        assert found[0].settings["method"] == "lu"
        for mine, other in zip(found, truth):
            np.testing.assert_allclose(mine.exponents, other.exponents, atol=1e-9)
            np.testing.assert_allclose(mine.stderr, other.stderr, rtol=1e-5, equal_nan=True)


@every_cell
def test_growth_of_products_is_that_of_pushed_tangents(kind):
    cell, z, x = problem(kind, steps=30)
    for map, inputs in ((cell, x), (cell, None), forced(cell, x)):
        pushed, compiled = (
            [(V.clone(), scale.clone()) for V, scale in products(map, z, [1, 4, 30], inputs)]
            for products in (growth.pushed_products, growth.compiled_products)
        )
        assert len(pushed) == len(compiled) == 3
        for (V, scale), (mine, own) in zip(pushed, compiled):
            torch.testing.assert_close(mine, V, atol=1e-11, rtol=0)
            torch.testing.assert_close(own, scale, atol=1e-11, rtol=0)


@pytest.mark.parametrize("name", ["lorenz63", "roessler"])
@pytest.mark.parametrize(("batch", "substeps"), [(1, 1), (5, 3)])
def test_compiled_flows_have_the_orbits_and_jacobians_of_torch(name, batch, substeps):
    """Bit by bit where torch sums products of three from the left, as on the processors of this project's CI."""
    system = build(name, substeps=substeps)
    z = system.start(batch, torch.Generator().manual_seed(0))
    by_torch, compiled = AbstractMap.orbit(system, z, None, 200), system.orbit(z, None, 200)
    torch.testing.assert_close(compiled, by_torch, atol=1e-9, rtol=0)
    torch.testing.assert_close(system.jacobian(z), AbstractMap.jacobian(system, z), atol=1e-13, rtol=0)
    np.testing.assert_allclose(system.trajectory(z[:, :1], 200), by_torch[:, 0, 0].numpy(), atol=1e-9)


def test_a_flow_that_leaves_the_numbers_ends_in_infinity_or_nan():
    far = build("lorenz63").orbit(torch.full((1, 1, 3), 1e200).double(), None, 5)
    assert not far[-1].isfinite().any()


def test_flows_take_compiled_frames():
    lorenz = build("lorenz63")
    z = lorenz.start(3, torch.Generator().manual_seed(0))
    found, truth = (lyapunov_spectra(lorenz, z, steps=300, method=method)[0] for method in ("auto", "qr"))
    assert found.settings["method"] == "lu"
    np.testing.assert_allclose(found.exponents, truth.exponents, atol=1e-12)


@every_cell
def test_orbits_of_a_few_are_those_of_ahead(kind):
    """By compiled loops where the cell states its step unit by unit, of at least 50 steps."""
    cell, z, x = problem(kind, steps=60, batch=1)
    for inputs in (x, None):
        fed = None if inputs is None else cell.feed(inputs)
        torch.testing.assert_close(cell.orbit(z, inputs, 60), cell.ahead(z, 60, fed)[0], atol=1e-9, rtol=0)


def test_statements_of_one_file_have_compiled_orbits_of_their_own():
    """tanh and relu have the same numbers of everything: only their names tell them apart in numba's cache."""
    for nonlinearity in ("tanh", "relu", "tanh"):
        cell, z, _ = problem("vanilla", batch=1, nonlinearity=nonlinearity)
        cell.W *= 0.5
        torch.testing.assert_close(cell.orbit(z, None, 60), cell.ahead(z, 60)[0], atol=1e-9, rtol=0)


def test_compiled_orbits_are_for_few_in_double_precision():
    cell, z, _ = problem("lstm", batch=1)
    statement = single_orbits.statement_for
    assert statement(cell, z, 60) is cell.elementwise
    assert statement(cell, z, 49) is None
    assert statement(cell, z.float(), 60) is None
    assert statement(cell, z.expand(-1, 2, -1), 60) is None
    assert statement(network("dendritic_plrnn"), z, 60) is None


def test_engine_torch_takes_no_compiled_loops(monkeypatch):
    monkeypatch.setenv("LYAPSWEEP_ENGINE", "torch")
    cell, z, _ = problem("lstm", batch=1)
    assert not lu.runs_compiled(z)
    assert single_orbits.statement_for(cell, z, 60) is None


@every_cell
def test_a_closed_loop_through_a_matrix_is_the_one_that_is_differentiated(kind):
    cell, z, _ = problem(kind)
    B = 0.3 * torch.randn(2, 2, cell.state, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    automatic, by_matrix = (ClosedLoop(cell, lambda z: z @ B.mT, matrix) for matrix in (None, B))
    unit = torch.eye(cell.state, dtype=torch.float64).expand(*z.shape[:2], -1, -1)
    J = automatic.push(z, None, unit)[1].mT
    torch.testing.assert_close(by_matrix.push(z, None, unit)[1].mT, J, atol=1e-13, rtol=0)
    torch.testing.assert_close(by_matrix.jacobian(z), J, atol=1e-13, rtol=0)
    found, truth = (lyapunov_spectra(by_matrix, z, steps=40, method=m)[0].exponents for m in ("auto", "qr"))
    np.testing.assert_allclose(found, truth, atol=1e-9)
