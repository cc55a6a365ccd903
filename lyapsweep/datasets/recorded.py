"""A series from a file: CSV, NPY or Parquet, checked cell by cell before anything is trained on it."""

import math

import numpy as np

from lyapsweep.datasets.files import read
from lyapsweep.datasets.series import BadSeries, Series, choose, standardised

LEAST_TRAIN, LEAST_TEST = 50, 10  # rows after embedding, below which no measure means anything


def recorded(
    *,
    path: str,
    columns: list | None = None,
    dt: float = 1.0,
    dimension: int = 1,
    delay: int = 1,
    test: float = 0.25,
    standardise: bool = True,
    lambda_max: float | None = None,
    skip: int = 0,
) -> Series:
    """A recording: rows are equidistant times, `dt` apart; the last `test` share of them is held out.

    `columns` are chosen by name or by position from 0 (all where None); the first `skip` rows of data are left out.
    `dimension` > 1 embeds each column x in its past, x(t), x(t - delay), ..., x(t - (dimension - 1) delay), delays in
    rows (Takens 1981); each part is embedded by itself, so that no value of one is seen in the other. `lambda_max` is
    the largest exponent of the true dynamics in nats per unit time where the user knows it; nobody else does.

    Raises `BadSeries` naming file, row and column: row is the line of a CSV file, counted from 1 as an editor does,
    and the index from 0 of an array or table.
    """
    if not 0 < test < 1 or dimension < 1 or delay < 1 or skip < 0:
        raise BadSeries(
            f"{path}: 0 < test < 1, dimension >= 1, delay >= 1 and skip >= 0 must hold, "
            f"but got test={test}, dimension={dimension}, delay={delay}, skip={skip}."
        )
    file = read(path)
    chosen = choose(columns, file.names, path)
    names = tuple(file.names[c] for c in chosen)
    values = file.numbers(chosen, skip)
    held_out = round(test * len(values))
    lost = (dimension - 1) * delay
    if len(values) - held_out - lost < LEAST_TRAIN or held_out - lost < LEAST_TEST:
        need = max(math.ceil((LEAST_TRAIN + lost) / (1 - test)), math.ceil((LEAST_TEST + lost) / test)) + 1
        raise BadSeries(
            f"{path}: {len(values)} rows are too few for test={test}, dimension={dimension}, delay={delay}: "
            f"{LEAST_TRAIN} training and {LEAST_TEST} test rows must remain, which takes {need} rows."
        )
    train, truth = (embed(part, dimension, delay) for part in (values[:-held_out], values[-held_out:]))
    names = embedded_names(names, dimension, delay)
    train, truth, mean, std = standardised(train, truth, names, path, standardise)
    return Series(
        train,
        truth,
        dt,
        names,
        mean,
        std,
        lambda_max=None if lambda_max is None else lambda_max * dt,
        lambda_source="" if lambda_max is None else "given by the user",
        source=path,
    )


def embed(values: np.ndarray, dimension: int, delay: int) -> np.ndarray:
    """(time, columns) -> (time - (dimension - 1) delay, columns * dimension), each column followed by its own past."""
    lost = (dimension - 1) * delay
    pasts = [values[lost - k * delay : len(values) - k * delay] for k in range(dimension)]
    return np.stack(pasts, axis=-1).reshape(len(values) - lost, -1)


def embedded_names(names: tuple[str, ...], dimension: int, delay: int) -> tuple[str, ...]:
    return tuple(f"{name}(t-{k * delay})" if k else name for name in names for k in range(dimension))
