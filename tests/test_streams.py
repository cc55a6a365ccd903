"""Windows that follow each other: what carries from one to the next, what must not, and what a reset costs."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from lyapsweep.cells.unrolled import drive
from lyapsweep.config import Config, ConfigError
from lyapsweep.datasets import build as data
from lyapsweep.evaluation.stateful import stream_scores, unbroken
from lyapsweep.evaluation.task import driven_spectra, orbits, segment_spectra
from lyapsweep.problems import problem_of
from lyapsweep.problems.network import build_network
from lyapsweep.rollout import across_time, driven
from lyapsweep.training.examples import Examples
from lyapsweep.training.objectives import DrivenWindows
from lyapsweep.training.stateful_windows import CarriedWindows
from lyapsweep.trial import run_trial, run_trials
from lyapsweep.windows import Windows

TINY = {
    "dataset": {"kind": "buckets", "years": 3},
    "cell": {"kind": "gru", "units": 6},
    "init": {"kind": "gaussian", "gain": 0.9},
    "windows": {"length": 20, "batch": 4, "policy": "stateful"},
    "training": {"steps": 4, "lr": 0.01},
    "lyapunov": {"steps": 40, "warmup": 10, "orbits": 2},
    "measures": ["loss", "loss_reset", "loss_unbroken"],
}
POLICIES = ("random", "conditional", "stateful", "sequential")


def tiny(**changes):
    return Config.of(TINY).changed({k.replace("__", "/"): v for k, v in changes.items()})


def network(config, population=2):
    known = data(**config.dataset)
    return build_network([config.changed({"seed": s}) for s in range(population)], *problem_of(config).size), known


def carried(config, population=2):
    net, task = network(config, population)
    generators = [torch.Generator().manual_seed(s) for s in range(population)]
    return CarriedWindows(net, task, config.windows, generators), net, task


def stream(task, part="train"):
    """All inputs (time, 1, 1, inputs) and targets of a part."""
    x, targets, _ = Examples(task, part, None, "cpu", torch.float64).cut(torch.zeros(1, 1, dtype=torch.long))
    return x, targets


# ---- states carried ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("kind", ["gru", "lstm"])
def test_carried_windows_are_one_pass(kind):
    """Window after window from the last state before it, against all steps at once."""
    net, task = network(tiny(cell__kind=kind))
    examples = Examples(task, "test", 61, "cpu", torch.float64)
    x, targets = stream(task, "test")
    steps = 61 * len(examples.whole)
    seen, asked = zip(*unbroken(net, examples))
    with torch.no_grad():
        whole = driven(net, x[:steps].expand(-1, 2, -1, -1), "step")
    torch.testing.assert_close(torch.cat(seen), whole, atol=1e-12, rtol=0)
    torch.testing.assert_close(torch.cat(asked)[:, 0], targets[:steps, 0])


@pytest.mark.parametrize(("policy", "rows", "each"), [("stateful", 4, 1), ("sequential", 1, 4)])
def test_every_row_goes_through_its_own_stream(policy, rows, each):
    """States at every border, and losses, against one pass a row; after the last update the data begin again."""
    objective, net, task = carried(tiny(windows__policy=policy))
    updates = task.length // (4 * 20)
    assert (objective.updates, objective.rows) == (updates, rows)
    x, targets = stream(task)
    for step in range(updates + 1):
        loss = objective.loss(step)
        if step in (0, updates):
            first = objective.first
        for p in range(2):
            for b in range(rows):
                begin, end = int(first[p, b]), int(first[p, b]) + (step % updates + 1) * each * 20
                with torch.no_grad():
                    z = drive(net.cell, torch.zeros(2, 1, 6), x[begin:end].expand(-1, 2, -1, -1))
                torch.testing.assert_close(objective.z[p, b], z[-1, p, 0], atol=1e-12, rtol=0)
        if rows == 1:
            answers = across_time(net.readout, z)[-each * 20 :, 1, 0]
            wanted = (answers - targets[end - each * 20 : end, 0, 0]).square().mean()
            assert loss[1].item() == pytest.approx(wanted.item(), abs=1e-12)
    begins = objective.first[0].diff()
    assert (begins == updates * 20).all()
    assert int(objective.first.max()) + updates * each * 20 <= task.length


def test_gradients_end_at_the_border_and_nowhere_else():
    """With the border's gradient kept, windows together have the gradient of the whole; training's differs from it."""
    objective, net, task = carried(tiny(windows__batch=1))
    objective.loss(0)
    first = int(objective.first[0, 0])
    x, targets = stream(task)
    x, targets = x[first : first + 40].expand(-1, 2, -1, -1), targets[first : first + 40]
    losses = lambda states, t: (across_time(net.readout, states) - targets[t]).square().sum()  # noqa: E731
    zero = torch.zeros(2, 1, 6)
    whole = torch.autograd.grad(losses(drive(net.cell, zero, x), slice(None)), net.parameters())
    before = drive(net.cell, zero, x[:20])
    together, apart = (
        torch.autograd.grad(
            losses(before, slice(20)) + losses(drive(net.cell, z, x[20:]), slice(20, 40)),
            net.parameters(),
            retain_graph=True,
        )
        for z in (before[-1], before[-1].detach())
    )
    for all_at_once, kept in zip(whole, together):
        torch.testing.assert_close(kept, all_at_once, rtol=1e-10, atol=1e-12)
    assert max((a - w).norm() / w.norm() for a, w in zip(apart, whole)) > 1e-3
    assert not objective.z.requires_grad
    second = torch.autograd.grad(objective.loss(1)[0], net.cell.parameters())
    z = torch.zeros(2, 1, 6)
    with torch.no_grad():
        z = drive(net.cell, z, x[:20])[-1]
    mine = (across_time(net.readout, drive(net.cell, z, x[20:])) - targets[20:]).square().mean(dim=(0, 2, 3))[0]
    for got, want in zip(second, torch.autograd.grad(mine, net.cell.parameters())):
        torch.testing.assert_close(got[0], want[0], rtol=1e-9, atol=1e-12)


def test_spin_up_does_not_count_after_a_zero_state_and_only_there():
    objective, net, task = carried(tiny(windows__spin_up=7))
    plain, *_ = carried(tiny())
    x, targets = stream(task)
    with torch.no_grad():
        got, all_steps = objective.loss(0), plain.loss(0)
        squares = []
        for p in range(2):
            rows = [int(f) for f in objective.first[p]]
            answers = [driven(net, x[f : f + 20].expand(-1, 2, -1, -1), "step")[:, p, 0] for f in rows]
            squares.append(torch.stack([(a - targets[f : f + 20, 0, 0]) ** 2 for a, f in zip(answers, rows)]))
        torch.testing.assert_close(got, torch.stack(squares)[:, :, 7:].mean(dim=(1, 2, 3)), atol=1e-12, rtol=0)
        torch.testing.assert_close(all_steps, torch.stack(squares).mean(dim=(1, 2, 3)), atol=1e-12, rtol=0)
        torch.testing.assert_close(objective.loss(1), plain.loss(1), atol=0, rtol=0)


def test_spin_up_of_random_windows():
    config = tiny(windows__policy="random", windows__spin_up=7)
    net, task = network(config)
    objective = DrivenWindows(net, task, config.windows, [torch.Generator().manual_seed(s) for s in range(2)])
    loss = objective.loss(0)
    x, targets, _ = objective.examples.cut(objective.sampler.drawn[0])
    wanted = (driven(net, x, "step") - targets)[7:].square().mean(dim=(0, 2, 3))
    torch.testing.assert_close(loss, wanted, atol=1e-12, rtol=0)


# ---- conditional windows -------------------------------------------------------------------------------------------
def test_conditional_windows_are_told_the_target_before_them_and_nothing_later():
    task = data(**TINY["dataset"])
    first = torch.tensor([[5, 40], [300, 801]])
    x, targets, _ = Examples(task, "train", 20, "cpu", torch.float64, held=20).cut(first)
    for p in range(2):
        for b in range(2):
            begin = int(first[p, b])
            np.testing.assert_allclose(x[:, p, b, 2:], np.tile(task.train_targets[0, begin - 1], (20, 1)))
            np.testing.assert_array_equal(x[:, p, b, :2], task.train_inputs[0, begin : begin + 20])
            np.testing.assert_array_equal(targets[:, p, b], task.train_targets[0, begin : begin + 20])
    held_out, *_ = Examples(task, "test", 20, "cpu", torch.float64, held=20).cut(torch.tensor([0]))
    np.testing.assert_array_equal(held_out[7, 0, 2:], task.train_targets[0, -1])
    config = tiny(windows__policy="conditional")
    net, _ = network(config)
    objective = DrivenWindows(net, task, config.windows, [torch.Generator().manual_seed(s) for s in range(2)])
    objective.loss(0)
    assert objective.sampler.drawn.min() >= 1  # before the first step no target is known


def test_the_closed_loop_never_sees_a_held_out_target():
    config = tiny(windows__policy="conditional")
    net, task = network(config)
    other = replace(task, test_targets=task.test_targets + 1.0)
    mine, theirs = (stream_scores(net, t, config.windows)["own"].losses for t in (task, other))
    x, targets = stream(task, "test")
    y, answers = torch.as_tensor(task.train_targets[:, -1:]), []
    with torch.no_grad():
        for k in range(x.shape[0] // 20):
            z = torch.zeros(2, 1, 6)
            for t in range(20 * k, 20 * k + 20):
                z = net.cell.step(z, torch.cat((x[t].expand(2, -1, -1), y.expand(2, -1, -1)), dim=-1))
                answers.append(net.readout(z)[:, 0])
            y = answers[-1][:, None]
    for losses, shift in ((mine, 0.0), (theirs, 1.0)):
        wanted = (torch.stack(answers) - targets[: len(answers), 0] - shift).square().mean(dim=-1)
        torch.testing.assert_close(losses.permute(2, 0, 1).flatten(0, 1), wanted, atol=1e-12, rtol=0)


def test_the_exponent_of_the_closed_loop_is_that_of_its_finite_differences():
    """One target: the mean log |dy_{k+1} / dy_k|, negative for a contracting network."""
    config = Config.of(TINY | {"dataset": {"kind": "buckets", "years": 3, "targets": ["soil"]}})
    config = config.changed({"windows/policy": "conditional"})
    net, task = network(config)
    spectra = segment_spectra(net, task, 20)
    x, _ = stream(task, "test")
    windows = x.shape[0] // 20
    y, logs = torch.full((2, 1, 1), float(task.train_targets[0, -1, 0])), []
    with torch.no_grad():
        for k in range(windows):
            ends = []
            for nudged in (y - 1e-4, y, y + 1e-4):
                inputs = torch.cat((x[20 * k : 20 * k + 20].expand(-1, 2, -1, -1), nudged.expand(20, -1, -1, -1)), -1)
                ends.append(driven(net, inputs, "step")[-1])
            y = ends[1]
            logs.append(((ends[2] - ends[0]) / 2e-4).abs().log()[:, 0, 0])
    wanted = torch.stack(logs[windows // 4 :]).mean(dim=0)
    for p in range(2):
        assert spectra[p].exponents.tolist() == pytest.approx([wanted[p].item()], rel=1e-4)
        assert -math.inf < spectra[p].maximum < 0
        assert spectra[p].dt == 20.0


# ---- what a reset costs --------------------------------------------------------------------------------------------
def test_the_reset_error_decays_at_the_largest_driven_exponent():
    """|| z_reset - z_unbroken || falls by the exponent a step: it is at 1 % after ln(100) / |lambda_1| steps."""
    config = tiny(dataset__years=8, cell__kind="vanilla", cell__units=8)
    net, task = network(config, 1)
    with torch.no_grad():
        net.cell.W.copy_(torch.diag(torch.tensor([0.93, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1])))
        net.cell.U.mul_(0.05)
        net.cell.U[:, 1:] *= 0.1  # the slow direction holds most of the state, so that 1 % of it is 1 % of all
        net.cell.b.zero_()
        x, _ = stream(task, "test")
        z, length = drive(net.cell, torch.zeros(1, 1, 8), x), 80
        begins = torch.arange(200, len(x) - length, length)
        zero = drive(
            net.cell, torch.zeros(1, len(begins), 8), torch.stack([x[b : b + length, :, 0] for b in begins], 2)
        )
        full = torch.stack([z[b : b + length, :, 0] for b in begins], 2)
    errors = (zero - full).norm(dim=-1)[:, 0].log().mean(dim=1)
    counted = config.changed({"lyapunov/warmup": 200, "lyapunov/steps": len(x) - 200, "lyapunov/orbits": 1}).lyapunov
    exponent = driven_spectra(net, task, counted)[0].maximum
    slope = np.polyfit(np.arange(20, length), errors[20:].numpy(), 1)[0]
    assert slope == pytest.approx(exponent, rel=0.05)
    started = z[begins - 1, 0, 0].norm(dim=-1).log().mean()
    below = int((errors < started - math.log(100)).nonzero()[0]) + 1
    assert below == pytest.approx(math.log(100) / abs(exponent), rel=0.1)


def test_spectra_know_no_resets():
    """A window's length changes nothing about a network's driven spectrum, nor does a policy without further inputs."""
    config = tiny()
    net, task = network(config)
    one, other = (
        driven_spectra(net, task, config.lyapunov, c.windows.held)[0] for c in (config, tiny(windows__length=5))
    )
    np.testing.assert_array_equal(one.exponents, other.exponents)
    assert one.finite
    held, _ = network(tiny(windows__policy="conditional"))
    _, inputs = orbits(held, task, config.lyapunov, 20)
    assert inputs.shape[-1] == 4
    for t in (0, 19, 20, 39):
        before = task.test_targets[0, t // 20 * 20 - 1] if t >= 20 else task.train_targets[0, -1]
        np.testing.assert_allclose(inputs[t, 0, 0, 2:], before)


# ---- a trial -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("policy", POLICIES)
def test_every_policy_is_trained_and_a_member_does_not_see_its_pack(policy):
    configs = [tiny(windows__policy=policy, seed=s, training__lr=0.01 * (1 + s)) for s in range(2)]
    together = {r.config.seed: r for records in run_trials(configs) for r in records}
    *_, alone = run_trial(configs[1])
    assert alone.outcome == "finished"
    np.testing.assert_allclose(together[1].traces["loss"], alone.traces["loss"], rtol=1e-9)
    for name, score in alone.measures.items():
        assert together[1].measures[name] == pytest.approx(score, rel=1e-6, nan_ok=True)
    own = {"random": "loss_reset", "stateful": "loss_unbroken", "sequential": "loss_unbroken"}
    if policy in own:
        assert alone.measures["loss"] == pytest.approx(alone.measures[own[policy]], rel=1e-12)
        assert alone.measures["loss_reset"] != alone.measures["loss_unbroken"]
    else:
        assert math.isnan(alone.measures["loss_unbroken"])
        assert alone.spectra["segments"].finite
    errors = alone.traces["reset_error"]
    assert errors.shape == (20,)
    assert errors.mean() == pytest.approx(alone.measures["loss_reset"])
    assert alone.provenance.data.notes["memory"] == pytest.approx(99.5, abs=0.01)


def test_classes_of_a_stream_are_carried_too():
    text = {"kind": "characters", "length": 3000}
    windows = {"length": 15, "batch": 3, "state": "carried"}
    content = TINY | {"dataset": text, "windows": windows, "measures": ["loss", "accuracy", "loss_reset"]}
    *_, last = run_trial(Config.of(content))
    assert last.config.windows.policy == "stateful"
    assert 0 <= last.measures["accuracy"] <= 1
    assert math.isfinite(last.measures["loss_reset"])


# ---- what is refused -----------------------------------------------------------------------------------------------
def test_a_policy_implies_its_state():
    assert Windows(state="carried") == Windows(policy="stateful")
    assert Windows(state="fresh") == Windows() == Windows(policy="random")
    assert tiny(windows__policy="sequential").windows.carried
    assert Config.of(TINY | {"windows": {"state": "fresh"}, "dataset": {"kind": "adding"}, "measures": ["loss"]})


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"policy": "statefull"}, "No policy of windows is called 'statefull'. Did you mean 'stateful'"),
        ({"state": "kept"}, "No state of windows is called 'kept'"),
        ({"policy": "stateful", "state": "fresh"}, "windows/state of policy 'stateful' is 'carried', but got 'fresh'"),
        ({"length": 5, "spin_up": 5}, "windows/spin_up < windows/length must hold, but got spin_up=5, length=5"),
    ],
)
def test_windows_that_cannot_be(settings, text):
    with pytest.raises(ValueError, match=text):
        Windows(**settings)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (
            {"windows": {"length": 300, "batch": 4, "policy": "stateful"}},
            r"windows/batch x windows/length must not exceed the 821 steps",
        ),
        (
            {"dataset": {"kind": "adding"}, "windows": {"policy": "stateful"}},
            "windows/policy: must be random for adding",
        ),
        (
            {"dataset": {"kind": "flip_flop"}, "windows": {"length": 10, "policy": "conditional"}},
            "windows/policy: must be random for flip_flop",
        ),
        ({"dataset": {"kind": "sentiment"}, "windows": {"length": 50, "spin_up": 3}}, "windows/spin_up: must be 0"),
        (
            {"dataset": {"kind": "characters"}, "windows": {"length": 15, "policy": "conditional"}},
            "'conditional' needs numeric targets",
        ),
        (
            {
                "dataset": {"kind": "simulated", "system": "henon"},
                "forcing": {"kind": "sparse"},
                "measures": ["loss"],
            },
            "windows/policy must be random and windows/spin_up 0 where dataset/kind is a series, but got stateful",
        ),
    ],
)
def test_windows_that_do_not_suit_the_data(content, text):
    with pytest.raises(ConfigError, match=text):
        next(run_trial(Config.of(TINY | {"measures": ["loss"]} | content)))
