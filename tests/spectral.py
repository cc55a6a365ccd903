"""Made-up tables of spectra in which only the third exponent matters, for the exams of what learns from spectra."""

from dataclasses import replace

import numpy as np
import pandas as pd

from lyapsweep.results.description import SweepDescription
from lyapsweep.results.table import Table

COLUMN, MAP = "measures/loss", "driven"
THIRD = 2  # the index of the exponent that the outcome follows
EXPONENTS = 12


def table(seed: int = 0, trials: int = 80, noise: float = 0.5, lost: int = 4, bare: int = 3) -> Table:
    """Spectra -0.1 i + jitter, sorted as they stand; loss = exp(z + noise n), z the third one's standardised jitter.

    `lost` trials diverged; `bare` further ones have no spectrum. One record at step 0 and one at the end.
    """
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(trials, EXPONENTS)).clip(-2.5, 2.5)
    spectra = -0.1 * np.arange(1, EXPONENTS + 1) + 0.018 * z
    spectra[trials - bare :] = np.nan
    frame = pd.DataFrame(
        {
            "trial": [f"t{i:04d}" for i in range(trials)],
            "step": 1000,
            "outcome": np.where(np.arange(trials) < lost, "diverged", "finished"),
            "final": True,
            "seconds": 1.0,
            "seed": np.arange(trials) % 5,
            "training/steps": 1000,
            COLUMN: np.exp(z[:, THIRD] + noise * rng.normal(size=trials)),
            f"spectra/{MAP}/maximum": spectra[:, 0],
            f"spectra/{MAP}/mean": spectra.mean(1),
        }
    )
    return Table(frame, {MAP: spectra}, {MAP: np.full_like(spectra, 0.001)}, description=SweepDescription(intent="map"))


def shuffled(made: Table, seed: int) -> Table:
    """The outcomes, lost ones too, dealt out anew among the trials."""
    order = np.random.default_rng((seed, 1)).permutation(len(made))
    frame = made.frame.copy()
    columns = ["outcome", COLUMN]
    frame[columns] = frame[columns].to_numpy()[order]
    frame[COLUMN] = frame[COLUMN].astype(float)
    return replace(made, frame=frame)


RATE = 0.8  # of ln time, by a standard deviation of the third exponent
REPORTS = 50


def learning(seed: int = 0, trials: int = 90, lost: int = 6, rate: float = RATE) -> Table:
    """Trials that learn at a rate exp(-rate z): loss falls below 0.5 at an exponential time, known at every 50 updates.

    Each has a record at step 0 and at every report up to 1000; the last `lost` diverge at 300.
    """
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(trials, EXPONENTS)).clip(-2.5, 2.5)
    spectra = -0.1 * np.arange(1, EXPONENTS + 1) + 0.018 * z
    time = rng.exponential(400 * np.exp(rate * z[:, THIRD]))
    step = np.tile(np.arange(0, 1001, REPORTS), (trials, 1))
    row, report = np.nonzero(step <= np.where(np.arange(trials) < trials - lost, 1000, 300)[:, None])
    step = step[row, report]
    final = np.append(row[1:] != row[:-1], True)
    frame = pd.DataFrame(
        {
            "trial": [f"t{i:04d}" for i in row],
            "step": step,
            "outcome": np.where(final, np.where(row < trials - lost, "finished", "diverged"), "running"),
            "final": final,
            "training/steps": 1000,
            "cell/kind": np.where(row % 2, "lstm", "vanilla"),
            COLUMN: np.where(step < time[row], 1.0, 0.4),
            f"spectra/{MAP}/maximum": spectra[row, 0],
            f"spectra/{MAP}/third": spectra[row, THIRD],
        }
    )
    frame.loc[frame["step"] > 0, [f"spectra/{MAP}/maximum", f"spectra/{MAP}/third"]] = 0.5  # of no use: too late
    return Table(frame, {MAP: spectra[row]}, description=SweepDescription(intent="map"))
