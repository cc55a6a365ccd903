"""The largest Lyapunov exponent of a recorded series, its interval, and the evidence of chaos."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from lyapsweep.arrays import real_array
from lyapsweep.timeseries import embedding
from lyapsweep.timeseries.divergence import Curve, kantz, rosenstein
from lyapsweep.timeseries.embedding import Columns, Embedding
from lyapsweep.timeseries.free_run import FreeRun, interval, runs
from lyapsweep.timeseries.neighbours import Points
from lyapsweep.timeseries.preprocessing import cleaned, prepared
from lyapsweep.timeseries.scaling_region import ScalingRegion, line
from lyapsweep.timeseries.surrogates import SurrogateTest, surrogate_test
from lyapsweep.timeseries.tangents import TangentFit, choose_fit, jacobians, tangent_growth

FEWEST_PERIODS = 20  # mean periods
BLOCKS = 12  # of consecutive steps, the units of the bootstrap
RESAMPLES = 2000
MARGIN = 3.0  # nats, beyond those to the ceiling, that neighbours are followed
STRANGERS = 2.0  # nats below the ceiling: neighbours have parted
PREDICTED = 0.9  # of the best surrogate's error, that chaos stays below


@dataclass(frozen=True)
class Estimate:
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
        noise: Estimated observation noise, in standard deviations of the series.
        embedding: The delay embedding.
        fit: The local maps.
        curves: The divergence curves of Rosenstein and Kantz.
        lines: Their scaling regions; None for a curve without one.
        test: The surrogate test.
        against: Reasons not to speak of chaos; empty if there are none.
        notes: Further remarks for the reader.

    Example:
        >>> Estimate.__dataclass_fields__["exponent"].type
        <class 'float'>
    """

    exponent: float
    low: float
    high: float
    along: tuple[float, float, float]
    models: tuple[FreeRun, ...]
    samples: int
    columns: int
    noise: float
    embedding: Embedding
    fit: TangentFit
    curves: tuple[Curve, Curve]
    lines: tuple[ScalingRegion | None, ScalingRegion | None]
    test: SurrogateTest
    against: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def chaotic(self) -> bool:
        return not self.against

    @property
    def model(self) -> FreeRun | None:
        """The model whose exponent is reported; None if it is that of local maps."""
        return next((m for m in self.models if not m.refused), None)

    @property
    def predictability_time(self) -> float:
        """tau_pred = ln 2 / lambda_max in samples (Mikhaeil et al. 2022); NaN without evidence of chaos."""
        return math.log(2) / self.exponent if self.chaotic else math.nan


def estimate(
    values: Columns, seed: int = 0, tell: Callable[[str], None] = lambda what: None, names: tuple[str, ...] = ()
) -> Estimate:
    """Estimate the largest Lyapunov exponent of a recorded series.

    Fits local maps and smooth models, and computes two divergence curves and a surrogate test beside them. Takes about
    a minute for ten thousand samples.

    Args:
        values: The series, one row per time step, evenly spaced, shape (time, columns) or (time,); all columns together
            make the states. A frame of pandas gives their names.
        seed: Seed of surrogates, tangents and bootstraps; 0 by default.
        tell: Called with the name of each stage; by default nothing is reported.
        names: Names of the columns, for messages; by default their positions.

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
    clean, noise = cleaned(raw)
    found = embedding.choose(clean)
    states = found.states(clean)
    tell("tangent maps")
    fit = choose_fit(states, found.delay, found.theiler)
    along = growth(clean, found, fit, seed)
    tell("smooth models")
    models = runs(clean, found, along[0], (along[2] - along[1]) / 2, seed) if along[1] > 0 else ()
    trusted = [m for m in models if not m.refused]
    exponent, low, high = interval(trusted[0]) if trusted else along
    tell("divergence curves")
    horizon = followed_steps(along[0], found, states)
    curves = (rosenstein(states, found.theiler, horizon, found.flow), kantz(states, found.theiler, horizon, found.flow))
    lines = (line(curves[0], seed), line(curves[1], seed))
    tell("surrogates")
    test = surrogate_test(raw, found, seed)
    against = (*too_short(len(raw), found), *linear_explanation(test), *no_growth(min(low, along[1])))
    against = (*against, *no_scaling(curves[0], lines))
    notes = (*notes, *disagreements(curves, lines, exponent))
    return Estimate(
        exponent,
        low,
        high,
        along,
        models,
        len(raw),
        raw.shape[1],
        noise,
        found,
        fit,
        curves,
        lines,
        test,
        against,
        notes,
    )


def growth(columns: Columns, found: Embedding, fit: TangentFit, seed: int) -> tuple[float, float, float]:
    """(exponent, low, high): the bootstrap interval, widened by the spread over neighbouring choices."""
    steps = tangent_steps(found.states(columns), fit, seed)
    exponent = float(steps.mean())
    wider = embedding.delayed(columns, found.dimension + 1, found.delay)
    slower = TangentFit(max(1, fit.ahead // 2) if fit.degree == 1 else found.delay, fit.theiler, fit.degree)
    others = [tangent_steps(wider, fit, seed).mean(), tangent_steps(found.states(columns), slower, seed).mean()]
    spread = float(np.std([exponent, *others]))
    blocks = np.array([b.mean() for b in np.array_split(steps, BLOCKS)])
    drawn = np.random.default_rng(seed).integers(BLOCKS, size=(RESAMPLES, BLOCKS))
    low, high = np.percentile(blocks[drawn].mean(axis=1), [2.5, 97.5])
    return (
        exponent,
        exponent - math.hypot(exponent - low, 2 * spread),
        exponent + math.hypot(high - exponent, 2 * spread),
    )


def tangent_steps(states: Points, fit: TangentFit, seed: int) -> Float[np.ndarray, " steps"]:
    return tangent_growth(jacobians(states, fit)[0], fit.ahead, seed).mean(axis=1)


def followed_steps(exponent: float, found: Embedding, states: Points) -> int:
    """How many samples neighbours are followed: the time in which they should part, between two periods and n / 8."""
    start = rosenstein(states, found.theiler, 0, found.flow)
    wanted = (start.ceiling - start.mean[0] + MARGIN) / exponent if exponent > 0 else math.inf
    return int(np.clip(wanted, max(8, 2 * found.period), max(8, len(states) // 8)))


def too_short(samples: int, found: Embedding) -> tuple[str, ...]:
    """Neighbours must come from many visits to the same place."""
    periods = samples / found.period
    if periods >= FEWEST_PERIODS:
        return ()
    return (
        f"the series is too short: it holds {periods:.0f} mean periods of {found.period:.0f} samples, and "
        f"{FEWEST_PERIODS} are needed. Record longer, or sample less often",
    )


def linear_explanation(test: SurrogateTest) -> tuple[str, ...]:
    """A linear stochastic process explains the series, or nearly all of it."""
    best = min(test.surrogates)
    if test.rejected and test.error < PREDICTED * best:
        return ()
    return (
        f"its neighbours predict it no better than those of linear surrogates do "
        f"(error {test.error:.3g}, best surrogate {best:.3g}, p = {test.p_value:.2g})",
    )


def no_growth(low: float) -> tuple[str, ...]:
    return () if low > 0 else ("the interval of lambda_max reaches down to zero",)


def no_scaling(curve: Curve, lines: tuple[ScalingRegion | None, ScalingRegion | None]) -> tuple[str, ...]:
    """Neighbours of a periodic orbit stay neighbours; those of noise are unrelated at once."""
    if all(found is None or found.low <= 0 for found in lines):
        return ("neither divergence curve has a stretch that is straight and rises",)
    if curve.mean.max() < curve.ceiling - STRANGERS:
        gap = curve.ceiling - curve.mean.max()
        return (f"neighbours stay neighbours: they never part to within {STRANGERS} nats of strangers ({gap:.1f})",)
    return ()


def disagreements(
    curves: tuple[Curve, Curve], lines: tuple[ScalingRegion | None, ScalingRegion | None], exponent: float
) -> tuple[str, ...]:
    """Slopes that differ from the exponent by more than a quarter: curves bend under noise and uneven growth."""
    said = []
    for curve, found in zip(curves, lines):
        if found is None:
            said.append(f"{curve.name}'s curve has no straight stretch")
        elif abs(found.slope - exponent) > 0.25 * abs(exponent):
            said.append(f"{curve.name}'s curve disagrees: slope {found.slope / exponent:.2f} lambda_max")
    return tuple(said)
