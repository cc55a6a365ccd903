"""The forcing interval that a config leaves to its data: `forcing: {kind: sparse, interval: auto}`."""

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from lyapsweep.config import Config, ConfigError
from lyapsweep.datasets.series import Series
from lyapsweep.forcing import AUTO
from lyapsweep.results.provenance import ForcingInterval
from lyapsweep.timeseries import Estimate, NoExponent, estimate

REMEDY = "Set forcing/interval to a number, or choose another forcing"


class Exponent(NamedTuple):
    """Largest Lyapunov exponent of a series with its confidence interval, nats per sample."""

    value: float
    low: float
    high: float
    source: str


def is_automatic(config: Config) -> bool:
    """Whether the config leaves its forcing interval to the data."""
    return config.forcing.get("interval") == AUTO


def forcing_interval(config: Config, series: Series | None) -> ForcingInterval:
    """Compute the forcing interval of a series.

    tau_pred = ln 2 / lambda_max samples, rounded, at least 1 (Mikhaeil et al. 2022). lambda_max is the exponent that
    the dataset knows, else an estimate from the training part.

    Raises:
        ConfigError: If there is no evidence of chaos, or no window is long enough for the interval.
    """
    if series is None:
        raise ConfigError(f"forcing/interval: {AUTO} is computed from a series, but none is given. {REMEDY}.")
    found = known_exponent(series) if series.lambda_max is not None else estimated_exponent(series)
    interval = max(1, round(math.log(2) / found.value))
    if interval > config.windows.steps:
        raise ConfigError(
            f"forcing/interval: {AUTO} is {interval} for this series, but windows/length is {config.windows.length}, "
            "so no step inside a window is forced. Set windows/length higher or forcing/interval to a number."
        )
    return ForcingInterval(interval, found.value, found.low, found.high, found.source)


def known_exponent(series: Series) -> Exponent:
    """The exponent that the dataset states, within two standard errors."""
    value, error = series.lambda_max or 0.0, 2 * series.notes.get("lambda_stderr", 0.0)
    if value <= error:
        raise ConfigError(
            f"forcing/interval: {AUTO} needs chaotic data, but lambda_max = {value:.3g} ± {error / 2:.2g} per sample "
            f"({series.lambda_source}). {REMEDY}."
        )
    return Exponent(value, value - error, value + error, series.lambda_source)


def estimated_exponent(series: Series) -> Exponent:
    """The exponent estimated from the longest piece of the training part."""
    ends = np.cumsum(series.pieces)
    longest = int(np.argmax(series.pieces))
    piece = np.ascontiguousarray(series.train[ends[longest] - series.pieces[longest] : ends[longest]], dtype=float)
    try:
        found = cached_estimate(piece.tobytes(), piece.shape)
    except NoExponent as error:
        raise ConfigError(f"forcing/interval: {AUTO} cannot be computed: {error} {REMEDY}.") from error
    if not found.chaotic:
        raise ConfigError(
            f"forcing/interval: {AUTO} needs chaotic data, but the verdict is {found.verdict}: "
            f"{'; '.join(found.against)}. {REMEDY}."
        )
    source = f"estimated from {found.samples} samples, see lyapsweep suggest"
    return Exponent(found.exponent, found.low, found.high, source)


@lru_cache(maxsize=4)
def cached_estimate(values: bytes, shape: tuple[int, int]) -> Estimate:
    """One estimate per series and process: all members and packs share it."""
    return estimate(np.frombuffer(values).reshape(shape))
