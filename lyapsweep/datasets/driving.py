"""Series of inputs that drive a network, from files."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lyapsweep.datasets import files
from lyapsweep.datasets.cell_table import CellTable, unnamed
from lyapsweep.datasets.series import BadSeries
from lyapsweep.datasets.time_column import Clock, find_clock


@dataclass(frozen=True)
class DrivingSeries:
    """Inputs that drive a network.

    Args:
        values: Inputs of shape (time, features) or (batch, time, features), in double precision.
        dt: Time between two inputs: as given, or of a time column that was left out; None if neither says it.
        remarks: How the file was understood, where that is not obvious.

    Example:
        >>> DrivingSeries(np.ones((3, 2))).values.shape
        (3, 2)
    """

    values: np.ndarray
    dt: float | None = None
    remarks: tuple[str, ...] = ()


def read_inputs(path: Path, features: int | None = None, dt: float | None = None) -> DrivingSeries:
    """Read driving inputs from a file.

    Args:
        path: `.npy`, `.npz` (one array, or one called `inputs`), or a table (`.csv`, `.txt`, `.tsv`, `.parquet`).
        features: Number of inputs that the network takes per step. Columns of times and row numbers are left out of a
            file that has more columns, if as many remain; None keeps all columns.
        dt: Time between two inputs, with which a time column must agree.

    Returns:
        The inputs.

    Raises:
        BadSeries: If the file cannot be read, holds no real numbers, or rows at uneven times; the message begins with
            the path.

    Example:
        >>> _ = Path("driving.csv").write_text("t,x\\n0,1\\n0.5,4\\n1,9\\n")
        >>> read_inputs(Path("driving.csv"), features=1).values.tolist()
        [[1.0], [4.0], [9.0]]
    """
    if not path.is_file():
        raise BadSeries(f"{path}: No such file.")
    values = read_array(path) if path.suffix.lower() in (".npy", ".npz") else None
    if values is not None and values.ndim != 2:
        return DrivingSeries(values, dt)
    if values is None:
        table = files.read(str(path))
    else:
        table = CellTable(str(path), unnamed(values.shape[1]), values, np.arange(len(values)))
    clock, columns = Clock(), list(range(len(table.names)))
    if features and len(columns) > features:
        clock = find_clock(table, dt=dt)
    kept = [j for j in columns if j not in clock.columns]
    if len(kept) != features:
        clock, kept = Clock(), columns
    remarks = tuple(f"{text}; it is no input" for _, text in clock.remarks)
    return DrivingSeries(table.numbers(kept) if values is None else values[:, kept], dt or clock.dt, remarks)


def read_array(path: Path) -> np.ndarray:
    """The array of an .npy or .npz file."""
    try:
        content = np.load(path, allow_pickle=False)
        values = np.asarray(content[array_name(path, content.files)] if hasattr(content, "files") else content)
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
