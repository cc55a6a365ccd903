"""The result of a series dataset: one standardised series with a held-out part, and what is known of its dynamics."""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from lyapsweep.arrays import real_array
from lyapsweep.registry import unknown

CONVENTIONS = ("column", "global", "none")  # of standardisation
LEAST_TRAIN, LEAST_TEST = 50, 10  # rows after embedding, below which no measure means anything
LEAST_PART = 200  # rows of a validation or test part by default: runs and forecasts of fewer rows say little


class BadSeries(ValueError):
    """A series that is not usable; the message names file, row and column if there is one."""


@dataclass(frozen=True)
class Series:
    """A standardised series of observations with a held-out part, time first.

    Args:
        train: Training part as (x - mean) / std, shape (time, features).
        test: Held-out part, later in time, shape (time, features).
        dt: Time between samples.
        names: Names of the features.
        mean: Means of the training part, shape (features,).
        std: Standard deviations of the training part, shape (features,).
        lambda_max: Largest exponent of the true dynamics in nats per sample; None (the default) if unknown.
        lambda_source: Where `lambda_max` comes from.
        exponents: All known exponents of the true dynamics, largest first, nats per sample; empty if none is known.
        source: Description of the data, used in messages.
        notes: Further numbers about the data.
        pieces: Lengths of the recordings that `train` concatenates; windows never cross from one into the next. One
            piece by
            default.
        train_inputs: What drove the system, row for row, standardised by its own moments; None (the default) if nothing
            did.
        test_inputs: The same of the held-out part.
        input_names: Names of the inputs.
        input_mean: Means of the inputs.
        input_std: Standard deviations of the inputs.
        remarks: How the data were understood, where that is not obvious; empty by default.
        reach: Rows before a row whose values it holds, as delay coordinates do; 0 by default.

    Raises:
        BadSeries: If shapes do not agree, a value is not finite, or `dt` is not positive.

    Example:
        >>> x = np.sin(np.arange(100.0))[:, None]
        >>> series = Series(x[:80], x[80:], 1.0, ("x",), np.zeros(1), np.ones(1), lambda_max=0.1)
        >>> round(series.predictability_time, 2)
        6.93
    """

    train: np.ndarray
    test: np.ndarray
    dt: float
    names: tuple[str, ...]
    mean: np.ndarray
    std: np.ndarray
    lambda_max: float | None = None
    lambda_source: str = ""
    exponents: tuple[float, ...] = ()
    source: str = ""
    notes: dict[str, float] = field(default_factory=dict)
    pieces: tuple[int, ...] = ()
    train_inputs: np.ndarray | None = None
    test_inputs: np.ndarray | None = None
    input_names: tuple[str, ...] = ()
    input_mean: np.ndarray = field(default_factory=lambda: np.empty(0))
    input_std: np.ndarray = field(default_factory=lambda: np.empty(0))
    remarks: tuple[str, ...] = ()
    reach: int = 0

    def __post_init__(self) -> None:
        for part in ("train", "test", "train_inputs", "test_inputs"):
            if (values := getattr(self, part)) is not None:
                object.__setattr__(self, part, real_array(values, f"{self.source}: {part}"))
        object.__setattr__(self, "pieces", self.pieces or (len(self.train),))
        if self.inputs and not self.input_names:
            object.__setattr__(self, "input_names", tuple(f"input {j}" for j in range(self.inputs)))
        if sum(self.pieces) != len(self.train):
            raise BadSeries(f"{self.source}: pieces of {self.pieces} rows do not add up to {len(self.train)}.")
        for part, values in (("train", self.train), ("test", self.test)):
            if values.ndim != 2:
                raise BadSeries(f"{self.source}: the {part} part must be (time, features), but is {values.shape}.")
            self.finite(f"the {part} part", values, self.names)
        for part, values, inputs in (("train", self.train, self.train_inputs), ("test", self.test, self.test_inputs)):
            if not self.inputs:
                continue
            if inputs is None or inputs.shape != (len(values), self.inputs):
                raise BadSeries(
                    f"{self.source}: the inputs of the {part} part must be ({len(values)}, {self.inputs}), a row for "
                    f"each of its observations, but are {None if inputs is None else inputs.shape}."
                )
            self.finite(f"the inputs of the {part} part", inputs, self.input_names)
        if not 0 < self.dt < math.inf:
            raise BadSeries(f"{self.source}: 0 < dt < inf must hold, but got {self.dt}.")

    def finite(self, what: str, values: np.ndarray, names: tuple[str, ...]) -> None:
        """Raise `BadSeries` if `values` (time, columns) are not all finite."""
        bad = np.argwhere(~np.isfinite(values))
        if len(bad):
            row, column = bad[0]
            raise BadSeries(
                f"{self.source}: {len(bad)} values of {what} are not finite, the first at "
                f"row {row}, column '{names[column]}'."
            )

    @property
    def features(self) -> int:
        return self.train.shape[1]

    @property
    def inputs(self) -> int:
        """Number of columns that drive the system."""
        return 0 if self.train_inputs is None else self.train_inputs.shape[1]

    @property
    def held_out(self) -> int:
        """Number of held-out rows."""
        return len(self.test)

    @property
    def unit(self) -> str:
        """What `held_out` counts."""
        return "rows"

    @property
    def least(self) -> tuple[int, int]:
        """Fewest rows of a validation or test part: by default, and if asked for."""
        return LEAST_PART, LEAST_TEST

    def held_out_part(self, first: int, end: int) -> "Series":
        """Return the series with the held-out rows `first` to `end` - 1 alone."""
        inputs = None if self.test_inputs is None else self.test_inputs[first:end]
        return replace(self, test=self.test[first:end], test_inputs=inputs)

    @cached_property
    def digest(self) -> str:
        """A digest of observations and inputs in single precision; equal data have equal digests."""
        return digest(self.train, self.test, self.train_inputs, self.test_inputs)

    @property
    def predictability_time(self) -> float | None:
        """tau_pred = ln 2 / lambda_max in samples (Mikhaeil et al. 2022); None if lambda_max is unknown."""
        return float(np.log(2) / self.lambda_max) if self.lambda_max and self.lambda_max > 0 else None


def digest(*arrays: np.ndarray | None) -> str:
    """16 hexadecimal digits of the arrays' shapes and, in single precision, their numbers."""
    found = hashlib.sha256()
    for values in arrays:
        if values is not None:
            found.update(str(values.shape).encode() + np.ascontiguousarray(values, np.float32).tobytes())
    return found.hexdigest()[:16]


def scaled(
    train: np.ndarray, names: tuple[str, ...], source: str, standardise: bool | str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(`(train - mean) / std`, mean, std): moments of the training part (time, columns) by one of three conventions.

    `column` (or true): each column by its own, as Hess et al. 2023. `global`: one mean and one standard deviation of
    all entries, which keeps the proportions of the attractor (Mikhaeil et al. 2022). `none` (or false): unchanged, mean
    0 and std 1. Raises `BadSeries` for a constant column.
    """
    convention = {True: "column", False: "none"}.get(standardise, standardise)  # type: ignore[call-overload]
    if convention not in CONVENTIONS:
        raise unknown("standardisation", convention, list(CONVENTIONS), source)
    with np.errstate(over="ignore", invalid="ignore"):
        mean, std = train.mean(axis=0), train.std(axis=0)
    wild = np.flatnonzero(~np.isfinite(std))
    if len(wild):
        raise BadSeries(f"{source}: column '{names[wild[0]]}' has no finite variance. Give it in a smaller unit.")
    flat = np.flatnonzero(~(std > 1e-10 * np.abs(mean)))
    if len(flat):
        raise BadSeries(
            f"{source}: column '{names[flat[0]]}' is constant ({train[0, flat[0]]:g}) in the training part. "
            f"Leave it out, or give a longer or livelier series."
        )
    if convention == "none" or not len(names):
        mean, std = np.zeros_like(mean), np.ones_like(std)
    elif convention == "global":
        mean, std = np.full_like(mean, train.mean()), np.full_like(std, train.std())
    return (train - mean) / std, mean, std


def column_positions(wanted: Sequence[str | int] | None, names: tuple[str, ...], source: str) -> list[int]:
    """Positions of the chosen columns, given by name or by position from 0; all if None.

    Raises `BadSeries` for an empty, repeated or ambiguous choice, `UnknownName` for an unknown column.
    """
    if wanted is None:
        return list(range(len(names)))
    if not wanted:
        raise BadSeries(f"{source}: no column is chosen. Known: {', '.join(names)}.")
    positions = []
    for column in wanted:
        if isinstance(column, int) and not isinstance(column, bool) and 0 <= column < len(names):
            positions.append(column)
        elif names.count(column) == 1:
            positions.append(names.index(column))
        elif column in names:
            raise BadSeries(f"{source}: {names.count(column)} columns are called '{column}'. Give positions from 0.")
        else:
            raise unknown("column", column, list(names), source)
        if positions[-1] in positions[:-1]:
            raise BadSeries(f"{source}: column '{names[positions[-1]]}' is named twice. Name each column once.")
    return positions


def split_columns(
    observed: Sequence[str | int] | None,
    inputs: Sequence[str | int] | None,
    names: tuple[str, ...],
    source: str,
    clocks: Sequence[int] = (),
) -> tuple[list[int], list[int]]:
    """Positions of the columns to predict (all but the inputs and the clocks if `observed` is None), and of the inputs.

    Raises `BadSeries` for a column that is both or is repeated, `UnknownName` for an unknown column.
    """
    driving = column_positions(inputs, names, source) if inputs else []
    seen = column_positions(observed, names, source)
    if observed is None:
        seen = [c for c in seen if c not in driving and c not in clocks]
    if not seen and not set(clocks) <= set(driving):
        raise BadSeries(
            f"{source}: column '{names[clocks[0]]}' only rises, as time does, and no other is left to predict. "
            "Choose columns."
        )
    if not seen:
        raise BadSeries(f"{source}: every column is an input; at least one must be left to predict.")
    for c in set(seen) & set(driving):
        raise BadSeries(f"{source}: input '{names[c]}' is also a column to predict. Name each column once.")
    return seen, driving
