"""Conversion of networks trained elsewhere: `vanilla`, `lstm` and `gru` to and from torch.nn.RNN, LSTM and GRU.

Torch adds two biases, which one replaces: b = bias_ih + bias_hh, except in the GRU's candidate, whose b_hn is
multiplied by the reset gate. The kind of a network follows from the shape of its weights: weight_hh has 1 (RNN),
3 (GRU) or 4 (LSTM) blocks of rows. A state dict does not say whether an RNN uses tanh or relu; tanh is assumed unless
given. Weights that are held in parts (weight norm, pruning, ...) are computed as in evaluation (`reparametrised`).
"""

import copy
import re
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from lyapsweep.cells.cell import AbstractCell, refuse_without_weights
from lyapsweep.cells.errors import BadWeights
from lyapsweep.cells.gru import Gru
from lyapsweep.cells.lstm import Lstm
from lyapsweep.cells.reparametrised import effective
from lyapsweep.cells.stack import Stack
from lyapsweep.cells.vanilla import Vanilla
from lyapsweep.registry import unknown

EXCHANGED: dict[str, tuple[int, Callable[..., AbstractCell], Callable[..., nn.RNNBase]]] = {
    "vanilla": (1, Vanilla, nn.RNN),
    "gru": (3, Gru, nn.GRU),
    "lstm": (4, Lstm, nn.LSTM),
}
"""Blocks of rows in weight_hh, class here, class in torch."""
RECURRENT = re.compile(r"(?P<prefix>.*?)weight_hh(?P<layer>_l\d+)?$")  # `weight_hh` alone: one of torch's cells
MODULES = (nn.RNNBase, nn.RNNCellBase)


def from_torch(module: nn.Module) -> AbstractCell | Stack:
    """Convert a torch.nn.RNN, LSTM, GRU or one of torch's cells to a map, with copies of its weights.

    Dropout between layers is ignored, as in `module.eval()`.

    Args:
        module: The recurrent layer.

    Returns:
        A cell of population 1; a `Stack` if there are several layers.

    Raises:
        BadWeights: If the module is not a recurrent layer (the message names those inside it), or has two directions or
            projections.

    Example:
        >>> from_torch(nn.LSTM(2, 8)).state
        16
    """
    if not isinstance(module, MODULES):
        inside = [f"{name} ({type(m).__name__})" for name, m in module.named_modules() if isinstance(m, MODULES)]
        found = f"it contains {', '.join(inside)}" if inside else "it contains none"
        raise BadWeights(
            f"{type(module).__name__} is not a recurrent layer of torch.nn; {found}. Pass the recurrent layer alone."
        )
    return from_state_dict(evaluated(module), nonlinearity=getattr(module, "nonlinearity", None))


def evaluated(module: nn.Module) -> dict[str, Tensor]:
    """The state dict, with weights under `torch.nn.utils.parametrize` as the module computes them in evaluation."""
    weights = dict(module.state_dict())
    if not parametrize.is_parametrized(module):
        return weights
    still = copy.deepcopy(module).eval()  # in training, spectral norm changes its vectors when it is read
    kept = {name: value for name, value in weights.items() if not name.startswith("parametrizations.")}
    return kept | {name: getattr(still, name).detach() for name in still.parametrizations}  # type: ignore[union-attr]


def from_state_dict(
    weights: Mapping[str, Tensor],
    *,
    kind: str | None = None,
    layers: int | None = None,
    prefix: str | None = None,
    nonlinearity: str | None = None,
) -> AbstractCell | Stack:
    """Convert the recurrent weights in a state dict to a map.

    Args:
        weights: A state dict of torch.nn.RNN, LSTM or GRU, or of a module that contains one.
        kind: "vanilla", "gru" or "lstm"; inferred from shapes if None (the default), else checked.
        layers: Number of layers; inferred from names if None (the default), else checked.
        prefix: Prefix of the recurrent layer ("encoder.rnn."), needed if there are several.
        nonlinearity: "tanh" or "relu" of a torch.nn.RNN, which weights do not record; None (the default) assumes tanh.

    Returns:
        A cell of population 1; a `Stack` if there are several layers.

    Raises:
        BadWeights: If the weights are not those of one supported recurrent network.
        UnknownName: If `kind`, `prefix` or `nonlinearity` is unknown.

    Example:
        >>> from_state_dict(nn.GRU(2, 8).state_dict()).units
        8
    """
    if kind is not None and kind not in EXCHANGED:
        raise unknown("cell of torch", kind, list(EXCHANGED))
    weights = effective(weights, prefix or "")
    prefix = find_prefix(weights, prefix)
    found = [m["layer"] or "" for m in map(RECURRENT.match, weights) if m and m["prefix"] == prefix]
    check_supported(weights, prefix)
    suffixes = sorted(found, key=lambda s: int(s.removeprefix("_l") or 0))
    if suffixes not in ([""], [f"_l{i}" for i in range(len(suffixes))]):
        raise BadWeights(f"{prefix}weight_hh: layers must be _l0, _l1, ... without a gap, but are {suffixes}.")
    if layers is not None and layers != len(suffixes):
        raise BadWeights(f"{prefix}weight_hh: the weights hold {len(suffixes)} layers, but layers={layers}.")
    cells = [convert_layer(weights, prefix, suffix, kind, nonlinearity) for suffix in suffixes]
    return cells[0] if len(cells) == 1 else Stack(cells)


def find_prefix(weights: Mapping[str, Tensor], prefix: str | None) -> str:
    """The prefix of weight_hh in the names of the one recurrent network that is meant."""
    known = list(dict.fromkeys(m["prefix"] for m in map(RECURRENT.match, weights) if m))
    if not known:
        raise BadWeights(
            "weight_hh_l0 is not among the names. Pass the state dict of a torch.nn.RNN, LSTM or GRU. "
            f"Found: {', '.join(list(weights)[:8]) or 'nothing'}."
        )
    if prefix is not None:
        matching = [p for p in known if p == prefix or p == f"{prefix}."]
        if not matching:
            raise unknown("recurrent layer", prefix, known)
        return matching[0]
    if len(known) > 1:
        raise BadWeights(f"There are {len(known)} recurrent layers. Select one by prefix: {', '.join(known)}.")
    return known[0]


def check_supported(weights: Mapping[str, Tensor], prefix: str) -> None:
    """Raise `BadWeights` for bidirectional networks and projections."""
    names = [name.removeprefix(prefix) for name in weights if name.startswith(prefix)]
    if any(re.fullmatch(r"weight_hh_l\d+_reverse", name) for name in names):
        raise BadWeights(
            "A bidirectional network is not a map from one step to the next. "
            "Leave out the weights that end in _reverse to convert its forward half."
        )
    if any(re.fullmatch(r"weight_hr_l\d+", name) for name in names):
        raise BadWeights("weight_hr: an LSTM with proj_size is not supported. Use one without a projection.")


def convert_layer(
    weights: Mapping[str, Tensor], prefix: str, suffix: str, kind: str | None, nonlinearity: str | None
) -> AbstractCell:
    """One layer as a cell. Shapes are checked before anything is copied."""
    get = lambda name: weights.get(f"{prefix}{name}{suffix}")  # noqa: E731
    W, U = get("weight_hh"), get("weight_ih")
    assert W is not None, "chosen by this name"
    place = f"{prefix}weight_hh{suffix}"
    if U is None or W.dim() != 2 or U.dim() != 2 or len(U) != len(W) or len(W) % W.shape[1]:
        shape = None if U is None else tuple(U.shape)
        raise BadWeights(
            f"{place} {tuple(W.shape)} and its weight_ih {shape} do not belong to a recurrent layer of torch."
        )
    if not W.is_floating_point():
        raise BadWeights(
            f"{place} holds {W.dtype}, not real numbers: quantised or complex weights. Save the network before that."
        )
    rows, units = W.shape
    inferred = next((name for name, (blocks, *_) in EXCHANGED.items() if blocks * units == rows), None)
    if inferred is None or (kind is not None and kind != inferred):
        wanted = f"cell '{kind}' has {EXCHANGED[kind][0]}" if kind else "cells have 1 (vanilla), 3 (gru) or 4 (lstm)"
        raise BadWeights(f"{place} is {rows} x {units}, {rows // units} blocks of rows, but {wanted}.")
    zero = W.new_zeros(rows)
    outer, inner = (zero if b is None else b for b in (get("bias_ih"), get("bias_hh")))
    if outer.shape != zero.shape or inner.shape != zero.shape:
        raise BadWeights(f"The biases beside {place} must hold {rows} values each.")
    if nonlinearity is not None and inferred != "vanilla":
        raise BadWeights(f"{place} belongs to cell '{inferred}', which has no choice of nonlinearity. Leave it out.")
    given = {} if nonlinearity is None else {"nonlinearity": nonlinearity}
    cell = EXCHANGED[inferred][1](inputs=U.shape[1], population=1, units=units, **given)
    for name, value in {"W": W, "U": U, **biases(inferred, outer, inner)}.items():
        if not value.isfinite().all():
            raise BadWeights(f"{prefix}*{suffix}: {name} holds values that are not finite.")
        setattr(cell, name, nn.Parameter(value.detach().clone().unsqueeze(0)))
    return cell


def biases(kind: str, outer: Tensor, inner: Tensor) -> dict[str, Tensor]:
    if kind != "gru":
        return {"b": outer + inner}
    gates, units = outer.split([2 * len(outer) // 3, len(outer) // 3])
    return {"b": torch.cat((gates, torch.zeros_like(units))) + inner, "d": units}


def to_state_dict(network: AbstractCell | Stack, member: int = 0) -> dict[str, Tensor]:
    """Convert one member to a state dict of torch.nn.RNN, LSTM or GRU.

    A network without inputs gets one input of weight 0.

    Args:
        network: A `Vanilla`, `Gru` or `Lstm` cell, or a `Stack` of one of them.
        member: Which member of the population; 0 by default.

    Returns:
        Copies of the weights under torch's names.

    Raises:
        ValueError: If torch has no such cell.

    Example:
        >>> sorted(to_state_dict(from_torch(nn.RNN(2, 8))))
        ['bias_hh_l0', 'bias_ih_l0', 'weight_hh_l0', 'weight_ih_l0']
    """
    cells = network.cells if isinstance(network, Stack) else [network]
    refuse_without_weights(network)
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
    """Convert one member to a torch.nn.RNN, LSTM or GRU that takes (batch, time, features).

    Args:
        network: A `Vanilla`, `Gru` or `Lstm` cell, or a `Stack` of one of them.
        member: Which member of the population; 0 by default.

    Returns:
        A torch module with copies of the weights.

    Raises:
        ValueError: If torch has no such cell, or layers differ in kind, size or nonlinearity.

    Example:
        >>> to_torch(from_torch(nn.GRU(2, 8)))
        GRU(2, 8, batch_first=True)
    """
    cells = network.cells if isinstance(network, Stack) else [network]
    refuse_without_weights(network)
    kinds, units = {kind_of(cell) for cell in cells}, {cell.units for cell in cells}
    phi = {cell.nonlinearity for cell in cells if isinstance(cell, Vanilla)}
    if len(kinds) > 1 or len(units) > 1 or len(phi) > 1:
        raise ValueError(
            f"Layers must agree in kind and size, but are {sorted(kinds)} of {sorted(units)} units ({sorted(phi)})."
        )
    given = {"nonlinearity": phi.pop()} if phi else {}
    module = EXCHANGED[kinds.pop()][2](max(cells[0].inputs, 1), units.pop(), len(cells), batch_first=True, **given)
    module = module.to(next(network.parameters()))
    module.load_state_dict(to_state_dict(network, member))
    return module


def kind_of(cell: AbstractCell) -> str:
    for kind, (_, cell_type, _) in EXCHANGED.items():
        if type(cell) is cell_type:
            return kind
    raise ValueError(f"torch.nn has no {type(cell).__name__}; it has {', '.join(EXCHANGED)}.")
