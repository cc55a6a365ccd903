"""The forcing interval that a config leaves to its data: `forcing: {kind: sparse, interval: auto}`."""

import math
from functools import lru_cache
from typing import Any

import numpy as np

from lyapsweep.config import Config, ConfigError
from lyapsweep.datasets.series import Series
from lyapsweep.forcing import AUTO
from lyapsweep.timeseries import Estimate, NoExponent, estimate

REMEDY = "Give forcing/interval a number, or choose another forcing"


def forcing_settings(config: Config, series: Series | None) -> dict[str, Any]:
    """The keyword arguments of a config's forcing, `interval: auto` replaced by tau_pred of the series in samples."""
    settings = config.settings("forcing")
    return settings | {"interval": chosen(config, series)["interval"]} if settings.get("interval") == AUTO else settings


def told(config: Config, series: Series) -> dict[str, Any]:
    """What a record should say of an interval that its config does not hold: nothing where it does."""
    return {"forcing": chosen(config, series)} if config.forcing.get("interval") == AUTO else {}


def chosen(config: Config, series: Series | None) -> dict[str, Any]:
    """{interval, lambda_max (nats a sample), lambda_low, lambda_high, source}: tau_pred = ln 2 / lambda_max, rounded.

    lambda_max is what the data set knows, else the estimate from the training part. Raises `ConfigError` where there is
    no evidence of chaos, or where no window is long enough for the interval.
    """
    if series is None:
        raise ConfigError(f"forcing/interval: {AUTO} is found from a series, and there is none. {REMEDY}.")
    found = known(series) if series.lambda_max is not None else measured(series)
    interval = max(1, round(math.log(2) / found["lambda_max"]))
    if interval > config.windows.steps:
        raise ConfigError(
            f"forcing/interval: {AUTO} is {interval} for this series, but windows/length is {config.windows.length}: "
            f"no step inside a window would be forced. Lengthen windows/length or give forcing/interval a number."
        )
    return {"interval": interval, **found}


def known(series: Series) -> dict[str, Any]:
    value, error = series.lambda_max or 0.0, 2 * series.notes.get("lambda_stderr", 0.0)
    if value <= error:
        raise ConfigError(
            f"forcing/interval: {AUTO} needs chaotic data, but lambda_max = {value:.3g} ± {error / 2:.2g} a sample "
            f"({series.lambda_source}). {REMEDY}."
        )
    return {
        "lambda_max": value,
        "lambda_low": value - error,
        "lambda_high": value + error,
        "source": series.lambda_source,
    }


def measured(series: Series) -> dict[str, Any]:
    """From the longest piece of the training part."""
    ends = np.cumsum(series.pieces)
    longest = int(np.argmax(series.pieces))
    piece = np.ascontiguousarray(series.train[ends[longest] - series.pieces[longest] : ends[longest]], dtype=float)
    try:
        found = remembered(piece.tobytes(), piece.shape)
    except NoExponent as error:
        raise ConfigError(f"forcing/interval: {AUTO} cannot be found: {error} {REMEDY}.") from error
    if not found.chaotic:
        raise ConfigError(
            f"forcing/interval: {AUTO} needs chaotic data, but there is no evidence of chaos: "
            f"{'; '.join(found.against)}. {REMEDY}."
        )
    return {
        "lambda_max": found.exponent,
        "lambda_low": found.low,
        "lambda_high": found.high,
        "source": f"estimated from {found.samples} samples, see lyapsweep suggest",
    }


@lru_cache(maxsize=4)
def remembered(values: bytes, shape: tuple[int, int]) -> Estimate:
    """One estimate serves all members and packs of a process."""
    return estimate(np.frombuffer(values).reshape(shape))
