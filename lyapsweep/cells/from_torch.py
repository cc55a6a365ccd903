"""Networks that somebody trained elsewhere: `vanilla`, `lstm` and `gru` to and from torch.nn.RNN, LSTM and GRU.

Torch adds two biases where one would do: b = bias_ih + bias_hh, except in the GRU's candidate, whose b_hn stands
inside the product with the reset gate. The kind of a network follows from the shape of its weights: weight_hh has
1 (RNN), 3 (GRU) or 4 (LSTM) blocks of rows. A state dict does not say whether an RNN is of tanh or relu: tanh is meant.
"""

import re
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from lyapsweep.cells.cell import AbstractCell
from lyapsweep.cells.gru import Gru
from lyapsweep.cells.lstm import Lstm
from lyapsweep.cells.stack import Stack
from lyapsweep.cells.vanilla import Vanilla
from lyapsweep.registry import unknown

EXCHANGED: dict[str, tuple[int, Callable[..., AbstractCell], Callable[..., nn.RNNBase]]] = {
    "vanilla": (1, Vanilla, nn.RNN),
    "gru": (3, Gru, nn.GRU),
    "lstm": (4, Lstm, nn.LSTM),
}
"""Blocks of rows in weight_hh, our class, torch's."""
RECURRENT = re.compile(r"(?P<prefix>.*?)weight_hh(?P<layer>_l\d+)?$")  # `weight_hh` alone: one of torch's cells
MODULES = (nn.RNNBase, nn.RNNCellBase)


class BadWeights(ValueError):
    """Weights that are not those of a recurrent network known here; the message says what was found."""


def from_torch(module: nn.Module) -> AbstractCell | Stack:
    """The map of a torch.nn.RNN, LSTM, GRU or of one of torch's cells, with copies of its weights, population 1.

    Dropout between layers plays no part, as in `module.eval()`. Raises `BadWeights` for other modules (naming the
    recurrent layers inside), for relu networks, bidirectional ones and projections.
    """
    if not isinstance(module, MODULES):
        inside = [f"{name} ({type(m).__name__})" for name, m in module.named_modules() if isinstance(m, MODULES)]
        found = f"inside it: {', '.join(inside)}" if inside else "it holds none"
        raise BadWeights(f"{type(module).__name__} is no recurrent layer of torch.nn; {found}. Give that layer alone.")
    nonlinearity = getattr(module, "nonlinearity", "tanh")
    if nonlinearity != "tanh":
        raise BadWeights(
            f"torch.nn.{type(module).__name__} of nonlinearity='{nonlinearity}' is no cell here; 'tanh' is."
        )
    return from_state_dict(module.state_dict())


def from_state_dict(
    weights: Mapping[str, Tensor], *, kind: str | None = None, layers: int | None = None, prefix: str | None = None
) -> AbstractCell | Stack:
    """The map whose weights a state dict of torch.nn.RNN, LSTM or GRU holds, alone or among others, population 1.

    `prefix` ("encoder.rnn.") says which recurrent layer where there are several. `kind` and `layers` follow from names
    and shapes; given, they are checked. Several layers are a `Stack`. Raises `BadWeights`, `UnknownName`.
    """
    if kind is not None and kind not in EXCHANGED:
        raise unknown("cell of torch", kind, list(EXCHANGED))
    prefix = choose(weights, prefix)
    found = [m["layer"] or "" for m in map(RECURRENT.match, weights) if m and m["prefix"] == prefix]
    refuse(weights, prefix)
    suffixes = sorted(found, key=lambda s: int(s.removeprefix("_l") or 0))
    if suffixes not in ([""], [f"_l{i}" for i in range(len(suffixes))]):
        raise BadWeights(f"Layers {prefix}weight_hh_l0, _l1, ... must be there without a gap, but got {suffixes}.")
    if layers is not None and layers != len(suffixes):
        raise BadWeights(f"{layers} layers are wanted, but the weights under '{prefix}' hold {len(suffixes)}.")
    cells = [layer(weights, prefix, suffix, kind) for suffix in suffixes]
    return cells[0] if len(cells) == 1 else Stack(cells)


def choose(weights: Mapping[str, Tensor], prefix: str | None) -> str:
    """What stands before weight_hh in the names of the one recurrent network that is meant."""
    known = list(dict.fromkeys(m["prefix"] for m in map(RECURRENT.match, weights) if m))
    if not known:
        raise BadWeights(
            "No weight_hh_l0 among the names: these are not the weights of a torch.nn.RNN, LSTM or GRU. "
            f"Found: {', '.join(list(weights)[:8]) or 'nothing'}."
        )
    if prefix is not None:
        matching = [p for p in known if p == prefix or p == f"{prefix}."]
        if not matching:
            raise unknown("recurrent layer", prefix, known)
        return matching[0]
    if len(known) > 1:
        raise BadWeights(f"There are {len(known)} recurrent layers; name one by its prefix: {', '.join(known)}.")
    return known[0]


def refuse(weights: Mapping[str, Tensor], prefix: str) -> None:
    mine = [name.removeprefix(prefix) for name in weights if name.startswith(prefix)]
    if any(re.fullmatch(r"weight_hh_l\d+_reverse", name) for name in mine):
        raise BadWeights(
            "A bidirectional network reads its input from both ends: it is no map from one step to the next. "
            "Its forward half alone is one: leave the weights that end in _reverse out."
        )
    if any(re.fullmatch(r"weight_hr_l\d+", name) for name in mine):
        raise BadWeights("An LSTM with proj_size (weight_hr) is no cell here; without a projection it is.")


def layer(weights: Mapping[str, Tensor], prefix: str, suffix: str, kind: str | None) -> AbstractCell:
    """One layer as a cell. Shapes are checked before anything is copied."""
    get = lambda name: weights.get(f"{prefix}{name}{suffix}")  # noqa: E731
    W, U = get("weight_hh"), get("weight_ih")
    assert W is not None, "chosen by this name"
    place = f"{prefix}weight_hh{suffix}"
    if U is None or W.dim() != 2 or U.dim() != 2 or len(U) != len(W) or len(W) % W.shape[1]:
        shape = None if U is None else tuple(U.shape)
        raise BadWeights(f"{place} {tuple(W.shape)} and its weight_ih {shape} are of no recurrent layer of torch.")
    if not W.is_floating_point():
        raise BadWeights(f"{place} holds {W.dtype}: quantised weights are not exchanged. Save the network before that.")
    rows, units = W.shape
    inferred = next((name for name, (blocks, *_) in EXCHANGED.items() if blocks * units == rows), None)
    if inferred is None or (kind is not None and kind != inferred):
        wanted = f"cell '{kind}' has {EXCHANGED[kind][0]}" if kind else "cells have 1 (vanilla), 3 (gru) or 4 (lstm)"
        raise BadWeights(f"{place} is {rows} x {units}, {rows // units} blocks of rows, but {wanted}.")
    zero = W.new_zeros(rows)
    outer, inner = (zero if b is None else b for b in (get("bias_ih"), get("bias_hh")))
    if outer.shape != zero.shape or inner.shape != zero.shape:
        raise BadWeights(f"The biases beside {place} must hold {rows} values each.")
    cell = EXCHANGED[inferred][1](inputs=U.shape[1], population=1, units=units)
    for name, value in {"W": W, "U": U, **biases(inferred, outer, inner)}.items():
        if not value.isfinite().all():
            raise BadWeights(
                f"{prefix}*{suffix}: {name} holds values that are not finite; such a network moves nowhere."
            )
        setattr(cell, name, nn.Parameter(value.detach().clone().unsqueeze(0)))
    return cell


def biases(kind: str, outer: Tensor, inner: Tensor) -> dict[str, Tensor]:
    if kind != "gru":
        return {"b": outer + inner}
    gates, units = outer.split([2 * len(outer) // 3, len(outer) // 3])
    return {"b": torch.cat((gates, torch.zeros_like(units))) + inner, "d": units}


def to_state_dict(network: AbstractCell | Stack, member: int = 0) -> dict[str, Tensor]:
    """One member as a state dict of torch.nn.RNN, LSTM or GRU, copies. A network without inputs gets one of weight 0.

    Raises ValueError for cells that torch has not.
    """
    cells = network.cells if isinstance(network, Stack) else [network]
    weights = {}
    for i, cell in enumerate(cells):
        kind, own = kind_of(cell), {name: w[member].detach() for name, w in cell.named_parameters()}
        outer = torch.zeros_like(own["b"])
        if kind == "gru":
            outer[-cell.units :] = own["d"]
        U = own["U"] if cell.inputs else outer.new_zeros(len(outer), 1)
        parts = {"weight_ih": U, "weight_hh": own["W"], "bias_ih": outer, "bias_hh": own["b"]}
        weights |= {f"{name}_l{i}": value.clone() for name, value in parts.items()}
    return weights


def to_torch(network: AbstractCell | Stack, member: int = 0) -> nn.RNNBase:
    """One member as a torch.nn.RNN, LSTM or GRU that takes (batch, time, features). Raises ValueError as above."""
    cells = network.cells if isinstance(network, Stack) else [network]
    kinds, units = {kind_of(cell) for cell in cells}, {cell.units for cell in cells}
    if len(kinds) > 1 or len(units) > 1:
        raise ValueError(f"torch's layers are of one kind and size, but these are {sorted(kinds)} of {sorted(units)}.")
    module = EXCHANGED[kinds.pop()][2](max(cells[0].inputs, 1), units.pop(), len(cells), batch_first=True)
    module = module.to(next(network.parameters()))
    module.load_state_dict(to_state_dict(network, member))
    return module


def kind_of(cell: AbstractCell) -> str:
    for kind, (_, ours, _) in EXCHANGED.items():
        if type(cell) is ours:
            return kind
    raise ValueError(f"torch.nn has no {type(cell).__name__}; it has {', '.join(EXCHANGED)}.")
