"""Orbits of one map that end on different attractors, told apart by their exponents."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from scipy.special import stdtrit

from lyapsweep.dynamics.errors import COUNTS, merged, modelled

COMPARED = 3  # leading exponents of each orbit
LEVEL = 0.01  # probability that orbits of one attractor are told apart, over all pairs and exponents
BOUNDARY = 5.0  # nats: what the first and the last state of an orbit add to its sum of log R_ii
SMALLEST = 1e-3  # nats per step by which attractors differ
MAX_DOF = 30  # beyond which tails of a short series are not trusted


@dataclass(frozen=True)
class Attractor:
    """The exponents of the orbits that end on one attractor, nats per step, largest first.

    Args:
        exponents: Exponents, shape (k,).
        stderr: Their standard errors, shape (k,).
        dof: Degrees of freedom of these, shape (k,).
        orbits: Number of orbits that end on it.

    Example:
        >>> Attractor(np.array([-0.03]), np.array([0.01]), np.array([9.0]), 3).to_dict()["orbits"]
        3
    """

    exponents: np.ndarray
    stderr: np.ndarray
    dof: np.ndarray
    orbits: int

    def to_dict(self) -> dict[str, Any]:
        """Plain Python values, for JSON."""
        return {
            "exponents_per_step": self.exponents.tolist(),
            "stderr_per_step": self.stderr.tolist(),
            "degrees_of_freedom": self.dof.tolist(),
            "orbits": self.orbits,
        }


def groups_of_orbits(series: Float[np.ndarray, "k orbits blocks"], steps: int) -> Int[np.ndarray, " orbits"]:
    """Label the orbits by attractor, 0 for that of the most orbits.

    Orbits are joined by complete linkage while the leading exponents of every two of them agree within their joint
    errors, which come from within each orbit, so that a difference between orbits does not widen them. The level is
    shared among all pairs and exponents (Bonferroni).

    Args:
        series: Means over blocks, of which the leading exponents are compared.
        steps: Counted steps per orbit.

    Example:
        >>> noise = np.random.default_rng(0).normal(size=(1, 5, 40))
        >>> noise[:, 3] += 10
        >>> groups_of_orbits(noise, 4000)
        array([0, 0, 0, 1, 0])
    """
    _, orbits, count = series.shape
    series = series[:COMPARED]
    if orbits == 1 or count < 2 or np.isnan(series).any():
        return np.zeros(orbits, int)
    from scipy.cluster.hierarchy import fcluster, linkage  # 0.3 s that a single orbit need not wait
    from scipy.spatial.distance import squareform

    finite = np.asarray(np.isfinite(series).all(axis=2))
    blocks = merged(np.where(np.isfinite(series), series, 0.0), min(count, COUNTS[0]))
    errors, _ = modelled(blocks.reshape(-1, 1, blocks.shape[2]))
    stderr, dof = (values.reshape(finite.shape) for values in errors)
    mean = blocks.mean(axis=2)
    i, j = np.triu_indices(orbits, 1)
    quantile = stdtrit(np.minimum(np.minimum(dof[:, i], dof[:, j]), MAX_DOF), 1 - LEVEL / (2 * len(i) * len(series)))
    reach = np.maximum(quantile * np.hypot(stderr[:, i], stderr[:, j]), max(SMALLEST, BOUNDARY / steps))
    distance = np.where(finite[:, i] & finite[:, j], np.abs(mean[:, i] - mean[:, j]) / reach, 0.0).max(axis=0)
    square = np.zeros((orbits, orbits))
    square[i, j] = square[j, i] = distance
    found = fcluster(linkage(squareform(square), "complete"), 1.0, "distance") - 1
    largest_first = np.argsort(-np.bincount(found), kind="stable")
    return np.argsort(largest_first)[found]
