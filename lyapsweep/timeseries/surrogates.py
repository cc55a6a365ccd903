"""Surrogate test of the null hypothesis that a series is a linear stochastic process."""

from dataclasses import dataclass

import numpy as np
from scipy.fft import next_fast_len

from lyapsweep.timeseries.embedding import Columns, Embedding
from lyapsweep.timeseries.neighbours import NONE, nearest

SURROGATES = 19  # all beaten: p = 1 / 20, one-sided
ITERATIONS = 25
NEIGHBOURS, REFERENCES = 10, 1000  # of a prediction, and predictions
ENDS = 0.1  # of the series that may be cut so that its ends meet


@dataclass(frozen=True)
class SurrogateTest:
    """The prediction error of the series, in standard deviations, and those of its surrogates.

    `rank` is 1 if the series is predicted better than all of them; `p_value` is rank / (surrogates + 1).
    """

    error: float
    surrogates: tuple[float, ...]

    @property
    def rank(self) -> int:
        return 1 + sum(s <= self.error for s in self.surrogates)

    @property
    def p_value(self) -> float:
        return self.rank / (len(self.surrogates) + 1)

    @property
    def rejected(self) -> bool:
        return self.rank == 1


def surrogate_test(columns: Columns, embedding: Embedding, seed: int) -> SurrogateTest:
    """Compare the error of local prediction one delay ahead with that of 19 surrogates (Schreiber and Schmitz 2000)."""
    columns, rng = closed(columns), np.random.default_rng(seed)
    error = prediction_error(columns, embedding)
    return SurrogateTest(error, tuple(prediction_error(surrogate(columns, rng), embedding) for _ in range(SURROGATES)))


def closed(columns: Columns) -> Columns:
    """The part, at least 80 % long, whose ends match best: a jump between them would add power.

    Its length is a fast one of Fourier transforms, a few samples below the best.
    """
    most = max(2, int(ENDS * len(columns)))
    ends = np.concatenate([columns, np.gradient(columns, axis=0)], axis=1) / columns.std(axis=0).mean()
    first, last = ends[:most][:, None], ends[-most:][None]
    step = max(1, most // 300)
    gap = np.linalg.norm(first[::step] - last[:, ::step], axis=2)
    a, b = np.unravel_index(gap.argmin(), gap.shape)
    part = columns[a * step : len(columns) - most + b * step]
    return part[: next(n for n in range(len(part), 0, -1) if next_fast_len(n, real=True) == n)]


def surrogate(columns: Columns, rng: np.random.Generator) -> Columns:
    """A random series with the same values, power spectra and cross-correlations (IAAFT; Schreiber and Schmitz 2000).

    Columns keep their relative phases, so that only their common phase is drawn.
    """
    ordered, transform = np.sort(columns.T), np.fft.rfft(columns.T)
    phase = transform / np.maximum(np.abs(transform), 1e-300)
    found = columns[rng.permutation(len(columns))].T
    for _ in range(ITERATIONS):
        turn = (np.fft.rfft(found) * phase.conj()).sum(axis=0)
        spectral = np.fft.irfft(transform * turn / np.maximum(np.abs(turn), 1e-300), len(columns))
        found = np.empty_like(spectral)
        np.put_along_axis(found, np.argsort(spectral), ordered, axis=1)
    return found.T


def prediction_error(columns: Columns, embedding: Embedding) -> float:
    """Root mean square error, in standard deviations, of local prediction one delay ahead."""
    states, last = embedding.states(columns), len(columns) - embedding.window - embedding.delay
    of = np.unique(np.linspace(0, last - 1, REFERENCES).astype(int))
    near = nearest(states, NEIGHBOURS, embedding.theiler, last, of)
    near = np.where(near == NONE, near[:, :1], near)
    future = columns[embedding.window + embedding.delay :]
    error = future[near].mean(axis=1) - future[of]
    return float(np.sqrt((np.square(error) / columns.var(axis=0)).mean()))
