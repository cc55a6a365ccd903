"""The Kaplan-Yorke dimension of exponents with errors, and which of them count as zero."""

import math

import numpy as np
from jaxtyping import Bool, Float

ROUNDING = 1e-6  # nats per step that a zero exponent may be off by beyond its error
CLEAR = 10.0  # how many times farther from zero the next exponent must be
FLOW_ERRORS = 5.0  # half-widths that the zero exponent of a flow may be off by: its orbits share the bias of short runs
Exponents = Float[np.ndarray, " k"]


def kaplan_yorke(exponents: Exponents, otherwise: float) -> float:
    """Kaplan-Yorke dimension D = j + (lambda_1 + ... + lambda_j) / |lambda_{j+1}|, j the last partial sum >= 0.

    `exponents` (k,) are sorted, largest first. Returns `otherwise` if no partial sum is negative.
    """
    sums = np.cumsum(exponents)
    negative = np.flatnonzero(sums < 0)
    if negative.size == 0:
        return otherwise
    j = int(negative[0])
    return float(j + sums[j - 1] / abs(exponents[j])) if j else 0.0


def zeros(exponents: Exponents, half: Exponents, flow: bool) -> Bool[np.ndarray, " k"]:
    """Which exponents count as zero, so that the sign of rounding does not decide what follows from them.

    Of a flow the one nearest to zero, because an orbit that is not at rest has one: if it is within its error, or
    within five half-widths and a tenth of the next nearest. Of any map the leading ones within their errors of zero, if
    the next exponent is ten times farther from zero than these errors, as on a limit cycle or a torus.

    Args:
        exponents: Exponents, largest first.
        half: Half-widths of their 95 % intervals.
        flow: Whether the map is a flow.
    """
    size, reach = np.abs(exponents), half + ROUNDING
    near, found = size <= reach, np.zeros(len(exponents), bool)
    if flow:
        i, *others = np.argsort(size, kind="stable")
        clear = bool(others) and CLEAR * size[i] <= size[others[0]]
        found[i] = near[i] or (clear and size[i] <= FLOW_ERRORS * half[i] + ROUNDING)
    m = len(near) if near.all() else int(np.argmin(near))
    beyond = size[m] if m < len(near) else (math.inf if m == 1 else 0.0)
    if m and CLEAR * reach[:m].max() <= beyond:
        found[:m] = True
    return found


def dimension_interval(exponents: Exponents, half: Exponents, state: int, partial: bool) -> tuple[float, float]:
    """The dimensions of all exponents lowered, and of all raised, by their half-widths.

    D grows with every exponent, so that these bounds hold however the errors are correlated. A partial spectrum whose
    sum stays positive has at least as many dimensions as exponents, and at most as many as the state.
    """
    low, high = (np.sort(exponents + sign * half)[::-1] for sign in (-1, 1))
    return kaplan_yorke(low, float(len(low) if partial else state)), kaplan_yorke(high, float(state))
