"""A recording: chosen columns of a file at even times, with every cell checked."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lyapsweep.datasets import fill_values, time_column
from lyapsweep.datasets.files import read
from lyapsweep.datasets.series import split_columns


@dataclass(frozen=True)
class Reading:
    """How the columns of a file are understood.

    Args:
        time: The column of times, by name or position; "auto" finds it, None says that there is none.
        resample: Whether rows at uneven times are interpolated at even ones; otherwise they are refused.
        missing: Missing cells, fill values and lone spikes: "refuse", "interpolate" or "keep" (those that are numbers).
        decimal: Decimal separator of text: ".", "," or "auto".

    Example:
        >>> Reading(missing="interpolate").time
        'auto'
    """

    time: str | int | None = time_column.AUTO
    resample: bool = False
    missing: str = "refuse"
    decimal: str = "auto"


@dataclass(frozen=True)
class Recording:
    """Numbers of a file.

    Args:
        names: Names of the columns to predict, then of the inputs.
        values: Numbers, shape (rows, columns).
        dt: Time between rows.
        inputs: Number of inputs.
        remarks: What a reader should know of how the file was understood, the file named.
    """

    names: tuple[str, ...]
    values: np.ndarray
    dt: float
    inputs: int
    remarks: tuple[str, ...] = ()


def read_recording(
    path: str,
    columns: Sequence[str | int] | None = None,
    inputs: Sequence[str | int] | None = None,
    dt: float | None = None,
    skip: int = 0,
    reading: Reading | None = None,
) -> Recording:
    """Read the chosen columns of a file.

    Args:
        path: The file.
        columns: Columns to predict, by name or position; None is all but the inputs and the clock.
        inputs: Columns that are given.
        dt: Time between rows; None takes that of the time column, 1 where there is none.
        skip: Number of leading rows that are dropped.
        reading: How columns are understood.

    Returns:
        The recording.

    Raises:
        BadSeries: If a column or a cell cannot be used.
        UnknownName: If there is no such column.

    Example:
        >>> from pathlib import Path
        >>> _ = Path("clock.csv").write_text("t,x\\n0,1\\n0.5,4\\n1,9\\n")
        >>> recording = read_recording("clock.csv")
        >>> recording.names, recording.dt
        (('x',), 0.5)
    """
    reading = reading or Reading()
    table = read(path, reading.decimal)
    clock = time_column.find_clock(table, reading.time, dt, skip, reading.resample)
    seen, driving = split_columns(columns, inputs, table.names, path, clock.columns)
    chosen = [*seen, *driving]
    names = tuple(table.names[c] for c in chosen)
    values, filled = fill_values.treat(table, table.values(chosen, skip), names, skip, reading.missing, len(driving))
    if clock.times is not None:
        values = time_column.resampled(values, clock.times)
    clocks = [f"{text}; it is {'kept, as chosen' if c in chosen else 'no state'}" for c, text in clock.remarks]
    remarks = (*table.remarks, *clocks, *filled)
    return Recording(names, values, dt or clock.dt or 1.0, len(driving), tuple(f"{path}: {text}" for text in remarks))
