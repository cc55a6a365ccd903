"""A recording as a task: some columns drive the network, others are its targets."""

import dataclasses

from lyapsweep.datasets.recording import Reading, read_recording
from lyapsweep.datasets.series import LEAST_TEST, LEAST_TRAIN, BadSeries
from lyapsweep.datasets.stream import stream
from lyapsweep.datasets.task import Task
from lyapsweep.datasets.time_column import AUTO
from lyapsweep.setting_types import CountOrZero, Positive, Share


def recorded_task(
    *,
    path: str,
    inputs: list,
    targets: list,
    dt: Positive = 1.0,
    test: Share = 0.25,
    skip: CountOrZero = 0,
    time: str | int | None = AUTO,
    resample: bool = False,
    missing: str = "refuse",
    decimal: str = "auto",
) -> Task:
    """Predict columns of a file from other columns at every step.

    The file has one row per time step, evenly spaced. The data are one long stream, standardised by the moments of the
    training part; `notes` holds those of the targets (`<name>/mean`, `<name>/std`) and the loss of the least-squares
    quadratic in the row's own inputs (`memoryless`). Baseline: always answering the mean.

    Args:
        path: A file, as of `recorded`.
        inputs: Columns that drive the network, by name or by position from 0.
        targets: Columns to predict.
        dt: Time between rows; 1.0 by default, which a time column replaces by its own.
        test: Share of the rows that is held out, the last ones; 0.25 by default.
        skip: Number of leading rows that are dropped, 0 by default.
        time: The column of times, "auto" by default, as of `recorded`.
        resample: Whether rows at uneven times are interpolated, False by default.
        missing: "refuse" (the default), "interpolate" or "keep", as of `recorded`.
        decimal: Decimal separator of text files, "auto" by default.

    Returns:
        A task with head "step" and loss "mse".

    Raises:
        BadSeries: If cells are missing or no numbers, a column is constant or both input and target, or there are too
            few
            rows; the message names file, row and column.
        UnknownName: If there is no such column.

    Example:
        >>> import numpy as np
        >>> np.save("table.npy", np.random.default_rng(0).normal(size=(100, 2)))
        >>> recorded_task(path="table.npy", inputs=[0], targets=[1]).outputs
        1
    """
    if not inputs or not targets:
        raise BadSeries(f"{path}: inputs={inputs} and targets={targets} must each name a column. Name one.")
    reading = Reading(time, resample, missing, decimal)
    recording = read_recording(path, targets, inputs, None if dt == 1.0 else dt, skip, reading)
    y, x = recording.values[:, : len(targets)], recording.values[:, len(targets) :]
    held_out = round(test * len(x)) if 0 < test < 1 else 0
    if held_out < LEAST_TEST or len(x) - held_out < LEAST_TRAIN:
        raise BadSeries(
            f"{path}: {len(x)} rows after skip={skip} with test={test} leave {len(x) - held_out} to train on and "
            f"{held_out} held out, where {LEAST_TRAIN} and {LEAST_TEST} must be. Give more rows or another share."
        )
    names = recording.names[len(targets) :], recording.names[: len(targets)]
    task = stream(x, y, *names, test, f"recorded_task: {path}", {}, recording.dt)
    return dataclasses.replace(task, remarks=recording.remarks)
