"""What every dataset returns: one standardised series with a held-out part, and what is known of its dynamics."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from lyapsweep.registry import unknown


class BadSeries(ValueError):
    """Data that cannot be trained on; the message names file, row and column where there is one."""


@dataclass(frozen=True)
class Series:
    """Observations, time leading: `train` (time, features) and, after it in time, `test` (time, features).

    Both are standardised as `(x - mean) / std`, with moments of the training part. `dt` is the time between samples.
    `lambda_max` is the largest Lyapunov exponent of the true dynamics in nats per sample, None where nobody knows it;
    `lambda_source` says where it comes from.
    """

    train: np.ndarray
    test: np.ndarray
    dt: float
    names: tuple[str, ...]
    mean: np.ndarray
    std: np.ndarray
    lambda_max: float | None = None
    lambda_source: str = ""
    source: str = ""
    notes: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for part, values in (("train", self.train), ("test", self.test)):
            if values.ndim != 2:
                raise BadSeries(f"{self.source}: the {part} part must be (time, features), but is {values.shape}.")
            bad = np.argwhere(~np.isfinite(values))
            if len(bad):
                row, column = bad[0]
                raise BadSeries(
                    f"{self.source}: {len(bad)} values of the {part} part are not finite, the first at "
                    f"row {row}, column '{self.names[column]}'."
                )
        if not self.dt > 0:
            raise BadSeries(f"{self.source}: dt > 0 must hold, but got {self.dt}.")

    @property
    def features(self) -> int:
        return self.train.shape[1]

    @property
    def predictability_time(self) -> float | None:
        """tau_pred = ln 2 / lambda_max in samples (Mikhaeil et al. 2022), None where lambda_max is unknown."""
        return float(np.log(2) / self.lambda_max) if self.lambda_max and self.lambda_max > 0 else None


def standardised(
    train: np.ndarray, test: np.ndarray, names: tuple[str, ...], source: str, standardise: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(train, test, mean, std), both parts `(x - mean) / std` with the training part's moments of each column.

    Where `standardise` is False the parts are as they were, mean 0 and std 1. Raises `BadSeries` for a column that does
    not vary: it holds nothing to learn, and no scale.
    """
    mean, std = train.mean(axis=0), train.std(axis=0)
    flat = np.flatnonzero(~(std > 1e-10 * np.abs(mean)))
    if len(flat):
        raise BadSeries(
            f"{source}: column '{names[flat[0]]}' is constant ({train[0, flat[0]]:g}) in the training part. "
            f"Leave it out, or give a longer or livelier series."
        )
    if not standardise:
        mean, std = np.zeros_like(mean), np.ones_like(std)
    return (train - mean) / std, (test - mean) / std, mean, std


def choose(wanted: Sequence[str | int] | None, names: tuple[str, ...], source: str) -> list[int]:
    """Positions of the wanted columns, given by name or by position from 0; all where None."""
    if wanted is None:
        return list(range(len(names)))
    if not wanted:
        raise BadSeries(f"{source}: no column is chosen. Known: {', '.join(names)}.")
    positions = []
    for column in wanted:
        if isinstance(column, int) and 0 <= column < len(names):
            positions.append(column)
        elif column in names:
            positions.append(names.index(column))
        else:
            raise unknown("column", column, list(names), source)
    return positions
