"""Neighbours of a state that are not near in time, as Theiler (1986) requires for statistics of neighbours."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float, Int
from scipy.spatial import KDTree

Points = Float[np.ndarray, "time dimensions"]
CHUNK = 2**22  # candidates held at a time
NONE = -1
MOST = 300  # candidates of one tree; points that need more search outside of their window in trees of their own
LEAF = 512  # points of the smallest of these trees


def nearest(
    points: Points, k: int, theiler: int, last: int | None = None, of: Int[np.ndarray, " references"] | None = None
) -> Int[np.ndarray, "references k"]:
    """The k nearest points of each, |i - j| > `theiler`, i and j below `last`; nearest first, NONE if there are fewer.

    `of` are the points whose neighbours are wanted (all below `last` if None). Where near states are near in time, more
    candidates are examined, up to MOST, then the trees of `outside`.
    """
    last = len(points) if last is None else last
    of = np.arange(last) if of is None else of
    tree, found = KDTree(points[:last]), np.full((len(of), k), NONE)
    enough = min(last, 2 * theiler + 1 + k)  # of them k are outside of the window
    todo, candidates = np.arange(len(of)), min(enough, 4 * k + 16)
    while len(todo) and candidates <= MOST:
        short = []
        for part in chunks(todo, candidates):
            j = near(tree, points[of[part]], candidates)[1]
            apart = np.abs(j - of[part][:, None]) > theiler
            rank = np.where(apart, apart.cumsum(axis=1), 0)
            row, column = np.nonzero((rank > 0) & (rank <= k))
            found[part[row], rank[row, column] - 1] = j[row, column]
            short.append(part[rank.max(axis=1) < k])
        todo = np.concatenate(short) if candidates < enough else todo[:0]
        candidates = min(enough, 4 * candidates)
    if len(todo):
        found[todo] = outside(points[:last], k, theiler, of[todo])
    return found


def outside(
    points: Points, k: int, theiler: int, of: Int[np.ndarray, " references"]
) -> Int[np.ndarray, "references k"]:
    """As `nearest`, at a cost that does not grow with `theiler`.

    The times before a window, and those after it, are a union of aligned blocks of LEAF 2^level points, at most one of
    each level, with one tree per block, and of a piece shorter than LEAF.
    """
    n, found = len(points), Nearest(len(of), k)
    leaves = 1 << max(0, -(-n // LEAF) - 1).bit_length()
    before, after = np.maximum(of - theiler, 0), np.minimum(of + theiler + 1, n)
    left, right = before // LEAF, leaves - -(-after // LEAF)  # whole leaves on either side
    for level in range(leaves.bit_length()):
        for count, block in ((left, (left >> level) - 1), (right, (leaves >> level) - (right >> level))):
            used = np.flatnonzero((count >> level) & 1)
            for b in np.unique(block[used]).tolist():
                first = b * (LEAF << level)
                inside, rows = points[first : first + (LEAF << level)], used[block[used] == b]
                if len(inside):
                    distance, index = near(KDTree(inside), points[of[rows]], min(k, len(inside)))
                    found.add(rows, distance, index + first)
    for first, end in ((left * LEAF, before), (after, np.minimum(-(-after // LEAF) * LEAF, n))):
        for rows in chunks(np.arange(len(of)), LEAF * points.shape[1]):
            j = first[rows, None] + np.arange(LEAF)
            apart = np.linalg.norm(points[np.minimum(j, n - 1)] - points[of[rows], None], axis=2)
            found.add(rows, np.where(j < end[rows, None], apart, np.inf), j)
    return np.where(np.isfinite(found.distance), found.index, NONE)


def near(tree: KDTree, points: Points, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Distances and indices (points, k) of the k nearest points of a tree, also for k = 1."""
    distance, index = tree.query(points, k)
    return np.reshape(distance, (len(points), k)), np.reshape(index, (len(points), k))


class Nearest:
    """The k nearest points found so far, of every reference."""

    def __init__(self, references: int, k: int):
        self.distance, self.index = np.full((references, k), np.inf), np.full((references, k), NONE)

    def add(self, rows: np.ndarray, distance: np.ndarray, index: np.ndarray) -> None:
        """Consider further points (rows, points) of some references."""
        all_distances = np.concatenate([self.distance[rows], distance], axis=1)
        order = np.argsort(all_distances, axis=1, kind="stable")[:, : self.distance.shape[1]]
        self.distance[rows] = np.take_along_axis(all_distances, order, axis=1)
        self.index[rows] = np.take_along_axis(np.concatenate([self.index[rows], index], axis=1), order, axis=1)


def chunks(items: np.ndarray, width: int) -> Iterator[np.ndarray]:
    """Pieces of `items` such that a piece times `width` is at most CHUNK."""
    size = max(1, CHUNK // width)
    for first in range(0, len(items), size):
        yield items[first : first + size]
