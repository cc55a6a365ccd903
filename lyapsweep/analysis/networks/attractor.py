"""True and generated orbit of one trial in a plane of the truth, and their power spectra as in D_H."""

from typing import NamedTuple

import numpy as np

from lyapsweep.evaluation.series import ORBITS
from lyapsweep.measures.power_spectrum import CONSTANT, SIGMA, spectra
from lyapsweep.timeseries.embedding import autocorrelation_time
from lyapsweep.trial import ORBIT_POINTS

MARGIN = 0.15  # of the truth's extent, around it
SMOOTH_STEP = 0.05  # of the plane's diagonal: longest step of a smooth curve
DOT_STEP = 0.1  # of the plane's diagonal: median step above which samples are drawn as dots
MOST_POINTS = 1000  # of a curve
BANDS = 96  # of a power spectrum, evenly spaced in log frequency
LEAST_POWER = 1e-12


class Plane(NamedTuple):
    """The plane in which orbits of one data set are drawn, with limits `low`, `high` (2,), in standardised units.

    Of several columns (x - centre) axes^T with `axes` (2, features) the first two principal directions of the truth,
    with `shares` (2,) of its variance; of one column x(t) against x(t + delay), `delay` samples, at which the
    autocorrelation has fallen below 1/e. Every `stride`-th sample is drawn, as a `dot` if steps cross much of the plane
    (of a map).
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
        """Project rows (time, features) of one orbit: (points, 2), `delay` points fewer."""
        if self.delay:
            return np.concatenate((rows[: -self.delay], rows[self.delay :]), axis=1) - self.centre
        return (rows - self.centre) @ self.axes.T


class Curves(NamedTuple):
    """The drawn points of one trial: `truth`, `generated` (points, 2), NaN outside the limits and between runs.

    They are those of the first `samples` rows; `outside` counts generated points out of the limits or not finite.
    """

    truth: np.ndarray
    generated: np.ndarray
    samples: int
    outside: int


class Power(NamedTuple):
    """Power spectra in bands: `frequency` (bands,) in cycles per step, `truth` and `generated` (bands,).

    They are means over columns of spectra that each sum to 1, smoothed by a Gaussian of `sigma` cycles per step.
    `generated` is NaN if a column is constant or not finite.
    """

    frequency: np.ndarray
    truth: np.ndarray
    generated: np.ndarray
    sigma: float


def run_lengths(traces: dict[str, np.ndarray]) -> tuple[int, int | None]:
    """Return the rows of each free run, and of all of them (None where unknown); older records hold neither."""
    rows = len(traces["generated"])
    if len(traces.get("runs", ())) > 1:
        run = int(traces["runs"][1])
        return max(1, run), run * len(traces["runs"])
    return (max(1, rows // ORBITS), rows) if rows < ORBIT_POINTS else (rows, None)


def plane(truth: np.ndarray) -> Plane:
    """Compute the plane of one truth (time, features)."""
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
    stride = int(np.clip(SMOOTH_STEP / max(longest, 1e-9), 1, max(1, len(points) // (MOST_POINTS // 2))))
    return bare._replace(low=low, high=high, stride=stride, dot=bool(usual > DOT_STEP))


def curves(at: Plane, truth: np.ndarray, generated: np.ndarray, run: int) -> Curves:
    """Compute the drawn points of both orbits; the generated one consists of runs of `run` rows."""
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
    """Compute both power spectra as D_H does: whole runs, z-scored, |rfft|^2, mean over runs, smoothed, sum 1.

    The smoothing is that of D_H, 20 bins of the `whole` held-out series; 2 bins of the given rows if its length is
    None.
    """
    rows = min(len(truth), len(generated))
    pieces = max(1, rows // run)
    rows = min(rows, pieces * run) // pieces * pieces
    truth, generated = np.asarray(truth, float)[:rows], np.asarray(generated, float)[:rows]
    sigma = SIGMA / whole if whole else 2 / rows
    moving = np.flatnonzero(truth.std(axis=0) > 0)
    truth, generated = truth[:, moving], generated[:, moving]
    edges = band_edges(rows // pieces)
    frequency = np.add.reduceat(np.arange(1, edges[-1]), edges[:-1] - 1) / np.diff(edges) / (rows // pieces)
    dead = not np.isfinite(generated).all() or bool((generated.std(axis=0) <= CONSTANT * truth.std(axis=0)).any())
    found = [np.full(len(frequency), np.nan)] * 2
    if len(moving):
        found[0] = band_means(truth, pieces, sigma * rows, edges)
    if len(moving) and not dead:
        found[1] = band_means(generated, pieces, sigma * rows, edges)
    return Power(frequency, found[0], found[1], sigma)


def band_edges(rows: int) -> np.ndarray:
    """The first bin of every band, and one past the last, evenly spaced in log frequency, up to half a cycle."""
    return np.unique(np.geomspace(1, rows // 2 + 1, BANDS + 1).round().astype(int))


def band_means(series: np.ndarray, pieces: int, smoothing: float, edges: np.ndarray) -> np.ndarray:
    """The mean power of every band, averaged over columns."""
    mean = spectra(series, pieces, smoothing).mean(axis=0)
    return np.maximum(np.add.reduceat(mean[1 : edges[-1]], edges[:-1] - 1) / np.diff(edges), LEAST_POWER)
