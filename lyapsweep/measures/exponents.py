"""Exponents as objectives: the largest one, and how far those of a network are from those of the data."""

import numpy as np

from lyapsweep.measures.evidence import Evidence
from lyapsweep.measures.measure import Measure, Undefined


def lambda_max(evidence: Evidence) -> float:
    """Largest Lyapunov exponent of the network, in nats per step: the larger, the more chaotic. Worst: -100.

    The headline spectrum: of the free run of a series, or of runs driven by the held-out inputs. A network whose orbits
    escape to infinity has the worst value.

    Args:
        evidence: Uses `exponents`.

    Returns:
        lambda_1.

    Example:
        >>> lambda_max(Evidence(exponents=np.array([0.5, -1.0])))
        0.5
    """
    if not evidence.exponents.size:
        raise Undefined("no exponents were measured, as on the test part")
    return float(evidence.exponents[0])


def lambda_max_error(evidence: Evidence) -> float:
    """Distance of the network's largest Lyapunov exponent to that of the data, |lambda_1 - lambda_max|, nats per step.

    Worst: 100. Undefined where the data's is unknown (`dataset/lambda_max`).

    Args:
        evidence: Uses `exponents` and `lambda_max`.

    Returns:
        The distance; 0 is best.

    Example:
        >>> lambda_max_error(Evidence(exponents=np.array([0.5, -1.0]), lambda_max=0.75))
        0.25
    """
    if evidence.lambda_max is None:
        raise Undefined("the data's largest exponent is unknown")
    return abs(lambda_max(evidence) - evidence.lambda_max)


def spectrum_distance(evidence: Evidence) -> float:
    """Mean distance of the network's leading Lyapunov exponents to those of the data that are known, nats per step.

    mean_i |lambda_i - mu_i| over the known mu_1 ... mu_k, largest first. Worst: 100, also where a direction is
    annihilated (-inf). Undefined where no mu is known, or the network has fewer than k exponents.

    Args:
        evidence: Uses `exponents` and `known_exponents`.

    Returns:
        The distance; 0 is best.

    Example:
        >>> spectrum_distance(Evidence(exponents=np.array([0.5, -1.0, -2.0]), known_exponents=(0.25, -1.0)))
        0.125
    """
    known, found = np.array(evidence.known_exponents), evidence.exponents
    if not known.size or found.size < known.size:
        raise Undefined("the data's exponents are unknown, or more than the network's")
    return float(np.abs(found[: known.size] - known).mean())


LAMBDA_MAX = Measure(
    "lambda_max",
    lambda_max,
    "maximise",
    worst=-100.0,
    unit="nats per step",
    title="λ_max",
    has_floor=False,
    data=("series", "task"),
)
LAMBDA_MAX_ERROR = Measure(
    "lambda_max_error",
    lambda_max_error,
    "minimise",
    worst=100.0,
    unit="nats per step",
    title="|λ_max − that of the data|",
    has_floor=False,
)
SPECTRUM_DISTANCE = Measure(
    "spectrum_distance",
    spectrum_distance,
    "minimise",
    worst=100.0,
    unit="nats per step",
    title="Distance to the data's exponents",
    has_floor=False,
)
