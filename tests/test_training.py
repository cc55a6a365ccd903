"""Members share tensors and nothing else: freezing, clipping, rates, and independence of the pack."""

import numpy as np
import pytest
import torch

from lyapsweep.config import Config, Training
from lyapsweep.problems.network import build_network
from lyapsweep.problems.series import forcing_schedule
from lyapsweep.regularisation import penalty
from lyapsweep.results.record import Outcome, Record
from lyapsweep.training import GradientClip, train
from lyapsweep.training.objectives import ForcedWindows
from lyapsweep.trial import network_spectrum, run_trial, run_trials

TINY = {
    "dataset": {"kind": "simulated", "system": "lorenz63", "length": 600, "dt": 0.02},
    "cell": {"kind": "vanilla", "units": 6},
    "forcing": {"kind": "sparse", "interval": 5},
    "windows": {"length": 20, "batch": 4},
    "training": {"steps": 6, "lr": 0.01, "report_every": 3},
    "lyapunov": {"steps": 20, "warmup": 10, "orbits": 2},
    "measures": [
        "loss",
        "divergence",
        "gradients",
        "state_space",
        "power_spectrum",
        "prediction_error",
        "prediction_time",
    ],
}


def tiny(**changes):
    return Config.of(TINY).changed({k.replace("__", "/"): v for k, v in changes.items()})


def trained(configs, steps=None):
    """The last progress and the network of a pack, without any evaluation."""
    series = torch.randn(200, 3, generator=torch.Generator().manual_seed(0)).cumsum(0) / 10
    network = build_network(configs, 3)
    generators = [torch.Generator().manual_seed(2 * c.seed + 1) for c in configs]
    plans = [c.training for c in configs]
    added = penalty(network, [c.regularisation for c in configs])
    objective = ForcedWindows(network, forcing_schedule(configs), series, configs[0].windows, generators)
    *_, last = train(network, objective, plans, added)
    return last, network


def weights(network, p):
    return torch.cat([w[p].detach().flatten() for w in network.parameters()])


@pytest.mark.parametrize("kind", ["vanilla", "lstm", "plrnn", "dendritic_plrnn", "shallow_plrnn", "alrnn"])
def test_alone_and_in_a_pack_of_64_agree(kind):
    configs = [
        tiny(
            cell__kind=kind,
            seed=s,
            forcing__interval=1 + s % 7,
            training__lr=0.001 * (1 + s % 5),
            training__clip=0.5 + s,
        )
        for s in range(64)
    ]
    together, pack = trained(configs)
    for p in (0, 13, 63):
        alone, single = trained([configs[p]])
        torch.testing.assert_close(together.losses[:, p], alone.losses[:, 0], rtol=1e-9, atol=1e-12)
        torch.testing.assert_close(weights(pack, p), weights(single, 0), rtol=1e-8, atol=1e-10)


def test_a_member_that_diverges_is_frozen_and_its_neighbours_do_not_move_by_a_bit():
    wild = tiny(seed=1, cell__kind="plrnn", training__lr=1e200)
    calm = [tiny(seed=s, cell__kind="plrnn") for s in (2, 3)]
    last, pack = trained([calm[0], wild, calm[1]])
    assert last.alive.tolist() == [True, False, True]
    assert last.died_at[1] is not None
    assert last.died_at[::2] == [None, None]
    assert weights(pack, 1).isfinite().all()
    placid, same = trained([calm[0], tiny(seed=1, cell__kind="plrnn"), calm[1]])
    for p in (0, 2):
        assert torch.equal(weights(pack, p), weights(same, p))
        assert torch.equal(last.losses[:, p], placid.losses[:, p])


def test_the_clip_bounds_the_gradient_that_is_used():
    """The recorded norm is the one before clipping; what follows from the clipped gradient is another network."""
    free, a = trained([tiny()])
    clipped, b = trained([tiny(training__clip=1e-3)])
    assert torch.equal(free.gradient_norms[0], clipped.gradient_norms[0])
    assert not torch.equal(weights(a, 0), weights(b, 0))


def test_rates_decay_to_their_end():
    slow, _ = trained([tiny(training__lr=0.01, training__lr_end=0.01)])
    constant, _ = trained([tiny(training__lr=0.01)])
    decayed, _ = trained([tiny(training__lr=0.01, training__lr_end=1e-6)])
    assert torch.equal(slow.losses, constant.losses)
    assert torch.equal(slow.losses[:2, 0][0], decayed.losses[:2, 0][0])
    assert not torch.equal(slow.losses[2:], decayed.losses[2:])


@pytest.mark.parametrize("optimizer", ["adam", "radam", "sgd"])
def test_a_population_of_one_follows_torchs_optimizer(optimizer):
    """Our per-member rates on top of torch's optimizer are torch's optimizer at that rate."""
    config = tiny(training__optimizer=optimizer, training__lr=0.03)
    _, ours = trained([config])
    theirs = build_network([config], 3)
    reference = {"adam": torch.optim.Adam, "radam": torch.optim.RAdam, "sgd": torch.optim.SGD}[optimizer](
        theirs.parameters(), lr=0.03
    )
    from lyapsweep.rollout import forced
    from lyapsweep.windows import cut, starts

    series = torch.randn(200, 3, generator=torch.Generator().manual_seed(0)).cumsum(0) / 10
    first = starts(config.windows, 200, 256, torch.Generator().manual_seed(1))
    for step in range(6):
        x = cut(series, first[step][None], 20)
        reference.zero_grad()
        predictions = forced(theirs.cell, theirs.readout, x, *forcing_schedule([config]).at(step))
        (predictions - x[1:]).square().mean().backward()
        reference.step()
    torch.testing.assert_close(weights(ours, 0), weights(theirs, 0), rtol=1e-9, atol=1e-12)


def test_training_lowers_the_loss():
    last, _ = trained([tiny(training__steps=150)])
    assert last.losses[-10:].mean() < 0.5 * last.losses[:10].mean()


def test_a_trial_is_a_stream_of_records(tmp_path):
    records = list(run_trial(tiny()))
    assert [(r.step, r.outcome) for r in records] == [(0, "running"), (3, "running"), (6, "finished")]
    final = records[-1]
    assert set(TINY["measures"]) <= set(final.measures)
    assert final.spectra["closed loop"].state == 6
    assert final.traces["loss"].shape == (6,)
    again = Record.load(final.save(tmp_path))
    assert again.config == final.config
    assert again.measures == pytest.approx(final.measures, nan_ok=True)
    assert again.floors == pytest.approx(final.floors, nan_ok=True)
    np.testing.assert_array_equal(again.weights["cell.W"], final.weights["cell.W"])
    np.testing.assert_array_equal(again.spectra["closed loop"].exponents, final.spectra["closed loop"].exponents)


def test_the_same_seed_gives_the_same_record():
    first, second = (list(run_trial(tiny()))[-1] for _ in range(2))
    assert first.measures == pytest.approx(second.measures, rel=0, abs=0, nan_ok=True)


def test_a_diverged_member_gets_one_final_record():
    pack = [tiny(seed=0, cell__kind="plrnn"), tiny(seed=1, cell__kind="plrnn", training__lr=1e200)]
    reports = list(run_trials(pack))
    ends = [r for records in reports for r in records if r.config == pack[1] and r.outcome.final]
    assert [r.outcome for r in ends] == [Outcome.DIVERGED]
    assert 0 < ends[0].step < 6
    assert reports[-1][-1].config == pack[0]


def test_forced_spectra_on_request():
    record = list(run_trial(tiny(lyapunov__forced=True, forcing__interval=5)))[-1]
    assert (record.spectra["forced"].exponents == -np.inf).all()
    leaky = tiny(lyapunov__forced=True, forcing__kind="generalised", forcing__alpha=0.5)
    spectra = list(run_trial(leaky))[-1].spectra
    assert spectra["forced"].maximum == pytest.approx(spectra["closed loop"].maximum + np.log(0.5), abs=0.5)
    free = list(run_trial(tiny(lyapunov__forced=True, forcing__kind="none")))[-1].spectra
    assert free["forced"].maximum == pytest.approx(free["closed loop"].maximum, abs=0.5)


def test_packs_of_different_shapes_are_refused():
    with pytest.raises(ValueError, match="share everything but seed"):
        next(run_trials([tiny(), tiny(cell__units=7)]))


def test_windows_longer_than_the_series():
    with pytest.raises(ValueError, match="windows/length < steps in the training series"):
        next(run_trial(tiny(windows__length=700)))  # before any work


def test_the_spectrum_of_a_record_comes_back_from_its_weights():
    first, *_, final = run_trial(tiny())
    again = network_spectrum(final.config, final.weights)
    np.testing.assert_array_equal(again.exponents, final.spectra["closed loop"].exponents)
    assert again.dt == 0.02
    np.testing.assert_array_equal(network_spectrum(first.config).exponents, first.spectra["closed loop"].exponents)


@pytest.mark.parametrize(
    ("spoil", "text"),
    [
        (lambda w: w.pop("cell.W"), "'cell.W' is missing"),
        (lambda w: w.update({"cell.W": np.zeros((2, 2))}), r"must have shape \(6, 6\)"),
        (lambda w: w["cell.W"].fill(np.nan), "not finite"),
    ],
)
def test_weights_that_do_not_fit(spoil, text):
    weights = {"cell.W": np.zeros((6, 6)), "cell.b": np.zeros(6), "readout.B": np.zeros((3, 6))}
    spoil(weights)
    with pytest.raises(ValueError, match=text):
        network_spectrum(tiny(), weights)


VARYING = [
    {"forcing__kind": "random", "forcing__interval": 6, "forcing__spread": 4},
    {"forcing__kind": "annealed", "forcing__interval": 9},
    {"forcing__kind": "adaptive", "forcing__every": 2, "forcing__gamma": 0.5},
    {"forcing__kind": "adaptive", "forcing__every": 1, "forcing__proxy": "geometric_mean", "forcing__gamma": 0.9},
    {"forcing__kind": "truncated", "forcing__interval": 4, "forcing__start": "zero"},
    {"forcing__kind": "none", "training__clip_value": 0.01},
    {"forcing__kind": "sparse", "regularisation__attractor": 0.1, "training__clip": 0.5},
    {"forcing__kind": "generalised", "regularisation__latent": 0.01, "regularisation__observation": 0.02},
]


@pytest.mark.parametrize("readout", ["linear", "identity"])
def test_alone_and_in_a_pack_of_every_forcing_agree(readout):
    """Intervals that are drawn, strengths that adapt, pulls on the weights: each a member's own."""
    settings = [{k: v for k, v in s.items() if readout == "linear" or "observation" not in k} for s in VARYING]
    configs = [
        tiny(cell__kind="dendritic_plrnn", cell__bases=4, readout__kind=readout, training__steps=10, seed=p, **s)
        for p, s in enumerate(settings)
    ]
    together, pack = trained(configs)
    for p, config in enumerate(configs):
        alone, single = trained([config])
        torch.testing.assert_close(together.losses[:, p], alone.losses[:, 0], rtol=1e-9, atol=1e-12)
        torch.testing.assert_close(together.strengths[:, p], alone.strengths[:, 0], rtol=1e-9, atol=1e-12)
        torch.testing.assert_close(weights(pack, p), weights(single, 0), rtol=1e-8, atol=1e-10)


def test_a_trial_under_changing_forcing_reports_what_it_is_evaluated_under():
    annealed, _ = trained([tiny(forcing__kind="annealed", forcing__interval=9)])
    assert annealed.strengths[:, 0].nonzero().flatten().tolist() == [0, 9, 18]
    adaptive, _ = trained([tiny(forcing__kind="adaptive", forcing__every=1, forcing__gamma=0.5)])
    assert 0 <= adaptive.strengths[1, 0] < 1
    record = list(run_trial(tiny(forcing__kind="adaptive", lyapunov__forced=True)))[-1]
    assert record.spectra["forced"].maximum < record.spectra["closed loop"].maximum


def test_clipping_by_norm_and_by_value():
    plans = [Training(clip=2.0), Training(clip_value=0.5), Training(), Training(clip=5.0, clip_value=1.0)]
    gradient = torch.tensor([[3.0, -4.0]]).repeat(4, 1)
    clipped = GradientClip(plans, torch.zeros(4, 2))(gradient, gradient.norm(dim=1))
    expected = torch.tensor([[1.2, -1.6], [0.5, -0.5], [3.0, -4.0], [1.0, -1.0]])
    torch.testing.assert_close(clipped, expected)
    assert torch.equal(GradientClip(plans[:1], torch.zeros(1, 2))(torch.zeros(1, 2), torch.zeros(1)), torch.zeros(1, 2))
