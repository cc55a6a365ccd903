"""From columns of a trajectory or a file to a series: inputs split off, delays appended, everything standardised."""

from typing import Any

import numpy as np

from lyapsweep.datasets.series import Series, scaled


def assemble(
    pieces: list[np.ndarray],
    held_out: np.ndarray,
    names: tuple[str, ...],
    *,
    source: str,
    dt: float,
    inputs: int,
    dimension: int,
    delay: int,
    standardise: bool | str,
    **known: Any,
) -> Series:
    """The series of several training pieces and one held-out part, (time, columns) each.

    The last `inputs` columns drive the system and are not predicted. If `dimension` > 1, the others are delay-embedded,
    each piece and the held-out part by itself, so that no value of one part occurs in another; each loses its first
    `lost` rows. Moments are those of all training pieces together.
    """
    seen, before = len(names) - inputs, lost(dimension, delay)
    parts = [embed(part[:, :seen], dimension, delay) for part in (*pieces, held_out)]
    drives = [part[before:, seen:] for part in (*pieces, held_out)]
    columns = embedded_names(names[:seen], dimension, delay)
    train, mean, std = scaled(np.concatenate(parts[:-1]), columns, source, standardise)
    drive, drive_mean, drive_std = scaled(np.concatenate(drives[:-1]), names[seen:], source, standardise)
    return Series(
        train,
        (parts[-1] - mean) / std,
        dt,
        columns,
        mean,
        std,
        source=source,
        pieces=tuple(len(part) for part in parts[:-1]),
        train_inputs=drive,
        test_inputs=(drives[-1] - drive_mean) / drive_std,
        input_names=names[seen:],
        input_mean=drive_mean,
        input_std=drive_std,
        reach=before,
        **known,
    )


def lost(dimension: int, delay: int) -> int:
    """Number of rows at the beginning of a part without all delays."""
    return (dimension - 1) * delay


def embed(values: np.ndarray, dimension: int, delay: int) -> np.ndarray:
    """Delay coordinates x(t), x(t - delay), ..., x(t - (dimension - 1) delay), delays in samples (Takens 1981).

    (time, columns) -> (time - (dimension - 1) delay, columns * dimension), each column followed by its delays.
    """
    before = lost(dimension, delay)
    pasts = [values[before - k * delay : len(values) - k * delay] for k in range(dimension)]
    return np.stack(pasts, axis=-1).reshape(len(values) - before, -1)


def embedded_names(names: tuple[str, ...], dimension: int, delay: int) -> tuple[str, ...]:
    return tuple(f"{name}(t-{k * delay})" if k else name for name in names for k in range(dimension))
