"""Neighbours in state that are not near in time: exact at any length of the window, and while time is shifted."""

import time

import numpy as np
import pytest

from lyapsweep.timeseries.divergence import SMALLEST, distances
from lyapsweep.timeseries.embedding import Embedding
from lyapsweep.timeseries.neighbours import LEAF, MOST, NONE, nearest, outside
from lyapsweep.timeseries.surrogates import prediction_error


def walk(steps, columns, seed=0):
    return np.random.default_rng(seed).normal(size=(steps, columns)).cumsum(axis=0)


def by_distances(points, k, theiler, of):
    """All distances, sorted."""
    d = np.linalg.norm(points[of, None] - points[None], axis=2)
    d[np.abs(of[:, None] - np.arange(len(points))) <= theiler] = np.inf
    order = np.argsort(d, axis=1, kind="stable")[:, :k]
    found = np.where(np.isfinite(np.take_along_axis(d, order, axis=1)), order, NONE)
    return np.pad(found, ((0, 0), (0, max(0, k - len(points)))), constant_values=NONE)


CASES = [  # steps, columns, k, theiler: a walk's near states are near in time
    (3 * LEAF + 7, 3, 10, MOST),
    (2 * LEAF, 2, 1, 5),
    (3 * LEAF, 1, 4, LEAF),
    (2 * LEAF, 1, 4, 2 * LEAF - 3),
    (LEAF, 3, 2, 20),
    (LEAF + 1, 3, 3, LEAF // 2),
    (50, 3, 3, 100),
    (5, 2, 10, 0),
]


@pytest.mark.parametrize(("steps", "columns", "k", "theiler"), CASES)
def test_neighbours_are_those_of_all_distances(steps, columns, k, theiler):
    points, of = walk(steps, columns), np.unique(np.linspace(0, steps - 1, 150).astype(int))
    expected = by_distances(points, k, theiler, of)
    np.testing.assert_array_equal(nearest(points, k, theiler, of=of), expected)
    np.testing.assert_array_equal(outside(points, k, theiler, of), expected)
    last = steps - 3
    of = of[of < last]
    np.testing.assert_array_equal(nearest(points, k, theiler, last, of), by_distances(points[:last], k, theiler, of))


def test_prediction_error_of_a_hundred_thousand_rows_takes_a_second():
    """Of processor time, with the longest window that a series of this length is given. Half a second on one core."""
    columns = walk(100_000, 3)
    found = Embedding(17, 3, 5000, 5000.0, True, (), "", "")
    began = time.process_time()
    assert 0 < prediction_error(columns / columns.std(axis=0), found) < 1
    assert time.process_time() - began < 3  # on a slower or busy machine


@pytest.mark.parametrize("ahead", [11, -11])
def test_a_neighbour_never_walks_onto_its_reference(ahead):
    """Along one path, the nearest state of the neighbour's path is the reference itself."""
    angle = np.arange(400) / 60
    states = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    i = np.arange(50, 60)
    j = i[:, None] + ahead
    for d in distances(states, i, j, horizon=40, flow=True, theiler=10):
        assert (d > 1e3 * SMALLEST).all()
    loose = list(distances(states, i, j, horizon=40, flow=True, theiler=-1))
    assert (loose[-1] == SMALLEST).all()  # what happens without the window
