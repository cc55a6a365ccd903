"""Values along one axis of a grid."""

import itertools
import math
from collections.abc import Sequence
from typing import Any

from lyapsweep.sweep.plan.definition import SweepError


def points(low: float, high: float, n: int) -> list[float]:
    """Return `n` evenly spaced values between `low` and `high`, both included.

    Args:
        low: First value.
        high: Last value, above `low`.
        n: Number of values, at least 2.

    Returns:
        The values, rounded to at most a hundredth of the step between them.

    Raises:
        SweepError: If `low >= high` or `n < 2`.

    Example:
        >>> points(0.5, 2, 4)
        [0.5, 1.0, 1.5, 2.0]
    """
    if n < 2 or not low < high:
        raise SweepError(f"points: low < high and n >= 2 must hold, but got (low={low}, high={high}, n={n}).")
    step = (high - low) / (n - 1)
    return [rounded(low + (high - low) * i / (n - 1), step) for i in range(n)]


def log_points(low: float, high: float, n: int) -> list[float]:
    """Return `n` values between `low` and `high`, both included, evenly spaced in their logarithms.

    Args:
        low: First value, above 0.
        high: Last value, above `low`.
        n: Number of values, at least 2.

    Returns:
        The values, rounded to at most a hundredth of the step between neighbours.

    Raises:
        SweepError: If `low <= 0`, `low >= high` or `n < 2`.

    Example:
        >>> log_points(1e-3, 10, 5)
        [0.001, 0.01, 0.1, 1.0, 10.0]
    """
    if n < 2 or not 0 < low < high:
        raise SweepError(f"log_points: 0 < low < high and n >= 2 must hold, but got (low={low}, high={high}, n={n}).")
    ratio = (high / low) ** (1 / (n - 1))
    return [rounded(value, value * min(1, ratio - 1)) for value in (low * ratio**i for i in range(n))]


def rounded(value: float, step: float) -> float:
    """`value` rounded to a hundredth of `step`."""
    return round(float(value), 2 - math.floor(math.log10(step)))


def numeric(values: Sequence[Any]) -> bool:
    """Whether all values of an axis are numbers."""
    return all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)


def logarithmic(values: Sequence[float]) -> bool:
    """Whether the ratios of consecutive positive values vary less than their differences."""
    ordered = sorted(values)
    if ordered[0] <= 0 or len(ordered) < 3:
        return False
    pairs = list(itertools.pairwise(ordered))
    ratios, differences = [b / a for a, b in pairs], [b - a for a, b in pairs]
    return max(ratios) / min(ratios) < max(differences) / min(differences)
