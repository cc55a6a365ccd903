"""Maps of a user's own: architectures that the package does not know, against an engine of a few lines of NumPy."""

import numpy as np
import pytest
import torch
from torch import nn

from lyapsweep import lyapunov_spectrum
from lyapsweep.cells import CELLS, from_torch
from lyapsweep.cli.printing import KINDS, map_lines
from lyapsweep.dynamics import find_fixed_points, lyapunov_spectra
from lyapsweep.dynamics.frames import given_frame
from lyapsweep.maps import AbstractMap, autodiff_push
from lyapsweep.systems import build

UNITS, INPUTS = 5, 2


class OwnMap(nn.Module, AbstractMap):
    """A network as its author has it: weights of torch.nn, and one step."""

    population = 1

    def push(self, z, x, V):
        return autodiff_push(self.step, z, x, V)


class LayerNormLSTM(OwnMap):
    """Ba, Kiros and Hinton 2016: gates of normalised sums, and a normalised cell state."""

    state = 2 * UNITS

    def __init__(self):
        super().__init__()
        self.by_x, self.by_h = nn.Linear(INPUTS, 4 * UNITS), nn.Linear(UNITS, 4 * UNITS, bias=False)
        self.of_x, self.of_h, self.of_c = nn.LayerNorm(4 * UNITS), nn.LayerNorm(4 * UNITS), nn.LayerNorm(UNITS)

    def step(self, z, x=None):
        h, c = z.chunk(2, dim=-1)
        i, f, g, o = (self.of_x(self.by_x(x)) + self.of_h(self.by_h(h))).chunk(4, dim=-1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        return torch.cat((o.sigmoid() * self.of_c(c).tanh(), c), dim=-1)


class MinGRU(OwnMap):
    """Feng et al. 2024: gate and candidate depend on the input alone, so that the Jacobian is diag(1 - gate)."""

    state = UNITS

    def __init__(self):
        super().__init__()
        self.gate, self.candidate = nn.Linear(INPUTS, UNITS), nn.Linear(INPUTS, UNITS)

    def step(self, z, x=None):
        gate = self.gate(x).sigmoid()
        return (1 - gate) * z + gate * self.candidate(x)


class Residual(OwnMap):
    """A residual cell: z + 0.3 W2 tanh(W1 z + U x)."""

    state = UNITS

    def __init__(self):
        super().__init__()
        self.W1, self.W2, self.U = nn.Linear(UNITS, 8), nn.Linear(8, UNITS), nn.Linear(INPUTS, 8, bias=False)

    def step(self, z, x=None):
        return z + 0.3 * self.W2((self.W1(z) + self.U(x)).tanh())


maps = pytest.mark.parametrize("make", [LayerNormLSTM, MinGRU, Residual])


def made(make):
    torch.manual_seed(0)
    return make().double().requires_grad_(False)


def series(steps):
    return np.random.default_rng(1).normal(size=(steps, INPUTS))


def benettin(step, z, inputs, frame):
    """Benettin's algorithm: QR at every step, Jacobians by reverse differentiation of the author's step."""
    Q, logs = np.linalg.qr(frame.T)[0], 0.0
    for x in inputs:
        z, x = torch.from_numpy(z), torch.from_numpy(x)
        J = torch.func.jacrev(lambda s, x=x: step(s[None, None], x[None, None])[0, 0])(z).numpy()
        Q, R = np.linalg.qr(J @ Q)
        z, logs = step(z[None, None], x[None, None])[0, 0].numpy(), logs + np.log(np.abs(np.diag(R)))
    return np.sort(logs / len(inputs))[::-1]


@maps
@pytest.mark.parametrize("k", [None, 2])
def test_exponents_of_own_maps_are_those_of_an_independent_engine(make, k):
    map, inputs = made(make), series(60)
    frame = np.random.default_rng(2).normal(size=(k or map.state, map.state))
    start = np.random.default_rng(3).normal(size=map.state)
    found = lyapunov_spectrum(map, inputs, warmup=0, k=k, start=start, frame=frame)
    np.testing.assert_allclose(found.exponents, benettin(map.step, start, inputs, frame), atol=1e-12)
    assert (found.map, found.steps, found.settings["frame"]) == ("driven", 60, "given")


def test_minimal_gru_is_known_in_closed_form():
    map, inputs = made(MinGRU), series(300)
    gates = torch.sigmoid(map.gate(torch.from_numpy(inputs))).numpy()
    found = lyapunov_spectrum(map, inputs, warmup=0, frame=np.eye(UNITS))
    np.testing.assert_allclose(found.exponents, np.sort(np.log(1 - gates).mean(axis=0))[::-1], atol=1e-12)


class Logistic(AbstractMap):
    population, state = 1, 1

    def step(self, z, x=None):
        return 4 * z * (1 - z)

    def push(self, z, x, V):
        return self.step(z), V * (4 - 8 * z).unsqueeze(2)


def test_an_own_map_is_not_called_a_known_system():
    found = lyapunov_spectrum(Logistic(), steps=2000, start=np.full((4, 1), 0.1) * np.arange(1, 5)[:, None])
    assert found.exponents == pytest.approx([np.log(2)], abs=0.01)
    assert found.map == "map"
    assert KINDS["map"] in map_lines(found)[0][1]
    assert "known" not in map_lines(found)[0][1]
    assert lyapunov_spectrum(build("henon"), steps=20).map == "system"


def test_an_own_map_without_parameters_is_a_map_all_the_same():
    class Doubled(OwnMap):
        state = 1

        def step(self, z, x=None):
            return 2 * z + x

    found = lyapunov_spectrum(Doubled(), np.zeros((20, 1)))
    assert found.exponents == pytest.approx([np.log(2)])


# The first frame


@pytest.mark.parametrize("method", ["qr", "adaptive", "lu", "batched_lu"])
@pytest.mark.parametrize("name", ["lorenz63", "henon"])
def test_short_runs_of_others_are_repeated_by_their_frame(name, method):
    """50 steps from a given state and frame: no alignment, so that every step counts."""
    system = build(name)
    start = np.random.default_rng(0).uniform(0.1, 0.2, system.state)
    frame = np.random.default_rng(1).normal(size=(system.state, system.state))
    found = lyapunov_spectrum(system, steps=50, warmup=0, start=start, frame=frame, method=method)
    step = lambda z, x: system.step(z)  # noqa: E731
    np.testing.assert_allclose(found.exponents, benettin(step, start, np.zeros((50, 1)), frame), atol=1e-8)
    drawn = lyapunov_spectrum(system, steps=50, warmup=0, start=start, method=method)
    assert np.abs(drawn.exponents - found.exponents).max() > 1e-6
    assert "frame" not in drawn.settings


def test_orbits_may_have_frames_of_their_own():
    system, starts = build("henon"), np.array([[0.1, 0.1], [0.2, 0.1]])
    frames = np.stack([np.eye(2), [[1.0, 1.0], [0.0, 1.0]]])
    plan = {"steps": 30, "warmup": 0}
    both = lyapunov_spectrum(system, start=starts, frame=frames, **plan)
    cut = lyapunov_spectrum(system, start=starts, frame=frames, segments=3, **plan)
    np.testing.assert_allclose(cut.sum, both.sum, atol=1e-13)
    each = [lyapunov_spectrum(system, start=z, orbits=1, frame=V, **plan) for z, V in zip(starts, frames)]
    np.testing.assert_allclose(both.exponents, np.mean([s.exponents for s in each], axis=0), atol=1e-13)
    V = given_frame(torch.from_numpy(frames), torch.zeros(3, 2, 2).double())
    assert V.shape == (3, 2, 2, 2)
    torch.testing.assert_close(V @ V.mT, torch.eye(2).double().expand_as(V))


FRAMES = {
    "another state": (np.eye(3), r"frame must be \(k, 2\) or \(1, k, 2\).*is \(3, 3\)"),
    "orbits": (np.zeros((2, 1, 2)), r"frame must be .*is \(2, 1, 2\)"),
    "one row": (np.ones(2), r"frame must be .*is \(2,\)"),
    "too many": (np.eye(3)[:, :2], "its 3 rows must be finite and linearly independent"),
    "dependent": (np.ones((2, 2)), "linearly independent"),
    "zero": (np.zeros((1, 2)), "linearly independent"),
    "not finite": (np.full((1, 2), np.nan), "must be finite"),
}


@pytest.mark.parametrize("case", FRAMES)
def test_frames_that_are_refused(case):
    frame, message = FRAMES[case]
    with pytest.raises(ValueError, match=message):
        lyapunov_spectrum(build("henon"), steps=20, orbits=1, frame=frame)


def test_the_published_convention_has_its_own_frame():
    with pytest.raises(ValueError, match="compat goes without segments, method and frame"):
        lyapunov_spectrum(build("henon"), steps=20, frame=np.eye(2), compat="vogt")


# What is refused


@pytest.mark.parametrize("dt", [0, 0.0, -1.0, np.nan, np.inf])
def test_a_time_step_is_positive_everywhere(dt):
    with pytest.raises(ValueError, match=r"0 < dt < inf must hold, but got"):
        lyapunov_spectrum(nn.RNN(2, 3), series(20), dt=dt)
    with pytest.raises(ValueError, match=r"0 < dt < inf must hold, but got|does not divide"):
        build("lorenz63", dt)
    map = Logistic()
    map.dt = dt
    for measure in (
        lambda: lyapunov_spectrum(map, steps=5),
        lambda: lyapunov_spectra(map, torch.full((1, 1, 1), 0.1), steps=5),
        lambda: find_fixed_points(map, torch.rand(1, 4, 1).double()),
    ):
        with pytest.raises(ValueError, match=r"0 < dt < inf must hold, but got"):
            measure()


@pytest.mark.parametrize("kind", ["vanilla", "plrnn", "scornn"])
def test_a_cell_without_weights_is_an_error_in_words(kind):
    cell = CELLS[kind](inputs=0, population=1, units=4)
    with pytest.raises(ValueError, match=r"has no weights. Draw them with build"):
        lyapunov_spectrum(cell, steps=5)


def test_relu_annihilates_where_units_rest():
    """Two units that do not meet: one is active and contracts by half, one is at rest."""
    module = nn.RNN(1, 2, nonlinearity="relu").double()
    with torch.no_grad():
        for w in module.parameters():
            w.zero_()
        module.weight_hh_l0.copy_(torch.diag(torch.tensor([0.5, 0.5])))
        module.bias_hh_l0.copy_(torch.tensor([1.0, -1.0]))
    found = lyapunov_spectrum(module, np.zeros((40, 1)))
    assert found.exponents == pytest.approx([np.log(0.5), -np.inf])
    visited = torch.rand(1, 8, 2).double()
    (points,) = find_fixed_points(from_torch(module), visited, torch.zeros(1).double())
    np.testing.assert_allclose(points.fixed.z, [[2.0, 0.0]], atol=1e-8)
    np.testing.assert_allclose(points.fixed.eigenvalues, [[0.5, 0.0]], atol=1e-8)


@pytest.mark.parametrize("layers", [1, 2])
def test_jacobian_of_relu_is_autograds(layers):
    torch.manual_seed(0)
    module = nn.RNN(2, 4, layers, nonlinearity="relu").double().requires_grad_(False)
    map, x = from_torch(module), torch.randn(1, 2).double()
    z = torch.randn(4 * layers).double()
    by_torch = torch.autograd.functional.jacobian(lambda z: module(x, z.view(layers, 4))[1].flatten(), z)
    torch.testing.assert_close(map.jacobian(z[None, None], x[None])[0, 0], by_torch, atol=1e-14, rtol=0)
