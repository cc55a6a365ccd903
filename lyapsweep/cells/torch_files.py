"""Recurrent networks in files: state dicts and checkpoints of torch, safetensors, arrays of numpy."""

import argparse
import collections
import re
import warnings
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lyapsweep.cells.cell import AbstractCell
from lyapsweep.cells.errors import BadWeights
from lyapsweep.cells.from_plrnn import from_plrnn, is_plrnn
from lyapsweep.cells.from_torch import from_state_dict, kind_of
from lyapsweep.cells.stack import Stack
from lyapsweep.cells.vanilla import Vanilla

DEEPEST = 16  # levels of dictionaries and lists in a checkpoint
DAMAGED_ZIP = (zipfile.BadZipFile, zlib.error, NotImplementedError)
HARMLESS = [  # what checkpoints hold beside tensors; none of it runs code when it is read
    argparse.Namespace,
    collections.Counter,
    np.dtype,
    np.ndarray,
    *(type(np.dtype(code)) for code in "?bBhHiIlLqQefdgFD"),
    *((getattr(np._core.multiarray, name), f"{package}.multiarray.{name}")  # type: ignore[attr-defined]
      for name in ("scalar", "_reconstruct") for package in ("numpy._core", "numpy.core")),
]  # fmt: skip


@dataclass(frozen=True)
class WeightChoice:
    """Which network of a file is meant, and what weights do not record; None where not given.

    Args:
        kind: Expected kind of cell (vanilla, gru, lstm, plrnn, ...).
        layers: Expected number of layers.
        prefix: Prefix of the network's names, for example `encoder.rnn`, if the file holds several.
        nonlinearity: "tanh" or "relu" of a torch.nn.RNN.
        rectified: Number of rectified units of an ALRNN.
        clipped: Whether phi of a dendritic or shallow PLRNN is clipped.
    """

    kind: str | None = None
    layers: int | None = None
    prefix: str | None = None
    nonlinearity: str | None = None
    rectified: int | None = None
    clipped: bool | None = None


@dataclass(frozen=True)
class LoadedNetwork:
    """A network of population 1 from a file, its readout (features, units) if known, and what to print about it."""

    network: AbstractCell | Stack
    readout: Tensor | None
    description: str


def load_network(path: Path, choice: WeightChoice | None = None) -> LoadedNetwork:
    """Load the recurrent network that a file holds.

    Args:
        path: A file of `torch.save` (a state dict or a checkpoint), `.safetensors`, or `.npz`.
        choice: Which network is meant; None (the default) is the only one.

    Returns:
        The network.

    Raises:
        BadWeights: If the file holds no such weights; the message begins with the path.
    """
    choice = WeightChoice() if choice is None else choice
    try:
        weights = load_tensors(path)
        return of_plrnn(weights, choice) if is_plrnn(weights) else of_torch(weights, choice)
    except BadWeights as error:
        text = str(error)
        raise BadWeights(text if text.startswith(str(path)) else f"{path}: {text}") from error


def of_torch(weights: Mapping[str, Tensor], choice: WeightChoice) -> LoadedNetwork:
    if choice.rectified is not None or choice.clipped is not None:
        raise BadWeights("rectified and clipped are settings of a PLRNN, whose weights are A, W, h. Leave them out.")
    network = from_state_dict(
        weights, kind=choice.kind, layers=choice.layers, prefix=choice.prefix, nonlinearity=choice.nonlinearity
    )
    cells = network.cells if isinstance(network, Stack) else [network]
    phi = ""
    if isinstance(cells[0], Vanilla):
        assumed = "assuming tanh, which weights do not record; --nonlinearity says otherwise"
        phi = f" ({assumed if choice.nonlinearity is None else choice.nonlinearity})"
    depth = f"{len(cells)} layers" if len(cells) > 1 else "1 layer"
    sizes = f"{depth} of {cells[0].units} units, {cells[0].inputs} inputs"
    return LoadedNetwork(network, None, f"{kind_of(cells[0])}{phi}, {sizes}")


def of_plrnn(weights: Mapping[str, Tensor], choice: WeightChoice) -> LoadedNetwork:
    if choice.nonlinearity is not None or choice.layers is not None:
        raise BadWeights("nonlinearity and layers belong to networks of torch, but this is a PLRNN. Leave them out.")
    found = from_plrnn(
        weights, kind=choice.kind, prefix=choice.prefix, rectified=choice.rectified, clipped=bool(choice.clipped)
    )
    cell, assumed = found.cell, " and ".join(found.assumptions)
    return LoadedNetwork(
        cell,
        found.readout,
        f"{found.kind} (assuming {assumed}, which weights do not record), {cell.units} units, {cell.inputs} inputs",
    )


def load_tensors(path: Path) -> Mapping[str, Tensor]:
    """All tensors of a file by name; nested dictionaries (a checkpoint) become `model.rnn.weight`."""
    if not path.is_file():
        raise BadWeights(f"{path}: No such file.")
    if path.stat().st_size == 0:
        raise BadWeights(f"{path} is no file of torch.save: it is empty. Write it again with torch.save.")
    read = {".safetensors": from_safetensors, ".npz": from_numpy}.get(path.suffix.lower(), from_pickle)
    return read(path)


def from_safetensors(path: Path) -> Mapping[str, Tensor]:
    try:
        from safetensors import SafetensorError
        from safetensors.torch import load_file
    except ImportError as error:
        raise BadWeights(
            f"{path}: reading .safetensors needs a library. Install it with pip install 'lyapsweep[safetensors]'."
        ) from error
    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError, KeyError) as error:
        raise BadWeights(f"{path} is no file of safetensors ({error}). Write it again with save_file.") from error


def from_numpy(path: Path) -> Mapping[str, Tensor]:
    try:
        with np.load(path, allow_pickle=False) as content:
            arrays = {name: content[name] for name in content.files}
        return {name: torch.from_numpy(a.astype(a.dtype.newbyteorder("="))) for name, a in arrays.items()}
    except Exception as error:  # zipfile, zlib and numpy have many
        raise BadWeights(f"{path} holds no arrays of numbers ({error}). Write them with numpy.savez.") from error


def from_pickle(path: Path) -> Mapping[str, Tensor]:
    """A file of `torch.save`, of which nothing but tensors, numbers and containers is read."""
    if is_script(path):
        raise BadWeights(
            f"{path} is a TorchScript archive, a program. "
            "Save its weights: torch.save(torch.jit.load(path).state_dict(), ...)."
        )
    try:
        with torch.serialization.safe_globals(HARMLESS), warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of pickle protocols
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises whatever its parser meets
        raise unreadable(path, str(error)) from error
    if isinstance(content, Mapping) and {"state", "param_groups"} <= set(content):
        raise BadWeights(f"{path} holds the state of an optimizer and no weights. Save model.state_dict().")
    if not isinstance(content, Mapping):
        raise BadWeights(
            f"{path} holds a {type(content).__name__} where a state dict is needed. Save model.state_dict()."
        )
    return flatten(content)


def is_script(path: Path) -> bool:
    """Whether the archive holds code."""
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.partition("/")[2] == "constants.pkl" for name in archive.namelist())
    except (OSError, ValueError, *DAMAGED_ZIP):
        return False


def unreadable(path: Path, reason: str) -> BadWeights:
    """The error for a file of Python objects, or for one that is damaged."""
    named = re.search(r"GLOBAL (\S+)", reason)
    if named:
        return BadWeights(
            f"{path} holds Python objects beside tensors ({named[1]}), and reading those would run their code. "
            "Save the weights alone: torch.save(model.state_dict(), ...)."
        )
    said = (reason.splitlines() or ["no content"])[0]
    said = "damaged or another kind of file" if "weights_only" in said or not said.strip() else said[:160]
    return BadWeights(f"{path} is no file of torch.save ({said}). Write it with torch.save(model.state_dict(), ...).")


def flatten(content: Any, prefix: str = "", depth: int = 0) -> Mapping[str, Tensor]:
    tensors: dict[str, Tensor] = {}
    entries = content.items() if isinstance(content, Mapping) else enumerate(content)
    for key, value in entries:
        if isinstance(value, Tensor) and value.layout is torch.strided and value.device.type == "cpu":
            tensors[f"{prefix}{key}"] = value
        elif isinstance(value, Mapping | list | tuple) and depth < DEEPEST:
            tensors |= flatten(value, f"{prefix}{key}.", depth + 1)
    return tensors
