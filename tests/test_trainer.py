"""The trainer on losses whose descent is known in closed form: rates, clips, reports, divergence, resuming."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from lyapsweep import training
from lyapsweep.config import Config, Lyapunov, Training
from lyapsweep.training import GradientClip, LRSchedule, Objective, Trainer, TrainingProgress, collect, flatten, train


class Toy(nn.Module):
    """A population of two weights W (2,) and a bias b (1,) per member; `rates` are the cell's factors."""

    def __init__(self, population=3, rates=None):
        super().__init__()
        self.cell = nn.Module()
        self.cell.W = nn.Parameter(torch.arange(1.0, 2 * population + 1).view(population, 2))
        self.cell.b = nn.Parameter(torch.zeros(population, 1))
        self.cell.empty = nn.Parameter(torch.empty(population, 0))
        self.cell.rates = rates or {}


class Linear:
    """L_p(t) = c_p (sum W_p + b_p), whose gradient is c_p; `spoil` {(step, member): value} is added to the loss."""

    def __init__(self, network, slopes, spoil=None):
        self.network, self.slopes, self.spoil = network, torch.tensor(slopes), spoil or {}
        self.asked = torch.zeros(())

    def loss(self, step):
        assert step == int(self.asked), "asked once per update, in order"
        self.asked += 1
        loss = self.slopes * (self.network.cell.W.sum(dim=1) + self.network.cell.b[:, 0])
        for (at, p), value in self.spoil.items():
            if at == step:
                loss = loss + torch.zeros_like(loss).index_fill(0, torch.tensor(p), value)
        return loss

    def strengths(self, step):
        return torch.full((1, len(self.slopes)), float(step))

    def state(self):
        return {"asked": self.asked.clone()}

    def restore(self, state):
        self.asked = state["asked"].clone()


def sgd(**settings):
    return Training(**{"steps": 6, "lr": 0.5, "optimizer": "sgd", "report_every": 1} | settings)


def run(plans, slopes, spoil=None, rates=None, penalty=None):
    """The progress and a copy of the weights at every report."""
    network = Toy(len(plans), rates)
    added = None if penalty is None else lambda: penalty(network)
    seen = []
    for progress in train(network, Linear(network, slopes, spoil), plans, added):
        seen.append((progress, network.cell.W.detach().clone(), network.cell.b.detach().clone()))
    return seen


def test_rates_decay_geometrically_at_every_update():
    """w(t) = w(0) - c sum_{s<t} lr (lr_end / lr)^(s / steps), per member; null is constant."""
    plans = [sgd(lr_end=0.5 / 64), sgd(lr=0.25), sgd(lr=0.1, lr_end=0.9)]
    slopes = [1.0, -2.0, 3.0]
    seen = run(plans, slopes)
    assert [progress.step for progress, _, _ in seen] == list(range(7))
    for p, (lr, end) in enumerate(((0.5, 0.5 / 64), (0.25, 0.25), (0.1, 0.9))):
        moved = 0.0
        for t, (_, W, b) in enumerate(seen):
            torch.testing.assert_close(b[p], torch.tensor([-slopes[p] * moved]), rtol=1e-12, atol=1e-12)
            torch.testing.assert_close(W[p] - seen[0][1][p], torch.full((2,), -slopes[p] * moved), rtol=0, atol=1e-12)
            moved += lr * (end / lr) ** (t / 6)


def test_the_schedule_of_rates():
    network = Toy(2, {"b": 0.25})
    _, weights = flatten(network)
    decaying = LRSchedule([sgd(lr=0.4, lr_end=0.1, steps=2), sgd(lr=0.2, steps=2)], network, weights)
    expected = torch.tensor([[0.4, 0.4, 0.1], [0.2, 0.2, 0.05]])
    torch.testing.assert_close(decaying(0), expected)
    torch.testing.assert_close(decaying(1), expected * torch.tensor([[0.5], [1.0]]))
    torch.testing.assert_close(decaying(2), expected * torch.tensor([[0.25], [1.0]]))
    constant = LRSchedule([sgd(lr=0.4, lr_end=0.4), sgd(lr=0.2)], network, weights)
    assert constant.decay is None
    assert constant(5) is constant.first
    nothing = LRSchedule([sgd(steps=0, lr=0.4, lr_end=0.1), sgd(steps=0)], network, weights)
    torch.testing.assert_close(nothing.decay, torch.tensor([[0.25], [1.0]]))
    assert not decaying.first.requires_grad


def test_rates_of_the_cell_scale_the_updates_of_their_weight():
    (_, W0, _), *_, (_, W, b) = run([sgd(steps=2)], [1.0], rates={"b": 0.1})
    torch.testing.assert_close(W - W0, torch.full((1, 2), -1.0))
    torch.testing.assert_close(b, torch.full((1, 1), -0.1))


def test_clips_bound_the_gradient_and_not_what_is_reported():
    """The gradient (c, c, c) has the norm c sqrt(3)."""
    seen = run([sgd(steps=1, clip=1.0), sgd(steps=1, clip_value=0.5), sgd(steps=1)], [2.0, -2.0, 2.0])
    *_, (progress, _, b) = seen
    torch.testing.assert_close(progress.gradient_norms, torch.full((1, 3), 2 * 3**0.5))
    torch.testing.assert_close(b[:, 0], torch.tensor([-0.5 / 3**0.5, 0.25, -1.0]))


def test_clipping_by_norm_then_by_value():
    plans = [sgd(clip=2.0), sgd(clip_value=0.5), sgd(), sgd(clip=5.0, clip_value=1.0), sgd(clip=2.5, clip_value=1.9)]
    gradient = torch.tensor([[3.0, -4.0]]).repeat(5, 1)
    clipped = GradientClip(plans, torch.zeros(5, 2))(gradient, gradient.norm(dim=1))
    expected = torch.tensor([[1.2, -1.6], [0.5, -0.5], [3.0, -4.0], [1.0, -1.0], [1.5, -1.9]])
    torch.testing.assert_close(clipped, expected)
    small = torch.tensor([[0.3, 0.4]])
    torch.testing.assert_close(GradientClip(plans[:1], small)(small, small.norm(dim=1)), small)
    zero = torch.zeros(1, 2)
    assert torch.equal(GradientClip(plans[:1], zero)(zero, torch.zeros(1)), zero)
    free = GradientClip(plans[2:3], zero)
    assert free.norm is free.value is None
    assert free(gradient, gradient.norm(dim=1)) is gradient
    tiny = torch.tensor([[1e-31, 0.0]])  # below the least norm that is divided by
    torch.testing.assert_close(GradientClip([sgd(clip=1e-31)], zero)(tiny, tiny.norm(dim=1)), 0.1 * tiny)


def test_reports_come_before_the_updates_that_the_plan_names():
    plan = sgd(steps=10, report_every=4, report_at=[0.5, 0.01])
    assert [progress.step for progress, _, _ in run([plan], [1.0])] == [0, 1, 4, 5, 8, 10]
    assert [progress.step for progress, _, _ in run([sgd(report_every=None)], [1.0])] == [0, 6]
    assert [progress.step for progress, _, _ in run([sgd(steps=0)], [1.0])] == [0]


def test_progress_holds_all_losses_so_far_and_stays_as_it_was():
    seen = run([sgd(steps=3), sgd(steps=3)], [1.0, 2.0])
    for step, (progress, W, b) in enumerate(seen):
        assert progress.losses.shape == progress.gradient_norms.shape == (step, 2)
        assert progress.strengths.tolist() == [[step, step]]
        assert progress.alive.tolist() == [True, True]
        assert progress.died_at == [None, None]
        if step < 3:
            wanted = torch.tensor([1.0, 2.0]) * (W.sum(1) + b[:, 0])
            torch.testing.assert_close(seen[3][0].losses[step], wanted)


@pytest.mark.parametrize("value", [torch.inf, torch.nan])
def test_a_member_that_diverges_keeps_its_last_finite_weights(value):
    seen = run([sgd()] * 3, [1.0, 1.0, 1.0], {(2, 1): value})
    for progress, W, b in seen:
        fallen = progress.step > 2
        assert progress.alive.tolist() == [True, not fallen, True]
        assert progress.died_at == [None, 2 if fallen else None, None]
        moved = torch.tensor([0.5 * progress.step, 0.5 * min(progress.step, 2), 0.5 * progress.step])
        torch.testing.assert_close(b[:, 0], -moved)
        torch.testing.assert_close(W - seen[0][1], -moved[:, None].expand(-1, 2))


def test_a_gradient_that_is_not_finite_ends_a_member_though_its_loss_is():
    network = Toy(2)
    trainer = Trainer(network, Linear(network, [1.0, 1.0]), sgd())
    trainer.step = 4
    trainer.record(torch.tensor([1.0, 2.0]), torch.tensor([torch.nan, 3.0]))
    assert trainer.died_at == [4, None]
    assert trainer.remaining == 1
    assert (trainer.losses[4].tolist(), trainer.norms[4, 1].item()) == ([1.0, 2.0], 3.0)
    trainer.step = 5
    trainer.record(torch.tensor([torch.inf, 2.0]), torch.tensor([1.0, 3.0]))
    assert trainer.died_at == [4, None], "only the first time counts"


def test_training_ends_when_nobody_is_alive():
    seen = run([sgd(report_every=None)] * 2, [1.0, 1.0], {(1, 0): torch.inf, (3, 1): torch.nan})
    assert [progress.step for progress, _, _ in seen] == [0, 4]
    assert seen[-1][0].died_at == [1, 3]
    assert not seen[-1][0].alive.any()
    assert len(seen[-1][0].losses) == 4


def test_a_penalty_is_descended_and_not_reported():
    *_, (progress, _, b) = run([sgd(steps=1), sgd(steps=1)], [1.0, 1.0], penalty=lambda net: 3 * net.cell.b[:, 0])
    torch.testing.assert_close(b, torch.full((2, 1), -2.0))
    torch.testing.assert_close(progress.losses, torch.tensor([[3.0, 7.0]]))  # the sum of W
    torch.testing.assert_close(progress.gradient_norms, torch.full((1, 2), (1 + 1 + 16) ** 0.5))


@pytest.mark.parametrize("optimizer", ["adam", "radam", "sgd"])
def test_from_a_state_training_comes_to_the_same_bits(optimizer):
    plans = [sgd(steps=9, report_every=3, optimizer=optimizer, lr_end=0.01, clip=1.0) for _ in range(3)]

    def started(state=None):
        network = Toy()
        slopes, spoil = [1.0, 2.0, 3.0], {(1, 2): torch.inf}
        return network, train(network, Linear(network, slopes, spoil), plans, None, state)

    network, whole = started()
    states, steps = {}, []
    for progress in whole:
        steps.append(progress.step)
        states[progress.step] = {name: value.clone() for name, value in progress.state().items()}
    assert steps == [0, 3, 6, 9]
    for begin in (3, 6, 9):
        again, rest = started(states[begin])
        resumed = list(rest)
        assert [p.step for p in resumed] == [s for s in steps if s > begin]
        assert torch.equal(again.cell.W, network.cell.W)
        for last in resumed[-1:]:
            same = {"rtol": 0, "atol": 0, "equal_nan": True}
            torch.testing.assert_close(last.losses, progress.losses, **same)
            torch.testing.assert_close(last.gradient_norms, progress.gradient_norms, **same)
            assert last.died_at == [None, None, 1]
            assert last.alive.tolist() == [True, True, False]


def test_the_state_leads_with_the_population():
    network = Toy()
    trainer = Trainer(network, Linear(network, [1.0] * 3), sgd(optimizer="adam"))
    trainer.step = 2
    trainer.died_at[1] = 0
    state = trainer.state()
    assert set(state) == {
        *("step", "compiled", "theta", "losses", "gradient_norms", "died_at"),
        *("optimizer/step", "optimizer/exp_avg", "optimizer/exp_avg_sq", "objective/asked"),
    }
    assert state["step"] == 2
    assert state["losses"].shape == state["gradient_norms"].shape == (3, 2)
    assert state["theta"].shape == (3, 3)
    assert not state["theta"].requires_grad
    assert state["died_at"].tolist() == [-1, 0, -1]
    assert trainer.restore(state) == 2
    assert trainer.died_at == [None, 0, None]
    assert trainer.alive.tolist() == [True, False, True]


def test_weights_lie_in_one_row_per_member_and_parameters_are_its_views():
    network = Toy(2)
    theta, weights = flatten(network)
    assert theta.tolist() == [[1.0, 2.0, 0.0], [3.0, 4.0, 0.0]]
    assert [w.shape for w in weights] == [(2, 2), (2, 1)]
    theta[1, 1] = 9.0
    assert network.cell.W[1].tolist() == [3.0, 9.0]


def test_gradients_are_each_members_own_and_zero_for_weights_that_are_not_used():
    network = Toy(2)
    _, weights = flatten(network)
    gradient = collect((network.cell.W.square().sum(1)) * torch.tensor([1.0, 10.0]), weights)
    assert gradient.tolist() == [[2.0, 4.0, 0.0], [60.0, 80.0, 0.0]]


def test_spectra_are_shorter_while_a_member_trains():
    lyapunov = Lyapunov(steps=100, warmup=50, early=10)
    config: Config = SimpleNamespace(training=Training(steps=5), lyapunov=lyapunov)
    empty = torch.empty(0, 2)

    def plan(step, alive):
        return TrainingProgress(step, empty, empty, empty, torch.tensor(alive), []).lyapunov(config)

    assert (plan(4, [True, False]).steps, plan(4, [True, False]).warmup) == (10, 10)
    assert plan(5, [True, True]) == lyapunov
    assert plan(4, [False, False]) == lyapunov


def test_the_names_of_version_0_1_are_still_there():
    assert training.Clip is GradientClip
    assert (training.Descent, training.Progress, training.Rates) == (Trainer, TrainingProgress, LRSchedule)
    with pytest.raises(AttributeError, match="no attribute 'Pace'"):
        _ = training.Pace
    assert isinstance(Linear(Toy(1), [1.0]), Objective)
