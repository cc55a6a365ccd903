"""Line attractors: made to be lines, and learned by networks that have something to integrate."""

import numpy as np
import pytest
import torch
from test_fixed_points import Custom, cube, tanh_network
from torch import nn

from lyapsweep import systems
from lyapsweep.cells import from_torch
from lyapsweep.cells.unrolled import drive
from lyapsweep.dynamics import (
    Search,
    find_fixed_points,
    input_jacobian,
    input_projections,
    line_scores,
    lyapunov_spectra,
)
from lyapsweep.dynamics.line_attractor import alignment, plane_alignment
from lyapsweep.dynamics.linearisation import Points


def orthogonal(state: int, seed: int = 0) -> np.ndarray:
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(state, state)))[0]


def test_a_linear_line_attractor_scores_as_one():
    """One eigenvalue 1: every state falls onto the line along its eigenvector, where it stays."""
    values = np.array([1.0, 0.9, -0.5, 0.3, 0.0])
    R = orthogonal(5) @ np.diag([1, 2, 1, 1, 1]) + 0.2 * orthogonal(5, 1)  # not normal
    A = R @ np.diag(values) @ np.linalg.inv(R)
    system = systems.build("linear", None, matrix=A.tolist())
    (found,) = find_fixed_points(system, cube(128, 5))
    line = R[:, 0] / np.linalg.norm(R[:, 0])
    off = found.fixed.z - np.outer(found.fixed.z @ line, line)
    assert len(found.fixed) > 100
    assert np.abs(off).max() < 1e-9
    assert set(found.fixed.kinds) == {"marginal"}
    scores = line_scores(found.fixed, readout=np.stack((line, orthogonal(5, 2)[0])))
    assert scores.participation_ratio == pytest.approx(1, abs=1e-9)
    assert scores.first_share == pytest.approx(1, abs=1e-9)
    assert (scores.along_slow, scores.along_readout, scores.slow_along_readout) == pytest.approx((1, 1, 1), abs=1e-7)
    assert scores.rate == pytest.approx(0, abs=1e-9)
    assert scores.second == scores.rate - scores.gap == pytest.approx(np.log(0.9), abs=1e-9)
    (spectrum,) = lyapunov_spectra(system, torch.from_numpy(found.fixed.z[None, :4]), steps=200, warmup=300)
    np.testing.assert_allclose(spectrum.exponents[:4], np.log(np.abs(values[:4])), atol=1e-9)


def test_newton_does_not_throw_candidates_along_the_line():
    """A is singular: the step of least norm is the projection onto the line, up to rounding."""
    R = orthogonal(3)
    system = systems.build("linear", None, matrix=(R @ np.diag([1, 0.5, 0.2]) @ R.T).tolist())
    starts = cube(32, 3)
    (found,) = find_fixed_points(system, starts, search=Search(adam=0))
    projected = starts[0].numpy() @ np.outer(R[:, 0], R[:, 0])
    distance = np.abs(found.fixed.z[:, None] - projected[None]).max(axis=2)
    assert len(found.fixed) == 32
    assert distance.min(axis=0).max() < 1e-6


def test_a_relu_network_has_half_a_line():
    """W v = v with v > 0: c v rests for every c >= 0, and nothing else does."""
    v = np.array([0.5, 1.0, 0.2])
    W = torch.from_numpy(np.outer(v, v) / (v @ v))
    (found,) = find_fixed_points(Custom(lambda z: (z @ W.mT).relu(), 3), cube(128, 3))
    along = found.fixed.z @ v / np.linalg.norm(v)
    assert np.abs(found.fixed.z - np.outer(along, v / np.linalg.norm(v))).max() < 1e-9
    assert along.min() > -1e-12
    assert along.max() > 0.3
    inside = along > 1e-3
    np.testing.assert_allclose(np.abs(found.fixed.eigenvalues[inside]), [[1, 0, 0]] * inside.sum(), atol=1e-9)


def test_an_imperfect_line_is_one_of_slow_points():
    """h' = 0.3 h + 0.7 g(u.h) u with g nearly the identity on [-1, 1]: at rest only at 0, slow all along u."""
    u = torch.from_numpy(orthogonal(4)[0])
    step = lambda z: 0.3 * z + 0.7 * ((1 - 1e-5) * (z @ u)).unsqueeze(-1) * u  # noqa: E731
    (found,) = find_fixed_points(Custom(step, 4), cube(128, 4))
    assert len(found.fixed) == 1
    assert found.fixed.kinds == ("stable",)
    assert len(found.slow) > 50
    assert found.slow.q.max() <= 1e-8
    scores = line_scores(found.slow, readout=u.numpy()[None])
    assert scores.participation_ratio == pytest.approx(1, abs=1e-3)
    assert (scores.along_slow, scores.along_readout) == pytest.approx((1, 1), abs=1e-3)
    assert scores.time_constant == pytest.approx(1 / 0.7e-5, rel=1e-3)


def test_a_plane_and_a_cloud_are_no_lines():
    rng = np.random.default_rng(0)
    flat = rng.normal(size=(4000, 2)) @ orthogonal(6)[:2]
    at = lambda z: Points(z, np.zeros(len(z)), np.tile(0.5 * np.eye(6), (len(z), 1, 1)))  # noqa: E731
    assert line_scores(at(flat)).participation_ratio == pytest.approx(2, rel=0.01)
    assert line_scores(at(rng.normal(size=(4000, 6)))).participation_ratio == pytest.approx(6, rel=0.01)


def test_too_few_points_and_no_readout_score_nan_where_there_is_nothing_to_say():
    one = Points(np.zeros((1, 2)), np.zeros(1), np.array([[[0.5, 0], [0, 0.1]]]))
    scores = line_scores(one)
    assert np.isnan([scores.participation_ratio, scores.first_share, scores.along_slow, scores.along_readout]).all()
    assert scores.time_constant == pytest.approx(1 / np.log(2))
    none = line_scores(Points(np.zeros((0, 2)), np.zeros(0), np.zeros((0, 2, 2))))
    assert none.points == 0
    assert np.isnan(none.rate)


def test_angles():
    x, y, z = np.eye(3)
    assert alignment(x, np.stack((x + y,), axis=1)) == pytest.approx(np.sqrt(0.5))
    assert alignment(z, np.stack((x, y), axis=1)) == pytest.approx(0)
    assert alignment(x + z, np.stack((x, y), axis=1)) == pytest.approx(np.sqrt(0.5))
    assert plane_alignment(np.stack((x, 0 * x), axis=1), np.stack((x + y, z), axis=1)) == pytest.approx(np.sqrt(0.5))


def test_kicks_are_what_an_input_leaves_along_the_slow_mode():
    """Of a linear map z' = A z + B x with a marginal mode, an input's kick is its whole lasting effect."""
    R, B = orthogonal(3) + 0.3 * orthogonal(3, 1), np.random.default_rng(0).normal(size=(3, 2))
    A = R @ np.diag([1, 0.6, 0.3]) @ np.linalg.inv(R)
    point = Points(np.zeros((1, 3)), np.zeros(1), A[None])
    x = np.array([[1.0, 0.0], [0.2, -0.7]])
    lasting = x @ (np.linalg.matrix_power(A, 200) @ B).T
    direction = R[:, 0] / np.linalg.norm(R[:, 0])
    direction *= np.sign(direction[np.argmax(np.abs(direction))])
    np.testing.assert_allclose(np.outer(input_projections(point, 0, B, x), direction), lasting, atol=1e-12)


class Reader(nn.Module):
    """Embedding, GRU, and a read-out of the last state."""

    def __init__(self, tokens: int, embedded: int, units: int):
        super().__init__()
        self.embed, self.gru = nn.Embedding(tokens, embedded), nn.GRU(embedded, units, batch_first=True)
        self.head = nn.Linear(units, 1)

    def states(self, tokens):
        return self.gru(self.embed(tokens))[0]

    def forward(self, tokens):
        return self.head(self.states(tokens)[:, -1])[:, 0]


LENGTH, TOKENS = 50, 20


def reviews(batch: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Tokens 0 ... 4 say yes, 5 ... 9 no, the others nothing; the label is whether there is more yes than no."""
    tokens = torch.randint(TOKENS, (batch, LENGTH), generator=generator)
    total = (tokens < 5).sum(1) - ((tokens >= 5) & (tokens < 10)).sum(1)
    return tokens, (total > 0).to(torch.get_default_dtype())


def trained_reader(steps: int, rate: float, generator: torch.Generator) -> Reader:
    """Labels at the last token alone; in single precision."""
    torch.manual_seed(0)
    net = Reader(TOKENS, 8, 32)
    optimiser = torch.optim.Adam(net.parameters(), lr=rate)
    for step in range(steps):
        optimiser.param_groups[0]["lr"] = rate * 0.02 ** (step / steps)
        tokens, label = reviews(128, generator)
        loss = nn.functional.binary_cross_entropy_with_logits(net(tokens), label)
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimiser.step()
    return net


@pytest.mark.slow
def test_a_network_that_learned_to_count_sentiment_has_a_line_attractor():
    """Maheswaranathan et al. 2019 on a toy, x* the mean embedding.

    Training leaves the line imperfect: two stable ends, a saddle between them, and slow points all along. A wide bound
    on q takes in all of the line and a small rate nothing beside it; a narrow bound would leave the ends alone.
    """
    torch.set_default_dtype(torch.float32)  # a third of the time
    generator = torch.Generator().manual_seed(0)
    net = trained_reader(8000, 5e-3, generator)
    torch.set_default_dtype(torch.float64)
    net = net.double()
    tokens, label = reviews(1000, generator)
    assert ((net(tokens) > 0) == (label > 0.5)).double().mean() > 0.99
    map = from_torch(net.gru)
    with torch.no_grad():
        visited = net.states(tokens[:256])[:, 10::5].flatten(0, 1)[None]
        mean = net.embed.weight.mean(dim=0)
    (found,) = find_fixed_points(map, visited, mean, Search(slow=1e-5, rate=0.02, fastest=0.02))
    every, readout = found.combined, net.head.weight.detach().numpy()
    scores = line_scores(every, readout)
    assert len(found.slow) > 50
    assert scores.participation_ratio < 1.15
    assert scores.first_share > 0.93
    assert scores.along_readout > 0.9
    assert abs(np.exp(scores.rate) - 1) < 2e-3
    assert np.exp(scores.second) < 0.97
    slowest = every.rates[np.arange(len(every)), every.slowest]
    assert np.abs(np.exp(slowest) - 1).max() < 3e-2
    B = input_jacobian(map, torch.from_numpy(every.z[None]), mean.expand(1, len(every), -1))[0].detach().numpy()
    middle = int(np.argmin(np.abs(every.z @ readout[0] + net.head.bias.item())))
    pushed = input_projections(every, middle, B[middle], (net.embed.weight - mean).detach().numpy())
    pushed *= np.sign(pushed[:5].mean())
    assert pushed[:5].min() > 0 > pushed[5:10].max()
    assert np.abs(pushed[10:]).max() < 0.5 * min(pushed[:5].min(), -pushed[5:10].max())


def pulses(batch: int, steps: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Three bits: pulses of -1 or 1 at half of the times, at the first for certain; remember the last of each."""
    shape = (steps, batch, 3)
    sign = 2.0 * torch.randint(2, shape, generator=generator) - 1
    x = sign * (torch.rand(shape, generator=generator) < 0.5)
    x[0] = sign[0]
    held = [x[0]]
    for now in x[1:]:
        held.append(torch.where(now == 0, held[-1], now))
    return x, torch.stack(held)


@pytest.mark.slow
def test_a_network_that_learned_three_flip_flops_rests_stably_at_eight_points():
    """The task of Sussillo and Barak 2013: one stable point a memory, told apart by the read-out."""
    torch.manual_seed(0)
    rng, generator = np.random.default_rng(0), torch.Generator().manual_seed(0)
    cell = tanh_network(rng.normal(size=(16, 16)) / 4, U=0.3 * rng.normal(size=(16, 3)))
    readout = nn.Linear(16, 3)
    weights = [*cell.parameters(), *readout.parameters()]
    optimiser = torch.optim.Adam(weights, lr=1e-2)
    for step in range(3000):
        optimiser.param_groups[0]["lr"] = 1e-2 * 0.05 ** (step / 3000)
        x, held = pulses(64, 64, generator)
        states = drive(cell, torch.zeros(1, 64, 16), x.unsqueeze(1))
        loss = (readout(states[:, 0]) - held).square().mean()
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(weights, 1.0)
        optimiser.step()
        if loss < 1e-4:
            break
    visited = states.detach().permute(1, 0, 2, 3).flatten(1, 2)
    (found,) = find_fixed_points(cell, visited, torch.zeros(3), Search(candidates=1024, noise=0.5))
    stable = np.array(found.fixed.kinds) == "stable"
    seen = readout(torch.from_numpy(found.fixed.z[stable])).detach().numpy()
    assert stable.sum() == 8
    assert len({tuple(code) for code in np.sign(seen).astype(int).tolist()}) == 8
    assert np.abs(np.abs(seen) - 1).max() < 0.1
    i = int(np.flatnonzero(stable)[0])
    at = torch.from_numpy(found.fixed.z[None, i : i + 1])
    (spectrum,) = lyapunov_spectra(cell, at, torch.zeros(2500, 1, 1, 3), steps=2000, warmup=500)
    np.testing.assert_allclose(spectrum.exponents[:4], found.fixed.rates[i, :4], atol=1e-3)
