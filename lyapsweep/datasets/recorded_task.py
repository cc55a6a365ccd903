"""A recording as a task: some columns drive the network, others are its targets."""

from lyapsweep.datasets.files import read
from lyapsweep.datasets.series import LEAST_TEST, LEAST_TRAIN, BadSeries, column_positions
from lyapsweep.datasets.stream import stream
from lyapsweep.datasets.task import Task
from lyapsweep.setting_types import CountOrZero, Positive, Share


def recorded_task(
    *, path: str, inputs: list, targets: list, dt: Positive = 1.0, test: Share = 0.25, skip: CountOrZero = 0
) -> Task:
    """Predict columns of a file from other columns at every step.

    The file has one row per time step, evenly spaced. The data are one long stream, standardised by the moments of the
    training part; `notes` holds those of the targets (`<name>/mean`, `<name>/std`) and the loss of the least-squares
    quadratic in the row's own inputs (`memoryless`). Baseline: always answering the mean.

    Args:
        path: A CSV, NPY or Parquet file.
        inputs: Columns that drive the network, by name or by position from 0.
        targets: Columns to predict.
        dt: Time between rows, 1.0 by default.
        test: Share of the rows that is held out, the last ones; 0.25 by default.
        skip: Number of leading rows that are dropped, 0 by default.

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
    file = read(path)
    driving, answers = column_positions(inputs, file.names, path), column_positions(targets, file.names, path)
    both = [file.names[c] for c in answers if c in driving]
    if both:
        raise BadSeries(f"{path}: column '{both[0]}' is an input and a target. Leave it out of one.")
    x, y = file.numbers(driving, skip), file.numbers(answers, skip)
    held_out = round(test * len(x)) if 0 < test < 1 else 0
    if held_out < LEAST_TEST or len(x) - held_out < LEAST_TRAIN:
        raise BadSeries(
            f"{path}: {len(x)} rows after skip={skip} with test={test} leave {len(x) - held_out} to train on and "
            f"{held_out} held out, where {LEAST_TRAIN} and {LEAST_TEST} must be. Give more rows or another share."
        )
    names = tuple(file.names[c] for c in driving), tuple(file.names[c] for c in answers)
    return stream(x, y, *names, test, f"recorded_task: {path}", {}, dt)
