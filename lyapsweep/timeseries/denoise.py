"""Local projective noise reduction: components off the attractor's local plane are noise (Grassberger et al. 1993)."""

import numpy as np
from scipy.spatial import KDTree

from lyapsweep.timeseries.embedding import Columns, delayed
from lyapsweep.timeseries.neighbours import chunks

NEIGHBOURS = 50
COORDINATES = 15  # of the windows that are projected, all columns together
FEWEST = 7  # values of one column in a window of a map, which says less a sample
ROUNDS = 2
SAMPLED = 400  # windows whose neighbourhoods show how many dimensions the data have
OFF = 1.05  # of the noise: what may be left off the plane


def project(columns: Columns, plane: int, delay: int = 1, length: int | None = None) -> Columns:
    """One round: windows of `length` values of each column are projected onto the local plane of their neighbours.

    w <- c + Q Q^T (w - c), Q the `plane` leading directions of the covariance of the 50 nearest windows, c their mean
    shifted outwards by the mean's own offset from its neighbours' means (otherwise curvature would flatten the
    attractor). A sample is the average over the windows that hold it, weighted to their middle.
    """
    width = columns.shape[1]
    length = length or window_length(width, True)
    windows = delayed(columns, length, delay)
    near = np.asarray(KDTree(windows).query(windows, min(NEIGHBOURS + 1, len(windows)))[1])
    means = np.concatenate([windows[near[part]].mean(axis=1) for part in chunks(np.arange(len(near)), near.shape[1])])
    moved = np.empty_like(windows)
    for part in chunks(np.arange(len(windows)), near.shape[1] * windows.shape[1]):
        offsets = windows[near[part]] - means[part][:, None]
        _, directions = np.linalg.eigh(offsets.transpose(0, 2, 1) @ offsets)
        Q = directions[:, :, -min(plane, windows.shape[1]) :]
        centre = 2 * means[part] - means[near[part]].mean(axis=1)
        moved[part] = centre + np.einsum("npq,nq->np", Q, np.einsum("npq,np->nq", Q, windows[part] - centre))
    return average(moved, columns.shape, length, delay)


def plane_dimension(columns: Columns, noise: float, delay: int, length: int) -> int:
    """The fewest directions of local planes beyond which what is left is no larger than the noise."""
    windows = delayed(columns, length, delay)
    of = np.unique(np.linspace(0, len(windows) - 1, SAMPLED).astype(int))
    near = np.asarray(KDTree(windows).query(windows[of], min(NEIGHBOURS + 1, len(windows)))[1])
    offsets = windows[near] - windows[near].mean(axis=1, keepdims=True)
    variances = np.square(np.linalg.svd(offsets, compute_uv=False)).mean(axis=0)[::-1] / (near.shape[1] - 1)
    left = np.sqrt(variances.cumsum() / np.arange(1, len(variances) + 1))[::-1]  # of q, q + 1, ... directions
    return max(1, int(np.argmax(left <= OFF * noise)) if (left <= OFF * noise).any() else len(variances))


def average(windows: np.ndarray, shape: tuple[int, ...], length: int, delay: int) -> Columns:
    """Samples from overlapping windows, weighted to each window's middle."""
    total, weight = np.zeros(shape), np.zeros(shape[0])
    for k in range(length):
        trust, rows = min(k + 1, length - k), slice(k * delay, k * delay + len(windows))
        total[rows] += trust * windows[:, k * shape[1] : (k + 1) * shape[1]]
        weight[rows] += trust
    return total / weight[:, None]


def window_length(columns: int, flow: bool) -> int:
    return max(3, (COORDINATES if flow else FEWEST) // columns)
