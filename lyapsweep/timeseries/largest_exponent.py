"""The largest Lyapunov exponent of a recorded series, its interval, and the evidence of chaos."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits

from lyapsweep.arrays import real_array
from lyapsweep.timeseries import embedding
from lyapsweep.timeseries.along_series import growth
from lyapsweep.timeseries.coordinates import NoExponent
from lyapsweep.timeseries.divergence import Curve, kantz, rosenstein
from lyapsweep.timeseries.embedding import AUTOMATIC, Choices, Columns, Embedding
from lyapsweep.timeseries.evidence import (
    decisive,
    disagreements,
    linear_explanation,
    no_growth,
    no_scaling,
    too_short,
    verdict,
)
from lyapsweep.timeseries.free_run import FreeRun, interval, runs
from lyapsweep.timeseries.neighbours import Points
from lyapsweep.timeseries.noise_bias import Reported, noise_bias
from lyapsweep.timeseries.preprocessing import NOISE, cleaned, prepared
from lyapsweep.timeseries.scaling_region import ScalingRegion, line
from lyapsweep.timeseries.surrogates import SurrogateTest, surrogate_test
from lyapsweep.timeseries.tangents import TangentFit, choose_fit

MARGIN = 3.0  # nats, beyond those to the ceiling, that neighbours are followed
SPANNED = 4  # of a series that a state and its Theiler window may span: a quarter


@dataclass(frozen=True)
class Growth:
    """The exponent part of an estimate, in nats per sample; the fields are those of `Estimate`."""

    exponent: float
    low: float
    high: float
    along: tuple[float, float, float]
    models: tuple[FreeRun, ...]
    bias: float
    fit: TangentFit

    @property
    def model(self) -> FreeRun | None:
        """The model whose exponent is reported; None if it is that of local maps."""
        return next((m for m in self.models if not m.refused), None)


@dataclass(frozen=True)
class Estimate(Growth):
    """The largest exponent of a series and what it is based on; exponents in nats per sample.

    Args:
        exponent: That of a smooth model running freely if one of `models` is accepted, else that of `along`.
        low: Lower end of its interval.
        high: Upper end of its interval.
        along: (exponent, low, high) of local maps along the series: the 95 % interval of a bootstrap over blocks of the
            orbit
            and the spread over neighbouring embeddings and time steps, in quadrature.
        models: Smooth models that were tried.
        samples: Number of samples used.
        columns: Number of columns used.
        noise: Estimated white observation noise, at most, in standard deviations of the series.
        bias: How much the exponent changes if the same noise is added once more; part of the interval.
        embedding: The delay embedding.
        fit: The local maps.
        curves: The divergence curves of Rosenstein and Kantz.
        lines: Their scaling regions; None for a curve without one.
        test: The surrogate test.
        against: Reasons not to speak of chaos; empty if there are none.
        undecided: Whether these reasons leave open if the series is chaotic.
        notes: Further remarks for the reader.

    Example:
        >>> Estimate.__dataclass_fields__["exponent"].type
        <class 'float'>
    """

    samples: int
    columns: int
    noise: float
    embedding: Embedding
    curves: tuple[Curve, Curve]
    lines: tuple[ScalingRegion | None, ScalingRegion | None]
    test: SurrogateTest
    against: tuple[str, ...]
    undecided: bool
    notes: tuple[str, ...]

    @property
    def verdict(self) -> str:
        """`chaotic`, `no evidence of chaos`, or `cannot tell`."""
        return verdict(self.against, self.undecided)

    @property
    def chaotic(self) -> bool:
        return not self.against

    @property
    def predictability_time(self) -> float:
        """tau_pred = ln 2 / lambda_max in samples (Mikhaeil et al. 2022); NaN without evidence of chaos."""
        return math.log(2) / self.exponent if self.chaotic else math.nan


@threadpool_limits.wrap(limits=1)  # the estimate must not depend on the number of cores; and it is faster so
def estimate(
    values: Columns,
    seed: int = 0,
    tell: Callable[[str], None] = lambda what: None,
    names: tuple[str, ...] = (),
    choices: Choices = AUTOMATIC,
) -> Estimate:
    """Estimate the largest Lyapunov exponent of a recorded series.

    Fits local maps and smooth models, and computes two divergence curves and a surrogate test beside them. Takes about
    ten seconds for 8000 samples of three columns.

    Args:
        values: The series, one row per time step, evenly spaced, shape (time, columns) or (time,); all columns together
            make the states. A frame of pandas gives their names.
        seed: Seed of surrogates, tangents and bootstraps; 0 by default.
        tell: Called with the name of each stage; by default nothing is reported.
        names: Names of the columns, for messages; by default their positions.
        choices: Delay, dimension, Theiler window and smoothing that are given; by default all are found.

    Returns:
        The estimate.

    Raises:
        NoExponent: If the series is too short, constant or not finite.
        BadArray: If it holds no real numbers.

    Example:
        >>> estimate(np.zeros((10, 1)))
        Traceback (most recent call last):
        lyapsweep.timeseries.coordinates.NoExponent: 500 samples are needed to see neighbours part, but there are 10.
            ...
    """
    names = names or tuple(str(name) for name in getattr(values, "columns", ()))
    values = real_array(values, "values")
    values = values.reshape(len(values), -1) if values.ndim == 1 else values
    names = names or tuple(str(c) for c in range(values.shape[-1]))
    raw, notes = prepared(values, names)
    tell("embedding")
    clean, noise = cleaned(raw, choices)
    found = embedding.choose(clean, choices)
    states = enough(found, clean)
    grown = measured(raw, clean, noise, found, choices, seed, tell)
    tell("divergence curves")
    horizon = followed_steps(grown.along[0], found, states)
    curves = (rosenstein(states, found.theiler, horizon, found.flow), kantz(states, found.theiler, horizon, found.flow))
    lines = (line(curves[0], seed), line(curves[1], seed))
    tell("surrogates")
    test = surrogate_test(raw, found, seed)
    linear, flat = linear_explanation(test), no_growth(grown.low, grown.along, grown.model)
    decided = decisive(linear, flat, grown.exponent, len(raw))
    against = (*linear, *flat, *too_short(len(raw), found), *no_scaling(curves[0], lines))
    return Estimate(
        **vars(grown),
        samples=len(raw),
        columns=raw.shape[1],
        noise=noise,
        embedding=found,
        curves=curves,
        lines=lines,
        test=test,
        against=against,
        undecided=bool(against) and not decided,
        notes=notes if decided else (*notes, *disagreements(curves, lines, grown.exponent)),
    )


def enough(found: Embedding, columns: Columns) -> Points:
    """The states; raises `NoExponent` if too few are outside of each other's windows."""
    if found.window + found.theiler >= len(columns) // SPANNED:
        raise NoExponent(
            f"delay and dimension span {found.window} samples and the Theiler window {found.theiler}, too much of "
            f"{len(columns)} samples. Choose them smaller."
        )
    return found.states(columns)


def measured(
    raw: Columns,
    clean: Columns,
    noise: float,
    found: Embedding,
    choices: Choices,
    seed: int,
    tell: Callable[[str], None],
) -> Growth:
    """The exponent by local maps and by smooth models, and what noise does to it."""
    tell("tangent maps")
    fit, noisy = choose_fit(found.states(clean), found.delay, found.theiler), noise > NOISE
    along = growth(clean, found, fit, noisy, seed)
    tell("smooth models")
    models = runs(clean, found, along[0], (along[2] - along[1]) / 2, seed) if along[0] > 0 else ()
    model = next((m for m in models if not m.refused), None)
    exponent, low, high = interval(model) if model else along
    bias = 0.0
    if noisy and exponent > 0:
        tell("bias by noise")
        bias = noise_bias(raw, noise, Reported(found, fit, along, model), choices, seed)
    return Growth(exponent, low - bias, high + bias, along, models, bias, fit)


def followed_steps(exponent: float, found: Embedding, states: Points) -> int:
    """How many samples neighbours are followed: the time in which they should part, between two periods and n / 8."""
    start = rosenstein(states, found.theiler, 0, found.flow)
    wanted = (start.ceiling - start.mean[0] + MARGIN) / exponent if exponent > 0 else math.inf
    return int(np.clip(wanted, max(8, 2 * found.period), max(8, len(states) // 8)))
