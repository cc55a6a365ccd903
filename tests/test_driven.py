"""Networks that tasks drive: what they descend, how they are judged, their spectra, and what a config refuses."""

import math

import numpy as np
import pytest
import torch

from lyapsweep.config import Config, ConfigError
from lyapsweep.datasets import build as data
from lyapsweep.evaluation.task import orbits, score_windows
from lyapsweep.problems import problem_of
from lyapsweep.problems.network import build_network
from lyapsweep.results.record import Record
from lyapsweep.rollout import driven
from lyapsweep.training.examples import Examples
from lyapsweep.training.losses import window_losses
from lyapsweep.training.objectives import DrivenWindows
from lyapsweep.trial import network_spectrum, run_trial, run_trials

TINY = {
    "dataset": {"kind": "adding", "length": 8, "train": 50, "test": 20},
    "cell": {"kind": "vanilla", "units": 6},
    "windows": {"batch": 4},
    "training": {"steps": 6, "lr": 0.01, "report_every": 3},
    "lyapunov": {"steps": 6, "warmup": 2, "orbits": 5},
    "measures": ["loss", "solved", "time_to_threshold", "gradients"],
}
COPYING = {"kind": "copying", "delay": 4, "items": 2, "alphabet": 3, "train": 40, "test": 12}
TEXT = {"kind": "characters", "length": 3000}
OTHERS = [
    ({"dataset": COPYING, "measures": ["loss", "accuracy", "solved"]}, None),
    ({"dataset": {"kind": "image_rows"}, "cell": {"kind": "gru", "units": 5}, "readout": {"kind": "neuroview"}}, None),
    (
        {
            "dataset": {"kind": "flip_flop", "length": 12, "train": 20, "test": 5},
            "cell": {"kind": "scurnn", "units": 4},
        },
        12,
    ),
    ({"dataset": {"kind": "sines", "length": 30, "train": 4, "test": 2}, "windows": {"length": 10}}, 10),
    ({"dataset": TEXT, "windows": {"length": 15, "batch": 3}, "measures": ["loss", "accuracy"]}, 15),
]


def tiny(content=None, **changes):
    return Config.of(TINY | (content or {})).changed({k.replace("__", "/"): v for k, v in changes.items()})


def network(config, population=1):
    known = data(**config.dataset)
    return build_network([config.changed({"seed": s}) for s in range(population)], *problem_of(config).size), known


# ---- what is descended ---------------------------------------------------------------------------------------------
@pytest.mark.parametrize("kind", ["vanilla", "lstm", "gru", "cornn", "scornn", "shallow_plrnn"])
def test_driven_states_are_those_of_step_after_step(kind):
    net, task = network(tiny(cell__kind=kind), population=2)
    x, *_ = Examples(task, "train", None, "cpu", torch.float64).cut(torch.arange(6).reshape(2, 3))
    z = torch.zeros(2, 3, net.cell.state)
    for t in range(8):
        z = net.cell.step(z, x[t])
    torch.testing.assert_close(driven(net, x, "last"), net.readout(z), atol=1e-12, rtol=0)
    torch.testing.assert_close(driven(net, x, "step")[-1], net.readout(z), atol=1e-12, rtol=0)


@pytest.mark.parametrize("kind", ["vanilla", "lstm", "gru"])
def test_gradients_are_those_of_a_plain_loop(kind):
    """Whatever is hoisted out of the loop or written out by hand, against autograd through `step`."""
    net, task = network(tiny(cell__kind=kind), population=2)
    x, targets, mask = Examples(task, "train", None, "cpu", torch.float64).cut(torch.arange(6).reshape(2, 3))
    z = torch.zeros(2, 3, net.cell.state)
    for t in range(8):
        z = net.cell.step(z, x[t])
    wanted = torch.autograd.grad((net.readout(z) - targets).square().mean(dim=(1, 2)).sum(), net.parameters())
    losses = window_losses(task, driven(net, x, "last"), targets, mask).mean(dim=1)
    for got, want in zip(torch.autograd.grad(losses.sum(), net.parameters()), wanted):
        torch.testing.assert_close(got, want, atol=1e-12, rtol=1e-9)


def test_losses_by_their_definitions():
    """Cross-entropy over every step, and over those that count, by explicit sums."""
    from dataclasses import replace

    config = tiny({"dataset": COPYING})
    net, task = network(config, population=2)
    some = torch.tensor([[3, 1, 4], [0, 2, 5]])
    for mask in (None, np.arange(8) >= 6):
        task = replace(task, mask=mask)
        x, targets, counts = Examples(task, "train", None, "cpu", torch.float64).cut(some)
        answers = driven(net, x, task.head)
        got = window_losses(task, answers, targets, counts)
        for p in range(2):
            for b, sequence in enumerate(some[p].tolist()):
                losses = []
                for t in range(8):
                    if mask is None or mask[t]:
                        logits = answers[t, p, b].detach().numpy()
                        right = logits[task.train_targets[sequence, t]]
                        losses.append(math.log(np.exp(logits).sum()) - right)
                assert got[p, b].item() == pytest.approx(np.mean(losses), abs=1e-12)


def test_windows_are_cut_anywhere_and_with_what_follows():
    task = data(**TEXT)
    examples = Examples(task, "train", 15, "cpu", torch.float64)
    assert len(examples) == task.length - 14
    x, targets, _ = examples.cut(torch.tensor([7, len(examples) - 1]))
    np.testing.assert_array_equal(x[:, 0].argmax(-1), task.train_inputs[0, 7:22])
    np.testing.assert_array_equal(targets[:, 1], task.train_targets[0, -15:])
    torch.testing.assert_close(x.sum(-1), torch.ones(15, 2))
    sequences = Examples(data("flip_flop", length=12, train=6, test=2), "train", 5, "cpu", torch.float64)
    assert len(sequences) == 6 * 8
    x, targets, _ = sequences.cut(torch.tensor([2 * 8 + 3]))
    np.testing.assert_array_equal(x[:, 0], sequences.task.train_inputs[2, 3:8])
    np.testing.assert_array_equal(targets[:, 0], sequences.task.train_targets[2, 3:8])
    assert sequences.whole.tolist() == [s * 8 + f for s in range(6) for f in (0, 5)]


def test_a_members_windows_are_its_own_and_uniform():
    config = tiny()
    net, task = network(config, population=2)
    generators = [torch.Generator().manual_seed(s) for s in (1, 2)]
    objective = DrivenWindows(net, task, config.windows, generators)
    objective.loss(0)
    drawn = objective.sampler.drawn
    assert drawn.shape == (256, 2, 4)
    assert not torch.equal(drawn[:, 0], drawn[:, 1])
    assert torch.bincount(drawn.flatten(), minlength=50).min() > 15  # of 2048 over 50 sequences: 41 expected


@pytest.mark.parametrize("content", [{}, OTHERS[0][0], OTHERS[1][0]])
def test_alone_and_in_a_pack_agree(content):
    configs = [tiny(content, seed=s, training__lr=0.01 * (1 + s), training__clip=0.5 + s) for s in range(3)]
    together = {r.config.seed: r for records in run_trials(configs) for r in records}
    for p in (0, 2):
        *_, alone = run_trial(configs[p])
        np.testing.assert_allclose(together[p].traces["loss"], alone.traces["loss"], rtol=1e-9)
        for name, weight in alone.weights.items():
            np.testing.assert_allclose(together[p].weights[name], weight, rtol=1e-8, atol=1e-10)
        for name, score in alone.measures.items():
            assert together[p].measures[name] == pytest.approx(score, rel=1e-6, abs=1e-9, nan_ok=True)


# ---- a trial -------------------------------------------------------------------------------------------------------
def test_a_trial_is_a_stream_of_records(tmp_path):
    records = list(run_trial(tiny()))
    assert [(r.step, r.outcome) for r in records] == [*((s, "running") for s in (0, 1, 2, 3)), (6, "finished")]
    final = records[-1]
    again = Record.load(final.save(tmp_path))
    assert again.measures == pytest.approx(final.measures, nan_ok=True)
    assert again.provenance.data.baseline == pytest.approx(1 / 6)
    assert set(final.spectra) == {"driven"}
    assert again.spectrum.map == "driven"
    assert "truth" not in final.traces
    np.testing.assert_array_equal(network_spectrum(final.config, final.weights).exponents, final.spectrum.exponents)


@pytest.mark.parametrize(("content", "length"), OTHERS, ids=lambda value: value if isinstance(value, int) else "")
def test_every_kind_of_task_is_trained(content, length):
    config = tiny({"measures": ["loss", "solved"]} | content)
    assert config.windows.length == (content.get("windows") or {}).get("length")
    *_, last = run_trial(config)
    assert last.outcome == "finished"
    assert all(math.isfinite(last.measures[name]) for name in config.measures)
    assert last.spectrum.finite


def test_held_out_losses_are_those_of_each_sequence():
    config = tiny({"dataset": COPYING})
    net, task = network(config, population=2)
    losses, accuracies = score_windows(net, task, None)
    assert losses.shape == accuracies.shape == (2, 12)
    x, targets, _ = Examples(task, "test", None, "cpu", torch.float64).cut(torch.arange(12).expand(2, -1))
    answers = driven(net, x, "step")
    np.testing.assert_allclose(accuracies, (answers.argmax(-1) == targets).double().mean(0), atol=1e-12)
    np.testing.assert_allclose(losses, window_losses(task, answers, targets, None).detach(), atol=1e-12)
    pieces, _ = score_windows(net, task, 4)
    assert pieces.shape == (2, 24)


# ---- spectra -------------------------------------------------------------------------------------------------------
def test_a_linear_networks_driven_exponents_are_those_of_its_matrix():
    """Small states leave tanh linear: whatever the inputs, exponents are log |eigenvalues| of W."""
    text = {"dataset": TEXT, "windows": {"length": 15}, "measures": ["loss"]}
    config = tiny(text | {"lyapunov": {"orbits": 1}}, lyapunov__steps=250, lyapunov__warmup=40)
    net, _ = network(config)
    with torch.no_grad():
        net.cell.U.mul_(1e-9)
        net.cell.b.zero_()
        net.cell.W.copy_(torch.diag(torch.linspace(0.9, 0.4, 6)))
    weights = {name: w[0].detach().numpy() for name, w in net.named_parameters()}
    spectrum = network_spectrum(config, weights)
    np.testing.assert_allclose(spectrum.exponents, np.log(np.linspace(0.9, 0.4, 6)), atol=2e-3)


def test_two_trajectories_approach_each_other_at_the_largest_driven_exponent():
    config = tiny({"dataset": TEXT, "windows": {"length": 15}, "measures": ["loss"]}, lyapunov__orbits=1)
    config = config.changed({"lyapunov/steps": 250, "lyapunov/warmup": 40})
    net, task = network(config)
    z, inputs = orbits(net.double(), task, config.lyapunov)
    nudge, logs = 1e-7 * torch.randn(z.shape, generator=torch.Generator().manual_seed(0)), []
    with torch.no_grad():
        for x in inputs:
            apart = net.cell.step(z + nudge, x) - net.cell.step(z, x)
            z, size = net.cell.step(z, x), apart.norm()
            logs.append(math.log(size / 1e-7))
            nudge = apart * (1e-7 / size)
    assert np.mean(logs[40:]) == pytest.approx(network_spectrum(config).maximum, abs=2e-3)


def test_orbits_are_sequences_or_pieces_of_a_stream():
    config = tiny(lyapunov__orbits=7, lyapunov__steps=100)
    net, task = network(config)
    _, inputs = orbits(net, task, config.lyapunov)
    np.testing.assert_array_equal(inputs[:, 0].transpose(0, 1), task.test_inputs[:7])
    spectrum = network_spectrum(config)
    assert (spectrum.steps, spectrum.orbits, spectrum.settings["warmup"]) == (6, 7, 2)
    assert network_spectrum(config.changed({"lyapunov/orbits": 99, "lyapunov/warmup": 50})).orbits == 20
    text = tiny({"dataset": TEXT, "windows": {"length": 15}, "measures": ["loss"]}, lyapunov__orbits=3)
    net, task = network(text)
    _, inputs = orbits(net, task, text.lyapunov)
    for orbit, first in enumerate((0, 100, 200)):
        np.testing.assert_array_equal(inputs[:, 0, orbit].argmax(-1), task.test_inputs[0, first : first + 8])


def test_gradients_grow_at_the_driven_exponent():
    config = tiny(
        {"dataset": {"kind": "adding", "length": 60, "train": 5, "test": 30}, "cell": {"kind": "vanilla", "units": 20}}
    )
    config = config.changed({"lyapunov/steps": 50, "lyapunov/warmup": 10, "lyapunov/orbits": 30})
    first = next(run_trial(config))
    assert first.measures["gradients"] < 0.05
    assert first.measures["gradients/slope"] == pytest.approx(first.spectrum.maximum, abs=0.05)


# ---- what a config refuses -----------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"forcing": {"kind": "sparse"}}, "forcing/kind must be none where dataset/kind is 'adding', but got 'sparse'"),
        ({"lyapunov": {"forced": True}}, "lyapunov/forced must be false where dataset/kind is 'adding'"),
        (
            {"measures": ["state_space", "loss"]},
            r"state_space must go, for dataset 'adding' is a task.*accuracy, solved",
        ),
    ],
)
def test_what_a_task_cannot_have(changes, text):
    with pytest.raises(ConfigError, match=text):
        tiny(changes)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"windows": {"length": 5}}, "windows/length: must be null"),
        ({"dataset": TEXT, "measures": ["loss"]}, "windows/length: must be a number"),
        ({"dataset": COPYING, "windows": {"length": 9}}, "windows/length: must not exceed the 8 steps"),
        ({"dataset": COPYING, "readout": {"kind": "neuroview"}}, "answers once per sequence.*asks at every step"),
    ],
)
def test_windows_and_readouts_that_do_not_suit_the_task(changes, text):
    with pytest.raises(ConfigError, match=text):
        next(run_trial(tiny({"measures": ["loss"]} | changes)))


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"readout": {"kind": "neuroview"}}, "neuroview' maps whole sequences.*dataset/kind must be a task"),
        ({"windows": {"length": None}}, "windows/length must be a number for a series"),
        ({"measures": ["accuracy"]}, "accuracy must go, for dataset 'simulated' is a series"),
    ],
)
def test_what_a_series_cannot_have(changes, text):
    with pytest.raises(ConfigError, match=text):
        Config.of({"dataset": {"kind": "simulated", "system": "henon"}, "cell": {"kind": "vanilla"}} | changes)


def test_defaults_follow_the_kind_of_dataset():
    task = Config.of({k: TINY[k] for k in ("dataset", "cell")})
    assert (task.readout["kind"], task.windows.length, task.measures) == ("affine", None, ["loss", "solved"])
    series = Config.of({"dataset": {"kind": "simulated", "system": "henon"}, "cell": {"kind": "vanilla"}})
    assert (series.readout["kind"], series.windows.length) == ("linear", 200)


# ---- learning ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("kind", "steps"), [("lstm", 900), ("gru", 600)])
def test_adding_is_learnt_over_thirty_steps(kind, steps):
    """To below a tenth of what an answer without memory loses, from every seed."""
    torch.set_default_dtype(torch.float32)
    content = {
        "dataset": {"kind": "adding", "length": 30, "test": 200},
        "cell": {"kind": kind, "units": 16},
        "training": {"steps": steps, "lr": 0.02, "lr_end": 0.002, "clip": 1.0},
        "windows": {"batch": 32},
    }
    *_, last = run_trials([tiny(content, seed=s) for s in range(2)])
    for record in last:
        assert record.measures["loss"] < 0.1 / 6
        assert record.measures["solved"] == 1
        assert record.measures["time_to_threshold"] < steps
        assert record.measures["time_to_threshold/censored"] == 0
