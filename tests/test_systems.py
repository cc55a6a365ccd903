"""The systems' exam: pushes are derivatives, orbits stay bounded, sums and exponents are the known ones."""

import math
import sys
import types
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from lyapsweep import systems
from lyapsweep.dynamics.lyapunov import lyapunov_spectra
from lyapsweep.dysts_table import table
from lyapsweep.maps import AbstractMap, autodiff_push
from lyapsweep.registry import UnknownName
from lyapsweep.systems import SYSTEMS, UnusableFlow, build
from lyapsweep.systems.equations import flows, on_torch

MATRIX = [[0.9, 0.5, 0.0], [-0.3, 0.8, 0.2], [0.1, 0.0, 0.4]]
SETTINGS = {
    "linear": {"matrix": MATRIX},
    "tanh_map": {"units": 20},
    "tanh_flow": {"units": 20},
    "ginibre": {"units": 8},
}
BOUNDS = {"ginibre": 2**41}  # whose first coordinate counts
# Polynomial, driven, with vectors among the parameters, an rhs of its own, slices, jumps, `max`, many coordinates.
FLOWS = [
    "Halvorsen",
    "Duffing",
    "BickleyJet",
    "Hopfield",
    "Lorenz96",
    "FluidTrampoline",
    "BelousovZhabotinsky",
    "MacArthur",
    "DoublePendulum",
]
NOT_FLOWS = ["Torus", *(name for name, entry in table().items() if entry["delay"])]


def own(name):
    return build(name, **SETTINGS.get(name, {}))


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def frames(system, batch, k=None):
    return torch.randn(1, batch, k or system.state, system.state, generator=seeded(9), dtype=torch.float64)


@pytest.mark.parametrize("name", [*SYSTEMS, *FLOWS])
def test_push_is_the_derivative_of_the_step(name):
    system = own(name)
    z = system.start(3, seeded(0))
    for _ in range(5):
        z = system.step(z)
    V = frames(system, 3, k=2)
    state, pushed = system.push(z, None, V)
    expected_state, expected = autodiff_push(system.step, z, None, V)
    assert torch.equal(state, expected_state)  # to the last bit: two ways along one orbit stay together
    torch.testing.assert_close(pushed, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", list(SYSTEMS))
def test_jacobians_and_determinants_that_are_written_down_are_those_of_the_push(name):
    system = own(name)
    z = system.start(3, seeded(0))
    for _ in range(50):
        z = system.step(z)
    J = AbstractMap.jacobian(system, z)
    torch.testing.assert_close(system.jacobian(z), J, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(system.log_det(z), torch.linalg.slogdet(J)[1], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", [*SYSTEMS, *FLOWS])
def test_starts_are_seeded_and_of_the_promised_shape(name):
    system = own(name)
    z = system.start(4, seeded(3))
    assert z.shape == (1, 4, system.state)
    assert z.dtype == torch.float64
    assert len(system.names) == system.state
    assert torch.equal(z, system.start(4, seeded(3)))
    if name != "linear":  # whose only bounded orbit is the origin
        assert not torch.equal(z, system.start(4, seeded(4)))


@pytest.mark.parametrize("name", list(SYSTEMS))
def test_orbits_stay_bounded(name):
    system = own(name)
    z = system.start(64, seeded(1))
    for _ in range(3000):
        z = system.step(z)
    assert z.abs().max() < BOUNDS.get(name, 100)


@pytest.mark.filterwarnings("error")  # numpy's warnings where it meets a tensor: an equation left on numpy
@pytest.mark.parametrize("name", FLOWS)
def test_dysts_orbit_observed_is_bounded_and_agrees_with_the_step(name):
    system = build(name)
    z = system.start(1, seeded(1))
    orbit = system.trajectory(z, 1000)
    for t in range(5):
        z = system.step(z)
        np.testing.assert_allclose(orbit[t], z[0, 0].numpy(), rtol=1e-9, atol=1e-12)
    seen = system.observe(torch.from_numpy(orbit)).numpy()
    mean, std = np.array(table()[name]["mean"]), np.array(table()[name]["std"])
    assert np.isfinite(orbit).all()
    assert (np.abs(seen - mean) < 20 * std + 1).all()


def agrees_with_dysts(name):
    system, original = build(name, substeps=1), getattr(flows(), name)()
    z = system.start(4, seeded(2))
    rates = system.field(z)[0].numpy()
    for point, rate in zip(z[0].numpy(), rates):
        expected = np.asarray(original.rhs(point, 0.0), dtype=float)
        np.testing.assert_allclose(rate, expected, rtol=1e-12, atol=1e-12 * max(1, np.abs(expected).max()))


@pytest.mark.parametrize("name", FLOWS)
def test_dysts_equations_on_tensors_are_dysts_equations(name):
    agrees_with_dysts(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in table() if name not in NOT_FLOWS])
def test_every_flow_of_dysts(name):
    agrees_with_dysts(name)
    system = build(name)
    assert np.isfinite(system.trajectory(system.start(1, seeded(0)), 2000)).all()
    assert system.observe(system.start(2, seeded(0)).requires_grad_()).requires_grad  # numpy would have refused
    test_push_is_the_derivative_of_the_step(name)


@pytest.mark.parametrize(("name", "reason"), [("MackeyGlass", "delay equation"), ("Torus", "time beside")])
def test_what_is_no_autonomous_flow_is_refused_by_name(name, reason):
    with pytest.raises(UnusableFlow, match=f"^{name}.*{reason}"):
        build(name)


def test_parameters_of_dysts_flows_are_settings():
    z = torch.tensor([[[1.0, 2.0, 3.0]]])
    assert build("Lorenz", substeps=1, rho=38.0).field(z)[0, 0, 1] == 38.0 - 3.0 - 2.0
    with pytest.raises(UnknownName, match=r"No parameter of Lorenz is called 'roh'. Did you mean 'rho'"):
        build("Lorenz", roh=38.0)


def test_own_lorenz_is_the_lorenz_of_dysts():
    ours, theirs = build("lorenz63", beta=2.667), build("Lorenz", dt=0.01, substeps=1)
    z = ours.start(5, seeded(0))
    torch.testing.assert_close(ours.step(z), theirs.step(z), rtol=1e-13, atol=1e-13)
    ours, theirs = build("roessler", a=0.2, c=5.7), build("Rossler", dt=0.1, substeps=1)
    torch.testing.assert_close(ours.step(z), theirs.step(z), rtol=1e-13, atol=1e-13)


def test_own_duffing_is_the_duffing_of_dysts_with_a_phase_that_turns_back():
    ours, theirs = build("duffing"), build("Duffing", dt=0.1773, substeps=2)
    z = ours.start(5, seeded(0))
    other = z
    for _ in range(100):
        z, other = ours.step(z), theirs.step(other)
    torch.testing.assert_close(ours.observe(z), theirs.observe(other), rtol=0, atol=1e-9)
    assert other[..., 2].max() > 20 > 2 * math.pi > z[..., 2].max()
    assert z[..., 2].min() >= 0


def test_mackey_glass_is_the_solution_of_the_delay_equation():
    """In closed form while the delayed value is the constant that it starts with; then against a fine dt."""
    errors = []
    for dt in (1.0, 0.5):
        system = build("mackey_glass", dt=dt)
        z = torch.full((1, 1, system.state), 0.8)
        for _ in range(round(17 / dt) - 1):
            z = system.step(z)
        level = 0.2 * 0.8 / (1 + 0.8**10) / 0.1
        end = level + (0.8 - level) * math.exp(-0.1 * (17 - dt))
        assert z[0, 0, 0].item() == pytest.approx(end, abs=1e-12)
        for _ in range(round(300 / dt) + 1):
            z = system.step(z)
        errors.append(z[0, 0, 0].item())
    finest = build("mackey_glass", dt=0.0625)
    z = torch.full((1, 1, finest.state), 0.8)
    for _ in range(round(317 / 0.0625)):
        z = finest.step(z)
    coarse, fine = (abs(e - z[0, 0, 0].item()) for e in errors)
    assert fine < 5e-3
    assert coarse > 4 * fine


def test_a_random_network_knows_its_exponents_where_theory_reaches():
    rest, small, large = (build("tanh_map", units=n, gain=g) for n, g in ((50, 0.8), (50, 3.0), (200, 3.0)))
    assert rest.known.citation.startswith("exact")
    assert small.known is None
    assert len(large.known.exponents) == 200
    assert large.known.stderr == pytest.approx(0.015)
    assert not build("tanh_flow", units=5).J.diagonal().any()


@pytest.mark.parametrize(
    ("name", "setting", "reason"),
    [
        ("tent", {"s": 2.5}, "s=.* is outside 0 < s <= 2"),
        ("logistic", {"r": 4.5}, "r=.* is outside 0 < r <= 4"),
        ("ginibre", {"units": 0}, "units >= 1 and gain > 0 must hold"),
        ("tanh_map", {"gain": 0.0}, "units >= 1 and gain > 0 must hold"),
        ("tanh_flow", {"units": 1}, "units >= 2 and gain > 0 must hold"),
        ("mackey_glass", {"dt": 0.3}, "dt=0.3 does not divide the delay of 17 .* delay / N .* such as 0.298"),
        ("mackey_glass", {"dt": 0.0}, "dt=0 does not divide the delay"),
    ],
)
def test_settings_that_cannot_be(name, setting, reason):
    with pytest.raises(ValueError, match=f"{name}: .*{reason}"):
        build(name, **setting)


@pytest.mark.parametrize("name", ["Lorenz", "Hopfield", "DoublePendulum"])
def test_substeps_are_chosen_so_that_more_would_change_nothing(name):
    flow, finer = build(name), build(name)
    assert flow.substeps < 64
    finer.substeps = 8 * flow.substeps
    z = torch.from_numpy(flow.trajectory(flow.start(1, seeded(0)), 300))[None]
    assert ((flow.step(z) - finer.step(z)).abs() / flow.spread).max() < 1e-5


def test_functions_compiled_by_numba_are_undone():
    compiled = staticmethod(SimpleNamespace(py_func=flows().Duffing._rhs))
    rates = on_torch(compiled).__func__(torch.ones(2), torch.ones(2), torch.zeros(2), 0.0, 1.0, -1.0, 0.1, 0.35, 1.4)
    torch.testing.assert_close(rates[1], torch.full((2,), 0.25))


def test_numba_leaves_the_equations_of_dysts_alone():
    numba = pytest.importorskip("numba")
    assert isinstance(flows().Duffing._rhs, types.FunctionType)
    assert sys.modules["numba"] is numba


def test_substeps_approach_the_flow_at_fourth_order():
    z = build("lorenz63").start(8, seeded(0))
    exact = build("lorenz63", dt=0.05, substeps=512).step(z)
    errors = [(build("lorenz63", dt=0.05, substeps=n).step(z) - exact).abs().max() for n in (4, 8)]
    assert math.log2(errors[0] / errors[1]) == pytest.approx(4, abs=0.3)


def test_unknown_names_meet_their_nearest_neighbour():
    with pytest.raises(UnknownName, match=r"Did you mean 'lorenz63'\? Known: linear, henon.* flows of dysts"):
        build("lorens63")
    with pytest.raises(UnknownName, match="Did you mean 'Halvorsen'"):
        build("halvorsen")
    with pytest.raises(UnknownName, match="called 'dt'"):
        build("henon", dt=0.1)
    assert set(systems.names()) >= {*SYSTEMS, *FLOWS}
    assert "MackeyGlass" not in systems.names()


def test_the_time_of_a_step_may_stand_among_the_parameters_but_once():
    assert build("lorenz63", **{"dt": 0.02, "rho": 38.0}).dt == build("lorenz63", 0.02, rho=38.0).dt == 0.02
    with pytest.raises(ValueError, match=r"lorenz63: step=0\.01 and dt=0\.02 differ"):
        build("lorenz63", 0.01, **{"dt": 0.02})


@pytest.mark.parametrize("setting", [{"dt": 0.0}, {"dt": -1.0}, {"substeps": 0}])
def test_flows_need_positive_time(setting):
    with pytest.raises(ValueError, match=r"Lorenz63: .* must hold, but got"):
        build("lorenz63", **setting)


@pytest.mark.parametrize("matrix", [[[1.0, 2.0]], [1.0, 2.0], [[math.nan]]])
def test_linear_needs_a_finite_square_matrix(matrix):
    with pytest.raises(ValueError, match="linear: matrix must be"):
        build("linear", matrix=matrix)


def test_known_belongs_to_the_cited_parameters_only():
    assert build("lorenz63").known.exponents[0] == 0.9056
    assert build("lorenz63", rho=38.0).known.exponents[0] == 1.1042
    assert build("lorenz63", rho=35.0).known is None
    assert build("lorenz63", rho=35.0).total == -(10 + 1 + 8 / 3)
    assert build("henon", b=0.2).known is None
    assert build("henon", b=0.2).total == math.log(0.2)
    assert build("roessler", c=9.0).known is None
    assert build("duffing").known.exponents[0] == 0.1292
    assert build("duffing", delta=0.2).known is None
    assert build("duffing", delta=0.2).total == -0.2
    assert build("mackey_glass", delay=31.8, dt=0.53).known.exponents[0] == 0.00654
    assert build("mackey_glass", delay=20.0).known is None
    assert build("Halvorsen").known is None


@pytest.mark.parametrize("name", list(SYSTEMS))
def test_exponents_sum_to_the_known_total(name):
    system = own(name)
    if system.total is None:
        pytest.skip(f"the volume contraction of {name} is not constant")
    spectrum = lyapunov_spectra(system, system.start(4, seeded(5)), steps=2000, warmup=200)[0]
    # A map's determinant is exact; a Runge-Kutta step multiplies volumes by exp(trace dt) up to its own error.
    relative = 1e-9 if system.dt is None else 1e-4
    assert spectrum.per_time.sum() == pytest.approx(system.total, rel=relative)
