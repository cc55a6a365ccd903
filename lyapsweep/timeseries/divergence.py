"""Divergence of neighbouring orbits: the curves of Rosenstein et al. (1993) and of Kantz (1994), across the flow."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from lyapsweep.timeseries.neighbours import NONE, Points, nearest

Pairs = Int[np.ndarray, "references neighbours"]

NEIGHBOURS = 10  # of a reference point of Kantz's curve
REFERENCES = 1000  # of Kantz's curve, at most
STRANGERS = 300  # unrelated pairs
BLOCKS = 40  # of reference points in sequence, the units of the bootstrap
SMALLEST = 1e-12  # standard deviations: closer than rounding


@dataclass(frozen=True)
class Curve:
    """S(k), k = 0 ... horizon: mean log distance of neighbours k samples later, for each block of reference points.

    `blocks` (blocks, horizon + 1), `weights` (blocks,) the references in each. `ceiling` is the same mean over
    unrelated pairs, where curves end.
    """

    name: str
    blocks: Float[np.ndarray, "blocks lags"]
    weights: Float[np.ndarray, " blocks"]
    ceiling: float

    @property
    def mean(self) -> Float[np.ndarray, " lags"]:
        return self.weights @ self.blocks / self.weights.sum()


def rosenstein(states: Points, theiler: int, horizon: int, flow: bool) -> Curve:
    """S(k) = < log d(i, j; k) > over points i and their nearest neighbours j (Rosenstein et al. 1993)."""
    i, j = references(states, 1, theiler, horizon)
    logs = (np.log(d[:, 0]) for d in distances(states, i, j, horizon, flow, theiler))
    return curve("Rosenstein", logs, i, len(states), ceiling(states, theiler, flow))


def kantz(states: Points, theiler: int, horizon: int, flow: bool) -> Curve:
    """S(k) = < log < d(i, j; k) >_j > over points i, the inner mean over their 10 nearest neighbours j (Kantz 1994).

    A fixed number of neighbours instead of a fixed radius weights all parts of the attractor alike.
    """
    i, j = references(states, NEIGHBOURS, theiler, horizon, REFERENCES)
    logs = (np.log(d.mean(axis=1)) for d in distances(states, i, j, horizon, flow, theiler))
    return curve("Kantz", logs, i, len(states), ceiling(states, theiler, flow))


def references(
    states: Points, k: int, theiler: int, horizon: int, most: int | None = None
) -> tuple[Int[np.ndarray, " references"], Pairs]:
    """Reference points, at most `most`, with k neighbours, all of them followed for `horizon` samples."""
    last = len(states) - horizon
    i = np.unique(np.linspace(0, last - 1, min(most or last, last)).astype(int))
    j = nearest(states, k, theiler, last, of=i)
    whole = (j != NONE).all(axis=1)
    return i[whole], j[whole]


def distances(
    states: Points, i: Int[np.ndarray, " references"], j: Pairs, horizon: int, flow: bool, theiler: int
) -> Iterator[Float[np.ndarray, "references neighbours"]]:
    """Distances of every pair at lags 0 ... horizon: of states, or for a flow from one state to the other's path.

    Two orbits of a flow differ in place and in time: a displacement along the flow stays constant (its exponent is
    zero) and hides the growth of the rest. So the neighbour's time is shifted, sample by sample as the two drift apart,
    to the nearest point of its path, and the component along the velocity is removed. Times stay more than `theiler`
    apart, so that no neighbour walks onto the point itself.
    """
    if not flow:
        for k in range(horizon + 1):
            yield floored(np.linalg.norm(states[j + k] - states[i + k, None], axis=2))
        return
    velocity = np.gradient(states, axis=0)
    speed = np.maximum(np.square(velocity).sum(axis=1), SMALLEST**2)
    shift = np.zeros_like(j)
    for k in range(horizon + 1):
        here, v, vv = states[i + k, None], velocity[i + k, None], speed[i + k, None]
        apart = states[inside(j + k + shift, states)] - here
        moved = shift - np.clip(np.rint((apart * v).sum(axis=2) / vv), -1, 1).astype(int)
        shift = np.where(np.abs(j + moved - i[:, None]) > theiler, moved, shift)
        apart = states[inside(j + k + shift, states)] - here
        along = np.clip((apart * v).sum(axis=2) / vv, -1, 1)  # in samples; more than one is another place, not a time
        yield floored(np.sqrt(np.maximum(np.square(apart).sum(axis=2) - along**2 * vv, 0)))


def inside(j: Pairs, states: Points) -> Pairs:
    return np.clip(j, 0, len(states) - 1)


def floored(distance: np.ndarray) -> np.ndarray:
    return np.maximum(distance, SMALLEST)


def ceiling(states: Points, theiler: int, flow: bool) -> float:
    """< log d > of unrelated states: pairs half the series apart, and a third.

    Strangers of a flow differ by a phase that neighbours do not. They are therefore followed, and brought abreast as
    neighbours are, for one Theiler window before their distance counts for another.
    """
    i = np.unique(np.linspace(0, len(states) // 3, STRANGERS).astype(int))
    j = np.stack([i + len(states) // 2, i + len(states) // 3], axis=1)
    lags = 2 * theiler if flow else 0
    logs = [np.log(d).mean() for d in distances(states, i, j, lags, flow, theiler)]
    return float(np.mean(logs[lags // 2 :]))


def curve(
    name: str, logs: Iterator[Float[np.ndarray, " references"]], i: Int[np.ndarray, " references"], n: int, top: float
) -> Curve:
    """Means over blocks of reference points."""
    block = np.minimum(np.arange(len(i)) * BLOCKS // max(1, len(i)), BLOCKS - 1)
    counts = np.bincount(block, minlength=BLOCKS).astype(float)
    filled = counts > 0
    rows = [np.bincount(block, log, minlength=BLOCKS) for log in logs]
    means = np.stack(rows, axis=1)[filled] / counts[filled, None]
    return Curve(name, means, counts[filled], top)
