"""Orbits that escape to infinity are found, however slowly; transients, cycles and driven sums are not among them."""

import math

import numpy as np
import pytest
import torch

from lyapsweep import Config, systems
from lyapsweep.dynamics import lyapunov_spectra
from lyapsweep.dynamics.escape import escaping
from lyapsweep.dynamics.frames import FrameResult
from lyapsweep.dynamics.spectrum import Spectrum
from lyapsweep.maps import AbstractMap, autodiff_push
from lyapsweep.results.best import can_win
from lyapsweep.results.record import Outcome, Record
from lyapsweep.results.table import Table
from lyapsweep.tracking.mlflow_names import final_tags, record_metrics
from lyapsweep.trial import network_spectrum, run_trial

STEPS = 400
Z = torch.float64


class Given(AbstractMap):
    """A map of one member by its step."""

    population = 1

    def __init__(self, step, state=1):
        self.state, self.given = state, step

    def step(self, z, x=None):
        return self.given(z, x)

    def push(self, z, x, V):
        return autodiff_push(self.step, z, x, V)


def judged(step, z, growth=0.0, inputs=None):
    """Whether orbits from the rows of z (batch, state) escape, judged after STEPS steps in ten blocks."""
    z, map = torch.as_tensor(z, dtype=Z).unsqueeze(0), Given(step, len(z[0]))
    orbit = torch.cat((z.unsqueeze(0), map.orbit(z, inputs, STEPS)))
    rates = torch.as_tensor(growth, dtype=Z).expand(1, z.shape[1]).unsqueeze(2) * STEPS / 10
    blocks = [FrameResult(z, z, rates, part, z, rates[None], [len(part)]) for part in orbit[:-1].chunk(10)]
    return escaping(map, blocks, orbit[-1], inputs)[0].tolist()


def test_affine_orbits_escape_or_stay():
    """z <- a z + c from 0.1, one orbit each."""
    escape = [(1, 0.01), (1, 5), (1.001, 0), (-1.001, 0), (1.0005, 0), (1.05, 0), (1.05, 1e-6)]
    stay = [(0.9, 1), (0.999, 0.001), (0.9999, 1e-4), (0.9999, 0.1), (0.99999, 0.1), (-1, 1e6), (1, 0), (1, 1e-12)]
    rate, push = torch.tensor([*escape, *stay], dtype=Z).T
    found = judged(lambda z, x: z * rate[:, None] + push[:, None], [[0.1]] * len(rate), rate.abs().log())
    assert found == [True] * len(escape) + [False] * len(stay)


def test_growth_as_a_power_of_time_is_an_escape():
    """z' = z + 1 / z^(1/3) grows as t^0.75, the sum of a linear drift as t^2; a walk as t^0.5 between walls."""

    def step(z, x):
        root, sum, drift, where = z.unbind(-1)
        return torch.stack([root + root.abs() ** (-1 / 3), sum + 0.01 * drift, drift + 0.01, where], dim=-1)

    found = judged(step, [[1, 0, 0, 3]])
    assert found == [True]
    assert judged(lambda z, x: z + z.abs() ** (-1 / 3), [[1]]) == [True]


def test_cycles_and_bounded_walks_stay():
    """Rotations by the angle of each row, fast, slow and damped; chaos; a walk between walls; growth to a bound."""
    size = torch.tensor([1.0, 1.0, 1e4, 0.9999, 1.001], dtype=Z)
    angle = torch.tensor([0.7, 1e-3, 1e-4, 1e-3, 0.1], dtype=Z)
    c, s = size.clamp(max=1.001) * angle.cos(), size.clamp(max=1.001) * angle.sin()
    c[2], s[2] = angle[2].cos(), angle[2].sin()

    def turn(z, x):
        return torch.stack([z[..., 0] * c - z[..., 1] * s, z[..., 0] * s + z[..., 1] * c], dim=-1)

    start = torch.tensor([[1, 0], [1, 0], [1e4, 0], [1, 0], [1, 0]], dtype=Z)
    assert judged(turn, start, [0, 0, 0, -1e-4, 1e-3]) == [False, False, False, False, True]

    def others(z, x):
        chaos, walk, grown = z.unbind(-1)
        moved = walk + 0.3 * (chaos - 0.5)
        walk = torch.where(moved.abs() < 3, moved, walk)
        return torch.stack([3.99 * chaos * (1 - chaos), walk, torch.tanh(1.002 * grown)], dim=-1)

    assert judged(others, [[0.3, 0, 0.01], [0.4, 1, 0.001]]) == [False, False]


def test_under_inputs_only_exponential_growth_is_an_escape():
    generator = torch.Generator().manual_seed(0)
    walk = torch.randn(STEPS, 1, 1, 1, dtype=Z, generator=generator)
    rate = torch.tensor([1, 1, 1.01, 0.9], dtype=Z)[:, None]
    push = torch.tensor([0, 1, 0, 0], dtype=Z)[:, None]
    found = judged(lambda z, x: rate * z + push + x, [[0.1]] * 4, inputs=walk)
    assert found == [False, False, True, False]


@pytest.mark.parametrize("name", ["lorenz63", "roessler", "henon", "lorenz96", "duffing", "ginibre", "mackey_glass"])
def test_known_systems_stay(name):
    system = systems.build(name)
    z = system.start(2, torch.Generator().manual_seed(0))
    assert lyapunov_spectra(system, z, steps=200, warmup=50, k=1)[0].escaped == 0


def spectrum(step, starts, **settings):
    z = torch.tensor(starts, dtype=Z).view(1, -1, 1)
    return lyapunov_spectra(Given(step), z, steps=100, **settings)[0]


@pytest.mark.parametrize("step", [lambda z, x: 1.05 * z, lambda z, x: 2 + z * z], ids=["steady", "overflow"])
def test_an_unbounded_spectrum_says_nothing_of_an_attractor(step):
    found = spectrum(step, [0.1])
    assert (found.unbounded, found.escaped, found.chaotic, found.positive) == (True, 1, False, 0)
    assert all(map(math.isnan, (found.kaplan_yorke, found.entropy_rate, found.gap, *found.kaplan_yorke_interval)))
    assert found.predictability_time == math.inf
    assert all(map(math.isnan, found.summary().values()))
    assert "1 of 1 orbits escape to infinity" in found.warnings[0]


def test_orbits_of_one_network_are_counted():
    bistable = lambda z, x: torch.where(z > 0, 1.05 * z, 0.5 * z)  # noqa: E731
    some, most = spectrum(bistable, [-1, 1, -1.0]), spectrum(bistable, [1, -1, 1.0], segments=2)
    assert (some.escaped, some.orbits, some.unbounded) == (1, 3, False)
    assert (most.escaped, most.orbits, most.unbounded) == (2, 3, True)
    assert "1 of 3" in some.warnings[0]


def test_it_is_written_and_read_and_older_files_have_none():
    written = spectrum(lambda z, x: 1.05 * z, [0.1]).to_dict()
    assert (written["unbounded"], written["escaped"]) == (True, 1)
    assert Spectrum.from_dict(written).unbounded
    del written["escaped"], written["unbounded"]
    assert not Spectrum.from_dict(written).unbounded
    assert Spectrum(np.array([math.nan]), np.array([math.nan]), 10, 1, "system", 1).unbounded


@pytest.fixture(scope="module")
def records():
    """A network that stays, and one that escapes at a constant rate (N6), after no step of training."""
    config = Config.of(
        {
            "dataset": {"kind": "simulated", "system": "lorenz63", "length": 600},
            "cell": {"kind": "plrnn", "units": 3},
            "windows": {"length": 20},
            "readout": {"kind": "identity"},
            "training": {"steps": 0},
            "lyapunov": {"steps": 300, "warmup": 50},
            "measures": ["loss", "divergence"],
        }
    )
    return list(run_trial(config))[-1]


def test_a_network_that_escapes_is_not_chaotic(records):
    weights = {name: w.copy() for name, w in records.weights.items()}
    weights["cell.A"][:], weights["cell.W"][:], weights["cell.h"][:] = [1.05, 0.5, 0.4], 0, 1
    found = network_spectrum(records.config, weights)
    assert found.maximum == pytest.approx(math.log(1.05))
    assert (found.unbounded, found.positive, found.chaotic) == (True, 0, False)
    assert math.isnan(found.kaplan_yorke)


def test_its_trial_ends_unbounded(records, monkeypatch):
    assert records.outcome is Outcome.FINISHED
    monkeypatch.setattr(
        "lyapsweep.dynamics.lyapunov.escaping", lambda map, blocks, z, inputs: torch.ones(z.shape[:2]) > 0
    )
    *_, last = run_trial(records.config)
    assert last.outcome is Outcome.UNBOUNDED
    assert last.outcome.final
    assert last.measures == pytest.approx(records.measures)  # scores are what they are
    tags = final_tags(last)
    assert (tags["outcome"], tags["chaotic"]) == ("unbounded", "unbounded")
    assert "Unbounded: growth rate" in tags["mlflow.note.content"]
    metrics = {m.key: m.value for m in record_metrics(last, 0)}
    assert math.isnan(metrics["spectra/closed loop/kaplan_yorke"])
    assert math.isnan(metrics["lambda_max/closed loop"])
    assert [name for name in metrics if "ratio to" in name or "by index/closed" in name] == []
    table = Table.of([last])
    assert np.isnan(table.spectra["closed loop"]).all()
    assert table.frame["outcome"].tolist() == ["unbounded"]
    assert not can_win("unbounded", 0.1)


def test_records_keep_the_outcome(tmp_path, records):
    from dataclasses import replace

    path = replace(records, outcome=Outcome.UNBOUNDED).save(tmp_path)
    assert Record.load(path).outcome is Outcome.UNBOUNDED
