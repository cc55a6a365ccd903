"""Networks of torch.nn as maps and back: same outputs, the Jacobian of the whole stack, clear refusals."""

import numpy as np
import pytest
import torch
from torch import nn

from lyapsweep.cells import CELLS, BadWeights, Stack, from_state_dict, from_torch, to_state_dict, to_torch
from lyapsweep.dynamics import lyapunov_spectra
from lyapsweep.inits import gaussian
from lyapsweep.maps import autodiff_push

KINDS = {nn.RNN: "vanilla", nn.LSTM: "lstm", nn.GRU: "gru"}
networks = pytest.mark.parametrize("make", KINDS, ids=lambda make: make.__name__)
depths = pytest.mark.parametrize("layers", [1, 2, 3])


def seeded(make, *args, seed=0, **settings):
    torch.manual_seed(seed)
    return make(*args, **settings)


def drawn(kind, inputs, units, seed=0):
    cell = CELLS[kind](inputs=inputs, population=1, units=units)
    cell.build([(gaussian, torch.Generator().manual_seed(seed))])
    return cell


def run(map, x):
    """The hidden state of the top layer at every step, from zero: x (time, batch, inputs)."""
    z, top = torch.zeros(1, x.shape[1], map.state), []
    for row in x:
        z = map.step(z, row.unsqueeze(0))
        cell, z_top = (map.cells[-1], z[..., -map.sizes[-1] :]) if isinstance(map, Stack) else (map, z)
        top.append(z_top[0, :, : cell.units])
    return torch.stack(top)


@networks
@depths
@pytest.mark.parametrize("bias", [True, False])
def test_outputs_are_torchs(make, layers, bias):
    module = seeded(make, 3, 5, layers, bias=bias, dropout=0.5 if layers > 1 else 0.0).eval()
    x = torch.randn(20, 4, 3, generator=torch.Generator().manual_seed(1))
    map = from_torch(module)
    assert isinstance(map, Stack) == (layers > 1)
    assert map.state == layers * 5 * (2 if make is nn.LSTM else 1)
    torch.testing.assert_close(run(map, x), module(x)[0], atol=1e-13, rtol=0)


@depths
def test_outputs_of_relu_are_torchs(layers):
    module = seeded(nn.RNN, 3, 5, layers, nonlinearity="relu")
    x = torch.randn(20, 4, 3, generator=torch.Generator().manual_seed(1))
    for map in (from_torch(module), from_state_dict(module.state_dict(), nonlinearity="relu")):
        torch.testing.assert_close(run(map, x), module(x)[0], atol=1e-13, rtol=0)
    back = to_torch(from_torch(module))
    torch.testing.assert_close(back(x.transpose(0, 1))[0].transpose(0, 1), module(x)[0], atol=1e-13, rtol=0)
    with pytest.raises(ValueError, match=r"No nonlinearity is called 'rely'. Did you mean 'relu'"):
        from_state_dict(module.state_dict(), nonlinearity="rely")


@networks
@depths
def test_there_and_back_is_the_same_network(make, layers):
    module = seeded(make, 3, 5, layers)
    x = torch.randn(4, 20, 3)
    back = to_torch(from_torch(module))
    torch.testing.assert_close(back(x)[0], module(x.transpose(0, 1))[0].transpose(0, 1), atol=1e-13, rtol=0)
    again = from_state_dict(to_state_dict(from_torch(module)))
    assert all(torch.equal(a, b) for a, b in zip(again.parameters(), from_torch(module).parameters()))


@pytest.mark.parametrize("kind", ["vanilla", "lstm", "gru"])
def test_our_cells_become_torchs(kind):
    """The second of two members, and a network without inputs, which torch does not know."""
    pair = CELLS[kind](inputs=2, population=2, units=4)
    pair.build([(gaussian, torch.Generator().manual_seed(s)) for s in (0, 1)])
    x = torch.randn(9, 1, 2)
    z = torch.zeros(2, 1, pair.state)
    for row in x:
        z = pair.step(z, row.expand(2, 1, 2))
    theirs = to_torch(pair, member=1)(x.transpose(0, 1))[0]
    torch.testing.assert_close(theirs[0, -1], z[1, 0, :4], atol=1e-13, rtol=0)
    alone = drawn(kind, 0, 4)
    z = torch.zeros(1, 1, alone.state)
    for _ in range(9):
        z = alone.step(z)
    torch.testing.assert_close(to_torch(alone)(torch.ones(1, 9, 1))[0][0, -1], z[0, 0, :4], atol=1e-13, rtol=0)


@pytest.mark.parametrize("make", [nn.RNNCell, nn.LSTMCell, nn.GRUCell], ids=lambda make: make.__name__)
def test_torchs_cells_are_layers_too(make):
    module = seeded(make, 2, 3)
    x, z = torch.randn(4, 2), torch.randn(4, 6 if make is nn.LSTMCell else 3)
    theirs = module(x, z.split(3, dim=-1) if make is nn.LSTMCell else z)
    theirs = torch.cat(theirs, dim=-1) if make is nn.LSTMCell else theirs
    torch.testing.assert_close(from_torch(module).step(z[None], x[None])[0], theirs, atol=1e-14, rtol=0)


@networks
@depths
@pytest.mark.parametrize("driven", [True, False])
def test_push_through_a_stack_is_autodiff(make, layers, driven):
    map = from_torch(seeded(make, 3, 4, layers))
    g = torch.Generator().manual_seed(2)
    z, V = torch.randn(1, 5, map.state, generator=g), torch.randn(1, 5, 7, map.state, generator=g)
    x = torch.randn(1, 5, 3, generator=g) if driven else None
    for got, want in zip(map.push(z, x, V), autodiff_push(map.step, z, x, V)):
        torch.testing.assert_close(got, want, atol=1e-13, rtol=0)
    torch.testing.assert_close(V @ map.jacobian(z, x).mT, map.push(z, x, V)[1], atol=1e-13, rtol=0)


def test_layers_of_different_cells_make_a_stack():
    stack = Stack([drawn("gru", 2, 3), drawn("lstm", 3, 4), drawn("shallow_plrnn", 4, 5)])
    z, x, V = torch.randn(1, 2, stack.state), torch.randn(1, 2, 2), torch.randn(1, 2, 6, stack.state)
    for got, want in zip(stack.push(z, x, V), autodiff_push(stack.step, z, x, V)):
        torch.testing.assert_close(got, want, atol=1e-13, rtol=0)
    assert stack.visible.tolist() == [True] * 3 + [True] * 4 + [False] * 4 + [True] * 5
    with pytest.raises(ValueError, match=r"inputs=3 .* on units=5"):
        Stack([drawn("vanilla", 2, 5), drawn("vanilla", 3, 5)])


@networks
def test_layers_that_ignore_each_other_have_the_union_of_their_spectra(make):
    module = seeded(make, 2, 4, 2)
    with torch.no_grad():
        module.weight_ih_l1.zero_()
        module.weight_hh_l0.mul_(1.5)
    x = torch.randn(600, 1, 1, 2, generator=torch.Generator().manual_seed(3))
    stack = from_torch(module)
    plan = {"steps": 500, "warmup": 100}
    together = lyapunov_spectra(stack, torch.zeros(1, 1, stack.state), x, **plan)[0]
    lower, upper = (
        lyapunov_spectra(cell, torch.zeros(1, 1, cell.state), drive, **plan)[0].exponents
        for cell, drive in zip(stack.cells, (x, torch.zeros(600, 1, 1, 4)))
    )
    np.testing.assert_allclose(together.exponents, np.sort(np.append(lower, upper))[::-1], atol=5e-3)
    assert together.sum == pytest.approx(lower.sum() + upper.sum(), abs=1e-9)


def test_found_among_other_weights():
    model = nn.ModuleDict({"embed": nn.Linear(2, 3), "rnn": seeded(nn.GRU, 3, 4, 2), "head": nn.Linear(4, 1)})
    weights = model.state_dict()
    map = from_state_dict(weights, kind="gru", layers=2)
    assert (map.inputs, map.state) == (3, 8)
    compiled = {f"_orig_mod.{name}": w for name, w in weights.items()}
    assert from_state_dict(compiled).state == 8
    both = weights | {f"decoder.{name}": w for name, w in seeded(nn.LSTM, 2, 5).state_dict().items()}
    with pytest.raises(BadWeights, match=r"2 recurrent layers.*prefix: rnn\., decoder\."):
        from_state_dict(both)
    assert from_state_dict(both, prefix="decoder").state == 10
    with pytest.raises(ValueError, match=r"'decodr'. Did you mean 'decoder\.'"):
        from_state_dict(both, prefix="decodr")


def broken(change, make=nn.LSTM, **settings):
    weights = dict(seeded(make, 2, 3, **settings).state_dict())
    change(weights)
    return weights


def poke(name, value):
    return lambda weights: weights[name].flatten()[0:1].fill_(value)


NOTHING = lambda weights: None  # noqa: E731
REFUSED = {
    "bidirectional": ({}, broken(NOTHING, bidirectional=True), "bidirectional.*_reverse"),
    "projection": ({}, broken(NOTHING, proj_size=2), "proj_size"),
    "no network": ({}, nn.Linear(2, 3).state_dict(), "weight_hh_l0 is not among.*Found: weight, bias"),
    "not finite": ({}, broken(poke("weight_hh_l0", torch.nan)), "W holds values that are not finite"),
    "infinite bias": ({}, broken(poke("bias_ih_l0", torch.inf)), "b holds values that are not finite"),
    "gap": ({}, broken(lambda w: w.pop("weight_hh_l1"), num_layers=3), r"without a gap.*'_l0', '_l2'"),
    "no input weights": ({}, broken(lambda w: w.pop("weight_ih_l0")), "weight_ih None"),
    "bias of another size": ({}, broken(lambda w: w.update(bias_hh_l0=torch.zeros(3))), "must hold 12 values"),
    "blocks": ({}, broken(lambda w: w.update({n: v[:6] for n, v in w.items()})), "2 blocks of rows"),
    "quantised": ({}, broken(lambda w: w.update(weight_hh_l0=torch.ones(12, 3).char())), "torch.int8.*quantised"),
    "other kind": ({"kind": "gru"}, broken(NOTHING), "4 blocks of rows, but cell 'gru' has 3"),
    "unknown kind": ({"kind": "lsmt"}, broken(NOTHING), "Did you mean 'lstm'"),
    "other depth": ({"layers": 2}, broken(NOTHING), "hold 1 layers, but layers=2"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_weights_that_are_refused(case):
    given, weights, message = REFUSED[case]
    with pytest.raises(ValueError, match=message):
        from_state_dict(weights, **given)


def test_modules_that_are_refused():
    with pytest.raises(BadWeights, match=r"Sequential is not a recurrent layer.*it contains 1 \(GRU\)"):
        from_torch(nn.Sequential(nn.Linear(2, 2), nn.GRU(2, 3)))
    with pytest.raises(ValueError, match=r"no ShallowPlrnn; it has vanilla, gru, lstm"):
        to_torch(drawn("shallow_plrnn", 2, 3))
    with pytest.raises(ValueError, match=r"Vanilla has no weights. Draw them"):
        to_torch(CELLS["vanilla"](inputs=2, population=1, units=4))
    with pytest.raises(ValueError, match="agree in kind and size"):
        to_torch(Stack([drawn("gru", 2, 3), drawn("lstm", 3, 3)]))
