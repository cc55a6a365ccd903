"""Series of inputs that drive a network, from files."""

from pathlib import Path

import numpy as np

from lyapsweep.datasets import files
from lyapsweep.datasets.series import BadSeries


def read_inputs(path: Path) -> np.ndarray:
    """Read driving inputs from a file.

    Args:
        path: `.npy`, `.npz` (one array, or one called `inputs`), or a table (`.csv`, `.txt`, `.tsv`, `.parquet`).

    Returns:
        Inputs of shape (time, features) or (batch, time, features), in double precision.

    Raises:
        BadSeries: If the file cannot be read or holds no real numbers; the message begins with the path.
    """
    suffix = path.suffix.lower()
    if not path.is_file():
        raise BadSeries(f"{path}: No such file.")
    if suffix not in (".npy", ".npz"):
        table = files.read(str(path))
        return table.numbers(list(range(len(table.names))), 0)
    try:
        content = np.load(path, allow_pickle=False)
        values = np.asarray(content if suffix == ".npy" else content[array_name(path, content.files)])
    except BadSeries:
        raise
    except Exception as error:  # headers are parsed as Python, shapes may exceed the memory
        raise BadSeries(f"{path}: no arrays of numpy ({error}). Write them with numpy.save.") from error
    if values.dtype.kind not in "fiub":
        raise BadSeries(f"{path}: real numbers are needed, but it holds {values.dtype}. Convert them first.")
    return values.astype(np.float64)


def array_name(path: Path, names: list[str]) -> str:
    if len(names) == 1:
        return names[0]
    if "inputs" in names:
        return "inputs"
    raise BadSeries(f"{path}: one array is needed, or one called 'inputs', but it holds {', '.join(names)}. Keep one.")
