"""Neighbours of a state that are not near in time, as Theiler (1986) requires for statistics of neighbours."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float, Int
from scipy.spatial import KDTree

Points = Float[np.ndarray, "time dimensions"]
CHUNK = 2**22  # candidates held at a time
NONE = -1


def nearest(
    points: Points, k: int, theiler: int, last: int | None = None, of: Int[np.ndarray, " references"] | None = None
) -> Int[np.ndarray, "references k"]:
    """The k nearest points of each, |i - j| > `theiler`, i and j below `last`; nearest first, NONE if there are fewer.

    `of` are the points whose neighbours are wanted (all below `last` if None). If distant times have equal values, more
    candidates are examined until k are found or all have been.
    """
    last = len(points) if last is None else last
    of = np.arange(last) if of is None else of
    tree, found = KDTree(points[:last]), np.full((len(of), k), NONE)
    todo, candidates = np.arange(len(of)), min(last, 4 * k + 16)
    while len(todo):
        short = []
        for part in chunks(todo, candidates):
            j = np.asarray(tree.query(points[of[part]], candidates)[1])
            apart = np.abs(j - of[part][:, None]) > theiler
            rank = np.where(apart, apart.cumsum(axis=1), 0)
            row, column = np.nonzero((rank > 0) & (rank <= k))
            found[part[row], rank[row, column] - 1] = j[row, column]
            short.append(part[rank.max(axis=1) < k])
        todo = np.concatenate(short) if candidates < last else todo[:0]
        candidates = min(last, 4 * candidates)
    return found


def chunks(items: np.ndarray, width: int) -> Iterator[np.ndarray]:
    """Pieces of `items` such that a piece times `width` is at most CHUNK."""
    size = max(1, CHUNK // width)
    for first in range(0, len(items), size):
        yield items[first : first + size]
