"""The loss of forced windows is the mean of (x_hat - x)^2 under each update's plan, in whatever way it is computed."""

import pytest
import torch

from lyapsweep.cells import CELLS
from lyapsweep.forcing import Annealed, Full, Generalised, NoForcing, Random, Schedule, Sparse, Truncated
from lyapsweep.inits import gaussian
from lyapsweep.readouts import READOUTS
from lyapsweep.rollout import Network, stepwise
from lyapsweep.training.objectives import ForcedWindows
from lyapsweep.windows import Windows, cut, driving, starts

T, POPULATION, FEATURES, INPUTS, UPDATES = 12, 2, 3, 2, 4
WINDOWS = Windows(length=T, batch=5)
SERIES, DRIVE = (
    torch.randn(T + 3, n, generator=torch.Generator().manual_seed(n), dtype=torch.float64) for n in (FEATURES, INPUTS)
)


def generators(seed=7):
    """Members share the seed, as they do where intervals are drawn: they are cut at the same steps."""
    return [torch.Generator().manual_seed(seed) for _ in range(POPULATION)]


def network(cell_kind, readout_kind, inputs):
    cell = CELLS[cell_kind](inputs=inputs, population=POPULATION, units=5)
    drawn = [torch.Generator().manual_seed(s) for s in range(POPULATION)]
    cell.build([(gaussian, g) for g in drawn])
    readout = READOUTS[readout_kind](FEATURES, cell.units, cell.state, POPULATION)
    readout.build(drawn)
    return Network(cell, readout)


def gradients(loss, network):
    weights = [w for w in network.parameters() if w.numel()]
    return torch.autograd.grad(loss.sum(), weights, allow_unused=True, materialize_grads=True)


@pytest.mark.parametrize("driven", [False, True], ids=["alone", "driven"])
@pytest.mark.parametrize("readout", [kind for kind in READOUTS if not READOUTS[kind].whole])
@pytest.mark.parametrize("cell", ["lstm", "plrnn", "vanilla"])
@pytest.mark.parametrize(
    "forcing",
    [
        Sparse(interval=4),  # segments of one length
        Sparse(interval=5),  # the last one ends sooner, and runs on beyond the end of the series
        Full(),
        NoForcing(),
        Random(interval=4, spread=2),
        Annealed(interval=4),
        Generalised(alpha=0.3),
        Truncated(interval=5),
    ],
    ids=lambda forcing: type(forcing).__name__ + str(getattr(forcing, "interval", "")),
)
def test_the_loss_and_its_gradient_are_those_of_the_definition(forcing, cell, readout, driven):
    drive = DRIVE if driven else None
    trained = network(cell, readout, INPUTS if driven else 0)
    own, other = (Schedule([forcing] * POPULATION, T, UPDATES, generators()) for _ in range(2))
    objective = ForcedWindows(trained, own, SERIES, WINDOWS, generators(1), inputs=drive)
    first = torch.stack([starts(WINDOWS, len(SERIES), 256, g) for g in generators(1)], dim=1)
    assert first[:UPDATES].max() == len(SERIES) - T - 1, "some window ends where the series does"
    for update in range(UPDATES):
        x, s = cut(SERIES, first[update], T), driving(drive, first[update], T)
        predicted = stepwise(trained.cell, trained.readout, x, *other.at(update), s)
        wanted = (predicted - x[1:]).square().mean(dim=(0, 2, 3))
        found = objective.loss(update)
        torch.testing.assert_close(found, wanted)
        torch.testing.assert_close(gradients(found, trained), gradients(wanted, trained), atol=1e-11, rtol=1e-8)


def test_a_series_laid_out_by_columns_is_the_same():
    schedule = Schedule([Sparse(interval=5)] * POPULATION, T, UPDATES)
    by_columns = SERIES.T.contiguous().T
    assert not by_columns.is_contiguous()
    trained = network("lstm", "linear", 0)
    one, other = (
        ForcedWindows(trained, schedule, series, WINDOWS, generators(1)).loss(0) for series in (SERIES, by_columns)
    )
    assert torch.equal(one, other)
