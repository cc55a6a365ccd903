"""Fixed points against what is known in closed form: of systems, and of networks made to have them."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from lyapsweep import systems
from lyapsweep.cells import CELLS, AbstractCell, Vanilla
from lyapsweep.dynamics import Search, find_fixed_points, input_jacobian, lyapunov_spectra, resting_input
from lyapsweep.dynamics.linearisation import MARGIN
from lyapsweep.inits import INITS
from lyapsweep.maps import AbstractMap, Forced, autodiff_push

BISTABLE = 0.9575040240772688  # the positive root of a = tanh 2a
SLOPE = 2 * (1 - BISTABLE**2)  # 0.16637208775: the eigenvalue there


class Custom(AbstractMap):
    """Any differentiable step as a map."""

    population = 1

    def __init__(self, step, state: int, dt: float | None = None):
        self.rule, self.state, self.dt = step, state, dt

    def step(self, z: Tensor, x: Tensor | None = None) -> Tensor:
        return self.rule(z) if x is None else self.rule(z, x)

    def push(self, z, x, V):
        return autodiff_push(self.step, z, x, V)


def tanh_network(*W, b=None, U=None) -> Vanilla:
    """h' = tanh(W h + U x + b), one member a matrix."""
    units = len(W[0])
    inputs = 0 if U is None else len(U[0])
    cell = Vanilla(inputs, len(W), units=units)
    tensor = lambda a: nn.Parameter(torch.as_tensor(np.array(a), dtype=torch.float64))  # noqa: E731
    cell.W = tensor(W)
    cell.b = tensor(np.zeros((len(W), units)) if b is None else [b])
    cell.U = tensor(np.zeros((len(W), units, 0)) if U is None else [U])
    return cell


def cube(states: int, state: int, half: float = 1.0, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return half * (2 * torch.rand(1, states, state, generator=generator, dtype=torch.float64) - 1)


def visited(system, steps: int, states: int = 64) -> Tensor:
    z = system.start(states, torch.Generator().manual_seed(0))
    for _ in range(steps):
        z = system.step(z)
    return z


def same_set(found: np.ndarray, expected, tolerance: float) -> None:
    """Every expected point was found, and nothing else."""
    expected = np.array(expected, float)
    assert found.shape == expected.shape
    distance = np.abs(found[:, None] - expected[None]).max(axis=2)
    assert distance.min(axis=0).max() < tolerance
    assert sorted(distance.argmin(axis=0)) == list(range(len(expected)))


def test_henon_has_two_saddles():
    (found,) = find_fixed_points(henon := systems.build("henon", None), visited(henon, 100))
    roots = [(-0.7 + s * math.sqrt(0.49 + 5.6)) / 2.8 for s in (1, -1)]
    same_set(found.fixed.z, [[x, 0.3 * x] for x in roots], 1e-12)
    assert found.fixed.kinds == ("saddle", "saddle")
    for z, values in zip(found.fixed.z, found.fixed.eigenvalues):
        expected = np.roots([1, 2.8 * z[0], -0.3])
        np.testing.assert_allclose(values.real, expected[np.argsort(-np.abs(expected))], rtol=1e-12)
    assert (len(found.slow), found.far, found.lost) == (0, 0, 0)


def test_henon_without_fixed_points_has_none():
    henon = systems.build("henon", None, a=-0.2)  # (1 - b)^2 + 4 a < 0
    (found,) = find_fixed_points(henon, cube(64, 2, 3.0))
    assert (len(found.fixed), len(found.slow)) == (0, 0)
    assert found.fixed.eigenvalues.shape == (0, 2)
    assert found.fixed.kinds == ()


def test_lorenz_has_three_and_their_eigenvalues_are_those_of_the_flow_under_runge_kutta():
    lorenz = systems.build("lorenz63", None)
    (found,) = find_fixed_points(lorenz, visited(lorenz, 1000))
    c = math.sqrt(8 / 3 * 27)
    same_set(found.fixed.z, [[0, 0, 0], [c, c, 27], [-c, -c, 27]], 1e-10)
    for z, values, index in zip(found.fixed.z, found.fixed.eigenvalues, found.fixed.unstable):
        x, y, w = z
        mu = np.linalg.eigvals([[-10, 10, 0], [28 - w, -1, -x], [y, x, -8 / 3]])
        h = mu * 0.01
        expected = 1 + h + h**2 / 2 + h**3 / 6 + h**4 / 24
        np.testing.assert_allclose(np.sort_complex(values), np.sort_complex(expected), rtol=1e-10)
        assert index == (mu.real > 0).sum()
    i = int(np.argmax(found.fixed.z[:, 0]))
    growing = mu_at_c()
    assert found.fixed.time_constants_in_time[i, 0] == pytest.approx(1 / growing.real, rel=1e-3)
    assert found.fixed.frequencies_in_time[i, 0] == pytest.approx(growing.imag / (2 * math.pi), rel=1e-3)


def mu_at_c() -> complex:
    """The growing eigenvalue of the Lorenz flow at its wings: mu^3 + 41/3 mu^2 + 304/3 mu + 1440 = 0."""
    return max(np.roots([1, 41 / 3, 8 / 3 * 38, 2 * 8 / 3 * 10 * 27]), key=lambda mu: (mu.real, mu.imag))


def test_a_contracting_linear_map_rests_at_the_origin_alone_and_its_modes_are_known():
    A = np.array([[0.5, 1.0, 0.0], [0.0, -0.8, 0.0], [0.0, 0.0, 0.0]])
    (found,) = find_fixed_points(systems.build("linear", None, matrix=A.tolist()), cube(16, 3))
    same_set(found.fixed.z, [[0, 0, 0]], 1e-12)
    assert found.fixed.kinds == ("stable",)
    np.testing.assert_allclose(found.fixed.time_constants[0], [-1 / math.log(0.8), -1 / math.log(0.5), 0], atol=1e-12)
    np.testing.assert_allclose(found.fixed.frequencies[0], [0.5, 0, 0])
    assert np.isnan(found.fixed.time_constants_in_time).all()
    modes = found.fixed.modes(0)
    np.testing.assert_allclose(modes.left.conj().T @ modes.right, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(A @ modes.right, modes.right * modes.eigenvalues, atol=1e-12)
    np.testing.assert_allclose(modes.left.conj().T @ A, modes.eigenvalues[:, None] * modes.left.conj().T, atol=1e-12)


def test_kinds_by_the_modes_that_grow():
    kinds = {(0.5, 0.2): "stable", (1.0, 0.2): "marginal", (1.5, 0.2): "saddle", (1.5, 1.2): "repeller"}
    for values, kind in {**kinds, (1 + MARGIN / 2, 0.2): "marginal"}.items():
        system = systems.build("linear", None, matrix=np.diag(values).tolist())
        (found,) = find_fixed_points(system, torch.zeros(1, 1, 2))
        assert found.fixed.kinds == (kind,)


# Golub and Sussillo 2018 test their finder on this family: row i of W is -roll(linspace(-1, 1, N), -i).
@pytest.mark.parametrize(("units", "points", "stable"), [(2, 3, 2), (3, 3, 0), (4, 9, 2)])
def test_the_rolled_family_has_the_published_counts(units, points, stable):
    W = np.stack([-np.roll(np.linspace(-1, 1, units), -i) for i in range(units)]).T
    (found,) = find_fixed_points(tanh_network(W), cube(256, units))
    assert len(found.fixed) == points
    assert found.fixed.kinds.count("stable") == stable
    assert np.abs(np.tanh(found.fixed.z @ W.T) - found.fixed.z).max() < 1e-14
    if units == 2:
        same_set(found.fixed.z, [[0, 0], [BISTABLE, -BISTABLE], [-BISTABLE, BISTABLE]], 1e-12)
        values = {0: (2, 0), 2: (SLOPE, 0)}
        for z, got in zip(found.fixed.z, found.fixed.eigenvalues):
            np.testing.assert_allclose(got, values[int(np.round(np.abs(z).sum()))], atol=1e-12)


def test_three_independent_bits_have_twenty_seven_points_by_the_number_of_undecided_bits():
    cell = tanh_network(2 * np.eye(3))
    (found,) = find_fixed_points(cell, cube(512, 3), search=Search(candidates=512))
    grid = np.stack(np.meshgrid(*[[-BISTABLE, 0, BISTABLE]] * 3), axis=-1).reshape(-1, 3)
    same_set(found.fixed.z, grid, 1e-12)
    assert np.bincount(found.fixed.unstable).tolist() == [8, 12, 6, 1]
    assert (found.fixed.unstable == (np.abs(found.fixed.z) < 0.5).sum(axis=1)).all()
    stable = found.fixed.unstable == 0
    np.testing.assert_allclose(found.fixed.eigenvalues[stable], SLOPE, atol=1e-12)


def test_an_orbit_at_a_stable_point_has_its_rates_for_exponents():
    cell = tanh_network(2 * np.eye(3))
    (found,) = find_fixed_points(cell, cube(512, 3), search=Search(candidates=512))
    stable = int(np.flatnonzero(found.fixed.unstable == 0)[0])
    z = torch.from_numpy(found.fixed.z[None, stable : stable + 1])
    (spectrum,) = lyapunov_spectra(cell, z, steps=50)
    np.testing.assert_allclose(spectrum.exponents, found.fixed.rates[stable], atol=1e-12)
    assert spectrum.exponents[0] == pytest.approx(-1.793528506542, abs=1e-11)


@pytest.mark.parametrize("units", [5, 20])
def test_points_planted_in_a_random_network_are_found(units):
    """W z + b = artanh z at units + 1 random points determines W and b."""
    rng = np.random.default_rng(units)
    planted = rng.uniform(-0.8, 0.8, (units + 1, units))
    solved = np.linalg.solve(np.hstack((planted, np.ones((units + 1, 1)))), np.arctanh(planted))
    cell = tanh_network(solved[:-1].T, b=solved[-1])
    around = np.repeat(planted, 16, axis=0) + 0.02 * rng.normal(size=(16 * len(planted), units))
    (found,) = find_fixed_points(cell, torch.from_numpy(around)[None], search=Search(candidates=len(around)))
    assert np.abs(found.fixed.z[:, None] - planted[None]).max(axis=2).min(axis=0).max() < 1e-9
    slopes = 1 - found.fixed.z**2
    np.testing.assert_allclose(found.fixed.jacobians, slopes[:, :, None] * solved[:-1].T, atol=1e-12)


@pytest.mark.parametrize("name", CELLS)
def test_every_cell_rests_where_its_step_says_and_its_modes_are_its_derivative(name):
    cell = drawn(name, population=2)
    around = cell.orbit(torch.zeros(2, 32, cell.state), None, 50)[-1] + 0.3 * cube(32, cell.state)
    for p, found in enumerate(find_fixed_points(cell, around, search=Search(reach=math.inf))):
        assert len(found.fixed), "a network of small gain has a point at rest"
        z = torch.from_numpy(found.fixed.z).repeat(2, 1, 1)
        np.testing.assert_allclose(cell.step(z)[p].detach().numpy(), found.fixed.z, atol=1e-9)
        unit = torch.eye(cell.state).repeat(2, z.shape[1], 1, 1)
        J = autodiff_push(cell.step, z, None, unit)[1].mT[p].detach().numpy()
        values = np.sort(np.abs(np.linalg.eigvals(J)), axis=1)[:, ::-1]
        np.testing.assert_allclose(np.abs(found.fixed.eigenvalues), values, atol=1e-7)


# The cost that sbo descends may be lowest at a kink of relu: its gradient jumps over 0 there, and nothing rests.
KNOBS = {"sbo": {"activation": "tanh", "eta": 0.1}}


def drawn(name: str, population: int) -> AbstractCell:
    cell = CELLS[name](inputs=0, population=population, units=4, **KNOBS.get(name, {}))
    draw = lambda rows, columns, g: INITS["gaussian"](rows, columns, g, gain=0.4)  # noqa: E731
    cell.build([(draw, torch.Generator().manual_seed(s)) for s in range(population)])
    return cell


def test_members_of_a_pack_find_what_they_find_alone():
    rng = np.random.default_rng(3)
    W = [2 * np.eye(3), 1.5 * rng.normal(size=(3, 3)), 0.3 * rng.normal(size=(3, 3))]
    starts = cube(64, 3)
    together = find_fixed_points(tanh_network(*W), starts.expand(3, -1, -1))
    for mine, matrix in zip(together, W):
        (alone,) = find_fixed_points(tanh_network(matrix), starts)
        assert len(mine.fixed) == len(alone.fixed) > 0
        same_set(mine.fixed.z, alone.fixed.z, 1e-10)


def test_the_network_is_left_as_it_was():
    cell = tanh_network(2 * np.eye(3))
    before = {k: v.clone() for k, v in cell.named_parameters()}
    find_fixed_points(cell, cube(8, 3))
    for name, weight in cell.named_parameters():
        assert weight.requires_grad
        assert weight.grad is None
        assert torch.equal(weight, before[name])


def test_the_input_moves_the_points():
    """h' = tanh(h / 2 + x) rests at h where x = artanh(h) - h / 2."""
    cell = tanh_network(0.5 * np.eye(2), U=np.eye(2), b=np.zeros(2))
    target = np.array([0.3, -0.6])
    x = torch.from_numpy(np.arctanh(target) - 0.5 * target)
    (found,) = find_fixed_points(cell, cube(16, 2), x)
    same_set(found.fixed.z, [target], 1e-12)
    (at_zero,) = find_fixed_points(cell, cube(16, 2), torch.zeros(2))
    same_set(at_zero.fixed.z, [[0, 0]], 1e-12)
    B = input_jacobian(cell, torch.from_numpy(found.fixed.z)[None], x.expand(1, 1, -1))[0, 0]
    np.testing.assert_allclose(B.detach(), np.diag(1 - target**2), atol=1e-12)


def test_the_mean_input_is_that_of_each_member():
    inputs = torch.arange(24.0).reshape(3, 2, 4, 1)  # time, population, batch, inputs
    np.testing.assert_allclose(resting_input(inputs).numpy(), [[9.5], [13.5]])
    np.testing.assert_allclose(resting_input(inputs, "zero").numpy(), [[0], [0]])
    with pytest.raises(ValueError, match="'mean' or 'zero', but got 'median'"):
        resting_input(inputs, "median")


def test_a_fully_forced_map_rests_at_its_image_of_the_target_with_every_mode_dead():
    cell = tanh_network(2 * np.eye(2))
    target = torch.tensor([0.2, -0.4])
    forced = Forced(cell, torch.ones(2))
    (found,) = find_fixed_points(forced, cube(8, 2), torch.cat((torch.ones(1), target)))
    same_set(found.fixed.z, [np.tanh(2 * target.numpy())], 1e-12)
    assert np.isneginf(found.fixed.rates).all()
    assert (found.fixed.time_constants == 0).all()


@pytest.mark.parametrize("gap", [1e-5, -1e-4])
def test_a_saddle_node_is_a_slow_point_before_and_two_fixed_points_after(gap):
    """z' = z + gap + z^2: slowest at 0 with speed `gap`, or at rest at -+ sqrt(-gap), eigenvalues 1 -+ 2 sqrt(-gap)."""
    (found,) = find_fixed_points(Custom(lambda z: z + gap + z**2, 1), cube(64, 1, 0.5))
    if gap > 0:
        assert len(found.fixed) == 0
        assert np.abs(found.slow.z).max() < 0.02
        assert found.slow.speed.min() == pytest.approx(gap, rel=1e-3)
    else:
        same_set(found.fixed.z, [[-0.01], [0.01]], 1e-9)
        np.testing.assert_allclose(np.sort(found.fixed.eigenvalues[:, 0].real), [0.98, 1.02], atol=1e-8)
        assert np.abs(found.slow.z).max() < 0.02  # between the two the map is slow as well


def test_points_far_from_the_visited_states_are_counted_and_left_out():
    cubic = Custom(lambda z: z + 1e-3 * z * (z - 1) * (100 - z), 1)
    (found,) = find_fixed_points(cubic, 0.5 + cube(63, 1, 1.0), search=Search(noise=60.0, candidates=128))
    same_set(found.fixed.z, [[0], [1]], 1e-9)
    assert found.far == 1


def test_candidates_at_infinity_are_lost_and_the_rest_searched():
    z = cube(16, 3)
    z[0, :4] = torch.nan
    (found,) = find_fixed_points(tanh_network(0.5 * np.eye(3)), z)
    assert (found.lost, found.started, len(found.fixed)) == (4, 16, 1)
    (nothing,) = find_fixed_points(tanh_network(0.5 * np.eye(3)), torch.full_like(z, torch.nan))
    assert (nothing.lost, len(nothing.fixed)) == (16, 0)


def test_an_orbit_on_its_way_to_infinity_is_not_the_spread_of_the_rest():
    henon = systems.build("henon", None)
    start = torch.cat((visited(henon, 100), torch.tensor([[[1e9, 1e9], [-1e200, 3.0], [math.inf, 0.0]]])), dim=1)
    (found,) = find_fixed_points(henon, start)
    assert len(found.fixed) == 2
    assert found.lost == 3


def test_single_precision_rests_within_its_rounding():
    cell = tanh_network(2 * np.eye(3)).float()
    (found,) = find_fixed_points(cell, cube(256, 3).float())
    assert np.bincount(found.fixed.unstable).tolist() == [8, 12, 6, 1]
    assert np.abs(np.abs(found.fixed.z[found.fixed.unstable == 0]) - BISTABLE).max() < 2e-6


def test_steps_are_limited_and_progress_is_told():
    told = []
    search = Search(adam=20, newton=5)
    find_fixed_points(tanh_network(2 * np.eye(3)), cube(64, 3), None, search, lambda *stage: told.append(stage))
    assert [t for t in told if t[0] == "adam"] == [("adam", t, 20) for t in range(21)]
    newton = [t for stage, t, _ in told if stage == "newton"]
    assert newton == list(range(len(newton)))
    assert len(newton) <= 5


def test_the_seed_decides_the_candidates_and_noise_makes_more_of_them():
    cell, few = tanh_network(2 * np.eye(3)), cube(4, 3, 0.1)
    found = [find_fixed_points(cell, few, search=Search(noise=20.0, seed=s))[0] for s in (0, 0, 1)]
    assert [f.started for f in found] == [256] * 3
    assert np.array_equal(found[0].fixed.z, found[1].fixed.z)
    assert not np.array_equal(found[0].fixed.z, found[2].fixed.z)
    assert find_fixed_points(cell, few)[0].started == 4


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ({"candidates": 0}, "candidates >= 1 must hold, but got 0"),
        ({"noise": -1.0}, "noise >= 0 must hold, but got -1.0"),
        ({"tolerance": 0.0}, "tolerance > 0 must hold, but got 0.0"),
    ],
)
def test_settings_that_cannot_be_are_refused(setting, said):
    with pytest.raises(ValueError, match=said):
        Search(**setting)


def test_states_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"= \(1, states, 3\), but is \(1, 8, 2\)"):
        find_fixed_points(tanh_network(np.eye(3)), cube(8, 2))
