"""Tables in files of arrays: NPY, NPZ, MAT and HDF5."""

from collections.abc import Mapping
from typing import IO, Any

import numpy as np

from lyapsweep.datasets.cell_table import CellTable, unnamed
from lyapsweep.datasets.series import LEAST_TEST, LEAST_TRAIN, BadSeries

FEWEST = LEAST_TRAIN + LEAST_TEST  # rows of a series: a table of fewer rows and more columns lies on its side
WIDE = 10  # columns per row, from which on a reader is told
MATLAB = b"MATLAB 7.3"  # of such files the last axis comes first


def read_npy(path: str, file: IO[bytes]) -> CellTable:
    """A vector (one column), a matrix (time, columns), or a structured array, whose fields are columns."""
    try:
        values = np.load(file, allow_pickle=False)
    except Exception as error:  # headers are parsed as Python, shapes may exceed the memory
        raise BadSeries(f"{path}: not a numpy array of numbers. Write one with numpy.save(path, rows).") from error
    return of_array(path, values)


def read_npz(path: str, file: IO[bytes]) -> CellTable:
    """Arrays of one length, of which each is a column or several."""
    try:
        with np.load(file, allow_pickle=False) as found:
            return of_arrays(path, {name: found[name] for name in found.files})
    except BadSeries:
        raise
    except Exception as error:  # zipfile, zlib and numpy have many
        raise BadSeries(f"{path}: not arrays of numpy ({error}). Write them with numpy.savez.") from error


def read_mat(path: str, file: IO[bytes]) -> CellTable:
    """Variables of one length; files of MATLAB 7.3 are HDF5."""
    from scipy.io import loadmat

    if file.read(len(MATLAB)) == MATLAB:
        return read_hdf5(path, file)
    file.seek(0)
    try:
        found = loadmat(file)
    except Exception as error:
        raise BadSeries(f"{path}: not a file of MATLAB ({error}). Save it with -v7.") from error
    return of_arrays(path, {k: v for k, v in found.items() if not k.startswith("__") and is_numeric(v)})


def read_hdf5(path: str, file: IO[bytes]) -> CellTable:
    """Datasets of one length, wherever they lie in the file."""
    try:
        import h5py
    except ImportError as error:
        raise BadSeries(f'{path}: HDF5 needs h5py. Install it with pip install "lyapsweep[files]".') from error
    file.seek(0)
    transposed, found = file.read(len(MATLAB)) == MATLAB, {}

    def keep(name: str, item: Any) -> None:
        if "pandas_type" in item.attrs:
            raise BadSeries(f"{path}: a frame that pandas wrote as HDF5. Write it with frame.to_parquet instead.")
        if isinstance(item, h5py.Dataset) and (item.dtype.names or item.dtype.kind in "fiubc"):
            found[name] = item[()].T if transposed else item[()]

    try:
        with h5py.File(file, "r") as opened:
            opened.visititems(keep)
    except BadSeries:
        raise
    except Exception as error:
        raise BadSeries(f"{path}: not an HDF5 file ({error}). Write it again.") from error
    return of_arrays(path, found)


def of_arrays(path: str, arrays: Mapping[str, np.ndarray]) -> CellTable:
    """Columns of several named arrays, which must have one length; single numbers are left out."""
    kept = {name: squeezed(values) for name, values in arrays.items() if np.size(values) > 1}
    if not kept:
        raise BadSeries(f"{path}: the file holds no arrays of numbers. Save one of shape (time, columns).")
    if len(kept) == 1:
        return of_array(path, next(iter(kept.values())))
    lengths = {len(values) for values in kept.values()}
    if len(lengths) > 1 or any(values.ndim > 2 or values.dtype.names for values in kept.values()):
        shapes = ", ".join(f"{name} {values.shape}" for name, values in kept.items())
        raise BadSeries(f"{path}: holds {shapes}, which are not columns of one table. Save one of them alone.")
    names, columns = [], []
    for name, values in kept.items():
        refuse(path, values)
        matrix = native(values).reshape(len(values), -1)
        names += [name] if values.ndim == 1 else [f"{name} {j}" for j in range(matrix.shape[1])]
        columns.append(matrix)
    cells = np.concatenate(columns, axis=1)
    return CellTable(path, tuple(names), cells, np.arange(len(cells)))


def of_array(path: str, values: np.ndarray) -> CellTable:
    """The columns of one array; one with fewer rows than a series needs, and more columns, is transposed."""
    if values.dtype.names:
        return of_fields(path, values)
    values, remarks = squeezed(values), ()
    refuse(path, values)
    values = native(values).reshape(len(values), -1)
    rows, columns = values.shape
    if rows < FEWEST <= columns:
        values, remarks = values.T, (f"({rows}, {columns}) is read as (channels, time), which gives {columns} rows",)
    elif columns >= WIDE * rows:
        remarks = (f"has {rows} rows and {columns} columns: rows are time steps. Transpose it if its columns are",)
    return CellTable(path, unnamed(values.shape[1]), values, np.arange(len(values)), remarks)


def of_fields(path: str, values: np.ndarray) -> CellTable:
    """The fields of a structured array as columns; a field of several numbers is several columns."""
    flat = values.reshape(-1)
    parts = {name: flat[name].reshape(len(flat), -1) for name in values.dtype.names or ()}
    names = [
        name if part.shape[1] == 1 else f"{name} {j}" for name, part in parts.items() for j in range(part.shape[1])
    ]
    cells = np.empty((len(flat), len(names)), dtype=object)
    for j, column in enumerate(column for part in parts.values() for column in part.T):
        cells[:, j] = column
    return CellTable(path, tuple(names), cells, np.arange(len(flat)))


def refuse(path: str, values: np.ndarray) -> None:
    """Raise `BadSeries` unless these are real numbers of one or two dimensions."""
    if values.ndim not in (1, 2) or values.dtype.kind not in "fiub" or not values.size:
        advice = {"c": "Save real and imaginary part as columns", "O": "Save numbers, not objects"}
        default = "Save every recording as one file and list them" if values.ndim > 2 else "Convert it first"
        raise BadSeries(
            f"{path}: needs real numbers (time, columns), but holds {values.dtype} of {values.shape}. "
            f"{advice.get(values.dtype.kind, default)}."
        )


def squeezed(values: np.ndarray) -> np.ndarray:
    """Without axes of length one: a row of MATLAB is a vector, one recording of several is a matrix."""
    return values.squeeze() if values.ndim > 1 and values.size > 1 and 1 in values.shape else values


def native(values: np.ndarray) -> np.ndarray:
    """In the byte order of this machine."""
    return values.astype(values.dtype.newbyteorder("="))


def is_numeric(values: Any) -> bool:
    return isinstance(values, np.ndarray) and (values.dtype.kind in "fiubc") and values.size > 1
