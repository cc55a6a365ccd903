"""A series from files of numbers, with every cell checked."""

import math
from dataclasses import replace

import numpy as np

from lyapsweep.datasets.assembly import assemble, embed, embedded_names, lost
from lyapsweep.datasets.recording import Reading, Recording, read_recording
from lyapsweep.datasets.series import LEAST_TEST, LEAST_TRAIN, BadSeries, Series
from lyapsweep.datasets.time_column import AGREE, AUTO
from lyapsweep.setting_types import Count, CountOrZero, Positive, Share


def recorded(
    *,
    path: str | list,
    columns: list | None = None,
    inputs: list | None = None,
    dt: Positive = 1.0,
    dimension: Count = 1,
    delay: Count = 1,
    test: Share = 0.25,
    standardise: bool | str = "column",
    lambda_max: float | None = None,
    skip: CountOrZero = 0,
    time: str | int | None = AUTO,
    resample: bool = False,
    missing: str = "refuse",
    decimal: str = "auto",
) -> Series:
    """A recorded series from files: one row per time step, evenly spaced.

    Several files are recordings of one system with the same columns: windows never cross from one into the next, and
    the held-out part is the last share of the last one.

    Args:
        path: A file, or a list of files; their endings are those of `lyapsweep.datasets.files.ENDINGS`.
        columns: Columns to predict, by name or by position from 0; None (the default) is all but the inputs and the
            columns of times and row numbers.
        inputs: Columns that drive the system and are given: the input of a row drives the step to that row. None by
            default.
        dt: Time between rows; 1.0 by default, which a time column replaces by its own.
        dimension: Number of delay coordinates per column, x(t), x(t - delay), ... (Takens 1981); 1 by default.
        delay: Delay in rows, 1 by default.
        test: Share of the rows that is held out, 0.25 by default; 1 holds out the last of several files.
        standardise: "column" (the default), "global" or "none", see `lyapsweep.datasets.series.scaled`.
        lambda_max: The largest exponent of the true dynamics in nats per unit time, if known; None by default.
        skip: Number of leading rows that are dropped, 0 by default.
        time: The column of times, by name or position; "auto" (the default) finds it, None says that there is none.
        resample: Whether rows at uneven times are interpolated at even ones; by default they are refused.
        missing: What is done with missing cells, fill values such as -999 and lone spikes: "refuse" (the default),
            "interpolate" gaps of up to 10 rows, or "keep" those that are numbers.
        decimal: Decimal separator of text files, "." or ","; "auto" (the default) finds out.

    Returns:
        A series; its `remarks` say how the files were understood.

    Raises:
        BadSeries: If the data are not usable; the message names file, row and column. Rows of a text file are counted
            from 1, as in an editor, rows of an array or table from 0.

    Example:
        >>> np.save("series.npy", np.sin(np.arange(100.0) / 5))
        >>> recorded(path="series.npy", test=0.2).train.shape
        (80, 1)
    """
    paths = listed(path)
    source, whole = ", ".join(paths), len(paths) > 1 and test == 1
    check_exponent(lambda_max)
    if not (0 < test < 1 or whole) or dimension < 1 or delay < 1 or skip < 0:
        raise BadSeries(
            f"{source}: 0 < test < 1 (or 1: the last of several files), dimension >= 1, delay >= 1 and skip >= 0 must "
            f"hold, but got test={test}, dimension={dimension}, delay={delay}, skip={skip}."
        )
    reading = Reading(time, resample, missing, decimal)
    recordings = read_recordings(paths, columns, inputs, None if dt == 1.0 else dt, skip, reading)
    dt, parts = recordings[0].dt, [each.values for each in recordings]
    held_out = round(test * len(parts[-1]))
    pieces = [*parts[:-1], parts[-1][: len(parts[-1]) - held_out]]
    check_length(pieces, held_out, test, dimension, delay, source)
    return assemble(
        pieces[:-1] if whole else pieces,
        parts[-1][-held_out:],
        recordings[0].names,
        source=source,
        dt=dt,
        inputs=len(inputs or ()),
        dimension=dimension,
        delay=delay,
        standardise=standardise,
        lambda_max=None if lambda_max is None else lambda_max * dt,
        lambda_source="" if lambda_max is None else "given by the user",
        remarks=tuple(remark for each in recordings for remark in each.remarks),
    )


def check_exponent(lambda_max: float | None) -> None:
    if not math.isfinite(lambda_max or 0.0):
        raise BadSeries(f"dataset/lambda_max must be a finite number or null, but got {lambda_max}.")


def further_rows(
    file: str,
    series: Series,
    *,
    columns: list | None = None,
    inputs: list | None = None,
    dt: float = 1.0,
    dimension: int = 1,
    delay: int = 1,
    skip: int = 0,
    time: str | int | None = AUTO,
    resample: bool = False,
    missing: str = "refuse",
    decimal: str = "auto",
    **_: object,
) -> Series:
    """A `recorded` series with the rows of a further file as its held-out part; `BadSeries` if they do not fit."""
    reading = Reading(time, resample, missing, decimal)
    found = read_recording(file, columns, inputs, None if dt == 1.0 else dt, skip, reading)
    seen, before = len(found.names) - len(inputs or ()), lost(dimension, delay)
    if embedded_names(found.names[:seen], dimension, delay) != series.names:
        raise BadSeries(f"{file}: columns {', '.join(found.names)} are not those of {series.source}. Choose the same.")
    if abs(found.dt - series.dt) > AGREE * series.dt:
        raise BadSeries(
            f"{file}: dt = {found.dt:.6g} is not that of {series.source}, {series.dt:.6g}. Sample all alike."
        )
    if len(found.values) - before < LEAST_TEST:
        raise BadSeries(
            f"{file}: dataset/validation needs {LEAST_TEST + before} rows, but the file has {len(found.values)} after "
            f"skip={skip}. Give a longer recording."
        )
    rows = (embed(found.values[:, :seen], dimension, delay) - series.mean) / series.std
    ahead = (found.values[before:, seen:] - series.input_mean) / series.input_std if inputs else None
    return replace(series, test=rows, test_inputs=ahead)


def listed(path: str | list) -> list[str]:
    """One or several files, each named once."""
    paths = path if isinstance(path, list) else [path]
    if not paths or not all(isinstance(p, str) for p in paths):
        raise BadSeries(f"dataset/path must name a file, or list files, but got {path!r}.")
    if len(set(paths)) < len(paths):
        raise BadSeries(
            f"dataset/path lists a file twice: {', '.join(paths)}. What is held out must not be trained on."
        )
    return paths


def read_recordings(
    paths: list[str], columns: list | None, inputs: list | None, dt: float | None, skip: int, reading: Reading
) -> list[Recording]:
    """The recordings of several files, which must have the same columns and time steps."""
    found: list[Recording] = []
    for path in paths:
        one = read_recording(path, columns, inputs, dt, skip, reading)
        first = found[0] if found else one
        if one.names != first.names:
            raise BadSeries(
                f"{path}: columns {', '.join(one.names)} are not those of {paths[0]}, {', '.join(first.names)}. "
                f"Recordings of one list must hold the same columns; choose them by `columns`."
            )
        if abs(one.dt - first.dt) > AGREE * first.dt:
            raise BadSeries(
                f"{path}: dt = {one.dt:.6g} is not that of {paths[0]}, {first.dt:.6g}. Sample all recordings alike."
            )
        found.append(one)
    return found


def check_length(pieces: list[np.ndarray], held_out: int, test: float, dimension: int, delay: int, source: str) -> None:
    """Raise `BadSeries` if too few rows remain for training or testing."""
    before, rows = lost(dimension, delay), len(pieces[-1]) + held_out
    kept = sum(max(0, len(piece) - before) for piece in pieces)
    short = [len(piece) for piece in pieces if len(piece) <= before and not (piece is pieces[-1] and test == 1)]
    if kept >= LEAST_TRAIN and held_out - before >= LEAST_TEST and not short:
        return
    if len(pieces) > 1:
        raise BadSeries(
            f"{source}: {kept} training and {max(0, held_out - before)} test rows remain for test={test}, "
            f"dimension={dimension}, delay={delay}, where {LEAST_TRAIN} and {LEAST_TEST} must, and every recording "
            f"needs more than {before} rows to train on. Give longer recordings or a smaller dimension or delay."
        )
    need = max(math.ceil((LEAST_TRAIN + before) / (1 - test)), math.ceil((LEAST_TEST + before) / test)) + 1
    raise BadSeries(
        f"{source}: {rows} rows are too few for test={test}, dimension={dimension}, delay={delay}: "
        f"{LEAST_TRAIN} training and {LEAST_TEST} test rows must remain, which takes {need} rows."
    )
