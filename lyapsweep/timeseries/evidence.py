"""Reasons not to call a series chaotic, and whether they decide."""

from lyapsweep.timeseries.divergence import Curve
from lyapsweep.timeseries.embedding import Embedding
from lyapsweep.timeseries.free_run import ACCURATE, FreeRun
from lyapsweep.timeseries.scaling_region import ScalingRegion
from lyapsweep.timeseries.surrogates import SurrogateTest

FEWEST_PERIODS = 20  # mean periods
STRANGERS = 2.0  # nats below the ceiling: neighbours have parted
ROOM = 1.0  # nats between neighbours and strangers, below which there is nothing to part
PREDICTED = 0.9  # of the best surrogate's error, that chaos stays below
GROWN = 40.0  # nats over the whole series, which an exponent that is uncertain but not small amounts to
RESOLVED = 10.0  # nats that a tangent vector grows by along one orbit of a model
DISAGREES = 0.25  # of the exponent, that the slope of a curve may differ

Lines = tuple[ScalingRegion | None, ScalingRegion | None]


def verdict(against: tuple[str, ...], undecided: bool) -> str:
    """Return `chaotic`, `no evidence of chaos`, or `cannot tell`.

    Args:
        against: Reasons not to call a series chaotic.
        undecided: Whether they leave open if it is.

    Returns:
        The verdict.

    Example:
        >>> verdict((), False), verdict(("too short",), True)
        ('chaotic', 'cannot tell')
    """
    if not against:
        return "chaotic"
    return "cannot tell" if undecided else "no evidence of chaos"


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


def no_growth(low: float, along: tuple[float, float, float], model: FreeRun | None) -> tuple[str, ...]:
    """An accurate model decides alone; else local maps along the series must grow as well."""
    if model is not None and model.free * model.counted < RESOLVED:
        return (f"distances grow by {model.free * model.counted:.1f} nats in {model.counted} samples of a free run",)
    alone = model is not None and model.fitted.error < ACCURATE
    return () if min(low, low if alone else along[1]) > 0 else ("the interval of lambda_max reaches down to zero",)


def decisive(linear: tuple[str, ...], flat: tuple[str, ...], exponent: float, samples: int) -> bool:
    """Whether the reasons speak against chaos: a linear process explains the series, or nothing grows.

    An interval that reaches zero because it is wide decides nothing.
    """
    return bool(linear) or (bool(flat) and exponent * samples < GROWN)


def no_scaling(curve: Curve, lines: Lines) -> tuple[str, ...]:
    """Neighbours of a periodic orbit stay neighbours; those of noise are unrelated at once."""
    if all(found is None or found.low <= 0 for found in lines):
        return ("neither divergence curve has a stretch that is straight and rises",)
    room, gap = curve.ceiling - curve.mean[0], curve.ceiling - curve.mean.max()
    if room < ROOM:
        return (f"neighbours are hardly nearer than strangers on the same orbit are ({room:.1f} nats)",)
    if gap > min(STRANGERS, room / 2):
        return (f"neighbours stay neighbours: they never part to within {STRANGERS} nats of strangers ({gap:.1f})",)
    return ()


def disagreements(curves: tuple[Curve, Curve], lines: Lines, exponent: float) -> tuple[str, ...]:
    """Slopes that differ from the exponent by more than a quarter: curves bend under noise and uneven growth."""
    said = []
    for curve, found in zip(curves, lines):
        if found is None:
            said.append(f"{curve.name}'s curve has no straight stretch")
        elif abs(found.slope - exponent) > DISAGREES * abs(exponent):
            said.append(f"{curve.name}'s curve disagrees: slope {found.slope / exponent:.2f} lambda_max")
    return tuple(said)
