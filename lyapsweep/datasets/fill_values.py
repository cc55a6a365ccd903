"""Cells that are no measurements: missing ones, fill values such as -999, and lone spikes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lyapsweep.datasets.cell_table import CellTable
from lyapsweep.datasets.series import BadSeries

POLICIES = ("refuse", "interpolate", "keep")
MARKERS = (99.0, 999.0, 9999.0, 99999.0, 999999.0, 9.96920996838687e36, 1e20, 1e30, 1e34, 1e35, 1e36, 1e37)
MARKERS = (*MARKERS, 99.9, 999.9, 9999.9, 32767.0, 32768.0, 65535.0, 2147483647.0, 2147483648.0)
MARKED = 0.5  # ranges of the other values, from which on such a number is a fill value
REPEATED, TIMES = 3.0, 3  # the same for another value that occurs so many times
SPIKE, SPIKES = 10.0, 5  # the same for single values, and how many of them at most
LIVELY = 50  # different values that a column has at least, apart from those
HEAVY = 20.0  # robust standard deviations: a wider column has spikes of its own
LONGEST_RUN = 10  # consecutive cells that are interpolated


@dataclass(frozen=True)
class Suspicion:
    """Cells of one column that are no measurements, and why.

    Args:
        cells: Which rows.
        what: What is wrong with them.
    """

    cells: np.ndarray
    what: str


def treat(
    table: CellTable, values: np.ndarray, names: Sequence[str], skip: int, missing: str, inputs: int = 0
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Refuse or interpolate the cells of a recording that are missing or no measurements.

    Args:
        table: The file.
        values: Its numbers, shape (rows, columns), NaN where missing.
        names: Names of these columns.
        skip: Rows of the file before them.
        missing: "refuse" raises an error, "interpolate" fills gaps of at most `LONGEST_RUN` rows by monotone cubic
            interpolation, "keep" takes suspicious cells as they are.
        inputs: How many of the last columns are inputs, where spikes are no reason for suspicion.

    Returns:
        The numbers, and remarks for the reader.

    Raises:
        BadSeries: If cells cannot be used; the message names row and column.

    Example:
        >>> table = CellTable("a.csv", ("x",), np.array([[1.0], [np.nan], [3.0]]), np.arange(3))
        >>> treat(table, table.values([0]), ["x"], 0, "interpolate")[0].ravel().tolist()
        [1.0, 2.0, 3.0]
    """
    if missing not in POLICIES:
        raise BadSeries(f"missing must be one of {', '.join(POLICIES)}, but is {missing!r}. Choose one of them.")
    if missing != "interpolate":
        table.refuse_missing(values, names, skip)
    remarks, values = [], values.copy()
    for j, name in enumerate(names):
        column = values[:, j]
        found = suspicions(column, spikes=j < len(names) - inputs)
        for each in found:
            said = f"{each.cells.sum()} cells of column '{name}' {each.what}, the first at row "
            said += str(table.rows[skip + np.flatnonzero(each.cells)[0]])
            if missing == "refuse":
                raise BadSeries(
                    f"{table.path}: {said}. Set missing to interpolate to replace them, or to keep if they are real."
                )
            remarks.append(said + (" and are kept" if missing == "keep" else ""))
        if missing == "interpolate":
            bad = (
                ~np.isfinite(column) | np.any([each.cells for each in found], axis=0) if found else ~np.isfinite(column)
            )
            values[:, j] = interpolated(table, column, bad, name, skip)
            remarks += [f"{bad.sum()} cells of column '{name}' are interpolated"] if bad.any() else []
    return values, tuple(remarks)


def suspicions(column: np.ndarray, spikes: bool = True) -> list[Suspicion]:
    """What looks like no measurement in one column: outer values beyond a wide empty stretch.

    Real bursts are sampled on their way up and down, which leaves no such stretch; a column whose values spread far
    from their bulk, by `HEAVY` robust standard deviations, is not suspected of spikes.
    """
    known, found = np.isfinite(column), []
    rest = known.copy()
    while True:
        left, counts = np.unique(column[rest], return_counts=True)
        if len(left) <= LIVELY:
            return found
        outer = outermost(left)
        others = np.delete(left, 0 if outer else -1)
        value, count = (left[0], counts[0]) if outer else (left[-1], counts[-1])
        gap, extent = np.min(np.abs(others - value)), np.ptp(others)
        cells = known & (column == value)
        marker = bool(np.isclose(abs(value), MARKERS, rtol=1e-6, atol=0).any())
        if marker and gap > MARKED * extent:
            found.append(Suspicion(cells, f"are {value:.6g}, a fill value"))
        elif spikes and count >= TIMES and gap > REPEATED * extent:
            found.append(Suspicion(cells, f"are {value:.6g}, {gap / extent:.0f} ranges off all others"))
        else:
            return [*found, *(lone_spikes(column, rest) if spikes else ())]
        rest &= ~cells


def outermost(values: np.ndarray) -> bool:
    """Whether the first of sorted values lies farther from the next than the last does."""
    return bool(values[1] - values[0] >= values[-1] - values[-2])


def lone_spikes(column: np.ndarray, rest: np.ndarray) -> list[Suspicion]:
    """At most `SPIKES` values far beyond all others."""
    values = np.sort(column[rest])
    for count in range(1, SPIKES + 1):
        for kept in {(low, len(values) - count + low) for low in range(count + 1)}:
            inner = values[slice(*kept)]
            extent = np.ptp(inner)
            outer = np.concatenate([values[: kept[0]], values[kept[1] :]])
            gap = np.minimum(np.abs(outer - inner[0]), np.abs(outer - inner[-1])).min()
            if gap > SPIKE * extent and extent < HEAVY * 1.4826 * np.median(np.abs(inner - np.median(inner))):
                cells = rest & ((column < inner[0]) | (column > inner[-1]))
                return [Suspicion(cells, f"are {gap / extent:.0f} ranges off all others ({outer[0]:.6g})")]
    return []


def interpolated(table: CellTable, column: np.ndarray, bad: np.ndarray, name: str, skip: int) -> np.ndarray:
    """A column with its bad cells filled from the rows around them."""
    from scipy.interpolate import PchipInterpolator

    if not bad.any():
        return column
    rows, ends = np.arange(len(column)), np.flatnonzero(~bad)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], bad.astype(int), [0]])))
    runs = edges.reshape(-1, 2)
    longest = runs[np.argmax(runs[:, 1] - runs[:, 0])]
    if longest[1] - longest[0] > LONGEST_RUN:
        raise BadSeries(
            f"{table.path}: {longest[1] - longest[0]} cells of column '{name}' are missing in a row, from row "
            f"{table.rows[skip + longest[0]]} on, and at most {LONGEST_RUN} are interpolated. Cut the file there and "
            f"list both parts."
        )
    if bad[0] or bad[-1]:
        row = table.rows[skip + (0 if bad[0] else len(column) - 1)]
        raise BadSeries(
            f"{table.path}: column '{name}' is missing at row {row}, an end of the recording, where nothing can be "
            f"interpolated. Skip the row or remove it."
        )
    return PchipInterpolator(rows[ends], column[ends])(rows)
