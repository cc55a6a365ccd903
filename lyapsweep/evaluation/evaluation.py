"""What an evaluation returns, and what evaluations of series and of tasks share."""

import copy
from dataclasses import dataclass
from typing import Any

import numpy as np

from lyapsweep.config import Lyapunov
from lyapsweep.dynamics import Spectrum
from lyapsweep.measures.evidence import Evidence
from lyapsweep.rollout import Network

LAGS = 20
LONGEST_LAG = 1000
NUMBERS = 10_000_000  # of states held in memory at a time


@dataclass(frozen=True)
class Evaluation:
    """Spectra of one network by their map ("closed loop", "driven", "forced", "segments"), and what measures read.

    `evidence` is of the part by which networks are judged; `test`, of the test part, is taken once, of a network that
    was trained to its end, and is None where there is no validation part.
    """

    spectra: dict[str, Spectrum]
    evidence: Evidence
    test: Evidence | None = None


def double_precision(network: Network, dt: float | None) -> Network:
    """A copy of the network in double precision whose time step is that of the data."""
    network = copy.deepcopy(network).double().eval()
    network.cell.dt = dt
    return network


def growth_lags(longest: int) -> np.ndarray:
    """Lags over which growth is measured: evenly spaced logarithms, from 1 to `longest` or LONGEST_LAG."""
    return np.unique(np.geomspace(1, min(LONGEST_LAG, longest), LAGS).astype(int))


def bounded_exponents(spectrum: Spectrum) -> np.ndarray:
    """Exponents as measures read them: NaN where the orbits escape to infinity."""
    return np.full_like(spectrum.exponents, np.nan) if spectrum.unbounded else spectrum.exponents


def spectrum_settings(lyapunov: Lyapunov, state: int) -> dict[str, Any]:
    """Arguments of `lyapunov_spectra` for a state of so many dimensions."""
    k = None if lyapunov.exponents is None else min(lyapunov.exponents, state)
    return {"steps": lyapunov.steps, "warmup": lyapunov.warmup, "k": k}
