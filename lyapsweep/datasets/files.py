"""Reading a table of numbers from CSV, NPY or Parquet so that every complaint can name a row and a column."""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lyapsweep.datasets.series import BadSeries

DELIMITERS = "\t;|, "  # comma after semicolon: `1,5;2,5` has decimal commas


@dataclass(frozen=True)
class File:
    """Rows of cells, (rows, columns), numbers or still text; `rows` holds the number that a person knows a row by."""

    path: str
    names: tuple[str, ...]
    cells: np.ndarray
    rows: np.ndarray

    def numbers(self, columns: list[int], skip: int) -> np.ndarray:
        """(rows - skip, columns) in double precision; `BadSeries` at the first cell that is no finite number."""
        cells, rows = self.cells[skip:, columns], self.rows[skip:]
        try:
            values = cells.astype(np.float64)
        except (ValueError, TypeError):
            values = np.array(
                [[self.number(cell, int(row), c) for c, cell in zip(columns, line)] for row, line in zip(rows, cells)]
            )
        bad = np.argwhere(~np.isfinite(values))
        if len(bad):
            i, j = bad[0]
            raise BadSeries(
                f"{self.path}: {len(bad)} cells are missing or infinite, the first at row {rows[i]}, "
                f"column '{self.names[columns[j]]}' ({values[i, j]}). Fill them, choose other columns or skip rows."
            )
        return values

    def number(self, cell: object, row: int, column: int) -> float:
        """One cell; empty is missing (NaN)."""
        try:
            return float(cell) if str(cell).strip() else np.nan  # type: ignore[arg-type]
        except (ValueError, TypeError):
            raise BadSeries(
                f"{self.path}: row {row}, column '{self.names[column]}' holds {cell!r}, which is not a number. "
                f"Choose other columns, or write numbers with a decimal point."
            ) from None


def read(path: str) -> File:
    """The table in a file, by its suffix. Relative paths start at the current directory."""
    readers = {".csv": read_csv, ".txt": read_csv, ".tsv": read_csv, ".npy": read_npy, ".parquet": read_parquet}
    suffix = Path(path).suffix.lower()
    if suffix not in readers:
        raise BadSeries(f"{path}: files end in {', '.join(readers)}, but this one in '{suffix}'.")
    if not Path(path).is_file():
        raise BadSeries(f"{path}: there is no such file (looked from {Path.cwd()}).")
    return readers[suffix](path)


def read_csv(path: str) -> File:
    """Text with one row a line; a first row without any number is the header; lines that begin with # are comments."""
    lines = [(n, line.strip(" \r\n")) for n, line in enumerate(text_of(path).split("\n"), start=1)]
    lines = [(n, line) for n, line in lines if line and not line.startswith("#")]
    if not lines:
        raise BadSeries(f"{path}: the file holds no rows.")
    delimiter = sniff([line for _, line in lines[:20]])
    cells = list(csv.reader((line for _, line in lines), delimiter=delimiter, skipinitialspace=True))
    width = len(cells[0])
    for (n, _), row in zip(lines, cells):
        if len(row) != width:
            raise BadSeries(f"{path}: row {n} has {len(row)} cells where row {lines[0][0]} has {width}.")
    names = tuple(f"column {j}" for j in range(width))
    rows = np.array([n for n, _ in lines])
    if not any(is_number(cell) for cell in cells[0]):
        names = tuple(cell.strip() or name for cell, name in zip(cells[0], names))
        cells, rows = cells[1:], rows[1:]
    return File(path, names, np.array(cells, dtype=object).reshape(-1, width), rows)


def text_of(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadSeries(f"{path}: not text in UTF-8 ({error}). Save it as UTF-8.") from error


def sniff(lines: list[str]) -> str:
    """The delimiter that cuts every line into the same number of cells, more than one; a comma where none does."""
    for delimiter in DELIMITERS:
        widths = {len(row) for row in csv.reader(lines, delimiter=delimiter, skipinitialspace=True)}
        if len(widths) == 1 and widths != {1}:
            return delimiter
    return max(DELIMITERS, key=lambda d: (sum(d in line for line in lines), d == ","))


def is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def read_npy(path: str) -> File:
    """A vector (one column) or a matrix (time, columns)."""
    try:
        values = np.load(path, allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise BadSeries(f"{path}: not a numpy array of numbers. Write one with numpy.save(path, rows).") from error
    if values.ndim not in (1, 2) or values.dtype.kind not in "fiub" or not values.size:
        raise BadSeries(f"{path}: needs real numbers (time, columns), but holds {values.dtype} of {values.shape}.")
    values = values.reshape(len(values), -1)
    return File(path, tuple(f"column {j}" for j in range(values.shape[1])), values, np.arange(len(values)))


def read_parquet(path: str) -> File:
    """A Parquet table; only the columns that are chosen need to be numbers."""
    import pyarrow
    from pyarrow import parquet

    try:
        table = parquet.read_table(path)
    except pyarrow.ArrowException as error:
        raise BadSeries(f"{path}: not a Parquet table ({error}).") from error
    cells = np.empty((table.num_rows, table.num_columns), dtype=object)
    for j, column in enumerate(table.columns):
        cells[:, j] = column.to_pylist()
    return File(path, tuple(table.column_names), cells, np.arange(table.num_rows))
