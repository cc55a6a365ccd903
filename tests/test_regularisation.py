"""Each pull against its formula, member by member; where nothing is pulled, nothing is computed."""

import pytest
import torch

from lyapsweep.cells import CELLS
from lyapsweep.config import Config, ConfigError
from lyapsweep.inits import gaussian
from lyapsweep.readouts import READOUTS
from lyapsweep.regularisation import Regularisation, penalty
from lyapsweep.rollout import Network

PARTS = {kind: cell.linear_part for kind, cell in CELLS.items() if cell.linear_part}


def network(kind="plrnn", readout_kind="linear", population=3):
    cell = CELLS[kind](inputs=0, population=population, units=10)
    generators = [torch.Generator().manual_seed(s) for s in range(population)]
    cell.build([(gaussian, g) for g in generators])
    readout = READOUTS[readout_kind](4, cell.units, cell.state, population)
    readout.build(generators)
    return Network(cell, readout)


def test_no_weight_is_no_work():
    assert penalty(network(), [Regularisation(), Regularisation(), Regularisation()]) is None


@pytest.mark.parametrize("kind", list(PARTS))
def test_the_manifold_attractor_pulls_on_its_share_of_units(kind):
    net = network(kind)
    plans = [Regularisation(attractor=0.5, attractor_ratio=0.3), Regularisation(), Regularisation(attractor=2.0)]
    plans[2] = Regularisation(attractor=2.0, attractor_ratio=1.0)
    added = penalty(net, plans)
    A, W, h = (dict(net.cell.named_parameters())[name] for name in PARTS[kind])
    expected = [0.0, 0.0, 0.0]
    for p, units, weight in ((0, 3, 0.5), (2, 10, 2.0)):
        for i in range(units):
            expected[p] += weight * ((A[p, i] - 1) ** 2 + (W[p, i] ** 2).sum() + h[p, i] ** 2).item()
    assert added().tolist() == pytest.approx(expected)
    gradient = torch.autograd.grad(added().sum(), A)[0]
    assert not gradient[0, 3:].any()
    assert not gradient[1].any()
    torch.testing.assert_close(gradient[2], 4.0 * (A[2] - 1).detach())


def test_a_manifold_attractor_is_a_memory():
    """Descended alone, the held units keep any value for ever: z_i' = z_i."""
    net = network("plrnn")
    added = penalty(net, [Regularisation(attractor=1.0)] * 3)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.25)
    for _ in range(80):
        optimizer.zero_grad()
        added().sum().backward()
        optimizer.step()
    z = torch.randn(3, 2, 10)
    torch.testing.assert_close(net.cell.step(z)[..., :3], z[..., :3], atol=1e-10, rtol=0)
    assert not torch.allclose(net.cell.step(z)[..., 3:], z[..., 3:])


@pytest.mark.parametrize("kind", list(CELLS))
def test_latent_l2(kind):
    net = network(kind)
    diagonal = net.cell.linear_part[0] if net.cell.linear_part else None
    expected = [0.0, 0.0, 0.0]
    for name, w in net.cell.named_parameters():
        for p in (0, 1):
            expected[p] += 1e-3 * (p + 1) * ((w[p] - float(name == diagonal)) ** 2).sum().item()
    added = penalty(net, [Regularisation(latent=1e-3), Regularisation(latent=2e-3), Regularisation()])
    assert added().tolist() == pytest.approx(expected)


def test_the_condition_of_the_readout():
    net = network()
    B = net.readout.B.detach()
    B[0] = torch.eye(4, 10) * torch.tensor([1.0, 2.0, 4.0, 3.0])[:, None]
    B[1] = 0.0  # sigma_min = 0: a member that asks for nothing is not spoilt by it
    B[2] = 7 * torch.eye(4, 10)
    added = penalty(net, [Regularisation(observation=0.1), Regularisation(), Regularisation(observation=5.0)])
    assert added().tolist() == pytest.approx([0.1 * 9, 0.0, 0.0])
    (gradient,) = torch.autograd.grad(added().sum(), net.readout.B)
    assert gradient.isfinite().all()
    assert gradient[0, 2, 2] == pytest.approx(0.1 * 2 * 3)  # d (s_max / s_min - 1)^2 / d s_max
    assert not gradient[1:].abs().gt(1e-12).any()


@pytest.mark.parametrize(
    ("cell", "readout", "settings", "text"),
    [
        ("lstm", "linear", {"attractor": 0.1}, "A z \\+ W phi"),
        ("plrnn", "identity", {"observation": 0.1}, "read-out with a matrix"),
        ("plrnn", "linear", {"latent": -1.0}, "regularisation/latent must be a finite number >= 0"),
        ("plrnn", "linear", {"attractor_ratio": 0.0}, "regularisation/attractor_ratio"),
        ("plrnn", "linear", {"atractor": 1.0}, "Did you mean regularisation/attractor"),
    ],
)
def test_impossible_regularisations_are_refused(cell, readout, settings, text):
    content = {"dataset": {"kind": "simulated", "system": "lorenz63"}, "cell": {"kind": cell}}
    with pytest.raises(ConfigError, match=text):
        Config.of(content | {"readout": {"kind": readout}, "regularisation": settings})
