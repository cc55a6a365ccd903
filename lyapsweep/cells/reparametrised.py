"""Weights that a state dict holds in parts: weight norm, spectral norm, pruning, weight drop.

A module computes W from those parts whenever it runs; `effective` computes the W of evaluation. The parts carry the
names of torch.nn.utils, in the older form (`weight_hh_l0_g`) and in that of `parametrize`
(`parametrizations.weight_hh_l0.original0`); `weight_hh_l0_raw` is that of weight drop (Merity et al. 2017).
"""

import re
from collections import defaultdict
from collections.abc import Mapping

import torch
from torch import Tensor

from lyapsweep.cells.errors import BadWeights

NAME = r"(?:weight|bias)_[ih]h(?:_l\d+)?(?:_reverse)?"
PART = re.compile(
    rf"(?P<module>.*?)(?:parametrizations\.(?P<new>{NAME})\.(?P<entry>.+)"
    rf"|(?P<old>{NAME})_(?P<suffix>(?!l\d+|reverse)\w+))$"
)
"""A part of a weight: the module's prefix, the weight's name, and which part it is."""
REMEDY = "Save the weight itself: torch.nn.utils.parametrize.remove_parametrizations(module, '{name}') before saving"


def effective(weights: Mapping[str, Tensor], prefix: str = "") -> dict[str, Tensor]:
    """Replace the parts of every recurrent weight by the weight that the module computes from them in evaluation.

    W = g v / |v| (weight norm), W / (u^T W v) (spectral norm), W mask (pruning), W without dropout (weight drop).

    Args:
        weights: A state dict.
        prefix: Prefix of the layer that is meant; parts under other prefixes are left out. All by default.

    Returns:
        The state dict with whole weights under their own names.

    Raises:
        BadWeights: If the parts belong to no known form; the message names the weight.

    Example:
        >>> layer = torch.nn.utils.parametrizations.weight_norm(torch.nn.RNN(2, 3), "weight_hh_l0")
        >>> torch.allclose(effective(layer.state_dict())["weight_hh_l0"], layer.weight_hh_l0)
        True
    """
    whole: dict[str, Tensor] = {}
    parts: dict[tuple[str, str], dict[str, Tensor]] = defaultdict(dict)
    for name, value in weights.items():
        found = PART.match(name)
        if found is None:
            whole[name] = value
        elif name.startswith(prefix):
            parts[found["module"], found["new"] or found["old"]][found["entry"] or found["suffix"]] = value
    for (module, name), of_weight in parts.items():
        wrapped = f"{module}module."  # weight drop keeps the raw weight in a wrapper around the layer
        inside = any(other.startswith(f"{wrapped}weight_ih") for other in weights)
        whole[f"{wrapped if inside else module}{name}"] = combined(f"{module}{name}", name, of_weight)
    return whole


def combined(place: str, name: str, parts: Mapping[str, Tensor]) -> Tensor:
    """One weight from its parts."""
    known = frozenset(parts)
    try:
        if known in ({"original0", "original1"}, {"g", "v"}):
            g, v = (parts[part] for part in ("g", "v")) if "g" in known else (parts["original0"], parts["original1"])
            return normed(g, v)
        if known == {"original", "0._u", "0._v"}:
            return spectral(parts["original"], parts["0._u"], parts["0._v"])
        if known == {"orig", "u", "v"}:
            return spectral(parts["orig"], parts["u"], parts["v"])
        if known == {"orig", "mask"}:
            return parts["orig"] * parts["mask"]
        if known == {"raw"}:
            return parts["raw"]
    except (RuntimeError, IndexError) as error:
        shapes = ", ".join(f"{part} {tuple(value.shape)}" for part, value in parts.items())
        raise BadWeights(f"{place}: its parts do not fit each other ({shapes}). Save the network again.") from error
    listed = ", ".join(sorted(known))
    raise BadWeights(
        f"{place} is held in parts ({listed}) from which its value is not known. {REMEDY.format(name=name)}."
    )


def normed(g: Tensor, v: Tensor) -> Tensor:
    """g v / |v|, the norm over all dimensions in which g has one entry (all if g is one number)."""
    over = [i for i in range(v.dim()) if g.dim() == 0 or g.shape[i] == 1]
    return g * v / torch.linalg.vector_norm(v, dim=over, keepdim=True)


def spectral(W: Tensor, u: Tensor, v: Tensor) -> Tensor:
    """W / sigma, sigma = u^T W v with the singular vectors that training left; u belongs to the columns if only so."""
    matrix = W if len(u) == len(W) else W.mT
    return W / (u @ matrix @ v)
