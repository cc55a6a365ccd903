"""The forcing intervals that a recorded series or a known system asks for."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from lyapsweep import systems
from lyapsweep.datasets.recording import Reading, read_recording
from lyapsweep.dynamics import Spectrum
from lyapsweep.exponents import system_spectrum
from lyapsweep.timeseries import AUTOMATIC, Choices, Estimate, NoExponent, estimate, verdict

SYSTEM_STEPS = 8000  # per orbit: flows move little in one step
RANGE = (0.25, 2.0)  # in units of tau_pred, worth sweeping


@dataclass(frozen=True)
class Suggestion:
    """Forcing intervals for data with a largest exponent of `exponent` nats per sample.

    tau_pred = ln 2 / lambda_max (Mikhaeil et al. 2022); intervals from 0.25 to 2 tau_pred are worth sweeping.

    Args:
        exponent: lambda_max, nats per sample.
        low: Lower end of its 95 % interval.
        high: Upper end.
        dt: Time between samples.
        against: Reasons not to call the data chaotic.
        notes: Further remarks.
        undecided: Whether the reasons leave open if the data are chaotic.

    Example:
        >>> found = Suggestion(exponent=0.05, low=0.04, high=0.06, dt=1.0)
        >>> round(found.predictability_time, 1), found.intervals
        (13.9, (3, 28))
    """

    exponent: float
    low: float
    high: float
    dt: float
    against: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    undecided: bool = False

    @property
    def verdict(self) -> str:
        """`chaotic`, `no evidence of chaos`, or `cannot tell`."""
        return verdict(self.against, self.undecided)

    @property
    def chaotic(self) -> bool:
        """Whether nothing speaks against chaos."""
        return not self.against

    @property
    def predictability_time(self) -> float:
        """tau_pred in samples; NaN without evidence of chaos."""
        return math.log(2) / self.exponent if self.chaotic else math.nan

    @property
    def intervals(self) -> tuple[int, int] | None:
        """The shortest and the longest interval worth sweeping, in samples; None without evidence of chaos."""
        if not self.chaotic:
            return None
        low, high = (max(1, round(factor * self.predictability_time)) for factor in RANGE)
        return low, high


@dataclass(frozen=True)
class SeriesSuggestion:
    """A suggestion from a recorded series, the estimate it is based on, and the names of the used columns."""

    suggestion: Suggestion
    estimate: Estimate
    columns: tuple[str, ...]


@dataclass(frozen=True)
class SystemSuggestion:
    """A suggestion from a system's equations, and the spectrum it is based on."""

    suggestion: Suggestion
    spectrum: Spectrum


def suggest_for_series(
    path: str,
    columns: list[str | int] | None = None,
    dt: float | None = None,
    seed: int = 0,
    progress: Callable[[str], None] = lambda stage: None,
    skip: int = 0,
    reading: Reading | None = None,
    choices: Choices = AUTOMATIC,
) -> SeriesSuggestion:
    """Estimate the largest exponent of a recorded series and suggest forcing intervals.

    Args:
        path: A file with one row per time step, evenly spaced.
        columns: Names or positions of the columns that make the state; None uses all but clocks.
        dt: Time between samples; None reads it off a time column, else 1.
        seed: Seed of surrogates and bootstraps.
        progress: Called with the name of each stage.
        skip: Number of leading rows that are dropped.
        reading: How the columns of the file are understood.
        choices: Delay, dimension, Theiler window and smoothing that are given; by default all are found.

    Returns:
        The suggestion and the estimate.

    Raises:
        BadSeries: If the file cannot be read.
        NoExponent: If the series allows no estimate; the message begins with the path.
    """
    recording = read_recording(path, columns, None, dt, skip, reading)
    try:
        found = estimate(recording.values, seed, progress, recording.names, choices)
    except NoExponent as error:
        raise NoExponent(f"{path}: {error}") from error
    notes = (*recording.remarks, *found.notes)
    suggestion = Suggestion(found.exponent, found.low, found.high, recording.dt, found.against, notes, found.undecided)
    return SeriesSuggestion(suggestion, found, recording.names)


def suggest_for_system(
    name: str, parameters: Mapping[str, Any] | None = None, dt: float | None = None, seed: int = 0
) -> SystemSuggestion:
    """Compute the largest exponent of a system from its equations and suggest forcing intervals.

    Args:
        name: The name of the system.
        parameters: Its parameters where they differ from the defaults.
        dt: Time step of a flow; None uses the system's own.
        seed: Seed of the orbits.

    Returns:
        The suggestion and the spectrum.

    Raises:
        UnknownName: If there is no such system.
        NoExponent: If an orbit diverges.
    """
    spectrum = system_spectrum(systems.build(name, dt, **(parameters or {})), steps=SYSTEM_STEPS, k=1, seed=seed)
    if not spectrum.finite:
        raise NoExponent(f"{name}: the orbit left the finite numbers, so it has no exponents. Change its parameters.")
    error = float(spectrum.half_width[0])
    against = () if spectrum.chaotic else ("the 95 % interval of the largest exponent is not above zero",)
    exponent = spectrum.maximum
    return SystemSuggestion(
        Suggestion(exponent, exponent - error, exponent + error, spectrum.dt or 1.0, against), spectrum
    )
