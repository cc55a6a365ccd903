"""A table as a file holds it: cells that are numbers or still text, and the number by which a person knows each row."""

import contextlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lyapsweep.datasets.series import BadSeries
from lyapsweep.setting_types import cut, shown

MISSING = ("", "NA", "N/A", "n/a", "nan", "NaN", "NAN", "<NA>", "null", "NULL", "None", "#N/A")  # cells without a value
FORTRAN = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)[dD][+-]?\d+")  # 1.5D+03


@dataclass(frozen=True)
class CellTable:
    """The cells of a file.

    Args:
        path: The file.
        names: Names of the columns, `column 0` where a file has none.
        cells: Cells, shape (rows, columns), numbers or text.
        rows: Number of each row: the line of a text file, counted from 1, else the position, counted from 0.
        remarks: How the file was understood, where that is not obvious.

    Example:
        >>> table = CellTable("a.csv", ("x",), np.array([["1.5"], ["NA"]], object), np.array([2, 3]))
        >>> table.values([0]).tolist()
        [[1.5], [nan]]
    """

    path: str
    names: tuple[str, ...]
    cells: np.ndarray
    rows: np.ndarray
    remarks: tuple[str, ...] = ()

    def values(self, columns: Sequence[int], skip: int = 0) -> np.ndarray:
        """(rows - skip, columns) in double precision, NaN where a cell is missing; `BadSeries` at the first text."""
        cells, rows = self.cells[skip:, list(columns)], self.rows[skip:]
        if cells.dtype.kind in "fiub" or not any(isinstance(cell, str) and "_" in cell for cell in cells.flat):
            with contextlib.suppress(ValueError, TypeError):
                return cells.astype(np.float64)
        found = [[self.number(cell, int(row), c) for c, cell in zip(columns, line)] for row, line in zip(rows, cells)]
        return np.array(found, np.float64).reshape(cells.shape)

    def numbers(self, columns: Sequence[int], skip: int = 0) -> np.ndarray:
        """`values`, of which none may be missing or infinite."""
        values = self.values(columns, skip)
        self.refuse_missing(values, [self.names[c] for c in columns], skip)
        return values

    def refuse_missing(self, values: np.ndarray, names: Sequence[str], skip: int) -> None:
        """Raise `BadSeries` for the first cell that is missing or infinite."""
        bad = np.argwhere(~np.isfinite(values))
        if len(bad):
            i, j = bad[0]
            where = f"row {self.rows[skip + i]}, column '{cut(names[int(j)])}'"
            raise BadSeries(
                f"{self.path}: {len(bad)} cells are missing or infinite, the first at {where} "
                f"({values[i, j]}). Fill them, choose other columns or skip rows; "
                f"--set dataset/missing=interpolate fills short gaps of a series."
            )

    def number(self, cell: object, row: int, column: int) -> float:
        """One cell; a missing one is NaN."""
        number = to_number(cell)
        if number is None:
            raise BadSeries(
                f"{self.path}: row {row}, column '{cut(self.names[column])}' holds {shown(cell)}, which is not a "
                f"number. Choose other columns, or write numbers with a decimal point."
            )
        return number


def to_number(cell: object) -> float | None:
    """The number in a cell, NaN where it is missing; None for anything else."""
    if isinstance(cell, str):
        text = cell.strip()
        if text in MISSING:
            return float("nan")
        cell = text.lower().replace("d", "e") if FORTRAN.fullmatch(text) else text
        if "_" in text:  # which Python reads as part of a number
            return None
    elif cell is None:
        return float("nan")
    try:
        return float(cell)  # type: ignore[arg-type]
    except (ValueError, TypeError, OverflowError):
        return None


def is_number(cell: object) -> bool:
    """Whether a cell holds a number; a missing one does not."""
    text = str(cell).strip()
    return cell is not None and text not in MISSING and to_number(cell) is not None


def is_text(cell: object) -> bool:
    """Whether a cell holds something that is no number; a missing one does not."""
    return to_number(cell) is None


def unnamed(columns: int) -> tuple[str, ...]:
    """Names of columns that have none."""
    return tuple(f"column {j}" for j in range(columns))
