"""The clock of a recording: columns of times and row numbers, which set the time step and are no states."""

import math
import re
import warnings
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from lyapsweep.datasets.cell_table import CellTable, is_number, to_number
from lyapsweep.datasets.series import BadSeries, column_positions

AUTO = "auto"
NAMES = {"t", "time", "times", "timestamp", "timestamps", "datetime", "date", "dates", "seconds", "epoch"}
CALENDAR = {"year", "years", "month", "day", "days", "hour", "hours", "minute", "minutes", "doy"}
UNITS = {"s", "ms", "us", "ns", "sec", "secs", "min", "h", "hr", "hrs", "d", "utc", "gmt", "local", "unix", "elapsed"}
INDEX = "__index_level_"  # how pandas names an index without a name in a Parquet file
DATE = re.compile(r"\s*(\d{4}[-/.]\d{1,2}([-/.]\d{1,2})?|\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4})\b.*")
TIME_OF_DAY = re.compile(r"\s*\d{1,2}:\d{2}(:\d{2}([.,]\d+)?)?\s*")
DAY = 86400.0  # seconds
EVEN = 1e-3  # of the mean step, that steps may differ
ROUNDED = 0.05  # of a step, that times may lie off the line through the first and the last: they are written rounded
RISES = 0.95  # share of steps that rise, in a column that is a clock
AGREE = 0.01  # relative difference of the given and the read time step
LONGEST_GAP = 10  # steps that resampling bridges


@dataclass(frozen=True)
class Clock:
    """What the columns of a file say about time.

    Args:
        columns: Positions of columns that hold times or row numbers.
        dt: Time between rows; None if no column says it.
        times: Times of the rows, where they are uneven and the recording is to be resampled.
        remarks: What was found, with the column's position.

    Example:
        >>> Clock((0,), dt=0.5).columns
        (0,)
    """

    columns: tuple[int, ...] = ()
    dt: float | None = None
    times: np.ndarray | None = None
    remarks: tuple[tuple[int, str], ...] = ()


def find_clock(
    table: CellTable, time: str | int | None = AUTO, dt: float | None = None, skip: int = 0, resample: bool = False
) -> Clock:
    """Find the columns of a table that hold times or row numbers.

    A column is a clock if it is called so (`t`, `time [s]`, `timestamp`, ...) and rises, or holds dates, or rises
    evenly: states with it never recur. Names, and the first column of a table without names, set the time step.

    Args:
        table: The table.
        time: "auto", the time column by name or position, or None: no column is one.
        dt: The time step as the user gave it; None if not.
        skip: Leading rows that are not looked at.
        resample: Whether uneven times are accepted.

    Returns:
        The clock.

    Raises:
        BadSeries: If times are uneven, fall, or disagree with `dt`.
        UnknownName: If there is no such column.

    Example:
        >>> table = CellTable("a.csv", ("t", "x"), np.array([[0.0, 3], [0.5, 1], [1.0, 2]]), np.arange(3))
        >>> find_clock(table).dt
        0.5
    """
    if dt is not None and not 0 < dt < math.inf:
        raise BadSeries(f"{table.path}: 0 < dt < inf must hold, but got {dt}. Give the time between two rows.")
    if time is None or len(table.cells) - skip < 2:
        return Clock()
    if time != AUTO:
        (position,) = column_positions([time], table.names, table.path)
        times = times_of(table, position, skip)
        if times is None:
            raise BadSeries(f"{table.path}: column '{table.names[position]}' holds no times. Name another as `time`.")
        return clock_of(table, (position,), times, dt, skip, resample)
    return found_clock(table, dt, skip, resample)


def found_clock(table: CellTable, dt: float | None, skip: int, resample: bool) -> Clock:
    """The clock of a table without a word of the user: of several columns with times, all are left out."""
    columns, clock = {j: times_of(table, j, skip) for j in range(len(table.names))}, Clock()
    day = next((j for j, times in columns.items() if times is not None and is_dated(table, j, skip)), None)
    hour = next((j for j, times in columns.items() if times is not None and is_time_of_day(table, j, skip)), None)
    if day is not None and hour is not None:
        stamps = columns.pop(day), columns.pop(hour)
        assert stamps[0] is not None
        assert stamps[1] is not None
        clock = clock_of(table, (day, hour), stamps[0] + stamps[1] % DAY, dt, skip, resample)
    for j, times in columns.items():
        if times is None or not is_clock(table, j, times, skip):
            continue
        named, even = is_named(table.names[j]) or is_text_of_times(table, j, skip), step_of(times)
        unnamed = (j == 0 and table.names[0] == "column 0") or table.names[j].startswith(INDEX)
        if named or (unnamed and even is not None and abs(even - 1) > EVEN):
            one = clock_of(table, (j,), times, dt if clock.dt is None else None, skip, resample)
        else:
            one = Clock((j,), remarks=((j, f"column '{table.names[j]}' rises evenly, as an index does"),))
        clock = Clock(
            (*clock.columns, *one.columns),
            clock.dt or one.dt,
            clock.times if clock.times is not None else one.times,
            (*clock.remarks, *one.remarks),
        )
    return clock


def clock_of(
    table: CellTable, columns: tuple[int, ...], times: np.ndarray, dt: float | None, skip: int, resample: bool
) -> Clock:
    """The clock of a column of times, which must rise evenly unless the recording is to be resampled."""
    name, dated = table.names[columns[0]], is_text_of_times(table, columns[0], skip)
    missing = np.flatnonzero(~np.isfinite(times))
    if len(missing):
        raise BadSeries(
            f"{table.path}: {len(missing)} times of column '{name}' are missing, the first at row "
            f"{table.rows[skip + missing[0]]}. Fill them, or set time to null and choose the columns to predict."
        )
    step, unit = step_of(times), " s" if dated else ""
    if dated and (months := calendar_step(times)):
        step, unit = float(months), " months"
    if step is None:
        refuse_uneven(table, name, times, skip, resample)
        return Clock(columns, rounded(np.median(np.diff(times))), times, ((columns[0], uneven_remark(name, times)),))
    if dt is not None and abs(step - dt) > AGREE * dt and not dated:
        raise BadSeries(
            f"{table.path}: column '{name}' rises by {step:.6g} per row, but dt is {dt:g}. Leave dt out, or set time "
            f"to null and choose the columns to predict."
        )
    text = f"column '{name}' is the clock, dt = {step:.6g}{unit}" + (f" ({dt:g} as given)" if dt and dated else "")
    return Clock(columns, step, remarks=((columns[0], text),))


def is_clock(table: CellTable, column: int, times: np.ndarray, skip: int) -> bool:
    """Whether a column with these numbers is time or counts rows, and no state."""
    steps = np.diff(times[np.isfinite(times)])
    if step_of(times) is not None:
        return True
    called = is_text_of_times(table, column, skip) or is_named(table.names[column]) == "name"
    moves = steps[steps != 0] if called else steps
    return called and len(moves) > 0 and bool(max(np.mean(moves > 0), np.mean(moves < 0)) >= RISES)


def is_named(name: str) -> str:
    """ "name" of a column called time, "calendar" of a part of a date; "" of any other."""
    words = set(re.findall(r"[a-z]+", name.lower()))
    if words & NAMES and words <= NAMES | UNITS:
        return "name"
    return "calendar" if words & CALENDAR and words <= CALENDAR | UNITS else ""


def step_of(times: np.ndarray) -> float | None:
    """The time step if times rise evenly, or would if they were not rounded; None if not."""
    if len(times) < 2 or not np.isfinite(times).all():
        return None
    mean = (times[-1] - times[0]) / (len(times) - 1)
    if not mean > 0:
        return None
    uneven = np.abs(np.diff(times) - mean).max() > EVEN * mean
    if uneven and np.abs(times - times[0] - mean * np.arange(len(times))).max() > ROUNDED * mean:
        return None
    return rounded(mean)


def rounded(step: float) -> float:
    """A time step without the noise of subtraction."""
    return float(f"{step:.9g}")


def calendar_step(times: np.ndarray) -> int:
    """Months between dates that are whole months apart, which differ in days; 0 if they are not."""
    days = np.round(times / DAY).astype("datetime64[D]")
    months = np.diff(days.astype("datetime64[M]").astype(int))
    of_month, last = (days - days.astype("datetime64[M]")).astype(int), (days + 1).astype("datetime64[M]")
    same = len(set(of_month.tolist())) == 1 or bool((last > days.astype("datetime64[M]")).all())
    return int(months[0]) if same and months[0] > 0 and (months == months[0]).all() else 0


def refuse_uneven(table: CellTable, name: str, times: np.ndarray, skip: int, resample: bool) -> None:
    """Raise `BadSeries` for times that are not even, or cannot be made so by resampling."""
    steps = np.diff(times)
    usual, falls = np.median(steps), np.flatnonzero(steps <= 0)
    worst = int(np.argmax(np.abs(steps - usual)))
    where = f"{table.path}: column '{name}'"
    keep = "or set time to null and choose the columns to predict, if rows are even all the same"
    if usual < 0:
        raise BadSeries(f"{where} falls: the newest row comes first. Turn the order of the rows around, {keep}.")
    if resample and len(falls):
        raise BadSeries(
            f"{where} does not rise at row {table.rows[skip + falls[0] + 1]}. Cut the file there and list both "
            f"parts, {keep}."
        )
    if resample and steps[worst] <= LONGEST_GAP * usual:
        return
    gap = f"it moves by {steps[worst]:.6g} at row {table.rows[skip + worst + 1]} and mostly by {usual:.6g}"
    advice = f"Cut the file there and list both parts, {keep}"
    if resample:
        raise BadSeries(f"{where} has a gap: {gap}, and at most {LONGEST_GAP} steps are interpolated. {advice}.")
    raise BadSeries(f"{where} is not even: {gap}. {advice}, or set resample to true to interpolate at even times.")


def uneven_remark(name: str, times: np.ndarray) -> str:
    steps = np.diff(times)
    return (
        f"column '{name}' is the clock with steps from {steps.min():.6g} to {steps.max():.6g}, rows are interpolated "
        f"at even times, dt = {rounded(np.median(steps)):.6g}"
    )


def resampled(values: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Rows at even times, by monotone cubic interpolation (Fritsch and Carlson 1980)."""
    from scipy.interpolate import PchipInterpolator

    step = np.median(np.diff(times))
    return PchipInterpolator(times, values)(times[0] + step * np.arange(int((times[-1] - times[0]) / step + 1e-6) + 1))


def times_of(table: CellTable, column: int, skip: int) -> np.ndarray | None:
    """A column as numbers, dates in seconds, NaN where missing; None if it holds something else."""
    cells = table.cells[skip:, column]
    if is_text_of_times(table, column, skip):
        return parsed(cells, is_time_of_day(table, column, skip))
    if cells.dtype.kind in "fiub":
        return cells.astype(np.float64)
    if any(to_number(cell) is None for cell in cells[:3]):  # before all of them are looked at
        return None
    numbers = [to_number(cell) for cell in cells]
    if any(number is None for number in numbers):
        return None
    found = np.array(numbers, np.float64)
    return packed_dates(found) if is_named(table.names[column]) else found


def packed_dates(numbers: np.ndarray) -> np.ndarray:
    """20240131 as a date in seconds; other numbers as they are."""
    if not ((numbers >= 19000101) & (numbers <= 21001231) & (numbers % 1 == 0)).all():
        return numbers
    found = parsed([f"{n:.0f}" for n in numbers], False, "%Y%m%d")
    return numbers if found is None else found


def parsed(cells: Iterable[object], of_day: bool, form: str | None = None) -> np.ndarray | None:
    """Text or dates as seconds; days come first where months first does not fit, or is uneven."""
    import pandas

    if of_day:
        texts = [f"{cell}:00" if str(cell).count(":") == 1 else str(cell).replace(",", ".") for cell in cells]
        spans = pandas.to_timedelta(pandas.Series(texts).str.strip(), errors="coerce").dt.total_seconds().to_numpy()
        return spans + DAY * np.cumsum(np.diff(spans, prepend=spans[:1]) < -DAY / 2)  # beyond midnight
    found = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for dayfirst in (False, True):
            stamps = pandas.to_datetime(
                pandas.Series(list(cells)), errors="coerce", utc=True, dayfirst=dayfirst, format=form
            )
            found.append((stamps - pandas.Timestamp(0, tz="UTC")).dt.total_seconds().to_numpy())
    fitting = [times for times in found if np.isfinite(times).all()]
    return next((times for times in fitting if step_of(times) is not None), fitting[0] if fitting else None)


def is_text_of_times(table: CellTable, column: int, skip: int) -> bool:
    """Whether a column holds dates or times of day; the first cells tell."""
    cells = table.cells[skip : skip + 3, column]
    if cells.dtype.kind in "fiub":
        return False
    return is_dated(table, column, skip) or is_time_of_day(table, column, skip)


def is_dated(table: CellTable, column: int, skip: int) -> bool:
    cells = table.cells[skip : skip + 3, column]
    return all(bool(DATE.fullmatch(str(cell))) and not is_number(cell) for cell in cells)


def is_time_of_day(table: CellTable, column: int, skip: int) -> bool:
    return all(bool(TIME_OF_DAY.fullmatch(str(cell))) for cell in table.cells[skip : skip + 3, column])
