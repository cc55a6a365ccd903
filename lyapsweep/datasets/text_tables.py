"""Tables in text files, as spreadsheets and programs write them: delimiters, decimal commas, comments, names, units."""

import codecs
import csv
import re
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from lyapsweep.datasets.cell_table import CellTable, is_number
from lyapsweep.datasets.headings import find_heading
from lyapsweep.datasets.series import BadSeries

DELIMITERS = "\t;|, "  # comma after semicolon: `1,5;2,5` has decimal commas
COMMENTS = ("#", "%", "//")
SAMPLE = 50  # lines that show the delimiter
PREAMBLE = 30  # lines before a table, at most
DECIMALS = ("auto", ".", ",")
COMMA = re.compile(r"[+-]?(\d{1,3}(\.\d{3})+|\d*),\d+([eE][+-]?\d+)?")  # 1.234,5 and 8,35
THOUSANDS = re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d*)?")  # 1,234.5
POINT = re.compile(r"[+-]?\d*\.\d*([eE][+-]?\d+)?")
SAME_DIGITS, SHORTEST = 0.9, 3  # share of whole numbers of equal length, and that length, which look like decimals


class Line(NamedTuple):
    """A line of a file, counted from 1, and its cells."""

    number: int
    cells: list[str]


def read_text(path: str, content: bytes, decimal: str = "auto") -> CellTable:
    """Read a table from the bytes of a text file, one row per line.

    Args:
        path: The file, for messages.
        content: UTF-8, or UTF-16 with a byte order mark.
        decimal: "." or ",", or "auto" to find out.

    Returns:
        The cells, decimal commas replaced by points. Lines that begin with #, % or // are comments, of which the one
        above the first row may hold the names.

    Raises:
        BadSeries: If this is not text, holds no rows, or rows differ in length.

    Example:
        >>> read_text("a.csv", b"x;y\\n8,35;1\\n9,1;2\\n").cells.tolist()
        [['8.35', '1'], ['9.1', '2']]
    """
    if decimal not in DECIMALS:
        raise BadSeries(f"decimal must be one of {', '.join(DECIMALS)}, but is {decimal!r}. Choose one of them.")
    lines = [(n, line.strip(" ")) for n, line in enumerate(re.split("\r\n|\n|\r", text_of(path, content)), start=1)]
    lines = [(n, line) for n, line in lines if line.strip()]
    delimiter = stated_delimiter(lines[0][1]) if lines else ""
    lines = lines[1:] if delimiter else lines
    data = [(n, line) for n, line in lines if not line.startswith(COMMENTS)]
    if not data:
        raise BadSeries(f"{path}: the file holds no rows.")
    delimiter = delimiter or sniff(path, data[:SAMPLE], decimal)
    comment = next((line for n, line in lines if n == data[0][0] - 1), "")
    table, remarks = rectangle(path, [Line(n, cells_of(path, n, line, delimiter)) for n, line in data])
    if delimiter == "," and (joined := joined_decimals(path, table, decimal)):
        table, remarks = (
            joined,
            (*remarks, "digits on both sides of a comma are read as one number with a decimal comma"),
        )
    numbers = np.array([row.number for row in table])
    cells = with_points(np.array([row.cells for row in table], dtype=object).reshape(len(table), -1), decimal)
    heading = find_heading(cells[: 2 * SAMPLE].tolist(), cells_of(path, 0, comment.lstrip("#%/ "), delimiter))
    if heading.units:
        units = ", ".join(map(str, numbers[heading.rows - heading.units : heading.rows]))
        remarks = (*remarks, f"row {units} is taken for units")
    return CellTable(path, heading.names, cells[heading.rows :], numbers[heading.rows :], remarks)


def text_of(path: str, content: bytes) -> str:
    marked = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        return content.decode("utf-16" if marked else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadSeries(f"{path}: not text in UTF-8 ({error}). Save it as UTF-8.") from error


def stated_delimiter(line: str) -> str:
    """The delimiter that a spreadsheet states in the first line, `sep=;`."""
    stated = re.fullmatch(r'"?sep=(.|\\t)"?[\t;|, ]*', line)
    return stated[1].replace("\\t", "\t") if stated else ""


def sniff(path: str, lines: list[tuple[int, str]], decimal: str) -> str:
    """The delimiter that cuts the most lines into equally many cells, more than one, and most of those numbers."""

    def fit(delimiter: str) -> tuple[int, float, int]:
        rows = [cells_of(path, n, line, delimiter) for n, line in lines]
        width, found = Counter(map(len, rows)).most_common(1)[0]
        cells = [cell for row in rows for cell in row]
        numbers = sum(is_number(cell) or bool(delimiter != "," and COMMA.fullmatch(cell.strip())) for cell in cells)
        return found if width > 1 else 0, numbers / max(1, len(cells)), -DELIMITERS.index(delimiter)

    best = max((d for d in DELIMITERS if d != "," or decimal != ","), key=fit)
    return best if fit(best)[0] else ("\t" if decimal == "," else ",")


def cells_of(path: str, number: int, line: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=delimiter, skipinitialspace=delimiter != "\t"), [])
    except csv.Error as error:
        raise BadSeries(f"{path}: row {number} cannot be cut into cells ({error}). Correct or remove it.") from error


def rectangle(path: str, lines: list[Line]) -> tuple[list[Line], tuple[str, ...]]:
    """Rows of one length: without a preamble and empty last columns, with a name for a column of row names."""
    width = Counter(len(line.cells) for line in lines).most_common(1)[0][0]
    first = next(i for i, line in enumerate(lines) if len(line.cells) == width)
    before, rows, remarks = lines[:first], lines[first:], ()
    trailing = [line.cells[-1].strip() == "" for line in rows[1:] if len(line.cells) == width]
    if width > 1 and trailing and all(trailing) and (before or not rows[0].cells[-1].strip()):
        rows = [Line(n, cells[:-1] if len(cells) == width else cells) for n, cells in rows]  # `1,2,` on every line
        width -= 1
        before, rows = (
            (before[:-1], [before[-1], *rows]) if before and len(before[-1].cells) == width else (before, rows)
        )
    elif before and len(before[-1].cells) == width - 1 > 0 and heads(before[-1].cells, rows[0].cells):
        rows, before = [Line(before[-1].number, ["", *before[-1].cells]), *rows], before[:-1]  # as R writes row names
    for n, cells in rows:
        if len(cells) != width:
            raise BadSeries(f"{path}: row {n} has {len(cells)} cells where row {rows[0].number} has {width}.")
    if before and (len(before) > PREAMBLE or any(is_number(cell) for line in before for cell in line.cells)):
        row = before[0]
        raise BadSeries(
            f"{path}: row {rows[0].number} has {width} cells where row {row.number} has {len(row.cells)}. Remove what "
            f"is not part of the table."
        )
    if before:
        remarks = (f"rows before row {rows[0].number} are no part of the table and are left out",)
    return rows, remarks


def heads(names: list[str], row: list[str]) -> bool:
    """Whether a shorter row holds the names of all columns but the first."""
    return not any(map(is_number, names)) and any(map(is_number, row))


def joined_decimals(path: str, lines: list[Line], decimal: str) -> list[Line]:
    """One column of numbers with decimal commas, which commas cut in two; empty where it is none.

    `8,0508` is one number, as no whole number begins with a zero. Without such a row both readings are possible.
    """
    if decimal == "." or len(lines[0].cells) != 2:
        return []
    named = len(lines) > 1 and not lines[0].cells[0].strip() and not is_number(lines[0].cells[1])
    head = lines[0].cells[-1:] if named else []  # a name above one column: the rows have one cell more
    body = lines[1:] if named else lines
    pairs = [line.cells for line in body]
    if not all(re.fullmatch(r"\s*[+-]?\d{1,15}", a) and re.fullmatch(r"\d{1,15}\s*", b) for a, b in pairs):
        return []
    whole = [int(a) for a, _ in pairs]
    if len(whole) > 2 and len(set(np.diff(whole).tolist())) == 1 and whole[1] > whole[0]:
        return []  # an index and whole numbers
    if not named and not any(len(b) > 1 and b.startswith("0") for _, b in pairs):
        length, found = Counter(len(b.strip()) for _, b in pairs).most_common(1)[0]
        if length < SHORTEST or found < SAME_DIGITS * len(pairs):
            return []
        raise BadSeries(
            f"{path}: row {body[0].number} holds '{pairs[0][0]},{pairs[0][1]}', one number with a decimal comma or two "
            f"whole numbers. Set decimal to ',' for the one or to '.' for the other."
        )
    return [*([Line(lines[0].number, head)] if named else []), *(Line(n, [f"{a}.{b}"]) for n, (a, b) in body)]


def with_points(cells: np.ndarray, decimal: str) -> np.ndarray:
    """Cells with decimal points: decimal commas are replaced, and commas between thousands removed."""
    sample = [cell.strip() for cell in cells[: 4 * SAMPLE].ravel()]
    commas = [cell for cell in sample if COMMA.fullmatch(cell)]
    points = any(POINT.fullmatch(cell) for cell in sample)
    if decimal == "." or not (commas or any(THOUSANDS.fullmatch(cell) for cell in sample)):
        return cells
    if decimal == "," or (not points and commas and not any(cell.count(",") > 1 for cell in sample)):
        return mapped(cells, lambda cell: cell.replace(".", "").replace(",", ".") if COMMA.fullmatch(cell) else cell)
    return mapped(cells, lambda cell: cell.replace(",", "") if THOUSANDS.fullmatch(cell) else cell)


def mapped(cells: np.ndarray, change: Callable[[str], str]) -> np.ndarray:
    return np.array([[change(cell.strip()) for cell in row] for row in cells], dtype=object).reshape(cells.shape)
