"""A recording whose inputs drive the network and whose targets it should answer: the user's own measured system."""

from lyapsweep.datasets.files import read
from lyapsweep.datasets.series import LEAST_TEST, LEAST_TRAIN, BadSeries, choose
from lyapsweep.datasets.stream import stream
from lyapsweep.datasets.task import Task


def recorded_task(
    *, path: str, inputs: list, targets: list, dt: float = 1.0, test: float = 0.25, skip: int = 0
) -> Task:
    """Columns of a file that drive the network, and columns that it should answer with at every step.

    Rows of the CSV, NPY or Parquet file are equidistant times, `dt` apart; columns are named, or counted from 0. The
    first `skip` rows are left out and the last `test` share is held out. One long stream; everything is standardised
    by the moments of the training part, and `notes` holds those of the targets (`<name>/mean`, `<name>/std`), with what
    the least-squares quadratic in the row's own inputs loses (`memoryless`). Baseline: always answering the mean.

    Raises `BadSeries` naming file, row and column for cells that are missing or no numbers, for a constant column, for
    a column that is both input and target and for too few rows; `UnknownName` for a column.
    """
    file = read(path)
    driving, answers = choose(inputs, file.names, path), choose(targets, file.names, path)
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
