"""True and generated orbit of one trial in a plane of the truth, and their power spectra as D_H sees them."""

from typing import NamedTuple

import numpy as np

from lyapsweep.measures.power_spectrum import CONSTANT, SIGMA, spectra
from lyapsweep.timeseries.embedding import autocorrelation_time

MARGIN = 0.15  # of the truth's extent, around it
NEAR = 0.05  # of the plane's diagonal: steps of a curve that still looks smooth
FAR = 0.1  # likewise: beyond, neighbouring samples are no curve, and are drawn as dots
MOST_POINTS = 1000  # of a curve
BANDS = 96  # of a power spectrum, even in log frequency
LEAST_POWER = 1e-12


class Plane(NamedTuple):
    """Where orbits of one data set are drawn: `low`, `high` (2,) are its frame, in standardised units.

    Of several columns (x - centre) axes^T with `axes` (2, features) the first two principal directions of the truth,
    `shares` (2,) of its variance; of one column x(t) against x(t + delay), `delay` samples, at which the
    autocorrelation has fallen below 1/e. Every `stride`-th sample is drawn, as a `dot` where a step crosses much of
    the plane (a map's).
    """

    centre: np.ndarray
    axes: np.ndarray
    shares: np.ndarray
    delay: int
    low: np.ndarray
    high: np.ndarray
    stride: int
    dot: bool

    def place(self, rows: np.ndarray) -> np.ndarray:
        """Rows (time, features) of one orbit in the plane: (points, 2), not thinned, `delay` shorter."""
        if self.delay:
            return np.concatenate((rows[: -self.delay], rows[self.delay :]), axis=1) - self.centre
        return (rows - self.centre) @ self.axes.T


class Curves(NamedTuple):
    """What is drawn of one trial: `truth`, `generated` (points, 2) in the plane, NaN outside its frame and between
    runs, of the first `samples` rows; `outside` of the generated points lie out of the frame or are not finite."""

    truth: np.ndarray
    generated: np.ndarray
    samples: int
    outside: int


class Power(NamedTuple):
    """Power spectra in bands: `frequency` (bands,) in cycles per step, `truth`, `generated` (bands,), means over
    columns of spectra that each sum to 1, smoothed by a Gaussian of `sigma` cycles per step. `generated` is NaN where
    a column does not move or is not finite."""

    frequency: np.ndarray
    truth: np.ndarray
    generated: np.ndarray
    sigma: float


def plane(truth: np.ndarray) -> Plane:
    """The plane of one truth (time, features)."""
    truth = np.asarray(truth, float)
    features = truth.shape[1]
    centre, axes, shares, delay = truth.mean(axis=0), np.eye(2, features), np.ones(2), 0
    if features == 1:
        centre, delay = np.zeros(1), min(autocorrelation_time(truth[:, 0]), max(1, len(truth) // 4))
    else:
        _, singular, directions = np.linalg.svd(truth - centre, full_matrices=False)
        largest = np.abs(directions).argmax(axis=1)
        axes = (directions * np.sign(directions[np.arange(len(directions)), largest])[:, None])[:2]
        shares = singular[:2] ** 2 / max(float((singular**2).sum()), np.finfo(float).tiny)
    bare = Plane(centre, axes, shares, delay, np.zeros(2), np.zeros(2), 1, False)
    points = bare.place(truth)
    extent = np.ptp(points, axis=0)
    margin = np.maximum(MARGIN * extent, 1e-6)
    low, high = points.min(axis=0) - margin, points.max(axis=0) + margin
    steps = np.linalg.norm(np.diff(points, axis=0), axis=1) / np.linalg.norm(high - low)
    usual, longest = np.quantile(steps, (0.5, 0.95))
    stride = int(np.clip(NEAR / max(longest, 1e-9), 1, max(1, len(points) // (MOST_POINTS // 2))))
    return bare._replace(low=low, high=high, stride=stride, dot=bool(usual > FAR))


def curves(at: Plane, truth: np.ndarray, generated: np.ndarray, run: int) -> Curves:
    """Both orbits as they are drawn; the generated one is several runs of `run` rows, one after the other."""
    wanted = at.stride * MOST_POINTS + at.delay
    truth, generated = np.asarray(truth, float)[:wanted], np.asarray(generated, float)[:wanted]
    generated = np.where(np.isfinite(generated), generated, np.nan)
    parts = []
    for start in range(0, len(generated), run):
        rows = generated[start : start + run]
        if len(rows) > at.delay:
            parts += [at.place(rows)[:: at.stride], np.full((1, 2), np.nan)]
    lines = np.concatenate(parts)[:-1] if parts else np.empty((0, 2))
    with np.errstate(invalid="ignore"):
        inside = np.all((lines >= at.low) & (lines <= at.high), axis=1)
    breaks = max(0, len(parts) // 2 - 1)
    shown = np.where(np.expand_dims(inside, 1), lines, np.nan)
    return Curves(at.place(truth)[:: at.stride], shown, len(generated), int((~inside).sum()) - breaks)


def power(truth: np.ndarray, generated: np.ndarray, run: int, whole: int | None) -> Power:
    """Both power spectra as D_H has them: cut into whole runs, z-scored, |rfft|^2, mean over runs, smoothed, sum 1.

    The smoothing is that of D_H, 20 bins of the `whole` held-out series; where nobody knows how long that was, 2 bins
    of what is here.
    """
    rows = min(len(truth), len(generated))
    pieces = max(1, rows // run)
    rows = min(rows, pieces * run) // pieces * pieces
    truth, generated = np.asarray(truth, float)[:rows], np.asarray(generated, float)[:rows]
    sigma = SIGMA / whole if whole else 2 / rows
    moving = np.flatnonzero(truth.std(axis=0) > 0)
    truth, generated = truth[:, moving], generated[:, moving]
    edges = banded(rows // pieces)
    frequency = np.add.reduceat(np.arange(1, edges[-1]), edges[:-1] - 1) / np.diff(edges) / (rows // pieces)
    dead = not np.isfinite(generated).all() or bool((generated.std(axis=0) <= CONSTANT * truth.std(axis=0)).any())
    found = [np.full(len(frequency), np.nan)] * 2
    if len(moving):
        found[0] = bands(truth, pieces, sigma * rows, edges)
    if len(moving) and not dead:
        found[1] = bands(generated, pieces, sigma * rows, edges)
    return Power(frequency, found[0], found[1], sigma)


def banded(rows: int) -> np.ndarray:
    """The first bin of every band, and one past the last: even in log frequency from the lowest bin to half a cycle
    a step, none empty."""
    return np.unique(np.geomspace(1, rows // 2 + 1, BANDS + 1).round().astype(int))


def bands(series: np.ndarray, pieces: int, smoothing: float, edges: np.ndarray) -> np.ndarray:
    """Mean power of every band, mean over columns."""
    mean = spectra(series, pieces, smoothing).mean(axis=0)
    return np.maximum(np.add.reduceat(mean[1 : edges[-1]], edges[:-1] - 1) / np.diff(edges), LEAST_POWER)
