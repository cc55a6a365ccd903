"""Networks that somebody trained elsewhere, and the series that drives them, as files."""

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lyapsweep.cli.errors import CommandError

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from lyapsweep.cells import AbstractCell, Stack

SUFFIXES = (".pt", ".pth", ".bin", ".ckpt")
DRIVING = "--input series.npy, (time, features) or (batch, time, features)"


def network(path: Path, cell: str | None, layers: int | None, prefix: str | None) -> "AbstractCell | Stack":
    """The network in a file of torch.save; complaints name the file and the flag that would help."""
    from lyapsweep.cells import BadWeights, from_state_dict

    try:
        return from_state_dict(state_dict(path), kind=cell, layers=layers, prefix=prefix)
    except BadWeights as error:
        hint = " (--prefix)" if "name one by its prefix" in str(error) else ""
        raise CommandError(f"{path}: {error}{hint}") from error


def state_dict(path: Path) -> "dict[str, Tensor]":
    """Every tensor in the file by name; dictionaries within dictionaries (a checkpoint) become `model.rnn.weight`."""
    import torch

    if not path.is_file():
        raise CommandError(f"{path}: No such file.")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise CommandError(
            f"{path} holds Python objects beside tensors, and reading those would run their code. "
            "Save the weights alone: torch.save(model.state_dict(), ...)."
        ) from error
    except (RuntimeError, EOFError, ValueError, KeyError) as error:
        raise CommandError(f"{path} is no file of torch.save ({str(error).splitlines()[0]}).") from error
    if not isinstance(content, Mapping):
        raise CommandError(f"{path} holds a {type(content).__name__} where a state dict is needed: model.state_dict().")
    return flat(content)


def flat(content: Mapping[Any, Any], prefix: str = "") -> "dict[str, Tensor]":
    import torch

    found: dict[str, torch.Tensor] = {}
    for key, value in content.items():
        if isinstance(value, torch.Tensor):
            found[f"{prefix}{key}"] = value
        elif isinstance(value, Mapping):
            found |= flat(value, f"{prefix}{key}.")
    return found


def series(path: Path) -> "np.ndarray":
    """(time, features) or (batch, time, features) from .npy, .npz (one array, or one called `inputs`) or a table."""
    import numpy as np

    from lyapsweep.datasets import files

    suffix = path.suffix.lower()
    if not path.is_file():
        raise CommandError(f"--input {path}: No such file.")
    if suffix not in (".npy", ".npz"):
        table = files.read(str(path))
        return table.numbers(list(range(len(table.names))), 0)
    try:
        content = np.load(path, allow_pickle=False)
        values = content if suffix == ".npy" else content[only(path, content.files)]
    except (ValueError, EOFError, OSError) as error:
        raise CommandError(f"--input {path}: not numpy arrays ({error}).") from error
    if values.dtype.kind not in "fiub":
        raise CommandError(f"--input {path}: real numbers are needed, but it holds {values.dtype}.")
    return values.astype(np.float64)


def only(path: Path, names: list[str]) -> str:
    if len(names) == 1:
        return names[0]
    if "inputs" in names:
        return "inputs"
    raise CommandError(f"--input {path}: one array is needed, or one called 'inputs', but it holds {', '.join(names)}.")


def described(network: "AbstractCell | Stack") -> str:
    """`lstm, 2 layers of 64 units, 3 inputs`."""
    from lyapsweep.cells import Stack
    from lyapsweep.cells.from_torch import kind_of

    cells = network.cells if isinstance(network, Stack) else [network]
    depth = f"{len(cells)} layers" if len(cells) > 1 else "1 layer"
    kind = kind_of(cells[0])
    meant = " (tanh is meant: weights do not say)" if kind == "vanilla" else ""
    return f"{kind}{meant}, {depth} of {cells[0].units} units, {cells[0].inputs} inputs"
