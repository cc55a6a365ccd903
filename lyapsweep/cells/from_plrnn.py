"""Piecewise-linear RNNs trained elsewhere, by the names that their published code gives to weights.

| cell | weights | code |
|---|---|---|
| PLRNN | A, W, h; or AW, A its diagonal and W the rest | Mikhaeil et al. 2022 (ChaosRNN), GTF.jl |
| dendritic PLRNN | those, alpha and H; or alphas and thetas = -H | Brenner et al. 2022 (dendPLRNN), GTF.jl |
| shallow PLRNN | A, W1, W2, h1, h2 | Hess et al. 2023 (GTF-shPLRNN), CNS 2023 tutorial |
| ALRNN | A, W, h, and the number of rectified units, which weights do not record | Brenner et al. 2024 (ALRNN-DSR) |

C is the matrix of inputs, B or `output_layer.weight` the readout, `W_mask` a mask of W. Names in Unicode (W₁, α) and
with underscores (W_1) are read as well.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lyapsweep.cells.alrnn import Alrnn
from lyapsweep.cells.cell import AbstractCell
from lyapsweep.cells.dendritic_plrnn import DendriticPlrnn
from lyapsweep.cells.errors import BadWeights
from lyapsweep.cells.plrnn import Plrnn
from lyapsweep.cells.shallow_plrnn import ShallowPlrnn
from lyapsweep.registry import unknown

KINDS = ("plrnn", "dendritic_plrnn", "shallow_plrnn", "alrnn")
ALIASES = {"W₁": "W1", "W₂": "W2", "h₁": "h1", "h₂": "h2", "α": "alpha", "alphas": "alpha", "B": "readout"}
NAMES = {"A", "AW", "W", "W_mask", "W1", "W2", "h", "h1", "h2", "alpha", "H", "thetas", "C", "readout"}
SHAPES = {
    "A": "n",
    "W": "nn",
    "h": "n",
    "alpha": "b",
    "H": "nb",
    "W1": "nk",
    "W2": "kn",
    "h1": "n",
    "h2": "k",
    "C": "nm",
}
"""Shapes in units n, hidden units k, bases b and inputs m."""
READOUT = re.compile(r"(?:.*\.)?(?:output_layer|obs_model|observation_model|readout)\.(?:weight|B)$")


@dataclass(frozen=True)
class PlrnnWeights:
    """A piecewise-linear RNN from elsewhere.

    Args:
        kind: "plrnn", "dendritic_plrnn", "shallow_plrnn" or "alrnn".
        cell: The cell, of population 1.
        readout: The matrix of its readout, shape (features, units); None if there is none.
        assumptions: What weights do not record and was not given.

    Example:
        >>> found = from_plrnn({"A": torch.ones(2), "W": torch.zeros(2, 2), "h": torch.zeros(2)})
        >>> found.kind, found.assumptions
        ('plrnn', ('that all units are rectified', 'no mean centring'))
    """

    kind: str
    cell: AbstractCell
    readout: Tensor | None
    assumptions: tuple[str, ...]


def is_plrnn(names: Iterable[str]) -> bool:
    """Whether these are names of the weights of a piecewise-linear RNN."""
    return bool(prefixes(names))


def from_plrnn(
    weights: Mapping[str, Tensor],
    *,
    kind: str | None = None,
    prefix: str | None = None,
    rectified: int | None = None,
    clipped: bool = False,
) -> PlrnnWeights:
    """Convert the weights of a piecewise-linear RNN trained elsewhere.

    Weights do not record how many units are rectified, nor whether phi is clipped; mean centring is not supported.

    Args:
        weights: Tensors by name, of a state dict or an .npz file; see this module for the names.
        kind: "plrnn", "dendritic_plrnn", "shallow_plrnn" or "alrnn"; None (the default) follows the names.
        prefix: Prefix of the names ("latent_model.latent_step."), needed if there are several networks.
        rectified: Number of rectified units, the last ones, of an ALRNN; None (the default) is all of them.
        clipped: Whether phi is clipped, of a dendritic or shallow PLRNN; False by default.

    Returns:
        The cell, of population 1, with its readout and the assumptions that were made.

    Raises:
        BadWeights: If names or shapes do not belong together, or do not tell the kind.
        UnknownName: If `kind` or `prefix` is unknown.

    Example:
        >>> weights = {"AW": torch.full((3, 3), 0.1), "h": torch.zeros(3), "B": torch.eye(3)[:2]}
        >>> found = from_plrnn(weights)
        >>> found.cell.A.tolist(), found.readout.shape
        ([[0.10000000149011612, 0.10000000149011612, 0.10000000149011612]], torch.Size([2, 3]))
    """
    if kind is not None and kind not in KINDS:
        raise unknown("piecewise-linear cell", kind, list(KINDS))
    own, place = renamed(weights, prefix)
    for name, value in own.items():
        if not value.is_floating_point() or not value.isfinite().all():
            raise BadWeights(f"{place}{name} holds values that are not finite real numbers. Save the network again.")
    if "AW" in own:
        own |= {"A": own["AW"].diagonal(), "W": own["AW"] - torch.diag(own["AW"].diagonal())}
    if "W_mask" in own:
        own["W"] = own["W"] * own["W_mask"]
    found = "shallow_plrnn" if "W1" in own else "dendritic_plrnn" if "alpha" in own else None
    kind = kind or found or told_kind(own, place, rectified)
    if (found or kind) != kind or (found is None and kind not in ("plrnn", "alrnn")):
        raise BadWeights(f"{place}: cell '{kind}' has other weights than {', '.join(sorted(own))}. Leave the kind out.")
    if rectified is not None and kind != "alrnn":
        raise BadWeights(f"{place}: rectified is a setting of an ALRNN, but this is cell '{kind}'. Leave it out.")
    if clipped and found is None:
        raise BadWeights(f"{place}: clipped is a setting of dendritic and shallow PLRNNs. Leave it out.")
    cell = assembled(kind, own, place, rectified, clipped)
    return PlrnnWeights(kind, cell, own.get("readout"), assumed(kind, clipped, rectified))


def prefixes(names: Iterable[str]) -> list[str]:
    """Prefixes under which the weights of a piecewise-linear RNN stand."""
    found = {plain(name) for name in names}
    starts = {prefix for prefix, last in found if last in ("A", "AW")}
    needed = ({"AW", "h"}, {"A", "W", "h"}, {"A", "W1", "W2", "h1", "h2"})
    return sorted(p for p in starts if any(all((p, n) in found for n in one) for one in needed))


def plain(name: str) -> tuple[str, str]:
    """(prefix, name) with the name in its plain form: `latent_step.W₁` is ("latent_step.", "W1")."""
    prefix, dot, last = name.rpartition(".")
    last = last if last == "W_mask" else last.replace("_", "")
    return prefix + dot, ALIASES.get(last, last)


def renamed(weights: Mapping[str, Tensor], prefix: str | None) -> tuple[dict[str, Tensor], str]:
    """The weights of the one network that is meant under plain names, and its prefix for messages."""
    known = prefixes(weights)
    matching = [p for p in known if prefix is None or p in (prefix, f"{prefix}.")]
    if not known:
        raise BadWeights(f"No piecewise-linear RNN is among {', '.join(list(weights)[:8])}. Pass A, W and h.")
    if not matching:
        raise unknown("piecewise-linear RNN", prefix, known)
    if len(matching) > 1:
        raise BadWeights(f"There are {len(known)} networks. Select one by prefix: {', '.join(known)}.")
    own = {}
    for name, value in weights.items():
        start, last = plain(name)
        if start == matching[0] and last in NAMES:
            own[last] = value
        elif READOUT.match(name):
            own.setdefault("readout", value)
    return own, matching[0]


def told_kind(own: Mapping[str, Tensor], place: str, rectified: int | None) -> str:
    """PLRNN or ALRNN, by the setting or by W's diagonal, which a PLRNN's A replaces."""
    if rectified is not None:
        return "alrnn"
    if own["W"].dim() == 2 and own["W"].diagonal().any():
        raise BadWeights(
            f"{place}W has a diagonal, as of an ALRNN or of a PLRNN with a full W, and weights do not record how many "
            "units are rectified. Give kind alrnn and rectified=P (--cell alrnn --set rectified=P), or kind plrnn."
        )
    return "plrnn"


def assumed(kind: str, clipped: bool, rectified: int | None) -> tuple[str, ...]:
    """What weights do not record and was not given."""
    said = ["no mean centring"]
    if kind in ("dendritic_plrnn", "shallow_plrnn") and not clipped:
        said.insert(0, "no clipping")
    if kind in ("plrnn", "alrnn") and rectified is None:
        said.insert(0, "that all units are rectified")
    return tuple(said)


def assembled(kind: str, own: Mapping[str, Tensor], place: str, rectified: int | None, clipped: bool) -> AbstractCell:
    """The cell, its shapes checked."""
    A = own["A"].squeeze() if own["A"].numel() > 1 else own["A"].flatten()
    if A.dim() == 2 and len(A) == A.shape[1] and not (A - torch.diag(A.diagonal())).any():
        A = A.diagonal()
    values = {**own, "A": A, "C": own.get("C", A.new_zeros(len(A), 0))}
    sizes = {"n": len(A), "m": values["C"].shape[-1]}
    sizes |= {size: own[name].numel() for size, name in (("k", "h2"), ("b", "alpha")) if name in own}
    if kind == "shallow_plrnn":
        cell: AbstractCell = ShallowPlrnn(sizes["m"], 1, units=sizes["n"], hidden=sizes["k"], clipped=clipped)
        names = ("A", "W1", "W2", "h1", "h2", "C")
    elif kind == "dendritic_plrnn":
        cell = DendriticPlrnn(sizes["m"], 1, units=sizes["n"], bases=sizes["b"], clipped=clipped)
        names, values["H"] = ("A", "W", "h", "alpha", "H", "C"), thresholds(own, place)
    else:
        names, full = ("A", "W", "h", "C"), own["W"].dim() == 2 and bool(own["W"].diagonal().any())
        cell = Plrnn(sizes["m"], 1, units=sizes["n"])
        if full or kind == "alrnn":  # a PLRNN with a full W is an ALRNN whose units are all rectified
            cell = Alrnn(sizes["m"], 1, units=sizes["n"], rectified=sizes["n"] if rectified is None else rectified)
    for name in names:
        shape = tuple(sizes[size] for size in SHAPES[name])
        value = values[name].flatten() if len(shape) == 1 and values[name].numel() == shape[0] else values[name]
        if value.shape != shape:
            raise BadWeights(f"{place}{name} must be {shape}, but is {tuple(value.shape)}. Is it transposed?")
        setattr(cell, name, nn.Parameter(value.detach().clone().unsqueeze(0)))
    return cell


def thresholds(own: Mapping[str, Tensor], place: str) -> Tensor:
    """H of relu(z - H); published code also has thetas of relu(z + thetas)."""
    if "H" in own:
        return own["H"]
    if "thetas" in own:
        return -own["thetas"]
    raise BadWeights(f"{place}: the thresholds H (or thetas) of the dendritic PLRNN are missing. Add them.")
