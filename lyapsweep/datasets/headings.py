"""Which of the first rows of a table are names and units, and which are data."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lyapsweep.datasets.cell_table import is_number, is_text, to_number, unnamed

SAMPLE = 50  # rows from which the columns of numbers are known
MOST_UNITS = 3  # rows of units, or of further names
Row = Sequence[object]


@dataclass(frozen=True)
class Heading:
    """Names of the columns, the number of rows they take, and how many of those hold units."""

    names: tuple[str, ...]
    rows: int
    units: int = 0


def find_heading(rows: Sequence[Row], comment: Row = ()) -> Heading:
    """Find the names of the columns in the first rows, or in a commented line above them.

    Args:
        rows: Rows of equal width; of a long table the first ones suffice.
        comment: Cells of the last commented line before the first row.

    Returns:
        The heading; `column 0`, `column 1`, ... where there is none.

    Example:
        >>> find_heading([("t", "x"), ("s", "mm"), ("0", "8.35"), ("0.1", "8.4")])
        Heading(names=('t', 'x'), rows=2, units=1)
    """
    width = len(rows[0]) if rows else 0
    if not is_heading(rows):
        named = len(comment) == width > 0 and not any(is_number(cell) for cell in comment)
        return Heading(names_of(comment) if named else unnamed(width), 0)
    units = 0
    while units < MOST_UNITS and is_units(rows[1 + units :]):
        units += 1
    return Heading(names_of(rows[0]), 1 + units, units)


def is_heading(rows: Sequence[Row]) -> bool:
    """Whether the first row holds names: text above numbers, or the numbers of columns that pandas writes."""
    if not rows:
        return False
    first, body = rows[0], rows[1 : 1 + SAMPLE]
    if not any(is_number(cell) for cell in first):
        return any(str(cell).strip() for cell in first if cell is not None)
    cells = [text(cell) for cell in first]
    if len(cells) > 1 and cells[0] == "" and cells[1:] == counted(len(cells) - 1):
        return bool(body) and not any(text(row[0]) == "" for row in body)
    if len(cells) > 1 and cells == counted(len(cells)):
        return bool(body) and all(is_decimal(cell) for row in body for cell in row)
    if any(is_decimal(cell) for cell in first):
        return False
    return any(is_text(cell) for cell, numeric in zip(first, numeric_columns(body)) if numeric)


def is_units(rows: Sequence[Row]) -> bool:
    """Whether the first of the rows below the names holds units: no numbers above numbers (1 for no unit)."""
    if len(rows) < 2 or any(is_number(cell) and text(cell) != "1" for cell in rows[0]):
        return False
    return any(is_text(cell) for cell, numeric in zip(rows[0], numeric_columns(rows[1 : 1 + SAMPLE])) if numeric)


def numeric_columns(rows: Sequence[Row]) -> list[bool]:
    """Which columns hold nothing but numbers and missing cells."""
    return [all(to_number(cell) is not None for cell in column) for column in zip(*rows)]


def names_of(cells: Row) -> tuple[str, ...]:
    return tuple(text(cell) or name for cell, name in zip(cells, unnamed(len(cells))))


def counted(n: int) -> list[str]:
    return [str(i) for i in range(n)]


def is_decimal(cell: object) -> bool:
    """Whether a cell is a number that is not written as a whole one."""
    return is_number(cell) and not text(cell).lstrip("+-").isdigit()


def text(cell: object) -> str:
    return "" if cell is None or (isinstance(cell, float | np.floating) and np.isnan(cell)) else str(cell).strip()
