"""From recorded columns to states: delay, dimension, and the time within which samples belong to one orbit segment."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from lyapsweep.timeseries.neighbours import NONE, Points, nearest
from lyapsweep.timeseries.tangents import next_error

Columns = Float[np.ndarray, "time columns"]

FALSE = 0.002  # the share of false neighbours below which a dimension is enough
PLATEAU = 0.03  # of neighbours: below, a value more has to halve the share of false ones
FALSE_RATIO, FALSE_SIZE = 10.0, 2.0  # Kennel's R_tol and A_tol
MOST_COORDINATES = 12
BETTER = 0.9  # of the error without delayed values, that the one with them stays below
GIVEN = "given"
SAMPLED_FLOW = 6.0  # samples a mean period, from which on neighbouring samples are neighbouring states of a flow


@dataclass(frozen=True)
class Embedding:
    """How states are made: `dimension` values of each column, `delay` samples apart, with the reasons for both.

    `theiler` is the time, in samples, within which two states count as one orbit segment; `period` the mean period;
    `flow` whether successive samples are neighbouring states. `false_neighbours` are Kennel's shares by dimension from
    1.
    """

    delay: int
    dimension: int
    theiler: int
    period: float
    flow: bool
    false_neighbours: tuple[float, ...]
    delay_reason: str
    dimension_reason: str

    @property
    def window(self) -> int:
        """Samples between the first and the last value of one state."""
        return (self.dimension - 1) * self.delay

    def states(self, columns: Columns) -> Points:
        return delayed(columns, self.dimension, self.delay)


@dataclass(frozen=True)
class Choices:
    """What a user fixes of an estimate, to redo a published curve; None leaves it to the data.

    Args:
        delay: Samples between the values of a state.
        dimension: Values of each column in a state.
        theiler: Samples within which two states count as one orbit segment.
        smoothing: Samples of a cubic Savitzky-Golay filter that replaces noise reduction; 0 leaves the data alone.

    Example:
        >>> Choices(delay=3).dimension is None
        True
    """

    delay: int | None = None
    dimension: int | None = None
    theiler: int | None = None
    smoothing: int | None = None


AUTOMATIC = Choices()


def delayed(columns: Columns, dimension: int, delay: int) -> Points:
    """x(t), x(t + delay), ..., of all columns side by side: (time - (dimension - 1) delay, dimension * columns)."""
    rows = len(columns) - (dimension - 1) * delay
    return np.concatenate([columns[k * delay : k * delay + rows] for k in range(dimension)], axis=1)


def mean_period(columns: Columns) -> float:
    """One over the mean frequency of the power spectrum, in samples, all columns together (Rosenstein et al. 1993)."""
    tapered = (columns - columns.mean(axis=0)) * np.hanning(len(columns))[:, None]
    power = np.square(np.abs(np.fft.rfft(tapered, axis=0))).sum(axis=1)[1:]
    frequency = np.fft.rfftfreq(len(columns))[1:]
    return float(power.sum() / (power * frequency).sum())


def autocorrelation_time(column: Float[np.ndarray, " time"]) -> int:
    """The first lag at which the autocorrelation is below 1/e; at least 1."""
    x = column - column.mean()
    power = np.square(np.abs(np.fft.rfft(x, 2 * len(x))))
    correlation = np.fft.irfft(power)[: len(x)]
    below = np.flatnonzero(correlation < correlation[0] / np.e)
    return max(1, int(below[0])) if len(below) else len(x)


def mutual_information(column: Float[np.ndarray, " time"], most: int) -> Float[np.ndarray, " lags"]:
    """I(x_t; x_{t+lag}) in nats at lags 1 ... most, over cells of equal mass (Fraser and Swinney 1986).

    N^(1/3) cells per side, at most 32.
    """
    cells = int(min(32, max(4, round(len(column) ** (1 / 3)))))
    rank = np.argsort(np.argsort(column, kind="stable"), kind="stable") * cells // len(column)
    information = np.empty(most)
    for lag in range(1, most + 1):
        counts = np.bincount(rank[:-lag] * cells + rank[lag:], minlength=cells**2).reshape(cells, cells)
        joint = counts / counts.sum()
        apart = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0, keepdims=True)
        filled = joint > 0
        information[lag - 1] = (joint[filled] * np.log(joint[filled] / apart[filled])).sum()
    return information


def choose_delay(columns: Columns, flow: bool, period: float) -> tuple[int, str]:
    """The first minimum of the mutual information, median over columns; 1 for a map."""
    if not flow:
        return 1, "successive samples are not neighbouring states: a map's"
    most, delays, missed = int(min(len(columns) // 10, max(10, np.ceil(period)))), [], 0
    for column in columns.T:
        information = np.convolve(mutual_information(column, most + 1), np.ones(3) / 3, "valid")
        rises = np.flatnonzero(np.diff(information) > 0)
        missed += not len(rises)
        delays.append(rises[0] + 2 if len(rises) else min(most, autocorrelation_time(column)))
    reason = "first minimum of the mutual information"
    if missed:
        reason += f" (autocorrelation below 1/e for {missed} of {columns.shape[1]} columns, which have none)"
    return int(np.median(delays)), reason


def false_neighbours(columns: Columns, dimension: int, delay: int, theiler: int) -> float:
    """The share of nearest neighbours in `dimension` that the next delay separates (Kennel et al. 1992).

    A neighbour at distance d is false if the next values differ by e with e / d > 10, or sqrt(d^2 + e^2) > 2 standard
    deviations of all columns together.
    """
    points = delayed(columns, dimension + 1, delay)
    near, ahead = points[:, : -columns.shape[1]], points[:, -columns.shape[1] :]
    j = nearest(near, 1, theiler)[:, 0]
    i, j = np.flatnonzero(j != NONE), j[j != NONE]
    if not len(i):
        return 1.0
    d, e = (np.linalg.norm(x[i] - x[j], axis=1) for x in (near, ahead))
    size = FALSE_SIZE * np.sqrt(columns.var(axis=0).sum())
    return float(((e > FALSE_RATIO * d) | (np.hypot(d, e) > size)).mean())


def choose_dimension(columns: Columns, delay: int, theiler: int) -> tuple[int, tuple[float, ...], str]:
    """The first dimension with a share of false neighbours below FALSE, or that stops decreasing; else the best one.

    Where orbits are strongly stretched (Roessler's spikes), true neighbours keep looking false at any dimension; a
    dimension more than needed makes local maps worse.
    """
    shares: list[float] = []
    most = max(2, MOST_COORDINATES // columns.shape[1])
    for dimension in range(1, most + 1):
        shares.append(false_neighbours(columns, dimension, delay, theiler))
        if shares[-1] < FALSE:
            return dimension, tuple(shares), f"first with under {FALSE:.1%} false neighbours"
        if len(shares) > 1 and shares[-2] < PLATEAU and shares[-1] > shares[-2] / 2:
            return dimension - 1, tuple(shares), f"{shares[-2]:.1%} false neighbours, and no fewer with a value more"
    best = int(np.argmin(shares)) + 1
    return best, tuple(shares), f"fewest false neighbours ({min(shares):.0%}) of 1 to {most}"


def improves(columns: Columns, dimension: int, delay: int, theiler: int) -> bool:
    """Whether delayed values improve the prediction of the next sample: columns may be a complete state as they are."""
    alone, embedded = (
        next_error(delayed(columns, E, delay), columns.shape[1], max(theiler, (E - 1) * delay)) for E in (1, dimension)
    )
    return embedded < BETTER * alone


def choose(columns: Columns, choices: Choices = AUTOMATIC) -> Embedding:
    """Delay, dimension and Theiler window of standardised columns."""
    period = mean_period(columns)
    flow = period >= SAMPLED_FLOW
    delay, why_delay = choose_delay(columns, flow, period)
    if choices.delay is not None:
        delay, why_delay = choices.delay, GIVEN
    theiler = int(np.clip(np.ceil(period), delay, len(columns) // 20)) if choices.theiler is None else choices.theiler
    if choices.dimension is None:
        dimension, shares, why_dimension = choose_dimension(columns, delay, theiler)
        if columns.shape[1] > 1 and dimension > 1 and not improves(columns, dimension, delay, theiler):
            dimension, why_dimension = 1, f"{dimension} values of each column predict the next sample no better"
    else:
        dimension, shares, why_dimension = choices.dimension, (), GIVEN
    if choices.theiler is None:
        theiler = max(theiler, (dimension - 1) * delay)
    return Embedding(delay, dimension, theiler, period, flow, shares, why_delay, why_dimension)
