"""Every forcing's strengths, how they change while a network trains, and what adaptive forcing measures."""

import pytest
import torch

from lyapsweep.cells import CELLS
from lyapsweep.config import Config, ConfigError
from lyapsweep.forcing import (
    FORCINGS,
    Adaptive,
    Annealed,
    Generalised,
    Moment,
    NoForcing,
    Random,
    Schedule,
    Sparse,
    Truncated,
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
