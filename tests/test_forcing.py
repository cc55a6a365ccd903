"""Every forcing's strengths, how they change while a network trains, and what adaptive forcing measures."""

from dataclasses import FrozenInstanceError

import pytest
import torch

from lyapsweep.cells import CELLS
from lyapsweep.config import Config, ConfigError
from lyapsweep.forcing import (
    FORCINGS,
    AbstractForcing,
    Adaptive,
    Annealed,
    Full,
    Generalised,
    Moment,
    NoForcing,
    Random,
    Schedule,
    Sparse,
    Truncated,
    growth,
)
from lyapsweep.forcing.growth import PROXIES
from lyapsweep.inits import gaussian
from lyapsweep.maps import autodiff_push


def intervals(a):
    """Steps between forced steps."""
    return a.nonzero().flatten().diff().tolist()


def generator(seed):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("kind", list(FORCINGS))
def test_strengths_are_strengths(kind):
    a = FORCINGS[kind]().strengths(40)
    assert a.shape == (40,)
    assert a[0] == 1
    assert ((a >= 0) & (a <= 1)).all()


def test_sparse_forces_every_interval():
    assert Sparse(interval=7).strengths(20).nonzero().flatten().tolist() == [0, 7, 14]


@pytest.mark.parametrize("forcing", [NoForcing(start="zero"), Truncated(interval=3, start="zero")])
def test_a_start_from_zero_is_no_start_from_the_data(forcing):
    assert not forcing.strengths(10).any()


def test_annealed_intervals_grow_from_one_to_their_end():
    forcing = Annealed(interval=46)
    seen = [intervals(forcing.strengths(100, Moment(s, 3000)))[0] for s in (0, 66, 67, 1500, 2999, 3000)]
    assert seen == [1, 1, 2, 23, 45, 46]  # floor(45 s / 3000) + 1


def test_random_intervals_fill_their_range_evenly():
    forcing, draws = Random(interval=5, spread=7), generator(3)
    drawn = torch.tensor([intervals(forcing.strengths(40, Moment(0, 1, draws)))[0] for _ in range(2400)])
    counts = drawn.bincount(minlength=13)
    assert counts[0] == 0
    assert len(counts) == 13
    assert ((counts[1:] - 200).abs() < 5 * 200**0.5).all()
    assert intervals(forcing.strengths(40))[0] == 5  # nothing to draw from: what is nominal


def test_adaptive_strength_rises_at_once_and_falls_slowly():
    forcing = Adaptive(alpha=0.1, gamma=0.9)
    forcing.follow(2.0)
    assert forcing.alpha == 0.5  # 1 - 1/2
    forcing.follow(1.25)
    assert forcing.alpha == pytest.approx(0.9 * 0.5 + 0.1 * 0.2)
    before = forcing.alpha
    forcing.follow(0.5)
    assert forcing.alpha == pytest.approx(0.9 * before)  # a contracting map asks for none
    forcing.follow(float("nan"))
    assert forcing.alpha == 1.0
    torch.testing.assert_close(Adaptive(alpha=0.25).strengths(3), torch.tensor([1.0, 0.25, 0.25]))


def population(*seeds, kind="plrnn", gain=1.4):
    cell = CELLS[kind](inputs=0, population=len(seeds), units=5)
    cell.build([(lambda r, c, g: gaussian(r, c, g, gain=gain), generator(s)) for s in seeds])
    return cell.requires_grad_(False)


@pytest.mark.parametrize("memory", [1, 2**22])
def test_growth_is_that_of_the_jacobians(memory, monkeypatch):
    monkeypatch.setattr("lyapsweep.forcing.growth.MEMORY", memory)
    cell = population(0, 1)
    z = torch.randn(7, 2, 3, 5, generator=generator(9))
    J = torch.func.jacrev(lambda s: cell.step(s.view(1, 1, 5).expand(2, -1, -1))[:, 0])
    expected = {"arithmetic_mean": [], "geometric_mean": []}
    for p in range(2):
        of = torch.stack([torch.stack([J(z[t, p, b])[p] for t in range(7)]) for b in range(3)])
        expected["arithmetic_mean"].append(torch.linalg.matrix_norm(of.mean(1), 2).max())
        expected["geometric_mean"].append(torch.linalg.matrix_norm(of, 2).log().mean(1).exp().max())
    for proxy, values in expected.items():
        torch.testing.assert_close(PROXIES[proxy](cell, z), torch.stack(values))


@pytest.mark.parametrize("proxy", list(PROXIES))
def test_a_member_out_of_the_numbers_does_not_disturb_its_neighbour(proxy):
    cell = population(0, 1, kind="vanilla")
    z = torch.randn(4, 2, 3, 5, generator=generator(9))
    alone = PROXIES[proxy](cell, z)
    z[2, 0] = torch.nan
    lost, fine = PROXIES[proxy](cell, z)
    assert lost.isnan()
    assert fine == alone[1]


def test_the_strength_it_adapts_to_bounds_gradients():
    """alpha = 1 - 1/kappa with kappa of the product's bound: no forced gradient grows (Hess et al. 2023)."""
    cell, forcing = population(0, gain=2.5), Adaptive(alpha=0.0, proxy="geometric_mean", every=1)
    z = torch.randn(60, 1, 4, 5, generator=generator(2))
    Schedule([forcing], 60, 10).adapt(0, cell, lambda: z)
    assert 0.2 < forcing.alpha < 1
    V, free = (torch.eye(5).expand(1, 4, 5, 5) for _ in range(2))
    for states in z:
        free = autodiff_push(cell.step, states, None, free)[1]
        V = (1 - forcing.alpha) * autodiff_push(cell.step, states, None, V)[1]
    assert torch.linalg.matrix_norm(V, 2).max() <= 1 + 1e-9
    assert torch.linalg.matrix_norm(free, 2).max() > 1e3


def test_a_schedule_draws_for_each_member_and_adapts_whom_it_is_due():
    def schedule():
        forcings = [Random(interval=9, spread=4), Sparse(interval=3), Random(interval=9, spread=4)]
        return Schedule(forcings, 40, 100, [generator(s) for s in (1, 2, 3)])

    first, again = schedule(), schedule()
    plans = [first.at(u).strengths for u in range(20)]
    assert all(torch.equal(p, again.at(u).strengths) for u, p in enumerate(plans))
    assert all(torch.equal(p[:, 1], Sparse(interval=3).strengths(40)) for p in plans)
    assert any(not torch.equal(p[:, 0], p[:, 2]) for p in plans)
    torch.testing.assert_close(first.nominal(7)[:, 0], Sparse(interval=9).strengths(40))
    alone = Schedule([Random(interval=9, spread=4)], 40, 100, [generator(3)])
    assert all(torch.equal(p[:, 2], alone.at(u).strengths[:, 0]) for u, p in enumerate(plans))

    slow, quick = Adaptive(alpha=0.3, every=4), Adaptive(alpha=0.3, every=2)
    adaptive, z = Schedule([slow, Generalised(), quick], 10, 100), torch.randn(10, 3, 2, 5, generator=generator(5))
    adaptive.adapt(1, population(0, 1, 2), lambda: z)
    assert (slow.alpha, quick.alpha) == (0.3, 0.3)
    adaptive.adapt(2, population(0, 1, 2), lambda: z)
    assert slow.alpha == 0.3
    assert quick.alpha != 0.3
    assert adaptive.at(2).strengths[5].tolist() == pytest.approx([0.3, 0.1, quick.alpha])


def test_constant_forcings_are_computed_once():
    schedule = Schedule([Sparse(interval=3), Generalised()], 20, 5)
    assert schedule.at(0).strengths is schedule.at(4).strengths is schedule.nominal(3)
    assert schedule.at(0).truncations is None
    mixed = Schedule([Truncated(interval=4), Sparse(interval=3)], 10, 5).at(0)
    assert mixed.truncations.nonzero().tolist() == [[4, 0], [8, 0]]


@pytest.mark.parametrize(
    ("forcing", "text"),
    [
        ({"kind": "sparse", "interval": 0}, "forcing/interval >= 1"),
        ({"kind": "annealed", "interval": 0}, "forcing/interval >= 1"),
        ({"kind": "truncated", "interval": 201}, "forcing/interval <= windows/length"),
        ({"kind": "random", "spread": -1}, "forcing/spread >= 0"),
        ({"kind": "generalised", "alpha": 1.5}, "forcing/alpha <= 1"),
        ({"kind": "adaptive", "gamma": -0.1}, "forcing/gamma <= 1"),
        ({"kind": "adaptive", "every": 0}, "forcing/every >= 1"),
        ({"kind": "adaptive", "proxy": "arithmetic"}, "Did you mean 'arithmetic_mean'"),
        ({"kind": "none", "start": "zeros"}, "Did you mean 'zero'"),
    ],
)
def test_impossible_forcings_are_refused(forcing, text):
    content = {"dataset": {"kind": "simulated", "system": "lorenz63"}, "cell": {"kind": "plrnn"}, "forcing": forcing}
    with pytest.raises(ConfigError, match=text):
        Config.of(content)


@pytest.mark.parametrize(
    ("forcing", "expected"),
    [
        (NoForcing(), [1, 0, 0, 0, 0]),
        (NoForcing(start="zero"), [0, 0, 0, 0, 0]),
        (Full(), [1, 1, 1, 1, 1]),
        (Sparse(interval=1), [1, 1, 1, 1, 1]),
        (Sparse(interval=2), [1, 0, 1, 0, 1]),
        (Sparse(interval=4), [1, 0, 0, 0, 1]),
        (Generalised(alpha=0.25), [1, 0.25, 0.25, 0.25, 0.25]),
        (Generalised(alpha=0.0), [1, 0, 0, 0, 0]),
        (Generalised(alpha=1.0), [1, 1, 1, 1, 1]),
        (Truncated(interval=2), [1, 0, 0, 0, 0]),
        (Adaptive(alpha=0.5), [1, 0.5, 0.5, 0.5, 0.5]),
        (Annealed(interval=2), [1, 1, 1, 1, 1]),
        (Random(interval=3), [1, 0, 0, 1, 0]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_strengths_at_every_step(forcing, expected):
    strengths = forcing.strengths(5)
    assert strengths.tolist() == expected
    assert strengths.dtype == torch.get_default_dtype()


def test_defaults_of_every_forcing():
    settings = {kind: vars(forcing()) for kind, forcing in FORCINGS.items()}
    assert settings == {
        "none": {"start": "data"},
        "full": {},
        "sparse": {"interval": 16},
        "annealed": {"interval": 16},
        "random": {"interval": 16, "spread": 8},
        "generalised": {"alpha": 0.1},
        "adaptive": {"alpha": 1.0, "gamma": 0.999, "every": 5, "proxy": "arithmetic_mean"},
        "truncated": {"truncation": 16, "interval": 16, "start": "data"},
    }
    flags = {kind: (f.varies, f.drawn, f.moves) for kind, f in FORCINGS.items()}
    varying = {"annealed": (True, False, ()), "random": (True, True, ()), "adaptive": (True, False, ("alpha",))}
    assert flags == {kind: varying.get(kind, (False, False, ())) for kind in FORCINGS}
    assert {kind: f().truncation for kind, f in FORCINGS.items() if f().truncation} == {"truncated": 16}
    assert (Moment().update, Moment().updates, Moment().generator) == (0, 1, None)


def test_annealed_before_every_update():
    """tau = floor((interval - 1) s / S) + 1; of no updates at all it is 1."""
    for s in range(11):
        strengths = Annealed(interval=5).strengths(20, Moment(s, 10))
        assert intervals(strengths)[0] == 4 * s // 10 + 1
    assert Annealed(interval=5).strengths(4, Moment(0, 0)).tolist() == [1, 1, 1, 1]


def test_random_intervals_are_those_of_the_generator():
    draws = torch.Generator().manual_seed(8)
    drawn = [intervals(Random(interval=9, spread=4).strengths(40, Moment(0, 1, generator(8))))[0]]
    assert drawn == [int(torch.randint(5, 14, (), generator=draws))]
    seen = {intervals(Random(interval=3, spread=1).strengths(20, Moment(0, 1, draws)))[0] for _ in range(60)}
    assert seen == {2, 3, 4}
    assert Random(interval=2, spread=0).strengths(5, Moment(0, 1, draws)).tolist() == [1, 0, 1, 0, 1]
    assert {intervals(Random(interval=2, spread=2).strengths(9, Moment(0, 1, draws)))[0] for _ in range(60)} == {
        *range(1, 5)
    }


def test_adaptive_is_due_at_multiples_of_every():
    assert [u for u in range(10) if Adaptive(every=4).due(u)] == [0, 4, 8]
    assert all(Adaptive(every=1).due(u) for u in range(3))


def test_adaptive_alpha_stays_between_none_and_full():
    forcing = Adaptive(alpha=0.4, gamma=0.5)
    forcing.follow(0.0)  # 1 / kappa is bounded
    assert forcing.alpha == pytest.approx(0.2)
    forcing.follow(1.25)
    assert forcing.alpha == pytest.approx(0.2)  # a = 0.2 is where it is already
    forcing.follow(float("inf"))
    assert forcing.alpha == 1.0


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: Sparse(interval=0), "got 0"),
        (lambda: Annealed(interval=-1), "got -1"),
        (lambda: Sparse(interval="auto").strengths(5), "auto"),
        (lambda: Generalised(alpha=-0.1), "alpha"),
        (lambda: Generalised(alpha=1.1), "alpha"),
        (lambda: Adaptive(alpha=1.1), "alpha"),
        (lambda: Adaptive(alpha=-0.1), "alpha"),
        (lambda: Adaptive(gamma=1.1), "gamma"),
        (lambda: Adaptive(gamma=-0.1), "gamma"),
        (lambda: Adaptive(every=0), "every"),
        (lambda: Random(spread=-1), "spread"),
    ],
)
def test_settings_out_of_range(make, text):
    with pytest.raises(ValueError, match=text):
        make()


def test_settings_at_the_end_of_their_range():
    assert (Adaptive(alpha=0.0, gamma=0.0).alpha, Adaptive(alpha=1.0, gamma=1.0).gamma) == (0, 1)
    assert Adaptive(every=1).every == 1
    assert (Sparse(interval=1).interval, Random(spread=0).spread) == (1, 0)
    assert Sparse(interval="auto").interval == "auto"


def test_a_schedule_holds_a_column_per_member_and_truncations_where_any_are():
    schedule = Schedule([Sparse(interval=2), Truncated(interval=3), Full()], 7, 10)
    plan = schedule.at(0)
    assert plan.strengths.T.tolist() == [[1, 0, 1, 0, 1, 0, 1], [1, 0, 0, 0, 0, 0, 0], [1] * 7]
    assert plan.truncations.T.tolist() == [[False] * 7, [t in (3, 6) for t in range(7)], [False] * 7]
    assert schedule.fixed is schedule.nominal(3)
    assert Schedule([Annealed()], 7, 10).fixed is None
    assert schedule.state() == {}


def test_a_schedule_that_varies_is_computed_at_every_update():
    schedule = Schedule([Annealed(interval=3), Sparse(interval=2)], 4, 2)
    assert [schedule.at(u).strengths.T.tolist() for u in (0, 1, 2)] == [
        [[1, 1, 1, 1], [1, 0, 1, 0]],
        [[1, 0, 1, 0], [1, 0, 1, 0]],
        [[1, 0, 0, 1], [1, 0, 1, 0]],
    ]
    assert torch.equal(schedule.nominal(2), schedule.at(2).strengths)


def test_a_schedule_resumes_with_its_draws_and_its_adapted_strengths():
    def schedule(alpha):
        forcings = [Random(interval=9, spread=8), Adaptive(alpha=alpha, every=1), Sparse()]
        return Schedule(forcings, 30, 100, [generator(s) for s in (1, 2, 3)])

    first = schedule(0.3)
    for u in range(5):
        first.at(u)
    first.forcings[1].follow(4.0)
    state = {name: value.clone() for name, value in first.state().items()}
    assert set(state) == {"forcing/alpha", "forcing/generators"}
    assert state["forcing/alpha"].dtype == torch.float64
    assert state["forcing/alpha"].isnan().tolist() == [True, False, True]
    assert state["forcing/alpha"][1] == 0.75
    again = schedule(0.9)
    again.restore(state)
    assert again.forcings[1].alpha == 0.75
    assert all(torch.equal(first.at(u).strengths, again.at(u).strengths) for u in range(5, 9))


def test_only_members_that_are_due_are_measured():
    calls = []
    schedule = Schedule([Adaptive(every=3, alpha=0.0), Sparse()], 5, 10)
    z = torch.randn(4, 2, 3, 5, generator=generator(1))
    cell = population(0, 1)
    infer = lambda: calls.append("asked") or z  # noqa: E731
    for u in (1, 2):
        schedule.adapt(u, cell, infer)
    assert calls == []
    schedule.adapt(3, cell, infer)
    assert calls == ["asked"]
    kappa = float(PROXIES["arithmetic_mean"](cell, z)[0])
    assert schedule.forcings[0].alpha == pytest.approx(max(0, 1 - 1 / kappa))
    assert kappa > 1


def test_the_norm_of_a_matrix_that_is_not_finite_is_not_a_number():
    J = torch.stack([torch.diag(torch.tensor([3.0, -4.0])), torch.tensor([[torch.inf, 0.0], [0.0, 1.0]])])
    found = growth.norm(J)
    assert found[0] == pytest.approx(4.0)
    assert found[1].isnan()


def test_a_moment_is_the_first_of_one_update():
    assert (Moment().update, Moment().updates, Moment().generator) == (0, 1, None)
    with pytest.raises(FrozenInstanceError):
        Moment().update = 1
    assert growth.MEMORY == 4194304


NOMINAL = Moment()


def test_flags_say_what_changes_during_training():
    flags = {kind: (member.varies, member.drawn, member.truncation, member.moves) for kind, member in FORCINGS.items()}
    constant = (False, False, None, ())
    assert flags == dict.fromkeys(("none", "full", "sparse", "generalised", "truncated"), constant) | {
        "annealed": (True, False, None, ()),
        "random": (True, True, None, ()),
        "adaptive": (True, False, None, ("alpha",)),
    }
    assert Truncated(interval=7).truncation == 7


def test_jacobians_come_in_chunks_that_fit_the_memory(monkeypatch):
    """150 entries per step: 299 hold one step, 300 two."""
    cell, z = population(0, 1), torch.randn(7, 2, 3, 5, generator=generator(9))
    for memory, chunks in ((1, [1] * 7), (299, [1] * 7), (300, [2, 2, 2, 1]), (2**22, [7])):
        monkeypatch.setattr("lyapsweep.forcing.growth.MEMORY", memory)
        assert [len(J) for J in growth.jacobians(cell, z, None)] == chunks


class Recorder(AbstractForcing):
    """Strengths that say at which moment they were asked for."""

    def __init__(self, varies=False):
        self.varies = varies

    def strengths(self, length, moment=NOMINAL):
        return torch.full((length,), 100.0 * moment.updates + moment.update + (0.5 if moment.generator else 0))


def test_a_schedule_asks_at_the_right_moment():
    fixed, varying = (
        Schedule([Recorder()], 2, 7, [generator(0)]),
        Schedule([Recorder(varies=True)], 2, 7, [generator(0)]),
    )
    assert fixed.at(3).strengths.tolist() == fixed.nominal(3).tolist() == [[700.0], [700.0]]
    assert varying.at(3).strengths.tolist() == [[703.5], [703.5]]
    assert varying.nominal(3).tolist() == [[703.0], [703.0]]
    assert varying.at(0).strengths.device.type == "cpu"


def test_members_measure_kappa_by_their_own_proxy():
    forcings = [Adaptive(alpha=0.0, proxy=proxy) for proxy in ("geometric_mean", "arithmetic_mean")]
    cell, z = population(0, 1, gain=3.0), torch.randn(4, 2, 3, 5, generator=generator(5))
    Schedule(forcings, 4, 10).adapt(0, cell, lambda: z)
    kappa = [PROXIES[f.proxy](cell, z)[p].item() for p, f in enumerate(forcings)]
    assert [f.alpha for f in forcings] == pytest.approx([1 - 1 / k for k in kappa])


def test_truncation_at_every_step_spares_the_first():
    truncations = Schedule([Truncated(interval=1)], 3, 1).at(0).truncations
    assert truncations.flatten().tolist() == [False, True, True]
