"""What a series asks of the networks that learn it: columns, largest exponent, delay embedding, forcing intervals."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from lyapsweep.datasets.recording import Reading, Recording, read_recording
from lyapsweep.problems.suggestion import SeriesSuggestion, suggest_for_series
from lyapsweep.timeseries import NoExponent
from lyapsweep.timeseries.embedding import mean_period

Column = str | int
WITHIN = (0.25, 1.0)  # forcing intervals in units of tau_pred (docs/results.md)
WITHIN_PERIOD = (0.06, 0.5)  # in units of the mean period, where tau_pred is unknown
SHORTEST, LONGEST = 2, 128  # forcing intervals in samples


@dataclass(frozen=True)
class SeriesAnalysis:
    """A series and what `lyapsweep suggest` finds in it.

    Args:
        path: Its file.
        columns: Names of the columns that are predicted.
        inputs: Names of the columns that drive the system.
        dt: Time between rows.
        rows: Number of rows.
        period: Mean period in samples.
        suggestion: What `suggest` finds; None where the series allows no estimate.
        refused: Why it allows none; "" otherwise.
        remarks: How the file was understood.

    Example:
        >>> SeriesAnalysis("a.csv", ("x",), (), dt=0.1, rows=900, period=30.0).intervals
        (2, 15)
    """

    path: str
    columns: tuple[str, ...]
    inputs: tuple[str, ...]
    dt: float
    rows: int
    period: float
    suggestion: SeriesSuggestion | None = None
    refused: str = ""
    remarks: tuple[str, ...] = ()

    @property
    def chaotic(self) -> bool:
        """Whether the largest exponent is estimated and nothing speaks against chaos."""
        return self.suggestion is not None and self.suggestion.suggestion.chaotic

    @property
    def lambda_max(self) -> float | None:
        """The largest exponent in nats per unit time; None without evidence of chaos."""
        return self.suggestion.suggestion.exponent / self.dt if self.suggestion and self.chaotic else None

    @property
    def lambda_interval(self) -> tuple[float, float]:
        """Its 95 % interval, nats per unit time; NaN without evidence of chaos."""
        if self.suggestion is None or not self.chaotic:
            return math.nan, math.nan
        return self.suggestion.suggestion.low / self.dt, self.suggestion.suggestion.high / self.dt

    @property
    def predictability_time(self) -> float:
        """tau_pred = ln 2 / lambda_max in samples; NaN without evidence of chaos."""
        return self.suggestion.suggestion.predictability_time if self.suggestion else math.nan

    @property
    def embedding(self) -> tuple[int, int]:
        """Values of each column in a state, and the samples between them; (1, 1) if the columns are enough."""
        found = self.suggestion.estimate.embedding if self.suggestion else None
        return (found.dimension, found.delay) if found and found.dimension > 1 else (1, 1)

    @property
    def features(self) -> int:
        """Numbers that a network predicts per step."""
        return len(self.columns) * self.embedding[0]

    @property
    def intervals(self) -> tuple[int, int]:
        """The shortest and the longest forcing interval to try: 0.25 to 1 tau_pred, else 0.06 to 0.5 periods."""
        known = math.isfinite(self.predictability_time)
        unit, within = (self.predictability_time, WITHIN) if known else (self.period, WITHIN_PERIOD)
        low, high = (min(LONGEST, max(SHORTEST, round(factor * unit))) for factor in within)
        return low, max(high, low)


def analyse(
    path: str,
    *,
    dt: float | None = None,
    columns: Sequence[Column] | None = None,
    inputs: Sequence[Column] | None = None,
    reading: Reading | None = None,
    seed: int = 0,
    tell: Callable[[str], None] = lambda stage: None,
) -> SeriesAnalysis:
    """Read a series and estimate its largest exponent, as `lyapsweep suggest` does.

    Args:
        path: The file.
        dt: Time between rows; None reads it off a time column, else 1.
        columns: Columns to predict; None takes all but inputs and clocks.
        inputs: Columns that drive the system.
        reading: How the columns of the file are understood.
        seed: Seed of surrogates and bootstraps.
        tell: Called with the name of each stage.

    Returns:
        The analysis; a series without an estimate is no error here.

    Raises:
        BadSeries: If the file cannot be read.
    """
    recording = read_recording(path, columns, inputs, dt, reading=reading)
    seen = len(recording.names) - recording.inputs
    chosen: list[Column] | None = list(columns or recording.names[:seen]) if columns or inputs else None
    found, refused = None, ""
    try:
        found = suggest_for_series(path, chosen, dt, seed, tell, reading=reading)
    except NoExponent as error:
        refused = str(error)
    values = recording.values[:, :seen]
    return SeriesAnalysis(
        path=path,
        columns=recording.names[:seen],
        inputs=recording.names[seen:],
        dt=recording.dt,
        rows=len(values),
        period=found.estimate.embedding.period if found else period_of(recording, seen),
        suggestion=found,
        refused=refused,
        remarks=recording.remarks,
    )


def period_of(recording: Recording, seen: int) -> float:
    """The mean period of the standardised columns in samples."""
    values = recording.values[:, :seen]
    spread = values.std(axis=0)
    moving = spread > 0
    if not moving.any() or len(values) < 2:
        return 1.0
    return mean_period(np.asarray((values[:, moving] - values[:, moving].mean(axis=0)) / spread[moving]))
