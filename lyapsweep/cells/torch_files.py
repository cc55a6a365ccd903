"""Recurrent layers in files of `torch.save`: state dicts and checkpoints."""

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from lyapsweep.cells.cell import AbstractCell
from lyapsweep.cells.from_torch import BadWeights, from_state_dict, kind_of
from lyapsweep.cells.stack import Stack

SUFFIXES = (".pt", ".pth", ".bin", ".ckpt")


def load_network(
    path: Path, kind: str | None = None, layers: int | None = None, prefix: str | None = None
) -> AbstractCell | Stack:
    """Load the recurrent layer that a file of `torch.save` holds.

    Args:
        path: A state dict or a checkpoint.
        kind: Expected kind (vanilla, gru, lstm); None accepts each.
        layers: Expected number of layers; None accepts each.
        prefix: Prefix of the layer's names, for example `encoder.rnn`, if the file holds several layers.

    Returns:
        The network, with a population of one.

    Raises:
        BadWeights: If the file holds no such weights; the message begins with the path.
    """
    try:
        return from_state_dict(load_tensors(path), kind=kind, layers=layers, prefix=prefix)
    except BadWeights as error:
        text = str(error)
        raise BadWeights(text if text.startswith(str(path)) else f"{path}: {text}") from error


def load_tensors(path: Path) -> Mapping[str, torch.Tensor]:
    """All tensors of a file by name; nested dictionaries (a checkpoint) become `model.rnn.weight`."""
    if not path.is_file():
        raise BadWeights(f"{path}: No such file.")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise BadWeights(
            f"{path} holds Python objects beside tensors, and reading those would run their code. "
            "Save the weights alone: torch.save(model.state_dict(), ...)."
        ) from error
    except (RuntimeError, EOFError, ValueError, KeyError) as error:
        raise BadWeights(
            f"{path} is no file of torch.save ({str(error).splitlines()[0]}). Write one with torch.save."
        ) from error
    if not isinstance(content, Mapping):
        raise BadWeights(
            f"{path} holds a {type(content).__name__} where a state dict is needed. Save model.state_dict()."
        )
    return flatten(content)


def flatten(content: Mapping[Any, Any], prefix: str = "") -> Mapping[str, torch.Tensor]:
    tensors: dict[str, torch.Tensor] = {}
    for key, value in content.items():
        if isinstance(value, torch.Tensor):
            tensors[f"{prefix}{key}"] = value
        elif isinstance(value, Mapping):
            tensors |= flatten(value, f"{prefix}{key}.")
    return tensors


def describe(network: AbstractCell | Stack) -> str:
    """The kind and size of a network: `lstm, 2 layers of 64 units, 3 inputs`."""
    cells = network.cells if isinstance(network, Stack) else [network]
    depth = f"{len(cells)} layers" if len(cells) > 1 else "1 layer"
    kind = kind_of(cells[0])
    nonlinearity = " (assuming tanh, which weights do not record)" if kind == "vanilla" else ""
    return f"{kind}{nonlinearity}, {depth} of {cells[0].units} units, {cells[0].inputs} inputs"
